//! A `StatefulSet` of two, without a readiness probe on the node's port: with one its standby is never ready, and no update of it
//! ends. So its Service leads to both.

use anyhow::{Result, ensure};
use kube::ResourceExt;
use serde_json::json;

use super::plain::{self, NAME, Probe};
use super::{at_work, until_works};
use crate::world::PATIENCE;
use crate::{World, until};

/// Makes it, or changes its version.
pub async fn apply(world: &World, version: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": NAME},
        "spec": {
            "replicas": 2,
            "serviceName": NAME,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": NAME}},
            "template": plain::template(world, version, Probe::None),
        },
    });
    plain::apply(world, &object).await
}

/// Both pods are of this version, one works, and the other waits.
pub async fn rested(world: &World, version: &str) -> Result<()> {
    until("both pods have the version", PATIENCE, async || {
        let pods = plain::pods(world).await?;
        let of = pods.iter().filter(|pod| plain::is_of(pod, version));
        let names: Vec<String> = of.map(ResourceExt::name_any).collect();
        ensure!(names.len() == 2 && pods.len() == 2, "only {names:?} have");
        Ok(())
    })
    .await?;
    until_works(world, version, PATIENCE).await?;
    let active = at_work(world).await?.pod;
    plain::until_others_wait(world, &active).await
}
