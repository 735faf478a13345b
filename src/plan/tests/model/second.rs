//! From the written intent of a stop to its delete (rule S5): what may happen between, and what a second look makes of
//! it. What the operator does there is the real thing: [`pending`] and [`confirm`]. The return of a lease has the same second
//! look: [`confirm_return`] (rule S10).

use std::fmt;
use std::hash::BuildHasherDefault;

use jiff::{SignedDuration, Timestamp};

use super::event::Event;
use super::names::{self, NOW};
use super::properties::{self, Broken};
use super::state::{Prints, State, Thought};
use super::walk::Walk;
use crate::api::Memory;
use crate::plan::{
    Act, Confirmed, Permit, Return, SecondLook, Unconfirmed, confirm, confirm_return, pending,
};

/// The last act of a plan, where that needs a second look.
#[derive(Clone, Copy)]
pub enum Last<'t> {
    Stop(&'t Permit),
    Return(&'t Return),
}

/// The world in which a second look is taken.
pub struct Between {
    pub state: State,
    /// What has happened since the intent was written.
    pub way: Vec<Event>,
    /// Somebody else has written the resource: the delete is not sent, whatever the look says (rule S4).
    overtaken: bool,
}

/// What came of a second look.
pub struct Second {
    /// What it saw and planned.
    thought: Thought,
    /// Whether the act was done.
    pub done: bool,
    pub after: State,
}

impl Second {
    /// The rule that the act breaks.
    pub fn broken(&self, last: Last<'_>) -> Option<Broken> {
        let judged = match last {
            Last::Stop(permit) => properties::stop_is_permitted(&self.thought, permit),
            Last::Return(given_back) => properties::return_is_right(&self.thought, given_back),
        };
        judged.err().filter(|_| self.done)
    }
}

impl fmt::Display for Between {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.way, self.state.cluster)
    }
}

/// When the pods are asked that a stop relies on.
fn asked() -> Timestamp {
    *NOW - SignedDuration::from_millis(500)
}

/// The last answer of a pod that was lost since the first look, and so before it was asked.
pub fn answered_before() -> Timestamp {
    asked() - SignedDuration::from_millis(500)
}

fn second_look<'t>(second: &'t Thought, written: &'t Memory) -> SecondLook<'t> {
    SecondLook {
        written,
        seen: &second.seen,
        plan: &second.plan,
        asked: asked(),
        now: *NOW,
    }
}

impl Thought {
    pub fn stop(&self) -> Option<&Permit> {
        self.plan.acts.iter().find_map(|act| match act {
            Act::Stop(permit) => Some(permit),
            _ => None,
        })
    }

    pub fn last(&self) -> Option<Last<'_>> {
        self.plan.acts.iter().find_map(|act| match act {
            Act::Stop(permit) => Some(Last::Stop(permit)),
            Act::ReleaseLease(given_back) => Some(Last::Return(given_back)),
            _ => None,
        })
    }
}

impl State {
    /// The operator looks again before the last act. Whether that is confirmed.
    pub fn looks_again(&self, first: &Thought, last: Last<'_>) -> (Thought, bool) {
        match last {
            Last::Stop(permit) => {
                let (second, said) = self.confirms(first, permit);
                (second, said.is_ok())
            }
            Last::Return(given_back) => {
                let second = self.think_after(first);
                let said = confirm_return(given_back, &second_look(&second, &second.memory));
                let confirmed = said.is_ok();
                (second, confirmed)
            }
        }
    }

    pub fn does_last(&mut self, last: Last<'_>) {
        match last {
            Last::Stop(permit) => self.stop(permit),
            Last::Return(_) => self.cluster.lease.is_given_back(),
        }
    }

    /// The operator looks again, and plans again with the memory that it has written.
    pub fn confirms(
        &self,
        first: &Thought,
        planned: &Permit,
    ) -> (Thought, Result<Confirmed, Unconfirmed>) {
        let second = self.think_after(first);
        let written = self.written(first, planned, &second);
        let said = pending(planned, true)
            .and_then(|pending| confirm(&pending, &second_look(&second, &written)));
        (second, said)
    }

    /// The memory as it was written. With the intent to stop an active it counts all ends until then, and none since.
    fn written(&self, first: &Thought, planned: &Permit, second: &Thought) -> Memory {
        let mut written = second.memory.clone();
        let known = first.plan.memory.attempt.as_ref();
        let known = known.filter(|_| planned.active());
        if let (Some(attempt), Some(known)) = (&mut written.attempt, known) {
            attempt.ends.clone_from(&known.ends);
            attempt.ends.retain(|uid, _| {
                let pod = self.cluster.pod(names::number_of_uid(uid));
                pod.is_none_or(|pod| pod.known.by_attempt)
            });
        }
        written
    }
}

impl Walk {
    /// The worlds that a second look may meet. In the first of them nothing has happened. A pass is too short for time to
    /// pass in it.
    pub fn worlds(&self, first: &Thought) -> Vec<Between> {
        let mut known = Prints::with_hasher(BuildHasherDefault::default());
        let mut worlds = vec![Between {
            state: State::begun(first, first.plan.acts.len()),
            way: Vec::new(),
            overtaken: false,
        }];
        known.insert(worlds[0].state.fingerprint());
        let mut events = Vec::new();
        let mut next = 0;
        while let Some(world) = worlds.get(next) {
            next += 1;
            if world.overtaken || world.way.len() >= self.between {
                continue;
            }
            let (state, way) = (world.state, world.way.clone());
            events.clear();
            state.cluster.events(&self.menu, &mut events);
            for event in events.iter().filter(|event| !event.takes_time()) {
                let mut after = state;
                after.cluster.happens(*event);
                if known.insert(after.fingerprint()) {
                    worlds.push(Between {
                        state: after,
                        way: way.iter().copied().chain([*event]).collect(),
                        overtaken: matches!(event, Event::Wants(_) | Event::Scales(_)),
                    });
                }
            }
        }
        worlds
    }

    /// What may come of the last act.
    pub fn seconds(&self, first: &Thought, planned: Last<'_>) -> Vec<(Event, Between, Second)> {
        let worlds = self.worlds(first).into_iter().enumerate();
        let second = |(nth, world): (usize, Between)| {
            let event = match nth {
                0 => Event::Operator,
                nth => Event::OperatorAfter(u16::try_from(nth).unwrap()),
            };
            let second = self.second(first, planned, &world);
            (event, world, second)
        };
        worlds.map(second).collect()
    }

    /// What comes of the last act in one of these worlds.
    pub fn second(&self, first: &Thought, planned: Last<'_>, world: &Between) -> Second {
        let (thought, confirmed) = world.state.looks_again(first, planned);
        let done = !self.looks_again || (confirmed && !world.overtaken);
        let mut after = world.state.looked(&thought);
        if done {
            after.does_last(planned);
        }
        after.simplify();
        Second {
            thought,
            done,
            after,
        }
    }
}
