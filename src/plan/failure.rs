//! What did not work: a handover after which nobody serves, pods that do not come up; and what is done about it with the
//! last revision that worked.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::census::{Census, before};
use super::guard::{self, Cause, Denied, Rule};
use super::memory;
use super::moves::{Board, Decided};
use super::situation::{Blocked, Step};
use super::{Permit, trial, way_back};
use crate::api::{Attempt, FailedHow, Memory};
use crate::observe::{Container, Observation, Pod, Revision, Wanted};

/// The kubelet tells the end of a container in whole seconds.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

impl<'a> Board<'a> {
    /// The handover to the wanted revision has failed: it is not tried again.
    pub(super) fn has_failed(&self) -> bool {
        let wanted = self.memory.wanted.as_ref().map(|wanted| &wanted.name);
        self.rules.on(Rule::NotFailed) && wanted.is_some() && self.memory.failed.as_ref() == wanted
    }

    /// A stop of the active was over long ago, and nobody serves.
    pub(super) fn handover_failed(&self) -> Option<(FailedHow, Option<String>)> {
        let stop = self.memory.stopping.as_ref().filter(|stop| stop.active)?;
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
        let judged = over
            && stop.to.is_some()
            && stop.to.as_deref() == wanted
            && self.census.active.is_none()
            && self.memory.failed.as_deref() != wanted
            && self.memory.last_worked.as_deref() != wanted;
        if !judged {
            return None;
        }
        // One that boots has taken up the work, and gives it back with its end.
        let unheld = self.memory.unheld_since.unwrap_or(stop.at);
        let late = stop.at.max(unheld) <= before(self.now, self.census.rescue);
        late.then(|| (FailedHow::Late, self.last_words()))
    }

    /// Of a pod that has ended by itself.
    fn last_words(&self) -> Option<String> {
        let words = |pod: &Pod| pod.last_exit()?.words.clone();
        self.seen.pods.iter().filter_map(words).next_back()
    }

    pub(super) fn known_failure(&self) -> Blocked {
        let how = self.memory.failed_how.unwrap_or(FailedHow::Late);
        Self::failure(&(how, self.memory.failed_because.clone()))
    }

    pub(super) fn failure((how, because): &(FailedHow, Option<String>)) -> Blocked {
        let because = because.as_deref();
        let (reason, what) = match how {
            FailedHow::GivenUp => (
                "RolloutGivenUp",
                format!(
                    "{}. handover.surge is 0, so its room was given back to a standby of the revision that works",
                    because.unwrap_or("its pod came to nothing")
                ),
            ),
            FailedHow::Late => {
                let words = because.map(|words| format!(" (last words of a pod: {words})"));
                let words = words.unwrap_or_default();
                let what = format!("after the last handover nobody took up the work{words}");
                ("HandoverFailed", what)
            }
            FailedHow::Crashed => {
                let words = because.unwrap_or("it said nothing");
                let what = format!("a pod of the wanted revision took the lock and ended: {words}");
                ("HandoverFailed", what)
            }
        };
        Blocked {
            reason: reason.to_owned(),
            message: format!(
                "{what}; the wanted revision is not tried again until the spec changes"
            ),
            stalled: true,
        }
    }

