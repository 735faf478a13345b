//! Changes of configuration, and that a running node does not depend on what changes under it.

use anyhow::{Result, ensure};
use e2e::world::{PATIENCE, pods_with_role};
use e2e::{Company, World, scenario, until};
use serde_json::json;

/// A node with its configuration in the `ConfigMap` `settings`.
async fn node_with_config_map(world: &World, settle: &str) -> Result<()> {
    world
        .config_map("settings", "node.toml", "[Log]\nLevel = 'info'\n")
        .await?;
    let mut node = world.node("node", "2.18.0", 2);
    node["spec"]["config"] = json!({"files": [{"name": "node.toml", "configMapKeyRef": {"name": "settings", "key": "node.toml"}}]});
    node["spec"]["handover"] = json!({"settle": settle, "standbyTimeout": "20s"});
    world.apply(&node).await?;
    world.until_running("node", "2.18.0", 2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_config_map_and_a_version_a_few_seconds_apart_cost_one_gap() -> Result<()> {
    scenario("one-gap", Company::Welcome, async |world| {
        node_with_config_map(world, "6s").await?;
        let audit = world.audit()?;
        world
            .config_map("settings", "node.toml", "[Log]\nLevel = 'debug'\n")
            .await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        let gaps = world.gaps().await?;
        ensure!(gaps.len() == 1, "one gap was due: {gaps:?}");
        let stops = audit.stops(&world.namespace)?;
        ensure!(
            stops.len() == 2,
            "the two old pods were to be stopped: {stops:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_mounted_config_map_is_missed_by_no_pod_and_a_change_of_it_costs_one_gap() -> Result<()> {
    scenario("mounted-map", Company::Welcome, async |world| {
        world.config_map("certificates", "ca.crt", "one").await?;
        let mut node = world.node("node", "2.18.0", 2);
        let volume =
            json!({"name": "ca", "mountPath": "/certificates", "configMapName": "certificates"});
        node["spec"]["pod"] = json!({"volumes": [volume]});
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        world
            .config_maps()
            .delete("certificates", &kube::api::DeleteParams::default())
            .await?;
        world
            .until_status("node", "it is missed", |status| {
                let mut told = status.conditions.iter();
                told.any(|one| one.type_ == "Ready" && one.reason == "ConfigMapMissing")
            })
            .await?;
        let lost = pods_with_role(&before, "Standby").remove(0);
        world.force_delete(&lost).await?;
        world
            .until_status("node", "another waits all the same", |status| {
                let waiting = pods_with_role(status, "Standby");
                waiting.len() == 1 && waiting[0] != lost
            })
            .await?;
        ensure!(world.gaps().await?.is_empty(), "there was a gap");

        world.config_map("certificates", "ca.crt", "two").await?;
        let old = &before.pods[0].revision;
        world
            .until_status("node", "both pods have the new one", |status| {
                status.phase.as_deref() == Some("Running")
                    && status.pods.len() == 2
                    && status.pods.iter().all(|pod| pod.revision != *old)
            })
            .await?;
        let gaps = world.gaps().await?;
        ensure!(gaps.len() == 1, "one gap was due: {gaps:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_process_killed_while_its_config_map_is_broken_comes_back_with_the_old_text() -> Result<()>
{
    scenario("broken-map", Company::Welcome, async |world| {
        node_with_config_map(world, "1s").await?;
        let audit = world.audit()?;
        world
            .config_map("settings", "node.toml", "[Log\nthis is no TOML")
            .await?;
        world
            .until_stalled("node", &["InvalidConfiguration"])
            .await?;

        dies_and_comes_back(world, 1).await?;

        world
            .config_maps()
            .delete("settings", &kube::api::DeleteParams::default())
            .await?;
        dies_and_comes_back(world, 2).await?;

        ensure!(
            audit.stops(&world.namespace)?.is_empty(),
            "the operator stopped {:?}",
            audit.stops(&world.namespace)?
        );
        world
            .config_map("settings", "node.toml", "[Log]\nLevel = 'info'\n")
            .await?;
        world.until_running("node", "2.18.0", 2).await?;
        Ok(())
    })
    .await
}

/// Kills the active's process, and waits until its container runs again, and one of the two works while
/// the other waits. It is the `time`th time.
async fn dies_and_comes_back(world: &World, time: usize) -> Result<()> {
    let active = world.active("node").await?;
    let restarts = world.restarts(&active).await?;
    world.kill_process(&active).await?;
    world.until_restarted(&active, restarts + 1).await?;
    let works = until("somebody works again", PATIENCE, async || {
        let record = world.judged().await?;
        ensure!(record.gaps().len() == time, "{} gaps", record.gaps().len());
        Ok(record.pods().last().copied().unwrap_or_default().to_owned())
    })
    .await?;
    world
        .until_status("node", "one works and one waits", |status| {
            pods_with_role(status, "Active") == [works.clone()]
                && pods_with_role(status, "Standby").len() == 1
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_standby_on_another_database_is_stopped_and_the_active_is_not_touched() -> Result<()> {
    scenario("other-database", Company::Welcome, async |world| {
        // Where the database may be asked, a change of its Secret would be rolled out.
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["database"]["verification"] = json!("Never");
        world.apply(&node).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let active = status.active.clone().unwrap_or_default();
        let standby = pods_with_role(&status, "Standby").remove(0);
        let audit = world.audit()?;
        let other = world.other_database("other").await?;
        world.secret("database", &[("url", &other)]).await?;
        world.kill_process(&standby).await?;
        world.until_stalled("node", &["DatabaseDiffers"]).await?;
        until("the stray standby is stopped", PATIENCE, async || {
            ensure!(
                audit.stops(&world.namespace)?.contains(&standby),
                "it is not"
            );
            Ok(())
        })
        .await?;
        ensure!(world.active("node").await? == active, "the active changed");

        ensure!(
            !audit.stops(&world.namespace)?.contains(&active),
            "the active was stopped"
        );
        ensure!(
            world.duty_in_database().await?.pods() == [active],
            "only the active worked on its database"
        );

        world
            .secret("database", &[("url", world.database_url())])
            .await?;
        // A new revision asks for another try at once.
        world
            .change("node", json!({"restartedAt": "the Secret is right again"}))
            .await?;
        until("the restart is over", PATIENCE, async || {
            ensure!(
                world.duty_in_database().await?.gaps().len() == 1,
                "it is not"
            );
            Ok(())
        })
        .await?;
        world.until_running("node", "2.18.0", 2).await?;
        Ok(())
    })
    .await
}

/// From 2.30 on a node finds such a mistake when it has the lock, and the old active has lost it. The operator can't read the
/// file, which is in a Secret: only the check in the short pod stands before that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_configuration_that_only_the_check_refuses_does_not_cross_the_change_of_the_boot_order()
-> Result<()> {
    scenario("refused-2-30", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.29.0", 2)).await?;
        world.until_running("node", "2.29.0", 2).await?;
        let active = world.active("node").await?;
        let audit = world.audit()?;
        let refused = "[Database]\nAllowSimplePasswords = true\n";
        world
            .secret("settings", &[("secrets.toml", refused)])
            .await?;
        let reference = json!({"secretKeyRef": {"name": "settings", "key": "secrets.toml"}});
        world
            .change(
                "node",
                json!({"version": "2.30.0", "config": {"secretsToml": reference}}),
            )
            .await?;
        let told = world
            .until_stalled("node", &["AllowSimplePasswords"])
            .await?;
        ensure!(told.contains("Database.AllowSimplePasswords"), "{told}");
        ensure!(world.active("node").await? == active, "the active changed");
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "the operator stopped {stops:?}");
        ensure!(world.gaps().await?.is_empty(), "there was a gap");

        // The kubelet makes the check again, and reads the Secret anew.
        world
            .secret("settings", &[("secrets.toml", "[Database]\n")])
            .await?;
        world.until_running("node", "2.30.0", 2).await?;
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.29.0", "2.30.0"],
            "who worked: {:?}",
            record.versions()
        );
        ensure!(record.gaps().len() == 1, "{} gaps", record.gaps().len());
        Ok(())
    })
    .await
}
