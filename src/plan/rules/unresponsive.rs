//! An active that has worked, still runs, and whose port does not answer any more. Where that is asked for it
//! is stopped for a standby: a failover, which nothing that is planned holds.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Memory, Unresponsive};
use crate::domain::{Answered, Pod, Reason};
use crate::plan::cause::Purpose;
use crate::plan::decision::Decision;
use crate::plan::limits::{FRESH, before};
use crate::plan::rules::relocate::{self, Wish};
use crate::plan::step::Blocked;
use crate::plan::view::{Look, View};

/// A silence that is shorter is not worth a note: an answer can be late.
const NOTED: Duration = Duration::from_secs(10);

/// The guard's reason where the port of no successor is in sight.
const NOT_IN_SIGHT: Reason = Reason::SuccessorPortNotSeen;

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
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let known = memory.unresponsive.take();
    let active = look.roles.active.filter(|active| !active.deleted);
    let wanted = look.seen.intent.policy.unresponsive_after.is_some();
    let Some((active, took)) = active.and_then(|active| Some((active, active.took?.at))) else {
        return;
    };
    if !wanted || !has_worked(active, memory) {
        return;
    }
    let same = |known: &Unresponsive| {
        known.uid == active.id.uid
            && known.took == took
            && active.http_at.is_none_or(|served| served <= known.since)
    };
    memory.unresponsive = known.filter(same).or_else(|| {
        let long_ago = before(look.now, NOTED);
        let since = active.http_at.filter(|served| *served <= long_ago)?;
        runs_silently(active, look.now).then(|| Unresponsive {
            uid: active.id.uid.clone(),
            took,
            since,
        })
    });
}

/// Two witnesses: its port, which has answered before and does not any more, and its kubelet, by which
/// the container runs.
fn is_unresponsive(view: &View<'_>, active: &Pod) -> bool {
    let Some(after) = view.seen.intent.policy.unresponsive_after else {
        return false;
    };
    let long_ago = before(view.now, after);
    let silent = view.memory.unresponsive.as_ref();
    silent.is_some_and(|silent| silent.uid == active.id.uid && silent.since <= long_ago)
        && runs_silently(active, view.now)
        && !view.boots(active)
}

/// What comes of the stop of an active that does not answer.
fn stop_of_unresponsive(view: &View<'_>) -> Option<Decision> {
    let active = view
        .active()
        .filter(|active| is_unresponsive(view, active))?;
    let wish = Wish {
        purpose: Purpose::Unresponsive,
        to: None,
    };
    relocate::go(view, active, active.revision.as_ref()?, &wish)
}

/// The next step of it. Where the operator sees no port at all, everything else goes on.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let decided = stop_of_unresponsive(view)?;
    let blocked = decided.progress.blocked.as_ref();
    let cut_off = blocked.is_some_and(|blocked| blocked.reason == NOT_IN_SIGHT);
    (!cut_off).then_some(decided)
}

/// Why an active that does not answer is left alone.
pub fn left_alone(view: &View<'_>) -> Option<Blocked> {
    let mut blocked = stop_of_unresponsive(view)?.progress.blocked?;
    let patience = view.seen.intent.policy.unresponsive_after? + view.seen.intent.standby_timeout;
    let silent = view.memory.unresponsive.as_ref()?;
    blocked.stalled = silent.since <= before(view.now, patience);
    (blocked.reason == NOT_IN_SIGHT).then_some(blocked)
}
