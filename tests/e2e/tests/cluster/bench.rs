//! The comparison of `make bench` in its smallest size: it measures what it says that it measures. No figure is asserted.

use anyhow::{Result, ensure};
use e2e::bench::peers::Peer;
use e2e::bench::record::{Kind, read};
use e2e::bench::{moves, picture, table};
use e2e::{Company, scenario};

async fn measured_once(peer: Peer) -> Result<()> {
    let name = format!("bench-{}-once", peer.name());
    let file = std::env::temp_dir().join(format!("{name}-{}.csv", std::process::id()));
    scenario(&name, Company::Welcome, async |world| {
        moves(world, peer, 1, &file).await
    })
    .await?;
    let moves = read(&file)?;
    std::fs::remove_file(&file)?;
    let kinds: Vec<Kind> = moves.iter().map(|one| one.kind).collect();
    ensure!(kinds == [Kind::Planned, Kind::Crash], "{kinds:?}");
    for one in &moves {
        ensure!(one.without_active() > Some(0), "no time was lost: {one}");
        ensure!(
            one.service > Some(0),
            "every request was answered, or none: {one}"
        );
    }
    let (shown, picture) = (table::of(&moves), picture::of(&moves));
    let title = peer.title();
    ensure!(shown.matches(title).count() == 2, "{shown}");
    ensure!(picture.matches(title).count() == 2, "{picture}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn moves_by_the_operator_are_measured() -> Result<()> {
    measured_once(Peer::Operator).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn moves_of_a_deployment_are_measured() -> Result<()> {
    measured_once(Peer::Recreate).await
}
