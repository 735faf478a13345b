//! The database, asked: by the operator itself, right before it stops an active.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::pair::Pair;
use e2e::world::{self, condition, pods_with_role};
use e2e::{Company, World, scenario, until};
use kube::api::{DeleteParams, ListParams};

const SWITCHOVER: &str = "chainlink-operator.dev/switchover";

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

/// Waits until a handover is held back by what the database says.
async fn until_held_back(world: &World, name: &str) -> Result<ChainlinkNodeStatus> {
    let what = "the database holds the handover back";
    world
        .until_status(name, what, |status| {
            let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
            ready.is_some_and(|ready| ready.reason == "DatabaseContradicts")
                && condition(status, "LockVerified") == Some(false)
        })
        .await
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
        Ok(())
    })
    .await
}

/// The Secret is changed, and in the other database somebody has the lease: a new pod would wait there, in the same words as
/// on its own. No session of the resource is seen there; the id of whoever has the lease tells that it is not the active.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn no_pod_is_made_where_a_changed_secret_leads_to_a_database_that_somebody_holds()
-> Result<()> {
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
        let status = until_held_back(world, "node").await?;
        let message = status.message.clone().unwrap_or_default();
        ensure!(message.contains("whose id is not that of"), "{message}");
        world
            .until_stalled("node", &["DatabaseContradicts"])
            .await?;
        let status = world.status("node").await?;
        let pods: Vec<&str> = status.pods.iter().map(|pod| pod.name.as_str()).collect();
        ensure!(pods == [active.as_str()], "no pod was to be made: {pods:?}");
        ensure!(
            status.active.as_deref() == Some(&active),
            "it was to work on"
        );
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "nothing was to be stopped: {stops:?}");

        // Changed back, the upgrade goes on by itself.
        world
            .secret("database", &[("url", world.database_url())])
            .await?;
        world.until_running("node", "2.19.0", 1).await?;
        until_verified(world, "node").await?;
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
        let status = until_held_back(world, "node").await?;
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

        // The operator may write now, and the session of the successor may not.
        world.read_only(false).await?;
        let what = "what the successor can't is known";
        let status = world
            .until_status("node", what, |status| {
                said(status).contains("began its session")
                    && condition(status, "Stalled") == Some(true)
            })
            .await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "nothing was to be stopped: {stops:?}");
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
        Ok(())
    })
    .await
}

/// Nobody asks the database, and from 2.15 on a node that can't write waits as any other does: the active is stopped for one
/// that never works. What follows must not look well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_outage_in_which_all_pods_seem_to_wait_is_told_as_one() -> Result<()> {
    scenario("outage-unseen", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 1);
        node["spec"]["database"]["verification"] = "Never".into();
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 1).await?;
        // Sessions that are open go on writing, as those of the active do.
        world.read_only(true).await?;
        world
            .change("node", serde_json::json!({"replicas": 2}))
            .await?;
        world.until_running("node", "2.18.0", 2).await?;
        world.annotate("node", SWITCHOVER, "now").await?;
        let status = world
            .until_status("node", "the outage is told", |status| {
                status
                    .message
                    .as_deref()
                    .is_some_and(|message| message.contains("no pod has taken the lock since"))
            })
            .await?;
        let told = ["Available", "Redundant", "Stalled"].map(|name| condition(&status, name));
        ensure!(
            told == [Some(false), Some(false), Some(true)],
            "{}",
            world::brief(&status)
        );
        let reason = |name: &str| {
            let mut all = status.conditions.iter();
            all.find(|one| one.type_ == name)
                .map(|one| one.reason.clone())
        };
        ensure!(
            reason("Ready").as_deref() == Some("LockNotTaken"),
            "{}",
            world::brief(&status)
        );

        world.read_only(false).await?;
        for pod in &status.pods {
            // One may be gone by now.
            drop(
                world
                    .pods()
                    .delete(&pod.name, &DeleteParams::default())
                    .await,
            );
        }
        world.until_running("node", "2.18.0", 2).await?;
        Ok(())
    })
    .await
}

