//! What is going on, for people: the step that the plan is at, and what it waits for.

use std::time::Duration;

use crate::domain::Reason;
use jiff::Timestamp;

/// The step that the plan is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Everything is as wanted.
    Steady,
    /// `replicas: 0`, and all pods are gone.
    Hibernating,
    /// `replicas: 0`, and pods are being stopped.
    Ending,
    /// A change has been seen and has to be still for a moment.
    Settling,
    /// The wanted configuration is being checked by a pod that is no node.
    Validating,
    /// A pod of the wanted revision is being made.
    Surging,
    /// A pod of the wanted revision has been made and does not wait for the lock yet.
    AwaitingStandby,
    /// The wanted image is being pulled where a standby is to be replaced in place.
    PullingImage,
    /// Standbys of other revisions are being replaced.
    ReplacingStandbys,
    /// The active is being stopped.
    StoppingActive,
    /// The active was stopped; the successor has not served yet.
    AwaitingTakeover,
    /// The active holds the lock and does not serve yet: it boots, or migrates the database.
    Booting,
    /// Pods beyond `replicas` are being removed.
    Trimming,
    /// Lost pods are being replaced, or the first ones made.
    Restoring,
    /// All pods wait; somebody outside holds the lock.
    External,
    /// Nothing is done, for the reason given.
    Holding,
}

/// What the plan waits for, or what forbids it to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
    /// Whether a person has to do something, as far as can be told.
    pub stalled: bool,
}

/// What is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    /// The pod that it is about.
    pub pod: Option<String>,
    pub blocked: Option<Blocked>,
    /// When the step is over by itself.
    pub until: Option<Timestamp>,
}

impl Progress {
    pub(super) fn at(step: Step) -> Self {
        Self {
            step,
            pod: None,
            blocked: None,
            until: None,
        }
    }

    pub(super) fn about(mut self, pod: &str) -> Self {
        self.pod = Some(pod.to_owned());
        self
    }

    pub(super) fn blocked(mut self, blocked: Blocked) -> Self {
        self.blocked = Some(blocked);
        self
    }

    pub(super) fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether as many other resources move their lock as may: it is told when one of them is done.
    pub fn waits_for_turn(&self) -> bool {
        let blocked = self.blocked.as_ref();
        blocked.is_some_and(|blocked| blocked.reason == Reason::WaitingForTurn)
    }

    /// When to look again if nothing happens before.
    pub(super) fn again(&self, now: Timestamp) -> Duration {
        if let Some(until) = self.until {
            let rest = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            return rest.clamp(Duration::from_millis(100), Duration::from_secs(15));
        }
        let stalled = self.blocked.as_ref().is_some_and(|blocked| blocked.stalled);
        match self.step {
            Step::Steady | Step::Hibernating | Step::External => Duration::from_secs(15),
            _ if stalled || self.waits_for_turn() => Duration::from_secs(5),
            Step::StoppingActive | Step::AwaitingTakeover => Duration::from_millis(200),
            _ => Duration::from_secs(1),
        }
    }
}
