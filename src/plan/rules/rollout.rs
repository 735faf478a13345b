//! A rollout: a pod of the wanted revision beside the others, seen to wait, the standbys replaced, then the active.

use jiff::Timestamp;

use crate::domain::{Pod, Pulled, Reason, Revision, Wanted};
use crate::plan::cause::Cause;
use crate::plan::decision::Decision;
use crate::plan::guard::Goal;
use crate::plan::limits::{LOST, before};
use crate::plan::rules::oneshot::{pull, validate};
use crate::plan::rules::{hold, late, repair, steady};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{guard, moves};

/// What is wanted has failed: all goes back to what worked.
pub fn after_a_failure(view: &View<'_>) -> Option<Decision> {
    let wanted = view.wanted().filter(|_| view.has_failed())?;
    // Where the last one that worked may not run any more, the only way is forward.
    let proven = view.last_worked().filter(|proven| {
        guard::create(view, proven).is_ok() || guard::stays_possible(view, proven)
    });
    let mut decided = toward(view, proven.unwrap_or(wanted));
    decided.progress.blocked = decided.not_made();
    Some(decided)
}

/// A change has to be still for a moment.
pub fn settle(view: &View<'_>) -> Option<Decision> {
    let until = settles(view, view.wanted()?)?;
    // A pod made now would be replaced at once, so only a resource without any gets one.
    // But for a long `settle`, redundancy does not wait for its end.
    let soon = view.now.checked_add(LOST).unwrap_or(view.now);
    if view.live.is_empty() || until > soon {
        let decided = repair::hold_quietly(view);
        if view.live.is_empty() || decided.creates() {
            return Some(decided);
        }
    }
    Some(Decision::nothing(Progress::at(Step::Settling).until(until)))
}

/// One step towards what is wanted.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    Some(toward(view, view.wanted()?))
}

/// Planned moves of place wait for a rollout that goes on: it moves the lock itself. And nothing is
/// moved while a pause lasts.
pub fn keeps_moves_waiting(view: &View<'_>) -> bool {
    if view.seen.intent.policy.paused {
        return true;
    }
    let Wanted::Revision(wanted) = &view.seen.intent.wanted else {
        return false;
    };
    let rolls = view
        .seen
        .pods
        .iter()
        .any(|pod| !pod.ended() && pod.revision.as_ref() != Some(wanted));
    let aside = view.memory.set_aside.as_ref() == Some(&wanted.name);
    rolls
        && !aside
        && !hold::is_held(view, wanted)
        && !view.has_failed()
        && !is_stuck(view, wanted)
        && !is_stalled(view, wanted)
}

/// Whether the rollout itself has come to where a person is needed: it waits for what does not pass.
fn is_stalled(view: &View<'_>, target: &Revision) -> bool {
    let decided = toward(view, target);
    let blocked = decided.progress.blocked.as_ref();
    decided.waits() && blocked.is_some_and(|blocked| blocked.stalled)
}

/// Whether no pod of `target` can come up, as far as can be told.
fn is_stuck(view: &View<'_>, target: &Revision) -> bool {
    let by_server = view.refused(target);
    let refused =
        guard::refuse(view, target).is_err() || by_server.is_some_and(|refused| refused.lasting);
    let stuck = |pod: &Pod| {
        pod.revision.as_ref() == Some(target)
            && !pod.waits()
            && !view.roles.is_active(pod)
            && late::lateness(view, pod).is_some_and(|blocked| blocked.stalled)
    };
    let unchecked = || {
        let keeps = validate::fails_its_check(view, target);
        keeps.is_some_and(|blocked| blocked.stalled)
    };
    refused || view.live.iter().any(|pod| stuck(pod)) || unchecked()
}

