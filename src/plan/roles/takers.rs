//! Which of those that have taken a lock has it, and whose lock is on our database (rule S9). Nothing is said here of
//! pods that have taken none.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Answered, Observation, Pod, PodId, Wanted};
use crate::node::lock::LEASE_DURATION;
use crate::plan::evidence::{Evidence, of_active};
use crate::plan::given::Given;
use crate::plan::limits::{FRESH, LOST, RESCUE, before};

/// The pod that the database itself names as the holder, where several have taken a lock: asked after the last of
/// them did, on a server that takes writes. Those that took a lock before it have to be known to be on that
/// database: behind another URL the newer pod would be the holder, too (rule S9).
pub fn named<'a>(seen: &Observation, takers: &[&'a Pod]) -> Option<&'a PodId> {
    let answer = seen.database.answer.as_ref()?;
    let took = |pod: &Pod| pod.took.map(|took| took.at);
    let last = takers.iter().filter_map(|pod| took(pod)).max();
    if takers.len() < 2 || Some(answer.at) <= last {
        return None;
    }
    let holder = takers
        .iter()
        .find(|pod| of_active(&seen.database, pod) == Evidence::Agrees)?;
    let known = takers
        .iter()
        .filter(|pod| pod.id != holder.id && took(pod) <= took(holder))
        .all(|pod| answer.held.contains(&pod.id));
    known.then_some(&holder.id)
}

/// [`RESCUE`], or the longest lease of a pod, of the last active, or of a revision that may have failed with the lock, and as
/// much beyond it: a lease outlives the pod that did not give it back.
pub fn rescue(given: Given<'_>) -> Duration {
    let memory = given.memory;
    let last = memory.last_active.as_ref().map(|last| &last.revision);
    let newer = memory.upgrade.as_ref().map(|upgrade| &upgrade.to);
    let gone = [last, newer, memory.failed.as_ref()].into_iter().flatten();
    let gone = gone.filter_map(|name| given.seen.revisions.get(name)?.lease);
    let leases = given
        .seen
        .pods
        .iter()
        .filter_map(|pod| pod.revision.as_ref()?.lease)
        .chain(gone);
    let beyond = RESCUE.saturating_sub(LEASE_DURATION);
    leases
        .map(|lease| lease + beyond)
        .fold(RESCUE, Duration::max)
}

/// Whether the spec asks for another revision than at the last look: what was known of its database is of no use.
pub fn is_new(given: Given<'_>) -> bool {
    let Wanted::Revision(wanted) = &given.seen.intent.wanted else {
        return false;
    };
    let known = given.memory.wanted.as_ref();
    known.is_none_or(|known| known.name != wanted.name)
}

/// Which database a taker's lock is on, as far as can be told (rule S9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Ours,
    Another,
    InDoubt,
}

/// A pod that takes a lock without having waited, while an older taker is seen at work after it, sits
/// on another database. So does, once such a pod was seen, one that has waited: it may have waited there.
///
/// Assumed is that the older one is where we want to be: that it kept its lock, and did not move. An active that was
/// started again behind a changed Secret, and answers before a pod that had taken the lock on the first database, is
/// taken for right, and that other one is stopped. Without a word from the database the two can't be told apart (the
/// model's walk of a Secret that changes while pods end, which is marked as known).
pub fn database(pod: &Pod, takers: &[&Pod], differs: bool, given: Given<'_>) -> Database {
    let (now, rescue) = (given.now, rescue(given));
    let Some(took) = pod.took else {
        return Database::Ours;
    };
    if took.waited != Some(false) && !differs {
        return Database::Ours;
    }
    // One that says itself that it can't refresh its lease is cut off from the database: that it goes on answering says
    // nothing of the other.
    let lately_lost = before(took.at, rescue + LOST);
    let cut_off = |older: &Pod| older.lost_lease_at.is_some_and(|at| at >= lately_lost);
    let mut older = takers.iter().filter(|older| {
        older.id != pod.id
            && !older.deleted
            && !cut_off(older)
            && older.took.is_some_and(|first| first.at < took.at)
    });
    let accepted = given.memory.knows_as_active(&pod.id.uid);
    // An active that lost its lease while the database was away goes on answering until it is told:
    // only one that has outlived the lease works elsewhere.
    let outlived = took.at.checked_add(rescue).unwrap_or(Timestamp::MAX);
    // Where no port is in sight, that its kubelet answers for its container has to do: an active that is deposed ends.
    let at_work = |older: &Pod, since: Timestamp| {
        let unseen = older
            .contact
            .is_some_and(|contact| contact.answer == Answered::Kubelet);
        older.served_since(since) || (unseen && older.answered_since(since))
    };
    let works = |older: &Pod| at_work(older, before(now, FRESH));
    if !accepted
        && older
            .clone()
            .any(|older| at_work(older, outlived) && works(older))
    {
        return Database::Another;
    }
    // Active while the older one could not be seen, which is back now: either that one is cut off from
    // the database, or this one sits on another. Or the older one has not answered since: it soon does,
    // or has not for too long.
    let lately = |older: &Pod| at_work(older, took.at) && !older.silent_since(before(now, LOST));
    // An operator that has just started has not heard of the older one yet (rule S8).
    let awaited = |older: &Pod| older.contact.is_none() && !older.silent_since(before(now, LOST));
    if older.any(|older| lately(older) || (!accepted && (works(older) || awaited(older)))) {
        return Database::InDoubt;
    }
    Database::Ours
}
