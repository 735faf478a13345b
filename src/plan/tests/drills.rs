//! Drills: handovers for their own sake, by a schedule.

use super::relocation::told;
use super::world::{World, alone, nothing, pair, v1};
use crate::api::{RequestState, Schedule};

#[test]
fn a_drill_is_a_handover_at_its_time_and_only_once() {
    let mut world = pair();
    world.intent.policy.drill = Some(Schedule::parse("0 13 * * *", None).unwrap());
    assert_eq!(world.obey(), nothing());
    world.later(86_400);
    while !world.obey().contains(&"stop a".to_owned()) {
        world.later(600);
    }
    world.carry_on();
    assert_eq!(told(world.memory.drill.as_ref()).0, RequestState::Done);
    world.later(3600);
    world.carry_on();
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_drill_without_full_redundancy_is_skipped_with_a_reason() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.intent.policy.drill = Some(Schedule::parse("* * * * *", None).unwrap());
    world.obey();
    world.later(60);
    world.gone("c");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(
        told(world.memory.drill.as_ref()),
        (
            RequestState::Refused,
            "skipped: 1 of 2 standbys wait for the lock".to_owned()
        )
    );
}

#[test]
fn a_drill_that_was_missed_is_not_made_up_for() {
    let mut world = pair();
    world.intent.policy.drill = Some(Schedule::parse("0 13 * * *", None).unwrap());
    world.obey();
    // To 14:30 of a later day.
    let midnight = "2026-02-01T14:30:00Z".parse().unwrap();
    world.now = midnight;
    assert_eq!(world.obey(), nothing());
    assert_eq!(told(world.memory.drill.as_ref()).0, RequestState::Refused);
}

#[test]
fn a_schedule_that_is_changed_has_missed_nothing() {
    let mut world = pair();
    let daily = |at: &str| Some(Schedule::parse(&format!("{at} * * *"), None).unwrap());
    // It is noon.
    world.intent.policy.drill = daily("0 18");
    world.obey();
    world.later(3600);
    world.intent.policy.drill = daily("30 12");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.memory.drill, None);
    world.later(86_400);
    world.intent.policy.drill = daily("30 12");
    world.now = "2026-01-03T12:31:00Z".parse().unwrap();
    world.carry_on();
    assert_eq!(world.handovers, 1, "at its next time it is made");
}

#[test]
fn a_drill_without_a_standby_says_what_it_needs() {
    let mut world = alone();
    world.intent.policy.drill = Some(Schedule::parse("* * * * *", None).unwrap());
    world.obey();
    world.later(60);
    assert_eq!(world.obey(), nothing());
    let (state, message) = told(world.memory.drill.as_ref());
    assert_eq!(state, RequestState::Refused);
    assert!(message.contains("replicas"), "{message}");
    assert!(!message.contains("0 of 0"), "{message}");
}
