//! Rollouts that wait for a person or for their time. The successor is brought up, seen to wait for the
//! lock, and removed again, so that no crash at night upgrades the node unasked.

use jiff::Timestamp;

use super::guard::{self, Cause};
use super::moves::{Board, Decided};
use super::situation::{Blocked, Situation, Step};
use crate::observe::{Pod, Revision};

impl Board<'_> {
    /// When the lock may be moved next, where that is not now. `Some(None)` where no time is known.
    #[allow(clippy::option_option)]
    pub(super) fn opens(&self) -> Option<Option<Timestamp>> {
        let windows = &self.seen.intent.wishes.windows;
        if windows.is_empty() || windows.iter().any(|window| window.is_open(self.now)) {
            return None;
        }
        Some(
            windows
                .iter()
                .filter_map(|window| window.opens.next(self.now))
                .min(),
        )
    }

    /// What the handover to `target` has to wait for. What has been active already, what is under way and
    /// the very first start wait for nothing.
    fn waits_for(&self, target: &Revision) -> Option<(Blocked, Option<Timestamp>)> {
        let memory = self.memory;
        let known = memory.last_worked.as_ref();
        let begun = memory
            .stopping
            .as_ref()
            .is_some_and(|stop| stop.active && stop.to.as_ref() == Some(&target.name));
        let active = self.census.active.and_then(|pod| pod.revision.as_ref());
        let first = known.is_none() && active.is_none();
        let known = known.is_some_and(|known| *known == target.name);
        if first || known || begun || active == Some(target) {
            return None;
        }
        let checked = memory.checked.as_ref() == Some(&target.name);
        let state = if checked {
            "was seen to wait for the lock"
        } else {
            "has not been seen to wait for the lock yet"
        };
        let what = format!("{} (revision {}) {state}", target.version, target.name);
        let wishes = &self.seen.intent.wishes;
        if let Some(approved) = &wishes.approval
            && approved.revision.as_ref() != Some(&target.name)
        {
            let blocked = Blocked {
                reason: "ApprovalRequired".to_owned(),
                message: format!(
                    "{what} and is not handed over to before it is approved: kubectl annotate chainlinknode/{} chainlink-operator.dev/approved={} --overwrite",
                    self.seen.intent.node.name, target.name
                ),
                stalled: false,
            };
            return Some((blocked, None));
        }
        let opens = self.opens()?;
        let when = opens.map_or_else(|| "never".to_owned(), |opens| opens.to_string());
        let blocked = Blocked {
            reason: "WaitingForWindow".to_owned(),
            message: format!("{what}; the next window of handover.windows opens at {when}"),
            stalled: false,
        };
        Some((blocked, opens))
    }

    /// Whether the rollout to `target` has been checked, and waits.
    pub(super) fn is_held(&self, target: &Revision) -> bool {
        let checked = self.memory.checked.as_ref() == Some(&target.name);
        checked && self.waits_for(target).is_some()
    }

    /// The steps of a rollout that has to wait, where it has.
    pub(super) fn hold_rollout(&self, target: &Revision, others: &[&Pod]) -> Option<Decided> {
        let (blocked, until) = self.waits_for(target)?;
        let made = self
            .live
            .iter()
            .find(|pod| pod.revision.as_ref() == Some(target));
        let checked = self.memory.checked.as_ref() == Some(&target.name);
        let mut decided = match made {
            Some(pod) if checked => self.stop_other(pod, Cause::Checked),
            Some(pod) => self.check(target, pod),
            None if checked || self.seen.intent.surge == 0 => self.hold_quietly(),
            None => self.surge_to_check(target, others),
        };
        if decided.situation.blocked.is_none() {
            decided.situation.blocked = Some(blocked);
            decided.situation.until = decided.situation.until.or(until);
        }
        Some(decided)
    }

    /// A pod of the wanted revision is there to be seen waiting.
    fn check(&self, target: &Revision, pod: &Pod) -> Decided {
        if !pod.waits() {
            return self.await_standby(target, pod);
        }
        let situation = Situation::at(Step::AwaitingStandby).about(&pod.id.name);
        let mut decided = Decided::nothing(situation);
        match guard::fit(pod, self.now, self.rules) {
            Ok(()) => decided.checked = true,
            Err(denied) => {
                decided.situation.blocked = Some(Blocked {
                    reason: denied.reason.to_owned(),
                    message: denied.message,
                    stalled: false,
                });
            }
        }
        decided
    }

    fn surge_to_check(&self, target: &Revision, others: &[&Pod]) -> Decided {
        let intent = &self.seen.intent;
        // What a newer spec has overtaken makes room.
        let superseded = others.iter().find(|pod| {
            let name = pod.revision.as_ref().map(|revision| &revision.name);
            name != self.memory.last_worked.as_ref() && !self.census.is_active(pod)
        });
        if let Some(pod) = superseded {
            return self.stop_other(pod, Cause::Replaced);
        }
        let whole = self.live.len() >= intent.replicas;
        if whole && self.live.len() < intent.replicas + intent.surge && self.one_at_a_time() {
            return self.make(target, Step::Surging);
        }
        self.hold_quietly()
    }
}
