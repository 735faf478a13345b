//! What has to hold before the active is stopped for a successor (rules S1, S2, S3, S5, S9): a table for the active, and
//! one for the pod that is to succeed it.

use super::check::{Check, run};
use super::denials::{foreign_message, no_other_stop, order_unknown};
use super::permit::{Goal, Permit};
use crate::domain::{Answered, Contact, Pod, Reason};
use crate::plan::cause::{Cause, Denied, Purpose, deny};
use crate::plan::limits::{FRESH, before};
use crate::plan::safety::Rule;
use crate::plan::standing::Failure;
use crate::plan::view::View;
use crate::plan::{doubts, evidence};

/// The active, about to be stopped.
struct Handover<'v> {
    view: &'v View<'v>,
    goal: &'v Goal<'v>,
    active: &'v Pod,
}

impl<'v> Handover<'v> {
    /// In this order; [`ready`] goes without the last one.
    const CHECKS: [Check<Self>; 6] = [
        Check::of(Rule::OneStop, |stop| no_other_stop(stop.view)),
        Check::of(Rule::ActiveSeen, active_is_seen),
        Check::of(Rule::ActiveServes, active_serves),
        Check::of(Rule::NotFailed, has_not_failed),
        Check::of(Rule::SameDatabase, nobody_is_elsewhere),
        Check::of(Rule::NoRival, no_rival_is_left),
    ];

    /// Nothing is to be checked where it is not known who is active.
    fn of(view: &'v View<'v>, goal: &'v Goal<'v>) -> Result<Self, Denied> {
        if view.roles.order_unknown {
            return Err(order_unknown());
        }
        match view.active() {
            Some(active) => Ok(Self { view, goal, active }),
            None => deny(Reason::NoActive, "no active pod of ours is known"),
        }
    }

    /// The pod that the handover is meant for. Where none is fit, what is wrong with the last candidate is told.
    fn successor(&self) -> Result<&'v Pod, Denied> {
        let mut why = Denied {
            reason: Reason::NoSuccessor,
            message: format!(
                "no pod of revision {} waits for the lock",
                self.goal.revision.name
            ),
        };
        let candidates = self
            .view
            .roles
            .pods()
            .iter()
            .filter(|pod| pod.id != self.active.id && !pod.deleted && self.goal.allows(pod));
        let mut candidates: Vec<&'v Pod> = candidates.collect();
        let best_timed = self.view.seen.best_timed.as_ref();
        candidates.sort_by_key(|pod| Some(&pod.id) != best_timed);
        for pod in candidates {
            let candidate = Candidate {
                view: self.view,
                pod,
                active: Some(self.active),
                purpose: self.goal.purpose,
            };
            match run(&Candidate::CHECKS, &candidate, self.view.rules) {
                Ok(()) => return Ok(pod),
                Err(denied) => why = denied,
            }
        }
        Err(why)
    }
}

/// A pod that may be meant to succeed the active, where there is one.
struct Candidate<'v> {
    view: &'v View<'v>,
    pod: &'v Pod,
    active: Option<&'v Pod>,
    purpose: Purpose,
}

impl Candidate<'_> {
    const CHECKS: [Check<Self>; 8] = [
        Check::of(Rule::SuccessorWaits, waits),
        Check::of(Rule::SuccessorWaits, |candidate| {
            doubts::waiting_line_is_true(candidate.pod)
        }),
        Check::always(|candidate| doubts::is_the_version_it_should_be(candidate.pod)),
        Check::always(|candidate| doubts::has_its_sidecars(candidate.pod)),
        Check::of(Rule::SuccessorAnswers, is_still_there),
        Check::of(Rule::SuccessorAnswers, answers),
        Check::always(is_in_sight),
        Check::of(Rule::DatabaseAgrees, database_agrees),
    ];
}

/// All that a handover needs, but for the end of those that could win instead: they are not set aside for
/// a handover that would then be denied.
pub fn ready(view: &View<'_>, goal: &Goal<'_>) -> Result<(), Denied> {
    let stop = Handover::of(view, goal)?;
    let but = |check: &&Check<_>| !check.is_of(Rule::NoRival);
    run(Handover::CHECKS.iter().filter(but), &stop, view.rules)?;
    stop.successor().map(|_| ())
}

