//! A lock that no pod of ours is seen to hold: somebody outside has it, a pod has it without a word, or it was left
//! behind.

use jiff::Timestamp;

use crate::api::{Memory, Verification};
use crate::domain::{Container, DatabaseView, Holder, Pod, Reason, Says};
use crate::node::LockMode;
use crate::plan::decision::Decision;
use crate::plan::evidence::{Evidence, of_active};
use crate::plan::limits::before;
use crate::plan::roles::Roles;
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{doubts, evidence, moves};

/// A pod that looks as if it still waited, and of which the database says that it has the lock: before 2.15 a node
/// may dump and migrate without a server, and from 2.2 on without a line.
///
/// With the time since when it may have it.
fn silent_taker<'a>(roles: &Roles<'a>, memory: &Memory) -> Option<(&'a Pod, Timestamp)> {
    let database = roles.database;
    let asked = database.answer.as_ref()?.at;
    let stop = memory.stopping.as_ref().map(|stop| stop.at);
    let ended = memory.last_active.as_ref().and_then(|last| last.ended);
    let since = stop.max(ended)?;
    if roles.active.is_some() || roles.order_unknown || asked <= since {
        return None;
    }
    let holds = |pod: &&&Pod| of_active(database, pod) == Evidence::Agrees;
    let taker = roles.waiting.iter().find(holds).copied()?;
    Some((taker, since))
}

/// The lock has a taker that says nothing yet: it boots.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let (taker, since) = silent_taker(view.roles, view.memory)?;
    Some(moves::booting(view, taker, since))
}

/// All pods wait. Where an active of ours had the lock before, that is an outage until the database names a holder
/// outside: [`not_taken`] tells it. Where one of ours may have it that says nothing, that one is told.
pub fn all_wait(view: &View<'_>) -> Decision {
    if names_a_holder(view.roles, view.memory) {
        return held_outside(view);
    }
    if view.memory.last_active.is_some() {
        return Decision::nothing(Progress::at(Step::AwaitingTakeover));
    }
    let database = &view.seen.database;
    match may_have_it(view) {
        Some(pod) if of_outside(database, view.roles) != Evidence::Agrees => {
            let progress = Progress::at(Step::AwaitingTakeover);
            Decision::nothing(progress.blocked(without_a_word(view, pod)))
        }
        Some(_) | None => held_outside(view),
    }
}

/// A pod that boots with the lock says nothing yet, and for it the others wait as they do for somebody outside. Who can't be
/// heard, or is to end, may be such a one, unless it was seen to wait; and also then where somebody else deleted it: what
/// the operator stops as a standby it has looked at before.
fn may_have_it<'a>(view: &View<'a>) -> Option<&'a Pod> {
    let stop = view.memory.stopping.as_ref();
    let meant = |pod: &Pod| stop.is_some_and(|stop| stop.uid == pod.id.uid && !stop.active);
    // One that counts as over, because it shows nothing any more, may still run.
    let mut leaving = view.seen.pods.iter().filter(|pod| pod.deleted);
    let leaving = leaving.find(|pod| !pod.ended() && (pod.waiting.is_none() || !meant(pod)));
    let mut lost = view.roles.lost.iter().copied();
    leaving.or_else(|| lost.find(|pod| pod.waiting.is_none()))
}

fn without_a_word(view: &View<'_>, pod: &Pod) -> Blocked {
    let long_ago = before(view.now, view.seen.intent.standby_timeout);
    let since = match &pod.container {
        Container::Running { since, .. } => *since,
        _ => pod.created,
    };
    let state = if pod.deleted {
        "was deleted, and has not ended yet"
    } else {
        "can't be reached"
    };
    Blocked {
        reason: Reason::NoActive,
        // One that can be reached ends within its grace period.
        stalled: since <= long_ago && view.roles.unheard(pod),
        message: format!(
            "all other pods wait for the lock, and {}, which {state}, may have taken it without having said so. If its machine is gone for good, remove the machine or the pod (kubectl delete)",
            pod.id.name
        ),
    }
}

