//! What is done next: the rules in their order, and what is told where none of them says why nothing moves.

use super::decision::{Decision, Move};
use super::neighbours;
use super::rules::{
    end, external, intent, late, lease, pause, relocate, repair, rollback, rollout, takeover,
    unresponsive, verdict, wrong_database,
};
use super::step::{Blocked, Progress, Step};
use super::view::View;
use crate::domain::{Reason, Refused};

/// The first of these that decides anything is followed. Each line says what the rule is for, and why it stands before those
/// below. The second to the fourth exclude each other.
const RULES: [fn(&View<'_>) -> Option<Decision>; 15] = [
    // A pod on another database goes at once, whatever else is seen (S9).
    wrong_database::decide,
    // While nobody knows who is active, nothing new is made and nobody is stopped.
    takeover::decide,
    // The next pod would read the same Secret, and be on that other database too.
    wrong_database::lasts,
    // A taker that says nothing yet has not failed: the rules below would take it for lost.
    external::decide,
    // What has failed has to be remembered before anything is done about it.
    verdict::decide,
    // Until it is known whether there is a way back, no other rule may make or stop a pod.
    rollback::decide,
    // A failover: no rollout, pause or turn holds it. It goes before everything that could take the one stop at a time.
    unresponsive::decide,
    // A standby is needed for all that is planned.
    repair::backed_off,
    // A drain, or a person, waits for a move of place: it goes before a rollout that is stuck or held. It goes before a
    // pause, as a paused resource refuses what a person asks for instead of keeping it.
    relocate::decide,
    // All rules below need a revision to go to.
    intent::decide,
    // A pause holds all that is planned.
    pause::decide,
    // A pod that is another version than the spec says goes before it wins the lock unasked.
    verdict::other_version,
    // What has failed is not rolled out, and has nothing to settle.
    rollout::after_a_failure,
    // What may change again in a moment is not begun.
    rollout::settle,
    // What is left: one step towards what is wanted.
    rollout::decide,
];

/// Decides the next move, and says what keeps it from being made.
pub fn decide(view: &View<'_>) -> Decision {
    // The user asked for an end, which needs no word on what does not work.
    let mut decided = end::decide(view).unwrap_or_else(|| {
        let decided = RULES.iter().find_map(|rule| rule(view));
        // The last one decides wherever there is a revision to go to.
        let decided = decided.unwrap_or_else(|| Decision::nothing(Progress::at(Step::Holding)));
        told(view, decided)
    });
    refused_stop(&mut decided, view);
    decided
}

/// Where nothing of its own keeps a decision waiting, what is known not to work is told.
fn told(view: &View<'_>, mut decided: Decision) -> Decision {
    if decided.progress.blocked.is_none() {
        let failed = view.failure().map(verdict::told);
        decided.progress.blocked = failed.or_else(|| late::in_vain(view));
    }
    if let (Some(blocked), Some(why)) = (&mut decided.progress.blocked, rollback::no_way_back(view))
    {
        blocked.message = format!("{}; {why}", blocked.message);
    }
    // Why a silent active is not replaced says more than that it is silent.
    let known = decided.progress.blocked.as_ref();
    if known.is_none_or(|known| known.reason == Reason::ActiveUnresponsive) {
        let left = unresponsive::left_alone(view);
        decided.progress.blocked = left.or(decided.progress.blocked);
    }
    // What waits for a time or a person hides no outage, and not why one lasts.
    let known = decided.progress.blocked.as_ref();
    if known.is_none_or(|known| !known.stalled) {
        decided.progress.blocked = lease::told(view).or(decided.progress.blocked);
        let outage = external::not_taken(view.roles, view.memory, view.now);
        decided.progress.blocked = outage.or(decided.progress.blocked);
    }
    // Nothing that is waited for matters as much as two nodes at work.
    if let Some(beside) = neighbours::two_holders(view.roles) {
        decided.progress.blocked = Some(beside);
    }
    decided
}

/// A stop that the API server did not do is told, and tried again calmly: its intent is not written again before.
fn refused_stop(decided: &mut Decision, view: &View<'_>) {
    let planned = match &decided.next {
        Move::Stop(permit) => Some(&permit.pod().uid),
        Move::Wait | Move::Create(_) => None,
    };
    let refused = view.seen.refused_stop.as_ref();
    let matters = |refused: &&Refused| match planned {
        Some(pod) => *pod == refused.pod || (refused.perhaps && view.now < refused.again),
        None => false,
    };
    let Some(refused) = refused.filter(matters) else {
        return;
    };
    decided.progress.blocked.get_or_insert(Blocked {
        reason: Reason::StopRefused,
        message: refused.message.clone(),
        stalled: refused.lasting,
    });
    if view.now < refused.again {
        decided.next = Move::Wait;
        decided.progress.until = Some(refused.again);
    }
}
