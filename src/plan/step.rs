//! What is going on, for people: the step that the plan is at, and what it waits for.

use std::time::Duration;

use jiff::Timestamp;

use super::limits::QUICK;
use crate::domain::Reason;

/// Between two looks at what a person has to do something about, at first. A look is about nine requests: a thousand resources
/// that are looked at so often cost the API server 1,800 requests a second.
const STALLED: Duration = Duration::from_secs(5);
/// Between two looks where nothing is to be done but for what may end by itself.
pub const CALM: Duration = Duration::from_secs(15);
/// Between two looks where nothing is to be done and nothing is in the way: who falls silent is told of.
const AT_REST: Duration = Duration::from_secs(60);

words! {
    /// The step that the plan is at.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Step {
        /// Everything is as wanted.
        Steady = "Steady",
        /// `replicas: 0`, and all pods are gone.
        Hibernating = "Hibernating",
        /// `replicas: 0`, and pods are being stopped.
        Ending = "Ending",
        /// A change has been seen and has to be still for a moment.
        Settling = "Settling",
        /// The wanted configuration is being checked by a pod that is no node.
        Validating = "Validating",
        /// A pod of the wanted revision is being made.
        Surging = "Surging",
        /// A pod of the wanted revision has been made and does not wait for the lock yet.
        AwaitingStandby = "AwaitingStandby",
        /// The wanted image is being pulled where a standby is to be replaced in place.
        PullingImage = "PullingImage",
        /// Standbys of other revisions are being replaced.
        ReplacingStandbys = "ReplacingStandbys",
        /// The active is being stopped.
        StoppingActive = "StoppingActive",
        /// The active was stopped; the successor has not served yet.
        AwaitingTakeover = "AwaitingTakeover",
        /// The active holds the lock and does not serve yet: it boots, or migrates the database.
        Booting = "Booting",
        /// Pods beyond `replicas` are being removed.
        Trimming = "Trimming",
        /// Lost pods are being replaced, or the first ones made.
        Restoring = "Restoring",
        /// All pods wait; somebody outside holds the lock.
        External = "External",
        /// All is as it was before a change, which waits for a person or for its time.
        Pending = "Pending",
        /// Nothing is done, for the reason given.
        Holding = "Holding",
    }
}

impl Step {
    /// Whether nothing is left to be done: what is there is what is wanted, as far as it is in our hands and its time has come.
    #[must_use]
    pub const fn at_rest(self) -> bool {
        match self {
            Self::Steady | Self::Hibernating | Self::External | Self::Pending => true,
            Self::Ending
            | Self::Settling
            | Self::Validating
            | Self::Surging
            | Self::AwaitingStandby
            | Self::PullingImage
            | Self::ReplacingStandbys
            | Self::StoppingActive
            | Self::AwaitingTakeover
            | Self::Booting
            | Self::Trimming
            | Self::Restoring
            | Self::Holding => false,
        }
    }
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

    /// The pod that has the lock and does not work yet, known from its log or from the database.
    pub fn booting(&self) -> Option<&str> {
        let pod = self.pod.as_deref();
        pod.filter(|_| self.step == Step::Booting)
    }

    /// Whether as many other resources move their lock as may: it is told when one of them is done.
    pub fn waits_for_turn(&self) -> bool {
        let blocked = self.blocked.as_ref();
        blocked.is_some_and(|blocked| blocked.reason == Reason::WaitingForTurn)
    }

    /// When to look again if nothing happens before. `idle` is the time since the last progress; `works` says whether an active
    /// does: where none does, what is waited for may be all that keeps one from it.
    pub(super) fn again(&self, now: Timestamp, idle: Duration, works: bool) -> Duration {
        if let Some(until) = self.until {
            let rest = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            return rest.clamp(Duration::from_millis(100), Duration::from_secs(15));
        }
        let stalled = self.blocked.as_ref().is_some_and(|blocked| blocked.stalled);
        match self.step {
            Step::Hibernating => AT_REST,
            step if step.at_rest() && self.blocked.is_none() => AT_REST,
            step if step.at_rest() => CALM,
            // It is told of its turn.
            _ if self.waits_for_turn() => CALM,
            _ if stalled && works => (idle / 4).clamp(STALLED, CALM),
            _ if stalled => STALLED,
            Step::StoppingActive | Step::AwaitingTakeover if idle < QUICK => {
                Duration::from_millis(200)
            }
            _ => Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::HandoverStatus;

    fn words() -> Vec<&'static str> {
        Step::ALL.iter().map(|step| step.as_str()).collect()
    }

    #[test]
    fn the_words_of_the_steps_are_part_of_the_api() {
        assert_eq!(
            words(),
            [
                "Steady",
                "Hibernating",
                "Ending",
                "Settling",
                "Validating",
                "Surging",
                "AwaitingStandby",
                "PullingImage",
                "ReplacingStandbys",
                "StoppingActive",
                "AwaitingTakeover",
                "Booting",
                "Trimming",
                "Restoring",
                "External",
                "Pending",
                "Holding",
            ]
        );
    }

    #[test]
    fn a_move_that_takes_long_is_not_looked_at_five_times_a_second_for_ever() {
        let again =
            |idle| Progress::at(Step::AwaitingTakeover).again(Timestamp::UNIX_EPOCH, idle, false);
        assert_eq!(again(Duration::from_secs(59)), Duration::from_millis(200));
        assert_eq!(again(Duration::from_secs(60)), Duration::from_secs(1));
    }

    #[test]
    fn what_is_stalled_for_long_or_waits_for_its_turn_is_seldom_looked_at() {
        let again = |reason, stalled, idle, works| {
            let blocked = Blocked {
                reason,
                message: String::new(),
                stalled,
            };
            let progress = Progress::at(Step::AwaitingStandby).blocked(blocked);
            progress.again(Timestamp::UNIX_EPOCH, Duration::from_secs(idle), works)
        };
        let stalled = |idle| again(Reason::PullTimeout, true, idle, true).as_secs();
        assert_eq!([0, 20, 40, 60, 86_400].map(stalled), [5, 5, 10, 15, 15]);
        let nobody_works = again(Reason::PullTimeout, true, 86_400, false);
        assert_eq!(nobody_works, Duration::from_secs(5));
        let waits = again(Reason::WaitingForTurn, false, 0, true);
        assert_eq!(waits, Duration::from_secs(15));
        let goes_on = again(Reason::DatabaseAway, false, 720, true);
        assert_eq!(goes_on, Duration::from_secs(1), "nobody has to do anything");
    }

    #[test]
    fn the_page_of_the_resource_names_steps_that_there_are() {
        let schema = serde_json::to_value(schemars::schema_for!(HandoverStatus)).unwrap();
        let page = schema["properties"]["step"]["description"]
            .as_str()
            .unwrap();
        let named: Vec<_> = page.split('`').skip(1).step_by(2).collect();
        assert_eq!(named.len(), 10, "{page}");
        for step in named {
            assert!(words().contains(&step), "{step}");
        }
    }
}
