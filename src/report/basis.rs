//! What every report is made from: one look, the plan that was made of it, and what the API server refused. It says nothing
//! itself.

use jiff::Timestamp;

use crate::api::ChainlinkNode;
use crate::domain::{Observation, Reason, Releases, Wanted};
use crate::plan::{Blocked, Plan, Step};

/// Everything that a report is made from.
pub struct Report<'a> {
    pub node: &'a ChainlinkNode,
    pub seen: &'a Observation,
    pub plan: &'a Plan,
    /// Other resources on the same database.
    pub sharers: Vec<Sharer>,
    /// Why the node makes no dump of its database before a newer version migrates it, if it makes none.
    pub backup_off: Option<&'static str>,
    /// What the API server refuses: a pod, or the Service.
    pub refusal: Option<Blocked>,
    /// What is known of newer releases, where the spec asks for them.
    pub releases: Option<Releases>,
    pub now: Timestamp,
}

/// Another resource on the same database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sharer {
    /// Its name, with its namespace where that is another.
    pub name: String,
    /// Whether the pods that the two specs ask for wait for each other's lock.
    pub sees: bool,
}

impl Report<'_> {
    /// What the plan waits for, or what the API server refuses.
    pub(super) fn blocked(&self) -> Option<Blocked> {
        let planned = self.plan.progress.blocked.clone();
        // Two nodes at work are worse than anything that the API server refuses.
        let two_work = planned
            .as_ref()
            .is_some_and(|blocked| blocked.reason == Reason::TwoHolders);
        if two_work || self.spec_is_refused() {
            return planned;
        }
        self.refusal.clone().or(planned)
    }

    /// A person has to mend the spec first: what the API server refuses of it may be the same mistake, in worse words.
    fn spec_is_refused(&self) -> bool {
        matches!(&self.seen.intent.wanted, Wanted::Unusable(problem) if !problem.missing)
    }

    /// The change that waits for a person or for its time, also where something else is still under way.
    pub(super) fn pending(&self) -> Option<Blocked> {
        let waits = |blocked: &Blocked| {
            matches!(
                blocked.reason,
                Reason::ApprovalRequired | Reason::WaitingForWindow | Reason::Paused
            )
        };
        self.blocked().filter(waits)
    }

    /// Whether all is as it is to be for now: as the spec asks, or as it was before a change that waits.
    pub(super) fn at_rest(&self) -> bool {
        match self.plan.progress.step {
            Step::Pending => self.pending().is_some(),
            step => step.at_rest() && self.blocked().is_none(),
        }
    }

    pub(super) fn stalled(&self) -> bool {
        self.blocked().is_some_and(|blocked| blocked.stalled)
    }
}
