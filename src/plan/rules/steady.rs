//! All pods are of one revision: as many as wanted, no more, and who of them works.

use crate::domain::{Answered, Pod, Reason, Revision};
use crate::node::LockMode;
use crate::plan::cause::{Cause, Denied};
use crate::plan::decision::Decision;
use crate::plan::limits::{UNRESPONSIVE, before};
use crate::plan::rules::{external, repair};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{doubts, guard, moves, places};

/// All pods are of the wanted revision: as many as wanted, no more.
pub fn keep(view: &View<'_>, target: &Revision) -> Decision {
    let replicas = view.seen.intent.replicas;
    let stop = view.recent_stop_of_active();
    if view.live.len() < replicas {
        if view.one_at_a_time() {
            return repair::make(view, target, Step::Restoring);
        }
        return repair::restoring(view, target);
    }
    if !view.seen.intent.policy.paused
        && let Some(decided) = repair::replace_leaving(view, target)
    {
        return decided;
    }
    if view.live.len() > replicas {
        return trim(view);
    }
    if stop.is_some() && view.active().is_none() {
        return Decision::nothing(Progress::at(Step::AwaitingTakeover));
    }
    let all_wait = view.live.iter().all(|pod| pod.waits());
    if all_wait && view.roles.active.is_none() && view.roles.suspects.is_empty() {
        return external::all_wait(view);
    }
    if view.active().is_none()
        || view
            .live
            .iter()
            .any(|pod| !pod.waits() && !view.roles.is_active(pod))
    {
        return repair::restoring(view, target);
    }
    as_it_is(view)
}

/// The active and those that wait, as they are: what is wrong with one of them, or nothing.
fn as_it_is(view: &View<'_>) -> Decision {
    if let Some(active) = view.active().filter(|active| view.boots(active)) {
        let since = active.took.map_or(active.created, |took| took.at);
        return moves::booting(view, active, since);
    }
    if let Some(suspect) = view.roles.suspects.first() {
        return moves::held(view, guard::suspect(view, suspect));
    }
    if let Some(blocked) = view
        .active()
        .and_then(|active| does_not_serve(view, active))
    {
        return Decision::nothing(Progress::at(Step::Holding).blocked(blocked));
    }
    // It stays: without it nobody would take over at all.
    if let Some(denied) = view.roles.waiting.iter().find_map(|pod| unfit(pod)) {
        return moves::held(view, denied);
    }
    if let Some(blocked) = lacks_a_sidecar(view) {
        return Decision::nothing(Progress::at(Step::Holding).blocked(blocked));
    }
    Decision::nothing(Progress::at(Step::Steady))
}

/// Where nothing is left to be done beside a change that waits, it is said so: a resource that works as it did before the
/// change is at rest, however long the change waits. What is wrong with a pod comes first.
pub fn beside_a_change(view: &View<'_>, decided: Decision) -> Decision {
    let idle = decided.waits() && decided.progress == Progress::at(Step::Holding);
    let up = |pod: &Pod| pod.waits() || view.roles.is_active(pod);
    let whole = view.active().is_some()
        && view.live.len() >= view.seen.intent.replicas
        && view.live.iter().all(|pod| up(pod));
    if !idle || !whole {
        return decided;
    }
    let as_it_is = as_it_is(view);
    if as_it_is.progress == Progress::at(Step::Steady) {
        return Decision::nothing(Progress::at(Step::Pending));
    }
    as_it_is
}

/// What a standby itself says against its taking over. What the database says against it is told by the conditions.
fn unfit(standby: &Pod) -> Option<Denied> {
    let said = doubts::waiting_line_is_true(standby);
    said.and_then(|()| doubts::is_the_version_it_should_be(standby))
        .err()
}

