//! What the database's own word says for or against what is seen.

use jiff::Timestamp;

use super::FRESH;
use super::census::before;
use super::guard::Denied;
use crate::api::Verification;
use crate::node::LockMode;
use crate::observe::{Holder, Pod, Says, Verified};

const LEASE: &str = "the lease";
/// Only both locks of dual mode together name the active.
const HALF_WAY: &str = "LeaseLost";

/// What an answer of the database is worth, for one pod in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It says the same.
    Agrees,
    /// It says otherwise: what it says.
    Contradicts(String),
    /// It says nothing: why, in CamelCase and as a sentence.
    Missing(&'static str, String),
}

/// The lock that the pods of this one's revision take. `None` where that can't be told.
fn mode(pod: &Pod) -> Option<LockMode> {
    LockMode::of(&pod.revision.as_ref()?.lock)
}

/// Whether what holds the lock is the active, and another could have it from there.
pub fn of_active(verified: &Verified, active: &Pod) -> Evidence {
    let name = &active.id.name;
    let said = match answer(verified) {
        Ok(said) => said,
        Err(missing) => return missing,
    };
    if let Some(why) = said.read_only {
        return Evidence::Contradicts(format!(
            "the server that the database URL leads to takes no writes ({why}): no node can get the lock there"
        ));
    }
    let mode = mode(active);
    if mode.is_some_and(LockMode::uses_lease)
        && let Some(right) = said.missing_right
    {
        return Evidence::Contradicts(format!(
            "the role in the database URL has no right {right}: a waiting node would never get the lease, and print its waiting line all the same"
        ));
    }
    let held = match mode {
        Some(LockMode::Advisory) => vec![(&said.advisory, "the advisory lock")],
        Some(LockMode::Dual) => vec![(&said.lease, LEASE), (&said.advisory, "the advisory lock")],
        Some(LockMode::Lease) | None => vec![(&said.lease, LEASE)],
    };
    let has_advisory = said.advisory == Holder::Pod(active.id.clone());
    let mut unseen = None;
    for (holder, lock) in held {
        match holder {
            Holder::Pod(pod) if *pod == active.id => {}
            // A standby takes the lease of an active that is frozen or cut off, and then waits for the advisory
            // lock: the stop of the active frees that (measured).
            Holder::Pod(_) | Holder::Nobody
                if mode == Some(LockMode::Dual) && lock == LEASE && has_advisory =>
            {
                unseen = Some((
                    HALF_WAY,
                    format!(
                        "{name} has the advisory lock and no longer the lease: it is frozen, or cut off from the database"
                    ),
                ));
            }
            Holder::Pod(pod) => {
                return Evidence::Contradicts(format!(
                    "in the database {} holds {lock}, not {name}",
                    pod.name
                ));
            }
            Holder::Nobody => {
                return Evidence::Contradicts(format!(
                    "in the database that the URL leads to nobody holds {lock}: {name} has lost it, or works on another server or database"
                ));
            }
            Holder::Elsewhere(_) if said.sessions.is_empty() => {
                unseen = Some((
                    "AddressesHidden",
                    "no address of a pod is seen at the database: a pooler or a translation of addresses stands between".to_owned(),
                ));
            }
            Holder::Elsewhere(address) => {
                return Evidence::Contradicts(format!(
                    "in the database a client at {address}, which is no pod of this resource, holds {lock}, not {name}"
                ));
            }
            Holder::Unseen => {
                unseen = Some((
                    "HolderUnknown",
                    format!("the database does not show which client holds {lock}"),
                ));
            }
        }
    }
    match unseen {
        Some((reason, message)) => Evidence::Missing(reason, message),
        None => Evidence::Agrees,
    }
}

/// Whether a pod that waits has its session where the active has the lock.
pub fn of_standby(verified: &Verified, active: &Pod, standby: &Pod) -> Evidence {
    let said = match answer(verified) {
        Ok(said) => said,
        Err(missing) => return missing,
    };
    if said.sessions.contains(&standby.id) {
        return Evidence::Agrees;
    }
    if !said.sessions.contains(&active.id) {
        return Evidence::Missing(
            "AddressesHidden",
            "the active's own session is not seen at the database by its address".to_owned(),
        );
    }
    Evidence::Contradicts(format!(
        "{} says that it waits, but has no session in the database in which {} holds the lock: it sits on another server or database",
        standby.id.name, active.id.name
    ))
}

fn answer(verified: &Verified) -> Result<&Says, Evidence> {
    match &verified.word {
        None => Err(Evidence::Missing(
            "NotAskedYet",
            "the database was not asked yet".to_owned(),
        )),
        Some(word) => word
            .said
            .as_ref()
            .map_err(|silence| Evidence::Missing(silence.reason, silence.message.clone())),
    }
}

/// The active may be stopped for this successor, as far as the database is concerned. What it says against it
/// counts until it says otherwise; that it agrees has to be fresh.
pub(super) fn permits(
    verified: &Verified,
    active: &Pod,
    successor: &Pod,
    now: Timestamp,
) -> Result<(), Denied> {
    if verified.wanted == Verification::Never {
        return Ok(());
    }
    for evidence in [
        of_active(verified, active),
        of_standby(verified, active, successor),
    ] {
        match evidence {
            Evidence::Contradicts(message) => {
                return Err(Denied {
                    reason: "DatabaseContradicts",
                    message,
                });
            }
            // The database was asked; it says what makes a takeover wait for this stop.
            Evidence::Missing(HALF_WAY, _) => {}
            Evidence::Missing(_, message) if verified.wanted == Verification::Required => {
                return Err(not_asked(&message));
            }
            Evidence::Agrees | Evidence::Missing(..) => {}
        }
    }
    let fresh = verified
        .word
        .as_ref()
        .is_some_and(|word| word.at >= before(now, FRESH));
    if verified.wanted == Verification::Required && !fresh {
        return Err(not_asked("the last answer is too old"));
    }
    Ok(())
}

fn not_asked(why: &str) -> Denied {
    Denied {
        reason: "DatabaseNotAsked",
        message: format!("spec.database.verification is Required, and {why}"),
    }
}

/// Whether a reason is one of [`permits`].
pub fn is_of_database(reason: &str) -> bool {
    matches!(reason, "DatabaseContradicts" | "DatabaseNotAsked")
}
