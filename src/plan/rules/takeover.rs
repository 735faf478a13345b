//! How the lock goes from one pod to the next: whose duty ended when, who took over, and what is known of a stop that
//! is under way. While the order of several takers is not known, nothing else is decided.

use jiff::{SignedDuration, Timestamp};

use crate::api::{LastActive, LockMove, Memory, Stop};
use crate::domain::{AskedBy, Container, MoveReason, Pod, Wanted};
use crate::plan::decision::Decision;
use crate::plan::view::{Look, View};
use crate::plan::{guard, moves};

/// Follows the active from look to look; a new one ends a handover or failover, or is the first.
pub fn remember(memory: &mut Memory, look: &Look<'_>) -> Option<LockMove> {
    if let Some(last) = memory.last_active.as_mut() {
        note_end(last, look, memory.stopping.as_ref());
    }
    let active = look.roles.active?;
    let last = memory.last_active.clone();
    if memory.knows_as_active(&active.id.uid) {
        return None;
    }
    if active.deleted && last.as_ref().is_some_and(|last| last.uid == active.id.uid) {
        return None;
    }
    // The new active counts from its first answer as a node, or its own word that it is up, which is the end of the
    // gap. Where its port can't be reached and its log is gone, nothing tells that moment.
    let first = [active.serving_since, active.worked_at]
        .into_iter()
        .flatten()
        .min();
    let served =
        first.is_some() || active.served_since(active.took.map_or(look.now, |took| took.at));
    if !served && !look.roles.works(active) {
        return None;
    }
    let revision = active.revision.as_ref();
    let next = LastActive {
        pod: active.id.name.clone(),
        uid: active.id.uid.clone(),
        version: revision.map_or_else(String::new, |of| of.version.to_string()),
        revision: revision.map(|of| of.name.clone()).unwrap_or_default(),
        ended: None,
        planned: false,
        purpose: None,
    };
    memory.last_active = Some(next.clone());
    let answered = active.contact.map_or(look.now, |contact| contact.at);
    let finished_at = first.unwrap_or(answered);
    let taken = LockMove {
        from: None,
        to: described(&next),
        revision: next.revision.clone(),
        reason: MoveReason::START.to_owned(),
        asked_by: AskedBy::Spec.to_string(),
        started_at: finished_at,
        finished_at,
        ..LockMove::default()
    };
    let Some(last) = last else {
        return Some(taken);
    };
    let unseen_end = last_answer(&last, look, active);
    // Nobody takes the lock before the duty of the last holder is over: an end that is noted later was missed, not seen.
    let seen_end = last.ended.filter(|end| {
        let taken = active.took.map(|took| took.at);
        last.planned || taken.is_none_or(|taken| *end <= taken)
    });
    let begin = seen_end.or(unseen_end);
    let gap_ms = begin
        .filter(|_| served)
        .map(|begin| finished_at.duration_since(begin).as_millis())
        .and_then(|millis| i64::try_from(millis).ok())
        .map(|millis| millis.max(0));
    let reason = reason(&last, &next);
    Some(LockMove {
        from: Some(described(&last)),
        reason: reason.to_owned(),
        asked_by: asked_by(reason, &last, active, look).to_string(),
        started_at: begin.unwrap_or(finished_at),
        gap_ms,
        gap: gap_ms.map(people_seconds),
        gap_is_upper_bound: unseen_end.is_some(),
        lease_given_back: look
            .seen
            .ended
            .lease_given_back(&last.uid, begin.unwrap_or(finished_at)),
        ..taken
    })
}

fn described(active: &LastActive) -> String {
    format!("{} ({})", active.pod, active.version)
}

/// Why the lock moved: by its purpose, else by what the two pods differ in.
fn reason<'a>(last: &'a LastActive, next: &LastActive) -> &'a str {
    if !last.planned {
        MoveReason::Failover.as_str()
    } else if last.version != next.version {
        MoveReason::Version.as_str()
    } else if last.revision != next.revision {
        MoveReason::Configuration.as_str()
    } else {
        // As it is noted: an operator of another version may have purposes that this one does not know.
        let purpose = last.purpose.as_deref();
        purpose.unwrap_or(MoveReason::Move.as_str())
    }
}

/// Who wanted a move with this reason.
fn asked_by(reason: &str, last: &LastActive, next: &Pod, look: &Look<'_>) -> AskedBy {
    match MoveReason::of(reason) {
        Some(MoveReason::Failover) => AskedBy::Nobody,
        Some(MoveReason::Switchover) => AskedBy::Annotation,
        Some(MoveReason::Drill) => AskedBy::Schedule,
        Some(MoveReason::Maintenance) => AskedBy::Drain,
        Some(MoveReason::Version | MoveReason::Configuration) => {
            let to = next.revision.as_ref();
            let to = to.filter(|to| look.seen.intent.wanted == Wanted::Revision((*to).clone()));
            let from = look.seen.revisions.get(&last.revision);
            let approval = look.seen.intent.policy.approval.as_ref();
            match to {
                Some(to) if approval.is_some_and(|word| word.is_for(to, from)) => AskedBy::Approval,
                Some(_) => AskedBy::Spec,
                // Back to one that worked.
                None => AskedBy::Operator,
            }
        }
        Some(MoveReason::Failback | MoveReason::Unresponsive | MoveReason::Move) | None => {
            AskedBy::Operator
        }
    }
}

