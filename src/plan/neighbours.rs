//! Who else is, or may be, at work on the database: other resources, and nodes that no resource has made. A pod is made
//! only beside those whose lock it sees (rule S7).

use std::fmt;

use super::cause::{Denied, deny};
use super::evidence::{has_spoken_since, mode, unseen_holder};
use super::roles::Roles;
use super::step::Blocked;
use super::view::View;
use crate::domain::{Claim, Holder, Reason, Revision};
use crate::node::LockMode;

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, pod, mode, .. } = self;
        match pod {
            Some(pod) => write!(out, "{pod} of the resource {of}")?,
            None => write!(out, "the resource {of}, which goes first,")?,
        }
        match mode {
            Some(mode) => write!(out, " takes this database with {mode}"),
            None => out.write_str(" takes this database, it can't be told how"),
        }
    }
}

/// S7: nobody outside of this resource takes the database by a lock that pods of the revision do not see.
///
/// A revision that has held the lock is repaired beside what another resource only means to do, and beside another
/// resource whose URL was read and not named: nobody else's claim is to keep a working node from its redundancy.
pub fn refuse(view: &View<'_>, revision: &Revision) -> Result<(), Denied> {
    let roles = view.roles;
    let proven = view.memory.last_worked.as_ref() == Some(&revision.name);
    let counts = |claim: &&Claim| !proven || (claim.same_key && claim.pod.is_some());
    let mut claims = roles.claims.iter().filter(counts);
    if let Some(claim) = claims.find(|claim| !is_seen(roles, claim, revision)) {
        let mode = revision.lock.mode();
        let sees = mode
            .zip(claim.mode)
            .is_some_and(|(one, other)| one.sees(other));
        let pod = claim.pod.as_deref().unwrap_or(&claim.of);
        return deny(
            Reason::LockDiffers,
            if sees {
                hidden_message(pod)
            } else {
                format!("{claim}, {}", way(revision))
            },
        );
    }
    let other = revision
        .lock
        .mode()
        .and_then(|mode| unseen_holder(roles.database, mode));
    match other {
        Some(other) => deny(Reason::LockDiffers, format!("{other}, {}", way(revision))),
        None => Ok(()),
    }
}

/// What a person can do where a pod of this revision would work beside another node.
fn way(revision: &Revision) -> String {
    let asks = revision.lock.mode().map_or("unknown", LockMode::env_value);
    format!(
        "and a pod of this resource with {asks} would not see that lock: two nodes would work at once. Make the two one resource; or stop the other first (replicas: 0 of its resource, or the node itself); or, without downtime, set spec.database.lock.mode: dual on a version that knows it (1.1 to 1.13 with environment configuration), here or there, let it take over, and go on from there"
    )
}

/// A pod of a revision with an explicit `ADVISORY_LOCK_ID` beside one without, or the other way round.
pub fn hidden_message(pod: &str) -> String {
    format!(
        "{pod} was made without an explicit ADVISORY_LOCK_ID and takes a whole Secret as variables (config.envFrom), so it may use another id than the node's own, and then neither pod sees the other's lock. Set replicas: 0, wait until all pods are gone, then set it back. Where the operator may ask the database (databaseVerification of its chart), and that shows the lock of the node's own id as held by this pod, it goes on by itself"
    )
}

/// Whether the database shows that this is who holds the advisory lock of the node's own id.
pub fn has_the_known_lock(roles: &Roles<'_>, holder: &Holder) -> bool {
    let answer = roles.database.answer.as_ref();
    let said = answer.and_then(|answer| answer.said.as_ref().ok());
    said.is_some_and(|said| said.advisory == *holder)
}

/// Whether one of the two waits for the other.
fn is_seen(roles: &Roles<'_>, claim: &Claim, revision: &Revision) -> bool {
    let Some((ours, theirs)) = revision.lock.mode().zip(claim.mode) else {
        return false;
    };
    let hidden = claim.lock_id_hidden || revision.lock_id_hidden;
    let shown = || {
        let mut holders = claim.addresses.iter().map(|at| Holder::Elsewhere(*at));
        !revision.lock_id_hidden && holders.any(|holder| has_the_known_lock(roles, &holder))
    };
    ours.surely_sees(theirs, hidden && !shown())
}

/// Another node works beside the active, by a lock that neither sees: whoever started the two.
pub fn two_holders(roles: &Roles<'_>) -> Option<Blocked> {
    let active = roles.active.filter(|active| !roles.unheard(active))?;
    let revision = active.revision.as_ref()?;
    let name = &active.id.name;
    let mut claims = roles.claims.iter();
    let beside = claims.find(|claim| claim.works && !is_seen(roles, claim, revision));
    let by_database = || {
        let mode = mode(active).filter(|_| has_spoken_since(roles.database, active))?;
        unseen_holder(roles.database, mode)
    };
    let beside = beside.map(Claim::to_string).or_else(by_database)?;
    let how = mode(active).map_or("another lock", LockMode::env_value);
    Some(Blocked {
        reason: Reason::TwoHolders,
        message: format!(
            "{name} works with {how}, and {beside}: neither sees the other's lock, so that two nodes work on one database. Stop one of the two now: replicas: 0 of its resource, or the node itself"
        ),
        stalled: true,
    })
}
