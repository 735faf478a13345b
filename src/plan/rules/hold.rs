//! Rollouts that wait for a person or for their time. The successor is brought up, seen to wait for the
//! lock, and removed again, so that no crash at night upgrades the node unasked.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{CheckFailed, Memory};
use crate::domain::{Patience, Pod, Reason, Revision};
use crate::plan::cause::{Cause, Denied};
use crate::plan::decision::{Decision, Note};
use crate::plan::limits::{DATABASE_DOUBT, before};
use crate::plan::rules::{late, repair, steady};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};
use crate::plan::{guard, moves, places};

/// When the lock may be moved next, where that is not now. `Some(None)` where no time is known.
#[allow(clippy::option_option)]
pub fn opens(look: &Look<'_>) -> Option<Option<Timestamp>> {
    let windows = &look.seen.intent.policy.windows;
    if windows.is_empty() || windows.iter().any(|window| window.is_open(look.now)) {
        return None;
    }
    let times = windows
        .iter()
        .filter_map(|window| window.opens.next(look.now));
    Some(times.min())
}

/// After a pause, or for another revision, a check is made again.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let again = before(look.now, look.seen.intent.standby_timeout);
    let known = memory.check_failed.take();
    let wanted = memory.wanted_name();
    memory.check_failed = known.filter(|known| known.at > again && Some(&known.revision) == wanted);
}

/// What was wrong with the pod that was to be seen waiting.
pub fn note_failed_check(memory: &mut Memory, failed: Blocked, look: &Look<'_>) {
    let wanted = memory.wanted.as_ref();
    memory.check_failed = wanted.map(|wanted| CheckFailed {
        revision: wanted.name.clone(),
        reason: failed.reason.to_string(),
        message: failed.message,
        at: look.now,
    });
}

/// How long after its waiting line a denial may last before the check of this pod has failed. `None`: it never fails by
/// this reason, which passes, or the pod counts as lost.
fn patience(denied: &Denied, standby_timeout: Duration) -> Option<Duration> {
    match denied.reason.patience() {
        Patience::UntilProgress | Patience::UntilTheTakerShows => None,
        Patience::DatabaseDoubt => Some(DATABASE_DOUBT),
        Patience::DatabaseSilence | Patience::OfItsPod => Some(standby_timeout),
        Patience::None | Patience::Told => Some(Duration::ZERO),
    }
}

/// What the handover to `target` has to wait for. What has been active already, what is under way and
/// the very first start wait for nothing.
fn waits_for(view: &View<'_>, target: &Revision) -> Option<(Blocked, Option<Timestamp>)> {
    let memory = view.memory;
    let known = memory.last_worked.as_ref();
    let begun = memory
        .stop_of_active()
        .is_some_and(|stop| stop.to.as_ref() == Some(&target.name));
    let active = view.roles.active.and_then(|pod| pod.revision.as_ref());
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
    let policy = &view.seen.intent.policy;
    if let Some(approved) = &policy.approval
        && !approved.is_for(target, active.or_else(|| view.last_worked()))
    {
        let blocked = Blocked {
            reason: Reason::ApprovalRequired,
            message: format!(
                "{what} and is not handed over to before it is approved: kubectl annotate --namespace {} chainlinknode/{} chainlink-operator.dev/approved={} --overwrite",
                view.seen.intent.namespace, view.seen.intent.node.name, target.name
            ),
            stalled: false,
        };
        return Some((blocked, None));
    }
    let opens = opens(&view.look)?;
    let when = opens.map_or_else(|| "never".to_owned(), |opens| opens.to_string());
    let blocked = Blocked {
        reason: Reason::WaitingForWindow,
        message: format!("{what}; the next window of handover.windows opens at {when}"),
        stalled: false,
    };
    Some((blocked, opens))
}

/// What was wrong with the last pod that was to be checked, where it is too early for another.
fn check_failed<'a>(view: &View<'a>, target: &Revision) -> Option<&'a CheckFailed> {
    let known = view.memory.check_failed.as_ref();
    known.filter(|known| known.revision == target.name)
}

/// Whether nothing more is to be seen of `target` before it may be handed over to. Without room for a
/// surge there is no check.
fn is_past_its_check(view: &View<'_>, target: &Revision) -> bool {
    view.seen.intent.surge == 0
        || view.memory.checked.as_ref() == Some(&target.name)
        || check_failed(view, target).is_some()
}

/// Whether the rollout to `target` has been checked, and waits.
pub fn is_held(view: &View<'_>, target: &Revision) -> bool {
    is_past_its_check(view, target) && waits_for(view, target).is_some()
}

