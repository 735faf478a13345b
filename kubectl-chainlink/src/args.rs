//! The command line.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing speaks against it
  1  it could not be done: the API server, a file, a right
  2  the command line can't be read
  3  the answer is no: a manifest or a switchover is refused, a node needs a person (with --check)
  4  what was waited for has not come in time";

/// What Chainlink nodes do, and what a person asks of them.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubectl-chainlink", bin_name = "kubectl chainlink", version, about, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub verb: Verb,
}

/// As kubectl has them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Connection {
    /// The kubeconfig. Default: those that KUBECONFIG names, or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// The cluster of the kubeconfig.
    #[arg(long, global = true)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig.
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// The namespace. Default: that of the context.
    #[arg(long, short, global = true)]
    pub namespace: Option<String>,
    /// Whom to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonated: Option<String>,
    /// A group to impersonate; may be given several times.
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// A form for scripts.
    #[arg(long, short, global = true, value_enum)]
    pub output: Option<Form>,
    /// Colour.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// A form for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Json,
    Yaml,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// One page: who works since when, who waits, versions, the step of a handover, evidence, history.
    Status(Status),
    /// All nodes, the worst first.
    Fleet(Fleet),
    /// What is waited for, and what to do.
    Why(Why),
    /// Ask for the lock to be handed over to a standby, and wait for it.
    Switchover(Switchover),
    /// Approve the change that waits for a person.
    Approve(Approve),
    /// Hold back all that is planned. Takes the right to update the node.
    Pause(Named),
    /// End a pause. Takes the right to update the node.
    Resume(Named),
    /// Stop all pods of a node, and remember how many there were. Takes the right to update the node.
    Hibernate(Hibernate),
    /// Start a node again that hibernates. Takes the right to update the node.
    Wake(Wake),
    /// The log of the active, or of others, merged by time; follows the lock.
    Logs(Logs),
    /// What happened to a node and its pods.
    Events(Named),
    /// What the API server and the operator would refuse in manifests; needs no cluster.
    Lint(Lint),
    /// What an edit leads to: whether pods are replaced, who is asked, what is refused.
    Diff(Diff),
    /// Lead a port of this machine to the active's web page, also after a handover.
    Ui(Ui),
    /// The script by which a shell completes commands.
    Completion(Completion),
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The ChainlinkNode.
    pub name: String,
}

#[derive(Clone, Debug, Args)]
pub struct Status {
    /// The ChainlinkNode.
    pub name: String,
    /// Draw the page again with each change.
    #[arg(long, short)]
    pub watch: bool,
    /// End with 3 where the node is stalled or nobody works.
    #[arg(long)]
    pub check: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Fleet {
    /// In all namespaces.
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,
    /// Those with these labels.
    #[arg(long, short = 'l')]
    pub selector: Option<String>,
    /// End with 3 where one is stalled or nobody works.
    #[arg(long)]
    pub check: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Why {
    /// The ChainlinkNode.
    pub name: String,
    /// End with 3 where the node is stalled or nobody works.
    #[arg(long)]
    pub check: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Switchover {
    /// The ChainlinkNode.
    pub name: String,
    /// The pod or the machine that is to be active, or `preferred`. Default: any standby.
    #[arg(long, value_name = "POD")]
    pub to: Option<String>,
    /// Ask, and do not wait for the end.
    #[arg(long)]
    pub no_wait: bool,
    /// For how long to wait, in seconds.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Clone, Debug, Args)]
pub struct Approve {
    /// The ChainlinkNode.
    pub name: String,
    /// The revision that was looked at: another one that has come since is not approved.
    #[arg(long)]
    pub revision: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Hibernate {
    /// The ChainlinkNode.
    pub name: String,
    /// The node stops to work: say that this is meant.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Wake {
    /// The ChainlinkNode.
    pub name: String,
    /// How many pods. Default: as many as there were before.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub replicas: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The ChainlinkNode.
    pub name: String,
    /// Whose log.
    #[arg(long, value_enum, default_value_t = Whose::Active)]
    pub of: Whose,
    /// Go on with what comes; follows the lock when it moves.
    #[arg(long, short)]
    pub follow: bool,
    /// How many lines of each pod's end.
    #[arg(long, default_value_t = 100)]
    pub tail: u32,
    /// Those of the last so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub since: Option<u32>,
    /// Show the time that the kubelet noted for each line.
    #[arg(long)]
    pub timestamps: bool,
}

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Whose {
    Active,
    Standby,
    All,
}

#[derive(Clone, Debug, Args)]
pub struct Lint {
    /// Manifests; `-` is the standard input. ConfigMaps beside a node are read, too.
    #[arg(long = "filename", short = 'f', required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Refuse also what may come by itself: a ConfigMap that is in none of the files.
    #[arg(long)]
    pub strict: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Diff {
    /// The manifests after the edit; `-` is the standard input.
    #[arg(long = "filename", short = 'f', required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The manifests before the edit. Without them: what is in the cluster.
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct Ui {
    /// The ChainlinkNode.
    pub name: String,
    /// The port of this machine; 0 is any.
    #[arg(long, default_value_t = 6688)]
    pub port: u16,
}

#[derive(Clone, Debug, Args)]
pub struct Completion {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
    /// The small program by which kubectl itself asks for completions: save it as `kubectl_complete-chainlink` in the PATH.
    #[arg(long)]
    pub for_kubectl: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_flags_of_kubectl_may_stand_before_and_behind_the_verb() {
        for line in [
            "kubectl-chainlink -n oracles --as somebody --as-group on-call status mainnet",
            "kubectl-chainlink status mainnet -n oracles --as somebody --as-group on-call",
        ] {
            let read = Arguments::try_parse_from(line.split(' '));
            let connection = read.map(|read| read.connection);
            let connection = connection.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(connection.namespace.as_deref(), Some("oracles"));
            assert_eq!(connection.impersonated.as_deref(), Some("somebody"));
            assert_eq!(connection.groups, ["on-call"]);
        }
    }
}
