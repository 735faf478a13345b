//! How the lock goes from one pod to the next: whose duty ended when, who took over, and what is known of a stop that
//! is under way. While the order of several takers is not known, nothing else is decided.

use jiff::Timestamp;

use crate::api::{LastActive, LastHandover, Memory, Stop};
use crate::domain::{Container, MoveReason, Pod};
use crate::plan::decision::Decision;
use crate::plan::view::{Look, View};
use crate::plan::{guard, moves};

/// Follows the active from look to look; a new one ends a handover or failover.
pub fn remember(memory: &mut Memory, look: &Look<'_>) -> Option<LastHandover> {
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
    let version = active
        .revision
        .as_ref()
        .map(|revision| revision.version.to_string())
        .unwrap_or_default();
    let revision = active
        .revision
        .as_ref()
        .map(|revision| revision.name.clone())
        .unwrap_or_default();
    memory.last_active = Some(LastActive {
        pod: active.id.name.clone(),
        uid: active.id.uid.clone(),
        version: version.clone(),
        revision: revision.clone(),
        ended: None,
        planned: false,
        purpose: None,
    });
    let last = last?;
    let unseen_end = last_answer(&last, look, active);
    // Nobody takes the lock before the duty of the last holder is over: an end that is noted later was missed, not seen.
    let seen_end = last.ended.filter(|end| {
        let taken = active.took.map(|took| took.at);
        last.planned || taken.is_none_or(|taken| *end <= taken)
    });
    let begin = seen_end.or(unseen_end);
    let answered = active.contact.map_or(look.now, |contact| contact.at);
    let finished_at = first.unwrap_or(answered);
    let gap_ms = begin
        .filter(|_| served)
        .map(|begin| finished_at.duration_since(begin).as_millis())
        .and_then(|millis| i64::try_from(millis).ok())
        .map(|millis| millis.max(0));
    let reason = match (
        last.planned,
        last.version == version,
        last.revision == revision,
    ) {
        (false, ..) => MoveReason::Failover.as_str(),
        (true, false, _) => MoveReason::Version.as_str(),
        (true, true, false) => MoveReason::Configuration.as_str(),
        // As it is noted: an operator of another version may have purposes that this one does not know.
        (true, true, true) => {
            let purpose = last.purpose.as_deref();
            purpose.unwrap_or(MoveReason::Move.as_str())
        }
    };
    Some(LastHandover {
        from: format!("{} ({})", last.pod, last.version),
        to: format!("{} ({version})", active.id.name),
        reason: reason.to_owned(),
        started_at: begin.unwrap_or(finished_at),
        finished_at,
        gap_ms,
        gap: gap_ms.map(people_seconds),
        gap_is_upper_bound: unseen_end.is_some(),
        lease_given_back: look
            .seen
            .ended
            .lease_given_back(&last.uid, begin.unwrap_or(finished_at)),
    })
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
        last.ended = Some(stop.at);
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
