//! Rollouts that wait for a person, for their time, or for the end of a pause.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::world::condition;
use e2e::{Company, World, install, scenario};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

fn says(status: &ChainlinkNodeStatus, reason: &str) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|one| one.type_ == "Ready" && one.reason == reason)
}

/// Waits until the change was checked: the reason is there, and only pods of the old version are.
async fn until_checked(world: &World, reason: &str) -> Result<ChainlinkNodeStatus> {
    world
        .until_status("node", &format!("it was checked, and {reason}"), |status| {
            says(status, reason)
                && status
                    .message
                    .as_ref()
                    .is_some_and(|message| message.contains("was seen to wait"))
                && status.pods.len() == 2
                && status
                    .pods
                    .iter()
                    .all(|pod| pod.version.as_deref() == Some("2.18.0"))
        })
        .await
}

/// Whether a person has been waited for since ten seconds: longer than the alert for it waits beside the scenarios.
fn has_waited(status: &ChainlinkNodeStatus) -> bool {
    let mut asked = status.conditions.iter();
    asked.any(|one| {
        let since = one.last_transition_time.0;
        one.type_ == "ApprovalRequired"
            && one.status == "True"
            && Timestamp::now().duration_since(since) > SignedDuration::from_secs(10)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_rollout_is_checked_and_waits_for_approval_and_for_its_window() -> Result<()> {
    scenario("approval", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        // The 29th of February.
        let window = json!({"schedule": "0 0 29 2 *", "duration": "1h"});
        node["spec"]["handover"] =
            json!({"settle": "1s", "approval": "Manual", "windows": [window]});
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let status = until_checked(world, "ApprovalRequired").await?;
        ensure!(
            condition(&status, "ApprovalRequired") == Some(true),
            "no condition"
        );
        let checked = status.operator.checked.context("nothing is checked")?;
        ensure!(world.gaps().await?.is_empty(), "there was a gap");
        // Lost pods are replaced from the revision that works.
        let active = status.active.context("nobody is active")?;
        world.force_delete(&active).await?;
        let status = world
            .until_status(
                "node",
                "the standby took over, and there is another",
                |status| {
                    status.active.as_ref().is_some_and(|now| *now != active)
                        && e2e::world::pods_with_role(status, "Standby").len() == 1
                },
            )
            .await?;
        ensure!(
            status.current_version.as_deref() == Some("2.18.0"),
            "it was upgraded"
        );
        let what = "it has waited for approval since the failover";
        world.until_status("node", what, has_waited).await?;
        world
            .annotate("node", "chainlink-operator.dev/approved", checked.as_str())
            .await?;
        let status = until_checked(world, "WaitingForWindow").await?;
        ensure!(
            status
                .message
                .as_ref()
                .is_some_and(|text| text.contains("-02-29T00:00:00Z")),
            "{:?}",
            status.message
        );
        world
            .change("node", json!({"handover": {"windows": null}}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_pause_holds_what_is_planned_and_not_what_is_lost() -> Result<()> {
    scenario("paused", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = world
            .until_running("node", "2.18.0", 2)
            .await?
            .active
            .context("nobody is active")?;
        world
            .change("node", json!({"paused": true, "version": "2.19.0"}))
            .await?;
        let status = world
            .until_status("node", "it is paused", |status| says(status, "Paused"))
            .await?;
        ensure!(condition(&status, "Paused") == Some(true), "no condition");
        world.force_delete(&active).await?;
        let status = world
            .until_status(
                "node",
                "the standby took over, and there is another",
                |status| {
                    status.active.as_ref().is_some_and(|now| *now != active)
                        && e2e::world::pods_with_role(status, "Standby").len() == 1
                },
            )
            .await?;
        ensure!(
            status
                .pods
                .iter()
                .all(|pod| pod.version.as_deref() == Some("2.18.0")),
            "{}",
            e2e::world::brief(&status)
        );
        world
            .until_service_leads_to("node", status.active.as_deref().unwrap_or_default())
            .await?;
        world.change("node", json!({"paused": null})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn no_more_resources_hand_over_at_a_time_than_the_whole_fleet_may() -> Result<()> {
    scenario("fleet", Company::Alone, async |world| {
        let image = install::image(&world.client).await?;
        let one_at_a_time = install::Changed::to(&world.cluster, &image, "maxHandovers=1").await?;
        let database = world.other_database("second").await?;
        world.secret("second", &[("url", &database)]).await?;
        let mut second = world.node("second", "2.18.0", 1);
        second["spec"]["database"]["url"]["secretKeyRef"]["name"] = "second".into();
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.apply(&second).await?;
        world.until_running("node", "2.18.0", 1).await?;
        world.until_status_running("second", "2.18.0", 1).await?;
        // A handover that takes its time: its lock moves until somebody serves.
        world.simulate("boot", "30s").await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        world
            .until_status("node", "its lock moves", |status| {
                status.phase.as_deref() == Some("Booting")
            })
            .await?;
        let before = world.active("second").await?;
        world.change("second", json!({"version": "2.19.0"})).await?;
        let waits = |status: &ChainlinkNodeStatus| says(status, "WaitingForTurn");
        world
            .until_status("second", "it waits for its turn", waits)
            .await?;
        ensure!(
            world.active("second").await? == before,
            "the lock of the second moved beside that of the first"
        );
        let first = world.status("node").await?;
        ensure!(
            first.phase.as_deref() == Some("Booting"),
            "it waited for no reason: {}",
            e2e::world::brief(&first)
        );
        world.until_running("node", "2.19.0", 1).await?;
        world.until_status_running("second", "2.19.0", 1).await?;
        one_at_a_time.back().await
    })
    .await
}
