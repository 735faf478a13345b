//! Whether a revision works: what its trial, its end or its silence after a handover says, and what is told of one
//! that does not. What is done about it stands in `repair` and `rollback`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{Attempt, FailedHow, Memory, RevisionName, Trial};
use crate::domain::{Observation, Pod, Reason, Revision, Wanted, remembered};
use crate::node::NodeVersion;
use crate::plan::decision::{Decision, Note};
use crate::plan::guard::Permit;
use crate::plan::limits::{CRASH_LOOP, before};
use crate::plan::rules::{rollback, takeover};
use crate::plan::standing::{Failure, Standing};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};
use crate::plan::{doubts, guard};

/// The kubelet tells the end of a container in whole seconds.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// The active serves: its revision works, at least for now.
pub fn serves(memory: &mut Memory, active: &Pod, revision: &Revision, look: &Look<'_>) {
    let name = &revision.name;
    let ends = Some(active.last_exit().map_or(0, |exit| exit.number));
    let on_trial = memory
        .trial
        .as_mut()
        .filter(|trial| trial.revision == *name);
    if let Some(trial) = on_trial {
        if trial.pod != active.id.uid {
            trial.pod.clone_from(&active.id.uid);
            trial.since = look.now;
            trial.ends = ends;
        } else if trial.ends.is_none() {
            trial.ends = ends;
        } else if trial.since <= before(look.now, CRASH_LOOP) {
            memory.trial = None;
            works(memory, name);
        }
        return;
    }
    memory.trial = None;
    let trusted = match Standing::of(memory, name) {
        Standing::Works => return,
        // It has to work for a while first.
        Standing::Crashed(_) => false,
        Standing::Failed(_) | Standing::Untried => true,
    };
    memory.trial = memory.last_worked.clone().map(|before| Trial {
        revision: name.clone(),
        before,
        pod: active.id.uid.clone(),
        since: look.now,
        ends,
    });
    if trusted {
        works(memory, name);
    }
}

fn works(memory: &mut Memory, name: &RevisionName) {
    memory.last_worked = Some(name.clone());
    if memory.failed.as_ref() == Some(name) {
        forget_failure(memory);
    }
}

/// What failed is forgotten.
pub fn forget_failure(memory: &mut Memory) {
    memory.failed = None;
    memory.failed_how = None;
    memory.failed_because = None;
}

/// The active on trial has ended by itself, with a reason of its own. Of the same version the one before is the last
/// that worked again; an older one could not start on the database any more (rule S6).
pub fn fails(memory: &mut Memory, look: &Look<'_>) {
    let Some(trial) = memory.trial.clone() else {
        return;
    };
    let pod = look.seen.pods.iter().find(|pod| pod.id.uid == trial.pod);
    let exit = pod
        .and_then(Pod::last_exit)
        .filter(|exit| exit.kind.is_its_own() && trial.ends.is_some_and(|ends| exit.number > ends));
    let Some(exit) = exit else {
        return;
    };
    memory.trial = None;
    // Nobody looked for so long: it had passed. Where clocks differ that is not believed.
    let passed = |at| before(at, CRASH_LOOP) > trial.since && at <= look.now;
    if exit.at.is_some_and(passed) {
        works(memory, &trial.revision);
        return;
    }
    let version = |name: &RevisionName| -> Option<&NodeVersion> {
        look.seen
            .revisions
            .get(name)
            .map(|revision| &revision.version)
    };
    let same = version(&trial.before)
        .is_some_and(|before| version(&trial.revision).is_some_and(|after| before >= after));
    if same {
        memory.last_worked = Some(trial.before);
    }
    let wanted = memory.wanted_name();
    if wanted == Some(&trial.revision) {
        failed(
            memory,
            FailedHow::Crashed,
            Some(exit.words_and_advice()),
            look,
        );
    }
}

/// The active is about to be stopped for a handover.
pub fn note_attempt(memory: &mut Memory, look: &Look<'_>, permit: &Permit) {
    if !permit.active() {
        return;
    }
    memory.attempt = permit.to().map(|to| Attempt {
        to: to.clone(),
        stopped: permit.pod().uid.clone(),
        since: look.now,
        over: false,
        ends: ends(look.seen),
    });
}

