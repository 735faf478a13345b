//! The operator's command line.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use chainlink_operator::act::DigestKeyAt;
use chainlink_operator::cluster::Calls;
use chainlink_operator::controller::{self, Context, DatabaseAccess, Settings};
use chainlink_operator::leader::LeaseAt;
use clap::{Parser, Subcommand, ValueEnum};

mod server;

/// A Kubernetes operator for redundant Chainlink nodes.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reconcile `ChainlinkNode` resources.
    Run(Run),
    /// Print the `CustomResourceDefinition` as YAML.
    Crd,
    /// Print every field of a `ChainlinkNode`, as Markdown.
    Reference,
}

#[derive(clap::Args)]
struct Run {
    /// Namespaces to watch, separated by commas; all if empty.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// How many ChainlinkNodes may move their lock at a time; 0 is no limit.
    #[arg(long, env = "MAX_HANDOVERS", default_value_t = 0)]
    max_handovers: usize,
    /// Watch the machines (Nodes), and leave those that are being emptied by handover. Needs the right to
    /// get, list and watch them.
    #[arg(long, env = "WATCH_MACHINES")]
    watch_machines: bool,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    http_address: SocketAddr,
    /// Format of the log.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Read the Secrets that hold database URLs, and ask the databases who holds the lock.
    #[arg(long, env = "VERIFY_DATABASES")]
    verify_databases: bool,
    /// The Secret, as NAMESPACE/NAME, that keeps the key of the digests by which a changed Secret is known. It has to be
    /// there; the operator puts a key into it.
    #[arg(long, env = "DIGEST_KEY_SECRET", value_parser = namespaced)]
    digest_key_secret: Option<DigestKeyAt>,
    /// The Lease, as NAMESPACE/NAME, that decides which of several operators acts. Without one this has to be the only one.
    #[arg(long, env = "LEADER_LEASE", value_parser = lease, requires = "pod_name")]
    leader_lease: Option<(String, String)>,
    /// The name of this operator's pod, by which it holds the Lease.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
}

fn lease(text: &str) -> Result<(String, String), String> {
    namespaced(text).map(|at| (at.namespace, at.name))
}

fn namespaced(text: &str) -> Result<DigestKeyAt, String> {
    let (namespace, name) = text
        .split_once('/')
        .ok_or_else(|| format!("{text} is not NAMESPACE/NAME"))?;
    Ok(DigestKeyAt {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run(arguments).await,
        Command::Crd => print_crd(),
        Command::Reference => {
            print!("{}", chainlink_operator::api::reference());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn print_crd() -> Result<(), String> {
    let yaml = chainlink_operator::api::crd_yaml()
        .map_err(|error| format!("the CRD can't be written as YAML: {error}"))?;
    print!("{yaml}");
    Ok(())
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

async fn run(arguments: Run) -> Result<(), String> {
    start_log(arguments.log_format);
    let mut config = kube::Config::infer()
        .await
        .map_err(|error| format!("no cluster to connect to: {error}"))?;
    // A retry inside a call hides for tens of seconds what the next look would know.
    config.default_retry = false;
    // A stream that is silent for longer than a watch lasts is dead: it is opened again.
    config.read_timeout = Some(std::time::Duration::from_secs(295));
    let calls = Calls::default();
    let client = calls
        .counting(config)
        .map_err(|error| format!("the cluster's configuration can't be used: {error}"))?;
    controller::served(&client).await;
    tracing::info!(namespaces = ?arguments.watch_namespaces, "watching ChainlinkNodes");
    let namespaces: Vec<Option<String>> = match arguments.watch_namespaces {
        names if names.iter().all(String::is_empty) => vec![None],
        names => names
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(Some)
            .collect(),
    };
    let settings = Settings {
        max_handovers: arguments.max_handovers,
        watch_machines: arguments.watch_machines,
        database: if arguments.verify_databases {
            DatabaseAccess::Yes
        } else {
            DatabaseAccess::No
        },
        digest_key: arguments.digest_key_secret,
        lease: arguments
            .leader_lease
            .zip(arguments.pod_name)
            .map(|((namespace, name), pod)| LeaseAt {
                namespace,
                name,
                pod,
            }),
        calls,
    };
    let (context, woken) = Context::new(client.clone(), settings);
    let server = tokio::spawn(server::serve(arguments.http_address, Arc::clone(&context)));
    let controllers = controller::run(&client, namespaces, context, woken);
    tokio::select! {
        () = controllers => Ok(()),
        stopped = server => Err(match stopped {
            Ok(Err(error)) => format!("{}: {error}", arguments.http_address),
            Ok(Ok(())) => "the HTTP server ended".to_owned(),
            Err(error) => format!("the HTTP server failed: {error}"),
        }),
    }
}