/// The operator knows nothing of the database but what that says: the resource is a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_version_that_an_adopted_database_is_too_new_for_is_never_started() -> Result<()> {
    scenario("database-newer", Company::Welcome, async |world| {
        world.apply(&world.node("before", "2.19.0", 1)).await?;
        world.until_running("before", "2.19.0", 1).await?;
        world.delete("before").await?;
        let ours = ListParams::default().labels("chainlink-operator.dev/node=before");
        until("its pods are gone", world::PATIENCE, async || {
            let left = world.pods().list(&ours).await?.items.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await?;

        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let said = world.until_stalled("node", &["VersionWentBack"]).await?;
        ensure!(
            said.contains("the database says that version 2.19.0 has migrated it"),
            "{said}"
        );
        let ours = ListParams::default().labels("chainlink-operator.dev/node=node");
        let made = world.pods().list(&ours).await?.items.len();
        ensure!(made == 0, "{made} pods were made");
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}

/// The simulators speak no TLS; what is tried is the operator's own way to the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_database_is_asked_over_tls_with_the_authority_of_a_config_map() -> Result<()> {
    scenario("database-tls", Company::Welcome, async |world| {
        let pair = Pair::start(world).await?;
        let other = pair.another_authority()?;
        let url = pair.url().replace("sslmode=disable", "sslmode=verify-ca");
        world.secret("pair", &[("url", &url)]).await?;
        let mut node = world.node("node", "2.18.0", 1);
        node["spec"]["database"] = serde_json::json!({
            "url": {"secretKeyRef": {"name": "pair", "key": "url"}},
            "verification": "Required",
            "ca": {"configMapKeyRef": {"name": "authority", "key": "ca.crt"}},
        });
        world.config_map("authority", "ca.crt", &other).await?;
        world.apply(&node).await?;
        world
            .until_status("node", "the server is not trusted", |status| {
                status.active.is_some() && said(status).starts_with("TlsFailed")
            })
            .await?;
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await?;
        world
            .until_status("node", "no stop without an answer", |status| {
                let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
                ready.is_some_and(|ready| ready.reason == "DatabaseNotAsked")
            })
            .await?;
        world
            .config_map("authority", "ca.crt", &pair.authority()?)
            .await?;
        world.until_status_running("node", "2.19.0", 1).await?;
        until_verified(world, "node").await?;
        Ok(())
    })
    .await
}

/// How long nobody reaches the database: long enough for the kubelet's back-off.
fn dark() -> Duration {
    let seconds = std::env::var("E2E_DARK_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(120))
}

/// Who wrote in the last second.
fn one_writer(pair: &Pair) -> Result<String> {
    let sql = "SELECT string_agg(DISTINCT pod, ',') FROM simulator_duty WHERE kind = 'tick' AND at > now() - interval '1 second'";
    let writers = pair.on_second(sql)?;
    ensure!(
        !writers.is_empty() && !writers.contains(','),
        "writers: {writers}"
    );
    Ok(writers)
}

async fn until_agreed(world: &World, pair: &Pair) -> Result<()> {
    let what = "the one that writes is the one taken for active";
    until(what, world::PATIENCE, async || {
        let (writer, status) = (one_writer(pair)?, world.status("node").await?);
        let active = status.active.unwrap_or_default();
        ensure!(
            active == writer,
            "{writer} writes, and {active:?} is taken for active"
        );
        Ok(())
    })
    .await
}

/// The Service is the one name of two servers. The first stays up and refuses writes; the second is promoted; nobody
/// reaches either for a time, so that connections break and standbys end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn after_a_database_failed_over_behind_its_name_one_active_writes_and_all_standbys_wait()
-> Result<()> {
    scenario("database-fails-over", Company::Welcome, async |world| {
        let mut pair = Pair::start(world).await?;
        world.secret("pair", &[("url", &pair.url())]).await?;
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["database"]["url"]["secretKeyRef"]["name"] = "pair".into();
        world.apply(&node).await?;
        world.until_status_running("node", "2.18.0", 2).await?;
        until_verified(world, "node").await?;

        world.timeline.act("the database is dark");
        pair.dark(true)?;
        pair.fail_over(world).await?;
        tokio::time::sleep(dark()).await;
        pair.dark(false)?;
        world.timeline.act("the database is back, on the other server");

        // The active of before is back as well, and may write once more before it sees that its lease went to another.
        let back = Instant::now();
        until("one active writes on the new server", world::PATIENCE, async || {
            one_writer(&pair)
        })
        .await?;
        let written = back.elapsed();
        until_agreed(world, &pair).await?;
        // A pod that is one too many may still take its grace period to end: that is no lack of redundancy.
        world
            .until_status("node", "it is redundant again", |status| {
                status.active.is_some() && pods_with_role(status, "Standby").len() == 1
            })
            .await?;
        let redundant = back.elapsed();
        world.until_status_running("node", "2.18.0", 2).await?;
        eprintln!(
            "after {:?} of darkness: written to after {written:.1?}, fully redundant after {redundant:.1?}",
            dark()
        );
        until_verified(world, "node").await?;
        until_agreed(world, &pair).await?;
        ensure!(redundant < Duration::from_secs(30), "it took {redundant:?}");
        Ok(())
    })
    .await
}
