//! Automatic fail-backs: when the active goes back to a preferred machine by itself, and what keeps it from
//! going again and again to one that it can't stay on.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{GoingBack, LastHandover, Memory, RequestState};
use crate::domain::{MoveReason, Observation, Pod};
use crate::plan::limits::before;
use crate::plan::places;
use crate::plan::rules::hold;
use crate::plan::view::{Look, View};

/// The longest wait after fail-backs that ended in a failover; an active that worked there for so long has
/// shown that it can.
const LONGEST: Duration = Duration::from_hours(24);

/// How long a standby has to have waited on a preferred machine, where the active goes back by itself.
fn steady_for(seen: &Observation) -> Option<Duration> {
    let preferred = seen.intent.policy.preferred.as_ref()?;
    preferred.automatic_after
}

/// The standbys on preferred machines.
fn at_home<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a Pod> {
    let waiting = look.roles.standbys();
    waiting.filter(|pod| {
        places::is_preferred(look.seen, pod) && places::emptying(look.seen, pod).is_none()
    })
}

/// Takes up how a fail-back has gone on.
pub fn remember(memory: &mut Memory, finished: Option<&LastHandover>, look: &Look<'_>) {
    let Some(steady) = steady_for(look.seen) else {
        memory.going_back = None;
        return;
    };
    let generation = look.seen.intent.generation;
    let known = memory.going_back.take();
    let known =
        known.filter(|known| known.generation == generation && !moved_by_hand(known, look.before));
    let mut going = known.clone().unwrap_or(GoingBack {
        generation,
        ..GoingBack::default()
    });
    let arrived = look
        .roles
        .active
        .filter(|active| places::is_preferred(look.seen, active));
    let failed = match finished.and_then(|finished| MoveReason::of(&finished.reason)) {
        Some(MoveReason::Failback) => {
            going.to = arrived.map(|active| active.id.uid.clone());
            going.at = Some(look.now);
            arrived.is_none()
        }
        Some(MoveReason::Failover) => {
            let last = look.before.last_active.as_ref().map(|last| &last.uid);
            going.to.is_some() && going.to.as_ref() == last
        }
        _ => false,
    };
    if failed {
        fail(&mut going, steady, look.now);
    }
    let moving = memory.stop_of_active().is_some();
    let due = arrived.is_none() && hold::opens(look).is_none() && at_home(look).next().is_some();
    if finished.is_some() || (!moving && !due) {
        going.since = None;
    }
    let patience = look.seen.intent.standby_timeout;
    if !moving
        && going
            .since
            .is_some_and(|since| since <= before(look.now, patience))
    {
        going.since = None;
        going.failed_at = Some(look.now);
        going.until = look.now.checked_add(steady.max(patience)).ok();
        going.because = Some(
            "it could not be made within handover.standbyTimeout, and the active was not stopped"
                .to_owned(),
        );
    }
    let anything = going.since.is_some() || going.at.is_some() || going.failed_at.is_some();
    memory.going_back = anything.then_some(going);
}

/// The active is about to go back.
pub fn note(memory: &mut Memory, look: &Look<'_>) {
    let generation = look.seen.intent.generation;
    let going = memory.going_back.get_or_insert_with(|| GoingBack {
        generation,
        ..GoingBack::default()
    });
    going.since.get_or_insert(look.now);
}

/// A switchover that was made since: a person has taken it in hand.
fn moved_by_hand(known: &GoingBack, memory: &Memory) -> bool {
    let switchover = memory.switchover.as_ref();
    let done = switchover.filter(|asked| asked.state == RequestState::Done);
    let ended = done.and_then(|asked| asked.ended);
    known.failed_at.is_some() && ended >= known.failed_at
}

/// It ended in a failover: the next one waits twice as long as this one did.
fn fail(going: &mut GoingBack, steady: Duration, now: Timestamp) {
    let stayed = going.at.is_some_and(|at| at <= before(now, LONGEST));
    going.failures = if stayed {
        1
    } else {
        going.failures.saturating_add(1)
    };
    let times = 1_u32.checked_shl(going.failures).unwrap_or(u32::MAX);
    let wait = steady.saturating_mul(times).min(LONGEST).max(steady);
    going.failed_at = Some(now);
    going.until = now.checked_add(wait).ok();
    going.because = Some(match going.failures {
        1 => "the last one ended in a failover".to_owned(),
        failures => format!("the last {failures} ended in a failover"),
    });
}

/// Whether the active is to go back to a preferred machine by itself: a standby has waited there for
/// long enough, nothing is missing, and the time is one in which the lock may be moved. One that has
/// begun is not given up for the standbys that it sets aside.
pub fn goes_back(view: &View<'_>, active: &Pod) -> bool {
    let Some(steady) = steady_for(view.seen) else {
        return false;
    };
    if places::is_preferred(view.seen, active) || hold::opens(&view.look).is_some() {
        return false;
    }
    let known = view.memory.going_back.as_ref();
    let until = known.and_then(|known| known.until);
    if until.is_some_and(|until| until > view.now) {
        return false;
    }
    let begun = known.is_some_and(|known| known.since.is_some());
    let whole = view.roles.standbys().count() + 1 >= view.seen.intent.replicas;
    let long_ago = before(view.now, steady);
    let has_waited = |pod: &Pod| pod.waiting.is_some_and(|since| since <= long_ago);
    at_home(&view.look).any(|pod| begun || (whole && has_waited(pod)))
}
