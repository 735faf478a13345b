//! `kubectl scale`, hibernation, and what `kubectl get` shows.

use anyhow::{Result, ensure};
use e2e::{Company, World, scenario};
use serde_json::json;

fn kubectl(world: &World, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["--namespace", world.namespace.as_str()];
    all.extend(arguments);
    world.cluster.kubectl(&all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn scaling_never_stops_the_active_while_there_is_a_standby_to_stop() -> Result<()> {
    scenario("scale", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = world.until_running("node", "2.18.0", 2).await?.active;
        let audit = world.audit()?;
        for (replicas, count) in [("3", 3), ("1", 1), ("2", 2)] {
            kubectl(world, &["scale", "cln/node", "--replicas", replicas])?;
            let status = world.until_running("node", "2.18.0", count).await?;
            ensure!(status.active == active, "the active changed at {replicas}");
        }
        ensure!(
            audit.stops(&world.namespace)?.len() == 2,
            "two were too many: {:?}",
            audit.stops(&world.namespace)?
        );
        ensure!(world.gaps().await?.is_empty(), "there was a gap");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn no_replicas_stop_all_pods_and_the_way_back_starts_them() -> Result<()> {
    scenario("hibernate", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = world
            .until_running("node", "2.18.0", 2)
            .await?
            .active
            .unwrap_or_default();
        let audit = world.audit()?;
        world.change("node", json!({"replicas": 0})).await?;
        let status = world
            .until_status("node", "all pods are gone", |status| status.pods.is_empty())
            .await?;
        ensure!(
            status.phase.as_deref() == Some("Hibernated"),
            "{}",
            e2e::world::brief(&status)
        );
        let stops = audit.stops(&world.namespace)?;
        ensure!(
            stops.len() == 2 && stops.last() == Some(&active),
            "the standby first, then {active}: {stops:?}"
        );
        world.change("node", json!({"replicas": 2})).await?;
        world.until_running("node", "2.18.0", 2).await?;
        ensure!(world.gaps().await?.len() == 1, "hibernation is one gap");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn kubectl_get_tells_at_a_glance() -> Result<()> {
    scenario("glance", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = world
            .until_running("node", "2.18.0", 2)
            .await?
            .active
            .unwrap_or_default();
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let shown = kubectl(world, &["get", "cln"])?;
        let lines: Vec<&str> = shown.lines().collect();
        ensure!(
            words(lines[0]) == ["NAME", "VERSION", "ACTIVE", "STANDBYS", "PHASE", "AGE"],
            "{shown}"
        );
        ensure!(
            words(lines[1])[..5] == ["node", "2.18.0", active.as_str(), "1/1", "Running"],
            "{shown}"
        );
        let wide = kubectl(world, &["get", "cln", "--output", "wide"])?;
        let columns = ["WANTED", "SINCE", "LAST GAP"];
        ensure!(
            wide.starts_with("NAME") && columns.iter().all(|column| wide.contains(column)),
            "{wide}"
        );
        let described = kubectl(world, &["describe", "cln", "node"])?;
        ensure!(
            described.contains("CreatingPod"),
            "no events in: {described}"
        );
        Ok(())
    })
    .await
}
