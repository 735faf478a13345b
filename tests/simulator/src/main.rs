//! A program that behaves like a Chainlink node towards Kubernetes, `PostgreSQL`, logs and HTTP, without any chain.
//! It exists for tests; README.md says what it simulates, what it records, and which faults it has on request.

mod app;
mod cli;
mod config;
mod database;
mod duty;
mod exit;
mod http;
mod lock;
mod log;
mod password;
mod pg;
mod proxy;
mod settings;
mod signals;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let code = match runtime {
        Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, run()),
        Err(error) => {
            log::plain(&format!("no runtime: {error}"));
            1
        }
    };
    // Not a return: connections that hang (a black hole) must not hold up the end of the process.
    std::process::exit(i32::from(code))
}

async fn run() -> u8 {
    let version = match version::NodeVersion::from_env() {
        Ok(version) => version,
        Err(error) => {
            log::plain(&error);
            return 1;
        }
    };
    let cli = cli::Cli::parse(std::env::args().skip(1));
    let outcome = match &cli.command {
        cli::Command::Version => {
            println!(
                "chainlink version {}@{}",
                version.semver,
                version.short_sha()
            );
            Ok(0)
        }
        cli::Command::Validate => Ok(config::validate_command(&cli, &version)),
        cli::Command::Proxy { port, to } => proxy::run(port, to).await,
        cli::Command::Start(files) => app::run(&cli, files, &version).await,
        cli::Command::Unknown(words) => {
            Err(exit::Exit::failed(format!("No help topic for '{words}'")))
        }
    };
    match outcome {
        Ok(code) => code,
        Err(exit) => {
            exit.print();
            exit.code
        }
    }
}
