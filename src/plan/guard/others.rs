//! What has to hold before any other pod is stopped (rules S2, S3), and the two stops for which little has to: the end
//! that the user asked for, and that of a pod on another database.

use std::time::Duration;

use super::check::{Check, run};
use super::denials::{no_other_stop, order_unknown};
use super::handover::fit;
use super::permit::Permit;
use jiff::Timestamp;

use crate::api::Verification;
use crate::domain::{Container, Pod, Reason, Revision, remembered};
use crate::node::ExitKind;
use crate::plan::cause::{Cause, Denied, deny};
use crate::plan::evidence::{self, Evidence};
use crate::plan::limits::{BACKOFF, FRESH, LONGEST_BACKOFF, TAKEOVER, before};
use crate::plan::safety::Rule;
use crate::plan::view::View;

/// A pod that is not the active, about to be stopped.
struct Other<'v> {
    view: &'v View<'v>,
    pod: &'v Pod,
    cause: &'v Cause,
    /// Not even started, or not running: nothing is lost by its end. S6 still counts it.
    harmless: bool,
    /// The pod that goes on where this one does not.
    covers: Option<&'v Pod>,
    /// The standby that takes the place of this one, where it has to have one; or why none does.
    stand_in: &'v Result<Option<&'v Pod>, Denied>,
}

impl Other<'_> {
    const CHECKS: [Check<Self>; 9] = [
        Check::of(Rule::OneStop, |stop| no_other_stop(stop.view)),
        Check::always(order_is_known),
        Check::always(is_not_active),
        Check::of(Rule::DatabaseAgrees, is_not_the_holder),
        Check::always(no_takeover_is_awaited),
        Check::always(is_down_if_rolled_back),
        Check::of(Rule::ActiveSeen, somebody_covers),
        Check::always(is_in_back_off),
        Check::always(another_could_take_over),
    ];
}

/// Any pod, about to be stopped for a reason that overrules the other checks.
struct Any<'v> {
    view: &'v View<'v>,
}

impl Any<'_> {
    const CHECKS: [Check<Self>; 1] = [Check::of(Rule::OneStop, |stop| no_other_stop(stop.view))];
}

/// S2, S3: a pod that is not the active may be stopped.
pub fn stop_other(view: &View<'_>, pod: &Pod, cause: Cause) -> Result<Permit, Denied> {
    let harmless = match &pod.container {
        Container::NotStarted { .. } | Container::Down { .. } => true,
        Container::Running { .. } | Container::Ended { .. } => false,
    };
    let covers = view
        .roles
        .active_at_work()
        .filter(|active| view.roles.works(active) && !active.log_ended)
        .or_else(|| another_waits(view, pod))
        .filter(|_| !harmless);
    let stand_in = stand_in(view, pod, &cause);
    let stop = Other {
        view,
        pod,
        cause: &cause,
        harmless,
        covers,
        stand_in: &stand_in,
    };
    run(&Other::CHECKS, &stop, view.rules)?;
    let stand_in = stand_in.ok().flatten();
    Ok(Permit::of(pod, cause, false)
        .relying_on(covers)
        .resting_on(stand_in))
}

/// The standby that goes on where this one does not. What is planned takes the place of a pod that could take over only
/// where another one could: the successor of an active is judged by the same [`fit`]. Not meant is a pod that no standby
/// is wanted beside, or for whose successor there is room only in its own place.
fn stand_in<'v>(view: &'v View<'_>, pod: &Pod, cause: &Cause) -> Result<Option<&'v Pod>, Denied> {
    let planned = match cause {
        Cause::Replaced | Cause::Surplus | Cause::Aside | Cause::Leaving => true,
        // One that was made to be checked goes before it wins unasked: those from before it stay.
        Cause::Checked
        | Cause::Handover { .. }
        | Cause::End
        | Cause::Abandoned
        | Cause::Foreign
        | Cause::BackOff
        | Cause::RolledBack => false,
    };
    let intent = &view.seen.intent;
    let wanted = intent.replicas > if intent.surge == 0 { 2 } else { 1 };
    let held = remembered::newest_held(view.memory);
    let too_old = |revision: &Revision| held.as_ref().is_some_and(|held| revision.version < *held);
    let too_old = pod.revision.as_ref().is_some_and(too_old);
    let matters = planned && wanted && view.active().is_some() && !too_old;
    if !matters || !view.roles.could_take_over(pod) {
        return Ok(None);
    }
    let mut why = Denied {
        reason: Reason::NoSuccessor,
        message: format!(
            "{} is not stopped: no other pod waits that could take over",
            pod.id.name
        ),
    };
    let waiting = view.roles.waiting.iter().copied();
    for other in waiting.filter(|other| other.id != pod.id) {
        match fit(view, other) {
            Ok(()) => return Ok(Some(other)),
            Err(denied) => why = denied,
        }
    }
    Err(why)
}

