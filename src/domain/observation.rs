//! What one fresh look at the cluster showed, in the planner's terms. Data only: `observe` fills it, and `plan` reads it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::answer::DatabaseView;
use super::claim::Claim;
use super::ended::EndedNodes;
use super::intent::Intent;
use super::machine::Machine;
use super::oneshot::{Pull, Validation};
use super::pod::{Pod, PodId};
use super::revision::Revision;
use crate::api::RevisionName;

/// One fresh look.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When the look began.
    pub at: Timestamp,
    pub intent: Intent,
    /// Every kept revision by name.
    pub revisions: BTreeMap<RevisionName, Revision>,
    /// Every pod of the resource that the API server still has.
    pub pods: Vec<Pod>,
    /// Every pod that only pulls an image.
    pub pulls: Vec<Pull>,
    /// Every pod that only checks a configuration.
    pub validations: Vec<Validation>,
    /// A name under which a pod was to be made, and which is somebody else's pod.
    pub taken: Option<String>,
    /// A stop that the API server did not do.
    pub refused_stop: Option<Refused>,
    /// Pods that the API server did not make when that was last tried, by their revision.
    pub refused_creations: BTreeMap<RevisionName, Refused>,
    /// Pods that are no nodes and that the API server did not make when that was last tried, by their name.
    pub refused_oneshots: BTreeMap<String, Refused>,
    /// The lease of a node that ended which could not be given back for it when that was last tried.
    pub refused_return: Option<Refused>,
    /// Of the pods that wait, the one that a stop is best timed for, where that is known.
    pub best_timed: Option<PodId>,
    /// The nodes whose ends were seen, in this look or before (rule S10).
    pub ended: EndedNodes,
    /// What the database itself says of the lock.
    pub database: DatabaseView,
    /// Every machine of the cluster by name; `None` where they may not be read.
    pub machines: Option<BTreeMap<String, Machine>>,
    /// What other resources have, or are about to have, on the same database (rule S7).
    pub claims: Vec<Claim>,
}

/// What the API server did not do when it was last tried: the stop of a pod, or its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Of a stop the uid of the pod; of a creation the name that it was to have; of the return of a lease the `client_id` of
    /// the node that ended.
    pub pod: String,
    pub message: String,
    /// Whether a person has to do something, as far as can be told.
    pub lasting: bool,
    /// Whether the API server may do it yet: it did not answer in time, or not with a refusal. After such a stop no other
    /// pod is stopped before that has shown (rule S2).
    pub perhaps: bool,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again.
    pub again: Timestamp,
}
