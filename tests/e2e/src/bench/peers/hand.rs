//! By hand: a second container on the same database, a look into its log until it waits, and an end to the first.

use anyhow::Result;
use kube::ResourceExt;
use serde_json::json;

use super::super::requests::now;
use super::plain::{self, Probe};
use super::{at_work, until_works};
use crate::world::PATIENCE;
use crate::{World, machine};

/// Starts a second container of this version, and ends the first by a signal once the second waits.
pub async fn replace(world: &World, version: &str, signal: &str) -> Result<()> {
    let first = at_work(world).await?.pod;
    second(world, version).await?;
    machine::signal(&first, "chainlink", signal)
}

/// The first container.
pub async fn first(world: &World, version: &str) -> Result<()> {
    plain::surroundings(world).await?;
    start(world, version).await.map(drop)
}

/// A second one; returns its name once it waits.
pub async fn second(world: &World, version: &str) -> Result<String> {
    let pod = start(world, version).await?;
    plain::until_waits(world, &pod).await?;
    Ok(pod)
}

/// Docker starts a container that was killed or stopped by hand no more.
async fn start(world: &World, version: &str) -> Result<String> {
    let name = format!("node-{}", now() / 1000);
    let mut pod = plain::template(world, version, Probe::Health);
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = name.clone().into();
    pod["spec"]["restartPolicy"] = json!("Never");
    plain::apply(world, &pod).await?;
    Ok(name)
}

/// This version works, and the containers before it are removed.
pub async fn rested(world: &World, version: &str) -> Result<()> {
    until_works(world, version, PATIENCE).await?;
    let active = at_work(world).await?.pod;
    for pod in plain::pods(world).await? {
        if pod.name_any() != active {
            world.force_delete(&pod.name_any()).await?;
        }
    }
    Ok(())
}
