//! The next move: at most one creation and one stop.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::census::{Census, before};
use super::database::{Evidence, is_of_database, of_outside};
use super::guard::{self, Cause, Denied, Goal, Permit, Rule, Rules};
use super::pull::Needed;
use super::relocate::Purpose;
use super::situation::{Blocked, Situation, Step};
use super::{BOOT, CRASH_LOOP, DATABASE_DOUBT, EXITS_OF_A_LOOP, FRESH, LOST, MISSING, RETRY};
use crate::api::{Memory, Stop, Validation};
use crate::observe::{Answered, Container, Observation, Pod, PodId, Pulled, Revision, Wanted};

/// A pod to be made.
#[derive(Debug)]
pub(super) struct NewPod {
    pub(super) pod: String,
    pub(super) number: u32,
    pub(super) revision: Revision,
}

/// What is to be done, and what is going on.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) create: Option<NewPod>,
    pub(super) stop: Option<Permit>,
    pub(super) situation: Situation,
    /// The handover to the wanted revision has failed: nobody serves, or it never came to wait.
    pub(super) failed: bool,
    /// Why, where the handover had not begun.
    pub(super) because: Option<String>,
    /// The image that has to be on a machine, pulled or not.
    pub(super) image: Option<Needed>,
    /// The check of a configuration that goes on.
    pub(super) validation: Option<Validation>,
    /// A pod of the wanted revision was seen to wait, and the handover to it is held.
    pub(super) checked: bool,
    /// The rollout is stuck, and a move of place goes first.
    pub(super) set_aside: bool,
    /// A move that was asked for, and why it is not made.
    pub(super) refused: Option<(Purpose, String)>,
}

impl Decided {
    pub(super) fn nothing(situation: Situation) -> Self {
        Self {
            create: None,
            stop: None,
            situation,
            failed: false,
            because: None,
            image: None,
            validation: None,
            checked: false,
            set_aside: false,
            refused: None,
        }
    }

    fn stop(permit: Permit, step: Step) -> Self {
        let situation = Situation::at(step).about(&permit.pod().name);
        Self {
            stop: Some(permit),
            ..Self::nothing(situation)
        }
    }
}

/// Everything that the moves look at.
pub(super) struct Board<'a> {
    pub(super) seen: &'a Observation,
    pub(super) census: &'a Census<'a>,
    pub(super) memory: &'a Memory,
    pub(super) now: Timestamp,
    pub(super) rules: Rules,
    pub(super) live: Vec<&'a Pod>,
}

/// Decides the next move.
pub(super) fn next(
    seen: &Observation,
    census: &Census<'_>,
    memory: &Memory,
    now: Timestamp,
    rules: Rules,
) -> Decided {
    let live = counted(census);
    Board {
        seen,
        census,
        memory,
        now,
        rules,
        live,
    }
    .next()
}

/// The pods that count as one of `replicas`.
pub(super) fn counted<'a>(census: &Census<'a>) -> Vec<&'a Pod> {
    let lost = |pod: &Pod| census.is_active(pod) && census.unheard(pod);
    census
        .live()
        .into_iter()
        .filter(|pod| !census.is_suspect(pod) && !lost(pod))
        .collect()
}

impl<'a> Board<'a> {
    fn next(&self) -> Decided {
        let paused = self.seen.intent.wishes.paused;
        if self.seen.intent.replicas == 0
            && !(paused && self.seen.pods.iter().any(|pod| !pod.ended()))
        {
            return self.end();
        }
        let mut decided = self.decide();
        if self.has_failed() && decided.situation.blocked.is_none() {
            decided.situation.blocked = Some(self.failure());
        }
        decided
    }

