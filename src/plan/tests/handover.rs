//! The handover itself: who may be stopped, for whom, and what follows.

use super::world::{World, alone, blocked, configured, nothing, pair, surging, v1, v2};
use crate::node::ExitKind;
use crate::plan::{Act, Cause, Step};

/// `a` is active with `v1`, and `b` of `v2` has come to wait for it; the stop is planned next.
fn ready_to_hand_over() -> World {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2());
    world
}

fn stop(world: &World) -> Option<Cause> {
    world.plan().acts.iter().find_map(|act| match act {
        Act::Stop(permit) => Some(permit.cause().clone()),
        _ => None,
    })
}

#[test]
fn the_stop_of_the_active_names_its_successor() {
    let mut world = ready_to_hand_over();
    let Some(Cause::Handover { successor }) = stop(&world) else {
        panic!("{:#?}", world.plan());
    };
    assert_eq!(successor.name, "b");
    world.remember();
    let intent = world.memory.stopping.clone().unwrap();
    assert_eq!(
        (intent.pod.as_str(), intent.successor.as_deref()),
        ("a", Some("b")),
        "the intent is written before the act"
    );
}

#[test]
fn the_label_moves_as_soon_as_the_stop_is_accepted() {
    let mut world = ready_to_hand_over();
    assert_eq!(world.labelled(), ["a"]);
    assert_eq!(world.obey(), ["stop a"]);
    assert_eq!(world.obey(), ["unlabel a", "label b"]);
    world.gone("a");
    assert_eq!(world.obey(), nothing(), "and stays there");
    assert_eq!(world.plan().progress.step, Step::AwaitingTakeover);
    world.takes("b");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Steady);
}

/// Two labels are two changes for kube-proxy, which makes one a second; a Service that can't be written follows the labels.
#[test]
fn a_service_leads_by_a_pods_own_label_while_the_lock_moves_on_purpose_and_at_no_other_time() {
    let led_to = |world: &World| world.plan().led_to.map(|pod| pod.name);
    let mut world = ready_to_hand_over();
    assert_eq!(led_to(&world), None);
    assert_eq!(world.obey(), ["stop a"]);
    assert_eq!(led_to(&world).as_deref(), Some("b"));
    world.obey();
    world.gone("a");
    world.obey();
    assert_eq!(led_to(&world).as_deref(), Some("b"));
    world.takes("b");
    world.obey();
    assert_eq!(led_to(&world), None, "it is over");

    let mut world = ready_to_hand_over();
    world.pod("b").has_own_label = false;
    assert_eq!(world.obey(), ["stop a"]);
    assert_eq!(led_to(&world), None, "an earlier operator has made it");

    let mut world = pair();
    world.gone("a");
    world.takes("b");
    assert_eq!(led_to(&world), None, "nobody has stopped it");
}

#[test]
fn a_finished_handover_is_told_with_its_gap() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.later(1);
    world.obey();
    world.gone("a");
    world.obey();
    world.later(1);
    world.takes("b");
    world.pods = world.look().pods;
    let last = world.plan().finished.unwrap();
    assert_eq!(last.from, "a (2.28.0)");
    assert_eq!(last.to, "b (2.29.0)");
    assert_eq!(last.reason, "Version");
    assert_eq!(last.gap.as_deref(), Some("2.0s"));
}

#[test]
fn the_successors_machine_is_lost_five_seconds_before_the_stop() {
    let mut world = ready_to_hand_over();
    world.pods = world.look().pods;
    world.unseen("b");
    world.later(5);
    assert_eq!(
        stop(&world),
        None,
        "the API server still shows it as running"
    );
    assert_eq!(world.blocked(), blocked("SuccessorNotSeen", false));
    world.seen_again("b");
    assert!(stop(&world).is_some());
}

#[test]
fn the_successor_restarts_between_its_waiting_line_and_the_stop() {
    let mut world = ready_to_hand_over();
    assert!(stop(&world).is_some());
    world.starts("b");
    assert_eq!(stop(&world), None);
    world.waits("b");
    assert!(stop(&world).is_some());
}

#[test]
fn the_operator_is_killed_between_its_intent_and_the_stop() {
    let mut world = ready_to_hand_over();
    world.remember();
    assert_eq!(world.obey(), ["stop a"], "the same handover is resumed");
    world.remember();
    assert_eq!(stop(&world), None, "and nothing is stopped twice");
}

