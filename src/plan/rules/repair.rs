//! What is lost is made again, and what does not come up gives way to what worked: the last revision that did. Nothing
//! here moves the lock.

use crate::api::FailedHow;
use crate::domain::{Container, Pod, Revision};
use crate::plan::cause::Cause;
use crate::plan::decision::{Decision, Note};
use crate::plan::limits::before;
use crate::plan::rules::late;
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{guard, moves, places};

/// So often a pod is asked for before its place is given back, where there is no room for a surge.
const A_FEW_TRIES: u32 = 3;

/// A pod in back-off after an exit that means nothing is replaced, as the kubelet would wait for
/// up to five minutes.
pub fn backed_off(view: &View<'_>) -> Option<Decision> {
    let coming = view
        .roles
        .starting
        .iter()
        .any(|pod| !matches!(pod.container, Container::NotStarted { trouble: Some(_) }));
    // One at a time: the one before has been made again, and is up or down.
    if coming || view.live.len() < view.seen.intent.replicas {
        return None;
    }
    let pod = view
        .roles
        .down
        .iter()
        .find(|pod| guard::backed_off(view, pod))?;
    guard::stop_other(view, pod, Cause::BackOff)
        .ok()
        .map(|permit| Decision::stop(permit, Step::Restoring))
}

/// Nothing planned is done, and what was lost is repaired from the last revision that worked. That this can't be done says
/// more than what is waited for.
pub fn hold(view: &View<'_>, blocked: Blocked) -> Decision {
    let mut decided = hold_quietly(view);
    let not_made = decided.not_made();
    decided.progress.blocked = not_made.or(Some(blocked));
    decided
}

/// A pod of `target`. While the API server refuses it, redundancy that was lost is made again from the last revision that
/// worked; without room for a surge its place is given back.
pub fn make(view: &View<'_>, target: &Revision, step: Step) -> Decision {
    let decided = moves::make(view, target, step);
    let refused = view.refused(target).filter(|refused| refused.lasting);
    let Some(refused) = refused.filter(|_| decided.waits()) else {
        return decided;
    };
    let proven = view.last_worked().filter(|proven| *proven != target);
    let wanted = view.memory.wanted_name() == Some(&target.name);
    if view.seen.intent.surge == 0
        && wanted
        && proven.is_some_and(|proven| guard::stays_possible(view, proven))
    {
        // A quota counts the pod that was in its place for a moment longer.
        if refused.tries <= A_FEW_TRIES {
            return decided;
        }
        let because = Some(refused.message.clone());
        return decided.noting(Note::Failed(FailedHow::GivenUp, because));
    }
    match beside_what_is_stuck(view, target) {
        Some(mut repair) => {
            // Where that is refused, too, it is what matters.
            let blocked = decided.progress.blocked;
            repair.progress.blocked = repair.progress.blocked.or(blocked);
            repair
        }
        None => decided,
    }
}

/// [`hold`], where what it waits for is told elsewhere.
pub fn hold_quietly(view: &View<'_>) -> Decision {
    let missing = view.live.len() < view.seen.intent.replicas;
    // After `replicas: 0` nothing but what the spec asks for is started: the database may be that of a backup.
    let anew = view.live.is_empty() && view.memory.last_active.is_none();
    let repair = view
        .last_worked()
        .filter(|_| !anew)
        .filter(|proven| (missing && view.one_at_a_time()) || nobody_can_serve(view, proven));
    if let Some(revision) = repair {
        return moves::make(view, revision, Step::Restoring);
    }
    // A drain does not wait for what is waited for here.
    view.last_worked()
        .filter(|_| !view.seen.intent.policy.paused)
        .and_then(|proven| replace_leaving(view, proven))
        .unwrap_or_else(|| Decision::nothing(Progress::at(Step::Holding)))
}

/// After a handover that failed, and then a spec that can't be had: none of the pods has worked, and
/// none even waits.
fn nobody_can_serve(view: &View<'_>, proven: &Revision) -> bool {
    let long = view
        .memory
        .unheld_since
        .is_some_and(|since| since <= before(view.now, view.roles.rescue));
    let intent = &view.seen.intent;
    long && view.live.len() < intent.replicas + intent.surge
        && !view
            .live
            .iter()
            .any(|pod| pod.waits() || pod.revision.as_ref() == Some(proven))
}

/// A handover has failed, and nothing planned may be done: while nobody works, a pod of the last revision that did
/// is made.
pub fn rescue(view: &View<'_>) -> Decision {
    let intent = &view.seen.intent;
    let room = view.live.len() < intent.replicas + intent.surge;
    let proven = view.last_worked().filter(|proven| {
        let made = |pod: &&Pod| pod.revision.as_ref() == Some(proven);
        room && view.active().is_none()
            && guard::create(view, proven).is_ok()
            && !view.live.iter().any(made)
    });
    match proven {
        Some(proven) => moves::make(view, proven, Step::Restoring),
        None => hold_quietly(view),
    }
}

