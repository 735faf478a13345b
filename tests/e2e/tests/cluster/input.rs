//! Bad input is refused, or reported with a sentence that says what to do; nothing that runs is touched.

use anyhow::{Context, Result, bail, ensure};
use e2e::audit::Audit;
use e2e::bad_input::{BadInput, Refusal, bad_input};
use e2e::shown::shown;
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

/// A manifest is asked about, and the API server's answer compared.
async fn asked(world: &World, bad: &BadInput) -> Result<()> {
    match (world.would_take(&bad.node).await, &bad.refusal) {
        (Ok(()), Refusal::Operator { .. }) => Ok(()),
        (Ok(()), Refusal::Schema) => bail!("the API server takes it"),
        (Err(error), Refusal::Operator { .. }) => Err(error.context("the API server refuses it")),
        (Err(error), Refusal::Schema) => {
            let sentence = format!("{error:#}");
            ensure!(
                sentence.contains(&bad.expect),
                "refused without the words {:?}: {sentence}",
                bad.expect
            );
            Ok(())
        }
    }
}

/// A manifest is made for real, under a name of its own, and the operator says what is wrong with it.
async fn reported(world: &World, bad: &BadInput, reason: &str, name: &str) -> Result<()> {
    for map in &bad.config_maps {
        let name = map["metadata"]["name"].as_str().unwrap_or_default();
        for (key, text) in map["data"].as_object().into_iter().flatten() {
            world
                .config_map(name, key, text.as_str().unwrap_or_default())
                .await?;
        }
    }
    let mut node = bad.node.clone();
    node["metadata"]["name"] = json!(name);
    world.apply(&node).await?;
    // What may come by itself is waited for: that is no matter for a person yet.
    let waited = reason.starts_with("ConfigMap");
    let what = format!("{name} is refused with {reason}: {}", bad.expect);
    let status = world
        .until_status(name, &what, |status| {
            status
                .conditions
                .iter()
                .filter(|one| one.reason == reason && one.message.contains(&bad.expect))
                .any(|one| one.type_ == "Ready" && one.status == "False")
        })
        .await?;
    let stalled = e2e::world::condition(&status, "Stalled") == Some(true);
    ensure!(
        stalled != waited,
        "Stalled is {stalled}, waited for: {waited}"
    );
    ensure!(status.pods.is_empty(), "it has pods: {:?}", status.pods);
    // The next manifest's ConfigMap would heal it.
    world.delete(name).await?;
    Ok(())
}

/// The operator stopped nothing and made nothing.
fn idle(world: &World, audit: &Audit) -> Result<()> {
    let mut writes = audit.writes(&world.namespace)?;
    writes.retain(|write| write.stops() || write.makes_pod());
    ensure!(writes.is_empty(), "the operator touched pods: {writes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn every_manifest_that_cannot_work_is_refused_in_the_words_it_expects() -> Result<()> {
    scenario("bad-manifests", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let audit = world.audit()?;

        for (number, bad) in bad_input()?.iter().enumerate() {
            let name = format!("bad-{number}");
            asked(world, bad).await.with_context(|| bad.file.clone())?;
            if let Refusal::Operator { reason } = &bad.refusal {
                reported(world, bad, reason, &name)
                    .await
                    .with_context(|| bad.file.clone())?;
            }
        }

        let after = world.until_running("node", "2.18.0", 2).await?;
        ensure!(after.active == before.active, "the active changed");
        idle(world, &audit)?;
        ensure!(world.judged().await?.gaps().is_empty(), "there was a gap");
        Ok(())
    })
    .await
}

/// With the rules between fields, which the API server alone knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn every_resource_that_a_page_shows_is_taken() -> Result<()> {
    scenario("shown", Company::Welcome, async |world| {
        let base = world.node("shown", "2.29.0", 2);
        for shown in shown(&base)? {
            let taken = world.would_take(&shown.node).await;
            taken.with_context(|| format!("{}:\n{:#}", shown.page, shown.node))?;
        }
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
        Ok(())
    })
    .await
}
