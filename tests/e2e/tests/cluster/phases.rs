//! A resource is led through its phases, and what Helm and Flux make of each is judged by their own library.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::walk::Walk;
use e2e::world::pods_with_role;
use e2e::{Company, World, scenario};
use serde_json::json;

fn is_in(phase: &str) -> impl Fn(&ChainlinkNodeStatus) -> bool {
    move |status| status.phase.as_deref() == Some(phase)
}

async fn until_in(world: &World, phase: &str) -> Result<ChainlinkNodeStatus> {
    let what = format!("its phase is {phase}");
    world.until_status("node", &what, is_in(phase)).await
}

/// The status knows that a pod is gone.
async fn until_gone(world: &World, pod: &str) -> Result<()> {
    let gone = |status: &ChainlinkNodeStatus| status.pods.iter().all(|one| one.name != pod);
    let what = format!("{pod} is gone");
    world.until_status("node", &what, gone).await.map(drop)
}

/// Approval, a window, and a pause, each with a change that waits.
async fn changes_wait(world: &World) -> Result<()> {
    // The 29th of February.
    let never = json!([{"schedule": "0 0 29 2 *", "duration": "1h"}]);
    let hold = json!({"handover": {"approval": "Manual"}, "version": "2.19.0"});
    world.change("node", hold).await?;
    until_in(world, "AwaitingApproval").await?;
    world
        .change("node", json!({"handover": {"windows": never}}))
        .await?;
    // The version that the change names, as it would stand in the same pull request.
    world
        .annotate("node", "chainlink-operator.dev/approved", "2.19.0")
        .await?;
    until_in(world, "AwaitingWindow").await?;
    world.change("node", json!({"paused": true})).await?;
    let status = until_in(world, "Paused").await?;
    ensure!(
        status.current_version.as_deref() == Some("2.18.0"),
        "it was upgraded"
    );
    let go = json!({"paused": false, "handover": {"windows": null, "approval": null}});
    world.change("node", go).await?;
    world.until_running("node", "2.19.0", 2).await.map(drop)
}

/// A crash of the active, the loss of a standby, and a move to another pod.
async fn pods_end_and_the_lock_moves(world: &World) -> Result<()> {
    let active = world.active("node").await?;
    world.force_delete(&active).await?;
    until_gone(world, &active).await?;
    let status = world.until_running("node", "2.19.0", 2).await?;
    let standby = pods_with_role(&status, "Standby");
    let standby = standby.first().context("nobody waits")?;
    world.force_delete(standby).await?;
    until_gone(world, standby).await?;
    world.until_running("node", "2.19.0", 2).await?;
    world.change("node", json!({"replicas": 1})).await?;
    world.until_running("node", "2.19.0", 1).await?;
    world
        .annotate("node", "chainlink-operator.dev/switchover", "once")
        .await?;
    let moved = |status: &ChainlinkNodeStatus| {
        let asked = status.switchover.as_ref();
        asked.is_some_and(|asked| asked.ended.is_some())
    };
    world
        .until_status("node", "the lock was moved", moved)
        .await?;
    world.until_running("node", "2.19.0", 1).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn helm_and_flux_understand_every_phase() -> Result<()> {
    Box::pin(scenario("phases", Company::Welcome, async |world| {
        let walk = Walk::begin(world)?;
        // Long enough to be seen.
        world.simulate("boot", "5s").await?;
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        changes_wait(world).await?;
        pods_end_and_the_lock_moves(world).await?;
        walk.bad_spec(true);
        let dual = json!({"database": {"lock": {"mode": "dual"}}});
        world.change("node", dual).await?;
        until_in(world, "Stalled").await?;
        world
            .change("node", json!({"database": {"lock": null}}))
            .await?;
        world.until_running("node", "2.19.0", 1).await?;
        walk.bad_spec(false);
        world.change("node", json!({"replicas": 0})).await?;
        until_in(world, "Hibernated").await?;
        world.change("node", json!({"replicas": 2})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        walk.judged()
    }))
    .await
}
