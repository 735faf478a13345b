//! Switchovers and drills: what was asked for, and what became of it. The same token never acts twice.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::api::{Memory, Request, RequestState};
use crate::plan::cause::Purpose;
use crate::plan::decision::{Decision, Note};
use crate::plan::limits::before;
use crate::plan::places;
use crate::plan::step::{Progress, Step};
use crate::plan::view::{Look, View};

/// How many texts of earlier switchovers are kept: one that is set again, as when a change is taken back in Git,
/// does not act again.
const KEPT: usize = 32;

/// A longer text is kept by its digest.
const LONGEST: usize = 64;

/// A drill that could not begin for so long is skipped: nobody expects it any more.
const MISSED: Duration = Duration::from_secs(3600);

/// A text on a resource of which no status is known: of a file, or of a backup that was restored. It asked long ago, if ever.
const STOOD_THERE: &str = "the annotation stood there before this resource was first looked at, as after a restore: set another text to ask for a switchover";

/// Takes up what is asked for now, and notes how what was asked for before has ended.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    // Its active was stopped, and the lock moves: how that ends is seen first.
    let stop = memory.stop_of_active();
    let moving = stop.is_some_and(|stop| look.roles.accepted(&stop.uid));
    let mut switchover = memory.switchover.take();
    if !(moving && asks(switchover.as_ref())) {
        take_up_switchover(&mut switchover, memory, look);
    }
    let mut drill = memory.drill.take();
    if !(moving && asks(drill.as_ref())) {
        take_up_drill(&mut drill, memory, look);
    }
    for asked in [&mut switchover, &mut drill].into_iter().flatten() {
        follow(asked, memory, look);
    }
    let leaves = look
        .roles
        .active
        .is_some_and(|active| places::emptying(look.seen, active).is_some());
    let goes_back = memory.going_back.as_ref();
    let moves = goes_back.is_some_and(|going| going.since.is_some());
    let lasts = leaves || moves || memory.unresponsive.is_some();
    if !lasts && !asks(switchover.as_ref()) && !asks(drill.as_ref()) {
        memory.set_aside = None;
    }
    memory.switchover = switchover;
    memory.drill = drill;
}

fn asks(asked: Option<&Request>) -> bool {
    asked.is_some_and(Request::is_pending)
}

