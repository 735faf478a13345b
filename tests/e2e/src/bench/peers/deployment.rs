//! A Deployment of one pod.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment as Object;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::plain::{self, NAME, Probe};
use super::{until_another_works, until_works};
use crate::world::PATIENCE;
use crate::{World, until};

/// How it goes from one version to the next.
#[derive(Clone, Copy, Debug)]
pub enum Strategy {
    Recreate,
    RollingUpdate,
}

/// Makes it, or changes its version.
pub async fn apply(world: &World, version: &str, strategy: Strategy) -> Result<()> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "strategy": {"type": format!("{strategy:?}")},
            "selector": {"matchLabels": {"app": NAME}},
            "template": plain::template(world, version, Probe::Health),
        },
    });
    plain::apply(world, &object).await
}

/// Its one pod is ready, and is of this version.
pub async fn rested(world: &World, version: &str) -> Result<()> {
    until_works(world, version, PATIENCE).await?;
    let api: Api<Object> = Api::namespaced(world.client.clone(), &world.namespace);
    until("the Deployment is rolled out", PATIENCE, async || {
        let object = api.get(NAME).await?;
        let generation = object.metadata.generation;
        let status = object.status.unwrap_or_default();
        ensure!(status.observed_generation == generation, "it is not seen");
        let counts = [
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
        ];
        ensure!(counts == [Some(1); 3], "{counts:?}");
        Ok(())
    })
    .await
}

/// Deletes its pod, and waits for the next.
pub async fn renew(world: &World, version: &str) -> Result<()> {
    let old: Vec<String> = plain::pods(world)
        .await?
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    for pod in &old {
        world
            .pods()
            .delete(pod, &kube::api::DeleteParams::default())
            .await?;
    }
    until_another_works(world, &old).await?;
    rested(world, version).await
}
