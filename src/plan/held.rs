//! Rollouts that wait for a person or for their time. The successor is brought up, seen to wait for the
//! lock, and removed again, so that no crash at night upgrades the node unasked.

use std::time::Duration;

use jiff::Timestamp;

use super::DATABASE_DOUBT;
use super::census::before;
use super::database;
use super::guard::{self, Cause, Denied, Rule};
use super::moves::{Board, Decided};
use super::situation::{Blocked, Situation, Step};
use crate::api::{CheckFailed, Memory};
use crate::observe::{Observation, Pod, Revision};

/// When the lock may be moved next, where that is not now. `Some(None)` where no time is known.
#[allow(clippy::option_option)]
pub(super) fn opens(seen: &Observation, now: Timestamp) -> Option<Option<Timestamp>> {
    let windows = &seen.intent.wishes.windows;
    if windows.is_empty() || windows.iter().any(|window| window.is_open(now)) {
        return None;
    }
    let times = windows.iter().filter_map(|window| window.opens.next(now));
    Some(times.min())
}

/// After a pause, or for another revision, a check is made again.
pub(super) fn remember(memory: &mut Memory, seen: &Observation, now: Timestamp) {
    let again = before(now, seen.intent.standby_timeout);
    let wanted = memory.wanted.as_ref().map(|wanted| &wanted.name);
    let known = memory.check_failed.take();
    memory.check_failed = known.filter(|known| known.at > again && Some(&known.revision) == wanted);
}

/// What was wrong with the pod that was to be seen waiting.
pub(super) fn note_failed_check(memory: &mut Memory, failed: Blocked, now: Timestamp) {
    let wanted = memory.wanted.as_ref();
    memory.check_failed = wanted.map(|wanted| CheckFailed {
        revision: wanted.name.clone(),
        reason: failed.reason,
        message: failed.message,
        at: now,
    });
}

/// How long after its waiting line what denies a pod may pass by itself. `None`: it passes, or the pod
/// counts as lost.
fn patience(denied: &Denied, standby_timeout: Duration) -> Option<Duration> {
    match denied.reason {
        "NoSuccessor" | "SuccessorNotSeen" => None,
        "DatabaseContradicts" => Some(DATABASE_DOUBT),
        "DatabaseNotAsked" => Some(standby_timeout),
        _ => Some(Duration::ZERO),
    }
}

