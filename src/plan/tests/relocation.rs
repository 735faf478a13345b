//! Moves of place: machines that are being emptied, and switchovers.

use std::collections::BTreeMap;

use super::world::{World, alone, blocked, nothing, pair, surging, v1, v2};
use crate::api::{Memory, Request, RequestState};
use crate::domain::{Machine, Switchover};
use crate::plan::{Act, Step};

pub(super) fn machine(emptying: bool, zone: &str) -> Machine {
    Machine {
        labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
        emptying: emptying.then(|| "cordoned".to_owned()),
        ready: true,
    }
}

impl World {
    /// The machines of these pods are being emptied, and no others.
    pub(super) fn emptied(&mut self, pods: &[&str]) {
        let machines = pods
            .iter()
            .map(|pod| (format!("machine-{pod}"), machine(true, "a")));
        self.machines = Some(machines.collect());
    }

    pub(super) fn ask(&mut self, token: &str, to: Option<&str>) {
        self.intent.policy.switchover = Some(Switchover {
            token: token.to_owned(),
            to: to.map(str::to_owned),
        });
    }

    pub(super) fn asked(&self) -> (RequestState, String) {
        told(self.memory.switchover.as_ref())
    }

    /// Its port has answered last so many seconds ago; its kubelet answers.
    pub(in crate::plan) fn goes_dumb(&mut self, pod: &str, seconds: i64) {
        let since = self.now - jiff::SignedDuration::from_secs(seconds);
        self.dumb.insert(pod.to_owned(), Some(since));
        self.pod(pod).worked_at = Some(since);
    }

    pub(super) fn active_pod(&self) -> String {
        let active = self.pods.iter().find(|pod| pod.took.is_some());
        active.unwrap().id.name.clone()
    }
}

pub(super) fn told(asked: Option<&Request>) -> (RequestState, String) {
    let asked = asked.unwrap();
    (asked.state, asked.message.clone().unwrap_or_default())
}

#[test]
fn the_active_leaves_a_machine_that_is_being_emptied_for_a_standby() {
    let mut world = pair();
    world.emptied(&["a"]);
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("b");
    let done = world.remember().finished.unwrap();
    assert_eq!(done.reason, "Maintenance");
    world.carry_on();
    assert_eq!(world.active_pod(), "b");
    assert_eq!(world.pods.len(), 2);
    assert_eq!(world.handovers, 1);
}

#[test]
fn s1_no_pod_is_made_that_could_win_the_lock_before_the_successor() {
    let stopped = || {
        let mut world = pair();
        world.emptied(&["a"]);
        assert_eq!(world.obey(), ["stop a"]);
        let makes = |world: &mut World| world.obey().iter().any(|act| act.starts_with("create"));
        assert!(!makes(&mut world), "the active is still stopping");
        world.gone("a");
        assert!(!makes(&mut world), "the lock is free, and b has yet to try");
        world
    };
    let mut taken = stopped();
    taken.takes("b");
    assert_eq!(taken.obey().last().unwrap(), "create 2.28.0");

    let mut lost = stopped();
    lost.gone("b");
    assert_eq!(lost.obey(), ["create 2.28.0"], "there is no successor");

    let mut late = stopped();
    late.later(16);
    assert_eq!(late.obey(), ["create 2.28.0"], "it did not come to take it");
}

