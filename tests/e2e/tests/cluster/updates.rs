//! A newer release that a registry has, found and run by the operator itself.

use anyhow::{Context, Result, ensure};
use e2e::mirror::{self, Mirror};
use e2e::world::condition;
use e2e::{Company, World, install, scenario};
use serde_json::{Value, json};

const APPLIED: &str = "chainlink-operator.dev/applied-update";
/// Longer than it takes until another operator leads.
const MINIMUM_AGE: i64 = 45;

/// What a tool that applies from Git compares.
async fn spec(world: &World) -> Result<Value> {
    let node = world.nodes().get("node").await?;
    Ok(json!([node.metadata.generation, node.spec]))
}

/// The images that the node's containers are to have.
async fn images(world: &World) -> Result<Vec<String>> {
    let pods = world.pods().list(&kube::api::ListParams::default()).await?;
    let containers = pods.items.into_iter().flat_map(|pod| {
        let spec = pod.spec.unwrap_or_default();
        spec.containers.into_iter().filter_map(|one| one.image)
    });
    Ok(containers.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_release_that_appears_is_applied_by_its_digest_when_it_is_old_enough() -> Result<()> {
    scenario("updates", Company::Alone, async |world| {
        let mut mirror = Mirror::start(&world.cluster, &["2.29.0", "2.30.0"])?;
        mirror.release("2.29.0")?;
        let image = install::image(&world.client).await?;
        let changed = install::Changed::to(&world.cluster, &image, mirror::SETTINGS).await?;

        let mut node = world.node("node", "2.29.0", 2);
        node["spec"]["image"]["repository"] = mirror.repository().into();
        node["spec"]["updates"] = json!({
            "policy": "Apply",
            "range": ">=2.29.0 <3.0.0",
            "minimumAge": format!("{MINIMUM_AGE}s"),
        });
        world.apply(&node).await?;
        world.until_running("node", "2.29.0", 2).await?;
        world
            .until_status("node", "the registry has nothing newer", |status| {
                condition(status, "UpdateAvailable") == Some(false) && status.update.is_none()
            })
            .await?;
        let before = spec(world).await?;

        let digest = mirror.release("2.30.0")?;
        // A leader asks again after an interval, of five minutes at least; a new one asks at once.
        install::kill(&world.client).await?;
        let seen = world
            .until_status("node", "the release is seen", |status| {
                status.update.is_some()
            })
            .await?;
        let seen = seen.update.context("it was there")?;
        ensure!(seen.version == "2.30.0", "{seen:?}");
        ensure!(seen.digest.as_deref() == Some(&digest), "{seen:?}");
        // Its age is counted on by whoever leads next.
        install::kill(&world.client).await?;

        let after = world.until_running("node", "2.30.0", 2).await?;
        let applied = after.applied.context("no release is told as applied")?;
        ensure!(
            (&*applied.version, &*applied.tag) == ("2.30.0", "2.30.0")
                && applied.repository == mirror.repository()
                && applied.digest == digest,
            "{applied:?}"
        );
        let at = applied.applied_at.context("nobody says when")?;
        let age = at.duration_since(seen.first_seen).as_secs();
        ensure!(age >= MINIMUM_AGE, "it was applied after {age} s");
        let pinned = format!("{}@{digest}", mirror.repository());
        let images = images(world).await?;
        ensure!(images == [&*pinned, &*pinned], "{images:?}");
        let told = condition(&world.status("node").await?, "UpdateAvailable");
        ensure!(told == Some(false), "nothing newer is left: {told:?}");

        ensure!(spec(world).await? == before, "the spec was written to");
        let node = world.nodes().get("node").await?;
        let annotation = node.metadata.annotations.unwrap_or_default();
        let annotation = annotation.get(APPLIED).map(String::as_str);
        ensure!(annotation == Some(&*applied.image()), "{annotation:?}");
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.29.0", "2.30.0"],
            "who worked: {:?}",
            record.versions()
        );
        changed.back().await?;
        Ok(())
    })
    .await
}
