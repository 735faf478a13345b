//! What is to be done to the cluster: what the planner hands out. Data only.

use std::time::Duration;

use super::guard::{Permit, Return};
use super::step::Progress;
use crate::api::{LastHandover, LockMove, Memory, RevisionName};
use crate::domain::{Place, PodId};

/// What is to be done now.
#[derive(Clone, Debug)]
pub struct Plan {
    /// To be written, with the resource's `resourceVersion`, before the acts (rule S4).
    pub memory: Memory,
    /// In this order. At most one is a stop, or the return of a lease, and it comes last.
    pub acts: Vec<Act>,
    /// The pod that the Services should lead to by its own label, while the lock moves on purpose. Else they lead to the one that
    /// is labelled active.
    pub led_to: Option<PodId>,
    /// What is going on, for people.
    pub progress: Progress,
    /// A handover or failover that this look shows to have ended.
    pub finished: Option<LastHandover>,
    /// The same for the history, and a pod that is active with none before it.
    pub moved: Option<LockMove>,
    /// When to look again if nothing happens before.
    pub again: Duration,
    /// How many standbys have to stay while pods are evicted.
    pub standbys_kept: usize,
}

impl Plan {
    /// Whether the label of the active moves: another node works than the one that the Service was led to.
    pub fn moves_a_role(&self) -> bool {
        let labels = |act: &Act| matches!(act, Act::Label { .. });
        self.acts.iter().any(labels)
    }

    /// The stop in it is sent so much later, and its intent bears the time at which it is: the gap counts from there.
    pub fn stops_later(&mut self, by: Duration) {
        if let Some(stop) = &mut self.memory.stopping {
            stop.at = stop.at.checked_add(by).unwrap_or(stop.at);
        }
    }
}

/// One act on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Make a pod by the name that `memory.creating` reserves for it.
    Create {
        pod: String,
        revision: RevisionName,
        place: Place,
    },
    /// Make a pod that pulls the image of a revision on one machine.
    Pull {
        pod: String,
        revision: RevisionName,
        machine: String,
    },
    /// Make a pod that checks the configuration of a revision.
    Validate { pod: String, revision: RevisionName },
    /// Remove a pod that pulled an image, or checked a configuration.
    EndOneshot { pod: PodId },
    /// Move the active role label.
    Label { pod: PodId, active: bool },
    /// Set the readiness gate.
    Gate { pod: PodId, ready: bool },
    /// Remove a pod that can't run again.
    Tidy { pod: PodId },
    /// Give back the lease of a node that has ended (rule S10). Done twice, the second finds nothing to give back.
    ReleaseLease(Return),
    /// Delete a pod that runs, or may.
    Stop(Permit),
}
