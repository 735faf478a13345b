//! An active that has worked, still runs, and whose port does not answer any more. Where that is asked for it
//! is stopped for a standby: a failover, which nothing that is planned holds.

use std::time::Duration;

use jiff::Timestamp;

use super::FRESH;
use super::census::{Census, before};
use super::moves::{Board, Decided};
use super::relocate::{Purpose, Wish};
use super::situation::Blocked;
use crate::api::{Memory, Unresponsive};
use crate::observe::{Answered, Observation, Pod};

/// A silence that is shorter is not worth a note: an answer can be late.
const NOTED: Duration = Duration::from_secs(10);

/// The guard's reason where the port of no successor is in sight.
const NOT_IN_SIGHT: &str = "SuccessorPortNotSeen";

/// Whether this container was seen to work as active. What answers before that is the temporary server of a node
/// that boots; and a pod whose port was silent for long is only taken for active.
fn has_worked(active: &Pod, memory: &Memory) -> bool {
    memory.knows_as_active(&active.id.uid) && active.worked_at.is_some()
}

/// Only its kubelet, or its machine, answered a moment ago.
fn runs_silently(active: &Pod, now: Timestamp) -> bool {
    active.contact.is_some_and(|contact| {
        contact.at >= before(now, FRESH) && contact.answer == Answered::Kubelet
    })
}

/// Notes since when the active does not answer, once; and forgets it when it does, or is another.
pub(super) fn remember(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) {
    let known = memory.unresponsive.take();
    let active = census.active.filter(|active| !active.deleted);
    let wanted = seen.intent.wishes.unresponsive_after.is_some();
    let Some((active, took)) = active.and_then(|active| Some((active, active.took?.at))) else {
        return;
    };
    if !wanted || !has_worked(active, memory) {
        return;
    }
    let same = |known: &Unresponsive| {
        known.uid == active.id.uid
            && known.took == took
            && active.served.is_none_or(|served| served <= known.since)
    };
    memory.unresponsive = known.filter(same).or_else(|| {
        let long_ago = before(now, NOTED);
        let since = active.served.filter(|served| *served <= long_ago)?;
        runs_silently(active, now).then(|| Unresponsive {
            uid: active.id.uid.clone(),
            took,
            since,
        })
    });
}

impl Board<'_> {
    /// Two witnesses: its port, which has answered before and does not any more, and its kubelet, by which
    /// the container runs. One whose port refuses is taken to boot.
    fn is_unresponsive(&self, active: &Pod) -> bool {
        let Some(after) = self.seen.intent.wishes.unresponsive_after else {
            return false;
        };
        let long_ago = before(self.now, after);
        let silent = self.memory.unresponsive.as_ref();
        silent.is_some_and(|silent| silent.uid == active.id.uid && silent.since <= long_ago)
            && runs_silently(active, self.now)
            && !self.boots(active)
    }

    /// What comes of the stop of an active that does not answer.
    fn stop_of_unresponsive(&self) -> Option<Decided> {
        let active = self
            .active()
            .filter(|active| self.is_unresponsive(active))?;
        let wish = Wish {
            purpose: Purpose::Unresponsive,
            to: None,
        };
        self.go(active, active.revision.as_ref()?, &wish)
    }

    /// The next step of it. Where the operator sees no port at all, everything else goes on.
    pub(super) fn replace_unresponsive(&self) -> Option<Decided> {
        let decided = self.stop_of_unresponsive()?;
        let blocked = decided.situation.blocked.as_ref();
        let cut_off = blocked.is_some_and(|blocked| blocked.reason == NOT_IN_SIGHT);
        (!cut_off).then_some(decided)
    }

    /// Why an active that does not answer is left alone.
    pub(super) fn left_unresponsive(&self) -> Option<Blocked> {
        let mut blocked = self.stop_of_unresponsive()?.situation.blocked?;
        let patience =
            self.seen.intent.wishes.unresponsive_after? + self.seen.intent.standby_timeout;
        let silent = self.memory.unresponsive.as_ref()?;
        blocked.stalled = silent.since <= before(self.now, patience);
        (blocked.reason == NOT_IN_SIGHT).then_some(blocked)
    }
}