/// Until when the wanted revision has to be still, where a surge would follow.
fn settles(view: &View<'_>, wanted: &Revision) -> Option<Timestamp> {
    // Nothing to be replaced: a first start, or one after `replicas: 0`.
    let first = view.seen.pods.is_empty() && view.memory.last_active.is_none();
    let same = view
        .live
        .iter()
        .all(|pod| pod.revision.as_ref() == Some(wanted));
    if first || (same && !view.live.is_empty()) {
        return None;
    }
    let since = view
        .memory
        .wanted
        .as_ref()
        .map_or(view.now, |wanted| wanted.since);
    let until = since
        .checked_add(view.seen.intent.settle)
        .unwrap_or(view.now);
    (until > view.now).then_some(until)
}

/// One step towards `replicas` pods of `target`.
fn toward(view: &View<'_>, target: &Revision) -> Decision {
    if let Err(denied) = guard::refuse(view, target) {
        return repair::hold(
            view,
            Blocked {
                reason: denied.reason,
                message: denied.message,
                stalled: true,
            },
        );
    }
    let outdated = |pod: &&&Pod| pod.revision.as_ref() != Some(target);
    let others: Vec<&Pod> = view
        .roles
        .others()
        .into_iter()
        .chain(view.roles.lost.iter().copied())
        .filter(|pod| outdated(&pod))
        .collect();
    if let Some(decided) = abandon(view, target, &others) {
        return decided;
    }
    let old_active = view.active().is_some_and(|pod| outdated(&&pod));
    if !old_active && others.is_empty() {
        // Also where nothing is left of what worked: nobody has allowed the change yet.
        return hold::hold_rollout(view, target, &others)
            .unwrap_or_else(|| steady::keep(view, target));
    }
    if let Some(active) = view.active().filter(|active| view.boots(active)) {
        let since = active.took.map_or(active.created, |took| took.at);
        return moves::booting(view, active, since);
    }
    if let Some(decided) = clear_superseded(view, &others) {
        return decided;
    }
    if let Some(decided) = validate::decide(view, target) {
        return decided;
    }
    if let Some(decided) = hold::hold_rollout(view, target, &others) {
        return decided;
    }
    roll(view, target, &others, old_active)
}

/// A spec that goes back first removes the pods of the abandoned newer version, before one wins.
fn abandon(view: &View<'_>, target: &Revision, others: &[&Pod]) -> Option<Decision> {
    let newer = others.iter().find(|pod| {
        pod.revision
            .as_ref()
            .is_some_and(|revision| revision.version > target.version)
    })?;
    Some(moves::stop(view, newer, Cause::Abandoned))
}

/// Pods of superseded revisions that never came to wait only take room.
fn clear_superseded(view: &View<'_>, others: &[&Pod]) -> Option<Decision> {
    let junk = others.iter().find(|pod| {
        !pod.waits()
            && !view.roles.holds(pod)
            && pod.revision.as_ref().map(|revision| &revision.name)
                != view.memory.last_worked.as_ref()
    })?;
    // Where they may not be stopped now, they do not stand in the way of what else is to be done.
    guard::stop_other(view, junk, Cause::Replaced)
        .ok()
        .map(|permit| Decision::stop(permit, Step::ReplacingStandbys))
}

/// Pods of other revisions are there: surge, see it wait, replace the standbys, then the active.
fn roll(view: &View<'_>, target: &Revision, others: &[&Pod], old_active: bool) -> Decision {
    let intent = &view.seen.intent;
    let made: Vec<&&Pod> = view
        .live
        .iter()
        .filter(|pod| pod.revision.as_ref() == Some(target))
        .collect();
    let coming = || {
        let up = |pod: &Pod| pod.waits() || view.roles.is_active(pod);
        made.iter().filter(move |pod| !up(pod))
    };
    let late = coming().find(|pod| late::lateness(view, pod).is_some());
    if let Some(coming) = late.or_else(|| coming().next()) {
        return repair::await_standby(view, target, coming);
    }
    if old_active && let Some(decided) = first_is_unfit(view, target, &made, others) {
        return decided;
    }
    let wanted = match (old_active, intent.surge) {
        (true, 0) => intent.replicas.max(2) - 1,
        _ => intent.replicas,
    };
    let taken = view.live.len() + view.roles.stopping.len();
    let room = taken < intent.replicas + intent.surge;
    if made.len() < wanted && room {
        return repair::make(view, target, Step::Surging);
    }
    // A lost pod that came back takes the room of the surge.
    let surplus = made.is_empty() && view.live.len() > intent.replicas;
    let covered = intent.surge == 0 || surplus || !made.is_empty();
    // Those that could not take over go first; of the others the oldest.
    let next = others
        .iter()
        .min_by_key(|pod| (view.roles.could_take_over(pod), pod.created, &pod.id.name));
    match next {
        Some(pod) if covered || !old_active => replace(view, pod, target),
        Some(_) => Decision::nothing(Progress::at(Step::ReplacingStandbys)),
        None if old_active => moves::hand_over(view, &Goal::rollout(target)),
        None => Decision::nothing(Progress::at(Step::AwaitingTakeover)),
    }
}

