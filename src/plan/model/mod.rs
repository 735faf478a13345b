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

mod cluster;
mod look;
mod properties;
mod state;
mod walk;
mod walks;

use cluster::*;
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
        start: State::new(Cluster::new(replicas, OLD, Budget::default())),
        menu: Menu::default(),
        surge: 1,
        rules: Rules::all(),
        to_the_end: true,
        limit: 20_000_000,
    }
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

    fn without_room(mut self) -> Self {
        self.surge = 0;
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

#[test]
#[ignore = "deep: minutes to hours"]
fn deep_a() {
    for r in 1..=3 {
        from_nothing("first", r)
            .edits(1, &[OLD, NEW])
            .faults(1, &ALL_FAULTS)
            .holds();
        from_nothing("first crash", r)
            .edits(1, &[OLD, NEW])
            .crashes(1)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_b() {
    for r in 1..=3 {
        from_rest("upgrade", r)
            .edits(1, &[NEW])
            .faults(1, &ALL_FAULTS)
            .crashes(1)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_c() {
    for r in 1..=2 {
        from_rest("edits", r)
            .edits(2, &[OLD, NEW, NEWEST])
            .crashes(1)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_d() {
    for r in 1..=2 {
        from_rest("edits faults", r)
            .edits(2, &[OLD, NEW, OLD_CONFIGURED])
            .faults(1, &ALL_FAULTS)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_e() {
    for r in 1..=2 {
        from_rest("bad", r)
            .edits(
                2,
                &[
                    OLD,
                    NEW,
                    NEW_NO_IMAGE,
                    NEW_CRASHES,
                    NEW_CRASHES_LATE,
                    CONFIG_CRASHES_LATE,
                    NEW_LIES,
                    OTHER_LOCK,
                ],
            )
            .holds();
        from_rest("bad faults", r)
            .edits(
                1,
                &[
                    OLD,
                    NEW_NO_IMAGE,
                    NEW_CRASHES,
                    NEW_CRASHES_LATE,
                    CONFIG_CRASHES_LATE,
                    NEW_LIES,
                    OTHER_LOCK,
                ],
            )
            .faults(1, &ALL_FAULTS)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_f() {
    for r in 2..=3 {
        from_rest("no room", r)
            .without_room()
            .edits(2, &[OLD, NEW])
            .crashes(1)
            .holds();
        from_rest("no room", r)
            .without_room()
            .edits(1, &[NEW, NEW_CRASHES, CONFIG_CRASHES_LATE])
            .faults(1, &ALL_FAULTS)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_g() {
    for r in 1..=3 {
        from_rest("scales", r)
            .edits(2, &[OLD, NEW])
            .scales(&[0, 1, 2, 3])
            .crashes(1)
            .holds();
        from_rest("scales", r)
            .edits(2, &[NEW])
            .scales(&[0, 1, 2, 3])
            .faults(1, &ALL_FAULTS)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_h() {
    for r in 1..=2 {
        from_rest("secret", r)
            .edits(1, &[NEW])
            .faults(
                2,
                &[
                    Fault::Secret,
                    Fault::Kill,
                    Fault::LoseDatabase,
                    Fault::Crash,
                ],
            )
            .holds();
        from_rest("secret", r)
            .faults(
                3,
                &[
                    Fault::Secret,
                    Fault::Kill,
                    Fault::LoseDatabase,
                    Fault::Crash,
                ],
            )
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_i() {
    for r in 1..=2 {
        let mut walk = from_nothing("outside", r);
        walk.start.cluster.outside = true;
        walk.start.cluster.outsider = true;
        walk.rest()
            .edits(1, &[NEW])
            .faults(1, &ALL_FAULTS)
            .crashes(1)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn deep_j() {
    for r in 1..=2 {
        from_rest("two faults", r).faults(2, &ALL_FAULTS).holds();
        from_rest("two faults", r)
            .edits(1, &[NEW])
            .faults(2, &ALL_FAULTS)
            .holds();
    }
}
#[test]
#[ignore = "deep: minutes to hours"]
fn probe_rival() {
    from_rest("rival", 1)
        .edits(2, &[OLD_CONFIGURED, NEW])
        .faults(1, &[Fault::Lose])
        .holds();
}
