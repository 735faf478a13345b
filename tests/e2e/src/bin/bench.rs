//! `make bench`: this operator beside what people do without it (docs/performance.md). It adds to the moves that a folder has
//! already, and shows them all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use e2e::bench::peers::Peer;
use e2e::bench::{cases, measure, picture, record, table};
use e2e::scenario;

/// This operator beside what people do without it.
#[derive(Parser)]
struct Arguments {
    /// How often each peer's planned move and crash are made; 0 only shows what is there.
    #[arg(long, default_value_t = 15)]
    times: u32,
    /// These peers alone.
    #[arg(long)]
    only: Vec<Peer>,
    /// Try the changes that can't work, too: about five minutes.
    #[arg(long)]
    cases: bool,
    /// Where moves.csv, table.md and picture.svg go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let wanted = Arguments::parse();
    std::fs::create_dir_all(&wanted.out)?;
    let file = wanted.out.join("moves.csv");
    if wanted.times > 0 {
        let cluster = scenario::ready().await?;
        for peer in Peer::value_variants() {
            if wanted.only.is_empty() || wanted.only.contains(peer) {
                println!("\n{}", peer.title());
                measure(&cluster, *peer, wanted.times, &file).await?;
            }
        }
    }
    let tried = wanted.out.join("cases.csv");
    if wanted.cases {
        cases::all(&scenario::ready().await?, &tried).await?;
    }
    let moves = record::read(&file)?;
    let mut shown = table::of(&moves);
    if tried.exists() {
        shown += "\n";
        shown += &cases::table(&tried)?;
    }
    std::fs::write(wanted.out.join("table.md"), &shown)?;
    std::fs::write(wanted.out.join("picture.svg"), picture::of(&moves))?;
    println!("\n{shown}");
    Ok(())
}