/// Pods of the wanted revision wait, and none of them may be handed over to: no healthy standby goes for them, and no other
/// one is made like them.
fn first_is_unfit(
    view: &View<'_>,
    target: &Revision,
    made: &[&&Pod],
    others: &[&Pod],
) -> Option<Decision> {
    let mut unfit = None;
    for pod in made {
        match guard::fit(view, pod) {
            Ok(()) => return None,
            Err(denied) => unfit = Some(denied),
        }
    }
    let mut decided = moves::held(view, unfit?);
    decided.progress.step = Step::ReplacingStandbys;
    let stalled = decided.progress.blocked.as_ref();
    let stalled = stalled.is_some_and(|blocked| blocked.stalled);
    if let Some(mut repair) = repair::beside_what_is_stuck(view, target).filter(|_| stalled) {
        repair.progress.blocked = decided.progress.blocked;
        return Some(repair);
    }
    Some(if others.is_empty() {
        moves::hand_over(view, &Goal::rollout(target))
    } else {
        decided
    })
}

/// A pod of another revision makes room. Where the new one comes in its place, its image is there
/// first: pulling takes long, and an image that can't be had must not cost a standby.
fn replace(view: &View<'_>, pod: &Pod, target: &Revision) -> Decision {
    // A lost machine pulls nothing.
    let lost = view.roles.lost.iter().any(|lost| lost.id == pod.id);
    let in_place = view.seen.intent.surge == 0 && pod.waits() && !lost;
    let Some(needed) = pull::in_place_of(pod, target).filter(|_| in_place) else {
        return moves::stop(view, pod, Cause::Replaced);
    };
    let pull = pull::found(view.seen, &needed);
    let late =
        pull.is_some_and(|pull| pull.created <= before(view.now, view.seen.intent.standby_timeout));
    let mut decided = match pull.map(|pull| &pull.pulled) {
        Some(Pulled::Yes) => moves::stop(view, pod, Cause::Replaced),
        Some(Pulled::NotYet(Some(trouble)) | Pulled::Refused(trouble)) => {
            Decision::nothing(Progress::at(Step::PullingImage).blocked(Blocked {
                reason: Reason::of(&trouble.reason),
                message: format!(
                    "the image can't be pulled on {}: {}",
                    needed.machine, trouble.message
                ),
                stalled: late || trouble.of_a_wrong_image(),
            }))
        }
        Some(Pulled::NotYet(None)) if late => {
            Decision::nothing(Progress::at(Step::PullingImage).blocked(Blocked {
                reason: Reason::PullTimeout,
                message: format!(
                    "the image has not been pulled on {} within handover.standbyTimeout: look at that machine, and at its way to the registry",
                    needed.machine
                ),
                stalled: true,
            }))
        }
        Some(Pulled::NotYet(None)) => Decision::nothing(Progress::at(Step::PullingImage)),
        None => {
            let mut progress = Progress::at(Step::PullingImage);
            let name = pull::pod_name(&view.seen.intent.node, &needed);
            progress.blocked = view.refused_oneshot(&name).map(moves::not_made);
            Decision::nothing(progress)
        }
    };
    if decided.progress.step == Step::PullingImage {
        decided.progress = decided.progress.about(&needed.machine);
    }
    decided.image = Some(needed);
    decided
}
