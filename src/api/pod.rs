//! `spec.pod`: what can be said about the pods. Narrow fields in the words of Kubernetes, and never a whole pod template: what
//! keeps two nodes apart could be written over in one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, CSIVolumeSource, HostAlias, PodDNSConfig, ProjectedVolumeSource, Toleration,
    TopologySpreadConstraint,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resources::Resources;
use super::sidecar::{Scratch, Sidecar};
use super::{Amount, pod_schema, schema};

/// How pods are spread over machines and zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
pub enum Spread {
    /// Different machines and zones where possible (default).
    Preferred,
    /// Never two pods on one machine; needs a machine more than replicas for a handover.
    Required,
    /// No spreading by the operator.
    None,
}

/// Storage for the node's root folder. Nothing in it is needed after the pod: keys are in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.size) || type(self.size) == int || isQuantity(self.size)").message("storage.size can't be read: write a number with a unit that Kubernetes knows, such as 2Gi").field_path(".size"))]
pub struct RootStorage {
    /// Its size in bytes, such as `2Gi`. Default: 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Amount>,
    /// Use a generic ephemeral volume of this storage class. Without it: the machine's own disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub storage_class_name: Option<String>,
}

/// A claim on a volume that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.readOnly) || self.readOnly").message("the node sees its volumes read-only: leave readOnly out, or write true").field_path(".readOnly"))]
pub struct Claim {
    /// Name of the claim. All pods mount it at once, on several machines: its access mode has to be
    /// `ReadOnlyMany` or `ReadWriteMany`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub claim_name: String,
    /// Nothing but true. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// What the node sees read-only, for example a CA certificate, and what a container beside it may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretName), has(self.configMapName), has(self.csi), has(self.projected), has(self.persistentVolumeClaim), has(self.emptyDir)].filter(given, given).size() == 1").message("give exactly one of secretName, configMapName, csi, projected, persistentVolumeClaim and emptyDir"))]
#[x_kube(validation = Rule::new("!has(self.csi) || !has(self.csi.readOnly) || self.csi.readOnly").message("the node sees its volumes read-only: leave readOnly out, or write true").field_path(".csi.readOnly"))]
#[x_kube(validation = Rule::new("!has(self.mountPath) || !self.mountPath.matches('^/+(etc|tmp|chainlink(/.*)?|etc/+chainlink(/.*)?)?/*$')").message("/chainlink, /etc/chainlink, /tmp and what holds them are the operator's: mount it elsewhere, such as /certificates").field_path(".mountPath"))]
pub struct ExtraVolume {
    /// Name of the volume, unique in the list.
    #[schemars(
        length(min = 1, max = 50),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The folder under which the node sees it, read-only. Without it: the node does not, and a container of `sidecars` or
    /// `initContainers` mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 253), regex(pattern = r"^/[^:]*$"))]
    pub mount_path: Option<String>,
    /// All keys of this Secret, as files. Exactly one of the kinds of volume is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub secret_name: Option<String>,
    /// All keys of this ConfigMap, as files; pods mount a copy, and a change of it rolls like any other change. Exactly one of the
    /// kinds of volume is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub config_map_name: Option<String>,
    /// What a CSI driver puts there, such as the secrets of a vault (`secrets-store.csi.k8s.io`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::csi")]
    pub csi: Option<CSIVolumeSource>,
    /// Several Secrets, ConfigMaps, tokens and fields of the pod in one folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::projected")]
    pub projected: Option<ProjectedVolumeSource>,
    /// A volume that is there already, by its claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Claim>,
    /// A folder that is empty at first: what a container of `sidecars` or `initContainers` writes there, the node reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<Scratch>,
}

/// Who the node runs as. The default passes the restricted Pod Security profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurity {
    /// The number of the user. 0 for `-root` images. Default: 14933, the image's `chainlink` user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// The number of the user's group. Default: 14933.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// The number of the group that owns the volumes. Default: 14933.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub fs_group: Option<i64>,
    /// Whether the image's own files can't be written to. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
}