/// The steps of a rollout that has to wait, where it has.
pub fn hold_rollout(view: &View<'_>, target: &Revision, others: &[&Pod]) -> Option<Decision> {
    let (blocked, until) = waits_for(view, target)?;
    let made = view.live.iter().copied();
    let made: Vec<&Pod> = made
        .filter(|pod| pod.revision.as_ref() == Some(target))
        .collect();
    let past = is_past_its_check(view, target);
    let mut decided = match made.first() {
        Some(_) if past => take_back(view, &made, target),
        Some(pod) => check(view, target, pod),
        None if past => hold_as_it_is(view),
        None => surge_to_check(view, target, others),
    };
    if decided.progress.blocked.is_none() {
        let failed = check_failed(view, target).map(|failed| Blocked {
            reason: Reason::of(&failed.reason),
            message: failed.message.clone(),
            stalled: true,
        });
        decided.progress.blocked = Some(failed.unwrap_or(blocked));
        decided.progress.until = decided.progress.until.or(until);
    }
    Some(decided)
}

/// Pods of the wanted revision go again, and never is there a standby less for it: those of the revision
/// that works come back first. Without room for that it is done in place.
fn take_back(view: &View<'_>, made: &[&Pod], target: &Revision) -> Decision {
    let intent = &view.seen.intent;
    let mut made = made
        .iter()
        .copied()
        .filter(|pod| !view.roles.is_active(pod));
    let Some(pod) = made.clone().min_by_key(|pod| pod.waits()) else {
        return repair::hold_quietly(view);
    };
    let Some(proven) = view.last_worked().filter(|_| view.active().is_some()) else {
        return moves::stop(view, pod, Cause::Checked);
    };
    let old = view
        .live
        .iter()
        .filter(|pod| pod.revision.as_ref() != Some(target) && !view.roles.is_active(pod));
    let could = |pod: &&&Pod| view.roles.could_take_over(pod);
    let waiting = old.clone().filter(could).count();
    let enough = waiting + 1 >= intent.replicas;
    // One that could not take over is no redundancy.
    if enough || !view.roles.could_take_over(pod) {
        return moves::stop(view, pod, Cause::Checked);
    }
    if guard::create(view, proven).is_err() && !guard::stays_possible(view, proven) {
        return Decision::nothing(Progress::at(Step::Holding));
    }
    if let Some(coming) = old.clone().find(|pod| !pod.waits()) {
        let progress = Progress::at(Step::Restoring).about(&coming.id.name);
        let mut decided = Decision::nothing(progress);
        decided.progress.blocked = late::lateness(view, coming);
        return decided;
    }
    if view.live.len() < intent.replicas + intent.surge {
        return moves::make(view, proven, Step::Restoring);
    }
    let beyond = waiting + made.by_ref().filter(|pod| pod.waits()).count();
    if beyond >= intent.replicas || intent.surge == 0 {
        return moves::stop(view, pod, Cause::Checked);
    }
    repair::hold_quietly(view)
}

/// Nothing is made of the wanted revision: all else is kept as it should be.
fn hold_as_it_is(view: &View<'_>) -> Decision {
    let decided = repair::hold_quietly(view);
    let idle = decided.waits();
    let surplus = view.live.len() > view.seen.intent.replicas && places::leaving(view).is_empty();
    if idle && surplus {
        return steady::trim(view);
    }
    steady::beside_a_change(view, decided)
}

/// A pod of the wanted revision is there to be seen waiting.
fn check(view: &View<'_>, target: &Revision, pod: &Pod) -> Decision {
    let progress = Progress::at(Step::AwaitingStandby).about(&pod.id.name);
    let mut decided = Decision::nothing(progress);
    if !pod.waits() {
        let late = late::lateness(view, pod).filter(|blocked| blocked.stalled);
        let Some(late) = late else {
            return repair::await_standby(view, target, pod);
        };
        decided.progress.blocked = Some(late.clone());
        return decided.noting(Note::CheckFailed(late));
    }
    let Err(denied) = guard::fit(view, pod) else {
        return decided.noting(Note::Checked);
    };
    let patience = patience(&denied, view.seen.intent.standby_timeout);
    let failed = patience
        .zip(pod.waiting)
        .is_some_and(|(patience, since)| since.max(pod.created) <= before(view.now, patience));
    let blocked = Blocked {
        reason: denied.reason,
        message: denied.message,
        stalled: failed,
    };
    decided.progress.blocked = Some(blocked.clone());
    if failed {
        decided.noting(Note::CheckFailed(blocked))
    } else {
        decided
    }
}

/// A pod of `target` is made to be seen waiting, where there is room for it.
fn surge_to_check(view: &View<'_>, target: &Revision, others: &[&Pod]) -> Decision {
    let intent = &view.seen.intent;
    // What a newer spec has overtaken makes room.
    let superseded = others.iter().find(|pod| {
        let name = pod.revision.as_ref().map(|revision| &revision.name);
        name != view.memory.last_worked.as_ref() && !view.roles.is_active(pod)
    });
    if let Some(pod) = superseded {
        // The last one that could take over goes once one of what works is there.
        let last = guard::stop_other(view, pod, Cause::Replaced).is_err();
        return repair::beside_what_is_stuck(view, target)
            .filter(|_| last)
            .unwrap_or_else(|| moves::stop(view, pod, Cause::Replaced));
    }
    let whole = view.live.len() >= intent.replicas;
    if whole && view.live.len() < intent.replicas + intent.surge && view.one_at_a_time() {
        return moves::make(view, target, Step::Surging);
    }
    repair::hold_quietly(view)
}
