//! Rollouts that can't go on: the old active works on, status says why, and the way back upgrades nothing.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::RequestState;
use e2e::machine::Cordoned;
use e2e::world::condition;
use e2e::{Company, World, scenario};
use serde_json::{Value, json};

/// Rolls to something that gets stuck, and back. Nothing but the one new pod may be touched.
async fn there_and_back(world: &World, there: Value, words: &[&str], back: Value) -> Result<()> {
    let mut node = world.node("node", "2.18.0", 2);
    node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "10s"});
    world.apply(&node).await?;
    let before = world.until_running("node", "2.18.0", 2).await?;
    let audit = world.audit()?;

    world.change("node", there).await?;
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

    world.change("node", back).await?;
    let after = world.until_running("node", "2.18.0", 2).await?;
    ensure!(after.active == before.active, "the active changed");
    let stops = audit.stops(&world.namespace)?;
    let old: Vec<&str> = before.pods.iter().map(|pod| pod.name.as_str()).collect();
    let new = |stop: &String| !old.contains(&stop.as_str());
    ensure!(
        stops.len() <= 1 && stops.iter().all(new),
        "only the new pod was to be removed, if there was one, and none of {old:?}: {stops:?}"
    );
    let record = world.judged().await?;
    ensure!(
        record.versions() == ["2.18.0"],
        "who worked: {:?}",
        record.versions()
    );
    Ok(())
}

/// A new version with a configuration under which the simulated node misbehaves from its start.
async fn with_fault(world: &World, fault: &str, words: &[&str]) -> Result<()> {
    let there = json!({
        "version": "2.19.0",
        "config": {"env": [{"name": "SIMULATOR_FAULTS", "value": fault}]},
    });
    let back = json!({"version": "2.18.0", "config": {"env": null}});
    there_and_back(world, there, words, back).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_image_that_does_not_exist_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("no-image", Company::Welcome, async |world| {
        let there = json!({"version": "2.200.0"});
        let back = json!({"version": "2.18.0"});
        there_and_back(world, there, &["ImagePull", "ErrImage"], back).await
    })
    .await
}

/// As where a tag was moved: the nodes wait as they should, and name another version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_tag_that_holds_another_version_costs_no_standby_and_no_active() -> Result<()> {
    scenario("moved-tag", Company::Welcome, async |world| {
        let named = json!([{"name": "SIMULATOR_VERSION", "value": "2.21.0"}]);
        let there = json!({"version": "2.20.0", "config": {"env": named}});
        let back = json!({"version": "2.18.0", "config": {"env": null}});
        let words = ["says that it is version 2.21.0", "its pod was removed"];
        there_and_back(world, there, &words, back).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_configuration_that_the_node_itself_refuses_makes_no_pod_and_its_words_are_told()
-> Result<()> {
    scenario("invalid", Company::Welcome, async |world| {
        let file =
            |text: &str| json!({"config": {"files": [{"name": "node.toml", "inline": text}]}});
        let there = file("NoSuchKey = 1\n[Log]\nLevel = 'info'\n");
        let back = file("[Log]\nLevel = 'info'\n");
        let audit = world.audit()?;
        there_and_back(world, there, &["NoSuchKey"], back).await?;
        let made = audit.writes(&world.namespace)?;
        let made = made.iter().filter(|write| write.makes_pod()).count();
        ensure!(
            made == 2,
            "no node but the first two was to be made: {made}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_configuration_that_never_waits_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("never-waits", Company::Welcome, async |world| {
        with_fault(world, "never-wait", &["StandbyTimeout"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_node_that_crashes_at_its_start_stalls_and_the_old_active_works_on() -> Result<()> {
    scenario("crash-loop", Company::Welcome, async |world| {
        with_fault(world, "crash-at-start", &["crash-at-start"]).await
    })
    .await
}

/// Its successor waits and may not be handed over to: what else the active needs does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_switchover_and_a_drain_are_done_behind_a_rollout_that_needs_a_person() -> Result<()> {
    scenario("stuck-drain", Company::Alone, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let first = status.active.context("nobody is active")?;
        let named = json!([{"name": "SIMULATOR_VERSION", "value": "2.21.0"}]);
        let there = json!({"version": "2.20.0", "config": {"env": named}});
        world.change("node", there).await?;
        world
            .until_stalled("node", &["says that it is version 2.21.0"])
            .await?;

        let asked = "chainlink-operator.dev/switchover";
        world.annotate("node", asked, "behind").await?;
        let status = world
            .until_status("node", "the switchover is over", |status| {
                let asked = status.switchover.as_ref();
                asked.is_some_and(|asked| asked.ended.is_some())
            })
            .await?;
        let state = status.switchover.map(|asked| asked.state);
        ensure!(state == Some(RequestState::Done), "{state:?}");
        let second = world.active("node").await?;
        ensure!(second != first, "{first} works still");

        let status = world
            .until_status("node", "a standby waits again", |status| {
                condition(status, "Redundant") == Some(true)
            })
            .await?;
        let mut pods = status.pods.iter();
        let machine = pods
            .find(|pod| pod.name == second)
            .and_then(|pod| pod.machine.clone())
            .context("it runs nowhere")?;
        let cordoned = Cordoned::cordon(&world.cluster, &[&machine])?;
        world
            .until_status("node", "the machine is left", |status| {
                let mut pods = status.pods.iter();
                let last = status.last_handover.as_ref();
                status.active.as_ref().is_some_and(|now| *now != second)
                    && last.is_some_and(|last| last.reason == "Maintenance")
                    && condition(status, "Redundant") == Some(true)
                    && pods.all(|pod| pod.machine.as_deref() != Some(&machine))
            })
            .await?;
        drop(cordoned);
        let record = world.judged().await?;
        let mut versions = record.versions().into_iter();
        ensure!(versions.all(|one| one == "2.18.0"), "an upgrade unasked");
        ensure!(record.gaps().len() == 2, "{} gaps", record.gaps().len());
        Ok(())
    })
    .await
}