    pub(super) fn last_worked(&self) -> Option<&'a Revision> {
        self.memory
            .last_worked
            .as_ref()
            .and_then(|name| self.seen.revisions.get(name))
    }

    pub(super) fn creatable(&self, revision: &Revision) -> Result<(), Denied> {
        guard::create(self.census, self.memory, revision, self.now, self.rules)
    }

    /// Whether a revision can be made again once the pods of a newer version are gone: an active is at work,
    /// so that none of them has the lock.
    pub(super) fn stays_possible(&self, proven: &Revision) -> bool {
        self.census.active_at_work().is_some()
            && guard::refuse(self.census, self.memory, proven, self.rules).is_ok()
    }

    /// A pod in back-off after an exit that means nothing is replaced, as the kubelet would wait for
    /// up to five minutes.
    pub(super) fn replace_backed_off(&self) -> Option<Decided> {
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
            .find(|pod| guard::backed_off(self.census, pod, self.now))?;
        self.permit_other(pod, Cause::BackOff)
            .ok()
            .map(|permit| Decided::stop(permit, Step::Restoring))
    }

    /// After a handover that failed, and then a spec that can't be had: none of the pods has worked, and
    /// none even waits.
    pub(super) fn nobody_can_serve(&self, proven: &Revision) -> bool {
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

    /// While a pod of the wanted revision can't come up, redundancy that was lost is repaired from the
    /// last revision that worked.
    pub(super) fn repair(&self, target: &Revision, coming: &Pod) -> Option<Decided> {
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

    /// A handover has failed, and nothing planned may be done: while nobody works, a pod of the last revision that did
    /// is made.
    pub(super) fn rescue(&self) -> Decided {
        let intent = &self.seen.intent;
        let room = self.live.len() < intent.replicas + intent.surge;
        let proven = self.last_worked().filter(|proven| {
            let made = |pod: &&Pod| pod.revision.as_ref() == Some(proven);
            room && self.active().is_none()
                && self.creatable(proven).is_ok()
                && !self.live.iter().any(made)
        });
        match proven {
            Some(proven) => self.make(proven, Step::Restoring),
            None => self.hold_quietly(),
        }
    }

    /// Nobody serves, the wanted revision can't come up, and there is no room for a pod of the last one that
    /// worked beside it: it has failed.
    pub(super) fn gives_up(&self, target: &Revision, coming: &Pod) -> bool {
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
}

/// The active is about to be stopped for a handover.
pub(super) fn note_attempt(
    memory: &mut Memory,
    seen: &Observation,
    permit: &Permit,
    now: Timestamp,
) {
    if !permit.active() {
        return;
    }
    memory.attempt = permit.to().map(|to| Attempt {
        to: to.to_owned(),
        stopped: permit.pod().uid.clone(),
        since: now,
        over: false,
        ends: ends(seen),
    });
}

/// The spec has changed: no end of before says anything of what is wanted now.
pub(super) fn begin_anew(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) {
    note_end_of_upgrade(memory, seen, census, now);
    if let Some(attempt) = &mut memory.attempt {
        attempt.ends = ends(seen);
    }
}

/// While nothing has worked yet of what the active was stopped for, and nobody has the lock, what is wanted now is tried
/// in its place.
fn attempt_other(memory: &mut Memory, seen: &Observation, census: &Census<'_>, now: Timestamp) {
    let Wanted::Revision(wanted) = &seen.intent.wanted else {
        return;
    };
    let worked = memory.last_worked.clone();
    let new = |revision: &String| worked.as_ref() != Some(revision);
    let open = open_attempt(memory, seen, census, now);
    let other = open.is_some_and(|attempt| attempt.to != wanted.name && new(&attempt.to));
    if !other || !new(&wanted.name) || census.active.is_some() {
        return;
    }
    if let Some(attempt) = &mut memory.attempt {
        attempt.to.clone_from(&wanted.name);
        attempt.ends = ends(seen);
    }
    // An older one than that is a way back.
    if let Some(upgrade) = &mut memory.upgrade
        && upgrade
            .version
            .parse()
            .is_ok_and(|version| wanted.version >= version)
    {
        upgrade.to.clone_from(&wanted.name);
        upgrade.version = wanted.version.to_string();
    }
}

/// How often containers have ended, by the uid of their pods.
fn ends(seen: &Observation) -> BTreeMap<String, i32> {
    let ended = |pod: &Pod| Some((pod.id.uid.clone(), pod.last_exit()?.number));
    seen.pods.iter().filter_map(ended).collect()
}

/// What is wanted works, or nothing is to.
pub(super) fn forget_attempt(memory: &mut Memory, seen: &Observation, census: &Census<'_>) {
    let hands_over = memory.stopping.as_ref().is_some_and(|stop| stop.active);
    let works = census
        .active_at_work()
        .is_some_and(|active| memory.knows_as_active(&active.id.uid) && census.works(active));
    if seen.intent.replicas == 0 || (works && !hands_over) {
        memory.attempt = None;
        memory.upgrade = None;
    }
}

/// The attempt whose stop is over, and from when on its pods may have had the lock.
fn open_attempt<'m>(
    memory: &'m mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) -> Option<&'m Attempt> {
    let attempt = memory.attempt.as_mut()?;
    let uid = &attempt.stopped;
    if !census.accepted(uid) || census.stopping.iter().any(|pod| pod.id.uid == *uid) {
        return None;
    }
    if !attempt.over {
        let stopped = seen.pods.iter().find(|pod| pod.id.uid == *uid);
        let ended = stopped.and_then(|pod| memory::ended_at(pod, attempt.since, now));
        attempt.since = ended.unwrap_or(attempt.since);
        attempt.over = true;
    }
    Some(attempt)
}

/// A pod of the wanted revision, for which the active was stopped, has ended by itself since, with a reason of its own:
/// the lock was free, and it has had it. One that only waited would do the same. However soon the operator looks, and
/// whoever has the lock by then: what is no longer wanted, or serves, is not judged. One that was only late before is.
pub(super) fn remember_crash(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) {
    note_end_of_upgrade(memory, seen, census, now);
    attempt_other(memory, seen, census, now);
    let Some(attempt) = open_attempt(memory, seen, census, now) else {
        return;
    };
    let (to, crash) = (
        attempt.to.clone(),
        crash_since(seen, attempt, |of| of.name == attempt.to),
    );
    let wanted = memory.wanted.as_ref().map(|wanted| &wanted.name);
    let judged = wanted == Some(&to)
        && memory.last_worked.as_ref() != wanted
        && !trial::distrusted(memory, &to);
    if let Some(words) = crash.filter(|_| judged) {
        remember(memory, FailedHow::Crashed, Some(words), now);
    }
}

/// The way back from a newer version is looked for from its end on, also where it is no longer wanted by then.
fn note_end_of_upgrade(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) {
    if memory.upgrade.is_none() {
        return;
    }
    let worked = memory.last_worked.as_ref();
    let worked = worked.and_then(|worked| seen.revisions.get(worked));
    let newer = |of: &Revision| worked.is_some_and(|worked| of.version > worked.version);
    let attempt = open_attempt(memory, seen, census, now);
    let ended = attempt.is_some_and(|attempt| crash_since(seen, attempt, newer).is_some());
    if let Some(upgrade) = memory.upgrade.as_mut().filter(|_| ended) {
        upgrade.crashed.get_or_insert(now);
    }
}

/// What a pod of such a revision said that has ended since the lock was free, with a reason of its own.
fn crash_since(
    seen: &Observation,
    attempt: &Attempt,
    such: impl Fn(&Revision) -> bool,
) -> Option<String> {
    let free = before(attempt.since, WHOLE_SECOND);
    let made = |pod: &&Pod| pod.revision.as_ref().is_some_and(&such) && !pod.deleted;
    seen.pods.iter().filter(made).find_map(|pod| {
        let known = attempt.ends.get(&pod.id.uid).copied().unwrap_or_default();
        let exit = pod.last_exit().filter(|exit| exit.number > known)?;
        let later = exit.at.is_some_and(|at| at >= free);
        (later && exit.kind.is_its_own()).then(|| exit.words_and_advice())
    })
}

/// The handover to the wanted revision has failed.
pub(super) fn remember(
    memory: &mut Memory,
    how: FailedHow,
    because: Option<String>,
    now: Timestamp,
) {
    memory.failed = memory.wanted.as_ref().map(|wanted| wanted.name.clone());
    memory.failed_how = Some(how);
    memory.failed_because = because;
    way_back::note_crash(memory, now);
}

/// A stop that the API server did not do is told, and tried again calmly: its intent is not written again before.
pub(super) fn refused_stop(decided: &mut Decided, seen: &Observation, now: Timestamp) {
    let planned = decided.stop.as_ref().map(|permit| &permit.pod().uid);
    let refused = seen.refused_stop.as_ref();
    let Some(refused) = refused.filter(|refused| planned == Some(&refused.pod)) else {
        return;
    };
    decided.situation.blocked.get_or_insert(Blocked {
        reason: "StopRefused".to_owned(),
        message: refused.message.clone(),
        stalled: refused.lasting,
    });
    if now < refused.again {
        decided.stop = None;
        decided.situation.until = Some(refused.again);
    }
}
