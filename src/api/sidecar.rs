//! `spec.pod.sidecars` and `spec.pod.initContainers`: what a node needs beside it, such as a proxy to its database, an agent of
//! a vault or a VPN. Narrow, like all of a pod: what could answer in the node's place, or look into it, is refused.

use k8s_openapi::api::core::v1::Probe;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resources::Resources;
use super::spec::Variable;
use super::{pod_schema, schema};

/// A container beside the node's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.name in ['node', 'session-secret', 'tries'])").message("node, session-secret and tries are the operator's own containers: give yours another name").field_path(".name"))]
pub struct Sidecar {
    /// Name of the container, unique in the pod.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Its image, with tag or digest. `image.pullSecrets` are for it, too.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// What is run in place of the image's entry point; `$(NAME)` is the value of a variable of its own. Default: the entry
    /// point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::command")]
    pub command: Vec<String>,
    /// What is handed to it; `$(NAME)` is the value of a variable of its own. Default: what the image says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::command")]
    pub args: Vec<String>,
    /// Its environment variables. It has none of the node's. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Variable>,
    /// Ports that it listens on, for people and monitoring. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub ports: Vec<SidecarPort>,
    /// CPU and memory of it. Without it: what the namespace gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Which of `pod.volumes` it sees, and where. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"]))]
    pub volume_mounts: Vec<SidecarMount>,
    /// By what a sidecar is known to have come up: the node is started after that. Not for an init container, whose end is
    /// waited for. Without it: as soon as it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::probe")]
    pub startup_probe: Option<Probe>,
    /// By what a sidecar is known to do its work. While it does not, no handover goes to its pod, and no Service leads there.
    /// Not for an init container. Without it: as soon as it has come up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::probe")]
    pub readiness_probe: Option<Probe>,
    /// By what a sidecar is known to be alive: it is started again where it is not, and the node is not. Not for an init
    /// container. Without it: as long as it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_schema::probe")]
    pub liveness_probe: Option<Probe>,
    /// Who it runs as. Without it: as the node, with no more rights than the restricted Pod Security profile gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SidecarSecurity>,
}

impl Sidecar {
    /// Its probes, each with the name of its field.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &Probe)> {
        let all = [
            ("startupProbe", &self.startup_probe),
            ("readinessProbe", &self.readiness_probe),
            ("livenessProbe", &self.liveness_probe),
        ];
        let given = all.into_iter();
        given.filter_map(|(name, probe)| Some((name, probe.as_ref()?)))
    }
}

/// A port that such a container listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.containerPort in [6688, 6689, 6690])").message("6688, 6689 and 6690 are the node's own ports, by which it is seen to wait and to work, and by which its peers find it: have the container listen on another one").field_path(".containerPort"))]
#[x_kube(validation = Rule::new("!has(self.name) || self.name != 'p2p'").message("p2p is the name by which a Service finds the node's own port: give this one another name").field_path(".name"))]
#[x_kube(validation = Rule::new("!has(self.hostPort)").message("a port of the machine can be had by one pod only, and a successor could not start there: leave hostPort out, and make a Service of your own").field_path(".hostPort"))]
pub struct SidecarPort {
    /// Its name, such as `metrics`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 15),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: Option<String>,
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub container_port: i32,
    /// `TCP` or `UDP`. Default: `TCP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<PortProtocol>,
    /// Never allowed: one pod on a machine could have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub host_port: Option<i32>,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PortProtocol {
    Tcp,
    Udp,
}

impl PortProtocol {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A volume as such a container sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SidecarMount {
    /// Name of one of `pod.volumes`.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// The folder under which it is seen.
    #[schemars(length(min = 2, max = 253), regex(pattern = r"^/[^:]*$"))]
    pub mount_path: String,
    /// Whether it is seen read-only. What is no `emptyDir` always is. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// Who such a container runs as. No field of it gives more than the restricted Pod Security profile does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.privileged) || !self.privileged").message("a privileged container could look into the node and its keys: leave privileged out; what needs such rights, as a VPN in the kernel does, belongs on the machine (a DaemonSet)").field_path(".privileged"))]
#[x_kube(validation = Rule::new("!has(self.allowPrivilegeEscalation) || !self.allowPrivilegeEscalation").message("no container of the pod gets more rights than it began with: leave allowPrivilegeEscalation out").field_path(".allowPrivilegeEscalation"))]
#[x_kube(validation = Rule::new("!has(self.runAsNonRoot) || self.runAsNonRoot").message("no container beside the node runs as root: leave runAsNonRoot out, and name the image's user in runAsUser").field_path(".runAsNonRoot"))]
pub struct SidecarSecurity {
    /// The number of the user. Default: the node's, so that each can read what the other writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// The number of the user's group. Default: the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// Nothing but true. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_non_root: Option<bool>,
    /// Whether the image's own files can't be written to. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
    /// Nothing but false. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_privilege_escalation: Option<bool>,
    /// What it may do beyond a plain process. Without it: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<SidecarCapabilities>,
    /// Never allowed, but for false: it could look into the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
}

/// What such a container may do beyond a plain process. All else is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.add) || self.add.all(one, one == 'NET_BIND_SERVICE')").message("NET_BIND_SERVICE is all that the restricted Pod Security profile lets be added: what needs more, as a VPN in the kernel does, belongs on the machine (a DaemonSet), or take a client that works without").field_path(".add"))]
pub struct SidecarCapabilities {
    /// Nothing but `NET_BIND_SERVICE`, for a port below 1024. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::capabilities")]
    pub add: Vec<String>,
    /// Nothing but `ALL`, which is dropped in any case. Default: `ALL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::capabilities")]
    pub drop: Vec<String>,
}

/// A folder that is empty when a pod is made, and goes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.sizeLimit) || type(self.sizeLimit) == int || isQuantity(self.sizeLimit)").message("emptyDir.sizeLimit can't be read: write a number with a unit that Kubernetes knows, such as 64Mi").field_path(".sizeLimit"))]
pub struct Scratch {
    /// Where it lies: `Memory`, for what must not reach a disk. It counts as memory of whoever writes it. Default: the
    /// machine's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<ScratchMedium>,
    /// The most that it may hold, in bytes, such as `64Mi`: a pod that writes more is evicted. Default: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<super::Amount>,
}

/// Where such a folder lies, if not on the machine's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScratchMedium {
    Memory,
}