/// A sidecar that is not ready. Nothing is stopped for it: the kubelet starts it again, and the active may do without it.
fn lacks_a_sidecar(view: &View<'_>) -> Option<Blocked> {
    let pods = view.active().into_iter();
    let mut pods = pods.chain(view.roles.waiting.iter().copied());
    pods.find_map(|pod| {
        let since = pod.sidecar.as_ref()?.since;
        let denied = doubts::has_its_sidecars(pod).err()?;
        Some(Blocked {
            reason: denied.reason,
            message: denied.message,
            stalled: since <= before(view.now, view.seen.intent.standby_timeout),
        })
    })
}

/// What is wrong with an active that holds the lock as far as is known, and does not answer; or is another version
/// than it was made for.
fn does_not_serve(view: &View<'_>, active: &Pod) -> Option<Blocked> {
    let name = &active.id.name;
    let answer = active.contact.map(|contact| contact.answer);
    let long = view.last_progress() <= before(view.now, view.seen.intent.standby_timeout);
    // A lease is taken over from who does not refresh it; an advisory lock lasts as long as its connection.
    let keeps = active.revision.as_ref().is_some_and(|revision| {
        revision
            .lock
            .mode()
            .is_some_and(|mode| mode != LockMode::Lease)
    });
    let served = active.http_at;
    let silent = served.is_some_and(|served| served <= before(view.now, UNRESPONSIVE));
    let (reason, message, stalled) = if view.roles.unheard(active) {
        (
            Reason::ActiveNotSeen,
            format!(
                "{name} holds the lock as far as is known, and neither it nor its machine answers"
            ),
            keeps || long,
        )
    } else if answer == Some(Answered::Kubelet) && silent {
        (
            Reason::ActiveUnresponsive,
            format!(
                "{name} holds the lock and its container runs, but its port does not answer any more"
            ),
            keeps || long,
        )
    } else if answer == Some(Answered::Refused) && !view.roles.refuses_for_long(active) {
        (
            Reason::ActiveRefuses,
            format!(
                "the port of {name}, which holds the lock, refuses since a moment ago: its container may have ended"
            ),
            false,
        )
    } else if answer == Some(Answered::Refused) {
        (
            Reason::ActiveRefuses,
            format!("{name} holds the lock, and nothing listens on its port: read its log"),
            true,
        )
    } else {
        let said = active.contradicting_version.as_ref()?;
        (
            Reason::VersionDiffers,
            format!(
                "{name} says that it is version {said}: set spec.version to what the image holds"
            ),
            true,
        )
    };
    let way = if keeps && reason != Reason::VersionDiffers {
        ". Its lock is free only once its connection to the database has ended: delete the pod where its machine answers, end its session (pg_terminate_backend) where it does not"
    } else {
        ""
    };
    Some(Blocked {
        reason,
        message: format!("{message}{way}"),
        stalled,
    })
}

/// Pods beyond `replicas`: those that could not take over first, then those on the machine of another, then the youngest. The
/// only one where the active should live stays.
pub fn trim(view: &View<'_>) -> Decision {
    let others = |pod: &Pod, fits: &dyn Fn(&Pod) -> bool| {
        let mut others = view.live.iter().filter(|other| other.id != pod.id);
        others.any(|other| fits(other))
    };
    let shares =
        |pod: &Pod| pod.machine.is_some() && others(pod, &|other| other.machine == pod.machine);
    let preferred = |pod: &Pod| places::is_preferred(view.seen, pod);
    let only_there = |pod: &Pod| preferred(pod) && !others(pod, &preferred);
    let surplus = view
        .live
        .iter()
        .filter(|pod| !view.roles.is_active(pod))
        .max_by_key(|pod| {
            let useless = !view.roles.could_take_over(pod);
            let dispensable = (useless, !only_there(pod), shares(pod));
            (dispensable, pod.created, &pod.id.name)
        });
    match surplus {
        Some(pod) => moves::stop(view, pod, Cause::Surplus),
        None => Decision::nothing(Progress::at(Step::Steady)),
    }
}