    fn decide(&self) -> Decided {
        match guard::stop_foreign(self.census, self.rules) {
            Ok(None) => {}
            Ok(Some(permit)) => {
                let message = self
                    .census
                    .foreign
                    .first()
                    .map(|pod| guard::foreign_message(&pod.id.name));
                let mut decided = Decided::stop(permit, Step::Holding);
                decided.situation.blocked = message.map(|message| Blocked {
                    reason: "DatabaseDiffers".to_owned(),
                    message,
                    stalled: true,
                });
                return decided;
            }
            Err(denied) => return self.held(denied),
        }
        if self.census.order_unknown {
            return self.held(guard::order_unknown());
        }
        if let Some(decided) = self.database_differs() {
            return decided;
        }
        if self.handover_failed() {
            let situation = Situation::at(Step::Holding).blocked(self.failure());
            return Decided {
                failed: true,
                ..Decided::nothing(situation)
            };
        }
        if let Some(decided) = self.replace_backed_off() {
            return decided;
        }
        let moved = if self.rolls_on() {
            self.refuse_asked()
        } else {
            self.relocate()
        };
        if let Some(decided) = moved {
            return decided;
        }
        let wanted = match &self.seen.intent.wanted {
            Wanted::Revision(revision) => revision,
            Wanted::Unusable(problem) => {
                let stalled = !problem.missing
                    || self
                        .memory
                        .missing_since
                        .is_some_and(|since| since <= before(self.now, MISSING));
                return self.hold(Blocked {
                    reason: problem.reason.to_owned(),
                    message: problem.message.clone(),
                    stalled,
                });
            }
        };
        if self.seen.intent.wishes.paused {
            return self.pause(wanted);
        }
        if self.has_failed() {
            // Where the last one that worked may not run any more, the only way is forward.
            let proven = self
                .last_worked()
                .filter(|proven| self.creatable(proven).is_ok() || self.stays_possible(proven));
            let mut decided = self.toward(proven.unwrap_or(wanted));
            decided.situation.blocked = None;
            return decided;
        }
        if let Some(until) = self.settles(wanted) {
            // A pod made now would be replaced at once, so only a resource without any gets one.
            if self.live.is_empty() {
                return self.hold_quietly();
            }
            return Decided::nothing(Situation::at(Step::Settling).until(until));
        }
        self.toward(wanted)
    }

    /// Planned moves of place wait for a rollout that goes on: it moves the lock itself. And nothing is
    /// moved while a pause lasts.
    fn rolls_on(&self) -> bool {
        if self.seen.intent.wishes.paused {
            return true;
        }
        let Wanted::Revision(wanted) = &self.seen.intent.wanted else {
            return false;
        };
        let rolls = self
            .seen
            .pods
            .iter()
            .any(|pod| !pod.ended() && pod.revision.as_ref() != Some(wanted));
        let aside = self.memory.set_aside.as_ref() == Some(&wanted.name);
        rolls && !aside && !self.is_held(wanted) && !self.has_failed() && !self.is_stuck(wanted)
    }

    /// Whether no pod of `target` can come up, as far as can be told.
    fn is_stuck(&self, target: &Revision) -> bool {
        let refused = guard::refuse(self.census, self.memory, target, self.rules).is_err();
        let stuck = |pod: &Pod| {
            pod.revision.as_ref() == Some(target)
                && !pod.waits()
                && !self.census.is_active(pod)
                && self.lateness(pod).is_some_and(|blocked| blocked.stalled)
        };
        refused || self.live.iter().any(|pod| stuck(pod))
    }

    /// `paused: true`: what was lost is repaired, and nothing else is done.
    fn pause(&self, wanted: &Revision) -> Decided {
        let pods = self.seen.pods.iter().filter(|pod| !pod.ended());
        let outdated = pods
            .clone()
            .any(|pod| pod.revision.as_ref() != Some(wanted));
        let new = pods.count() == 0 && self.memory.last_worked.is_none();
        if !outdated && !new && self.live.len() <= self.seen.intent.replicas {
            return self.keep(wanted);
        }
        let what = if outdated {
            format!("the rollout to {} waits", wanted.version)
        } else if new {
            "no pod is made".to_owned()
        } else {
            "nothing is scaled down".to_owned()
        };
        self.hold(Blocked {
            reason: "Paused".to_owned(),
            message: format!("spec.paused is true: {what} until it is false"),
            stalled: false,
        })
    }

    /// The handover to the wanted revision has failed: it is not tried again.
    fn has_failed(&self) -> bool {
        let wanted = self.memory.wanted.as_ref().map(|wanted| &wanted.name);
        self.rules.on(Rule::NotFailed) && wanted.is_some() && self.memory.failed.as_ref() == wanted
    }

