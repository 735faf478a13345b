//! A database behind `PgBouncer`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::pooler::{Mode, Pooler};
use e2e::world::pods_with_role;
use e2e::{Company, World, scenario};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;

/// What would have woken a person: warning events of the resource, and since when Stalled is as it is.
async fn alarms(world: &World) -> Result<(Vec<String>, Option<String>)> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let of_node = |event: &Event| {
        let regarding = event.regarding.as_ref();
        regarding.and_then(|object| object.kind.as_deref()) == Some("ChainlinkNode")
    };
    let found = events.list(&ListParams::default()).await?;
    let warnings = found
        .items
        .into_iter()
        .filter(|event| of_node(event) && event.type_.as_deref() == Some("Warning"));
    let told = warnings.map(|event| format!("{:?}: {:?}", event.reason, event.note));
    let status = world.status("node").await?;
    let mut conditions = status.conditions.iter();
    let stalled = conditions.find(|one| one.type_ == "Stalled");
    let since = stalled.map(|one| format!("{} since {:?}", one.status, one.last_transition_time));
    Ok((told.collect(), since))
}

fn all_wait(status: &ChainlinkNodeStatus) -> bool {
    status.active.is_some() && pods_with_role(status, "Standby").len() == 2
}

/// Nobody is woken where `PgBouncer` was restarted, and a handover goes through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_restart_of_a_pooler_is_outlived_without_an_alarm() -> Result<()> {
    scenario("pooler", Company::Welcome, async |world| {
        let pooler = Pooler::start(&world.cluster, Mode::Session)?;
        world
            .secret("pooled", &[("url", &pooler.url(world)?)])
            .await?;
        let mut node = world.node("node", "2.18.0", 3);
        node["spec"]["database"]["url"]["secretKeyRef"]["name"] = "pooled".into();
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 3).await?;
        let before = alarms(world).await?;

        world.timeline.act("PgBouncer is restarted");
        pooler.restart()?;
        let restarted = Instant::now();
        // Nodes connect again by themselves.
        world
            .until_status("node", "all wait again", all_wait)
            .await?;
        let redundant = restarted.elapsed();
        eprintln!("after a restart of PgBouncer: fully redundant after {redundant:.1?}");
        ensure!(redundant < Duration::from_secs(30), "it took {redundant:?}");

        let after = alarms(world).await?;
        ensure!(before == after, "{before:?} became {after:?}");

        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world.until_running("node", "2.19.0", 3).await?;
        Ok(())
    })
    .await
}

/// The Secret of a node that came up on the server itself comes to lead through a pooler in transaction mode: nobody works there, so the one
/// that works is not stopped for it, and the mode is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_pooler_in_transaction_mode_gets_no_active_stopped_and_is_named() -> Result<()> {
    scenario("pooler-transactions", Company::Alone, async |world| {
        let mut node = world.node("node", "2.18.0", 1);
        node["spec"]["database"]["verification"] = "Required".into();
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 1).await?;
        let audit = world.audit()?;

        let pooler = Pooler::start(&world.cluster, Mode::Transaction)?;
        let direct = world.database_url().to_owned();
        world
            .secret("database", &[("url", &pooler.url(world)?)])
            .await?;
        world
            .change(
                "node",
                serde_json::json!({"restartedAt": "through the pooler"}),
            )
            .await?;
        let status = world
            .until_status("node", "the mode is named", |status| {
                let conditions = status.conditions.iter().map(|one| one.message.as_str());
                let mut said = status.message.as_deref().into_iter().chain(conditions);
                said.any(|message| message.contains("pool_mode = session"))
            })
            .await?;
        ensure!(status.active == before.active, "another is active");
        let stops = audit.stops(&world.namespace)?;
        let active = before.active.unwrap_or_default();
        ensure!(!stops.contains(&active), "the operator stopped {stops:?}");

        world.secret("database", &[("url", &direct)]).await?;
        world
            .change("node", serde_json::json!({"restartedAt": null}))
            .await?;
        world.until_running("node", "2.18.0", 1).await?;
        ensure!(world.gaps().await?.is_empty(), "there was a gap");
        Ok(())
    })
    .await
}
