//! `make bench-fleet`: what the operator costs with many resources (docs/performance.md). It puts what it measures in the place of
//! what a folder has of the same sizes, and shows all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use e2e::fleet::figures;
use e2e::fleet::operator::release;
use e2e::fleet::phases::{Phase, Settings, measure};

/// Where no request is made for so long the operator rests.
const QUIET: Duration = Duration::from_secs(10);

/// What the operator costs with many resources.
#[derive(Parser)]
struct Arguments {
    /// How many resources, one fleet after the other.
    #[arg(default_values_t = [10, 100, 1000])]
    sizes: Vec<usize>,
    /// What is measured after the start.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values_t = Phase::value_variants().to_vec()
    )]
    phases: Vec<Phase>,
    /// So many resources have a real database, which the operator asks; a machine that is lost is no part of it.
    #[arg(long, default_value_t = 0)]
    databases: usize,
    /// How many locks move at a time.
    #[arg(long, default_value_t = 20)]
    cap: usize,
    /// How many resources share a namespace.
    #[arg(long, default_value_t = 100)]
    together: usize,
    /// The operator's program, where it is not that of target/release.
    #[arg(long)]
    operator: Option<PathBuf>,
    /// How many seconds of a rest are looked at.
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How many seconds anything may take.
    #[arg(long, default_value_t = 1800)]
    patience: u64,
    /// Where fleet.csv and table.md go.
    #[arg(long, default_value = "target/fleet")]
    out: PathBuf,
    /// Keep the folder of the control plane, with its logs.
    #[arg(long)]
    keep: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let wanted = Arguments::parse();
    std::fs::create_dir_all(&wanted.out)?;
    let settings = Settings {
        phases: wanted.phases,
        operator: wanted.operator.unwrap_or_else(release),
        databases: wanted.databases,
        cap: wanted.cap,
        together: wanted.together,
        quiet: QUIET,
        rest: Duration::from_secs(wanted.rest),
        patience: Duration::from_secs(wanted.patience),
        folder: std::env::temp_dir().join(format!("chainlink-fleet-{}", std::process::id())),
        keep: wanted.keep,
    };
    let mut all = Vec::new();
    for size in wanted.sizes {
        let measured = tokio::select! {
            measured = measure(size, &settings) => measured?,
            _ = tokio::signal::ctrl_c() => break,
        };
        all = figures::keep(&wanted.out.join("fleet.csv"), &measured)?;
    }
    let shown = figures::table(&all);
    std::fs::write(wanted.out.join("table.md"), &shown)?;
    println!("\n{shown}");
    Ok(())
}
