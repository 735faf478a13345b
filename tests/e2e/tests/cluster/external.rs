//! The lock is held elsewhere: by a node that was started by hand, or by another resource.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::explain::explain;
use e2e::timeline::Timeline;
use e2e::world::{PATIENCE, condition, pods_with_role};
use e2e::{Company, World, scenario};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

/// All pods of the resource wait, the holder is outside, and that is healthy.
pub async fn until_external(world: &World, name: &str) -> Result<ChainlinkNodeStatus> {
    world
        .until_status(
            name,
            &format!("{name} waits for a holder outside"),
            |status| {
                status.holder.as_deref() == Some("external")
                    && pods_with_role(status, "Standby").len() == 2
                    && condition(status, "Ready") == Some(true)
                    && condition(status, "Stalled") != Some(true)
            },
        )
        .await
}

/// A pod like that of a resource, and nobody's: as if it had been started by hand.
pub async fn by_hand(world: &World, like: &str) -> Result<()> {
    let mut pod = world.pods().get(like).await?;
    pod.metadata = serde_json::from_value(json!({"name": "by-hand"}))?;
    pod.status = None;
    let spec = pod.spec.as_mut().context("a pod has a spec")?;
    spec.node_name = None;
    spec.readiness_gates = None;
    spec.affinity = None;
    world.pods().create(&PostParams::default(), &pod).await?;
    e2e::until("the node by hand runs", PATIENCE, async || {
        let pod: Pod = world.pods().get("by-hand").await?;
        let phase = pod.status.and_then(|status| status.phase);
        ensure!(phase.as_deref() == Some("Running"), "{phase:?}");
        Ok(())
    })
    .await
}

pub async fn until_worked_by(world: &World, pod: &str) -> Result<()> {
    e2e::until(&format!("{pod} works"), PATIENCE, async || {
        let record = world.judged().await?;
        let last = record.duties.last().context("nobody had the lock yet")?;
        ensure!(
            last.pod == pod && last.listening.is_some(),
            "{} does",
            last.pod
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_node_that_was_started_by_hand_is_taken_over_with_one_handover() -> Result<()> {
    scenario("by-hand", Company::Welcome, async |world| {
        world.apply(&world.node("template", "2.18.0", 1)).await?;
        let status = world.until_running("template", "2.18.0", 1).await?;
        by_hand(world, status.active.as_deref().unwrap_or_default()).await?;
        world.change("template", json!({"replicas": 0})).await?;
        until_worked_by(world, "by-hand").await?;
        world.delete("template").await?;

        world.apply(&world.node("node", "2.18.0", 2)).await?;
        until_external(world, "node").await?;
        let gaps = world.gaps().await?.len();
        world
            .timeline
            .act("stopped the node that was started by hand");
        world
            .pods()
            .delete("by-hand", &DeleteParams::default())
            .await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        ensure!(
            world.gaps().await?.len() == gaps + 1,
            "more than one handover"
        );
        let active = status.active.unwrap_or_default();
        world.until_service_leads_to("node", &active).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_resource_is_renamed_with_one_handover() -> Result<()> {
    scenario("renamed", Company::Welcome, async |world| {
        world.apply(&world.node("old", "2.18.0", 2)).await?;
        world.until_running("old", "2.18.0", 2).await?;
        world.apply(&world.node("new", "2.18.0", 2)).await?;
        until_external(world, "new").await?;
        ensure!(world.gaps().await?.is_empty(), "the lock moved too soon");
        // As long as both have pods, it might be a mistake: said in both.
        let shared = |status: &ChainlinkNodeStatus| condition(status, "DatabaseShared");
        for name in ["old", "new"] {
            let what = format!("{name} says that the database is shared");
            world
                .until_status(name, &what, |status| shared(status) == Some(true))
                .await?;
        }
        world.change("old", json!({"replicas": 0})).await?;
        let status = world.until_running("new", "2.18.0", 2).await?;
        ensure!(world.gaps().await?.len() == 1, "more than one handover");
        let active = status.active.unwrap_or_default();
        world.until_service_leads_to("new", &active).await?;
        world
            .until_status("old", "all pods of the old one are gone", |status| {
                status.pods.is_empty() && shared(status).is_none()
            })
            .await?;
        world
            .until_status("new", "the database is its own", |status| {
                shared(status).is_none()
            })
            .await?;
        world.delete("old").await
    })
    .await
}

/// As docs/migration.md says it.
async fn moved(world: &World, there: &World) -> Result<()> {
    there
        .secret("database", &[("url", world.database_url())])
        .await?;
    world.apply(&world.node("node", "2.18.0", 2)).await?;
    world.until_running("node", "2.18.0", 2).await?;
    there.apply(&there.node("node", "2.18.0", 2)).await?;
    until_external(there, "node").await?;
    ensure!(world.gaps().await?.is_empty(), "the lock moved too soon");
    for (one, other) in [(world, there), (there, world)] {
        let name = format!("{}/node", other.namespace);
        let what = format!("it is told that the database is that of {name}");
        let told = |status: &ChainlinkNodeStatus| {
            let mut conditions = status.conditions.iter();
            conditions.any(|one| {
                one.type_ == "DatabaseShared" && one.status == "True" && one.message.contains(&name)
            })
        };
        one.until_status("node", &what, told).await?;
    }
    world.change("node", json!({"replicas": 0})).await?;
    let status = there.until_status_running("node", "2.18.0", 2).await?;
    ensure!(world.gaps().await?.len() == 1, "more than one handover");
    let active = status.active.unwrap_or_default();
    there.until_service_leads_to("node", &active).await?;
    world
        .until_status("node", "all pods of the old one are gone", |status| {
            status.pods.is_empty()
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_resource_is_moved_to_another_namespace_with_one_handover() -> Result<()> {
    scenario("moved", Company::Welcome, async |world| {
        let namespace = format!("{}-there", world.namespace);
        let there = World::new(&world.cluster, &namespace, Timeline::new(false)).await?;
        let there = there.with_secrets().await?;
        let outcome = moved(world, &there).await;
        if let Err(error) = &outcome {
            eprintln!("{}", explain(&there, error));
        }
        there.remove().await?;
        outcome
    })
    .await
}
