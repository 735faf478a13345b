//! Nodes of version 1, configured by environment, with their own locks.

use anyhow::{Result, ensure};
use e2e::world::condition;
use e2e::{Company, World, scenario};
use serde_json::{Value, json};

fn node(world: &World, version: &str, mode: &str) -> Value {
    let mut node = world.node("node", version, 2);
    node["spec"]["config"] = json!({"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "ETH_CHAIN_ID", "value": "11155111"}]});
    node["spec"]["database"]["lock"] = json!({"mode": mode});
    node
}

async fn handed_over(world: &World, mode: &str) -> Result<()> {
    world.apply(&node(world, "1.11.0", mode)).await?;
    world.until_running("node", "1.11.0", 2).await?;
    world.change("node", json!({"version": "1.13.3"})).await?;
    world.until_running("node", "1.13.3", 2).await?;
    world
        .change("node", json!({"restartedAt": "today"}))
        .await?;
    e2e::until("the restart is over", e2e::world::PATIENCE, async || {
        ensure!(world.gaps().await?.len() == 2, "it is not");
        Ok(())
    })
    .await?;
    let active = world
        .until_running("node", "1.13.3", 2)
        .await?
        .active
        .unwrap_or_default();
    world.until_service_leads_to("node", &active).await?;
    let record = world.judged().await?;
    ensure!(
        record.versions() == ["1.11.0", "1.13.3", "1.13.3"],
        "who worked: {:?}",
        record.versions()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn version_one_with_an_advisory_lock_is_handed_over() -> Result<()> {
    scenario("advisory", Company::Welcome, async |world| {
        handed_over(world, "advisorylock").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn version_one_with_both_locks_is_handed_over() -> Result<()> {
    scenario("dual", Company::Welcome, async |world| {
        handed_over(world, "dual").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_version_with_another_lock_is_refused_while_pods_run() -> Result<()> {
    scenario("lock-differs", Company::Welcome, async |world| {
        world.apply(&node(world, "1.13.3", "advisorylock")).await?;
        let before = world.until_running("node", "1.13.3", 2).await?;
        let audit = world.audit()?;
        world
            .change("node", json!({"database": {"lock": {"mode": "lease"}}}))
            .await?;
        let said = world.until_stalled("node", &["LockDiffers"]).await?;
        ensure!(
            said.contains("replicas: 0") && said.contains("dual first"),
            "{said}"
        );
        ensure!(
            world.active("node").await? == before.active.unwrap_or_default(),
            "the active changed"
        );
        ensure!(
            audit.stops(&world.namespace)?.is_empty(),
            "something was stopped"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_frozen_active_with_an_advisory_lock_is_replaced_where_that_is_asked_for() -> Result<()> {
    scenario("frozen", Company::Welcome, async |world| {
        world.apply(&node(world, "1.13.3", "advisorylock")).await?;
        let before = world.until_running("node", "1.13.3", 2).await?;
        let active = before.active.unwrap_or_default();
        // That a port does not answer any more is known of one that has answered.
        world
            .until_status("node", "the active is seen to serve", |status| {
                condition(status, "Available") == Some(true)
            })
            .await?;
        world.freeze(&active)?;
        let status = world
            .until_status("node", "the active is said to be unresponsive", |status| {
                let mut conditions = status.conditions.iter();
                conditions.any(|one| one.type_ == "Available" && one.reason == "ActiveUnresponsive")
            })
            .await?;
        let said = status.message.unwrap_or_default();
        let available = status
            .conditions
            .iter()
            .find(|one| one.type_ == "Available");
        ensure!(
            available.is_some_and(|one| one.message.contains("no takeover can come before")),
            "{said}"
        );
        ensure!(world.gaps().await?.is_empty(), "somebody took over");
        world
            .change("node", json!({"failover": {"unresponsiveAfter": "10s"}}))
            .await?;
        world
            .until_status("node", "the standby is active", |status| {
                status.active.as_ref().is_some_and(|now| *now != active)
            })
            .await?;
        let status = world.until_running("node", "1.13.3", 2).await?;
        let reason = status.last_handover.map(|last| last.reason);
        ensure!(reason.as_deref() == Some("Unresponsive"), "{reason:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn from_an_advisory_lock_to_a_lease_by_way_of_both() -> Result<()> {
    scenario("lock-modes", Company::Welcome, async |world| {
        world.apply(&node(world, "1.13.3", "advisorylock")).await?;
        world.until_running("node", "1.13.3", 2).await?;
        for (count, mode) in [(1, "dual"), (2, "lease")] {
            world
                .change("node", json!({"database": {"lock": {"mode": mode}}}))
                .await?;
            e2e::until(
                &format!("the lock is moved to {mode}"),
                e2e::world::PATIENCE,
                async || {
                    let gaps = world.gaps().await?.len();
                    ensure!(gaps == count, "{gaps} handovers");
                    Ok(())
                },
            )
            .await?;
            world.until_running("node", "1.13.3", 2).await?;
        }
        // And from there to version 2, which knows no other lock.
        let files = json!([{"name": "node.toml", "inline": "[Log]\nLevel = 'info'\n"}]);
        world
            .change(
                "node",
                json!({
                    "version": "2.18.0",
                    "config": {"env": null, "files": files},
                    "database": {"lock": null},
                }),
            )
            .await?;
        world.until_running("node", "2.18.0", 2).await?;
        ensure!(world.gaps().await?.len() == 3, "one handover each");
        Ok(())
    })
    .await
}
