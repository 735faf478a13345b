//! An active that runs and whose port does not answer any more.

use std::time::Duration;

use super::world::{World, nothing, pair, surging, v1, v2};

/// `a` has not answered for an hour, and is to be stopped after a minute.
fn silent_for_long() -> World {
    let mut world = pair();
    world.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
    world.goes_dumb("a", 3600);
    world
}

#[test]
fn an_active_that_does_not_answer_is_left_alone_unless_that_is_asked_for() {
    let mut world = pair();
    world.goes_dumb("a", 3600);
    assert_eq!(world.obey(), nothing());
    world.intent.policy.unresponsive_after = Some(Duration::from_secs(60));
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("b");
    assert_eq!(world.remember().finished.unwrap().reason, "Unresponsive");
}

#[test]
fn an_active_is_unresponsive_by_two_witnesses_and_after_its_time_only() {
    let with = |seconds: i64| {
        let mut world = pair();
        world.intent.policy.unresponsive_after = Some(Duration::from_secs(60));
        world.goes_dumb("a", seconds);
        world
    };
    assert_eq!(with(59).obey(), nothing());
    // Its kubelet is silent too: its machine is lost, and the lock decides.
    let mut world = with(3600);
    world.unseen("a");
    assert_eq!(world.obey(), nothing());
    // It was never seen to serve: its port may be out of reach.
    let mut world = with(3600);
    world.dumb.insert("a".to_owned(), None);
    assert_eq!(world.obey(), nothing());
    // Nobody waits.
    let mut world = with(3600);
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn an_active_that_boots_for_long_is_not_unresponsive() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
    world.gone("a");
    world.takes("b");
    // The temporary server of its migration was seen; the node's own has not been.
    world.goes_dumb("b", 0);
    world.pod("b").worked_at = None;
    for _ in 0..40 {
        let acts = world.obey();
        assert!(!acts.contains(&"stop b".to_owned()), "{acts:?}");
        world.later(5);
    }
}

#[test]
fn an_operator_that_is_cut_off_from_all_ports_stops_nobody() {
    let mut world = silent_for_long();
    world.dumb.insert("b".to_owned(), None);
    for _ in 0..3 {
        assert_eq!(world.obey(), nothing());
        world.later(60);
    }
    assert_eq!(world.blocked().unwrap().0, "SuccessorPortNotSeen");
    world.dumb.remove("b");
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn an_unresponsive_active_waits_for_no_rollout_and_no_pause_and_no_turn() {
    let mut world = silent_for_long();
    world.intent.policy.paused = true;
    assert_eq!(world.obey(), ["stop a"]);

    let mut world = silent_for_long();
    world.intent.policy.others_move = true;
    assert_eq!(world.obey(), ["stop a"]);

    let mut world = pair();
    world.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let made = world.newest();
    world.starts(&made);
    world.obey();
    world.goes_dumb("a", 3600);
    assert_eq!(world.obey(), [format!("stop {made}")], "it could win");
    world.gone(&made);
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("b");
    assert_eq!(world.remember().finished.unwrap().reason, "Unresponsive");
    world.carry_on();
    assert_eq!(
        world.versions(),
        ["2.29.0", "2.29.0"],
        "and then it goes on"
    );
}

#[test]
fn a_rollout_that_is_stuck_does_not_come_back_while_the_active_is_unresponsive() {
    let (mut world, stuck) = surging(pair());
    world.in_trouble(&stuck, "ImagePullBackOff", "not found");
    world.obey();
    world.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
    world.goes_dumb("a", 3600);
    assert_eq!(world.obey(), [format!("stop {stuck}")]);
    world.gone(&stuck);
    world.unseen("b");
    world.later(3);
    assert_eq!(world.obey(), nothing(), "b is not seen for a moment");
    world.seen_again("b");
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_restart_of_the_operator_does_not_forget_that_the_active_has_answered_before() {
    let mut world = silent_for_long();
    world.unseen("b");
    world.later(3);
    world.obey();
    let remembered = world.memory.clone();
    world.later(3);
    world.obey();
    assert_eq!(world.memory, remembered, "it is written once");
    // What a new operator knows of the port.
    world.dumb.insert("a".to_owned(), None);
    world.seen_again("b");
    assert_eq!(world.obey(), ["stop a"]);

    // Another container is another matter.
    let mut world = silent_for_long();
    world.unseen("b");
    world.later(3);
    world.obey();
    world.seen_again("b");
    world.starts("a");
    world.later(1);
    world.takes("a");
    world.dumb.insert("a".to_owned(), None);
    world.later(120);
    assert!(!world.obey().contains(&"stop a".to_owned()));
}

#[test]
fn what_boots_for_long_is_not_unresponsive_for_a_new_operator_either() {
    let mut world = pair();
    world.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
    world.gone("a");
    world.takes("b");
    world.obey();
    world = world.standby("c", &v1());
    // A new operator came to see its port silent, and then its temporary server.
    world.memory.last_active.as_mut().unwrap().uid = "uid-b".to_owned();
    world.memory.last_active.as_mut().unwrap().ended = None;
    world.goes_dumb("b", 0);
    world.pod("b").worked_at = None;
    for _ in 0..40 {
        let acts = world.obey();
        assert!(!acts.contains(&"stop b".to_owned()), "{acts:?}");
        world.later(5);
    }
}
