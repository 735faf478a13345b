//! `LockVerified`: what the database itself says of the lock. Never True where it could not be asked.

use std::time::Duration;

use jiff::Timestamp;

use super::said::{Said, said, unknown};
use crate::api::Verification;
use crate::domain::{DatabaseAnswer, DatabaseView, Observation, Pod, Reason};
use crate::plan::{Evidence, Roles, Step, of_active, of_outside, of_standby, outside, two_holders};

const KIND: &str = "LockVerified";

/// How long an answer stands for what is so now.
const GOOD_FOR: Duration = Duration::from_mins(3);

/// What nothing but the database tells.
const NOT_KNOWN: &str = "So it can't be known whether a pod that says that it waits could win the lock (a server that takes no writes, a missing right, another database), and whether a node that no resource has made works on the same database";

pub(super) fn lock_verified(
    seen: &Observation,
    roles: &Roles<'_>,
    step: Step,
    now: Timestamp,
) -> Said {
    let database = &seen.database;
    // Whatever else is known, and whether or not the database is asked.
    if let Some(beside) = two_holders(roles) {
        return said(KIND, false, &beside.reason, beside.message);
    }
    if database.wanted == Verification::Never {
        return unknown(
            KIND,
            Reason::NotWanted,
            format!("spec.database.verification is Never: the database is not asked. {NOT_KNOWN}"),
        );
    }
    if seen.intent.replicas == 0 {
        return unknown(
            KIND,
            Reason::NoActive,
            "replicas is 0: nothing is to be asked",
        );
    }
    match roles.active {
        Some(active) => of_an_active(seen, roles, active, now),
        None if step == Step::External => of_nobody(seen, roles, now),
        // Why it can't be asked holds whoever is active.
        None => silence(database).unwrap_or_else(|| {
            unknown(
                KIND,
                Reason::NoActive,
                "no pod holds the lock as far as is seen",
            )
        }),
    }
}

/// An active of ours has ended, and nobody is known to have its lock.
pub(super) fn of_an_outage(seen: &Observation, roles: &Roles<'_>) -> Said {
    let database = &seen.database;
    if let Evidence::Contradicts(message) = of_outside(database, roles) {
        return contradicts(message);
    }
    lock_verified(seen, roles, Step::AwaitingTakeover, seen.at)
}

/// Why the last question was not answered.
fn silence(database: &DatabaseView) -> Option<Said> {
    let silence = database.answer.as_ref()?.said.as_ref().err()?;
    let mut message = silence.message.clone();
    if silence.reason == Reason::NotAllowed {
        message = format!("{message}. {NOT_KNOWN}");
    }
    Some(unknown(KIND, &silence.reason, message))
}

/// What is true of an answer that nothing follows: it is worth nothing for long.
fn is_old(database: &DatabaseView, now: Timestamp) -> bool {
    let long_ago = now.checked_sub(GOOD_FOR).unwrap_or(Timestamp::MIN);
    database
        .answer
        .as_ref()
        .is_some_and(|answer| answer.at < long_ago)
}

fn not_asked_lately() -> Said {
    unknown(
        KIND,
        Reason::NotAskedLately,
        "the database was not asked for three minutes",
    )
}

fn contradicts(message: String) -> Said {
    said(KIND, false, Reason::DatabaseContradicts, message)
}

fn of_an_active(seen: &Observation, roles: &Roles<'_>, active: &Pod, now: Timestamp) -> Said {
    let database = &seen.database;
    let last = database.answer.as_ref().and_then(DatabaseAnswer::last);
    let asked = last.map(|(at, _)| at);
    if asked.is_none() || asked <= active.took.map(|took| took.at) {
        return silence(database).unwrap_or_else(|| {
            unknown(
                KIND,
                Reason::NotAskedYet,
                "the database was not asked since the last takeover",
            )
        });
    }
    let of_active = of_active(database, active);
    if let Evidence::Contradicts(message) = of_active {
        return contradicts(message);
    }
    // One that came to wait after the question is not in the answer.
    let older = |pod: &&&Pod| pod.waiting.is_some_and(|waiting| Some(waiting) < asked);
    let mut standbys = roles.waiting.iter().filter(older);
    let against = standbys.find_map(|standby| match of_standby(database, active, standby) {
        Evidence::Contradicts(message) => Some(message),
        Evidence::Agrees | Evidence::Missing(..) => None,
    });
    match (against, of_active) {
        (Some(message), _) => contradicts(message),
        (None, Evidence::Missing(reason, message)) => unknown(KIND, reason, message),
        (None, _) if is_old(database, now) => not_asked_lately(),
        (None, _) => said(
            KIND,
            true,
            Reason::HolderIsActive,
            format!(
                "the database says that {} holds the lock, and can be written to",
                active.id.name
            ),
        ),
    }
}

/// All pods wait: somebody else should have the lock.
fn of_nobody(seen: &Observation, roles: &Roles<'_>, now: Timestamp) -> Said {
    let database = &seen.database;
    let answer = database.answer.as_ref();
    let holder = answer.and_then(|answer| outside(answer.said.as_ref().ok()?));
    match (of_outside(database, roles), holder) {
        (Evidence::Contradicts(message), _) => contradicts(message),
        (Evidence::Missing(reason, message), _) => unknown(KIND, reason, message),
        (Evidence::Agrees, _) if is_old(database, now) => not_asked_lately(),
        (Evidence::Agrees, holder) => {
            let at = holder.map_or_else(String::new, |address| format!(" at {address}"));
            said(
                KIND,
                true,
                Reason::HolderExternal,
                format!("the database says that a client{at} holds the lock"),
            )
        }
    }
}