/// What can be said about the pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.startsWith('chainlink-operator.dev/'))").message("labels that begin with chainlink-operator.dev/ are the operator's: give yours a prefix of your own, such as example.com/").field_path(".labels"))]
#[x_kube(validation = Rule::new("!has(self.annotations) || self.annotations.all(k, !k.startsWith('chainlink-operator.dev/'))").message("annotations that begin with chainlink-operator.dev/ are the operator's: give yours a prefix of your own, such as example.com/").field_path(".annotations"))]
#[x_kube(validation = Rule::new("!has(self.volumes) || self.volumes.all(v, !has(v.mountPath) || self.volumes.exists_one(w, has(w.mountPath) && w.mountPath == v.mountPath))").message("two volumes are mounted at the same mountPath: give each a folder of its own").field_path(".volumes"))]
#[x_kube(validation = Rule::new("!has(self.security)").message("security is called securityContext, as in a pod: write the same fields there").field_path(".security"))]
#[x_kube(validation = Rule::new("!has(self.initContainers) || self.initContainers.all(one, !has(one.startupProbe) && !has(one.readinessProbe) && !has(one.livenessProbe))").message("an init container is waited for until it ends: leave its probes out, or move it to sidecars").field_path(".initContainers"))]
#[x_kube(validation = Rule::new("!has(self.initContainers) || !has(self.sidecars) || self.initContainers.all(one, !self.sidecars.exists(other, other.name == one.name))").message("two containers have the same name: give each a name of its own").field_path(".initContainers"))]
#[x_kube(validation = Rule::new("!has(self.shareProcessNamespace) || !self.shareProcessNamespace").message("another container could look into the node and end it: leave shareProcessNamespace out; what sidecars share with the node is an emptyDir of volumes").field_path(".shareProcessNamespace"))]
#[x_kube(validation = Rule::new("!has(self.hostNetwork) || !self.hostNetwork").message("a pod is known by an address of its own, at which the node answers or waits: leave hostNetwork out").field_path(".hostNetwork"))]
pub struct PodOptions {
    /// CPU and memory of the node. Without it: what the namespace gives, else what is free on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels of the machines that pods may run on. Default: all machines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of machines that pods tolerate, beside those of a lost machine, which they always do. Default: none more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// How pods are kept apart. `Preferred`: on different machines and zones where possible. `Required`: never two on one machine,
    /// which needs a machine more than replicas for a handover. `None`: they are not kept apart by the operator.
    /// Default: `Preferred`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// The priority class of the pods. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub priority_class_name: Option<String>,
    /// The service account of the pods, in the namespace of the resource. Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub service_account_name: Option<String>,
    /// Labels of the pods, beside the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, beside the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Where the node's root folder lies, and how large it may be. Without it: 1Gi on the machine's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<RootStorage>,
    /// What is mounted beside the operator's own volumes, read-only. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Vec<ExtraVolume>,
    /// Who the node runs as. Without it: as the restricted Pod Security profile wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<PodSecurity>,
    /// Never allowed: it is called `securityContext`. The name stays, so that the refusal can say the new one, and as kept
    /// revisions have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<PodSecurity>,
    /// Seconds between SIGTERM and SIGKILL, 30 or more: the node itself may need 10. Default: 30, or 15 more than a
    /// `ShutdownGracePeriod` of yours that can be read, and with `Telemetry.Enabled` 30 more than both (50).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Whether the token of `serviceAccountName` is mounted, as an injector of secrets or a cloud's identity wants it. The
    /// node itself has no use for it. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
    /// Machines that pods have to or had better run on, and pods that they have to or had better be near to or away from,
    /// beside what `spread` says. A term without `labelSelector` means the pods of this resource. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::affinity")]
    pub affinity: Option<Affinity>,
    /// How evenly pods are spread, beside what `spread` says. One without `labelSelector` means the pods of this resource; a
    /// handover needs room for one pod more. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pod_schema::topology_spread")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The runtime class of the pods, such as `gvisor`. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub runtime_class_name: Option<String>,
    /// Name servers and search domains of the pods, beside those of the cluster. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::dns")]
    pub dns_config: Option<PodDNSConfig>,
    /// Lines of the pods' `/etc/hosts`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pod_schema::host_aliases")]
    pub host_aliases: Vec<HostAlias>,
    /// Containers that run beside the node, from before its start to after its end, such as a proxy to its database. They are
    /// started in their order, before `initContainers`. They need Kubernetes 1.29 or later. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sidecars: Vec<Sidecar>,
    /// Containers that run to their end before the node is started, one after the other. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub init_containers: Vec<Sidecar>,
    /// Never allowed, but for false: another container could look into the node, and end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_process_namespace: Option<bool>,
    /// Never allowed, but for false: a pod is known by an address of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
}