/// S1, S2, S3, S5, S9: the active may be stopped for a handover to a pod that the goal allows.
pub fn stop_active(view: &View<'_>, goal: &Goal<'_>) -> Result<Permit, Denied> {
    let stop = Handover::of(view, goal)?;
    run(&Handover::CHECKS, &stop, view.rules)?;
    let successor = stop.successor()?;
    let cause = Cause::Handover {
        successor: successor.id.clone(),
    };
    Ok(Permit::of(stop.active, cause, true)
        .toward(goal)
        .resting_on(Some(successor)))
}

/// Whether a pod waits as the successor of the active would have to.
pub fn fit(view: &View<'_>, pod: &Pod) -> Result<(), Denied> {
    let candidate = Candidate {
        view,
        pod,
        active: view.active(),
        purpose: Purpose::Rollout,
    };
    run(&Candidate::CHECKS, &candidate, view.rules)
}

/// S3: a pod that can't be seen permits nothing.
fn active_is_seen(stop: &Handover<'_>) -> Result<(), Denied> {
    let active = stop.active;
    if active.answered_since(before(stop.view.now, FRESH)) {
        return Ok(());
    }
    deny(
        Reason::ActiveNotSeen,
        format!(
            "{0} does not answer: what can't be seen is not stopped. Look at its machine (kubectl get pod {0} --output wide)",
            active.id.name
        ),
    )
}

/// An active that boots or migrates is not interrupted.
fn active_serves(stop: &Handover<'_>) -> Result<(), Denied> {
    if !stop.view.boots(stop.active) {
        return Ok(());
    }
    deny(
        Reason::ActiveBoots,
        format!(
            "{} has the lock, and boots, dumps or migrates the database: it is not stopped before it serves (to override, delete the pod by hand)",
            stop.active.id.name
        ),
    )
}

/// A revision whose handover has failed gets no second one. A failover to a pod of the active's own revision is no second
/// try, and passes.
fn has_not_failed(stop: &Handover<'_>) -> Result<(), Denied> {
    let to = stop.goal.revision;
    let fails_over = stop.goal.purpose == Purpose::Unresponsive;
    if fails_over || Failure::of(stop.view.memory, &to.name).is_none() {
        return Ok(());
    }
    deny(
        Reason::HandoverFailed,
        format!(
            "a handover to revision {} has failed before; change the spec to try again",
            to.name
        ),
    )
}

/// S9: no pod is known to sit on another database.
fn nobody_is_elsewhere(stop: &Handover<'_>) -> Result<(), Denied> {
    match stop.view.roles.foreign.first() {
        Some(pod) => deny(Reason::DatabaseDiffers, foreign_message(&pod.id.name)),
        None => Ok(()),
    }
}

/// S1: no pod that the handover is not meant for could win the lock.
fn no_rival_is_left(stop: &Handover<'_>) -> Result<(), Denied> {
    let Some(rival) = rival(stop.view, stop.active, stop.goal) else {
        return Ok(());
    };
    deny(
        Reason::RivalStandby,
        format!(
            "waiting for {rival} to end: it could take the lock instead of the successor. If its machine is gone for good, delete the Node object of that machine, or taint it node.kubernetes.io/out-of-service"
        ),
    )
}

/// S1: a pod of another revision, or one that the goal does not allow, that runs, or may, or is being made,
/// and could win the lock.
fn rival<'a>(view: &View<'a>, active: &Pod, goal: &Goal<'_>) -> Option<&'a str> {
    let pod = view.roles.pods().iter().find(|pod| {
        // A deleted one that is down is gone in a moment; on a machine that was lost it may have started again.
        let over = pod.ended();
        // One of the same revision is not feared, only to be avoided: a lost one is not waited for.
        let given_up = pod.revision.as_ref() == Some(goal.revision) && view.roles.unheard(pod);
        let rival = !over && !given_up && !goal.allows(pod);
        rival && pod.id != active.id
    });
    // A pod that is being made has no uid yet: a goal that names pods can't allow it.
    let making = view.may_come(view.memory);
    pod.map(|pod| pod.id.name.as_str()).or_else(|| {
        making
            .filter(|creating| creating.revision != goal.revision.name || goal.allowed.is_some())
            .map(|creating| creating.pod.as_str())
    })
}

