//! The API server refuses or fails what the operator asks for.

use anyhow::{Context, Result, ensure};
use e2e::policy::{Refusal, Writes, of_the_operator};
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, scenario, until};
use serde_json::json;

/// All that is only written down: the status, notes in pods, events.
const NOTES: Writes<'static> = &[
    ("chainlink-operator.dev", "chainlinknodes/status", "UPDATE"),
    ("", "pods/status", "UPDATE"),
    ("", "events", "CREATE"),
    ("events.k8s.io", "events", "CREATE"),
];

/// Kills the active of now for good. Returns who works then, by the record of duty, once the Service leads there.
async fn fail_over(world: &World, active: &str) -> Result<String> {
    let before = world.judged().await?.gaps().len();
    world.kill_process(active).await?;
    world.force_delete(active).await?;
    let successor = until("somebody took over", PATIENCE, async || {
        let record = world.judged().await?;
        ensure!(record.gaps().len() > before, "nobody yet");
        let pods = record.pods();
        Ok((*pods.last().context("nobody")?).to_owned())
    })
    .await?;
    world.until_service_leads_to("node", &successor).await?;
    Ok(successor)
}

/// Waits until status knows who works, all is as it should be, and no gap is told that nobody saw.
async fn until_told(world: &World, active: &str) -> Result<()> {
    world
        .until_status("node", "status names who works", |status| {
            status.active.as_deref() == Some(active)
        })
        .await?;
    let status = world.until_running("node", "2.18.0", 2).await?;
    let gap = status.last_handover.and_then(|last| last.gap);
    ensure!(gap.is_none(), "the end was not seen: {gap:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_service_follows_a_failover_where_nothing_can_be_written_down() -> Result<()> {
    scenario("no-notes", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let active = status.active.context("nobody is active")?;

        let refusal = Refusal::by_policy(world, NOTES, &of_the_operator()).await?;
        let second = fail_over(world, &active).await?;
        let told = world.status("node").await?.active;
        ensure!(told.as_ref() == Some(&active), "it was written: {told:?}");
        refusal.lift(world).await?;
        until_told(world, &second).await?;

        let away = Refusal::by_dead_webhook(world, NOTES, &of_the_operator()).await?;
        let third = fail_over(world, &second).await?;
        away.lift(world).await?;
        until_told(world, &third).await?;
        Ok(())
    })
    .await
}

/// As where only images of an approved list may run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_policy_that_refuses_the_new_image_keeps_the_working_one_from_nothing() -> Result<()> {
    scenario("image-policy", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "10s"});
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let active = before.active.context("nobody is active")?;

        let unapproved = "!object.metadata.name.contains('-validate-') \
             && object.spec.containers.exists(one, one.image.contains(':2.19.0'))";
        let pods: Writes<'_> = &[("", "pods", "CREATE")];
        let policy = Refusal::by_policy(world, pods, unapproved).await?;
        let audit = world.audit()?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_stalled("node", &["PodRefused"]).await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(
            stops.is_empty(),
            "stopped for what can't be made: {stops:?}"
        );

        let successor = fail_over(world, &active).await?;
        // While the successor boots, no pod of the new revision is due, and nothing is told of it.
        let what = "the working version is made again, and the refusal is told on";
        world
            .until_status("node", what, |status| {
                let of_before = |version: Option<&str>| version == Some("2.18.0");
                let mut pods = status.pods.iter();
                status.pods.len() == 2
                    && pods.all(|pod| of_before(pod.version.as_deref()))
                    && status.active.as_ref() == Some(&successor)
                    && condition(status, "Redundant") == Some(true)
                    && condition(status, "Stalled") == Some(true)
            })
            .await?;

        world.change("node", json!({"version": "2.18.0"})).await?;
        world.until_running("node", "2.18.0", 2).await?;
        policy.lift(world).await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}
