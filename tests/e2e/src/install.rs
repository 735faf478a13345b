//! The operator, installed as users install it: by the chart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};

use crate::cluster::Cluster;
use crate::exec::repository;
use crate::machine;
use crate::until;

/// Where the operator is installed, and the release's name.
pub const NAMESPACE: &str = "chainlink-operator";
/// As whom it talks to the API server.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:chainlink-operator:chainlink-operator";

/// Installs or upgrades the operator to this image, and waits until it is ready.
pub fn install(cluster: &Cluster, image: &str) -> Result<()> {
    let (repository_name, tag) = image
        .rsplit_once(':')
        .context("the operator's image has no tag")?;
    let chart = repository().join("charts/chainlink-operator");
    cluster.helm(&[
        "upgrade",
        "--install",
        "chainlink-operator",
        &chart.to_string_lossy(),
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        // The CRD may have been applied by hand before.
        "--take-ownership",
        "--force-conflicts",
        "--set",
        &format!(
            "image.repository={repository_name},image.tag={tag},databaseVerification.enabled=true"
        ),
        "--wait",
        "--timeout",
        "3m",
    ])?;
    Ok(())
}

/// The operator's pod, when exactly one is ready.
pub async fn ready_pod(client: &Client) -> Result<Pod> {
    until(
        "the operator is ready",
        Duration::from_mins(3),
        async || one_ready(client).await,
    )
    .await
}

async fn one_ready(client: &Client) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let ours = ListParams::default().labels("app.kubernetes.io/name=chainlink-operator");
    let mut ready = pods.list(&ours).await?.items.into_iter().filter(is_ready);
    let pod = ready.next().context("no pod of the operator is ready")?;
    ensure!(ready.next().is_none(), "two pods of the operator are ready");
    Ok(pod)
}

/// Kills the operator's process (SIGKILL) and removes its pod at once, so that the Deployment starts another without
/// the kubelet's growing back-off. Returns when the next one is ready.
pub async fn kill(client: &Client) -> Result<()> {
    let pod = ready_pod(client).await?.name_any();
    machine::signal(&pod, "chainlink-operator", "KILL")?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    pods.delete(&pod, &at_once).await?;
    until("the operator is back", Duration::from_mins(2), async || {
        let next = one_ready(client).await?.name_any();
        ensure!(next != pod, "the killed pod {pod} still passes for ready");
        Ok(())
    })
    .await
}

/// The operator's log, for a person who looks for a fault.
pub fn log(cluster: &Cluster) -> String {
    cluster
        .kubectl(&[
            "logs",
            "--namespace",
            NAMESPACE,
            "deployment/chainlink-operator",
            "--tail=-1",
        ])
        .unwrap_or_else(|error| format!("{error:#}"))
}

/// All pods of the operator, also those that are on their way out.
pub async fn pods(client: &Client) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let ours = ListParams::default().labels("app.kubernetes.io/name=chainlink-operator");
    Ok(pods.list(&ours).await?.items)
}

/// Whether a pod is ready, and is to stay.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one.type_ == "Ready" && one.status == "True")
        })
}
