//! The right to stop a pod, and what the stop of an active is for.

use crate::api::RevisionName;
use crate::domain::{Container, Pod, PodId, Revision};
use crate::plan::cause::{Cause, Purpose};

/// The right to stop one pod, as it stood in one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pod: PodId,
    resource_version: String,
    cause: Cause,
    active: bool,
    to: Option<RevisionName>,
    purpose: Purpose,
    never_started: bool,
    relies_on: Vec<PodId>,
    asks_database: bool,
}

impl Permit {
    pub fn pod(&self) -> &PodId {
        &self.pod
    }
    /// The version of the pod that the guard saw: the delete carries it.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
    /// Whether the pod was active.
    pub fn active(&self) -> bool {
        self.active
    }
    /// What the handover is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
    /// The revision that the handover is for.
    pub fn to(&self) -> Option<&RevisionName> {
        self.to.as_ref()
    }
    /// Whether Kubernetes has said why the pod's container could not start.
    pub fn never_started(&self) -> bool {
        self.never_started
    }
    /// The pods without which the stop would not be permitted: each of them has to answer right before it (rule S5).
    pub fn relies_on(&self) -> &[PodId] {
        &self.relies_on
    }
    /// Whether it rests on a standby that could take over, of which the database is asked right before it (rule S5).
    pub fn asks_database(&self) -> bool {
        self.asks_database
    }
    /// The standby that is to take over.
    pub fn successor(&self) -> Option<&PodId> {
        match &self.cause {
            Cause::Handover { successor } => Some(successor),
            _ => None,
        }
    }
}

/// How a guard makes one.
impl Permit {
    pub(super) fn of(pod: &Pod, cause: Cause, active: bool) -> Self {
        Self {
            pod: pod.id.clone(),
            resource_version: pod.resource_version.clone(),
            cause,
            active,
            to: None,
            purpose: Purpose::Rollout,
            relies_on: Vec::new(),
            asks_database: false,
            never_started: matches!(pod.container, Container::NotStarted { trouble: Some(_) }),
        }
    }

    pub(super) fn toward(mut self, goal: &Goal<'_>) -> Self {
        self.to = Some(goal.revision.name.clone());
        self.purpose = goal.purpose;
        self
    }

    /// It rests on this standby, too, where there is one.
    pub(super) fn resting_on(mut self, standby: Option<&Pod>) -> Self {
        self.relies_on.extend(standby.map(|pod| pod.id.clone()));
        self.asks_database = standby.is_some();
        self
    }

    pub(super) fn relying_on<'a>(mut self, pods: impl IntoIterator<Item = &'a Pod>) -> Self {
        self.relies_on = pods.into_iter().map(|pod| pod.id.clone()).collect();
        self
    }
}

/// What the stop of an active is for.
#[derive(Debug)]
pub struct Goal<'a> {
    /// The revision of its successor.
    pub revision: &'a Revision,
    /// The uids of the pods that may succeed it; any of the revision where there is none.
    pub allowed: Option<&'a [String]>,
    pub purpose: Purpose,
}

impl<'a> Goal<'a> {
    pub fn rollout(revision: &'a Revision) -> Self {
        Self {
            revision,
            allowed: None,
            purpose: Purpose::Rollout,
        }
    }

    pub(super) fn allows(&self, pod: &Pod) -> bool {
        pod.revision.as_ref() == Some(self.revision)
            && self
                .allowed
                .is_none_or(|allowed| allowed.contains(&pod.id.uid))
    }
}