    /// `replicas: 0`.
    fn end(&self) -> Decided {
        match guard::stop_for_end(self.census, self.rules) {
            Ok(Some(permit)) => Decided::stop(permit, Step::Ending),
            Ok(None) if self.seen.pods.iter().all(Pod::ended) => {
                Decided::nothing(Situation::at(Step::Hibernating))
            }
            Ok(None) => self.still_stopping(Step::Ending),
            Err(denied) => {
                let mut decided = self.held(denied);
                decided.situation.step = Step::Ending;
                decided
            }
        }
    }

    /// A pod was asked to stop, and its machine was lost before it did.
    fn still_stopping(&self, step: Step) -> Decided {
        let pod = self
            .seen
            .pods
            .iter()
            .find(|pod| pod.deleted && !pod.ended());
        let mut decided = match pod {
            Some(pod) => self.held(guard::still_stopping(pod)),
            None => Decided::nothing(Situation::at(step)),
        };
        decided.situation.step = step;
        decided
    }

    /// Until when the wanted revision has to be still, where a surge would follow.
    fn settles(&self, wanted: &Revision) -> Option<Timestamp> {
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

    /// S9: for a while after a pod was found on another database, while the active works, nothing is
    /// made or stopped. The next pod would read the same Secret.
    fn database_differs(&self) -> Option<Decided> {
        let known = self.memory.database_differs.as_ref()?;
        self.census.active_at_work()?;
        let mut situation = Situation::at(Step::Holding).blocked(Blocked {
            reason: "DatabaseDiffers".to_owned(),
            message: guard::foreign_message(&known.pod),
            stalled: true,
        });
        situation.until = known.at.checked_add(RETRY).ok();
        Some(Decided::nothing(situation))
    }

    /// A stop of the active was over long ago, and nobody serves.
    fn handover_failed(&self) -> bool {
        let Some(stop) = self.memory.stopping.as_ref().filter(|stop| stop.active) else {
            return false;
        };
        let over = !self
            .census
            .stopping
            .iter()
            .any(|pod| pod.id.uid == stop.uid);
        let wanted = self
            .memory
            .wanted
            .as_ref()
            .map(|wanted| wanted.name.as_str());
        // A handover to a revision that is no longer wanted says nothing about the one that is.
        let late = stop.at <= before(self.now, self.census.rescue);
        over && stop.to.is_some()
            && stop.to.as_deref() == wanted
            && self.census.active.is_none()
            && (late || self.crashed_with_the_lock(stop))
            && self.memory.failed.as_deref() != wanted
            && self.memory.last_worked.as_deref() != wanted
    }

    /// A pod of the revision that the handover was to has ended by itself since, with a reason of its own: the
    /// lock was free, and it has had it. A standby that ends so would do the same.
    fn crashed_with_the_lock(&self, stop: &Stop) -> bool {
        let made = |pod: &&Pod| {
            let name = pod.revision.as_ref().map(|revision| &revision.name);
            name == stop.to.as_ref() && !pod.deleted
        };
        self.seen.pods.iter().filter(made).any(|pod| {
            let exit = pod.last_exit().filter(|exit| !exit.kind.means_nothing());
            exit.is_some_and(|exit| exit.at.is_some_and(|at| at >= stop.at))
        })
    }

    fn failure(&self) -> Blocked {
        if let Some(because) = &self.memory.failed_because {
            return Blocked {
                reason: "RolloutGivenUp".to_owned(),
                message: format!(
                    "{because}. handover.surge is 0, so its room was given back to a standby of the revision that works; the wanted revision is not tried again until the spec changes"
                ),
                stalled: true,
            };
        }
        let words = self
            .seen
            .pods
            .iter()
            .filter_map(|pod| pod.last_exit()?.words.clone())
            .next_back()
            .map(|words| format!(" Its last words: {words}"))
            .unwrap_or_default();
        Blocked {
            reason: "HandoverFailed".to_owned(),
            message: format!(
                "after the last handover nobody took up the work.{words} The wanted revision is not tried again until the spec changes"
            ),
            stalled: true,
        }
    }

    fn last_worked(&self) -> Option<&'a Revision> {
        self.memory
            .last_worked
            .as_ref()
            .and_then(|name| self.seen.revisions.get(name))
    }

