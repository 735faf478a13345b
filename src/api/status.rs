//! `status`: what is, and what the operator is about to do, for people to read. The part under `operator` is the
//! operator's memory, and stands in `memory`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::{LastHandover, LockMove};
use super::memory::{Memory, Request};
use super::updates::{AppliedUpdate, Update};

fn never_observed() -> i64 {
    -1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainlinkNodeStatus {
    /// Generation of the spec that this status is about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// One or two words for people: Running, Upgrading, Starting, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What is going on, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Ready, Reconciling and Stalled as kstatus reads them; Available and Redundant beside them.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Name of the pod that holds the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Who holds the lock: the active pod; one that boots with it, which the database may tell before its log does; or
    /// `external` where all pods of ours wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Version of the active pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<String>,
    /// Pods that wait for the lock, of those wanted: `1/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standbys: Option<String>,
    /// Number of pods, for the scale subresource.
    #[serde(default)]
    pub replicas: i32,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Every pod.
    #[serde(default)]
    pub pods: Vec<PodStatus>,
    /// The handover in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<HandoverStatus>,
    /// The last handover or failover that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handover: Option<LastHandover>,
    /// The last ten moves of the lock, the newest first: handovers, failovers, and pods that became active with none before
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<LockMove>,
    /// The last switchover that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchover: Option<Request>,
    /// The last drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Request>,
    /// The newer release that `spec.updates` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    /// The release that runs in place of `spec.version`, as `spec.updates.policy` is, or was, `Apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedUpdate>,
    /// The operator's memory.
    #[serde(default)]
    pub operator: Memory,
}

impl Default for ChainlinkNodeStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            phase: None,
            message: None,
            conditions: Vec::new(),
            active: None,
            holder: None,
            current_version: None,
            standbys: None,
            replicas: 0,
            selector: None,
            pods: Vec::new(),
            handover: None,
            last_handover: None,
            history: Vec::new(),
            switchover: None,
            drill: None,
            update: None,
            applied: None,
            operator: Memory::default(),
        }
    }
}

/// One pod, as a person would ask about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    pub name: String,
    pub uid: String,
    /// Active, Standby, Unfit, Starting, Pending, Failing, Ended, Stopping, Suspect, Foreign, Unknown.
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// When it took the lock; else since when it waits for it; else when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why it is not further, or its last words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often its container has ended.
    #[serde(default)]
    pub exits: i32,
}

/// A handover in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandoverStatus {
    /// Version (and revision) that is left.
    pub from: String,
    /// Version (and revision) that is wanted.
    pub to: String,
    /// What differs: Version or Configuration.
    pub reason: String,
    /// What the operator is at: `Settling`, `Surging`, `AwaitingStandby`, `ReplacingStandbys`,
    /// `StoppingActive`, `AwaitingTakeover`; or, where the handover has to wait for it, `Booting`,
    /// `Restoring`, `Trimming`, `Holding`.
    pub step: String,
    pub started_at: Timestamp,
}
