//! What people write who run a node without an operator: a pod, a file of configuration, a Service.

use anyhow::{Context, Result, ensure};
use chainlink_operator::node::log::{LogEvent, read_line};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, LogParams};
use kube::api::{Patch, PatchParams};
use kube::core::TypeMeta;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::world::PATIENCE;
use crate::{World, until};

/// The name of Service, workload and label.
pub const NAME: &str = "node";
const CONFIG: &str = "plain";
/// In which each pod makes its root folder.
const FOLDER: &str = "/chainlink";

/// A table that no node knows.
pub const REFUSED: &str = "[Nonsense]\nKey = 1\n";

/// Whether the Service leads to a pod only once it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The usual one, as often as Kubernetes can.
    Health,
    None,
}

/// The Service and the configuration of all plain pods.
pub async fn surroundings(world: &World) -> Result<()> {
    configure(world, "").await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "http", "port": 6688, "protocol": "TCP"}]},
    });
    apply(world, &service).await
}

/// Writes the configuration of the pods that start from now on.
pub async fn configure(world: &World, more: &str) -> Result<()> {
    let config = format!("RootDir = '{FOLDER}/root'\n[Log]\nLevel = 'info'\n{more}");
    world.config_map(CONFIG, "config.toml", &config).await
}

/// A pod's metadata and spec.
pub fn template(world: &World, version: &str, probe: Probe) -> Value {
    let mut container = json!({
        "name": "chainlink",
        "image": format!("{}:{version}", world.cluster.node_repository),
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "node", "-c", "/etc/chainlink/config/config.toml", "start",
            "-p", "/etc/chainlink/credentials/keystore-password", "-a", "/etc/chainlink/credentials/api-credentials",
        ],
        "env": [{"name": "CL_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}}],
        "ports": [{"name": "http", "containerPort": 6688, "protocol": "TCP"}],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "folder", "mountPath": FOLDER},
            {"name": "config", "mountPath": "/etc/chainlink/config", "readOnly": true},
            {"name": "credentials", "mountPath": "/etc/chainlink/credentials", "readOnly": true},
        ],
    });
    if probe == Probe::Health {
        container["readinessProbe"] =
            json!({"httpGet": {"path": "/health", "port": 6688}, "periodSeconds": 1});
    }
    json!({
        "metadata": {"labels": {"app": NAME}},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 14933, "fsGroup": 14933,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "enableServiceLinks": false,
            "automountServiceAccountToken": false,
            "containers": [container],
            "volumes": [
                {"name": "folder", "emptyDir": {}},
                {"name": "config", "configMap": {"name": CONFIG}},
                {"name": "credentials", "secret": {"secretName": "credentials"}},
            ],
        },
    })
}

/// Makes or changes an object.
pub async fn apply(world: &World, object: &Value) -> Result<()> {
    let types: TypeMeta = serde_json::from_value(object.clone())?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let name = object["metadata"]["name"].as_str().context("no name")?;
    let parameters = PatchParams::apply("bench").force();
    api.patch(name, &parameters, &Patch::Apply(object)).await?;
    Ok(())
}

/// All pods of the comparison.
pub async fn pods(world: &World) -> Result<Vec<Pod>> {
    let ours = ListParams::default().labels(&format!("app={NAME}"));
    Ok(world.pods().list(&ours).await?.items)
}

/// Whether a pod has this version, and is to stay.
pub fn is_of(pod: &Pod, version: &str) -> bool {
    let images = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut images = images.filter_map(|container| container.image.as_deref());
    pod.metadata.deletion_timestamp.is_none()
        && images.any(|image| image.ends_with(&format!(":{version}")))
}

/// Waits until all pods but the one that works say in their logs that they wait, as a person would read it.
pub async fn until_others_wait(world: &World, active: &str) -> Result<()> {
    for pod in pods(world).await? {
        if pod.name_any() != active {
            until_waits(world, &pod.name_any()).await?;
        }
    }
    Ok(())
}

/// Waits until a pod says in its log that it waits.
pub async fn until_waits(world: &World, pod: &str) -> Result<()> {
    until(&format!("{pod} waits for the lock"), PATIENCE, async || {
        let log = world.pods().logs(pod, &LogParams::default()).await?;
        let waits = |line: &str| matches!(read_line(line).event, LogEvent::Waiting { .. });
        ensure!(log.lines().any(waits), "its log does not say so");
        Ok(())
    })
    .await
}