/// The spec has changed: exits seen before the change do not count against what is wanted now.
pub fn begin_anew(memory: &mut Memory, look: &Look<'_>) {
    note_end_of_upgrade(memory, look);
    if let Some(attempt) = &mut memory.attempt {
        attempt.ends = ends(look.seen);
    }
}

/// While nothing has worked yet of what the active was stopped for, and nobody has the lock, what is wanted now is tried
/// in its place.
fn attempt_other(memory: &mut Memory, look: &Look<'_>) {
    let Wanted::Revision(wanted) = &look.seen.intent.wanted else {
        return;
    };
    let worked = memory.last_worked.clone();
    let new = |revision: &RevisionName| worked.as_ref() != Some(revision);
    let open = open_attempt(memory, look);
    let other = open.is_some_and(|attempt| attempt.to != wanted.name && new(&attempt.to));
    if !other || !new(&wanted.name) || look.roles.active.is_some() {
        return;
    }
    if let Some(attempt) = &mut memory.attempt {
        attempt.to.clone_from(&wanted.name);
        attempt.ends = ends(look.seen);
    }
    // An older one than that is a way back.
    if let Some(upgrade) = &mut memory.upgrade
        && remembered::upgraded_to(upgrade).is_some_and(|version| wanted.version >= version)
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
pub fn forget_attempt(memory: &mut Memory, look: &Look<'_>) {
    let hands_over = memory.stop_of_active().is_some();
    let works = look
        .roles
        .active_at_work()
        .is_some_and(|active| memory.knows_as_active(&active.id.uid) && look.roles.works(active));
    if look.seen.intent.replicas == 0 || (works && !hands_over) {
        memory.attempt = None;
        memory.upgrade = None;
    }
}

/// The attempt whose stop is over, and from when on its pods may have had the lock.
fn open_attempt<'m>(memory: &'m mut Memory, look: &Look<'_>) -> Option<&'m Attempt> {
    let attempt = memory.attempt.as_mut()?;
    let uid = &attempt.stopped;
    if !look.roles.accepted(uid) || look.roles.stopping.iter().any(|pod| pod.id.uid == *uid) {
        return None;
    }
    if !attempt.over {
        let stopped = look.seen.pods.iter().find(|pod| pod.id.uid == *uid);
        let ended = stopped.and_then(|pod| takeover::ended_at(pod, attempt.since, look.now));
        attempt.since = ended.unwrap_or(attempt.since);
        attempt.over = true;
    }
    Some(attempt)
}

/// A pod of the wanted revision, for which the active was stopped, has ended by itself since, with a reason of its own:
/// the lock was free, and that pod has had it. One that only waited would do the same. It does not matter how soon the
/// operator looks, or who has the lock by then. Only the wanted revision is judged, and not while it serves. One that was
/// late before may still be found to crash.
pub fn remember_crash(memory: &mut Memory, look: &Look<'_>) {
    note_end_of_upgrade(memory, look);
    attempt_other(memory, look);
    let Some(attempt) = open_attempt(memory, look) else {
        return;
    };
    let (to, crash) = (
        attempt.to.clone(),
        crash_since(look.seen, attempt, |of| of.name == attempt.to),
    );
    let wanted = memory.wanted_name();
    let judged = match Standing::of(memory, &to) {
        Standing::Works | Standing::Crashed(_) => false,
        Standing::Failed(_) | Standing::Untried => wanted == Some(&to),
    };
    if let Some(words) = crash.filter(|_| judged) {
        failed(memory, FailedHow::Crashed, Some(words), look);
    }
}

/// The way back from a newer version is looked for from its end on, also where it is no longer wanted by then.
fn note_end_of_upgrade(memory: &mut Memory, look: &Look<'_>) {
    if memory.upgrade.is_none() {
        return;
    }
    let worked = memory.last_worked.as_ref();
    let worked = worked.and_then(|worked| look.seen.revisions.get(worked));
    let newer = |of: &Revision| worked.is_some_and(|worked| of.version > worked.version);
    let attempt = open_attempt(memory, look);
    let ended = attempt.is_some_and(|attempt| crash_since(look.seen, attempt, newer).is_some());
    if let Some(upgrade) = memory.upgrade.as_mut().filter(|_| ended) {
        upgrade.crashed.get_or_insert(look.now);
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
pub fn failed(memory: &mut Memory, how: FailedHow, because: Option<String>, look: &Look<'_>) {
    memory.failed = memory.wanted_name().cloned();
    memory.failed_how = Some(how);
    memory.failed_because = because;
    rollback::note_crash(memory, look);
}

/// A handover after which nobody serves has failed.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let (how, because) = no_takeover(view)?;
    let failure = Failure {
        how,
        because: because.as_deref(),
    };
    let progress = Progress::at(Step::Holding).blocked(told(failure));
    Some(Decision::nothing(progress).noting(Note::Failed(how, because)))
}

/// A stop of the active was over long ago, and nobody serves.
fn no_takeover(view: &View<'_>) -> Option<(FailedHow, Option<String>)> {
    let stop = view.memory.stop_of_active()?;
    let over = !view.roles.stopping.iter().any(|pod| pod.id.uid == stop.uid);
    let wanted = view.memory.wanted_name()?;
    // A handover to a revision that is no longer wanted says nothing about the one that is.
    let judged = over
        && stop.to.as_ref() == Some(wanted)
        && view.roles.active.is_none()
        && Standing::of(view.memory, wanted) == Standing::Untried;
    if !judged {
        return None;
    }
    // One that boots has taken up the work, and gives it back with its end.
    let unheld = view.memory.unheld_since.unwrap_or(stop.at);
    let late = stop.at.max(unheld) <= before(view.now, view.roles.rescue);
    late.then(|| (FailedHow::Late, last_words(view)))
}

/// Of a pod that has ended by itself.
fn last_words(view: &View<'_>) -> Option<String> {
    let words = |pod: &Pod| pod.last_exit()?.words.clone();
    view.seen.pods.iter().filter_map(words).next_back()
}

/// A pod of the wanted revision waits, and its own log names another version. While the active works, the revision is
/// given up: a crash of the active would upgrade the node unasked.
pub fn other_version(view: &View<'_>) -> Option<Decision> {
    let wanted = view.wanted()?;
    let proven = view.last_worked().filter(|proven| *proven != wanted)?;
    let goes_back = guard::create(view, proven).is_ok() || guard::stays_possible(view, proven);
    let active = view.roles.active_at_work()?;
    let works = view.roles.works(active) && active.revision.as_ref() != Some(wanted);
    let untried = Standing::of(view.memory, &wanted.name) == Standing::Untried;
    if !goes_back || !works || !untried {
        return None;
    }
    let mut made = view.roles.waiting.iter();
    let because = made.find_map(|pod| {
        let of_wanted = pod.revision.as_ref() == Some(wanted);
        let says = doubts::is_the_version_it_should_be(pod).err();
        says.filter(|_| of_wanted).map(|denied| denied.message)
    })?;
    let how = FailedHow::OtherVersion;
    let failure = Failure {
        how,
        because: Some(&because),
    };
    let progress = Progress::at(Step::Holding).blocked(told(failure));
    Some(Decision::nothing(progress).noting(Note::Failed(how, Some(because))))
}

/// A failure, for people.
pub fn told(failure: Failure<'_>) -> Blocked {
    let because = failure.because;
    let (reason, what) = match failure.how {
        FailedHow::GivenUp => (
            Reason::RolloutGivenUp,
            format!(
                "{}. handover.surge is 0, so its room was given back to a standby of the revision that works",
                because.unwrap_or("its pod came to nothing")
            ),
        ),
        FailedHow::OtherVersion => (
            Reason::VersionDiffers,
            format!(
                "{}, or spec.image to one that holds spec.version; its pod was removed",
                because.unwrap_or("a pod of the wanted revision is another version")
            ),
        ),
        FailedHow::Late => {
            let words = because.map(|words| format!(" (last words of a pod: {words})"));
            let words = words.unwrap_or_default();
            let what = format!("after the last handover nobody took up the work{words}");
            (Reason::HandoverFailed, what)
        }
        FailedHow::Crashed => {
            let words = because.unwrap_or("it said nothing");
            let what = format!("a pod of the wanted revision took the lock and ended: {words}");
            (Reason::HandoverFailed, what)
        }
    };
    Blocked {
        reason,
        message: format!("{what}; the wanted revision is not tried again until the spec changes"),
        stalled: true,
    }
}
