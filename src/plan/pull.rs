//! `surge: 0`: the image is on the machine before a standby is replaced there.

use jiff::Timestamp;

use super::census::before;
use super::errand;
use crate::observe::{Observation, Pod, PodId, Pull, Pulled, Revision};

/// How long a pull that its machine did not admit stands before it is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// An image that has to be on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) revision: String,
    pub(super) machine: String,
}

impl Needed {
    /// For a pod of `target` in the place of `pod`, if that is anywhere yet.
    pub(super) fn in_place_of(pod: &Pod, target: &Revision) -> Option<Self> {
        Some(Self {
            revision: target.name.clone(),
            machine: pod.machine.clone()?,
        })
    }

    pub(super) fn is(&self, pull: &Pull) -> bool {
        pull.revision == self.revision && pull.machine == self.machine
    }

    /// The pull that was made for it.
    pub(super) fn found<'a>(&self, seen: &'a Observation) -> Option<&'a Pull> {
        seen.pulls.iter().find(|pull| self.is(pull))
    }

    /// The name of its pod: the same after a crash, and never the same for another resource of that name.
    pub(super) fn pod(&self, node: &PodId) -> String {
        errand::name(node, "pull", &format!("{} {}", self.revision, self.machine))
    }
}

/// Pulls that nothing needs any more, or that are to be tried again.
pub(super) fn over<'a>(
    seen: &'a Observation,
    needed: Option<&Needed>,
    now: Timestamp,
) -> impl Iterator<Item = &'a Pull> {
    seen.pulls.iter().filter(move |pull| {
        let refused = matches!(pull.pulled, Pulled::Refused(_));
        let stale = refused && pull.created <= before(now, AGAIN);
        !pull.deleted && (stale || !needed.is_some_and(|needed| needed.is(pull)))
    })
}
