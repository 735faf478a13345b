//! A lock that no pod of ours is seen to hold: somebody outside has it, a pod has it without a word, or it was left
//! behind.

use crate::api::Verification;
use crate::domain::{DatabaseView, Pod, Reason};
use crate::node::LockMode;
use crate::plan::decision::Decision;
use crate::plan::evidence::{Evidence, of_active};
use crate::plan::roles::Roles;
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::View;
use crate::plan::{doubts, evidence};

/// A pod that looks as if it still waited, and of which the database says that it has the lock: before 2.15 a node
/// may dump and migrate without a server, and from 2.2 on without a line.
fn silent_taker<'a>(view: &View<'a>) -> Option<&'a Pod> {
    let database = &view.seen.database;
    let asked = database.answer.as_ref()?.at;
    let stop = view.memory.stopping.as_ref().map(|stop| stop.at);
    let ended = view.memory.last_active.as_ref().and_then(|last| last.ended);
    let since = stop.max(ended)?;
    if view.roles.active.is_some() || view.roles.order_unknown || asked <= since {
        return None;
    }
    let holds = |pod: &&&Pod| of_active(database, pod) == Evidence::Agrees;
    view.roles.waiting.iter().find(holds).copied()
}

/// The lock has a taker that says nothing yet: it boots.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let taker = silent_taker(view)?;
    Some(Decision::nothing(
        Progress::at(Step::Booting).about(&taker.id.name),
    ))
}

/// An active of ours has ended and no pod has taken its lock. A lease would have run out, so that somebody outside has
/// it; an advisory lock may still be that of its connection, which nobody but the database can tell.
pub fn lock_is_left_behind(view: &View<'_>) -> Option<Blocked> {
    let last = view.memory.last_active.as_ref()?;
    let ended = last.ended?;
    let revision = view.live.first()?.revision.as_ref()?;
    let mode = revision.lock.mode()?;
    (mode != LockMode::Lease).then(|| Blocked {
        reason: Reason::LockNotTaken,
        message: format!(
            "{} ended at {ended}, and no pod has taken the lock since: with {mode} the database keeps it until that connection ends. End its session (pg_terminate_backend), unless a node outside has the lock",
            last.pod
        ),
        stalled: true,
    })
}

/// Somebody outside holds the lock, unless the waiting lines lie.
pub fn held_outside(view: &View<'_>) -> Decision {
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
