//! Rollouts that wait: for a person, for their time, for their turn, for the end of a pause.

use std::time::Duration;

use super::world::{World, blocked, nothing, v1, v2, v3};
use crate::api::{OpenTime, Schedule};
use crate::observe::Approved;
use crate::plan::Step;

fn pair() -> World {
    World::with(2)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest()
}

fn for_approval() -> World {
    let mut world = pair();
    world.intent.wishes.approval = Some(Approved { revision: None });
    world
}

fn approve(world: &mut World, revision: &crate::observe::Revision) {
    world.intent.wishes.approval = Some(Approved {
        revision: Some(revision.name.clone()),
    });
}

#[test]
fn a_rollout_for_approval_is_checked_and_its_pod_removed_again() {
    let mut world = for_approval();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let made = world.newest();
    world.starts(&made);
    assert_eq!(world.obey(), nothing());
    world.waits(&made);
    world.obey();
    assert_eq!(world.obey(), [format!("stop {made}")]);
    world.gone(&made);
    for _ in 0..3 {
        assert_eq!(world.obey(), nothing());
        world.later(3600);
    }
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);

    approve(&mut world, &v2());
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn an_approval_is_for_one_revision() {
    let mut world = for_approval();
    approve(&mut world, &v2());
    world.want_settled(&v3());
    for _ in 0..20 {
        world.obey();
        world.later(1);
        let newest = world.newest();
        if !["a", "b"].contains(&newest.as_str()) && !world.pod(&newest).waits() {
            world.waits(&newest);
        }
        world.pods.retain(|pod| !pod.deleted);
    }
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_failover_is_never_held_and_what_is_lost_is_repaired_from_what_works() {
    let mut world = for_approval();
    world.want_settled(&v2());
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.obey();
    world.obey();
    world.gone(&made);
    world.gone("a");
    world.takes("b");
    assert_eq!(world.obey().last().unwrap(), "create 2.28.0");
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
}

#[test]
fn what_took_over_by_itself_needs_no_approval_any_more() {
    let mut world = for_approval();
    world.want_settled(&v2());
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.gone("a");
    world.gone("b");
    world.takes(&made);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
}

#[test]
fn the_first_start_and_the_way_back_need_no_approval() {
    let mut world = World::with(2);
    world.intent.wishes.approval = Some(Approved { revision: None });
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    world.want_settled(&v2());
    world.obey();
    world.want_settled(&v1());
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    assert_eq!(world.blocked(), None);
}

#[test]
fn a_newer_spec_overtakes_one_that_is_being_checked() {
    let mut world = for_approval();
    world.want_settled(&v2());
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.want_settled(&v3());
    assert_eq!(world.obey().last().unwrap(), &format!("stop {made}"));
    world.gone(&made);
    assert_eq!(world.obey(), ["create 2.30.0"]);
}

fn nightly() -> Vec<OpenTime> {
    vec![OpenTime {
        opens: Schedule::parse("0 22 * * *", None).unwrap(),
        length: Duration::from_hours(2),
    }]
}

#[test]
fn outside_its_windows_a_rollout_is_checked_and_waits_for_the_next() {
    let mut world = pair();
    world.intent.wishes.windows = nightly();
    world.want_settled(&v2());
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.obey();
    assert_eq!(world.obey(), [format!("stop {made}")]);
    world.gone(&made);
    world.obey();
    let situation = world.plan().situation;
    assert_eq!(situation.blocked.unwrap().reason, "WaitingForWindow");
    let opens = situation.until.unwrap();
    assert_eq!(opens.to_string()[11..], *"22:00:00Z");
    world.now = opens;
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
}

#[test]
fn an_automatic_fail_back_waits_for_its_window_too() {
    use std::collections::BTreeMap;

    let mut world = pair();
    world.intent.wishes.windows = nightly();
    world.intent.wishes.preferred = Some(crate::observe::Preferred {
        labels: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        automatic_after: Some(Duration::from_secs(300)),
    });
    let home = crate::observe::Machine {
        labels: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        emptying: None,
        ready: true,
    };
    world.machines = Some(BTreeMap::from([("machine-b".to_owned(), home)]));
    assert_eq!(world.obey(), nothing());
    world.now = "2026-02-01T22:00:00Z".parse().unwrap();
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_handover_waits_until_fewer_others_move() {
    let mut world = pair();
    world.intent.wishes.others_move = true;
    world.want_settled(&v2());
    for _ in 0..30 {
        world.obey();
        world.later(1);
        let newest = world.newest();
        if !world.pod(&newest).waits() && newest != "a" {
            world.waits(&newest);
        }
        world.pods.retain(|pod| !pod.deleted);
    }
    assert_eq!(world.handovers, 0);
    assert_eq!(world.blocked(), blocked("WaitingForTurn", false));
    world.intent.wishes.others_move = false;
    world.carry_on();
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_pause_stops_what_is_planned() {
    let mut world = pair();
    world.intent.wishes.paused = true;
    assert_eq!(world.plan().situation.step, Step::Steady);
    world.want_settled(&v2());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("Paused", false));
    world.want(&v1());
    world.intent.replicas = 0;
    assert_eq!(world.obey(), nothing(), "nor an end");
    world.intent.replicas = 1;
    assert_eq!(world.obey(), nothing(), "nor a trim");
}

#[test]
fn a_pause_does_not_stop_a_repair() {
    let mut world = pair();
    world.want_settled(&v2());
    world.intent.wishes.paused = true;
    world.gone("a");
    world.takes("b");
    assert_eq!(world.obey(), ["label b", "create 2.28.0"]);
}
