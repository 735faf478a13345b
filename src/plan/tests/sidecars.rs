//! Containers beside the node: one that is not ready holds a handover, never silently, and stops nothing.

use super::world::{STANDBY_TIMEOUT, World, blocked, nothing, pair, surging, v1, v2};
use crate::domain::{Approved, NotReady};

fn lacks_a_sidecar(world: &mut World, pod: &str) {
    let since = world.now;
    world.pod(pod).sidecar = Some(NotReady {
        since,
        why: "proxy ended with code 1: no route to host".to_owned(),
    });
}

#[test]
fn a_handover_waits_for_the_sidecar_of_its_successor_and_calls_a_person_in_the_end() {
    let (mut world, new) = surging(pair());
    world.waits(&new);
    lacks_a_sidecar(&mut world, &new);
    for stalled in [false, true] {
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), blocked("SidecarNotReady", stalled));
        world.later(STANDBY_TIMEOUT);
    }
    let message = world.plan().progress.blocked.unwrap().message;
    let words = ["proxy ended with code 1: no route to host", new.as_str()];
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
    assert_eq!(world.versions(), ["2.28.0", "2.28.0", "2.29.0"]);
    world.pod(&new).sidecar = None;
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

/// Before it is approved the pod is only there to be seen waiting, and goes again.
#[test]
fn a_check_whose_sidecar_never_comes_up_has_failed_after_the_time_of_a_standby() {
    let mut world = pair();
    world.intent.policy.approval = Some(Approved { revision: None });
    let (mut world, new) = surging(world);
    world.waits(&new);
    lacks_a_sidecar(&mut world, &new);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("SidecarNotReady", false));
    world.later(STANDBY_TIMEOUT);
    world.obey();
    assert_eq!(world.obey(), [format!("stop {new}")]);
    world.gone(&new);
    world.obey();
    assert_eq!(world.blocked(), blocked("SidecarNotReady", true));
}

#[test]
fn nothing_is_stopped_for_a_sidecar_of_the_active_and_it_is_told() {
    for pod in ["a", "b"] {
        let mut world = pair();
        lacks_a_sidecar(&mut world, pod);
        for stalled in [false, true] {
            let acts = world.obey();
            assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
            assert_eq!(
                world.blocked(),
                blocked("SidecarNotReady", stalled),
                "{pod}"
            );
            world.later(STANDBY_TIMEOUT);
        }
        world.pod(pod).sidecar = None;
        world.obey();
        assert_eq!(world.blocked(), None);
    }
}

/// What is wrong is mended by a change of the spec, which the active's own sidecar holds up no more than its standby's.
#[test]
fn a_rollout_goes_on_where_the_pods_from_before_lack_a_sidecar() {
    let mut world = pair();
    lacks_a_sidecar(&mut world, "a");
    lacks_a_sidecar(&mut world, "b");
    world.want_settled(&v2());
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_pod_whose_sidecar_does_not_come_up_is_a_rollout_that_is_stuck_and_the_old_ones_work_on() {
    for (reason, at_once) in [
        ("SidecarsUnsupported", true),
        ("ImagePullBackOff", true),
        ("SidecarNotReady", false),
        ("CrashLoopBackOff", false),
        ("InitFailed", false),
    ] {
        let (mut world, new) = surging(pair());
        world.in_trouble(&new, reason, "proxy: what it is");
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), blocked(reason, at_once));
        world.later(STANDBY_TIMEOUT);
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), blocked(reason, true));
        assert_eq!(world.active_pod(), "a");
        // What is lost meanwhile comes back from what works.
        world.gone("b");
        assert_eq!(world.obey().last().unwrap(), "create 2.28.0");
        world.want_settled(&v1());
        world.carry_on();
        assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    }
}
