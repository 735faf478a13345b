//! A pod that was to be made and was not: the API server refuses it, or the operator died before. The intent is a reserved
//! name, and each plan decides anew what is made by it, and whether anything is.

use super::world::{World, alone, blocked, nothing, pair, v1, v2, v3};
use crate::domain::{HandoverPolicy, Refused};
use crate::plan::Step;

/// The API server refuses the pods of the second version, and that was seen once.
fn refused(mut world: World) -> World {
    world.refuses_pods_of(&v2());
    world.want_settled(&v2());
    assert_eq!(world.moves(), ["create 2.29.0 in vain"]);
    world.later(1);
    world
}

fn tries(world: &mut World, seconds: u64) -> usize {
    let mut tries = 0;
    for _ in 0..seconds {
        let acts = world.moves();
        tries += acts.iter().filter(|act| act.contains("in vain")).count();
        world.later(1);
    }
    tries
}

#[test]
fn a_pod_that_is_refused_is_told_and_tried_again_ever_more_calmly_under_one_name() {
    let mut world = refused(alone());
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    let name = world.memory.creating.clone().unwrap().pod;
    let known = tries(&mut world, 120);
    assert!((4..=7).contains(&known), "{known} tries in two minutes");
    let known = tries(&mut world, 600);
    assert!((8..=11).contains(&known), "{known} tries in ten minutes");
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    assert_eq!(world.memory.creating.clone().unwrap().pod, name);
    world.allows_pods_of(&v2());
    world.later(60);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0"]);
    assert_eq!(world.blocked(), None);
}

#[test]
fn after_a_refusal_and_the_death_of_the_active_the_revision_that_worked_is_made_again() {
    let mut world = refused(alone());
    world.gone("a");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    let made = world.newest();
    world.waits(&made);
    world.takes(&made);
    world.later(60);
    let acts = world.moves();
    assert!(
        acts.contains(&"create 2.29.0 in vain".to_owned()),
        "{acts:?}"
    );
    assert_eq!(world.labelled(), [made]);
}

#[test]
fn after_a_refusal_a_standby_that_is_lost_is_made_again_from_what_worked() {
    let mut world = refused(pair());
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.waits(&made);
    world.later(60);
    assert_eq!(
        world.obey(),
        [format!("ready {made}"), "create 2.29.0 in vain".to_owned()]
    );
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
}

#[test]
fn scaling_back_clears_what_was_told_of_a_refused_pod() {
    let mut world = alone();
    world.refuses_pods_of(&v1());
    world.intent.replicas = 2;
    assert_eq!(world.obey(), ["create 2.28.0 in vain"]);
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    world.intent.replicas = 1;
    for _ in 0..100 {
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), None);
        world.later(5);
    }
    assert_eq!(world.plan().progress.step, Step::Steady);
    assert_eq!(world.memory.creating, None);
}

#[test]
fn a_refusal_of_long_ago_is_not_held_against_a_spec_that_comes_back() {
    let mut world = refused(alone());
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    world.want_settled(&v1());
    world.obey();
    world.later(3600);
    world.allows_pods_of(&v2());
    world.want_settled(&v2());
    assert_eq!(world.blocked(), None);
    assert_eq!(world.obey(), ["create 2.29.0"]);

    let mut checked = v2();
    checked.validates = true;
    let mut world = pair();
    world.refuses_short_pods_of(&checked);
    world.want_settled(&checked);
    assert_eq!(world.moves(), ["validate in vain"]);
    world.later(1);
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    world.later(3600);
    assert_eq!(world.blocked(), None);
}