/// Pods are coming up; what keeps the first of them is said.
pub fn restoring(view: &View<'_>, target: &Revision) -> Decision {
    let coming = || view.roles.starting.iter().chain(&view.roles.down);
    let late = coming().find(|pod| late::lateness(view, pod).is_some());
    let mut progress = Progress::at(Step::Restoring);
    if let Some(pod) = late.or_else(|| coming().next()) {
        progress = progress.about(&pod.id.name);
        progress.blocked = late::lateness(view, pod);
        // The last pod of the revision that worked was lost, and this one does not come up.
        if let Some(mut repair) = from_what_worked(view, target, pod) {
            repair.progress = progress;
            return repair;
        }
        if gives_up(view, target, pod) {
            let why = progress.blocked.as_ref().map(|late| late.message.clone());
            return Decision::nothing(progress).noting(Note::Failed(FailedHow::Late, why));
        }
    } else if !view.roles.stopping.is_empty() {
        return moves::still_stopping(view, Step::AwaitingTakeover);
    }
    Decision::nothing(progress)
}

/// A pod of the wanted revision does not wait yet.
pub fn await_standby(view: &View<'_>, target: &Revision, coming: &Pod) -> Decision {
    let step = Step::AwaitingStandby;
    if let Some(because) = took_the_room(view, target, coming) {
        return Decision::nothing(Progress::at(step).about(&coming.id.name))
            .noting(Note::Failed(FailedHow::GivenUp, Some(because)));
    }
    let mut decided = from_what_worked(view, target, coming)
        .unwrap_or_else(|| Decision::nothing(Progress::at(step)));
    decided.progress = Progress::at(step).about(&coming.id.name);
    decided.progress.blocked = late::lateness(view, coming);
    decided
}

/// While a pod of the wanted revision can't come up, redundancy that was lost is repaired from the
/// last revision that worked.
fn from_what_worked(view: &View<'_>, target: &Revision, coming: &Pod) -> Option<Decision> {
    let stuck = late::lateness(view, coming).is_some_and(|blocked| blocked.stalled);
    stuck.then(|| beside_what_is_stuck(view, target)).flatten()
}

/// Redundancy that was lost beside a rollout that is stuck, made again from the last revision that worked.
pub fn beside_what_is_stuck(view: &View<'_>, target: &Revision) -> Option<Decision> {
    let proven = view.last_worked().filter(|proven| *proven != target)?;
    let intent = &view.seen.intent;
    let redundant = view.roles.standbys().count() + usize::from(view.active().is_some());
    let repairing = view.live.iter().any(|pod| {
        !pod.waits() && !view.roles.is_active(pod) && pod.revision.as_ref() == Some(proven)
    });
    let needed = redundant < intent.replicas
        && !repairing
        && view.live.len() < intent.replicas + intent.surge
        && guard::create(view, proven).is_ok();
    needed.then(|| moves::make(view, proven, Step::Restoring))
}

/// Nobody serves, the wanted revision can't come up, and there is no room for a pod of the last one that
/// worked beside it: it has failed.
fn gives_up(view: &View<'_>, target: &Revision, coming: &Pod) -> bool {
    let intent = &view.seen.intent;
    let long_ago = before(view.now, view.roles.rescue);
    let unheld = view.memory.unheld_since.is_some_and(|at| at <= long_ago);
    let wanted = view.memory.wanted_name();
    unheld
        && wanted == Some(&target.name)
        && view.live.len() >= intent.replicas + intent.surge
        && late::lateness(view, coming).is_some_and(|blocked| blocked.stalled)
        && view.last_worked().is_some_and(|proven| {
            let made = |pod: &&Pod| pod.revision.as_ref() == Some(proven);
            proven != target && guard::create(view, proven).is_ok() && !view.live.iter().any(made)
        })
}

/// Without room for a surge, a pod that can't come up has taken the place of a standby: that place is
/// given back, and the reason kept.
fn took_the_room(view: &View<'_>, target: &Revision, coming: &Pod) -> Option<String> {
    let wanted = view.memory.wanted_name();
    let proven = view.last_worked().filter(|proven| *proven != target)?;
    let blocked = late::lateness(view, coming).filter(|blocked| blocked.stalled)?;
    let no_room = view.seen.intent.surge == 0
        && view.live.len() >= view.seen.intent.replicas
        && wanted == Some(&target.name)
        && guard::stays_possible(view, proven);
    no_room.then_some(blocked.message)
}

/// Standbys whose machines are being emptied are replaced, a new one first.
pub fn replace_leaving(view: &View<'_>, target: &Revision) -> Option<Decision> {
    let leaving = places::leaving(view);
    let pod = leaving.first()?;
    let intent = &view.seen.intent;
    let staying = view.live.len() - leaving.len();
    if intent.surge == 0 && pod.waits() {
        return Some(moves::stop(view, pod, Cause::Leaving));
    }
    let coming = view.live.iter().any(|pod| {
        !pod.waits() && !view.roles.is_active(pod) && places::emptying(view.seen, pod).is_none()
    });
    if coming {
        return Some(restoring(view, target));
    }
    if staying < intent.replicas && view.live.len() < intent.replicas + intent.surge {
        return Some(moves::make(view, target, Step::Surging));
    }
    Some(moves::stop(view, pod, Cause::Leaving))
}
