//! The next move: at most one creation and one stop.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::census::{Census, before};
use super::database::is_of_database;
use super::guard::{self, Cause, Denied, Goal, Permit, Rules};
use super::pull::Needed;
use super::relocate::Purpose;
use super::situation::{Blocked, Situation, Step, WAITING_FOR_TURN};
use super::{DATABASE_DOUBT, LOST, MISSING, RETRY, neighbours};
use crate::api::{FailedHow, Memory, Stop, Validation};
use crate::observe::{Observation, Pod, PodId, Revision, Wanted};

/// A pod to be made.
#[derive(Debug)]
pub(super) struct NewPod {
    pub(super) pod: String,
    pub(super) number: u32,
    pub(super) revision: Revision,
}

/// What is to be done, and what is going on.
#[allow(clippy::struct_excessive_bools)] // each is one thing to be remembered
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) create: Option<NewPod>,
    pub(super) stop: Option<Permit>,
    pub(super) situation: Situation,
    /// The handover to the wanted revision has failed: how, and why as far as that is known.
    pub(super) failed: Option<(FailedHow, Option<String>)>,
    /// The image that has to be on a machine, pulled or not.
    pub(super) image: Option<Needed>,
    /// The check of a configuration that goes on.
    pub(super) validation: Option<Validation>,
    /// A pod of the wanted revision was seen to wait, and the handover to it is held.
    pub(super) checked: bool,
    /// The rollout is stuck, and a move of place goes first.
    pub(super) set_aside: bool,
    /// A pod that was made to be seen waiting is not as it should be: what is wrong with it.
    pub(super) check_failed: Option<Blocked>,
    /// The active is about to go back to a preferred machine by itself.
    pub(super) goes_back: bool,
    /// A move that was asked for, and why it is not made.
    pub(super) refused: Option<(Purpose, String)>,
}

impl Decided {
    pub(super) fn nothing(situation: Situation) -> Self {
        Self {
            create: None,
            stop: None,
            situation,
            failed: None,
            image: None,
            validation: None,
            checked: false,
            set_aside: false,
            check_failed: None,
            goes_back: false,
            refused: None,
        }
    }

