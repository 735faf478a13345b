//! The few moves that the rules decide on: make a pod, stop one, hand the lock over, or wait for what a guard denies.
//! Which of them is due is a matter of the rules.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::cause::{Cause, Denied, Purpose};
use super::decision::{Decision, NewPod};
use super::guard::{self, Goal};
use super::limits::{DATABASE_DOUBT, before};
use super::step::{Blocked, Progress, Step};
use super::view::View;
use crate::domain::{Patience, Pod, PodId, Reason, Refused, Revision};

/// A pod of the revision, or why none is made now.
pub fn make(view: &View<'_>, revision: &Revision, step: Step) -> Decision {
    if let Err(denied) = guard::create(view, revision) {
        // A pod of a newer version that waited is stopping, or has not answered for a moment: that it has
        // not had the lock soon shows.
        let patience = view.seen.intent.standby_timeout;
        if denied.reason == Reason::VersionWentBack
            && guard::stays_possible(view, revision)
            && view.last_progress() > before(view.now, patience)
        {
            return Decision::nothing(Progress::at(step));
        }
        return held(view, denied);
    }
    // Each more would be one more that seems to have taken over: something else answers for them.
    if let [_, suspect, ..] = view.roles.suspects.as_slice() {
        return held(view, guard::suspect(view, suspect));
    }
    if view.successor_is_taking_over() {
        return Decision::nothing(Progress::at(Step::AwaitingTakeover));
    }
    let refused = view.refused(revision);
    if let Some(refused) = refused.filter(|refused| view.now < refused.again) {
        let progress = Progress::at(step).blocked(not_made(refused));
        return Decision::nothing(progress.until(refused.again));
    }
    let mut decided = Decision::create(new_pod(view, revision), step);
    decided.progress.blocked = refused.map(not_made);
    decided
}

/// The next pod, by the name that is reserved for it: what was intended before and has not come to be can't come to be
/// beside it then, whatever it was to be.
fn new_pod(view: &View<'_>, revision: &Revision) -> NewPod {
    let made = view.memory.pods_made;
    let (number, pod) = if let Some(reserved) = &view.memory.creating {
        (made, reserved.pod.clone())
    } else {
        let next = made.saturating_add(1);
        (next, pod_name(&view.seen.intent.node, next))
    };
    NewPod {
        pod,
        number,
        revision: revision.clone(),
    }
}

/// A pod that the API server did not make, for people.
pub fn not_made(refused: &Refused) -> Blocked {
    Blocked {
        reason: Reason::PodRefused,
        message: refused.message.clone(),
        stalled: refused.lasting,
    }
}

/// The stop of a pod that is not the active, or why it is not stopped now.
pub fn stop(view: &View<'_>, pod: &Pod, cause: Cause) -> Decision {
    let step = match cause {
        Cause::Surplus | Cause::Checked => Step::Trimming,
        _ => Step::ReplacingStandbys,
    };
    if matches!(cause, Cause::Surplus | Cause::Replaced)
        && let Some(unheard) = view.not_heard_yet()
    {
        return Decision::nothing(Progress::at(step).about(&unheard.id.name));
    }
    match guard::stop_other(view, pod, cause) {
        Ok(permit) => Decision::stop(permit, step),
        Err(denied) => {
            let mut decided = held(view, denied);
            decided.progress.step = step;
            decided
        }
    }
}

/// The stop of the active for a pod that the goal allows, or why it is not stopped now.
pub fn hand_over(view: &View<'_>, goal: &Goal<'_>) -> Decision {
    if let Some(waits) = awaits_turn(view, goal.purpose) {
        return waits;
    }
    let stop = guard::stop_active(view, goal);
    match stop {
        Ok(permit) => Decision::stop(permit, Step::StoppingActive),
        Err(denied) => {
            let mut decided = held(view, denied);
            decided.progress.step = Step::StoppingActive;
            decided
        }
    }
}

/// Planned moves of the lock wait while as many others as may are under way.
pub fn awaits_turn(view: &View<'_>, purpose: Purpose) -> Option<Decision> {
    let waits = view.seen.intent.policy.others_move && purpose != Purpose::Unresponsive;
    waits.then(|| {
        Decision::nothing(
            Progress::at(Step::StoppingActive).blocked(Blocked {
                reason: Reason::WaitingForTurn,
                message: "as many resources as this operator allows move their lock at the moment"
                    .to_owned(),
                stalled: false,
            }),
        )
    })
}

/// What a guard denied is waited for.
pub fn held(view: &View<'_>, denied: Denied) -> Decision {
    let idle_for = |wait| view.last_progress() <= before(view.now, wait);
    let stalled = match denied.reason.patience() {
        Patience::None | Patience::Told => true,
        Patience::UntilProgress | Patience::OfItsPod => idle_for(view.seen.intent.standby_timeout),
        Patience::UntilTheTakerShows => view.took_lately().is_none(),
        Patience::DatabaseDoubt | Patience::DatabaseSilence => idle_for(DATABASE_DOUBT),
    };
    Decision::nothing(Progress::at(Step::Holding).blocked(Blocked {
        reason: denied.reason,
        message: denied.message,
        stalled,
    }))
}

/// A pod has the lock since then, and does not work yet. A migration may take what it takes: nothing is stopped for it,
/// and after the time of a standby a person is told.
pub fn booting(view: &View<'_>, pod: &Pod, since: Timestamp) -> Decision {
    let name = &pod.id.name;
    let progress = Progress::at(Step::Booting).about(name);
    if since > before(view.now, view.seen.intent.standby_timeout) {
        return Decision::nothing(progress);
    }
    Decision::nothing(progress.blocked(Blocked {
        reason: Reason::ActiveBoots,
        message: format!(
            "{name} has the lock since {since} as far as is seen, and has not come to work since: it boots, dumps or migrates the database, or hangs. It is not stopped for that: read its log, and delete the pod where it hangs"
        ),
        stalled: true,
    }))
}

/// A pod was asked to stop, and has not ended yet; it may never, where its machine was lost.
pub fn still_stopping(view: &View<'_>, step: Step) -> Decision {
    let pod = view
        .seen
        .pods
        .iter()
        .find(|pod| pod.deleted && !pod.ended());
    let mut decided = match pod {
        Some(pod) => held(view, guard::still_stopping(pod)),
        None => Decision::nothing(Progress::at(step)),
    };
    decided.progress.step = step;
    decided
}

/// The name that the `number`th pod of a resource is given, by every operator and after every crash. That
/// of another pod, or of one of an earlier resource of this name, is very unlikely to be the same: one
/// that is taken is passed over.
pub fn pod_name(node: &PodId, number: u32) -> String {
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