/// A pod that could take over is stopped only for one that could take over.
fn another_could_take_over(stop: &Other<'_>) -> Result<(), Denied> {
    stop.stand_in.clone().map(|_| ())
}

fn order_is_known(stop: &Other<'_>) -> Result<(), Denied> {
    if stop.view.roles.order_unknown {
        return Err(order_unknown());
    }
    Ok(())
}

fn is_not_active(stop: &Other<'_>) -> Result<(), Denied> {
    if stop.view.roles.is_active(stop.pod) {
        return deny(
            Reason::IsActive,
            format!("{} holds the lock", stop.pod.id.name),
        );
    }
    Ok(())
}

/// The database does not name it as who holds the lock.
fn is_not_the_holder(stop: &Other<'_>) -> Result<(), Denied> {
    let (database, pod) = (&stop.view.seen.database, stop.pod);
    let asked = database.wanted != Verification::Never && !stop.harmless;
    if asked && evidence::of_holder(database, pod) == Evidence::Agrees {
        return deny(
            Reason::DatabaseContradicts,
            format!(
                "in the database {} holds the lock: it is not stopped as one that does not",
                pod.id.name
            ),
        );
    }
    Ok(())
}

fn no_takeover_is_awaited(stop: &Other<'_>) -> Result<(), Denied> {
    let view = stop.view;
    // That takeover has failed, which is known: nothing depends on its stop any more.
    let failed = *stop.cause == Cause::RolledBack;
    if !failed && takeover_awaited(view, before(view.now, view.roles.rescue)) {
        return deny(
            Reason::TakeoverAwaited,
            "the active was stopped and its successor has not taken over yet",
        );
    }
    Ok(())
}

fn is_down_if_rolled_back(stop: &Other<'_>) -> Result<(), Denied> {
    if *stop.cause == Cause::RolledBack && !stop.harmless {
        return deny(
            Reason::ActiveNotSeen,
            format!("{} runs: it may have the lock", stop.pod.id.name),
        );
    }
    Ok(())
}

/// S3: a pod that runs may be the one that takes over, unless another one is seen to be it.
fn somebody_covers(stop: &Other<'_>) -> Result<(), Denied> {
    if !stop.harmless && stop.covers.is_none() {
        return deny(
            Reason::ActiveNotSeen,
            format!(
                "{} is not stopped while no active is seen at work: it may be the one that takes over",
                stop.pod.id.name
            ),
        );
    }
    Ok(())
}

fn is_in_back_off(stop: &Other<'_>) -> Result<(), Denied> {
    if *stop.cause == Cause::BackOff && !backed_off(stop.view, stop.pod) {
        return deny(
            Reason::NotInBackOff,
            format!("{} is not in back-off", stop.pod.id.name),
        );
    }
    Ok(())
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
        .find(|other| {
            other.id != pod.id && fit(view, other).is_ok() && view.roles.could_take_over(other)
        })
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
    at <= before(view.now, back_off(view)) || view.roles.pods().iter().any(back)
}

/// How long a pod is left in back-off: a tenth of the time for which nobody has had the lock, so that an outage of the
/// database which lasts is met by ever fewer new pods. The kubelet waits for five minutes at most.
fn back_off(view: &View<'_>) -> Duration {
    let since = view.memory.unheld_since;
    let outage = since.and_then(|since| Duration::try_from(view.now.duration_since(since)).ok());
    let tenth = outage.unwrap_or_default() / 10;
    tenth.clamp(BACKOFF, LONGEST_BACKOFF)
}

/// The user asked for an end: standbys first, then the active, one at a time.
pub fn stop_for_end(view: &View<'_>) -> Result<Option<Permit>, Denied> {
    run(&Any::CHECKS, &Any { view }, view.rules)?;
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
    run(&Any::CHECKS, &Any { view }, view.rules)?;
    Ok(Some(Permit::of(pod, Cause::Foreign, false)))
}
