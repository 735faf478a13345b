//! Rule S7 outside of a resource: other resources, and nodes that no resource has made, on the same database.

use anyhow::{Context, Result, ensure};
use e2e::world::{PATIENCE, condition, pods_with_role};
use e2e::{Company, World, scenario, until};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::external::{by_hand, until_external, until_worked_by};

/// A node of version 1 that takes its database by this lock.
fn version_one(world: &World, name: &str, mode: &str, replicas: u32) -> Value {
    let mut node = world.node(name, "1.13.3", replicas);
    node["spec"]["config"] = json!({"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "ETH_CHAIN_ID", "value": "11155111"}]});
    node["spec"]["database"]["lock"] = json!({"mode": mode});
    node
}

/// Waits until the resource is refused for the locks of others, and has no pod.
async fn until_refused(world: &World, name: &str) -> Result<String> {
    let said = world.until_stalled(name, &["LockDiffers"]).await?;
    let status = world.status(name).await?;
    ensure!(status.pods.is_empty(), "{name} has pods: {:?}", status.pods);
    Ok(said)
}

/// The way without downtime is the one that the message names: `dual` in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn s7_of_two_resources_with_locks_that_do_not_see_each_other_one_waits_for_the_way_out()
-> Result<()> {
    scenario("neighbours", Company::Welcome, async |world| {
        world
            .apply(&version_one(world, "old", "advisorylock", 2))
            .await?;
        let before = world.until_running("old", "1.13.3", 2).await?;
        world.apply(&world.node("new", "2.23.0", 2)).await?;
        let said = until_refused(world, "new").await?;
        for word in ["of the resource old", "advisorylock", "dual"] {
            ensure!(said.contains(word), "{word}: {said}");
        }
        let status = world.status("old").await?;
        ensure!(status.active == before.active, "the old one works on");

        world
            .change("old", json!({"database": {"lock": {"mode": "dual"}}}))
            .await?;
        until_external(world, "new").await?;
        world.until_status_running("old", "1.13.3", 2).await?;
        world.change("old", json!({"replicas": 0})).await?;
        world.until_status_running("new", "2.23.0", 2).await?;
        let moves = world.gaps().await?.len();
        ensure!(moves == 2, "the lock moved {moves} times");
        Ok(())
    })
    .await
}

/// Neither has a pod yet: the older one goes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn s7_of_two_resources_that_are_applied_at_once_the_older_one_goes_first() -> Result<()> {
    scenario("at-once", Company::Welcome, async |world| {
        let first = version_one(world, "first", "advisorylock", 1);
        let second = world.node("second", "2.23.0", 1);
        tokio::try_join!(world.apply(&first), world.apply(&second))?;
        until(
            "one of the two works, and the other is refused",
            PATIENCE,
            async || {
                let mut works = 0;
                let mut refused = 0;
                for name in ["first", "second"] {
                    let status = world.status(name).await?;
                    works += pods_with_role(&status, "Active").len();
                    let mut conditions = status.conditions.iter();
                    let stalled = conditions.any(|one| {
                        one.type_ == "Stalled"
                            && one.status == "True"
                            && one.reason == "LockDiffers"
                    });
                    refused += usize::from(stalled && status.pods.is_empty());
                }
                ensure!(
                    (works, refused) == (1, 1),
                    "{works} work, {refused} refused"
                );
                Ok(())
            },
        )
        .await
    })
    .await
}

/// No pod of the operator's, and no word of it but the database's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn s7_beside_a_node_that_was_started_by_hand_the_database_denies_a_lock_that_it_does_not_see()
-> Result<()> {
    scenario("by-hand-differs", Company::Welcome, async |world| {
        world
            .apply(&version_one(world, "template", "advisorylock", 1))
            .await?;
        let status = world.until_running("template", "1.13.3", 1).await?;
        by_hand(world, status.active.as_deref().unwrap_or_default()).await?;
        world.change("template", json!({"replicas": 0})).await?;
        until_worked_by(world, "by-hand").await?;
        world.delete("template").await?;

        world.apply(&world.node("node", "2.23.0", 2)).await?;
        let said = until_refused(world, "node").await?;
        ensure!(said.contains("in the database a client at"), "{said}");
        let gone = DeleteParams::default();
        world.pods().delete("by-hand", &gone).await?;
        world.until_running("node", "2.23.0", 2).await?;
        Ok(())
    })
    .await
}

/// Both said LockVerified=True.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn two_nodes_at_work_are_told_by_both_resources() -> Result<()> {
    scenario("two-holders", Company::Welcome, async |world| {
        let other = world.other_database("other").await?;
        world.secret("other", &[("url", &other)]).await?;
        let mut blind = version_one(world, "blind", "advisorylock", 1);
        blind["spec"]["database"]["url"]["secretKeyRef"]["name"] = "other".into();
        world.apply(&blind).await?;
        world.apply(&version_one(world, "node", "lease", 1)).await?;
        let status = world.until_status_running("blind", "1.13.3", 1).await?;
        world.until_running("node", "1.13.3", 1).await?;
        // From here on two work, by our own doing.
        world.outlived().await?;
        world
            .secret("other", &[("url", world.database_url())])
            .await?;
        let pod = status.active.context("nobody is active")?;
        world.kill_process(&pod).await?;
        for name in ["blind", "node"] {
            let said = world.until_stalled(name, &["TwoHolders"]).await?;
            let status = world.status(name).await?;
            ensure!(condition(&status, "LockVerified") == Some(false), "{said}");
            ensure!(condition(&status, "Ready") == Some(false), "{said}");
            let events: Api<Event> = Api::namespaced(world.nodes().into_client(), &world.namespace);
            until("a warning event tells it", PATIENCE, async || {
                let all = events.list(&ListParams::default()).await?.items;
                let told = all.iter().any(|event| {
                    let about = event
                        .regarding
                        .as_ref()
                        .and_then(|about| about.name.as_deref());
                    about == Some(name)
                        && event.reason.as_deref() == Some("TwoHolders")
                        && event.type_.as_deref() == Some("Warning")
                });
                ensure!(told, "{name} has no such event");
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
    .await
}
