//! The lease of a node that has ended and did not give it back: it is given back for it, so that whoever waits gets it at its
//! next try and not when the lease has run out (rule S10). What has to hold for it is the guard's.

use std::time::Duration;

use crate::api::{ReleaseLease, Verification};
use crate::domain::{DatabaseAnswer, DatabaseView, EndedNode, Holder, Reason, Refused};
use crate::node::LockMode;
use crate::plan::guard::{self, Return};
use crate::plan::limits::before;
use crate::plan::step::Blocked;
use crate::plan::view::{Look, View};

/// The lease that is to be given back now.
pub fn decide(view: &View<'_>) -> Option<Return> {
    let mut due = lately_ended(view).filter(|node| refused(view, node).is_none());
    due.find_map(|node| guard::give_back(view, node).ok())
}

/// Whether the database is to be asked for it: whose the lease is, and whether that node has a session.
pub fn asks(look: &Look<'_>) -> bool {
    left_behind(look).any(|node| refused(look, node).is_none())
}

/// Whether the database has to be asked while the node boots that has taken a lease: only of what was shown to have a
/// session it can be seen that it has none any more. One that does not answer is asked again after this time.
pub fn is_to_be_shown(look: &Look<'_>, again: Duration) -> bool {
    let Some(active) = look.roles.active.filter(|active| !active.deleted) else {
        return false;
    };
    let mode = active.revision.as_ref().and_then(|of| of.lock.mode());
    let answer = look.seen.database.answer.as_ref();
    let asked = answer.map(|answer| answer.at);
    let answered = answer.and_then(DatabaseAnswer::last).map(|(at, _)| at);
    let taken = active.took.map(|took| took.at);
    let is_due = asked <= taken || asked <= Some(before(look.now, again));
    wanted(look) && mode.is_some_and(LockMode::uses_lease) && answered <= taken && is_due
}

/// That the database did not give a lease back, for people.
pub fn told(look: &Look<'_>) -> Option<Blocked> {
    let refused = left_behind(look).find_map(|node| refused(look, node))?;
    Some(Blocked {
        reason: Reason::LeaseNotGivenBack,
        message: refused.message.clone(),
        // It runs out by itself.
        stalled: false,
    })
}

/// The database did not give the lease of this node back when it was asked last, a moment ago.
fn refused<'a>(look: &Look<'a>, node: &EndedNode) -> Option<&'a Refused> {
    let refused = look.seen.refused_return.as_ref();
    refused.filter(|refused| refused.pod == node.client && look.now < refused.again)
}

fn wanted(look: &Look<'_>) -> bool {
    let intent = &look.seen.intent;
    intent.replicas > 0
        && intent.policy.release_lease == ReleaseLease::Auto
        && look.seen.database.wanted != Verification::Never
}

/// The nodes that ended so lately that their lease may still stand, as far as time tells.
fn lately_ended<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a EndedNode> + use<'a> {
    let since = before(look.now, look.roles.rescue);
    let lately = move |node: &&EndedNode| node.given_back.is_none() && node.seen >= since;
    look.seen.ended.all().iter().filter(lately)
}

/// Those of them whose lease may still stand, as far as is known. None while a pod is active: the lease is that one's.
fn left_behind<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a EndedNode> + use<'a> {
    let (seen, roles) = (look.seen, look.roles);
    let possible = wanted(look) && roles.active.is_none() && !roles.order_unknown;
    lately_ended(look).filter(move |node| possible && !is_over(&seen.database, node))
}

/// Whether the database has said since its end that the lease is nobody's, or another's.
fn is_over(database: &DatabaseView, node: &EndedNode) -> bool {
    let answer = database.answer.as_ref();
    let since = answer.filter(|answer| answer.at > node.seen);
    let said = since.and_then(|answer| answer.said.as_ref().ok());
    said.is_some_and(|said| {
        said.lease == Holder::Nobody || said.lease_client.as_ref() != Some(&node.client)
    })
}
