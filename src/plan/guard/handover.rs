//! What has to hold before the active is stopped for a successor (rules S1, S2, S3, S5, S9).

use super::denials::{doubtful, foreign_message, order_unknown};
use super::others::one_stop;
use super::permit::{Goal, Permit};
use crate::observe::{Answered, Contact, Pod};
use crate::plan::cause::{Cause, Denied, Purpose, deny};
use crate::plan::evidence;
use crate::plan::limits::{FRESH, before};
use crate::plan::safety::Rule;
use crate::plan::view::View;

/// S2, S3, S9: the active of which nothing of its own forbids that it is stopped.
fn stoppable<'a>(view: &View<'a>, goal: &Goal<'_>) -> Result<&'a Pod, Denied> {
    if view.roles.order_unknown {
        return Err(order_unknown());
    }
    let to = goal.revision;
    let Some(active) = view.roles.active.filter(|pod| !pod.deleted) else {
        return deny("NoActive", "no active pod of ours is known");
    };
    one_stop(view)?;
    if view.rules.on(Rule::ActiveSeen) && !active.answered_since(before(view.now, FRESH)) {
        return deny(
            "ActiveNotSeen",
            format!(
                "{} does not answer: what can't be seen is not stopped",
                active.id.name
            ),
        );
    }
    if view.rules.on(Rule::ActiveServes) && view.boots(active) {
        return deny(
            "ActiveBoots",
            format!(
                "{} has the lock, and boots, dumps or migrates the database: it is not stopped before it serves (deleting it by hand overrules that)",
                active.id.name
            ),
        );
    }
    // Another of its own revision in the place of an active that does not answer is a failover, and none that is tried again.
    let again = goal.purpose != Purpose::Unresponsive;
    if view.rules.on(Rule::NotFailed) && again && view.memory.failed.as_deref() == Some(&to.name) {
        return deny(
            "HandoverFailed",
            format!(
                "a handover to revision {} has failed before; change the spec to try again",
                to.name
            ),
        );
    }
    if view.rules.on(Rule::SameDatabase)
        && let Some(pod) = view.roles.foreign.first()
    {
        return deny("DatabaseDiffers", foreign_message(&pod.id.name));
    }
    Ok(active)
}

/// All that a handover needs, but for the end of those that could win instead: they are not set aside for
/// a handover that would then be denied.
pub fn ready(view: &View<'_>, goal: &Goal<'_>) -> Result<(), Denied> {
    let active = stoppable(view, goal)?;
    successor(view, active, goal).map(|_| ())
}

/// S1, S2, S3, S5, S9: the active may be stopped for a handover to a pod that the goal allows.
pub fn stop_active(view: &View<'_>, goal: &Goal<'_>) -> Result<Permit, Denied> {
    let active = stoppable(view, goal)?;
    if view.rules.on(Rule::NoRival)
        && let Some(rival) = rival(view, active, goal)
    {
        return deny(
            "RivalStandby",
            format!(
                "{rival} is not one that the handover is meant for and could take the lock instead: its end is waited for. If its machine is gone for good, delete the Node object of that machine, or taint it node.kubernetes.io/out-of-service"
            ),
        );
    }
    let successor = successor(view, active, goal)?;
    let cause = Cause::Handover {
        successor: successor.id.clone(),
    };
    Ok(Permit::of(active, cause, true)
        .toward(goal)
        .relying_on([successor]))
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
    let making = view.memory.creating.as_ref();
    pod.map(|pod| pod.id.name.as_str()).or_else(|| {
        making
            .filter(|creating| creating.revision != goal.revision.name || goal.allowed.is_some())
            .map(|creating| creating.pod.as_str())
    })
}

/// S1, S5, S9: the pod that a handover is meant for.
fn successor<'a>(view: &View<'a>, active: &Pod, goal: &Goal<'_>) -> Result<&'a Pod, Denied> {
    let mut why = Denied {
        reason: "NoSuccessor",
        message: format!(
            "no pod of revision {} waits for the lock",
            goal.revision.name
        ),
    };
    let candidates = view
        .roles
        .pods()
        .iter()
        .filter(|pod| pod.id != active.id && !pod.deleted && goal.allows(pod));
    for pod in candidates {
        let fits = fit(view, pod).and_then(|()| {
            if goal.purpose == Purpose::Unresponsive {
                in_sight(pod)?;
            }
            if view.rules.on(Rule::DatabaseAgrees) {
                evidence::permits(&view.seen.database, active, pod, view.now)
            } else {
                Ok(())
            }
        });
        match fits {
            Ok(()) => return Ok(pod),
            Err(denied) => why = denied,
        }
    }
    Err(why)
}

/// Whether a pod waits, without contradiction, and answers now.
pub fn fit(view: &View<'_>, pod: &Pod) -> Result<(), Denied> {
    let name = &pod.id.name;
    if view.rules.on(Rule::SuccessorWaits) && !pod.waits() {
        return deny("NoSuccessor", format!("{name} does not wait for the lock"));
    }
    if view.rules.on(Rule::SuccessorWaits) {
        doubtful(pod)?;
    }
    if let Some(version) = &pod.contradicting_version {
        return deny(
            "VersionDiffers",
            format!(
                "{name} says that it is version {version}: set spec.version to what the image holds"
            ),
        );
    }
    // Who answers at the address of a machine that was lost may be somebody else, and a container that has
    // ended refuses connections for as long as its network is there.
    let gone = if pod.stranded {
        Some("its machine does not report")
    } else {
        pod.log_ended
            .then_some("its log has ended, and its container with it")
    };
    if view.rules.on(Rule::SuccessorAnswers)
        && let Some(why) = gone
    {
        return deny("SuccessorNotSeen", format!("{name} waited, but {why}"));
    }
    let answers = pod.contact.is_some_and(|contact| {
        contact.at >= before(view.now, FRESH)
            && matches!(contact.answer, Answered::Refused | Answered::Kubelet)
    });
    if view.rules.on(Rule::SuccessorAnswers) && !answers {
        return deny(
            "SuccessorNotSeen",
            format!("{name} waited, but does not answer now"),
        );
    }
    Ok(())
}

/// An operator that is cut off from the ports of all pods would find every active silent: the successor's own
/// port has to be in sight.
fn in_sight(pod: &Pod) -> Result<(), Denied> {
    let refused = |contact: Contact| contact.answer == Answered::Refused;
    if pod.contact.is_some_and(refused) {
        return Ok(());
    }
    deny(
        "SuccessorPortNotSeen",
        format!(
            "the active does not answer, and the port of {} can't be reached either: the operator may be cut off from port 6688 of all pods, so nothing is stopped for it; look at network policies between the operator and the pods",
            pod.id.name
        ),
    )
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
            assert_eq!(waiting(gone).unwrap_err().reason, "SuccessorNotSeen");
        }
    }
}
