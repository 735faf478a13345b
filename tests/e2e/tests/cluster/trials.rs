//! What has just taken over is not trusted yet, and what boots or migrates is left to it.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::world::{PATIENCE, pods_with_role};
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

fn faults(value: &str) -> Value {
    json!({"config": {"env": [{"name": "SIMULATOR_FAULTS", "value": value}]}})
}

/// The same version with a configuration under which a node ends some time after its takeover: at once, or when it has
/// served for a while.
async fn rolled_back(world: &World, fault: &str) -> Result<()> {
    world.apply(&world.node("node", "2.18.0", 2)).await?;
    let before = world.until_running("node", "2.18.0", 2).await?;
    let old = before.pods.first().context("no pods")?.revision.clone();

    world.change("node", faults(fault)).await?;
    let back = world
        .until_status(
            "node",
            "the old revision works again and that is told",
            |status| {
                let works = status.pods.iter().filter(|pod| pod.role == "Active");
                let stalled = status.conditions.iter().any(|condition| {
                    condition.type_ == "Stalled"
                        && condition.status == "True"
                        && condition.reason == "HandoverFailed"
                });
                let all_old = status.pods.iter().all(|pod| pod.revision == old);
                stalled
                    && all_old
                    && works.count() == 1
                    && pods_with_role(status, "Standby").len() == 1
            },
        )
        .await?;
    let told = back.message.unwrap_or_default();
    let named = fault.split('=').next().unwrap_or(fault);
    ensure!(told.contains(named), "{told}");

    let audit = world.audit()?;
    world
        .change(
            "node",
            json!({"config": {"env": null}, "restartedAt": "mended"}),
        )
        .await?;
    world.until_running("node", "2.18.0", 2).await?;
    let stops = audit.stops(&world.namespace)?;
    ensure!(stops.len() == 2, "one more rollout was due: {stops:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_successor_that_ends_with_the_lock_is_rolled_back_and_not_tried_again() -> Result<()> {
    scenario("crashes-at-once", Company::Welcome, async |world| {
        rolled_back(world, "crash-after-takeover").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_successor_that_ends_soon_after_it_has_served_is_rolled_back_too() -> Result<()> {
    scenario("crashes-soon", Company::Welcome, async |world| {
        rolled_back(world, "crash-after-listening=2s").await
    })
    .await
}

/// Two pods of 2.18.0, whose upgrade takes a backup first.
async fn backed_up(world: &World) -> Result<String> {
    let mut node = world.node("node", "2.18.0", 2);
    node["spec"]["config"]["files"][0]["inline"] =
        json!("[Log]\nLevel = 'info'\n[Database.Backup]\nMode = 'lite'\nOnVersionUpgrade = true\n");
    world.apply(&node).await?;
    let before = world.until_running("node", "2.18.0", 2).await?;
    let old = before.pods.first().context("no pods")?.revision.clone();
    Ok(old)
}

fn handover_failed(status: &ChainlinkNodeStatus) -> bool {
    status.conditions.iter().any(|condition| {
        condition.type_ == "Stalled"
            && condition.status == "True"
            && condition.reason == "HandoverFailed"
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_newer_version_that_ends_with_the_lock_before_it_migrates_is_rolled_back() -> Result<()> {
    scenario("ends-unmigrated", Company::Welcome, async |world| {
        let old = backed_up(world).await?;
        world.simulate("fault:backup-fails", "on").await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let back = world
            .until_status("node", "the old version works again, told", |status| {
                let works = status.pods.iter().filter(|pod| pod.role == "Active");
                handover_failed(status)
                    && status.pods.iter().all(|pod| pod.revision == old)
                    && works.count() == 1
                    && pods_with_role(status, "Standby").len() == 1
            })
            .await?;
        let told = back.message.unwrap_or_default();
        ensure!(told.contains("pg_dump failed"), "{told}");
        let record = world.judged().await?;
        let worked = record.versions();
        ensure!(worked == ["2.18.0", "2.18.0"], "{worked:?} worked");

        world.simulate("fault:backup-fails", "off").await?;
        world
            .change("node", json!({"restartedAt": "pg_dump is there now"}))
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_newer_version_that_ends_after_its_first_migration_is_not_rolled_back() -> Result<()> {
    scenario("ends-migrated", Company::Welcome, async |world| {
        backed_up(world).await?;
        // 2.18.0 has 256 migrations, and 2.19.0 brings three.
        world
            .simulate("fault:crash-at-migration:2.19.0", "257")
            .await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let stuck = world
            .until_status("node", "it is told why there is no way back", |status| {
                let told = status.message.as_deref().unwrap_or_default();
                told.contains("2.18.0 is not started again")
            })
            .await?;
        let told = stuck.message.unwrap_or_default();
        ensure!(told.contains("goose_migrations"), "{told}");
        ensure!(told.contains("database-restored-to"), "{told}");

        world
            .simulate("fault:crash-at-migration:2.19.0", "off")
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        let record = world.judged().await?;
        let worked = record.versions();
        ensure!(worked == ["2.18.0", "2.19.0"], "{worked:?} worked");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_long_migration_is_told_as_such_and_interrupted_by_no_other_change() -> Result<()> {
    scenario("migrates", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.until_running("node", "2.18.0", 1).await?;
        world.simulate("migration", "25s").await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let booting = world
            .until_status("node", "it migrates", |status| {
                status.phase.as_deref() == Some("Booting")
            })
            .await?;
        // The database may tell who has the lock before its log does.
        let migrating = booting.holder.clone().context("nobody has the lock")?;
        let audit = world.audit()?;
        world
            .change("node", json!({"restartedAt": "in the middle of it"}))
            .await?;
        until("the migration is over", PATIENCE, async || {
            let record = world.judged().await?;
            ensure!(record.versions().contains(&"2.19.0"), "it is not");
            Ok(())
        })
        .await?;
        let record = world.judged().await?;
        ensure!(
            record.pods().contains(&migrating.as_str()),
            "{migrating} was not left to it: {:?}",
            record.pods()
        );
        world.simulate("migration", "0s").await?;
        world.until_running("node", "2.19.0", 1).await?;
        until("the other change is made, too", PATIENCE, async || {
            let stops = audit.stops(&world.namespace)?;
            ensure!(stops == [migrating.clone()], "{stops:?}");
            Ok(())
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_secret_whose_content_changes_is_rolled_out_by_one_handover() -> Result<()> {
    scenario("secret-changes", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"]["onSecretChange"] = "Rollout".into();
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let old = before.pods.first().context("no pods")?.revision.clone();
        let audit = world.audit()?;
        world
            .secret(
                "credentials",
                &[
                    ("keystore-password", "a-keystore-password-for-tests"),
                    (
                        "api-credentials",
                        "tests@example.com\nanother-password-for-tests\n",
                    ),
                ],
            )
            .await?;
        world
            .until_status("node", "both pods read the new content", |status| {
                status.phase.as_deref() == Some("Running")
                    && status.pods.len() == 2
                    && status.pods.iter().all(|pod| pod.revision != old)
            })
            .await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.len() == 2, "the two old pods: {stops:?}");
        let gaps = world.gaps().await?;
        ensure!(gaps.len() == 1, "one handover: {gaps:?}");
        Ok(())
    })
    .await
}
