//! The database, asked: by the operator itself, right before it stops an active.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::world::condition;
use e2e::{Company, World, scenario};
use kube::api::DeleteParams;

/// Reason and message of `LockVerified`.
fn said(status: &ChainlinkNodeStatus) -> String {
    let verified = status
        .conditions
        .iter()
        .find(|one| one.type_ == "LockVerified");
    verified.map_or_else(String::new, |one| {
        format!("{}: {}", one.reason, one.message)
    })
}

async fn until_verified(world: &World, name: &str) -> Result<()> {
    let status = world
        .until_status(
            name,
            "the database says that the active holds the lock",
            |status| condition(status, "LockVerified") == Some(true),
        )
        .await?;
    let active = status.active.clone().context("nobody is active")?;
    ensure!(said(&status).contains(&active), "{}", said(&status));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_upgrade_that_the_database_has_to_agree_to_goes_through() -> Result<()> {
    scenario("database-agrees", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        // Without an answer there would be no handover.
        node["spec"]["database"]["verification"] = "Required".into();
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        until_verified(world, "node").await?;
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        until_verified(world, "node").await?;
        world.judged().await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_version_1_node_in_dual_mode_is_verified_by_both_locks() -> Result<()> {
    scenario("database-dual", Company::Welcome, async |world| {
        let mut node = world.node("node", "1.13.3", 2);
        node["spec"]["config"] =
            serde_json::json!({"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "ETH_CHAIN_ID", "value": "11155111"}]});
        node["spec"]["database"]["verification"] = "Required".into();
        world.apply(&node).await?;
        world.until_status_running("node", "1.13.3", 2).await?;
        until_verified(world, "node").await?;
        world
            .change("node", serde_json::json!({"restartedAt": "once"}))
            .await?;
        world
            .until_status("node", "the lock was handed over", |status| {
                status
                    .last_handover
                    .as_ref()
                    .is_some_and(|last| last.reason == "Configuration")
                    && condition(status, "Ready") == Some(true)
            })
            .await?;
        until_verified(world, "node").await?;
        world.judged().await?;
        Ok(())
    })
    .await
}

/// The Secret is changed, and in the other database somebody has the lease: the new pod waits there, in the same words
/// as on its own. Without the database's word the active would be stopped for it, and nobody would take over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_successor_that_waits_on_another_database_is_not_handed_over_to() -> Result<()> {
    scenario("database-other", Company::Welcome, async |world| {
        let other = world.other_database("other").await?;
        world.secret("other", &[("url", &other)]).await?;
        let mut holder = world.node("other", "2.18.0", 1);
        holder["spec"]["database"]["url"]["secretKeyRef"]["name"] = "other".into();
        world.apply(&holder).await?;
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.until_status_running("other", "2.18.0", 1).await?;
        let before = world.until_running("node", "2.18.0", 1).await?;
        until_verified(world, "node").await?;
        let active = before.active.context("nobody is active")?;
        let audit = world.audit()?;

        world.secret("database", &[("url", &other)]).await?;
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world
            .until_stalled("node", &["DatabaseContradicts"])
            .await?;
        let status = world.status("node").await?;
        ensure!(
            condition(&status, "LockVerified") == Some(false),
            "{}",
            said(&status)
        );
        ensure!(
            status.active.as_deref() == Some(&active),
            "it was to work on"
        );
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "nothing was to be stopped: {stops:?}");

        // Changed back: the successor still waits where it was started.
        world
            .secret("database", &[("url", world.database_url())])
            .await?;
        let status = world
            .until_status("node", "the successor is named", |status| {
                status
                    .message
                    .as_deref()
                    .is_some_and(|message| message.contains("has no session in the database"))
            })
            .await?;
        ensure!(
            status.active.as_deref() == Some(&active),
            "it was to work on"
        );
        let successor = status
            .pods
            .iter()
            .find(|pod| pod.name != active)
            .context("the successor is gone")?;
        world
            .pods()
            .delete(&successor.name, &DeleteParams::default())
            .await?;
        world.until_running("node", "2.19.0", 1).await?;
        until_verified(world, "node").await?;
        world.judged().await?;
        Ok(())
    })
    .await
}

/// From 2.15 on a node that can't write prints the waiting line, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_successor_that_waits_where_nothing_can_be_written_is_not_handed_over_to() -> Result<()> {
    scenario("database-read-only", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        let before = world.until_running("node", "2.18.0", 1).await?;
        let active = before.active.context("nobody is active")?;
        let audit = world.audit()?;
        // Sessions that are open go on writing, as those of the active do.
        world.read_only(true).await?;
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world
            .until_stalled("node", &["DatabaseContradicts"])
            .await?;
        let status = world.status("node").await?;
        ensure!(
            said(&status).contains("takes no writes"),
            "{}",
            said(&status)
        );
        ensure!(
            status.active.as_deref() == Some(&active),
            "it was to work on"
        );
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "nothing was to be stopped: {stops:?}");

        world.read_only(false).await?;
        let successor = status
            .pods
            .iter()
            .find(|pod| pod.name != active)
            .context("the successor is gone")?;
        world
            .pods()
            .delete(&successor.name, &DeleteParams::default())
            .await?;
        world.until_running("node", "2.19.0", 1).await?;
        world.judged().await?;
        Ok(())
    })
    .await
}
