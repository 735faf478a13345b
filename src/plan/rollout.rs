//! A rollout: a pod of the wanted revision beside the others, seen to wait, the standbys replaced, then the active.

use jiff::Timestamp;

use super::FRESH;
use super::census::before;
use super::guard::{self, Cause, Goal};
use super::moves::{Board, Decided};
use super::pull::Needed;
use super::situation::{Blocked, Situation, Step};
use crate::api::FailedHow;
use crate::observe::{Pod, Pulled, Revision};

impl Board<'_> {
    /// Until when the wanted revision has to be still, where a surge would follow.
    pub(super) fn settles(&self, wanted: &Revision) -> Option<Timestamp> {
        // Nothing to be replaced: a first start, or one after `replicas: 0`.
        let first = self.seen.pods.is_empty() && self.memory.last_active.is_none();
        let same = self
            .live
            .iter()
            .all(|pod| pod.revision.as_ref() == Some(wanted));
        if first || (same && !self.live.is_empty()) {
            return None;
        }
        let since = self
            .memory
            .wanted
            .as_ref()
            .map_or(self.now, |wanted| wanted.since);
        let until = since
            .checked_add(self.seen.intent.settle)
            .unwrap_or(self.now);
        (until > self.now).then_some(until)
    }

    /// One step towards `replicas` pods of `target`.
    pub(super) fn toward(&self, target: &Revision) -> Decided {
        if let Err(denied) = guard::refuse(self.census, self.memory, target, self.rules) {
            return self.hold(Blocked {
                reason: denied.reason.to_owned(),
                message: denied.message,
                stalled: true,
            });
        }
        let outdated = |pod: &&&Pod| pod.revision.as_ref() != Some(target);
        let others: Vec<&Pod> = self
            .census
            .others()
            .into_iter()
            .chain(self.census.lost.iter().copied())
            .filter(|pod| outdated(&pod))
            .collect();
        if let Some(decided) = self.abandon(target, &others) {
            return decided;
        }
        let old_active = self.active().is_some_and(|pod| outdated(&&pod));
        if !old_active && others.is_empty() {
            // Also where nothing is left of what worked: nobody has allowed the change yet.
            return self
                .hold_rollout(target, &others)
                .unwrap_or_else(|| self.keep(target));
        }
        if let Some(active) = self.active().filter(|active| self.boots(active)) {
            return Decided::nothing(Situation::at(Step::Booting).about(&active.id.name));
        }
        if let Some(decided) = self.clear_superseded(&others) {
            return decided;
        }
        if let Some(decided) = self.validate(target) {
            return decided;
        }
        if let Some(decided) = self.hold_rollout(target, &others) {
            return decided;
        }
        self.roll(target, &others, old_active)
    }

    /// A spec that goes back first removes the pods of the abandoned newer version, before one wins.
    pub(super) fn abandon(&self, target: &Revision, others: &[&Pod]) -> Option<Decided> {
        let newer = others.iter().find(|pod| {
            pod.revision
                .as_ref()
                .is_some_and(|revision| revision.version > target.version)
        })?;
        Some(self.stop_other(newer, Cause::Abandoned))
    }

    /// Pods of superseded revisions that never came to wait only take room.
    pub(super) fn clear_superseded(&self, others: &[&Pod]) -> Option<Decided> {
        let junk = others.iter().find(|pod| {
            !pod.waits()
                && !self.census.holds(pod)
                && pod.revision.as_ref().map(|revision| &revision.name)
                    != self.memory.last_worked.as_ref()
        })?;
        // Where they may not be stopped now, they do not stand in the way of what else is to be done.
        self.permit_other(junk, Cause::Replaced)
            .ok()
            .map(|permit| Decided::stop(permit, Step::ReplacingStandbys))
    }

    /// Pods of other revisions are there: surge, see it wait, replace the standbys, then the active.
    pub(super) fn roll(&self, target: &Revision, others: &[&Pod], old_active: bool) -> Decided {
        let intent = &self.seen.intent;
        let made: Vec<&&Pod> = self
            .live
            .iter()
            .filter(|pod| pod.revision.as_ref() == Some(target))
            .collect();
        let coming = || {
            let up = |pod: &Pod| pod.waits() || self.census.is_active(pod);
            made.iter().filter(move |pod| !up(pod))
        };
        let late = coming().find(|pod| self.lateness(pod).is_some());
        if let Some(coming) = late.or_else(|| coming().next()) {
            return self.await_standby(target, coming);
        }
        let wanted = match (old_active, intent.surge) {
            (true, 0) => intent.replicas.max(2) - 1,
            _ => intent.replicas,
        };
        let taken = self.live.len() + self.census.stopping.len();
        let room = taken < intent.replicas + intent.surge;
        if made.len() < wanted && room {
            return self.make(target, Step::Surging);
        }
        let fresh = before(self.now, FRESH);
        // A lost pod that came back takes the room of the surge.
        let surplus = made.is_empty() && self.live.len() > intent.replicas;
        let covered = intent.surge == 0
            || surplus
            || made
                .iter()
                .any(|pod| pod.waits() && pod.answered_since(fresh));
        // Those that do not wait go first; of the others the oldest.
        let next = others
            .iter()
            .min_by_key(|pod| (pod.waits(), pod.created, &pod.id.name));
        match next {
            Some(pod) if covered || !old_active => self.replace(pod, target),
            Some(_) => Decided::nothing(Situation::at(Step::ReplacingStandbys)),
            None if old_active => self.hand_over(&Goal::rollout(target)),
            None => Decided::nothing(Situation::at(Step::AwaitingTakeover)),
        }
    }

    /// A pod of another revision makes room. Where the new one comes in its place, its image is there
    /// first: pulling takes long, and an image that can't be had must not cost a standby.
    pub(super) fn replace(&self, pod: &Pod, target: &Revision) -> Decided {
        // A lost machine pulls nothing.
        let lost = self.census.lost.iter().any(|lost| lost.id == pod.id);
        let in_place = self.seen.intent.surge == 0 && pod.waits() && !lost;
        let Some(needed) = Needed::in_place_of(pod, target).filter(|_| in_place) else {
            return self.stop_other(pod, Cause::Replaced);
        };
        let pull = needed.found(self.seen);
        let late = pull
            .is_some_and(|pull| pull.created <= before(self.now, self.seen.intent.standby_timeout));
        let mut decided = match pull.map(|pull| &pull.pulled) {
            Some(Pulled::Yes) => self.stop_other(pod, Cause::Replaced),
            Some(Pulled::NotYet(Some(trouble)) | Pulled::Refused(trouble)) => {
                Decided::nothing(Situation::at(Step::PullingImage).blocked(Blocked {
                    reason: trouble.reason.clone(),
                    message: format!(
                        "the image can't be pulled on {}: {}",
                        needed.machine, trouble.message
                    ),
                    stalled: late || trouble.of_a_wrong_image(),
                }))
            }
            Some(Pulled::NotYet(None)) if late => {
                Decided::nothing(Situation::at(Step::PullingImage).blocked(Blocked {
                    reason: "PullTimeout".to_owned(),
                    message: format!(
                        "the image has not been pulled on {} within handover.standbyTimeout",
                        needed.machine
                    ),
                    stalled: true,
                }))
            }
            Some(Pulled::NotYet(None)) | None => {
                Decided::nothing(Situation::at(Step::PullingImage))
            }
        };
        if decided.situation.step == Step::PullingImage {
            decided.situation = decided.situation.about(&needed.machine);
        }
        decided.image = Some(needed);
        decided
    }

    /// A pod of the wanted revision does not wait yet.
    pub(super) fn await_standby(&self, target: &Revision, coming: &Pod) -> Decided {
        let step = Step::AwaitingStandby;
        if let Some(because) = self.took_the_room(target, coming) {
            return Decided {
                failed: Some((FailedHow::GivenUp, Some(because))),
                ..Decided::nothing(Situation::at(step).about(&coming.id.name))
            };
        }
        let mut decided = self
            .repair(target, coming)
            .unwrap_or_else(|| Decided::nothing(Situation::at(step)));
        decided.situation = Situation::at(step).about(&coming.id.name);
        decided.situation.blocked = self.lateness(coming);
        decided
    }

    /// Without room for a surge, a pod that can't come up has taken the place of a standby: that place is
    /// given back, and the reason kept.
    pub(super) fn took_the_room(&self, target: &Revision, coming: &Pod) -> Option<String> {
        let wanted = self.memory.wanted.as_ref().map(|wanted| &wanted.name);
        let proven = self.last_worked().filter(|proven| *proven != target)?;
        let blocked = self.lateness(coming).filter(|blocked| blocked.stalled)?;
        let no_room = self.seen.intent.surge == 0
            && self.live.len() >= self.seen.intent.replicas
            && wanted == Some(&target.name)
            && self.stays_possible(proven);
        no_room.then_some(blocked.message)
    }
}