#[test]
fn a_pause_a_spec_that_is_invalid_or_a_closed_window_makes_no_pod_that_was_intended_before() {
    let intended = || {
        let mut world = alone();
        world.want_settled(&v2());
        world.remember();
        assert!(world.memory.creating.is_some());
        world.later(1);
        world
    };
    let mut world = intended();
    world.intent.policy.paused = true;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("Paused", false));
    world.intent.policy.paused = false;
    assert_eq!(world.obey(), ["create 2.29.0"]);

    let mut world = intended();
    world.want_unusable("InvalidSpec", false);
    assert_eq!(world.obey(), nothing());
    world.want(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);

    // It was checked, and waits for its window: nothing more is made of it.
    let mut world = intended();
    world.memory.checked = Some(v2().name);
    world.intent.policy = HandoverPolicy {
        approval: Some(crate::domain::Approved { revision: None }),
        ..HandoverPolicy::default()
    };
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
}

#[test]
fn a_drain_and_a_switchover_do_not_wait_for_a_rollout_whose_pod_is_refused() {
    let mut world = refused(pair());
    world.ask("now", None);
    assert_eq!(world.obey(), ["stop a"]);

    let mut world = refused(alone());
    world.emptied(&["a"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let other = world.newest();
    // However long it takes.
    for _ in 0..30 {
        assert_eq!(world.obey(), nothing());
        world.later(60);
    }
    world.waits(&other);
    assert_eq!(world.obey().last().unwrap(), "stop a");
}

#[test]
fn without_room_for_a_surge_a_refused_pod_costs_one_standby_for_a_moment_and_no_more() {
    let mut world = pair().surge(0);
    world.refuses_pods_of(&v2());
    world.want_settled(&v2());
    let mut stops = 0;
    for _ in 0..300 {
        let acts = world.moves();
        stops += acts.iter().filter(|act| act.starts_with("stop")).count();
        world.progress();
        world.later(1);
    }
    assert_eq!(stops, 1);
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    assert_eq!(world.blocked(), blocked("RolloutGivenUp", true));
}

/// A pod that has just gone is counted for a moment longer.
#[test]
fn without_room_for_a_surge_a_quota_that_lags_behind_gives_nothing_up() {
    let mut world = pair().surge(0);
    world.refuses_pods_of(&v2());
    world.want_settled(&v2());
    for _ in 0..8 {
        world.moves();
        world.progress();
        world.later(1);
    }
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    assert_eq!(world.versions(), ["2.28.0"]);
    world.allows_pods_of(&v2());
    world.later(8);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!((world.handovers, world.blocked()), (1, None));
}

#[test]
fn a_short_pod_that_is_refused_is_told_tried_calmly_and_holds_no_move() {
    let mut checked = v2();
    checked.validates = true;
    let mut world = pair();
    world.refuses_short_pods_of(&checked);
    world.want_settled(&checked);
    let mut count = 0;
    for _ in 0..120 {
        let acts = world.moves();
        count += acts.iter().filter(|act| *act == "validate in vain").count();
        world.later(1);
    }
    assert!((4..=8).contains(&count), "{count} tries in two minutes");
    assert_eq!(world.blocked(), blocked("PodRefused", true));
    let mut drained = world.clone();
    drained.emptied(&["a"]);
    assert_eq!(drained.moves(), ["stop a"]);
    world.allows_pods_of(&checked);
    world.later(60);
    assert_eq!(world.moves(), ["validate 2.29.0"]);
    assert_eq!(world.blocked(), None);

    let mut world = pair().surge(0);
    world.refuses_short_pods_of(&v2());
    world.want_settled(&v2());
    let mut count = 0;
    for _ in 0..120 {
        let acts = world.moves();
        assert!(acts.iter().all(|act| act == "pull in vain"), "{acts:?}");
        count += acts.len();
        world.later(1);
    }
    assert!((4..=8).contains(&count), "{count} tries in two minutes");
    assert_eq!(world.blocked(), blocked("PodRefused", true));
}

#[test]
fn what_may_still_be_made_is_waited_for_before_the_active_is_stopped_for_another() {
    let mut world = pair();
    world.want_settled(&v2());
    world.remember();
    let late = world.memory.creating.clone().unwrap().pod;
    world.want(&v1());
    world.ask("now", None);
    assert_eq!(world.obey(), nothing(), "{late} could come and win");
    assert_eq!(world.blocked().unwrap().0, "RivalStandby");
    world.later(60);
    assert_eq!(world.obey(), nothing());
    world.later(40);
    assert_eq!(world.obey(), ["stop a"]);
    assert_eq!(world.memory.creating, None);
}

/// What is known not to have been made is not waited for; what the API server was too slow to say may be.
#[test]
fn a_creation_of_which_nobody_knows_may_come_yet_and_one_that_was_refused_may_not() {
    for perhaps in [true, false] {
        let mut world = pair();
        world.want_settled(&v2());
        world.remember();
        let refused = Refused {
            pod: world.memory.creating.clone().unwrap().pod,
            message: String::new(),
            lasting: false,
            perhaps,
            tries: 1,
            again: world.now,
        };
        world.refused_creations.insert(v2().name, refused);
        world.want(&v1());
        world.ask("now", None);
        assert_eq!(world.obey() == nothing(), perhaps);
    }
}

/// Two operators at once would else overtake each other without an end.
#[test]
fn an_intent_that_stands_is_not_written_again_at_once() {
    let mut world = World::with(1);
    world.remember();
    let first = world.memory.creating.clone().unwrap();
    for seconds in [1, 10, 8] {
        world.later(seconds);
        world.remember();
        assert_eq!(world.memory.creating.as_ref(), Some(&first));
    }
    world.later(2);
    world.remember();
    let renewed = world.memory.creating.clone().unwrap();
    assert_eq!((renewed.pod, renewed.at), (first.pod, world.now));
}

#[test]
fn a_name_that_was_reserved_for_one_revision_is_used_for_the_next() {
    let mut world = alone();
    world.want_settled(&v3());
    world.remember();
    let name = world.memory.creating.clone().unwrap().pod;
    // The operator dies here, and could thaw: its pod and this one can't both come to be.
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    assert_eq!(world.newest(), name);
    let started = world.memory.may_have_held.clone().unwrap();
    assert_eq!(
        (started.version.as_str(), started.pods.len()),
        ("2.29.0", 1)
    );
}

/// S6: nothing was made of it, so that nothing is to be restored.
#[test]
fn a_first_version_that_was_refused_may_be_lowered_after_replicas_0_as_well() {
    let mut world = World::with(1).wanting(&v2());
    world.refuses_pods_of(&v2());
    assert_eq!(world.obey(), ["create 2.29.0 in vain"]);
    world.intent.replicas = 0;
    for _ in 0..4 {
        assert_eq!(world.obey(), nothing());
        world.later(30);
    }
    assert_eq!(world.memory.creating, None);
    world.intent.replicas = 1;
    world.want(&v1());
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

/// S6: what came to be under the name is what counts.
#[test]
fn s6_a_pod_that_turns_out_newer_than_the_one_that_was_intended_last_is_remembered() {
    let mut world = World::with(1).wanting(&v2());
    world.remember();
    let name = world.memory.creating.clone().unwrap().pod;
    world.want(&v1());
    world.remember();
    // The creation of before has come through after all, and runs.
    let mut world = world.standby(&name, &v2());
    world.obey();
    world.gone(&name);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

#[test]
fn a_server_that_fails_for_a_moment_is_no_refusal_and_holds_no_move() {
    let mut world = pair();
    world.want_settled(&v2());
    let plan = world.remember();
    let pod = plan.memory.creating.unwrap().pod;
    world.refused_creations.insert(
        v2().name,
        Refused {
            pod,
            message: "the operator keeps failing to make a pod: 503".to_owned(),
            lasting: false,
            perhaps: true,
            tries: 1,
            again: world.now + std::time::Duration::from_secs(2),
        },
    );
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("PodRefused", false));
    world.emptied(&["a"]);
    assert_eq!(
        world.obey(),
        nothing(),
        "the rollout goes on, and moves the lock"
    );
    world.later(2);
    assert_eq!(world.obey(), ["create 2.29.0"]);
}