#[test]
fn an_intent_that_was_never_carried_out_is_thought_over() {
    let mut world = ready_to_hand_over();
    world.remember();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.29.0"], "not the stop");
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn a_waiting_line_that_the_node_itself_contradicts_permits_no_stop() {
    let mut world = ready_to_hand_over();
    world.pod("b").doubt = Some("permission denied for schema public".to_owned());
    assert_eq!(stop(&world), None);
    assert_eq!(world.blocked(), blocked("WaitingDoubtful", true));
}

#[test]
fn a_log_that_names_another_version_permits_no_stop() {
    let mut world = ready_to_hand_over();
    world.pod("b").contradicting_version = Some("2.27.1".to_owned());
    assert_eq!(stop(&world), None);
    assert_eq!(world.blocked(), blocked("VersionDiffers", true));
}

#[test]
fn an_active_that_does_not_answer_is_not_stopped() {
    let mut world = ready_to_hand_over();
    world.pods = world.look().pods;
    world.unseen("a");
    world.later(3);
    assert_eq!(stop(&world), None);
    assert_eq!(world.blocked(), blocked("ActiveNotSeen", false));
}

#[test]
fn a_stopped_standby_on_a_lost_machine_could_still_win_so_the_active_stays() {
    let (mut world, first) = surging(pair());
    world.waits(&first);
    assert_eq!(world.obey().last().unwrap(), "stop b");
    world.unseen("b");
    world.later(40);
    assert_eq!(world.obey(), ["create 2.29.0"], "it no longer counts");
    let second = world.newest();
    world.waits(&second);
    assert_eq!(world.obey(), [format!("ready {second}")]);
    assert_eq!(stop(&world), None);
    assert_eq!(world.blocked(), blocked("RivalStandby", false));
    world.gone("b");
    assert!(matches!(stop(&world), Some(Cause::Handover { .. })));
}

#[test]
fn s1_a_deleted_pod_that_is_down_may_start_again_on_a_lost_machine_so_the_active_stays() {
    let mut world = ready_to_hand_over().standby("other", &v1());
    world.crashes("other", ExitKind::Unknown, "out of ideas");
    world.pod("other").deleted = true;
    assert_eq!(stop(&world), None);
    assert_eq!(world.blocked(), blocked("RivalStandby", false));
    world.gone("other");
    assert!(matches!(stop(&world), Some(Cause::Handover { .. })));
}

#[test]
fn l1_one_that_is_lost_while_it_migrates_is_told() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.gone("a");
    world.takes("b");
    world.boots("b");
    world.obey();
    assert_eq!(world.plan().progress.step, Step::Booting);
    world.unseen("b");
    world.later(40);
    world.obey();
    let made = world.newest();
    assert_ne!(made, "b", "a standby is made");
    world.waits(&made);
    world.obey();
    assert_eq!(world.blocked(), blocked("ActiveNotSeen", false));
    world.later(601);
    assert_eq!(world.blocked(), blocked("ActiveNotSeen", true));
}

#[test]
fn nobody_takes_over_and_the_last_revision_that_worked_is_started() {
    let mut world = alone();
    let broken = configured("2.28.0", "broken keystore");
    world.want_settled(&broken);
    world = world.standby("b", &broken);
    assert_eq!(world.obey(), ["stop a"]);
    world.obey();
    world.gone("a");
    world.crashes(
        "b",
        ExitKind::Credentials,
        "unable to decrypt encrypted key ring",
    );
    let mut made = world.obey().contains(&"create 2.28.0".to_owned());
    world.later(16);
    world.obey();
    let (reason, stalled) = world.blocked().unwrap();
    assert_eq!((reason.as_str(), stalled), ("HandoverFailed", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("unable to decrypt"), "{told}");
    for _ in 0..3 {
        let acts = world.obey();
        made |= acts.contains(&"create 2.28.0".to_owned());
        world.pods.retain(|pod| !pod.deleted);
    }
    assert!(made, "{:#?}", world.plan());
    let rescue = world.newest();
    assert_eq!(world.pod(&rescue).revision, Some(v1()));
    world.takes(&rescue);
    for _ in 0..3 {
        world.obey();
        world.later(5);
    }
    assert_eq!(
        world.versions(),
        ["2.28.0"],
        "the revision is not tried again"
    );
    assert_eq!(world.blocked().unwrap().0, "HandoverFailed");
    assert_eq!(world.handovers, 1);
    world.want(&configured("2.28.0", "mended"));
    world.carry_on();
    assert_eq!(world.handovers, 2, "a new spec is tried");
    assert_eq!(world.blocked(), None);
}

#[test]
fn nobody_takes_over_and_an_older_version_is_not_started() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.gone("a");
    world.crashes(
        "b",
        ExitKind::Credentials,
        "unable to decrypt encrypted key ring",
    );
    for _ in 0..4 {
        let acts = world.obey();
        assert!(!acts.contains(&"create 2.28.0".to_owned()), "{acts:?}");
        world.later(10);
    }
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
}

#[test]
fn an_active_that_takes_long_to_stop_takes_no_time_from_its_successor() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.obey();
    world.later(29);
    world.obey();
    assert_eq!(world.blocked(), blocked("StopUnderWay", false));
    world.gone("a");
    world.obey();
    world.later(10);
    world.obey();
    assert_eq!(world.blocked(), None);
    world.later(6);
    world.obey();
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
}

#[test]
fn a_failed_handover_that_succeeds_late_is_no_failure() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.obey();
    world.gone("a");
    world.obey();
    world.later(20);
    world.obey();
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
    world.takes("b");
    world.obey();
    world.obey();
    assert_eq!(world.blocked(), None);
    assert_eq!(world.plan().progress.step, Step::Steady);
}

#[test]
fn after_a_failed_handover_the_newer_version_is_still_brought_up_where_no_other_may_run() {
    let mut world = ready_to_hand_over();
    world.obey();
    world.obey();
    world.gone("a");
    world.obey();
    world.later(20);
    world.obey();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.29.0"]);
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
}
