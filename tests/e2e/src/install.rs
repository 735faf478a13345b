//! The operator, installed as users install it: by the chart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};

use crate::cluster::Cluster;
use crate::exec::repository;
use crate::machine;
use crate::until;
use crate::world::enforced_namespace;

/// Where the operator is installed.
pub const NAMESPACE: &str = "chainlink-operator";
/// The name of the release.
pub const RELEASE: &str = "chainlink-operator";
/// How many operators the chart starts as it comes.
const REPLICAS: &str = "2";
/// As whom it talks to the API server.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:chainlink-operator:chainlink-operator";

/// Beside the chart's defaults.
const SETTINGS: [&str; 2] = ["rbac.onCallRole=true", "sessionSecrets.generate=true"];

/// Installs or upgrades the operator to this image, and waits until it is ready.
pub async fn install(cluster: &Cluster, image: &str) -> Result<()> {
    enforced_namespace(&cluster.client().await?, NAMESPACE).await?;
    helm_install(cluster, NAMESPACE, image, &SETTINGS)?;
    Ok(())
}

/// The image of the operator that is installed.
pub async fn image(client: &Client) -> Result<String> {
    let container = leader(client).await?.spec;
    let container = container.and_then(|spec| spec.containers.into_iter().next());
    container
        .and_then(|container| container.image)
        .context("the operator has no image")
}

/// `helm test` of the release, with what its pod said where it fails.
pub fn test(cluster: &Cluster) -> Result<()> {
    cluster
        .helm(&[
            "test",
            RELEASE,
            "--namespace",
            NAMESPACE,
            "--logs",
            "--timeout",
            "1m",
        ])
        .map(drop)
}

/// The metrics Service leads to no pod until this is dropped.
pub struct LedAstray<'a>(&'a Cluster);

impl<'a> LedAstray<'a> {
    /// From now on.
    pub fn now(cluster: &'a Cluster) -> Result<Self> {
        let astray = Self(cluster);
        astray.select("\"nobody\"")?;
        Ok(astray)
    }

    /// One label more or less that it asks for.
    fn select(&self, label: &str) -> Result<()> {
        let patch = format!(r#"{{"spec":{{"selector":{{"e2e":{label}}}}}}}"#);
        let service = format!("service/{RELEASE}-metrics");
        let patched = [
            "patch",
            &service,
            "--namespace",
            NAMESPACE,
            "--patch",
            &patch,
        ];
        self.0.kubectl(&patched).map(drop)
    }
}

impl Drop for LedAstray<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.select("null") {
            eprintln!("the metrics Service could not be put back: {error:#}");
        }
    }
}

/// The release with one more setting; put back when dropped.
pub struct Changed<'a> {
    cluster: &'a Cluster,
    image: String,
}

impl<'a> Changed<'a> {
    /// By `helm upgrade`.
    pub async fn to(cluster: &'a Cluster, image: &str, setting: &str) -> Result<Self> {
        let settings = [SETTINGS.as_slice(), &[setting]].concat();
        helm_install(cluster, NAMESPACE, image, &settings)?;
        leader(&cluster.client().await?).await?;
        let image = image.to_owned();
        Ok(Self { cluster, image })
    }

    /// By another `helm upgrade`.
    pub async fn back(self) -> Result<()> {
        let client = self.cluster.client().await?;
        drop(self);
        leader(&client).await.map(drop)
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        if let Err(error) = helm_install(self.cluster, NAMESPACE, &self.image, &SETTINGS) {
            eprintln!("the operator could not be put back: {error:#}");
        }
    }
}

fn helm_install(
    cluster: &Cluster,
    namespace: &str,
    image: &str,
    settings: &[&str],
) -> Result<String> {
    let (repository_name, tag) = image
        .rsplit_once(':')
        .context("the operator's image has no tag")?;
    let chart = repository().join("charts/chainlink-operator");
    let image = format!("image.repository={repository_name},image.tag={tag}");
    let chart = chart.to_string_lossy();
    let mut arguments = vec![
        "upgrade",
        "--install",
        RELEASE,
        &chart,
        "--namespace",
        namespace,
        // The CRD may have been applied by hand before.
        "--take-ownership",
        "--force-conflicts",
        "--wait",
        "--timeout",
        "3m",
        "--set",
        &image,
    ];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    cluster.helm(&arguments)
}

/// A second release in a namespace of its own, for the nodes of one other namespace, without any right to the cluster
/// as a whole. Uninstalled when dropped.
pub struct Confined<'a> {
    cluster: &'a Cluster,
    namespace: String,
}

