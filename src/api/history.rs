//! Moves of the lock that ended: `status.lastHandover`, and `status.history`, who had it one after the other.
//!
//! For people and tools only: no rule reads either in a status, and nothing is decided by them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::revision_name::RevisionName;

/// So many are kept. What is older stands in events and in the log of the operator.
const KEPT: usize = 10;

/// A move of the lock that ended, or a first active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockMove {
    /// Pod and version before. Absent where no pod of this resource is known to have been active before: on its first
    /// start, after `replicas: 0`, and where the lock was held outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Pod and version after.
    pub to: String,
    /// Revision of the pod after.
    pub revision: RevisionName,
    /// As in `lastHandover`: Failover, Version, Configuration, Move, Maintenance, Switchover, Failback, Drill,
    /// Unresponsive; or Start, where there is no `from`.
    pub reason: String,
    /// Who wanted it. Spec: a change of the spec, or of what it refers to. Approval: the same, after a person had approved
    /// it. Annotation: a person asked for a switchover. Schedule: of `spec.drill`. Drain: the machine was being emptied.
    /// Operator: the operator itself, by what the spec says of failover or fail-back. Nobody: the old active ended, or was
    /// cut off, unasked.
    pub asked_by: String,
    /// When the duty of the old active ended, as far as was seen; else as `finishedAt`.
    pub started_at: Timestamp,
    /// When the new active was first seen to serve.
    pub finished_at: Timestamp,
    /// As in `lastHandover`: milliseconds without an active. Absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<i64>,
    /// The same for people: `1.8s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// Whether the gap is at most so long, as in `lastHandover`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap_is_upper_bound: bool,
    /// Whether the gap was cut short, as in `lastHandover`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease_given_back: bool,
}

impl LockMove {
    /// The same, where it was from one pod to the next.
    pub fn handover(&self) -> Option<LastHandover> {
        Some(LastHandover {
            from: self.from.clone()?,
            to: self.to.clone(),
            reason: self.reason.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            gap_ms: self.gap_ms,
            gap: self.gap.clone(),
            gap_is_upper_bound: self.gap_is_upper_bound,
            lease_given_back: self.lease_given_back,
        })
    }

    /// The history with this one in it, the newest first.
    #[must_use]
    pub fn before(self, earlier: &[Self]) -> Vec<Self> {
        let earlier = earlier.iter().take(KEPT - 1).cloned();
        std::iter::once(self).chain(earlier).collect()
    }
}

/// A handover or failover that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastHandover {
    /// Pod and version before.
    pub from: String,
    /// Pod and version after.
    pub to: String,
    /// Failover where the old active was not stopped on purpose. Else what the handover was for:
    /// Maintenance, Switchover, Failback, Drill, Unresponsive; or what the two pods differ in: Version,
    /// Configuration, or Move where they do not.
    pub reason: String,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// In milliseconds, from the end of the old active to the answer by which the new one was first seen
    /// to serve. The end of one that was stopped on purpose is when the operator decided on the stop,
    /// right before it; of another, what its kubelet reported (in whole seconds) or, where the pod was
    /// gone, the look that missed it. Where no end was seen, of one that has not answered since: from its
    /// last answer. Absent where it answers on, its last answer is not known, or the first look after its
    /// end came when another already had the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<i64>,
    /// The same for people: `1.8s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// Whether the gap is at most so long: it begins with the last answer of the old active, whose end
    /// nobody has seen, so that it may have worked on for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap_is_upper_bound: bool,
    /// Whether the gap was cut short: the old active had ended without giving back its lease, and the operator gave it back
    /// for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease_given_back: bool,
}
