//! This operator: a `ChainlinkNode` with two replicas.

use anyhow::Result;
use chainlink_operator::api::names::SWITCHOVER_ANNOTATION;
use serde_json::json;

use super::super::requests::now;
use super::plain::{NAME, REFUSED};
use super::until_another_works;
use crate::World;
use crate::world::condition;

/// Makes it, or changes its version.
pub async fn apply(world: &World, version: &str) -> Result<()> {
    world.apply(&world.node(NAME, version, 2)).await
}

/// Changes its version, and gives it a configuration that the node refuses.
pub async fn misconfigured(world: &World, version: &str) -> Result<()> {
    let mut node = world.node(NAME, version, 2);
    node["spec"]["config"]["files"] = json!([{"name": "node.toml", "inline": REFUSED}]);
    world.apply(&node).await
}

/// Has its active moved to the standby, and waits until that works.
pub async fn switchover(world: &World) -> Result<()> {
    let old = world.active(NAME).await?;
    let any = now().to_string();
    world.annotate(NAME, SWITCHOVER_ANNOTATION, &any).await?;
    until_another_works(world, &[old]).await
}

/// This version works, its standby waits, and the database has been asked who holds the lock.
pub async fn rested(world: &World, version: &str) -> Result<()> {
    world.until_running(NAME, version, 2).await?;
    let what = "the database names the holder";
    let verified = world.until_status(NAME, what, |status| {
        condition(status, "LockVerified") == Some(true)
    });
    verified.await.map(drop)
}

/// Has its pods made anew.
pub async fn renew(world: &World, version: &str) -> Result<()> {
    let old = world.active(NAME).await?;
    world
        .change(NAME, json!({"restartedAt": now().to_string()}))
        .await?;
    until_another_works(world, &[old]).await?;
    rested(world, version).await
}
