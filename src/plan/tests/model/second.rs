//! From the written intent of a stop to its delete (rule S5): what may happen between, and what a second look makes of
//! it. What the operator does there is the real thing: [`pending`] and [`confirm`].

use std::fmt;
use std::hash::BuildHasherDefault;

use jiff::{SignedDuration, Timestamp};

use super::event::Event;
use super::names::{self, NOW};
use super::properties::{self, Broken};
use super::state::{Prints, State, Thought};
use super::walk::Walk;
use crate::api::Memory;
use crate::plan::{Act, Confirmed, Permit, SecondLook, Unconfirmed, confirm, pending};

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
    pub stopped: bool,
    pub after: State,
}

impl Second {
    /// The rule that the stop breaks.
    pub fn broken(&self, permit: &Permit) -> Option<Broken> {
        let judged = properties::stop_is_permitted(&self.thought, permit);
        judged.err().filter(|_| self.stopped)
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

impl Thought {
    pub fn stop(&self) -> Option<&Permit> {
        self.plan.acts.iter().find_map(|act| match act {
            Act::Stop(permit) => Some(permit),
            _ => None,
        })
    }
}

impl State {
    /// The operator looks again, and plans again with the memory that it has written.
    pub fn confirms(
        &self,
        first: &Thought,
        planned: &Permit,
    ) -> (Thought, Result<Confirmed, Unconfirmed>) {
        let second = self.think_after(first);
        let written = self.written(first, planned, &second);
        let said = pending(planned, true).and_then(|pending| {
            let look = SecondLook {
                written: &written,
                seen: &second.seen,
                plan: &second.plan,
                asked: asked(),
                now: *NOW,
            };
            confirm(&pending, &look)
        });
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

    /// What may come of a stop.
    pub fn seconds(&self, first: &Thought, planned: &Permit) -> Vec<(Event, Between, Second)> {
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

    /// What comes of a stop in one of these worlds.
    pub fn second(&self, first: &Thought, planned: &Permit, world: &Between) -> Second {
        let (thought, said) = world.state.confirms(first, planned);
        let stopped = !self.looks_again || (said.is_ok() && !world.overtaken);
        let mut after = world.state.looked(&thought);
        if stopped {
            after.stop(planned);
        }
        after.simplify();
        Second {
            thought,
            stopped,
            after,
        }
    }
}
