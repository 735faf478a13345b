//! The `ChainlinkNode` itself, and its CustomResourceDefinition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON,
};
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use serde::{Deserialize, Serialize};

use super::pod::PodOptions;
use super::schema::tidy;
use super::service::ServiceOptions;
use super::spec::{Config, Credentials, Database, Drill, Failover, Handover, Image};
use super::status::ChainlinkNodeStatus;
use super::updates::Updates;

fn default_replicas() -> i32 {
    2
}

/// Redundant Chainlink nodes on one database: one is active, the others wait for its lock.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "chainlink-operator.dev",
    version = "v1alpha1",
    kind = "ChainlinkNode",
    plural = "chainlinknodes",
    shortname = "cln",
    category = "chainlink",
    namespaced,
    derive = "PartialEq",
    status = "ChainlinkNodeStatus",
    doc = "Redundant Chainlink nodes on one database: one is active, the others wait for its lock.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.currentVersion", description = "Version of the active pod"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.active", description = "The pod that holds the lock"),
    printcolumn(name = "Standbys", type_ = "string", json_path = ".status.standbys", description = "Pods that wait for the lock, and how many are wanted"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Wanted", type_ = "string", json_path = ".spec.version", priority = 1, description = "Version that the spec asks for"),
    printcolumn(name = "Applied", type_ = "string", json_path = ".status.applied.version", priority = 1, description = "Version that spec.updates has put in its place"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.pods[?(@.role==\"Active\")].since", priority = 1, description = "Since when the active pod has the lock"),
    printcolumn(name = "Last gap", type_ = "string", json_path = ".status.lastHandover.gap", priority = 1, description = "Time without an active in the last handover"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 45").message("the name is too long: pods, Services and labels are named after it; use at most 45 characters"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("the name becomes the name of a Service: use lower-case letters, digits and '-', beginning with a letter"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.version.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$')").message("version must be a full version number without a leading v, such as \"2.29.0\": it decides what may follow what, so 'latest', '2.29' or a digest can't stand here (a tag or digest goes into image)").field_path(".version"))]
#[x_kube(validation = Rule::new("!has(self.image) || !has(self.image.tag) || !self.image.tag.matches('^v?[0-9]+[.][0-9]+[.][0-9]+(-.*)?$') || self.image.tag == self.version || self.image.tag == 'v' + self.version || self.image.tag.startsWith(self.version + '-') || self.image.tag.startsWith('v' + self.version + '-')").message("image.tag names another version than version: change both together, or leave image.tag out (it is the version by default)").field_path(".image.tag"))]
#[x_kube(validation = Rule::new("!has(self.image) || !has(self.image.repository) || !self.image.repository.matches('(:[^/]*|@.*)$')").message("image.repository is written without tag and digest: put them into version, image.tag or image.digest").field_path(".image.repository"))]
#[x_kube(validation = Rule::new("!has(self.handover) || !has(self.handover.surge) || self.handover.surge != 0 || self.replicas != 1").message("handover.surge: 0 needs at least 2 replicas (a standby is replaced in place, the active never): set replicas to 2 or more, or surge to 1").field_path(".handover.surge"))]
pub struct ChainlinkNodeSpec {
    /// Number of pods: one active, the others standby. 0 stops all of them (hibernate). Default: 2.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 9))]
    pub replicas: i32,
    /// Version of the node, a full semver such as `2.29.0`. It is the image tag by default.
    #[schemars(length(min = 1, max = 64))]
    pub version: String,
    /// Where the image comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// The one database of all pods.
    pub database: Database,
    /// The node's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// Keystore password and API credentials.
    pub credentials: Credentials,
    /// How planned moves of the lock are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Any text; a new one replaces the pods by handover (a rotated password or certificate). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub restarted_at: Option<String>,
    /// What can be said about the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOptions>,
    /// The Service that follows the active pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceOptions>,
    /// What is done about an active that runs and does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// Rehearse the handover on a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// Newer releases are looked for in the registry of the image, and told. Default: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
    /// Nothing planned is done: no rollout, switchover, maintenance or drill, no scaling down. Status, the
    /// Service and the repair of lost pods go on. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// Marks by which Helm, Argo CD and Flux leave the CRD where it is: with it goes every resource.
const KEPT: [(&str, &str); 3] = [
    ("helm.sh/resource-policy", "keep"),
    (
        "argocd.argoproj.io/sync-options",
        "Prune=false,Delete=false",
    ),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

/// The CustomResourceDefinition as it is committed under `crds/` and shipped in the chart.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = ChainlinkNode::crd();
    let kept = KEPT.map(|(key, value)| (key.to_owned(), value.to_owned()));
    crd.metadata.annotations = Some(kept.into());
    for version in &mut crd.spec.versions {
        let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        tidy(schema);
        let status = schema
            .properties
            .as_mut()
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            // kstatus skips the comparison of an absent observedGeneration, so that a resource which
            // no operator has seen yet would pass for Current.
            status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        }
    }
    crd
}

/// [`crd`] as YAML (JSON is YAML, but people read this file).
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&crd())
}
