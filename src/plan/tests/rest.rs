//! Rest: nothing to do means nothing done and nothing written.

use super::world::{World, nothing, pair, surging, v1, v2};
use crate::domain::Wanted;
use crate::plan::{Plan, Step, plan};

/// Plans again and again from what was remembered, with time passing.
fn stays(mut world: World) -> Plan {
    let first = world.plan();
    world.memory = first.memory.clone();
    for _ in 0..5 {
        world.later(3600);
        let again = plan(&world.look(), &world.memory, world.now);
        assert_eq!(again.acts, first.acts);
        assert_eq!(again.memory, first.memory, "no write");
        assert_eq!(again.progress, first.progress);
        assert_eq!(again.finished, None);
    }
    first
}

#[test]
fn a_resource_at_rest_causes_no_acts_and_no_writes() {
    for replicas in 1..=3 {
        let mut world = World::with(replicas);
        world.carry_on();
        world.later(60);
        world.obey();
        let plan = stays(world);
        assert_eq!(plan.acts, Vec::new());
        assert_eq!(plan.progress.step, Step::Steady);
    }
}

#[test]
fn hibernation_causes_no_acts_and_no_writes() {
    let mut world = World::with(0);
    world.obey();
    let plan = stays(world);
    assert_eq!(plan.acts, Vec::new());
    assert_eq!(plan.progress.step, Step::Hibernating);
}

#[test]
fn an_outside_holder_causes_no_acts_and_no_writes() {
    let world = World::with(2)
        .standby("a", &v1())
        .standby("b", &v1())
        .at_rest();
    let plan = stays(world);
    assert_eq!(plan.acts, Vec::new());
    assert_eq!(plan.progress.step, Step::External);
}

#[test]
fn a_stalled_rollout_causes_no_acts_and_no_writes() {
    let (mut world, surge) = surging(pair());
    world.in_trouble(&surge, "ImagePullBackOff", "not found");
    world.obey();
    let plan = stays(world);
    assert_eq!(plan.acts, Vec::new());
    assert!(plan.progress.blocked.unwrap().stalled);
}

#[test]
fn losing_the_operator_for_a_day_stops_nothing() {
    let mut world = pair();
    let memory = world.memory.clone();
    world.later(86_400);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.memory, memory);
}

#[test]
fn the_same_look_gives_the_same_plan() {
    let mut world = World::with(2).active("a", &v1()).standby("b", &v1());
    world.obey();
    world.want(&v2());
    assert!(matches!(world.intent.wanted, Wanted::Revision(_)));
    let (one, two) = (world.plan(), world.plan());
    assert_eq!(one.acts, two.acts);
    assert_eq!(one.memory, two.memory);
}
