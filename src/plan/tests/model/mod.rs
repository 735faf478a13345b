//! An exhaustive walk of the planner through a small model of the world: in all orders, pods start,
//! wait, take the lock, crash and get lost; specs are edited; the operator dies between its acts. In every
//! state the safety rules are judged by the world's truth, which the planner does not see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    clippy::unused_self
)]

mod calls;
mod check;
mod cluster;
mod database;
mod deep;
mod event;
mod faults;
mod kind;
mod lease;
mod look;
mod mind;
mod names;
mod not_walked;
mod other;
mod pod;
mod properties;
mod refusal;
mod second;
mod state;
mod walk;
mod walks;

use cluster::{Budget, Cluster};
use event::{Event, Menu};
use faults::Fault;
use kind::*;
use pod::{Does, Pod};
use state::State;
use walk::Walk;

use crate::plan::Rules;

const ALL_FAULTS: [Fault; 7] = [
    Fault::Crash,
    Fault::LoseDatabase,
    Fault::Kill,
    Fault::Fail,
    Fault::Lose,
    Fault::Die,
    Fault::CutOff,
];

/// A walk that begins with no pods.
fn from_nothing(name: &'static str, replicas: u8) -> Walk {
    Walk {
        name,
        start: State::new(&Cluster::new(replicas, OLD, Budget::default())),
        menu: Menu::default(),
        surge: 1,
        rules: Rules::all(),
        to_the_end: true,
        between: 1,
        looks_again: true,
        unfenced: None,
        limit: 20_000_000,
    }
}

/// A walk that begins at rest behind a holder outside of the cluster.
fn from_outside(name: &'static str, replicas: u8) -> Walk {
    let mut walk = from_nothing(name, replicas);
    walk.start.cluster.outside = true;
    walk.start.cluster.outsider = true;
    walk.rest()
}

/// A walk that begins at rest, and on which the operator asks the database.
fn from_asked(name: &'static str, replicas: u8) -> Walk {
    let mut walk = from_nothing(name, replicas);
    walk.start.cluster.asked = true;
    walk.rest()
}

/// A walk that begins with a resource at rest.
fn from_rest(name: &'static str, replicas: u8) -> Walk {
    from_nothing(name, replicas).rest()
}

impl Walk {
    /// The user changes the spec so often, to one of these.
    fn edits(mut self, edits: u8, kinds: &[u8]) -> Self {
        self.start.cluster.budget.edits = edits;
        self.menu.kinds = kinds.iter().map(|kind| Some(*kind)).collect();
        self
    }

    fn scales(mut self, replicas: &[u8]) -> Self {
        self.menu.replicas = replicas.to_vec();
        self
    }

    /// So many of these things go wrong.
    fn faults(mut self, faults: u8, which: &[Fault]) -> Self {
        self.start.cluster.budget.faults = faults;
        self.menu.faults = which.to_vec();
        self
    }

    /// The operator is killed so often.
    fn crashes(mut self, crashes: u8) -> Self {
        self.start.cluster.budget.crashes = crashes;
        self
    }

    /// So many events may happen between the write of an intent and the second look before its stop.
    fn between(mut self, events: usize) -> Self {
        self.between = events;
        self
    }

    /// So many calls of the operator fail.
    fn calls(mut self, calls: u8) -> Self {
        self.start.cluster.budget.calls = calls;
        self
    }

    /// So often a second operator is frozen in the middle of a pass, and goes on later.
    fn others(mut self, others: u8) -> Self {
        self.start.cluster.budget.others = others;
        self
    }

    fn without_room(mut self) -> Self {
        self.surge = 0;
        self
    }

    /// Without L1, where pods are made anew for ever, by design.
    fn for_ever(mut self) -> Self {
        self.to_the_end = false;
        self
    }

    fn holds(&self) {
        let found = self.walk();
        if let Some((broken, story)) = found.broken {
            panic!("{} is broken: {}\n{story}", broken.rule, broken.how);
        }
        assert!(found.complete, "{}: more states than the limit", self.name);
        assert!(
            found.states > 1 && found.steps > 1,
            "{}: no walk",
            self.name
        );
    }
}
