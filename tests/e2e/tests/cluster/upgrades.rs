//! Upgrades by handover.

use anyhow::{Result, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use kube::api::ListParams;

/// Upgrades once, and shows that the standbys were replaced before the active was stopped.
async fn upgrade(world: &World, name: &str, version: &str, replicas: usize) -> Result<()> {
    let active = world.active(name).await?;
    let audit = world.audit()?;
    world
        .change(name, serde_json::json!({"version": version}))
        .await?;
    let status = world.until_running(name, version, replicas).await?;
    let stops = audit.stops(&world.namespace)?;
    ensure!(
        stops.len() == replicas,
        "{replicas} pods were to be stopped, not {stops:?}"
    );
    ensure!(
        stops.last() == Some(&active),
        "the active {active} was to be stopped last: {stops:?}"
    );
    let successor = status.active.unwrap_or_default();
    world.until_service_leads_to(name, &successor).await
}

async fn three_upgrades(world: &World, replicas: usize) -> Result<()> {
    let wanted = u32::try_from(replicas)?;
    world.apply(&world.node("node", "2.18.0", wanted)).await?;
    world.until_running("node", "2.18.0", replicas).await?;
    for version in ["2.19.0", "2.20.0", "2.21.0"] {
        upgrade(world, "node", version, replicas).await?;
    }
    let record = world.judged().await?;
    ensure!(
        record.versions() == ["2.18.0", "2.19.0", "2.20.0", "2.21.0"],
        "who worked: {:?}",
        record.versions()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn three_upgrades_in_a_row_with_two_replicas() -> Result<()> {
    scenario("upgrades-2", Company::Welcome, async |world| {
        three_upgrades(world, 2).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn three_upgrades_in_a_row_with_one_replica() -> Result<()> {
    scenario("upgrades-1", Company::Welcome, async |world| {
        three_upgrades(world, 1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn three_upgrades_in_a_row_with_three_replicas() -> Result<()> {
    scenario("upgrades-3", Company::Welcome, async |world| {
        three_upgrades(world, 3).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_resource_named_chainlink_works_like_any_other() -> Result<()> {
    scenario("named-chainlink", Company::Welcome, async |world| {
        world.apply(&world.node("chainlink", "2.18.0", 2)).await?;
        world.until_running("chainlink", "2.18.0", 2).await?;
        upgrade(world, "chainlink", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn nodes_that_log_in_json_are_upgraded() -> Result<()> {
    scenario("json-logs", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["config"]["files"][0]["inline"] = "[Log]\nJSONConsole = true\n".into();
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        upgrade(world, "node", "2.23.0", 2).await?;
        let warned = world.cluster.kubectl(&[
            "get",
            "events",
            "--namespace",
            &world.namespace,
            "--field-selector",
            "reason=NoBackup",
            "--output",
            "jsonpath={.items[*].message}",
        ])?;
        ensure!(warned.starts_with("2.23.0 will migrate"), "{warned}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn without_room_for_a_surge_the_image_is_there_before_a_standby_is_replaced() -> Result<()> {
    scenario("no-surge", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"] = serde_json::json!({"settle": "1s", "surge": 0});
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let audit = world.audit()?;
        let nodes_stopped = || audit.stops(&world.namespace);

        world
            .change("node", serde_json::json!({"version": "2.200.0"}))
            .await?;
        world
            .until_stalled("node", &["ImagePull", "ErrImage"])
            .await?;
        let stopped = nodes_stopped()?;
        ensure!(stopped.is_empty(), "nothing was to be stopped: {stopped:?}");

        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        let stopped = nodes_stopped()?;
        ensure!(
            stopped.len() == 2 && stopped.last() == before.active.as_ref(),
            "the standby was to be replaced, then the active: {stopped:?}"
        );
        until("only the nodes are left", PATIENCE, async || {
            let pods = world.pods().list(&ListParams::default()).await?.items;
            ensure!(pods.len() == 2, "{} pods are left", pods.len());
            Ok(())
        })
        .await?;
        Ok(())
    })
    .await
}

/// From 2.30 on the node makes the upgrade backup and looks at versions in another order, and keeps its lease where a
/// boot fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_change_of_the_boot_order_is_crossed_with_a_boot_that_takes_its_time() -> Result<()> {
    scenario("boot-order", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.29.0", 2)).await?;
        world.until_running("node", "2.29.0", 2).await?;
        world.simulate("boot", "8s").await?;
        upgrade(world, "node", "2.30.0", 2).await?;
        world
            .change("node", serde_json::json!({"restartedAt": "once more"}))
            .await?;
        until("the restart is over", PATIENCE, async || {
            let gaps = world.gaps().await?.len();
            ensure!(gaps == 2, "{gaps} gaps");
            Ok(())
        })
        .await?;
        world.until_running("node", "2.30.0", 2).await?;
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.29.0", "2.30.0", "2.30.0"],
            "who worked: {:?}",
            record.versions()
        );
        Ok(())
    })
    .await
}

/// It is killed when its grace period is over, and the lease that it did not give back has to expire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_active_that_ignores_its_stop_is_asked_once_and_outlived() -> Result<()> {
    scenario("ignores-stop", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let active = before.active.unwrap_or_default();
        world
            .simulate(&format!("fault:ignore-sigterm:{active}"), "on")
            .await?;
        let audit = world.audit()?;
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(
            stops.iter().filter(|pod| **pod == active).count() == 1 && stops.len() == 2,
            "each old pod was to be stopped once: {stops:?}"
        );
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.18.0", "2.19.0"],
            "who worked: {:?}",
            record.versions()
        );
        let old = record.duties.first().filter(|duty| duty.pod == active);
        ensure!(
            old.is_some_and(|duty| duty.released.is_none()),
            "{active} gave the lock back: the fault was not there"
        );
        Ok(())
    })
    .await
}