    pub(super) fn stop(permit: Permit, step: Step) -> Self {
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
    pub(super) fn next(&self) -> Decided {
        let paused = self.seen.intent.wishes.paused;
        if self.seen.intent.replicas == 0
            && !(paused && self.seen.pods.iter().any(|pod| !pod.ended()))
        {
            return self.end();
        }
        let mut decided = self.decide();
        if self.has_failed() && decided.situation.blocked.is_none() {
            decided.situation.blocked = Some(self.known_failure());
        }
        if decided.situation.blocked.is_none() {
            decided.situation.blocked = self.in_vain();
        }
        if let (Some(blocked), Some(why)) = (&mut decided.situation.blocked, self.no_way_back()) {
            blocked.message = format!("{}; {why}", blocked.message);
        }
        // What keeps an active that does not answer from being replaced says more than that it does not.
        let known = decided.situation.blocked.as_ref();
        if known.is_none_or(|known| known.reason == "ActiveUnresponsive") {
            let left = self.left_unresponsive();
            decided.situation.blocked = left.or(decided.situation.blocked);
        }
        // Nothing that is waited for matters as much as two nodes at work.
        if let Some(beside) = neighbours::two_holders(self.census) {
            decided.situation.blocked = Some(beside);
        }
        decided
    }

    pub(super) fn decide(&self) -> Decided {
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
        if let Some(taker) = self.silent_taker() {
            return Decided::nothing(Situation::at(Step::Booting).about(&taker.id.name));
        }
        if let Some(failed) = self.handover_failed() {
            let situation = Situation::at(Step::Holding).blocked(Self::failure(&failed));
            return Decided {
                failed: Some(failed),
                ..Decided::nothing(situation)
            };
        }
        if let Some(decided) = self.way_back() {
            return decided;
        }
        // A failover: no rollout, pause or turn holds it.
        if let Some(decided) = self.replace_unresponsive() {
            return decided;
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
            // But for a long `settle`, redundancy does not wait for its end.
            let soon = self.now.checked_add(LOST).unwrap_or(self.now);
            if self.live.is_empty() || until > soon {
                let decided = self.hold_quietly();
                if self.live.is_empty() || decided.create.is_some() {
                    return decided;
                }
            }
            return Decided::nothing(Situation::at(Step::Settling).until(until));
        }
        self.toward(wanted)
    }

    /// Planned moves of place wait for a rollout that goes on: it moves the lock itself. And nothing is
    /// moved while a pause lasts.
    pub(super) fn rolls_on(&self) -> bool {
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
    pub(super) fn is_stuck(&self, target: &Revision) -> bool {
        let refused = guard::refuse(self.census, self.memory, target, self.rules).is_err();
        let stuck = |pod: &Pod| {
            pod.revision.as_ref() == Some(target)
                && !pod.waits()
                && !self.census.is_active(pod)
                && self.lateness(pod).is_some_and(|blocked| blocked.stalled)
        };
        let unchecked = || {
            let keeps = self.fails_its_check(target);
            keeps.is_some_and(|blocked| blocked.stalled)
        };
        refused || self.live.iter().any(|pod| stuck(pod)) || unchecked()
    }

    /// `paused: true`: what was lost is repaired, and nothing else is done.
    pub(super) fn pause(&self, wanted: &Revision) -> Decided {
        if self.has_failed() {
            return self.rescue();
        }
        let pods = self.seen.pods.iter().filter(|pod| !pod.ended());
        let worked = self.memory.last_worked.as_ref();
        // What is gone is made again as it was.
        let outdated = worked.is_some_and(|worked| *worked != wanted.name)
            || pods
                .clone()
                .any(|pod| pod.revision.as_ref() != Some(wanted));
        let new = pods.count() == 0 && worked.is_none();
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

    /// `replicas: 0`.
    pub(super) fn end(&self) -> Decided {
        match guard::stop_for_end(self.census, self.rules) {
            Ok(Some(permit)) => Decided::stop(permit, Step::Ending),
            // What people are told to wait for: a restored backup is believed from then on.
            Ok(None) if self.seen.pods.is_empty() => {
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
    pub(super) fn still_stopping(&self, step: Step) -> Decided {
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

    /// S9: for a while after a pod was found on another database, while the active works, nothing is
    /// made or stopped. The next pod would read the same Secret.
    pub(super) fn database_differs(&self) -> Option<Decided> {
        let known = self.memory.database_differs.as_ref()?;
        // An operator that has just started has not heard of the active yet, and stops nothing for that (rule S8).
        self.active()
            .filter(|active| !self.census.unheard(active))?;
        let mut situation = Situation::at(Step::Holding).blocked(Blocked {
            reason: "DatabaseDiffers".to_owned(),
            message: guard::foreign_message(&known.pod),
            stalled: true,
        });
        situation.until = known.at.checked_add(RETRY).ok();
        Some(Decided::nothing(situation))
    }

    pub(super) fn permit_other(&self, pod: &Pod, cause: Cause) -> Result<Permit, Denied> {
        guard::stop_other(self.census, self.memory, pod, cause, self.now, self.rules)
    }

    /// Nothing planned is done, and what was lost is repaired from the last revision that worked.
    pub(super) fn hold(&self, blocked: Blocked) -> Decided {
        let mut decided = self.hold_quietly();
        decided.situation = decided.situation.blocked(blocked);
        decided
    }

    pub(super) fn hold_quietly(&self) -> Decided {
        let missing = self.live.len() < self.seen.intent.replicas;
        // After `replicas: 0` nothing but what the spec asks for is started: the database may be that of a backup.
        let anew = self.live.is_empty() && self.memory.last_active.is_none();
        let repair = self
            .last_worked()
            .filter(|_| !anew)
            .filter(|proven| (missing && self.one_at_a_time()) || self.nobody_can_serve(proven));
        if let Some(revision) = repair {
            return self.make(revision, Step::Restoring);
        }
        // A drain does not wait for what is waited for here.
        self.last_worked()
            .filter(|_| !self.seen.intent.wishes.paused)
            .and_then(|proven| self.replace_leaving(proven))
            .unwrap_or_else(|| Decided::nothing(Situation::at(Step::Holding)))
    }

    /// What a guard denied is waited for.
    pub(super) fn held(&self, denied: Denied) -> Decided {
        let lasting = !matches!(
            denied.reason,
            "StopUnderWay"
                | "SuccessorNotSeen"
                | "ActiveNotSeen"
                | "NoActive"
                | "ActiveBoots"
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
    pub(super) fn took_lately(&self) -> Option<&Pod> {
        let soon = before(self.now, LOST + self.census.rescue);
        let took = |pod: &&Pod| pod.took.is_some_and(|took| took.at > soon);
        self.seen.pods.iter().find(took)
    }

    /// When something has last got on: what has to be waited for since then takes its time.
    pub(super) fn last_progress(&self) -> Timestamp {
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
            // A pod of a newer version that waited is stopping, or has not answered for a moment: that it has
            // not had the lock soon shows.
            let patience = self.seen.intent.standby_timeout;
            if self.stays_possible(revision) && self.last_progress() > before(self.now, patience) {
                return Decided::nothing(Situation::at(step));
            }
            return self.held(denied);
        }
        if self.memory.creating.is_some() {
            return Decided::nothing(Situation::at(step));
        }
        // Each more would be one more that seems to have taken over: something else answers for them.
        if let [_, suspect, ..] = self.census.suspects.as_slice() {
            return self.held(guard::suspect(suspect));
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
    pub(super) fn successor_is_taking_over(&self) -> bool {
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
    pub(super) fn stop_of_active(&self) -> Option<&'a Stop> {
        let stop = self.memory.stopping.as_ref()?;
        (stop.active && stop.at > before(self.now, self.census.rescue)).then_some(stop)
    }

    /// The active, whether or not it can be seen, unless it was asked to go.
    pub(super) fn active(&self) -> Option<&'a Pod> {
        self.census.active.filter(|active| !active.deleted)
    }

    pub(super) fn stop_other(&self, pod: &Pod, cause: Cause) -> Decided {
        let step = match cause {
            Cause::Surplus | Cause::Checked => Step::Trimming,
            _ => Step::ReplacingStandbys,
        };
        if matches!(cause, Cause::Surplus | Cause::Replaced)
            && let Some(unheard) = self.not_heard_yet()
        {
            return Decided::nothing(Situation::at(step).about(&unheard.id.name));
        }
        match self.permit_other(pod, cause) {
            Ok(permit) => Decided::stop(permit, step),
            Err(denied) => {
                let mut decided = self.held(denied);
                decided.situation.step = step;
                decided
            }
        }
    }

    /// One that may be lost, which shows in a moment. An operator that has just started counts it, and would find no room
    /// for what was made in its place (rule S8).
    fn not_heard_yet(&self) -> Option<&'a Pod> {
        let unheard = |pod: &&Pod| {
            let running = pod.running() && !pod.deleted;
            running && pod.contact.is_none() && !self.census.unheard(pod)
        };
        self.seen.pods.iter().find(unheard)
    }

    /// Planned moves of the lock wait while as many others as may are under way.
    pub(super) fn awaits_turn(&self, purpose: Purpose) -> Option<Decided> {
        let waits = self.seen.intent.wishes.others_move && purpose != Purpose::Unresponsive;
        waits.then(|| {
            Decided::nothing(
                Situation::at(Step::StoppingActive).blocked(Blocked {
                    reason: WAITING_FOR_TURN.to_owned(),
                    message:
                        "as many resources as this operator allows move their lock at the moment"
                            .to_owned(),
                    stalled: false,
                }),
            )
        })
    }

    pub(super) fn hand_over(&self, goal: &Goal<'_>) -> Decided {
        if let Some(waits) = self.awaits_turn(goal.purpose) {
            return waits;
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
