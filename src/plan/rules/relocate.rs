//! Moves of place: the active goes to another pod of its own revision, because its machine is being
//! emptied, somebody asked for it, it belongs elsewhere, it does not answer, or the handover is rehearsed.

use crate::api::Request;
use crate::api::names::PREFERRED;
use crate::domain::{Pod, Reason, Revision};
use crate::plan::cause::{Cause, Purpose};
use crate::plan::decision::{Decision, Note};
use crate::plan::guard::Goal;
use crate::plan::rules::{failback, late, requests, rollout};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{guard, moves, places};

/// A move that is due.
pub struct Wish<'a> {
    pub purpose: Purpose,
    /// Where to, if not just elsewhere.
    pub to: Option<&'a str>,
}

/// A move of place, or why none is made while a rollout goes on or a pause lasts.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let (refused, due) = (requests::refuse_all(view), due(view));
    // What the rollout would do next is worked out only where that makes a difference.
    if refused.is_none() && due.is_none() {
        return None;
    }
    if rollout::keeps_moves_waiting(view) {
        refused
    } else {
        due
    }
}

/// The next step of a move of place, where one is due.
fn due(view: &View<'_>) -> Option<Decision> {
    // A migration is not interrupted, and one that has not served yet has not shown that it works.
    let active = view.active()?;
    if view.boots(active) {
        return None;
    }
    let wish = wish(view, active)?;
    let decided = go(view, active, active.revision.as_ref()?, &wish)?;
    Some(if wish.purpose == Purpose::Failback {
        decided.noting(Note::GoesBack)
    } else {
        decided
    })
}

/// The next step of a move of this active. Nothing is stopped for it before all but those that could win
/// instead is as the handover needs it.
pub fn go(view: &View<'_>, active: &Pod, revision: &Revision, wish: &Wish<'_>) -> Option<Decision> {
    let goes = |pod: &Pod| {
        pod.id != active.id
            && pod.revision.as_ref() == Some(revision)
            && places::emptying(view.seen, pod).is_none()
            && places::is_at(view.seen, pod, wish.to)
    };
    if !view.live.iter().any(|pod| pod.waits() && goes(pod)) {
        return without_successor(view, wish, revision);
    }
    let allowed: Vec<String> = view
        .live
        .iter()
        .filter(|pod| goes(pod))
        .map(|pod| pod.id.uid.clone())
        .collect();
    let goal = Goal {
        revision,
        allowed: Some(&allowed),
        purpose: wish.purpose,
    };
    if let Some(waits) = moves::awaits_turn(view, wish.purpose) {
        return Some(meanwhile(view, waits, revision));
    }
    let ready = guard::ready(view, &goal);
    if let Err(denied) = ready {
        let soon = matches!(
            denied.reason,
            Reason::StopUnderWay | Reason::SuccessorNotSeen
        ) || (denied.reason == Reason::ActiveNotSeen && !view.roles.unheard(active));
        let mut decided = moves::held(view, denied);
        decided.progress.step = Step::StoppingActive;
        return Some(if soon {
            decided
        } else {
            meanwhile(view, decided, revision)
        });
    }
    // Who could win instead goes first, and comes back after.
    let others = view
        .seen
        .pods
        .iter()
        .filter(|pod| pod.id != active.id && !pod.ended() && !goes(pod));
    if let Some(other) = others.into_iter().find(|pod| !pod.deleted) {
        return Some(set_aside(view, other, revision));
    }
    let decided = moves::hand_over(view, &goal);
    // A pod made now is one of those that may succeed, unless a certain one is to.
    Some(if !decided.stops() && wish.to.is_none() {
        meanwhile(view, decided, revision)
    } else {
        decided
    })
}

/// While a move has to wait, what is lost is made again all the same.
fn meanwhile(view: &View<'_>, waits: Decision, revision: &Revision) -> Decision {
    let missing = view.live.len() < view.seen.intent.replicas;
    if !missing || !view.one_at_a_time() {
        return waits;
    }
    let mut repair = moves::make(view, revision, Step::Restoring);
    if !repair.creates() {
        return waits;
    }
    repair.progress.blocked = waits.progress.blocked;
    repair
}

