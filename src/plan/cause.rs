//! Why a pod is stopped, what a handover is for, and why either is denied: words, and no decision.

use std::fmt;

use crate::domain::{MoveReason, PodId, Reason};

/// Why a pod is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The active, for a standby that waits.
    Handover { successor: PodId },
    /// The user asked for an end (`replicas: 0`).
    End,
    /// A standby of another revision, for the rollout.
    Replaced,
    /// A pod of a version that is no longer wanted, before it can win the lock.
    Abandoned,
    /// More pods than wanted.
    Surplus,
    /// It could take the lock instead of the pod that a move is meant for.
    Aside,
    /// Its machine is being emptied.
    Leaving,
    /// Seen to wait for the lock; the handover to it is held.
    Checked,
    /// It sits on another database (rule S9).
    Foreign,
    /// In back-off after its database was away.
    BackOff,
    /// Of a newer version that took the lock and ended before it migrated anything.
    RolledBack,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handover { successor } => write!(out, "handover to {}", successor.name),
            Self::End => out.write_str("replicas is 0"),
            Self::Replaced => out.write_str("replaced by a pod of the wanted revision"),
            Self::Abandoned => out.write_str("its version is no longer wanted"),
            Self::Surplus => out.write_str("more pods than wanted"),
            Self::Aside => {
                out.write_str("it could take the lock instead of the pod that is meant to")
            }
            Self::Leaving => out.write_str("its machine is being emptied"),
            Self::Checked => {
                out.write_str("it was seen to wait for the lock, and the handover is held")
            }
            Self::Foreign => out.write_str("it sits on another database"),
            Self::BackOff => out.write_str("it is in back-off and its database was away"),
            Self::RolledBack => out.write_str(
                "its version took the lock and ended before it migrated anything, and is rolled back",
            ),
        }
    }
}

/// What a handover is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Another revision.
    Rollout,
    /// The machine of the active is being emptied.
    Maintenance,
    /// Somebody asked for it.
    Switchover,
    /// The active goes back to a preferred machine.
    Failback,
    /// For its own sake.
    Drill,
    /// The active runs, and its port does not answer.
    Unresponsive,
}

impl Purpose {
    /// The word for a move of the lock with this purpose. A rollout has none of its own: it is told by what the two pods
    /// differ in.
    pub const fn move_reason(self) -> Option<MoveReason> {
        match self {
            Self::Rollout => None,
            Self::Maintenance => Some(MoveReason::Maintenance),
            Self::Switchover => Some(MoveReason::Switchover),
            Self::Failback => Some(MoveReason::Failback),
            Self::Drill => Some(MoveReason::Drill),
            Self::Unresponsive => Some(MoveReason::Unresponsive),
        }
    }
}

/// A rule that denies, and why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub reason: Reason,
    pub message: String,
}

pub fn deny<T>(reason: Reason, message: impl Into<String>) -> Result<T, Denied> {
    Err(Denied {
        reason,
        message: message.into(),
    })
}
