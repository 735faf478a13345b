//! Automatic fail-backs: when the active goes home by itself, and what keeps it from going again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::relocation::machine;
use super::world::{World, nothing, pair, surging, v1};
use crate::domain::Preferred;

pub(super) fn at_home_in_zone_b(automatic: Option<u64>) -> World {
    let mut world = pair();
    world.intent.policy.preferred = Some(Preferred {
        labels: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        automatic_after: automatic.map(Duration::from_secs),
    });
    world.machines = Some(BTreeMap::from([
        ("machine-a".to_owned(), machine(false, "a")),
        ("machine-b".to_owned(), machine(false, "b")),
    ]));
    world
}

#[test]
fn the_active_goes_back_by_itself_only_where_that_is_asked_for() {
    let mut world = at_home_in_zone_b(None);
    assert_eq!(world.obey(), nothing());
    world.ask("back", Some("preferred"));
    assert_eq!(world.obey(), ["stop a"]);

    let mut world = at_home_in_zone_b(Some(300));
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("b");
    assert_eq!(world.remember().finished.unwrap().reason, "Failback");
    world.carry_on();
    assert_eq!(world.handovers, 1, "it stays there");
}

#[test]
fn the_active_goes_back_only_to_a_standby_that_has_waited_for_long() {
    let mut world = at_home_in_zone_b(Some(300));
    let now = world.now;
    world.pod("b").waiting = Some(now);
    assert_eq!(world.obey(), nothing());
    world.later(301);
    assert_eq!(world.obey(), ["stop a"]);
}

/// Three pods; `b` is at home, `c` is not.
fn three_with_one_at_home() -> World {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.intent.policy.preferred = at_home_in_zone_b(Some(300)).intent.policy.preferred;
    world.machines = at_home_in_zone_b(Some(300)).machines;
    world
}

#[test]
fn the_active_goes_back_only_while_redundancy_is_full_and_then_to_the_end() {
    let mut world = three_with_one_at_home();
    world.gone("c");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.obey(), nothing());

    let mut world = three_with_one_at_home();
    assert_eq!(world.obey(), ["stop c"], "it could win");
    world.gone("c");
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_fail_back_that_can_not_be_made_is_in_the_way_of_nothing_for_long() {
    let mut world = at_home_in_zone_b(Some(300));
    world.database.wanted = crate::api::Verification::Required;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "DatabaseNotAsked");
    world.later(601);
    world.obey();
    assert_eq!(world.blocked(), None);
    let remembered = world.memory.clone();
    world.later(60);
    world.obey();
    assert_eq!(world.memory, remembered, "it is written once");
}

impl World {
    /// The active goes home, and the pod there ends soon after; another one takes over, and a new one
    /// waits at home.
    fn goes_home_and_fails(&mut self) {
        let acts = self.obey();
        assert!(acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
        let left = self.active_pod();
        self.gone(&left);
        let home = self.newest_at_home();
        self.takes(&home);
        self.carry_on();
        self.later(30);
        self.gone(&home);
        self.carry_on();
        let away = self.active_pod();
        let made = self.newest();
        assert_ne!(made, away);
        self.pod(&made).machine = Some("machine-b".to_owned());
    }

    fn newest_at_home(&self) -> String {
        let home = |pod: &&crate::domain::Pod| pod.machine.as_deref() == Some("machine-b");
        self.pods.iter().rfind(home).unwrap().id.name.clone()
    }

    /// After how many seconds a stop is planned, if it is within a day.
    fn goes_back_after(&mut self) -> Option<u64> {
        let before = self.now;
        for minute in 0..1500_u64 {
            if self
                .plan()
                .acts
                .iter()
                .any(|act| matches!(act, crate::plan::Act::Stop(_)))
            {
                self.now = before;
                return Some(minute * 60);
            }
            self.later(60);
        }
        self.now = before;
        None
    }
}

#[test]
fn a_fail_back_that_ended_in_a_failover_is_not_made_again_at_once() {
    let mut world = at_home_in_zone_b(Some(300));
    world.goes_home_and_fails();
    let first = world.goes_back_after().unwrap();
    assert!((540..=600).contains(&first), "{first}");
    world.later(first);
    world.goes_home_and_fails();
    let second = world.goes_back_after().unwrap();
    assert!((1140..=1200).contains(&second), "{second}");
    for _ in 0..8 {
        let wait = world.goes_back_after().unwrap();
        world.later(wait);
        world.goes_home_and_fails();
    }
    let longest = world.goes_back_after().unwrap();
    assert!((86_000..=86_400).contains(&longest), "{longest}");
}

#[test]
fn a_switchover_or_a_change_of_the_spec_ends_the_wait_for_a_fail_back() {
    let mut world = at_home_in_zone_b(Some(300));
    world.goes_home_and_fails();
    world.later(310);
    assert_eq!(world.obey(), nothing());
    world.intent.generation += 1;
    assert_eq!(world.obey().len(), 1, "the spec has changed");

    let mut world = at_home_in_zone_b(Some(300));
    world.goes_home_and_fails();
    world.later(310);
    world.ask("home", Some("preferred"));
    world.carry_on();
    let home = world.active_pod();
    assert_eq!(world.pod(&home).machine.as_deref(), Some("machine-b"));
    assert_eq!(world.memory.going_back, None);
}

#[test]
fn a_rollout_that_is_stuck_does_not_come_back_in_the_middle_of_a_fail_back() {
    let (mut world, stuck) = surging(at_home_in_zone_b(None));
    world.in_trouble(&stuck, "ImagePullBackOff", "not found");
    world.obey();
    world.intent.policy.preferred = at_home_in_zone_b(Some(300)).intent.policy.preferred;
    assert_eq!(world.obey(), [format!("stop {stuck}")]);
    world.gone(&stuck);
    assert_eq!(world.obey(), ["stop a"]);
}