    fn creatable(&self, revision: &Revision) -> Result<(), Denied> {
        guard::create(self.census, self.memory, revision, self.now, self.rules)
    }

    /// Whether a revision can be made again once the pods of a newer version are gone: an active is at work,
    /// so that none of them has the lock.
    fn stays_possible(&self, proven: &Revision) -> bool {
        self.census.active_at_work().is_some()
            && guard::refuse(self.census, self.memory, proven, self.rules).is_ok()
    }

    /// A pod in back-off after an exit that means nothing is replaced, as the kubelet would wait for
    /// up to five minutes.
    fn replace_backed_off(&self) -> Option<Decided> {
        let coming = self
            .census
            .starting
            .iter()
            .any(|pod| !matches!(pod.container, Container::NotStarted { trouble: Some(_) }));
        // One at a time: the one before has been made again, and is up or down.
        if coming || self.memory.creating.is_some() || self.live.len() < self.seen.intent.replicas {
            return None;
        }
        let pod = self
            .census
            .down
            .iter()
            .find(|pod| guard::backed_off(pod, self.now))?;
        self.permit_other(pod, Cause::BackOff)
            .ok()
            .map(|permit| Decided::stop(permit, Step::Restoring))
    }

    fn permit_other(&self, pod: &Pod, cause: Cause) -> Result<Permit, Denied> {
        guard::stop_other(self.census, self.memory, pod, cause, self.now, self.rules)
    }

    /// Nothing planned is done, and what was lost is repaired from the last revision that worked.
    fn hold(&self, blocked: Blocked) -> Decided {
        let mut decided = self.hold_quietly();
        decided.situation = decided.situation.blocked(blocked);
        decided
    }

    pub(super) fn hold_quietly(&self) -> Decided {
        let missing = self.live.len() < self.seen.intent.replicas;
        let repair = self
            .last_worked()
            .filter(|proven| (missing && self.one_at_a_time()) || self.nobody_can_serve(proven));
        match repair {
            Some(revision) => self.make(revision, Step::Restoring),
            None => Decided::nothing(Situation::at(Step::Holding)),
        }
    }

    /// After a handover that failed, and then a spec that can't be had: none of the pods has worked, and
    /// none even waits.
    fn nobody_can_serve(&self, proven: &Revision) -> bool {
        let long = self
            .memory
            .unheld_since
            .is_some_and(|since| since <= before(self.now, self.census.rescue));
        let intent = &self.seen.intent;
        long && self.memory.creating.is_none()
            && self.live.len() < intent.replicas + intent.surge
            && !self
                .live
                .iter()
                .any(|pod| pod.waits() || pod.revision.as_ref() == Some(proven))
    }

    /// What a guard denied is waited for.
    fn held(&self, denied: Denied) -> Decided {
        let lasting = !matches!(
            denied.reason,
            "StopUnderWay"
                | "SuccessorNotSeen"
                | "ActiveNotSeen"
                | "NoActive"
                | "NoSuccessor"
                | "RivalStandby"
                | "OrderUnknown"
                | "TakeoverAwaited"
                | "SuspectAnswers"
                | "DatabaseContradicts"
                | "DatabaseNotAsked"
        );
        let old = if denied.reason == "OrderUnknown" {
            self.took_lately().is_none()
        } else if is_of_database(denied.reason) {
            // A session that was lost is soon there again.
            self.last_progress() <= before(self.now, DATABASE_DOUBT)
        } else {
            self.last_progress() <= before(self.now, self.seen.intent.standby_timeout)
        };
        Decided::nothing(Situation::at(Step::Holding).blocked(Blocked {
            reason: denied.reason.to_owned(),
            message: denied.message,
            stalled: lasting || old,
        }))
    }

    /// A pod that took a lock so short a time ago that who is active soon shows by itself.
    fn took_lately(&self) -> Option<&Pod> {
        let soon = before(self.now, LOST + self.census.rescue);
        let took = |pod: &&Pod| pod.took.is_some_and(|took| took.at > soon);
        self.seen.pods.iter().find(took)
    }

