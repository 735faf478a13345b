//! `LockVerified`: what the database itself says of the lock. Never True where it could not be asked.

use super::conditions::{Said, said, unknown};
use crate::api::Verification;
use crate::observe::{Holder, Observation, Pod};
use crate::plan::{Census, Evidence, Step, of_active, of_standby};

const KIND: &str = "LockVerified";

pub(super) fn lock_verified(seen: &Observation, census: &Census<'_>, step: Step) -> Said {
    let verified = &seen.database;
    if verified.wanted == Verification::Never {
        return unknown(
            KIND,
            "NotWanted",
            "spec.database.verification is Never: the database is not asked",
        );
    }
    if seen.intent.replicas == 0 {
        return unknown(KIND, "NoActive", "replicas is 0: nothing is to be asked");
    }
    // Why it can't be asked holds whoever is active.
    if let Some(Err(silence)) = verified.word.as_ref().map(|word| &word.said) {
        return unknown(KIND, silence.reason, &silence.message);
    }
    match census.active {
        Some(active) => of_an_active(seen, census, active),
        None if step == Step::External => of_nobody(seen),
        None => unknown(KIND, "NoActive", "no pod holds the lock as far as is seen"),
    }
}

fn of_an_active(seen: &Observation, census: &Census<'_>, active: &Pod) -> Said {
    let verified = &seen.database;
    let asked = verified.word.as_ref().map(|word| word.at);
    if asked.is_none() || asked <= active.took.map(|took| took.at) {
        return unknown(
            KIND,
            "NotAskedYet",
            "the database was not asked since the last takeover",
        );
    }
    match of_active(verified, active) {
        Evidence::Agrees => {}
        Evidence::Contradicts(message) => {
            return said(KIND, false, "DatabaseContradicts", message);
        }
        Evidence::Missing(reason, message) => return unknown(KIND, reason, message),
    }
    // One that came to wait after the question is not in the answer.
    let older = |pod: &&&Pod| pod.waiting.is_some_and(|waiting| Some(waiting) < asked);
    for standby in census.waiting.iter().filter(older) {
        if let Evidence::Contradicts(message) = of_standby(verified, active, standby) {
            return said(KIND, false, "DatabaseContradicts", message);
        }
    }
    said(
        KIND,
        true,
        "HolderIsActive",
        format!(
            "the database says that {} holds the lock, and can be written to",
            active.id.name
        ),
    )
}

/// All pods wait: somebody else should have the lock.
fn of_nobody(seen: &Observation) -> Said {
    let said_there = seen.database.word.as_ref().map(|word| &word.said);
    let Some(Ok(says)) = said_there else {
        return unknown(KIND, "NotAskedYet", "the database was not asked yet");
    };
    if let Some(why) = says.read_only {
        return said(
            KIND,
            false,
            "DatabaseContradicts",
            format!("the server that the database URL leads to takes no writes ({why})"),
        );
    }
    let outside = |holder: &Holder| match holder {
        Holder::Elsewhere(address) => Some(*address),
        _ => None,
    };
    match outside(&says.lease).or_else(|| outside(&says.advisory)) {
        Some(_) if says.sessions.is_empty() => unknown(
            KIND,
            "AddressesHidden",
            "no address of a pod is seen at the database: a pooler or a translation of addresses stands between",
        ),
        Some(address) => said(
            KIND,
            true,
            "HolderExternal",
            format!("the database says that a client at {address} holds the lock"),
        ),
        None => unknown(
            KIND,
            "HolderUnknown",
            "the database does not show which client holds the lock",
        ),
    }
}
