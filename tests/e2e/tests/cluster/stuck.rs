//! Rollouts that can't go on: the old active works on, status says why, and the way back upgrades nothing.

use anyhow::{Result, ensure};
use e2e::{Company, World, scenario};
use serde_json::json;

/// Rolls to a version that gets stuck, and back. Returns the pods that the operator stopped.
async fn there_and_back(world: &World, version: &str, words: &[&str]) -> Result<Vec<String>> {
    let mut node = world.node("node", "2.18.0", 2);
    node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "10s"});
    world.apply(&node).await?;
    let before = world.until_running("node", "2.18.0", 2).await?;
    let audit = world.audit()?;

    world.change("node", json!({"version": version})).await?;
    world.until_stalled("node", words).await?;
    let stuck = world.status("node").await?;
    ensure!(stuck.active == before.active, "the active changed");
    ensure!(
        stuck.current_version.as_deref() == Some("2.18.0"),
        "{:?} works",
        stuck.current_version
    );
    let active = before.active.clone().unwrap_or_default();
    world.until_service_leads_to("node", &active).await?;

    world.change("node", json!({"version": "2.18.0"})).await?;
    let after = world.until_running("node", "2.18.0", 2).await?;
    ensure!(after.active == before.active, "the active changed");
    let stops = audit.stops(&world.namespace)?;
    ensure!(
        !stops.contains(&active),
        "the active was stopped: {stops:?}"
    );
    let record = world.judged().await?;
    ensure!(
        record.versions() == ["2.18.0"],
        "who worked: {:?}",
        record.versions()
    );
    Ok(stops)
}

/// The first pod of the version never waits, so that no old one may be touched.
async fn only_the_new_pod_is_removed(world: &World, version: &str, words: &[&str]) -> Result<()> {
    let stops = there_and_back(world, version, words).await?;
    ensure!(
        stops.len() == 1,
        "only the pod of {version} was to be removed: {stops:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_image_that_does_not_exist_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("no-image", Company::Welcome, async |world| {
        only_the_new_pod_is_removed(world, "2.200.0", &["ImagePull", "ErrImage"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_version_that_never_waits_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("never-waits", Company::Welcome, async |world| {
        world.simulate("fault:never-wait:2.19.0", "on").await?;
        only_the_new_pod_is_removed(world, "2.19.0", &["StandbyTimeout"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_version_that_crashes_at_start_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("crash-loop", Company::Welcome, async |world| {
        world.simulate("fault:crash-at-start:2.19.0", "on").await?;
        there_and_back(world, "2.19.0", &["crash-at-start"]).await?;
        Ok(())
    })
    .await
}