/// What asks for a move of the active, the most urgent first.
fn wish<'a>(view: &View<'a>, active: &Pod) -> Option<Wish<'a>> {
    let wish = |purpose, to| Some(Wish { purpose, to });
    if places::emptying(view.seen, active).is_some() {
        return wish(Purpose::Maintenance, None);
    }
    let pending = |asked: &'a Option<Request>| asked.as_ref().filter(|asked| asked.is_pending());
    if let Some(asked) = pending(&view.memory.switchover) {
        return wish(Purpose::Switchover, asked.to.as_deref());
    }
    if pending(&view.memory.drill).is_some() {
        return wish(Purpose::Drill, None);
    }
    if failback::goes_back(view, active) {
        return wish(Purpose::Failback, Some(PREFERRED));
    }
    None
}

/// Nobody waits where the move is to lead. For a machine that is being emptied a pod is made; what
/// somebody asked for is refused, and nothing was stopped for it.
fn without_successor(view: &View<'_>, wish: &Wish<'_>, revision: &Revision) -> Option<Decision> {
    match wish.purpose {
        Purpose::Maintenance => Some(surge_elsewhere(view, revision)),
        Purpose::Switchover => {
            let place = wish.to.map(|to| format!(" at {to}")).unwrap_or_default();
            let waiting: Vec<String> = view
                .roles
                .waiting
                .iter()
                .map(|pod| whereabouts(view, pod, revision))
                .collect();
            let known = if waiting.is_empty() {
                "none waits anywhere".to_owned()
            } else {
                format!("waiting now: {}", waiting.join(", "))
            };
            Some(requests::refuse(
                view,
                wish.purpose,
                format!("no standby waits for the lock{place}: {known}"),
            ))
        }
        Purpose::Drill => Some(requests::refuse(
            view,
            wish.purpose,
            "no standby waits for the lock".to_owned(),
        )),
        Purpose::Failback | Purpose::Rollout | Purpose::Unresponsive => None,
    }
}

/// A standby, where it is, and what makes it none to go to.
fn whereabouts(view: &View<'_>, pod: &Pod, revision: &Revision) -> String {
    let machine = pod.machine.as_deref().unwrap_or("no machine");
    let emptied = places::emptying(view.seen, pod)
        .map(|why| format!(", which is being emptied ({why})"))
        .unwrap_or_default();
    let other = if pod.revision.as_ref() == Some(revision) {
        ""
    } else {
        ", of another revision than the active"
    };
    format!("{} on {machine}{emptied}{other}", pod.id.name)
}

/// The active is to leave its machine, and no pod waits elsewhere.
fn surge_elsewhere(view: &View<'_>, revision: &Revision) -> Decision {
    let coming = view.live.iter().find(|pod| {
        !pod.waits()
            && !view.roles.is_active(pod)
            && pod.revision.as_ref() == Some(revision)
            && places::emptying(view.seen, pod).is_none()
    });
    if let Some(coming) = coming {
        let progress = Progress::at(Step::AwaitingStandby).about(&coming.id.name);
        let mut decided = Decision::nothing(progress);
        decided.progress.blocked = late::lateness(view, coming);
        return decided;
    }
    let intent = &view.seen.intent;
    if view.live.len() < intent.replicas + intent.surge && view.one_at_a_time() {
        let decided = moves::make(view, revision, Step::Surging);
        // The rollout waits for the move from here on, however long the pod takes to wait.
        let refused = view.wanted().and_then(|wanted| view.refused(wanted));
        return if decided.creates() && refused.is_some() {
            decided.noting(Note::SetAside)
        } else {
            decided
        };
    }
    // A rollout that is stuck takes the room.
    let stuck = view
        .live
        .iter()
        .find(|pod| !view.roles.is_active(pod) && pod.revision.as_ref() != Some(revision));
    if let Some(pod) = stuck {
        return set_aside(view, pod, revision);
    }
    // Without room for a surge a standby on such a machine gives its place.
    let leaving = places::leaving(view);
    match leaving.first() {
        Some(pod) => moves::stop(view, pod, Cause::Leaving),
        None if intent.surge > 0 => Decision::nothing(Progress::at(Step::Surging)),
        None => Decision::nothing(Progress::at(Step::Holding).blocked(Blocked {
            reason: Reason::NoRoom,
            message: "the machine of the active is being emptied, and handover.surge: 0 leaves no room for a pod elsewhere: set handover.surge to 1 or replicas to 2 or more".to_owned(),
            stalled: false,
        })),
    }
}

/// Stops a pod for a move to another one. The rollout that it may be of waits for the move.
fn set_aside(view: &View<'_>, pod: &Pod, revision: &Revision) -> Decision {
    let decided = moves::stop(view, pod, Cause::Aside);
    if decided.stops() && pod.revision.as_ref() != Some(revision) {
        decided.noting(Note::SetAside)
    } else {
        decided
    }
}
