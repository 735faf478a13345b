//! `replicas`: up, down, to nothing.

use jiff::ToSpan;

use super::failback::at_home_in_zone_b;
use super::relocation::machine;
use super::world::{World, alone, blocked, nothing, pair, v1, v2};
use crate::domain::Refused;
use crate::plan::Step;

#[test]
fn scale_up_makes_one_pod_at_a_time() {
    let mut world = alone();
    world.intent.replicas = 3;
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.obey(), nothing());
    let made = world.newest();
    world.waits(&made);
    assert_eq!(
        world.obey(),
        [format!("ready {made}"), "create 2.28.0".to_owned()]
    );
}

#[test]
fn scale_down_never_stops_the_active() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    // The youngest is the active.
    world.pods.rotate_left(1);
    world.intent.replicas = 1;
    let mut stopped = world.obey();
    assert_eq!(world.obey(), nothing(), "one at a time");
    world.pods.retain(|pod| !pod.deleted);
    stopped.extend(world.obey());
    world.pods.retain(|pod| !pod.deleted);
    stopped.sort();
    assert_eq!(stopped, ["stop b", "stop c"]);
    assert_eq!(world.plan().progress.step, Step::Steady);
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn scale_down_spreads_and_keeps_the_only_one_where_the_active_should_live() {
    let three = || {
        let mut world = World::with(3)
            .active("a", &v1())
            .standby("b", &v1())
            .standby("c", &v1())
            .at_rest();
        // The youngest is the one that goes where nothing else counts.
        world.pod("c").created += std::time::Duration::from_secs(1);
        world
    };
    let one_less = |mut world: World| {
        world.intent.replicas = 2;
        world.obey()
    };
    assert_eq!(one_less(three()), ["stop c"]);
    let mut beside = three();
    beside.pod("b").machine = beside.pod("a").machine.clone();
    assert_eq!(one_less(beside), ["stop b"]);
    let mut preferring = three();
    preferring.intent.policy.preferred = at_home_in_zone_b(None).intent.policy.preferred;
    let machine = machine(false, "b");
    preferring.machines = Some([("machine-c".to_owned(), machine)].into());
    assert_eq!(one_less(preferring), ["stop b"]);
}

#[test]
fn s8_an_operator_that_starts_stops_nothing_that_was_made_for_one_that_is_lost() {
    for lost in ["a", "b"] {
        let mut world = pair();
        world.unseen(lost);
        world.later(40);
        assert_eq!(world.obey(), ["create 2.28.0"], "in place of {lost}");
        let made = world.newest();
        world.operator_starts();
        for waits in [false, true] {
            for _ in 0..20 {
                let acts = world.obey();
                assert!(acts.iter().all(|act| !act.starts_with("stop")), "{acts:?}");
                world.later(1);
            }
            if !waits {
                world.waits(&made);
            }
        }
        world.seen_again(lost);
        world.carry_on();
        assert_eq!(world.pods.len(), 2, "it is trimmed once all are known");
        assert_eq!(world.labelled(), ["a"]);
    }
}

#[test]
fn s8_an_operator_that_starts_in_a_rollout_stops_nothing_that_was_made_for_one_that_is_lost() {
    let mut world = pair();
    world.unseen("a");
    world.later(40);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    world.want_settled(&v2());
    world.operator_starts();
    for _ in 0..20 {
        assert_eq!(world.obey(), nothing());
        world.later(1);
    }
}

#[test]
fn a_stop_under_way_on_a_resource_at_rest_for_long_is_no_alarm() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.intent.replicas = 1;
    world.obey();
    world.obey();
    let blocked = world.plan().progress.blocked;
    assert!(blocked.is_none_or(|blocked| !blocked.stalled));
}

#[test]
fn scale_to_nothing_stops_standbys_first() {
    let mut world = pair();
    world.intent.replicas = 0;
    assert_eq!(world.obey(), ["stop b"]);
    assert_eq!(world.obey(), nothing());
    world.gone("b");
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Hibernating);
    assert_eq!(world.handovers, 0);
}

#[test]
fn an_end_in_the_middle_of_a_handover() {
    let mut world = World::with(1)
        .active("a", &v1())
        .standby("b", &v2())
        .wanting(&v2());
    world.obey();
    world.later(5);
    assert_eq!(world.obey().last().unwrap(), "stop a");
    world.intent.replicas = 0;
    assert!(
        !world.obey().contains(&"stop b".to_owned()),
        "one at a time"
    );
    world.gone("a");
    assert_eq!(world.obey(), ["unlabel b", "stop b"]);
    world.gone("b");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Hibernating);
    assert_eq!(world.memory.stopping, None);
}

#[test]
fn an_end_is_not_held_up_by_a_pod_on_a_lost_machine_that_never_started() {
    let mut world = alone();
    world.intent.replicas = 2;
    world.obey();
    let stuck = world.newest();
    world.obey();
    world.intent.replicas = 0;
    assert_eq!(world.obey(), [format!("stop {stuck}")]);
    assert_eq!(world.obey(), nothing());
    world.later(40);
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn waking_up_is_no_handover() {
    let mut world = World::with(1);
    world.carry_on();
    world.intent.replicas = 0;
    while world.obey() != nothing() {
        world.pods.retain(|pod| !pod.deleted);
    }
    world.later(86_400);
    world.obey();
    world.intent.replicas = 1;
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.starts(&made);
    world.takes(&made);
    world.pods = world.look().pods;
    assert_eq!(world.plan().finished, None, "the night was no gap");
}

#[test]
fn one_replica_without_room_for_a_surge_says_so() {
    let mut world = World::with(1).surge(0).active("a", &v1()).at_rest();
    world.want_settled(&v2());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "NoSuccessor");
}

#[test]
fn a_resource_that_wakes_with_a_new_version_starts_with_it() {
    let mut world = pair();
    world.intent.replicas = 0;
    for name in ["b", "a"] {
        assert_eq!(world.obey(), [format!("stop {name}")]);
        world.gone(name);
    }
    world.obey();
    world.intent.replicas = 2;
    world.want(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 0);
}

/// S2: a delete that the API server did not answer may be done yet.
#[test]
fn s2_nobody_else_is_stopped_while_an_earlier_delete_may_come_through() {
    let mut world = pair();
    world.intent.replicas = 1;
    let mut unanswered = Refused {
        pod: "another".to_owned(),
        message: "it did not answer".to_owned(),
        lasting: false,
        perhaps: true,
        tries: 1,
        again: world.now + 2.seconds(),
    };
    world.refused_stop = Some(unanswered.clone());
    assert_eq!(world.clone().obey(), nothing());
    assert_eq!(world.blocked(), blocked("StopRefused", false));
    unanswered.perhaps = false;
    world.refused_stop = Some(unanswered.clone());
    assert_eq!(world.clone().obey(), ["stop b"], "it was refused");
    unanswered.perhaps = true;
    unanswered.again = world.now;
    world.refused_stop = Some(unanswered);
    assert_eq!(world.obey(), ["stop b"], "it has had its time");
}