impl Board<'_> {
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
                    "{what} and is not handed over to before it is approved: kubectl annotate --namespace {} chainlinknode/{} chainlink-operator.dev/approved={} --overwrite",
                    self.seen.intent.namespace, self.seen.intent.node.name, target.name
                ),
                stalled: false,
            };
            return Some((blocked, None));
        }
        let opens = opens(self.seen, self.now)?;
        let when = opens.map_or_else(|| "never".to_owned(), |opens| opens.to_string());
        let blocked = Blocked {
            reason: "WaitingForWindow".to_owned(),
            message: format!("{what}; the next window of handover.windows opens at {when}"),
            stalled: false,
        };
        Some((blocked, opens))
    }

    /// What was wrong with the last pod that was to be checked, where it is too early for another.
    fn check_failed(&self, target: &Revision) -> Option<&CheckFailed> {
        let known = self.memory.check_failed.as_ref();
        known.filter(|known| known.revision == target.name)
    }

    /// Whether nothing more is to be seen of `target` before it may be handed over to. Without room for a
    /// surge there is no check.
    fn is_past_its_check(&self, target: &Revision) -> bool {
        self.seen.intent.surge == 0
            || self.memory.checked.as_ref() == Some(&target.name)
            || self.check_failed(target).is_some()
    }

    /// Whether the rollout to `target` has been checked, and waits.
    pub(super) fn is_held(&self, target: &Revision) -> bool {
        self.is_past_its_check(target) && self.waits_for(target).is_some()
    }

    /// The steps of a rollout that has to wait, where it has.
    pub(super) fn hold_rollout(&self, target: &Revision, others: &[&Pod]) -> Option<Decided> {
        let (blocked, until) = self.waits_for(target)?;
        let made = self.live.iter().copied();
        let made: Vec<&Pod> = made
            .filter(|pod| pod.revision.as_ref() == Some(target))
            .collect();
        let past = self.is_past_its_check(target);
        let mut decided = match made.first() {
            Some(_) if past => self.take_back(&made, target),
            Some(pod) => self.check(target, pod),
            None if past => self.hold_as_it_is(),
            None => self.surge_to_check(target, others),
        };
        if decided.situation.blocked.is_none() {
            let failed = self.check_failed(target).map(|failed| Blocked {
                reason: failed.reason.clone(),
                message: failed.message.clone(),
                stalled: true,
            });
            decided.situation.blocked = Some(failed.unwrap_or(blocked));
            decided.situation.until = decided.situation.until.or(until);
        }
        Some(decided)
    }

    /// Pods of the wanted revision go again, and never is there a standby less for it: those of the revision
    /// that works come back first. Without room for that it is done in place.
    fn take_back(&self, made: &[&Pod], target: &Revision) -> Decided {
        let intent = &self.seen.intent;
        let mut made = made
            .iter()
            .copied()
            .filter(|pod| !self.census.is_active(pod));
        let Some(pod) = made.clone().min_by_key(|pod| pod.waits()) else {
            return self.hold_quietly();
        };
        let Some(proven) = self.last_worked().filter(|_| self.active().is_some()) else {
            return self.stop_other(pod, Cause::Checked);
        };
        let old = self
            .live
            .iter()
            .filter(|pod| pod.revision.as_ref() != Some(target) && !self.census.is_active(pod));
        let waiting = old.clone().filter(|pod| pod.waits()).count();
        let enough = waiting + 1 >= intent.replicas;
        // One that does not wait is no redundancy.
        if enough || !pod.waits() {
            return self.stop_other(pod, Cause::Checked);
        }
        if self.creatable(proven).is_err() && !self.stays_possible(proven) {
            return Decided::nothing(Situation::at(Step::Holding));
        }
        if let Some(coming) = old.clone().find(|pod| !pod.waits()) {
            let situation = Situation::at(Step::Restoring).about(&coming.id.name);
            let mut decided = Decided::nothing(situation);
            decided.situation.blocked = self.lateness(coming);
            return decided;
        }
        if self.live.len() < intent.replicas + intent.surge {
            return self.make(proven, Step::Restoring);
        }
        let beyond = waiting + made.by_ref().filter(|pod| pod.waits()).count();
        if beyond >= intent.replicas || intent.surge == 0 {
            return self.stop_other(pod, Cause::Checked);
        }
        self.hold_quietly()
    }

    /// Nothing is made of the wanted revision: all else is kept as it should be.
    fn hold_as_it_is(&self) -> Decided {
        let decided = self.hold_quietly();
        let idle = decided.create.is_none() && decided.stop.is_none();
        let surplus = self.live.len() > self.seen.intent.replicas && self.leaving().is_empty();
        if idle && surplus {
            return self.trim();
        }
        decided
    }

    /// A pod of the wanted revision is there to be seen waiting.
    fn check(&self, target: &Revision, pod: &Pod) -> Decided {
        let situation = Situation::at(Step::AwaitingStandby).about(&pod.id.name);
        let mut decided = Decided::nothing(situation);
        if !pod.waits() {
            let late = self.lateness(pod).filter(|blocked| blocked.stalled);
            let Some(late) = late else {
                return self.await_standby(target, pod);
            };
            decided.situation.blocked = Some(late.clone());
            decided.check_failed = Some(late);
            return decided;
        }
        let Err(denied) = self.passes(pod) else {
            decided.checked = true;
            return decided;
        };
        let patience = patience(&denied, self.seen.intent.standby_timeout);
        let failed = patience
            .zip(pod.waiting)
            .is_some_and(|(patience, since)| since.max(pod.created) <= before(self.now, patience));
        let blocked = Blocked {
            reason: denied.reason.to_owned(),
            message: denied.message,
            stalled: failed,
        };
        decided.check_failed = failed.then(|| blocked.clone());
        decided.situation.blocked = Some(blocked);
        decided
    }

    /// Whether a pod waits as the successor of the active would have to.
    fn passes(&self, pod: &Pod) -> Result<(), Denied> {
        guard::fit(pod, self.now, self.rules)?;
        match self.active() {
            Some(active) if self.rules.on(Rule::DatabaseAgrees) => {
                database::permits(&self.seen.database, active, pod, self.now)
            }
            _ => Ok(()),
        }
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
