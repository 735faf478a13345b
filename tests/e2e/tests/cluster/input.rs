//! Bad input is refused, or reported with a sentence that says what to do; nothing that runs is touched.

use anyhow::{Result, bail, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

/// The API server refuses a change, with these words.
async fn refused(world: &World, spec: Value, words: &str) -> Result<()> {
    match world.change("node", spec.clone()).await {
        Ok(()) => bail!("{spec} was accepted"),
        Err(error) => {
            let sentence = format!("{error:#}");
            ensure!(
                sentence.contains(words),
                "{spec} was refused without the words {words:?}: {sentence}"
            );
            Ok(())
        }
    }
}

/// A change is accepted and then reported as Stalled, with these words; `back` takes it back.
async fn stalled(world: &World, spec: Value, words: &str, back: Value) -> Result<()> {
    world.change("node", spec.clone()).await?;
    world.until_stalled("node", &[words]).await?;
    world.change("node", back).await?;
    world.until_running("node", "2.18.0", 2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn bad_input_is_refused_or_reported_and_nothing_that_runs_is_touched() -> Result<()> {
    scenario("bad-input", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "10s"});
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let audit = world.audit()?;

        refused(world, json!({"version": "latest"}), "full version number").await?;
        refused(world, json!({"replicas": 20}), "less than or equal to 9").await?;
        refused(world, json!({"database": {"url": {"secretKeyRef": null}}}), "name the Secret and its key").await?;
        let inline = json!({"database": {"url": {"value": "postgresql://user:password@host/database"}}});
        refused(world, inline, "put it into a Secret").await?;
        let own = json!({"config": {"env": [{"name": "CL_CONFIG", "value": "[Database.Lock]\nEnabled = false"}]}});
        refused(world, own, "CL_CONFIG is set by the operator").await?;

        let legacy = json!({"config": {"env": [{"name": "ETH_URL", "value": "wss://node.example.com"}]}});
        stalled(world, legacy, "ETH_URL", json!({"config": {"env": null}})).await?;
        let key = |key: &str| json!({"credentials": {"keystorePassword": {"secretKeyRef": {"name": "credentials", "key": key}}}});
        stalled(world, key("no-such-key"), "no-such-key", key("keystore-password")).await?;

        let after = world.status("node").await?;
        ensure!(after.active == before.active, "the active changed");
        let stops = audit.stops(&world.namespace)?;
        let touched: Vec<_> = before.pods.iter().filter(|pod| stops.contains(&pod.name)).collect();
        ensure!(touched.is_empty(), "the operator stopped {touched:?}");
        ensure!(world.judged().await?.gaps().is_empty(), "there was a gap");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_secret_that_comes_late_is_waited_for() -> Result<()> {
    scenario("late-secret", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["database"]["url"]["secretKeyRef"]["name"] = json!("late");
        world.apply(&node).await?;
        until(
            "status names the Secret that is missing",
            PATIENCE,
            async || {
                let status = world.status("node").await?;
                ensure!(
                    e2e::world::condition(&status, "Stalled") != Some(true),
                    "Stalled already"
                );
                let told = format!("{status:?}");
                ensure!(
                    told.contains("\\\"late\\\"") || told.contains("late"),
                    "{}",
                    e2e::world::brief(&status)
                );
                Ok(())
            },
        )
        .await?;
        world
            .secret("late", &[("url", world.database_url())])
            .await?;
        world.until_running("node", "2.18.0", 2).await?;
        world.judged().await?;
        Ok(())
    })
    .await
}
