//! What the spec asks for, and what is about to be done for it: intents are in the memory before the acts (rule S4).

use crate::api::{Creation, Memory, Stop, WantedRevision};
use crate::domain::Wanted;
use crate::plan::decision::{Decision, NewPod};
use crate::plan::guard::Permit;
use crate::plan::limits::{MISSING, RESERVED, before};
use crate::plan::rules::{repair, verdict, versions};
use crate::plan::step::Blocked;
use crate::plan::view::{Look, View};

/// What is wanted now. For another revision all begins anew.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    match &look.seen.intent.wanted {
        Wanted::Revision(revision) => {
            memory.missing_since = None;
            if memory.wanted_name() != Some(&revision.name) {
                memory.wanted = Some(WantedRevision {
                    name: revision.name.clone(),
                    since: look.now,
                });
                verdict::forget_failure(memory);
                verdict::begin_anew(memory, look);
                memory.database_differs = None;
                memory.checked = None;
                memory.set_aside = None;
            }
        }
        Wanted::Unusable(problem) if problem.missing => {
            memory.missing_since.get_or_insert(look.now);
        }
        Wanted::Unusable(_) => memory.missing_since = None,
    }
}

/// A creation is over when a look shows the pod. Before that its name is reserved: each plan decides anew what is made by it,
/// and whether anything is.
pub fn forget_creation(memory: &mut Memory, look: &Look<'_>) {
    let seen = look.seen;
    memory.creating = memory
        .creating
        .take()
        .filter(|creating| !seen.pods.iter().any(|pod| pod.id.name == creating.pod))
        .filter(|creating| seen.revisions.contains_key(&creating.revision));
}

/// A name is reserved no longer where it is taken, or where what was intended by it can't come to be any more.
pub fn drop_creation(memory: &mut Memory, look: &Look<'_>) {
    let over = |creating: &Creation| {
        let taken = look.seen.taken.as_ref() == Some(&creating.pod);
        taken || creating.at <= before(look.now, RESERVED)
    };
    if let Some(creating) = memory.creating.take_if(|creating| over(creating)) {
        versions::forget_start(memory, &creating.pod);
    }
}

/// Writes a creation into the memory before it happens (rule S4).
pub fn intend_creation(memory: &mut Memory, new: &NewPod, look: &Look<'_>) {
    // What was intended by this name before does not come to be beside it.
    if let Some(before) = &memory.creating
        && before.revision != new.revision.name
    {
        let pod = before.pod.clone();
        versions::forget_start(memory, &pod);
    }
    memory.pods_made = new.number;
    memory.creating = Some(Creation {
        pod: new.pod.clone(),
        revision: new.revision.name.clone(),
        at: look.now,
    });
    versions::remember_start(memory, &new.pod, &new.revision.version);
}

/// Writes a stop into the memory before it happens (rule S4).
pub fn intend_stop(memory: &mut Memory, permit: &Permit, look: &Look<'_>) {
    if permit.never_started() {
        // Kubernetes said why it could not start, and the delete carries the pod's version.
        versions::forget_start(memory, &permit.pod().name);
    }
    memory.stopping = Some(Stop {
        pod: permit.pod().name.clone(),
        uid: permit.pod().uid.clone(),
        active: permit.active(),
        successor: permit.successor().map(|pod| pod.name.clone()),
        to: permit.to().cloned(),
        reason: permit.cause().to_string(),
        purpose: permit
            .purpose()
            .move_reason()
            .map(|reason| reason.as_str().to_owned()),
        at: look.now,
        over: false,
    });
}

/// What is wanted can't be had: all is kept as it is.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let Wanted::Unusable(problem) = &view.seen.intent.wanted else {
        return None;
    };
    let stalled = !problem.missing
        || view
            .memory
            .missing_since
            .is_some_and(|since| since <= before(view.now, MISSING));
    Some(repair::hold(
        view,
        Blocked {
            reason: problem.reason.clone(),
            message: problem.message.clone(),
            stalled,
        },
    ))
}
