//! What has to hold before any other pod is stopped (rules S2, S3), and the two stops for which little has to: the end
//! that the user asked for, and that of a pod on another database.

use super::denials::{order_unknown, still_stopping};
use super::permit::Permit;
use jiff::Timestamp;

use crate::node::ExitKind;
use crate::observe::{Container, Pod};
use crate::plan::cause::{Cause, Denied, deny};
use crate::plan::limits::{BACKOFF, FRESH, TAKEOVER, before};
use crate::plan::safety::Rule;
use crate::plan::view::View;

/// S2: no other stop is under way.
pub fn one_stop(view: &View<'_>) -> Result<(), Denied> {
    match view.roles.stopping.first() {
        Some(pod) if view.rules.on(Rule::OneStop) => Err(still_stopping(pod)),
        _ => Ok(()),
    }
}

/// S2, S3: a pod that is not the active may be stopped.
pub fn stop_other(view: &View<'_>, pod: &Pod, cause: Cause) -> Result<Permit, Denied> {
    one_stop(view)?;
    if view.roles.order_unknown {
        return Err(order_unknown());
    }
    if view.roles.is_active(pod) {
        return deny("IsActive", format!("{} holds the lock", pod.id.name));
    }
    // That takeover has failed, which is known: nothing depends on its stop any more.
    let failed = cause == Cause::RolledBack;
    if !failed && takeover_awaited(view, before(view.now, view.roles.rescue)) {
        return deny(
            "TakeoverAwaited",
            "the active was stopped and its successor has not taken over yet",
        );
    }
    let harmless = match &pod.container {
        // Not even started, or not running: nothing is lost by its end. S6 still counts it.
        Container::NotStarted { .. } | Container::Down { .. } => true,
        Container::Running { .. } | Container::Ended { .. } => false,
    };
    if cause == Cause::RolledBack && !harmless {
        return deny(
            "ActiveNotSeen",
            format!("{} runs: it may have the lock", pod.id.name),
        );
    }
    let covers = view
        .roles
        .active_at_work()
        .or_else(|| another_waits(view, pod))
        .filter(|_| !harmless);
    if view.rules.on(Rule::ActiveSeen) && !harmless && covers.is_none() {
        return deny(
            "ActiveNotSeen",
            format!(
                "{} is not stopped while no active is seen at work: it may be the one that takes over",
                pod.id.name
            ),
        );
    }
    if cause == Cause::BackOff && !backed_off(view, pod) {
        return deny(
            "NotInBackOff",
            format!("{} is not in back-off", pod.id.name),
        );
    }
    Ok(Permit::of(pod, cause, false).relying_on(covers))
}

/// A handover has begun since `since`, and nobody has taken over: it is not to be forgotten for another
/// stop, as the rescue depends on it.
fn takeover_awaited(view: &View<'_>, since: Timestamp) -> bool {
    view.roles.active.is_none()
        && view
            .memory
            .stopping
            .as_ref()
            .is_some_and(|stop| stop.successor.is_some() && stop.at > since)
}

/// With an external holder there is no active of ours: a standby may go if another one stays. Not
/// before it is sure that it is not in the middle of its own takeover.
fn another_waits<'a>(view: &View<'a>, pod: &Pod) -> Option<&'a Pod> {
    let long_ago = before(view.now, TAKEOVER);
    let outside = view
        .memory
        .unheld_since
        .is_some_and(|since| since <= long_ago);
    let there_before =
        matches!(pod.container, Container::Running { since, .. } if since <= long_ago);
    let may_go = outside
        && there_before
        && pod.waits()
        && pod.answered_since(before(view.now, FRESH))
        && view.roles.active.is_none()
        && view.roles.suspects.is_empty();
    let mut others = view.roles.waiting.iter().copied();
    others
        .find(|other| other.id != pod.id && other.answered_since(before(view.now, FRESH)))
        .filter(|_| may_go)
}

/// In back-off after its database was away or it lost the lock, for long enough; or the database is back, as seen by
/// another pod that has come to wait since.
pub fn backed_off(view: &View<'_>, pod: &Pod) -> bool {
    let Container::Down { exit, restarts } = &pod.container else {
        return false;
    };
    let by_database = matches!(exit.kind, ExitKind::DatabaseAway | ExitKind::Deposed);
    let (true, true, Some(at)) = (*restarts > 0, by_database, exit.at) else {
        return false;
    };
    let back = |other: &Pod| {
        let waits = other.waiting.is_some_and(|since| since > at);
        other.id != pod.id && other.running() && waits
    };
    at <= before(view.now, BACKOFF) || view.roles.pods().iter().any(back)
}

/// The user asked for an end: standbys first, then the active, one at a time.
pub fn stop_for_end(view: &View<'_>) -> Result<Option<Permit>, Denied> {
    one_stop(view)?;
    let next = view
        .roles
        .pods()
        .iter()
        .filter(|pod| !pod.deleted && !pod.ended())
        .min_by_key(|pod| view.roles.is_active(pod));
    Ok(next.map(|pod| Permit::of(pod, Cause::End, view.roles.is_active(pod))))
}

/// S9: a pod that sits on another database is stopped.
pub fn stop_foreign(view: &View<'_>) -> Result<Option<Permit>, Denied> {
    let Some(pod) = view.roles.foreign.iter().find(|pod| !pod.deleted) else {
        return Ok(None);
    };
    one_stop(view)?;
    Ok(Some(Permit::of(pod, Cause::Foreign, false)))
}