    /// When something has last got on: what has to be waited for since then takes its time.
    fn last_progress(&self) -> Timestamp {
        let memory = self.memory;
        [
            memory.wanted.as_ref().map(|wanted| wanted.since),
            memory.stopping.as_ref().map(|stop| stop.at),
            memory.last_active.as_ref().and_then(|last| last.ended),
            self.seen.pods.iter().map(|pod| pod.created).max(),
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(self.now)
    }

    /// Pods come up one at a time.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.census.starting.is_empty() && self.memory.creating.is_none()
    }

    pub(super) fn make(&self, revision: &Revision, step: Step) -> Decided {
        if let Err(denied) = self.creatable(revision) {
            return self.held(denied);
        }
        if self.memory.creating.is_some() {
            return Decided::nothing(Situation::at(step));
        }
        if self.successor_is_taking_over() {
            return Decided::nothing(Situation::at(Step::AwaitingTakeover));
        }
        let number = self.memory.pods_made.saturating_add(1);
        let pod = pod_name(&self.seen.intent.node, number);
        let situation = Situation::at(step).about(&pod);
        let create = NewPod {
            pod,
            number,
            revision: revision.clone(),
        };
        Decided {
            create: Some(create),
            ..Decided::nothing(situation)
        }
    }

    /// The active was stopped for a standby that waits, and the lock is free for it. A pod made now tries
    /// for the lock as soon as it starts, and may come before the next try of the standby that was chosen.
    fn successor_is_taking_over(&self) -> bool {
        let Some(stop) = self.stop_of_active() else {
            return false;
        };
        let waits = |name: &String| {
            let waiting = &self.census.waiting;
            waiting.iter().any(|pod| pod.id.name == *name)
        };
        let holder = self.census.active.filter(|pod| pod.id.uid != stop.uid);
        holder.is_none() && !self.has_failed() && stop.successor.as_ref().is_some_and(waits)
    }

