//! The chart's `nodeLimits`: what those who write ChainlinkNodes may name, as the API server itself holds it.

use anyhow::{Result, bail, ensure};
use e2e::exec::repository;
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

use super::drift::Manifest;

/// The policy of the chart for the namespace of this scenario alone; taken away when dropped.
struct Limits<'a> {
    world: &'a World,
    text: String,
}

impl<'a> Limits<'a> {
    fn of(world: &'a World, repository_of_nodes: &str) -> Result<Self> {
        let chart = repository().join("charts/chainlink-operator");
        let text = world.cluster.helm(&[
            "template",
            &world.namespace,
            &chart.to_string_lossy(),
            "--show-only=templates/node-limits.yaml",
            "--set=image.repository=none,nodeLimits.enabled=true",
            &format!("--set=watchNamespaces={{{}}}", world.namespace),
            &format!("--set=nodeLimits.imageRepositories={{{repository_of_nodes}}}"),
        ])?;
        let limits = Self { world, text };
        limits.kubectl("apply")?;
        Ok(limits)
    }

    fn kubectl(&self, verb: &str) -> Result<String> {
        Manifest::text(self.world, &self.text)?.kubectl(self.world, verb)
    }
}

impl Drop for Limits<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl("delete") {
            eprintln!("the limits could not be taken away: {error:#}");
        }
    }
}

async fn refusal(world: &World, spec: Value) -> Result<String> {
    let mut node = world.node("another", "2.18.0", 1);
    for (field, value) in spec.as_object().into_iter().flatten() {
        node["spec"][field] = value.clone();
    }
    match world.would_take(&node).await {
        Ok(()) => bail!("it would be taken: {spec}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_platform_limits_images_accounts_and_users_of_nodes() -> Result<()> {
    scenario("limited", Company::Welcome, async |world| {
        // One that was there before is looked after still.
        let mut before = world.node("node", "2.18.0", 1);
        before["spec"]["pod"]["securityContext"] = json!({"runAsUser": 1000});
        world.apply(&before).await?;
        world.until_running("node", "2.18.0", 1).await?;
        let used = before["spec"]["image"]["repository"].as_str();
        let limits = Limits::of(world, used.unwrap_or("smartcontract/chainlink"))?;
        let evil = json!({"image": {"repository": "registry.example.com/evil"}});
        until("the limits are in force", PATIENCE, async || {
            let said = refusal(world, evil.clone()).await?;
            ensure!(
                said.contains("may not be registry.example.com/evil"),
                "{said}"
            );
            Ok(())
        })
        .await?;
        for (pod, words) in [
            (json!({"serviceAccountName": "admin"}), "may not be admin"),
            (json!({"automountServiceAccountToken": true}), "no token"),
            (
                json!({"securityContext": {"runAsUser": 0}}),
                "runAsUser of a securityContext",
            ),
            (
                json!({"securityContext": {"fsGroup": 0}}),
                "may not be that number",
            ),
        ] {
            let said = refusal(world, json!({"pod": pod})).await?;
            ensure!(said.contains(words), "{pod}: {said}");
        }
        world
            .would_take(&world.node("another", "2.18.0", 1))
            .await?;
        world.annotate("node", "example.com/seen", "yes").await?;
        let change = world.change("node", json!({"version": "2.19.0"})).await;
        ensure!(
            change.is_err(),
            "a change of a spec beyond the limits was taken"
        );
        drop(limits);
        until("the limits are gone", PATIENCE, async || {
            world.change("node", json!({"version": "2.19.0"})).await
        })
        .await?;
        world.until_running("node", "2.19.0", 1).await.map(drop)
    })
    .await
}
