//! Namespaces of scenarios: made anew, held to the strictest profile, and removed.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::PATIENCE;
use crate::until;

/// Marks the namespaces of scenarios.
const SCENARIO: (&str, &str) = ("chainlink-operator.dev/test", "scenario");

pub(super) async fn fresh_namespace(client: &Client, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(name).await?.is_some() {
        namespaces.delete(name, &DeleteParams::default()).await?;
    }
    until_gone(&namespaces, name).await?;
    enforced_namespace(client, name).await
}

async fn until_gone(namespaces: &Api<Namespace>, name: &str) -> Result<()> {
    let what = format!("the old namespace {name} is gone");
    until(&what, PATIENCE, async || {
        let gone = namespaces.get_opt(name).await?.is_none();
        ensure!(gone, "it is still there");
        Ok(())
    })
    .await
}

/// Removes what scenarios of a run that was cut off have left: their nodes would have to be moved by each drain.
pub async fn remove_leftovers(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let marked = ListParams::default().labels(&format!("{}={}", SCENARIO.0, SCENARIO.1));
    let left = namespaces.list(&marked).await?;
    let names: Vec<String> = left.items.iter().map(ResourceExt::name_any).collect();
    for name in &names {
        namespaces.delete(name, &DeleteParams::default()).await?;
    }
    for name in &names {
        until_gone(&namespaces, name).await?;
    }
    Ok(())
}

/// Makes a namespace, or marks one that is there, with the strictest of Kubernetes' own profiles: what is made in it has
/// to pass that.
pub async fn enforced_namespace(client: &Client, name: &str) -> Result<()> {
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    if name.starts_with("e2e-") {
        namespace["metadata"]["labels"][SCENARIO.0] = SCENARIO.1.into();
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let parameters = PatchParams::apply("e2e").force();
    namespaces
        .patch(name, &parameters, &Patch::Apply(&namespace))
        .await?;
    Ok(())
}