    /// The stop of the active that is under way, or over for less time than a takeover needs.
    fn stop_of_active(&self) -> Option<&'a Stop> {
        let stop = self.memory.stopping.as_ref()?;
        (stop.active && stop.at > before(self.now, self.census.rescue)).then_some(stop)
    }

    /// One step towards `replicas` pods of `target`.
    fn toward(&self, target: &Revision) -> Decided {
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
            return self.keep(target);
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

    /// The active, whether or not it can be seen, unless it was asked to go.
    pub(super) fn active(&self) -> Option<&'a Pod> {
        self.census.active.filter(|active| !active.deleted)
    }

    /// A spec that goes back first removes the pods of the abandoned newer version, before one wins.
    fn abandon(&self, target: &Revision, others: &[&Pod]) -> Option<Decided> {
        let newer = others.iter().find(|pod| {
            pod.revision
                .as_ref()
                .is_some_and(|revision| revision.version > target.version)
        })?;
        Some(self.stop_other(newer, Cause::Abandoned))
    }

    /// Pods of superseded revisions that never came to wait only take room.
    fn clear_superseded(&self, others: &[&Pod]) -> Option<Decided> {
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

    pub(super) fn stop_other(&self, pod: &Pod, cause: Cause) -> Decided {
        let step = match cause {
            Cause::Surplus | Cause::Checked => Step::Trimming,
            _ => Step::ReplacingStandbys,
        };
        match self.permit_other(pod, cause) {
            Ok(permit) => Decided::stop(permit, step),
            Err(denied) => {
                let mut decided = self.held(denied);
                decided.situation.step = step;
                decided
            }
        }
    }

    /// Pods of other revisions are there: surge, see it wait, replace the standbys, then the active.
    fn roll(&self, target: &Revision, others: &[&Pod], old_active: bool) -> Decided {
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
    fn replace(&self, pod: &Pod, target: &Revision) -> Decided {
        let in_place = self.seen.intent.surge == 0 && pod.waits();
        let Some(needed) = Needed::in_place_of(pod, target).filter(|_| in_place) else {
            return self.stop_other(pod, Cause::Replaced);
        };
        let pull = needed.found(self.seen);
        let mut decided = match pull.map(|pull| &pull.pulled) {
            Some(Pulled::Yes) => self.stop_other(pod, Cause::Replaced),
            Some(Pulled::NotYet(Some(trouble)) | Pulled::Refused(trouble)) => {
                let late = pull.is_some_and(|pull| {
                    pull.created <= before(self.now, self.seen.intent.standby_timeout)
                });
                Decided::nothing(Situation::at(Step::PullingImage).blocked(Blocked {
                    reason: trouble.reason.clone(),
                    message: format!(
                        "the image can't be pulled on {}: {}",
                        needed.machine, trouble.message
                    ),
                    stalled: late || trouble.of_a_wrong_image(),
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

    pub(super) fn hand_over(&self, goal: &Goal<'_>) -> Decided {
        if self.seen.intent.wishes.others_move {
            let situation = Situation::at(Step::StoppingActive).blocked(Blocked {
                reason: "WaitingForTurn".to_owned(),
                message: "as many resources as this operator allows move their lock at the moment"
                    .to_owned(),
                stalled: false,
            });
            return Decided::nothing(situation);
        }
        let stop = guard::stop_active(
            self.census,
            self.memory,
            &self.seen.database,
            goal,
            self.now,
            self.rules,
        );
        match stop {
            Ok(permit) => Decided::stop(permit, Step::StoppingActive),
            Err(denied) => {
                let mut decided = self.held(denied);
                decided.situation.step = Step::StoppingActive;
                decided
            }
        }
    }

    /// A pod of the wanted revision does not wait yet.
    pub(super) fn await_standby(&self, target: &Revision, coming: &Pod) -> Decided {
        let step = Step::AwaitingStandby;
        if let Some(because) = self.took_the_room(target, coming) {
            return Decided {
                failed: true,
                because: Some(because),
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
    fn took_the_room(&self, target: &Revision, coming: &Pod) -> Option<String> {
        let wanted = self.memory.wanted.as_ref().map(|wanted| &wanted.name);
        let proven = self.last_worked().filter(|proven| *proven != target)?;
        let blocked = self.lateness(coming).filter(|blocked| blocked.stalled)?;
        let no_room = self.seen.intent.surge == 0
            && self.live.len() >= self.seen.intent.replicas
            && wanted == Some(&target.name)
            && self.stays_possible(proven);
        no_room.then_some(blocked.message)
    }

    /// While a pod of the wanted revision can't come up, redundancy that was lost is repaired from the
    /// last revision that worked.
    fn repair(&self, target: &Revision, coming: &Pod) -> Option<Decided> {
        let stuck = self.lateness(coming).is_some_and(|blocked| blocked.stalled);
        let proven = self.last_worked().filter(|proven| *proven != target)?;
        let intent = &self.seen.intent;
        let redundant = self.census.waiting.len() + usize::from(self.active().is_some());
        let repairing = self.live.iter().any(|pod| {
            !pod.waits() && !self.census.is_active(pod) && pod.revision.as_ref() == Some(proven)
        });
        let needed = stuck
            && redundant < intent.replicas
            && !repairing
            && self.live.len() < intent.replicas + intent.surge
            && self.creatable(proven).is_ok();
        needed.then(|| self.make(proven, Step::Restoring))
    }

    /// Nobody serves, the wanted revision can't come up, and there is no room for a pod of the last one that
    /// worked beside it: it has failed.
    fn gives_up(&self, target: &Revision, coming: &Pod) -> bool {
        let intent = &self.seen.intent;
        let long_ago = before(self.now, self.census.rescue);
        let unheld = self.memory.unheld_since.is_some_and(|at| at <= long_ago);
        let wanted = self.memory.wanted.as_ref().map(|wanted| &wanted.name);
        unheld
            && wanted == Some(&target.name)
            && self.live.len() >= intent.replicas + intent.surge
            && self.lateness(coming).is_some_and(|blocked| blocked.stalled)
            && self.last_worked().is_some_and(|proven| {
                let made = |pod: &&Pod| pod.revision.as_ref() == Some(proven);
                proven != target && self.creatable(proven).is_ok() && !self.live.iter().any(made)
            })
    }

    /// Why a pod is not further, and whether that is a matter for a person.
    pub(super) fn lateness(&self, pod: &Pod) -> Option<Blocked> {
        // A container that was started again has its time again: an exit that means nothing is no alarm.
        let begun = match &pod.container {
            Container::Running { since, .. } => pod.created.max(*since),
            Container::Down { exit, .. } => exit.at.map_or(pod.created, |at| pod.created.max(at)),
            Container::NotStarted { .. } | Container::Ended { .. } => pod.created,
        };
        // A Secret often comes later than what refers to it, and a ConfigMap too.
        let patience = match &pod.container {
            Container::NotStarted {
                trouble: Some(trouble),
            } if trouble.of_a_reference() => MISSING.min(self.seen.intent.standby_timeout),
            _ => self.seen.intent.standby_timeout,
        };
        let late = begun <= before(self.now, patience);
        let name = &pod.id.name;
        let (reason, message, hopeless) = match &pod.container {
            Container::NotStarted {
                trouble: Some(trouble),
            } => (
                trouble.reason.clone(),
                format!("{name}: {}", trouble.message),
                trouble.of_a_wrong_image(),
            ),
            Container::Down { exit, restarts } if !exit.kind.means_nothing() => (
                "CrashLoop".to_owned(),
                format!("{name}: {}", exit.words_and_advice()),
                *restarts >= EXITS_OF_A_LOOP,
            ),
            Container::Running {
                since,
                last: Some(exit),
            } if !exit.kind.means_nothing()
                && exit.number >= EXITS_OF_A_LOOP
                && *since > before(self.now, CRASH_LOOP) =>
            {
                (
                    "CrashLoop".to_owned(),
                    format!("{name}: {}", exit.words_and_advice()),
                    true,
                )
            }
            _ if late => (
                "StandbyTimeout".to_owned(),
                format!("{name} has not come to wait for the lock within handover.standbyTimeout"),
                false,
            ),
            _ => return None,
        };
        Some(Blocked {
            reason,
            message,
            stalled: hopeless || late,
        })
    }

    /// All pods are of the wanted revision: as many as wanted, no more.
    fn keep(&self, target: &Revision) -> Decided {
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
    fn has_yet_to_serve(&self, active: &Pod) -> bool {
        let lately = |at: Timestamp| at > before(self.now, BOOT);
        let last = self.memory.last_active.as_ref();
        let known = last.is_some_and(|last| last.uid == active.id.uid && last.ended.is_none());
        !known && active.took.is_some_and(|took| lately(took.at))
    }

    /// Whether an active of ours ended so short a time ago that its lease may still be there.
    fn just_lost_active(&self) -> bool {
        self.memory
            .last_active
            .as_ref()
            .and_then(|last| last.ended)
            .is_some_and(|ended| ended > before(self.now, 2 * self.census.rescue))
    }

    /// Somebody outside holds the lock, unless the waiting lines lie.
    fn external(&self) -> Decided {
        let mut situation = Situation::at(Step::External);
        situation.blocked = self.live.iter().find_map(|pod| {
            guard::doubtful(pod).err().map(|denied| Blocked {
                reason: denied.reason.to_owned(),
                message: denied.message,
                stalled: true,
            })
        });
        if let Evidence::Contradicts(message) = of_outside(&self.seen.database, self.census) {
            situation.blocked.get_or_insert(Blocked {
                reason: "DatabaseContradicts".to_owned(),
                message,
                stalled: true,
            });
        }
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
    fn trim(&self) -> Decided {
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

/// The name that the `number`th pod of a resource is given, by every operator and after every crash. That
/// of another pod, or of one of an earlier resource of this name, is very unlikely to be the same: one
/// that is taken is passed over.
pub(super) fn pod_name(node: &PodId, number: u32) -> String {
    const LETTERS: &[u8; 32] = b"bcdfghjklmnpqrstvwxz2456789aeuy3";
    let digest = Sha256::digest(format!("{}/{number}", node.uid));
    let suffix: String = digest
        .iter()
        .take(5)
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    format!("{}-{suffix}", node.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_pods_stay_the_same_from_one_operator_to_the_next() {
        let node = PodId {
            name: "mainnet".to_owned(),
            uid: "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11".to_owned(),
        };
        let names: Vec<_> = (1..4).map(|number| pod_name(&node, number)).collect();
        assert_eq!(names, ["mainnet-675jg", "mainnet-mlw3w", "mainnet-6au4k"]);
    }
}