impl<'a> Confined<'a> {
    /// Installs it, of the image that the operator of all namespaces has.
    pub async fn install(cluster: &'a Cluster, image: &str, nodes: &str) -> Result<Self> {
        let confined = Self {
            cluster,
            namespace: format!("{nodes}-operator"),
        };
        enforced_namespace(&cluster.client().await?, &confined.namespace).await?;
        let watched = format!("watchNamespaces={{{nodes}}}");
        let settings = [
            "clusterWideRights=false",
            "databaseVerification.enabled=false",
            &watched,
        ];
        helm_install(cluster, &confined.namespace, image, &settings)?;
        Ok(confined)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its log.
    pub fn log(&self) -> String {
        log_in(self.cluster, &self.namespace)
    }

    fn uninstall(&self) -> Result<()> {
        let namespace = &self.namespace;
        self.cluster
            .helm(&["uninstall", RELEASE, "--namespace", namespace, "--wait"])?;
        self.cluster
            .kubectl(&["delete", "namespace", namespace, "--wait=false"])?;
        Ok(())
    }
}

impl Drop for Confined<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.uninstall() {
            eprintln!("the operator of one namespace could not be removed: {error:#}");
        }
    }
}

/// The operator of all namespaces without its pods; put back when dropped.
pub struct Absent<'a>(&'a Cluster);

impl<'a> Absent<'a> {
    /// From now on.
    pub fn now(cluster: &'a Cluster) -> Result<Self> {
        let absent = Self(cluster);
        absent.scale("0")?;
        cluster.kubectl(&[
            "wait",
            "--for=delete",
            "pod",
            "--all",
            "--namespace",
            NAMESPACE,
            "--timeout=60s",
        ])?;
        Ok(absent)
    }

    fn scale(&self, replicas: &str) -> Result<()> {
        self.0.kubectl(&[
            "scale",
            "deployment/chainlink-operator",
            "--namespace",
            NAMESPACE,
            "--replicas",
            replicas,
        ])?;
        Ok(())
    }
}

impl Drop for Absent<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.scale(REPLICAS) {
            eprintln!("the operator could not be started again: {error:#}");
        }
    }
}

/// The operator's pod that leads, once it is ready.
pub async fn leader(client: &Client) -> Result<Pod> {
    until("an operator leads", Duration::from_mins(3), async || {
        leads_now(client).await
    })
    .await
}

async fn leads_now(client: &Client) -> Result<Pod> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let lease = leases.get(RELEASE).await?.spec.unwrap_or_default();
    let holder = lease.holder_identity.context("nobody leads")?;
    let (name, _process) = holder.split_once('_').context("no pod's name")?;
    let pods = pods(client).await?.into_iter();
    let mut ready = pods.filter(is_ready);
    ready
        .find(|pod| pod.name_any() == name)
        .with_context(|| format!("{name} led last, and is not ready"))
}

/// Kills the process of the operator that leads (SIGKILL) and removes its pod at once, so that the Deployment starts another
/// without the kubelet's growing back-off. Returns when another one leads.
pub async fn kill(client: &Client) -> Result<()> {
    let pod = leader(client).await?.name_any();
    machine::signal(&pod, "chainlink-operator", "KILL")?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    pods.delete(&pod, &at_once).await?;
    until_another_leads(client, &pod).await
}

/// Waits until an operator leads that is not this pod.
pub async fn until_another_leads(client: &Client, pod: &str) -> Result<()> {
    until("another one leads", Duration::from_mins(2), async || {
        let next = leads_now(client).await?.name_any();
        ensure!(next != pod, "{pod} still passes for the leader");
        Ok(())
    })
    .await
}

/// Waits until as many operators as are wanted are ready, and one of them leads.
pub async fn until_all_ready(client: &Client) -> Result<()> {
    until(
        "all operators are ready",
        Duration::from_mins(3),
        async || {
            let ready = pods(client)
                .await?
                .iter()
                .filter(|pod| is_ready(pod))
                .count();
            ensure!(ready.to_string() == REPLICAS, "{ready} of {REPLICAS} are");
            leads_now(client).await.map(drop)
        },
    )
    .await
}

/// The operator that leads, and stands still (SIGSTOP) until this is dropped.
pub struct Frozen(String);

impl Frozen {
    /// From now on.
    pub async fn now(client: &Client) -> Result<Self> {
        let pod = leader(client).await?.name_any();
        machine::signal(&pod, "chainlink-operator", "STOP")?;
        Ok(Self(pod))
    }

    /// Its pod.
    pub fn pod(&self) -> &str {
        &self.0
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = machine::signal(&self.0, "chainlink-operator", "CONT") {
            eprintln!("{} could not go on: {error:#}", self.0);
        }
    }
}

/// The operator's log, for a person who looks for a fault.
pub fn log(cluster: &Cluster) -> String {
    log_in(cluster, NAMESPACE)
}

fn log_in(cluster: &Cluster, namespace: &str) -> String {
    cluster
        .kubectl(&[
            "logs",
            "--namespace",
            namespace,
            "--selector=app.kubernetes.io/name=chainlink-operator",
            "--tail=-1",
        ])
        .unwrap_or_else(|error| format!("{error:#}"))
}

/// The operator's metrics as Prometheus reads them, on its first port; nothing where no operator is ready.
pub async fn metrics(client: &Client) -> Result<String> {
    let ready = pods(client).await?.into_iter().find(is_ready);
    let Some(pod) = ready else {
        return Ok(String::new());
    };
    let name = pod.metadata.name.unwrap_or_default();
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}/proxy/metrics");
    let request = http::Request::get(path).body(Vec::new())?;
    Ok(client.request_text(request).await?)
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
