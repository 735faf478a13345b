//! A revision that has just taken over is on trial: one that ends by itself soon after has not worked.

use jiff::Timestamp;

use super::census::before;
use super::{CRASH_LOOP, failure};
use crate::api::{FailedHow, Memory, Trial};
use crate::node::NodeVersion;
use crate::observe::{Observation, Pod, Revision};

/// Whether the revision is one whose successor had the lock and ended, and which has not worked for long since.
pub(super) fn distrusted(memory: &Memory, revision: &str) -> bool {
    memory.failed.as_deref() == Some(revision) && memory.failed_how == Some(FailedHow::Crashed)
}

/// The active serves: its revision works, at least for now.
pub(super) fn serves(memory: &mut Memory, active: &Pod, revision: &Revision, now: Timestamp) {
    let name = &revision.name;
    let ends = Some(active.last_exit().map_or(0, |exit| exit.number));
    let on_trial = memory
        .trial
        .as_mut()
        .filter(|trial| trial.revision == *name);
    if let Some(trial) = on_trial {
        if trial.pod != active.id.uid {
            trial.pod.clone_from(&active.id.uid);
            trial.since = now;
            trial.ends = ends;
        } else if trial.ends.is_none() {
            trial.ends = ends;
        } else if trial.since <= before(now, CRASH_LOOP) {
            memory.trial = None;
            works(memory, name);
        }
        return;
    }
    memory.trial = None;
    if memory.last_worked.as_ref() == Some(name) && !distrusted(memory, name) {
        return;
    }
    memory.trial = memory.last_worked.clone().map(|before| Trial {
        revision: name.clone(),
        before,
        pod: active.id.uid.clone(),
        since: now,
        ends,
    });
    if !distrusted(memory, name) {
        works(memory, name);
    }
}

fn works(memory: &mut Memory, name: &str) {
    memory.last_worked = Some(name.to_owned());
    if memory.failed.as_deref() == Some(name) {
        forget_failure(memory);
    }
}

/// What failed is forgotten.
pub(super) fn forget_failure(memory: &mut Memory) {
    memory.failed = None;
    memory.failed_how = None;
    memory.failed_because = None;
}

/// The active on trial has ended by itself, with a reason of its own. Of the same version the one before is the last
/// that worked again; an older one could not start on the database any more (rule S6).
pub(super) fn fails(memory: &mut Memory, seen: &Observation, now: Timestamp) {
    let Some(trial) = memory.trial.clone() else {
        return;
    };
    let pod = seen.pods.iter().find(|pod| pod.id.uid == trial.pod);
    let exit = pod
        .and_then(Pod::last_exit)
        .filter(|exit| exit.kind.is_its_own() && trial.ends.is_some_and(|ends| exit.number > ends));
    let Some(exit) = exit else {
        return;
    };
    memory.trial = None;
    // Nobody looked for so long: it had passed. Where clocks differ that is not believed.
    let passed = |at| before(at, CRASH_LOOP) > trial.since && at <= now;
    if exit.at.is_some_and(passed) {
        works(memory, &trial.revision);
        return;
    }
    let version = |name: &String| -> Option<&NodeVersion> {
        seen.revisions.get(name).map(|revision| &revision.version)
    };
    let same = version(&trial.before)
        .is_some_and(|before| version(&trial.revision).is_some_and(|after| before >= after));
    if same {
        memory.last_worked = Some(trial.before);
    }
    let wanted = memory.wanted.as_ref().map(|wanted| &wanted.name);
    if wanted == Some(&trial.revision) {
        failure::remember(
            memory,
            FailedHow::Crashed,
            Some(exit.words_and_advice()),
            now,
        );
    }
}