#[test]
fn a_single_active_leaves_its_machine_by_surge() {
    let mut world = alone();
    world.emptied(&["a"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.starts(&made);
    assert_eq!(world.obey(), nothing(), "it does not wait yet");
    assert_eq!(world.plan().progress.step, Step::AwaitingStandby);
    world.waits(&made);
    assert_eq!(world.obey().last().unwrap(), "stop a");
    world.carry_on();
    assert_eq!(world.active_pod(), made);
    assert_eq!(world.pods.len(), 1);
}

#[test]
fn where_nothing_else_has_room_the_active_stays_and_the_reason_is_told() {
    let mut world = alone();
    world.emptied(&["a"]);
    world.obey();
    let made = world.newest();
    world.in_trouble(&made, "Unschedulable", "0/3 nodes are available");
    world.later(3600);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "Unschedulable");
    world.machines = Some(BTreeMap::new());
    world.carry_on();
    assert_eq!(world.active_pod(), "a", "the cordon was lifted");
    assert_eq!((world.pods.len(), world.handovers), (1, 0));
}

#[test]
fn a_standby_leaves_its_machine_once_another_one_waits() {
    let mut world = pair();
    world.emptied(&["b"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.starts(&made);
    assert_eq!(world.obey(), nothing());
    world.waits(&made);
    assert_eq!(world.obey(), [format!("ready {made}"), "stop b".to_owned()]);
    world.gone("b");
    world.carry_on();
    assert_eq!((world.pods.len(), world.handovers), (2, 0));
}

#[test]
fn the_standby_beside_the_active_on_the_same_machine_is_not_the_successor() {
    let mut world = pair();
    world.emptied(&["a", "b"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.waits(&made);
    assert_eq!(world.obey().last().unwrap(), "stop b", "it could win");
    assert_eq!(world.obey(), nothing(), "one at a time");
    world.gone("b");
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes(&made);
    world.carry_on();
    assert_eq!(world.active_pod(), made);
    assert_eq!(world.pods.len(), 2);
}

#[test]
fn without_room_for_a_surge_a_standby_gives_its_place_and_the_active_does_not() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.emptied(&["b"]);
    assert_eq!(world.obey(), ["stop b"]);
    world.gone("b");
    world.carry_on();
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_rollout_that_is_stuck_keeps_nobody_on_a_machine_that_is_being_emptied() {
    let (mut world, stuck) = surging(pair());
    world.in_trouble(&stuck, "ImagePullBackOff", "not found");
    world.obey();
    world.emptied(&["a"]);
    assert_eq!(world.obey(), [format!("stop {stuck}")], "it could win");
    world.gone(&stuck);
    // Nothing else is made before the active has gone.
    for _ in 0..5 {
        let acts = world.obey();
        if acts.contains(&"stop a".to_owned()) {
            return;
        }
        world.pods.retain(|pod| !pod.deleted);
        let newest = world.newest();
        if newest != "a" && newest != "b" {
            world.in_trouble(&newest, "ImagePullBackOff", "not found");
        }
    }
    panic!("the active stays on its machine: {:?}", world.plan());
}

#[test]
fn a_rollout_moves_the_lock_itself() {
    let mut world = pair();
    world.want_settled(&v2());
    world.emptied(&["a"]);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn what_may_be_evicted_depends_on_what_is_known_of_the_machines() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    assert_eq!(world.plan().standbys_kept, 1, "machines can't be read");
    world.machines = Some(BTreeMap::new());
    assert_eq!(world.plan().standbys_kept, 2);
    world.emptied(&["b"]);
    world.obey();
    let made = world.newest();
    world.in_trouble(&made, "Unschedulable", "no room");
    assert_eq!(world.plan().standbys_kept, 2);
    world.later(601);
    assert_eq!(
        world.plan().standbys_kept,
        1,
        "its replacement has no place"
    );
}

#[test]
fn new_pods_keep_away_from_machines_that_are_left_or_lost() {
    let mut world = alone();
    let lost = Machine {
        ready: false,
        ..machine(false, "a")
    };
    world.machines = Some(BTreeMap::from([
        ("x".to_owned(), machine(true, "a")),
        ("y".to_owned(), machine(false, "b")),
        ("z".to_owned(), lost),
    ]));
    world.intent.replicas = 2;
    let plan = world.plan();
    let place = plan.acts.iter().find_map(|act| match act {
        Act::Create { place, .. } => Some(place.clone()),
        _ => None,
    });
    assert_eq!(place.unwrap().avoid, ["x", "z"]);
}

#[test]
fn a_pod_that_was_to_start_on_a_lost_machine_is_replaced() {
    let mut world = alone();
    world.intent.replicas = 2;
    world.obey();
    let made = world.newest();
    world.obey();
    world.pod(&made).stranded = true;
    assert_eq!(world.obey(), nothing(), "its machine may come back");
    world.later(31);
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_switchover_goes_to_a_standby_and_the_same_token_never_acts_twice() {
    let mut world = pair();
    world.ask("monday", None);
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("b");
    assert_eq!(world.remember().finished.unwrap().reason, "Switchover");
    world.carry_on();
    assert_eq!(
        world.asked(),
        (RequestState::Done, "b is active".to_owned())
    );
    world.later(86_400);
    world.carry_on();
    assert_eq!(world.handovers, 1);
    world.ask("tuesday", None);
    world.carry_on();
    assert_eq!(world.handovers, 2, "and back");
}

/// A backup that is restored brings the annotation back, and not the status: what it asked for was made long ago.
#[test]
fn a_switchover_that_stood_there_before_the_resource_was_known_is_not_made() {
    let mut world = pair();
    world.memory = Memory::default();
    world.ask("monday", None);
    assert_eq!(world.obey(), nothing());
    let (state, message) = world.asked();
    assert_eq!(state, RequestState::Refused);
    assert!(
        message.contains("before this resource was first looked at"),
        "{message}"
    );
    world.carry_on();
    assert_eq!(world.handovers, 0);
    world.ask("tuesday", None);
    world.carry_on();
    assert_eq!(world.handovers, 1, "another text asks");
}

#[test]
fn a_switchover_to_a_pod_stops_those_first_that_could_win_instead() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.ask("1", Some("c"));
    assert_eq!(world.obey(), ["stop b"]);
    assert_eq!(world.obey(), nothing(), "one at a time");
    world.gone("b");
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.takes("c");
    world.carry_on();
    assert_eq!(
        world.asked(),
        (RequestState::Done, "c is active".to_owned())
    );
    assert_eq!(world.pods.len(), 3, "they came back");
}

#[test]
fn a_switchover_to_a_machine_goes_there() {
    let mut world = pair();
    world.ask("1", Some("machine-b"));
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_switchover_without_a_standby_is_refused_and_nothing_is_stopped() {
    for (to, says) in [
        (
            Some("machine-x"),
            "no standby waits for the lock at machine-x",
        ),
        (Some("x"), "b on machine-b"),
    ] {
        let mut world = pair();
        world.ask("1", to);
        assert_eq!(world.obey(), nothing());
        let (state, message) = world.asked();
        assert_eq!(state, RequestState::Refused);
        assert!(message.contains(says), "{message}");
        // It is not done later either.
        world.carry_on();
        assert_eq!(world.handovers, 0);
    }
    let mut world = alone();
    world.ask("1", None);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.asked().0, RequestState::Refused);
}

#[test]
fn a_switchover_in_the_middle_of_a_rollout_is_refused() {
    let mut world = pair();
    world.want_settled(&v2());
    world.ask("1", None);
    assert_eq!(world.obey(), nothing());
    let (state, message) = world.asked();
    assert_eq!(state, RequestState::Refused);
    assert!(message.contains("rollout"), "{message}");
    world.carry_on();
    assert_eq!(world.handovers, 1, "that of the rollout");
}

#[test]
fn a_switchover_that_another_pod_won_has_failed() {
    let mut world = pair();
    world.ask("1", Some("b"));
    assert_eq!(world.obey(), ["stop a"]);
    world.gone("a");
    world.gone("b");
    world = world.standby("c", &v1());
    world.takes("c");
    world.obey();
    assert_eq!(
        world.asked(),
        (RequestState::Failed, "c took over instead".to_owned())
    );
}

#[test]
fn an_operator_that_crashes_in_the_middle_of_a_switchover_finishes_it_once() {
    let mut world = pair();
    world.ask("1", None);
    // The intent is written, the stop is not done.
    world.remember();
    assert_eq!(world.obey(), ["stop a"]);
    // It was done, and the operator starts anew.
    world.gone("a");
    world.takes("b");
    world.carry_on();
    assert_eq!(world.handovers, 1);
    assert_eq!(world.asked().0, RequestState::Done);
}

fn trio() -> World {
    World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest()
}

#[test]
fn nothing_is_set_aside_for_a_successor_that_may_not_take_over() {
    let says = |world: &mut World, reason: &str| {
        world.ask("1", Some("c"));
        for _ in 0..3 {
            assert_eq!(world.moves(), nothing(), "{reason}");
            world.later(1);
        }
        assert_eq!(world.blocked().unwrap().0, reason);
    };
    let mut world = trio();
    world.pod("c").doubt = Some("read-only".to_owned());
    says(&mut world, "WaitingDoubtful");

    let mut world = trio();
    world.pod("c").contradicting_version = Some("2.27.0".to_owned());
    says(&mut world, "VersionDiffers");

    let mut world = trio();
    world.unseen("c");
    world.later(3);
    says(&mut world, "SuccessorNotSeen");

    let mut world = trio();
    world.database.wanted = crate::api::Verification::Required;
    says(&mut world, "DatabaseNotAsked");

    let mut world = trio();
    world.intent.policy.others_move = true;
    says(&mut world, "WaitingForTurn");
    world.intent.policy.others_move = false;
    assert_eq!(world.obey(), ["stop b"], "it is its turn");
}

#[test]
fn what_is_lost_while_a_move_waits_is_made_again() {
    let waiting = || {
        let mut world = trio();
        world.emptied(&["a"]);
        world
    };
    let mut world = waiting();
    world.intent.policy.others_move = true;
    assert_eq!(world.obey(), nothing());
    world.gone("c");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.blocked(), blocked("WaitingForTurn", false));

    let mut world = waiting();
    world.pod("b").doubt = Some("read-only".to_owned());
    world.gone("c");
    assert_eq!(world.moves(), ["create 2.28.0"]);
}

#[test]
fn the_same_token_does_not_act_again_after_another_one() {
    let mut world = pair();
    for token in ["a", "b", "a", "b"] {
        world.ask(token, None);
        world.carry_on();
        world.later(60);
        world.carry_on();
    }
    assert_eq!(world.handovers, 2);
    assert_eq!(world.memory.switchover.as_ref().unwrap().token, "b");
    world.ask("c", None);
    world.carry_on();
    assert_eq!(world.handovers, 3);
}

#[test]
fn a_switchover_whose_annotation_goes_after_the_stop_is_still_told_as_done() {
    let mut world = pair();
    world.ask("1", None);
    assert_eq!(world.obey(), ["stop a"]);
    world.intent.policy.switchover = None;
    world.obey();
    world.gone("a");
    world.takes("b");
    world.carry_on();
    assert_eq!(
        world.asked(),
        (RequestState::Done, "b is active".to_owned())
    );
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_switchover_that_is_asked_for_in_the_middle_of_another_comes_after_it() {
    let mut world = pair();
    world.ask("1", None);
    assert_eq!(world.obey(), ["stop a"]);
    world.ask("2", None);
    world.carry_on();
    assert_eq!(world.handovers, 2);
    assert_eq!(world.asked().0, RequestState::Done);
}

#[test]
fn a_refusal_says_why_those_that_wait_are_none_to_go_to() {
    let mut world = trio();
    world.emptied(&["c"]);
    world.ask("1", Some("c"));
    world.remember();
    let (state, message) = world.asked();
    assert_eq!(state, RequestState::Refused);
    assert!(
        message.contains("c on machine-c, which is being emptied"),
        "{message}"
    );
}

#[test]
fn a_switchover_in_vain_says_that_the_active_was_not_stopped() {
    let mut world = trio();
    world.pod("c").doubt = Some("read-only".to_owned());
    world.ask("1", Some("c"));
    world.obey();
    world.later(601);
    world.obey();
    let (state, message) = world.asked();
    assert_eq!(state, RequestState::Refused);
    assert!(message.contains("the active was not stopped"), "{message}");
}

fn place_of(plan: &crate::plan::Plan) -> crate::domain::Place {
    let place = plan.acts.iter().find_map(|act| match act {
        Act::Create { place, .. } => Some(place.clone()),
        _ => None,
    });
    place.unwrap()
}

#[test]
fn redundancy_is_not_made_again_on_the_machine_that_was_lost() {
    let mut world = pair();
    world.unseen("b");
    world.later(31);
    // Kubernetes has not noticed yet.
    world.machines = Some(BTreeMap::from([(
        "machine-b".to_owned(),
        machine(false, "b"),
    )]));
    assert_eq!(place_of(&world.plan()).avoid, ["machine-b"]);

    // It was put there all the same.
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.pod(&made).machine = Some("machine-b".to_owned());
    assert_eq!(world.obey(), nothing(), "it may come to start");
    world.later(31);
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

/// What was lost counts as there until the operator has watched it for long enough.
#[test]
fn s8_an_operator_that_starts_lets_nobody_leave_who_was_kept_for_one_that_is_lost() {
    for surge in [1, 0] {
        for heard in [true, false] {
            let mut world = trio().surge(surge);
            world.unseen("c");
            world.later(40);
            world.emptied(&["b"]);
            world.intent.policy.paused = true;
            world.obey();
            world.operator_starts();
            if !heard {
                world.unseen("b");
            }
            world.intent.policy.paused = false;
            for _ in 0..20 {
                let acts = world.obey();
                let stops = acts.iter().any(|act| act.starts_with("stop"));
                assert!(!stops, "surge {surge}, heard {heard}: {acts:?}");
                world.later(1);
            }
        }
    }
}
