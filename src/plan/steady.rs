//! All pods are of one revision: as many as wanted, no more, and who of them works.

use jiff::Timestamp;

use super::BOOT;
use super::census::before;
use super::guard::{self, Cause};
use super::moves::{Board, Decided};
use super::situation::{Blocked, Situation, Step};
use crate::observe::{Answered, Pod, Revision};

impl Board<'_> {
    /// All pods are of the wanted revision: as many as wanted, no more.
    pub(super) fn keep(&self, target: &Revision) -> Decided {
        let replicas = self.seen.intent.replicas;
        let stop = self.stop_of_active();
        if self.live.len() < replicas {
            if self.one_at_a_time() {
                return self.make(target, Step::Restoring);
            }
            return self.restoring(target);
        }
        if !self.seen.intent.wishes.paused
            && let Some(decided) = self.replace_leaving(target)
        {
            return decided;
        }
        if self.live.len() > replicas {
            return self.trim();
        }
        if stop.is_some() && self.active().is_none() {
            return Decided::nothing(Situation::at(Step::AwaitingTakeover));
        }
        let all_wait = self.live.iter().all(|pod| pod.waits());
        if all_wait && self.census.active.is_none() && self.census.suspects.is_empty() {
            if self.just_lost_active() {
                return Decided::nothing(Situation::at(Step::AwaitingTakeover));
            }
            return self.external();
        }
        if self.active().is_none()
            || self
                .live
                .iter()
                .any(|pod| !pod.waits() && !self.census.is_active(pod))
        {
            return self.restoring(target);
        }
        if let Some(active) = self.active().filter(|active| self.boots(active)) {
            return Decided::nothing(Situation::at(Step::Booting).about(&active.id.name));
        }
        if let Some(suspect) = self.census.suspects.first() {
            return self.held(guard::suspect(suspect));
        }
        Decided::nothing(Situation::at(Step::Steady))
    }

    /// Whether the active holds the lock and does not serve yet: it boots, or migrates the database.
    pub(super) fn boots(&self, active: &Pod) -> bool {
        not_serving(active) || self.has_yet_to_serve(active)
    }

    /// Whether it took the lock a moment ago and its server was not seen yet. Where its port can't be
    /// reached it never will be: after a minute it is taken to work.
    pub(super) fn has_yet_to_serve(&self, active: &Pod) -> bool {
        let lately = |at: Timestamp| at > before(self.now, BOOT);
        let last = self.memory.last_active.as_ref();
        let known = last.is_some_and(|last| last.uid == active.id.uid && last.ended.is_none());
        !known && active.took.is_some_and(|took| lately(took.at))
    }

    /// Whether an active of ours ended so short a time ago that its lease may still be there.
    pub(super) fn just_lost_active(&self) -> bool {
        self.memory
            .last_active
            .as_ref()
            .and_then(|last| last.ended)
            .is_some_and(|ended| ended > before(self.now, 2 * self.census.rescue))
    }

    /// Somebody outside holds the lock, unless the waiting lines lie.
    pub(super) fn external(&self) -> Decided {
        let mut situation = Situation::at(Step::External);
        situation.blocked = self.live.iter().find_map(|pod| {
            guard::doubtful(pod).err().map(|denied| Blocked {
                reason: denied.reason.to_owned(),
                message: denied.message,
                stalled: true,
            })
        });
        Decided::nothing(situation)
    }

    /// Pods are coming up; what keeps the first of them is said.
    pub(super) fn restoring(&self, target: &Revision) -> Decided {
        let coming = || self.census.starting.iter().chain(&self.census.down);
        let late = coming().find(|pod| self.lateness(pod).is_some());
        let mut situation = Situation::at(Step::Restoring);
        if let Some(pod) = late.or_else(|| coming().next()) {
            situation = situation.about(&pod.id.name);
            situation.blocked = self.lateness(pod);
            // The last pod of the revision that worked was lost, and this one does not come up.
            if let Some(mut repair) = self.repair(target, pod) {
                repair.situation = situation;
                return repair;
            }
            if self.gives_up(target, pod) {
                return Decided {
                    failed: true,
                    ..Decided::nothing(situation)
                };
            }
        } else if !self.census.stopping.is_empty() {
            return self.still_stopping(Step::AwaitingTakeover);
        }
        Decided::nothing(situation)
    }

    /// Pods beyond `replicas`: those that do not wait first, then the youngest that waits.
    pub(super) fn trim(&self) -> Decided {
        let surplus = self
            .live
            .iter()
            .filter(|pod| !self.census.is_active(pod))
            .max_by_key(|pod| (!pod.waits(), pod.created, &pod.id.name));
        match surplus {
            Some(pod) => self.stop_other(pod, Cause::Surplus),
            None => Decided::nothing(Situation::at(Step::Steady)),
        }
    }
}

/// Whether the last answer shows that the node's own server is not up. Without an answer, as after a
/// restart of the operator, nothing is concluded.
fn not_serving(active: &Pod) -> bool {
    active
        .contact
        .is_some_and(|contact| matches!(contact.answer, Answered::Starting | Answered::Refused))
}