/// Whether the database names a client outside that has taken the lease after our last active ended. It is asked for the
/// lease alone: that has to be renewed, while an advisory lock may be that of a dead pod's connection, whose address is
/// nobody's any more.
fn names_a_holder(roles: &Roles<'_>, memory: &Memory) -> bool {
    let database = roles.database;
    let Some(ended) = memory.last_active.as_ref().and_then(|last| last.ended) else {
        return false;
    };
    let outlived = ended.checked_add(roles.rescue).unwrap_or(Timestamp::MAX);
    let after = |said: &&Says| {
        let asked = database.answer.as_ref().map(|answer| answer.at);
        // Where no session of a pod is seen by its address, the client may be one of ours.
        asked > Some(outlived) && !said.sessions.is_empty()
    };
    let leased = |pod: &&Pod| evidence::mode(pod).is_some_and(LockMode::uses_lease);
    database.wanted != Verification::Never
        && roles.waiting.iter().all(leased)
        && evidence::answer(database)
            .ok()
            .filter(after)
            .is_some_and(|said| matches!(said.lease, Holder::Elsewhere(_)))
}

/// An active of ours has ended, and a pod has waited in vain since, for longer than a takeover needs. Whether somebody
/// outside has the lock or nobody can get it, only the database can tell.
pub fn not_taken(roles: &Roles<'_>, memory: &Memory, now: Timestamp) -> Option<Blocked> {
    let last = memory.last_active.as_ref()?;
    let ended = last.ended?;
    let stopped = memory.stop_of_active().map(|stop| stop.at);
    let long_ago = before(now, 2 * roles.rescue);
    let waited = |pod: &&&Pod| pod.waiting.is_some_and(|since| since <= long_ago);
    let waiting = roles.waiting.iter().find(waited)?;
    let known = roles.active.is_none()
        && !roles.order_unknown
        && roles.suspects.is_empty()
        && roles.foreign.is_empty();
    let soon = ended > long_ago || stopped > Some(long_ago);
    if !known || soon || silent_taker(roles, memory).is_some() || names_a_holder(roles, memory) {
        return None;
    }
    let kept = evidence::mode(waiting).filter(|mode| *mode != LockMode::Lease);
    let kept = kept.map_or_else(String::new, |mode| {
        format!(
            "; or with {mode} the database keeps it for the connection of a dead node: end that session (pg_terminate_backend)"
        )
    });
    let mut message = format!(
        "{} ended at {ended}, and no pod has taken the lock since. Either a node outside this resource has it: look for who else uses the database; or none of them can win it: look whether the server takes writes, and at the role's rights{kept}",
        last.pod
    );
    let doubt = roles
        .waiting
        .iter()
        .find_map(|pod| doubts::waiting_line_is_true(pod).err());
    let doubt = doubt.map(|denied| denied.message);
    let said = match of_outside(roles.database, roles) {
        Evidence::Contradicts(said) => Some(said),
        Evidence::Agrees | Evidence::Missing(..) => None,
    };
    for known in doubt.into_iter().chain(said) {
        message = format!("{message}. Known is: {known}");
    }
    Some(Blocked {
        reason: Reason::LockNotTaken,
        message,
        stalled: true,
    })
}

/// Somebody outside holds the lock, unless the waiting lines lie.
fn held_outside(view: &View<'_>) -> Decision {
    let mut progress = Progress::at(Step::External);
    progress.blocked = view.live.iter().find_map(|pod| {
        doubts::waiting_line_is_true(pod)
            .err()
            .map(|denied| Blocked {
                reason: denied.reason,
                message: denied.message,
                stalled: true,
            })
    });
    if let Evidence::Contradicts(message) = of_outside(&view.seen.database, view.roles) {
        progress.blocked.get_or_insert(Blocked {
            reason: Reason::DatabaseContradicts,
            message,
            stalled: true,
        });
    }
    Decision::nothing(progress)
}

/// Whether any pod could get the lock and work where all of them wait, and somebody outside has it.
pub fn of_outside(database: &DatabaseView, roles: &Roles<'_>) -> Evidence {
    if database.wanted == Verification::Never {
        return Evidence::Missing(Reason::NotWanted, "the database is not asked".to_owned());
    }
    let evidence = |standby: &&Pod| {
        evidence::of_server(database, standby)
            .or(|| evidence::of_beginning(database, standby))
            .or(|| evidence::of_session_beside(database, standby))
            .or(|| evidence::of_free_lock(database, standby, roles.rescue))
    };
    let contradicts = |evidence: &Evidence| matches!(evidence, Evidence::Contradicts(_));
    if let Some(evidence) = roles.waiting.iter().map(evidence).find(contradicts) {
        return evidence;
    }
    match evidence::answer(database) {
        Err(missing) => missing,
        Ok(said) if evidence::outside(said).is_none() => Evidence::Missing(
            Reason::HolderUnknown,
            "the database does not show which client holds the lock".to_owned(),
        ),
        Ok(said) if said.sessions.is_empty() => evidence::addresses_hidden(),
        Ok(_) => Evidence::Agrees,
    }
}