/// When the last active answered last, where nobody has seen its end and nothing has reached it since another took the
/// lock: its machine is lost, or the way to it.
fn last_answer(last: &LastActive, look: &Look<'_>, next: &Pod) -> Option<Timestamp> {
    let pod = look.seen.pods.iter().find(|pod| pod.id.uid == last.uid)?;
    let contact = pod.contact.filter(|_| last.ended.is_none())?;
    (contact.at < next.took?.at).then_some(contact.at)
}

/// Milliseconds as people read them: `1.8s`.
fn people_seconds(millis: i64) -> String {
    format!("{}.{}s", millis / 1000, (millis % 1000) / 100)
}

/// When the duty of the last active ended: with the stop that was decided, once the API server has accepted
/// it, or at the end of its container.
fn note_end(last: &mut LastActive, look: &Look<'_>, stopping: Option<&Stop>) {
    if last.ended.is_some() {
        return;
    }
    let pod = look.seen.pods.iter().find(|pod| pod.id.uid == last.uid);
    let planned = stopping.filter(|stop| stop.uid == last.uid);
    if let Some(stop) = planned.filter(|_| pod.is_none_or(|pod| pod.deleted)) {
        last.ended = Some(pod.map_or(stop.at, |pod| accepted(stop, pod, look.now)));
        last.planned = true;
        last.purpose.clone_from(&stop.purpose);
        return;
    }
    let ended = match pod.map(|pod| &pod.container) {
        None => Some(look.now),
        Some(Container::Down { exit, .. }) => Some(exit.at.unwrap_or(look.now)),
        Some(Container::Ended { exit }) => {
            Some(exit.as_ref().and_then(|exit| exit.at).unwrap_or(look.now))
        }
        // Restarted between two looks: its takeover is no longer that of this container.
        Some(Container::Running { since, last }) if pod.is_some_and(|pod| pod.took.is_none()) => {
            let exit = last.as_ref().and_then(|exit| exit.at);
            Some(exit.unwrap_or(*since))
        }
        Some(Container::Running { .. } | Container::NotStarted { .. }) => None,
    };
    last.ended = ended;
}

/// When the API server accepted a stop, which this look shows first: in the second that stands in the pod, and no sooner than it was
/// decided. Where a later look is the first, the beginning of that second counts.
fn accepted(stop: &Stop, pod: &Pod, now: Timestamp) -> Timestamp {
    let Some(second) = pod.deleted_at else {
        return stop.at;
    };
    let over = second
        .checked_add(SignedDuration::from_secs(1))
        .unwrap_or(second);
    let at = if now < over { now } else { second };
    at.max(stop.at)
}

/// A stop is forgotten when it is over; the stop of an active only when somebody took over, so that
/// the rescue knows what it waits for.
pub fn forget_stop(memory: &mut Memory, look: &Look<'_>) {
    let Some(stop) = &mut memory.stopping else {
        return;
    };
    let pod = look.seen.pods.iter().find(|pod| pod.id.uid == stop.uid);
    let not_done = pod.is_some_and(|pod| !pod.deleted);
    let over = pod.is_none_or(|pod| !look.roles.stopping.iter().any(|other| other.id == pod.id));
    // The temporary server of a node that boots is no success yet.
    let last = memory.last_active.as_ref();
    let succeeded = last.is_some_and(|last| last.ended.is_none() && last.uid != stop.uid)
        && look
            .roles
            .active
            .is_some_and(|active| active.id.uid != stop.uid);
    // Written, but never done: planned anew from this look.
    if not_done || (over && (!stop.active || succeeded || look.seen.intent.replicas == 0)) {
        memory.stopping = None;
    } else if over && !stop.over {
        // From now on the lock can be taken: a node may need its whole grace period to end.
        stop.over = true;
        stop.at = pod
            .and_then(|pod| ended_at(pod, stop.at, look.now))
            .unwrap_or(look.now);
    }
}

/// When the container of a stopped pod ended, if Kubernetes says so: after the stop was decided and before it was seen
/// to be over, whatever the clock of its machine is.
pub fn ended_at(pod: &Pod, decided: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ended = match &pod.container {
        Container::Down { exit, .. } => exit.at,
        Container::Ended { exit } => exit.as_ref().and_then(|exit| exit.at),
        Container::NotStarted { .. } | Container::Running { .. } => None,
    };
    ended.map(|at| at.max(decided).min(now))
}

/// Since when nobody of ours has had the lock.
pub fn remember_unheld(memory: &mut Memory, look: &Look<'_>) {
    if look.roles.active.is_some() || look.seen.intent.replicas == 0 {
        memory.unheld_since = None;
    } else {
        memory.unheld_since.get_or_insert(look.now);
    }
}

/// Who is active is not known: nothing is stopped.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    view.roles
        .order_unknown
        .then(|| moves::held(view, guard::order_unknown()))
}