/// A text as it is kept among the earlier ones.
fn short(token: &str) -> String {
    if token.len() <= LONGEST {
        return token.to_owned();
    }
    let digest = Sha256::digest(token);
    digest
        .iter()
        .take(16)
        .fold("sha256:".to_owned(), |mut text, byte| {
            text.extend(
                [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')),
            );
            text
        })
}

fn begin(token: String, to: Option<String>, look: &Look<'_>) -> Request {
    Request {
        token,
        to,
        state: RequestState::Pending,
        message: None,
        since: look.now,
        from: look.roles.active.map(|active| active.id.uid.clone()),
        ended: None,
    }
}

fn take_up_switchover(known: &mut Option<Request>, memory: &mut Memory, look: &Look<'_>) {
    let earlier = &mut memory.earlier_switchovers;
    match &look.seen.intent.policy.switchover {
        Some(asked)
            if known.as_ref().is_none_or(|old| old.token != asked.token)
                && !earlier.contains(&short(&asked.token)) =>
        {
            let mut new = begin(asked.token.clone(), asked.to.clone(), look);
            if look.before.wanted.is_none() {
                end(&mut new, RequestState::Refused, STOOD_THERE, look.now);
            }
            if let Some(old) = known.replace(new) {
                earlier.push(short(&old.token));
                let too_many = earlier.len().saturating_sub(KEPT);
                earlier.drain(..too_many);
            }
        }
        Some(_) => {}
        None => {
            if let Some(old) = known.as_mut().filter(|old| old.is_pending()) {
                end(
                    old,
                    RequestState::Refused,
                    "the annotation was removed",
                    look.now,
                );
            }
        }
    }
}

fn take_up_drill(known: &mut Option<Request>, memory: &mut Memory, look: &Look<'_>) {
    let Some(schedule) = &look.seen.intent.policy.drill else {
        memory.drills_since = None;
        memory.drill_schedule = None;
        if let Some(old) = known.as_mut().filter(|old| old.is_pending()) {
            end(
                old,
                RequestState::Refused,
                "spec.drill was removed, or a schedule can't be read",
                look.now,
            );
        }
        return;
    };
    // With another schedule nothing has been missed.
    let text = schedule.to_string();
    if memory
        .drill_schedule
        .as_ref()
        .is_some_and(|known| *known != text)
    {
        memory.drills_since = None;
    }
    memory.drill_schedule = Some(text);
    let begun = *memory.drills_since.get_or_insert(look.now);
    let Some(due) = schedule.last(look.now).filter(|due| *due > begun) else {
        return;
    };
    let token = due.to_string();
    if known.as_ref().is_some_and(|old| old.token == token) {
        return;
    }
    let mut drill = begin(token, None, look);
    if due <= before(look.now, MISSED) {
        end(
            &mut drill,
            RequestState::Refused,
            "skipped: the operator was away at that time",
            look.now,
        );
    } else if let Some(why) = not_redundant(look) {
        end(&mut drill, RequestState::Refused, &why, look.now);
    }
    *known = Some(drill);
}

/// A drill must not cost redundancy that is not there.
fn not_redundant(look: &Look<'_>) -> Option<String> {
    let wanted = look.seen.intent.replicas.saturating_sub(1);
    let waiting = look.roles.standbys().count();
    if wanted == 0 {
        return Some("skipped: a drill needs a standby: set replicas to 2 or more".to_owned());
    }
    (waiting < wanted).then(|| format!("skipped: {waiting} of {wanted} standbys wait for the lock"))
}

fn end(asked: &mut Request, state: RequestState, message: &str, now: Timestamp) {
    asked.state = state;
    asked.message = Some(message.to_owned());
    asked.ended = Some(now);
}

/// How it goes on: done once another pod is active, where it was to be.
fn follow(asked: &mut Request, memory: &Memory, look: &Look<'_>) {
    if !asked.is_pending() {
        return;
    }
    let moving = memory.stop_of_active().is_some();
    let Some(active) = look.roles.active.filter(|active| !active.deleted) else {
        if !moving && !look.roles.order_unknown {
            end(
                asked,
                RequestState::Refused,
                "no pod of ours is active",
                look.now,
            );
        }
        return;
    };
    asked.from.get_or_insert_with(|| active.id.uid.clone());
    let name = &active.id.name;
    let there = places::is_at(look.seen, active, asked.to.as_deref());
    if asked.from.as_ref() == Some(&active.id.uid) {
        if asked.to.is_some() && there {
            end(
                asked,
                RequestState::Done,
                &format!("{name} is active there already"),
                look.now,
            );
        } else if asked.since <= before(look.now, look.seen.intent.standby_timeout) {
            let message = "it could not be made within handover.standbyTimeout, and the active was not stopped";
            end(asked, RequestState::Refused, message, look.now);
        }
    } else if there {
        end(
            asked,
            RequestState::Done,
            &format!("{name} is active"),
            look.now,
        );
    } else {
        end(
            asked,
            RequestState::Failed,
            &format!("{name} took over instead"),
            look.now,
        );
    }
}

/// What the moves have refused.
pub fn refused(memory: &mut Memory, purpose: Purpose, why: &str, look: &Look<'_>) {
    let asked = match purpose {
        Purpose::Switchover => memory.switchover.as_mut(),
        Purpose::Drill => memory.drill.as_mut(),
        Purpose::Rollout | Purpose::Maintenance | Purpose::Failback | Purpose::Unresponsive => None,
    };
    if let Some(asked) = asked.filter(|asked| asked.is_pending()) {
        end(asked, RequestState::Refused, why, look.now);
    }
}

/// What was asked for while it can't be done: a rollout goes on, or a pause lasts.
pub fn refuse_all(view: &View<'_>) -> Option<Decision> {
    if view.memory.stop_of_active().is_some() || view.active().is_none() {
        return None;
    }
    let purpose = if asks(view.memory.switchover.as_ref()) {
        Purpose::Switchover
    } else if asks(view.memory.drill.as_ref()) {
        Purpose::Drill
    } else {
        return None;
    };
    let why = if view.seen.intent.policy.paused {
        "spec.paused is true"
    } else {
        "a rollout is under way, which moves the lock itself"
    };
    Some(refuse(view, purpose, why.to_owned()))
}

/// A move that was asked for is not made: why.
pub fn refuse(view: &View<'_>, purpose: Purpose, why: String) -> Decision {
    let mut decided =
        Decision::nothing(Progress::at(Step::Steady)).noting(Note::Refused(purpose, why));
    decided.progress.until = Some(view.now);
    decided
}
