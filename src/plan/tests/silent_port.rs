//! Nodes whose port can't be reached from here, as behind a mesh: kubelets answer for them.

use super::world::*;
use crate::domain::{Approved, Took};
use crate::plan::Step;

/// A resource whose ports have never answered.
fn behind_a_mesh(replicas: usize) -> World {
    let mut world = World::with(replicas).active("a", &v1());
    world.dumb.insert("a".to_owned(), None);
    for name in ["b", "c"].into_iter().take(replicas - 1) {
        world = world.standby(name, &v1());
        world.dumb.insert(name.to_owned(), None);
    }
    world.later(120);
    for _ in 0..3 {
        world.obey();
        world.later(1);
    }
    world
}

#[test]
fn an_active_counts_as_one_that_works_after_the_time_of_a_boot() {
    let world = behind_a_mesh(1);
    assert_eq!(world.memory.last_worked, Some(v1().name));
    assert_eq!(world.plan().progress.step, Step::Steady);
}

/// It may migrate as long; nobody sees its own server answer.
#[test]
fn an_active_there_is_taken_to_boot_for_a_minute() {
    let mut world = World::with(1).active("a", &v1());
    world.dumb.insert("a".to_owned(), None);
    world.later(50);
    world.obey();
    assert_eq!(world.plan().progress.step, Step::Booting);
    assert_eq!(world.memory.last_worked, None);
    world.later(20);
    world.obey();
    assert_eq!(world.memory.last_worked, Some(v1().name));
}

#[test]
fn a_rollout_waits_for_approval_there_too() {
    let mut world = behind_a_mesh(1);
    world.intent.policy.approval = Some(Approved { revision: None });
    world.want_settled(&v2());
    let made = world.obey();
    assert_eq!(made, ["create 2.29.0"]);
    let checked = world.newest();
    world.dumb.insert(checked.clone(), None);
    world.waits(&checked);
    for _ in 0..5 {
        world.obey();
        world.later(1);
    }
    assert_eq!(world.handovers, 0);
    assert!(world.pod(&checked).deleted, "it is removed again");
}

#[test]
fn s9_a_pod_that_takes_a_lock_without_waiting_there_is_not_the_active() {
    let mut world = behind_a_mesh(2);
    world.want_settled(&configured("2.28.0", "another Secret"));
    world.obey();
    let made = world.newest();
    world.dumb.insert(made.clone(), None);
    world.starts(&made);
    let now = world.now;
    world.pod(&made).took = Some(Took {
        at: now,
        waited: Some(false),
    });
    for _ in 0..30 {
        let acts = world.obey();
        assert!(!acts.contains(&format!("label {made}")), "{acts:?}");
        assert!(!acts.iter().any(|act| act == "stop a"), "{acts:?}");
        world.later(1);
    }
    assert!(world.pod(&made).deleted, "it is stopped itself");
}