fn waits(candidate: &Candidate<'_>) -> Result<(), Denied> {
    let pod = candidate.pod;
    if pod.waits() {
        return Ok(());
    }
    deny(
        Reason::NoSuccessor,
        format!("{} does not wait for the lock", pod.id.name),
    )
}

/// Who answers at the address of a machine that was lost may be somebody else, and a container that has
/// ended refuses connections for as long as its network is there.
fn is_still_there(candidate: &Candidate<'_>) -> Result<(), Denied> {
    let pod = candidate.pod;
    let gone = if pod.stranded {
        Some("its machine does not report")
    } else {
        pod.log_ended
            .then_some("its log has ended, and its container with it")
    };
    match gone {
        Some(why) => deny(
            Reason::SuccessorNotSeen,
            format!("{} waited, but {why}", pod.id.name),
        ),
        None => Ok(()),
    }
}

/// S5: it answers now.
fn answers(candidate: &Candidate<'_>) -> Result<(), Denied> {
    let pod = candidate.pod;
    let answers = pod.contact.is_some_and(|contact| {
        contact.at >= before(candidate.view.now, FRESH)
            && matches!(contact.answer, Answered::Refused | Answered::Kubelet)
    });
    if answers {
        return Ok(());
    }
    deny(
        Reason::SuccessorNotSeen,
        format!(
            "{} waited, but does not answer now: look at its machine",
            pod.id.name
        ),
    )
}

/// An operator that is cut off from the ports of all pods would find every active silent: the successor's own
/// port has to be in sight.
fn is_in_sight(candidate: &Candidate<'_>) -> Result<(), Denied> {
    let pod = candidate.pod;
    let refused = |contact: Contact| contact.answer == Answered::Refused;
    if candidate.purpose != Purpose::Unresponsive || pod.contact.is_some_and(refused) {
        return Ok(());
    }
    deny(
        Reason::SuccessorPortNotSeen,
        format!(
            "the active does not answer, and nothing shows that the port of {} can be reached (a refusal shows it for an hour after a node of the resource has answered this operator by HTTP): the operator may be cut off from port 6688 of all pods, so nothing is stopped for it; look at network policies between the operator and the pods",
            pod.id.name
        ),
    )
}

/// S1, S9: the database does not say otherwise.
fn database_agrees(candidate: &Candidate<'_>) -> Result<(), Denied> {
    let Candidate { view, pod, .. } = candidate;
    match candidate.active {
        Some(active) => evidence::permits(&view.seen.database, active, pod, view.now),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::given::Given;
    use crate::plan::roles::Roles;
    use crate::plan::safety::Rules;
    use crate::plan::tests::world::{World, v1};
    use crate::plan::view::Look;

    #[test]
    fn a_refusal_is_no_life_where_the_machine_does_not_report_or_the_log_has_ended() {
        let world = World::with(2).active("a", &v1()).standby("b", &v1());
        let waiting = |change: fn(&mut Pod)| {
            let mut look = world.look();
            let pod = look.pods.iter_mut().find(|pod| pod.id.name == "b");
            change(pod.unwrap());
            let given = Given {
                seen: &look,
                memory: &world.memory,
                now: world.now,
                rules: Rules::all(),
            };
            let roles = Roles::of(given);
            let view = View::of(Look::of(given, &roles), &world.memory);
            let pod = look.pods.iter().find(|pod| pod.id.name == "b");
            fit(&view, pod.unwrap())
        };
        assert_eq!(waiting(|_| {}), Ok(()));
        let gone: [fn(&mut Pod); 2] = [|pod| pod.stranded = true, |pod| pod.log_ended = true];
        for gone in gone {
            assert_eq!(waiting(gone).unwrap_err().reason, Reason::SuccessorNotSeen);
        }
    }
}
