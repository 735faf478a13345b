//! A revision that has just taken over, and ends.

use super::world::*;
use crate::api::FailedHow;
use crate::domain::{Container, Revision};
use crate::node::ExitKind;

fn changed() -> Revision {
    configured("2.28.0", "changed")
}

/// `a` of the old revision was handed over to a pod of `to`, which serves.
fn handed_over(to: &Revision) -> (World, String) {
    let mut world = pair();
    world.want_settled(to);
    world.carry_on();
    let active = world.labelled()[0].clone();
    assert_eq!(world.pod(&active).revision.as_ref(), Some(to));
    (world, active)
}

/// The active ends, its standby takes over.
fn ends(world: &mut World, active: &str, kind: ExitKind) -> String {
    world.crashes(active, kind, "out of ideas");
    world.obey();
    let other = world.pods.iter().find(|pod| pod.id.name != active);
    let other = other.unwrap().id.name.clone();
    world.takes(&other);
    world.starts(active);
    world.waits(active);
    other
}

#[test]
fn a_configuration_whose_active_ends_soon_after_it_took_over_is_rolled_back_and_not_tried_again() {
    let (mut world, active) = handed_over(&changed());
    world.later(5);
    ends(&mut world, &active, ExitKind::OutOfMemory);
    world.carry_on();

    assert_eq!(
        world
            .pods
            .iter()
            .map(|pod| pod.revision.clone().unwrap())
            .collect::<Vec<_>>(),
        [v1(), v1()]
    );
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("out of ideas"), "{told}");
    let before = world.handovers;
    world.later(86_400);
    world.carry_on();
    assert_eq!(world.handovers, before, "it is not tried again");

    world.want_settled(&configured("2.28.0", "mended"));
    world.carry_on();
    assert_eq!(world.blocked(), None);
}

#[test]
fn one_that_ends_and_then_works_for_a_while_is_trusted_again() {
    let (mut world, active) = handed_over(&changed());
    world.later(5);
    ends(&mut world, &active, ExitKind::OutOfMemory);
    world.obey();
    assert!(world.memory.failed.is_some());
    // Nothing else may come up, so that it goes on.
    for _ in 0..70 {
        world.later(1);
        world.remember();
    }
    assert_eq!(world.memory.failed, None);
    assert_eq!(world.memory.last_worked, Some(changed().name));
    assert_eq!(world.memory.trial, None);
}

#[test]
fn an_active_that_ends_after_its_trial_is_an_ordinary_failover() {
    let (mut world, active) = handed_over(&changed());
    world.later(61);
    world.obey();
    assert_eq!(world.memory.trial, None, "it is over");
    ends(&mut world, &active, ExitKind::OutOfMemory);
    world.carry_on();

    assert_eq!(world.memory.failed, None);
    assert_eq!(world.versions().len(), 2);
}

#[test]
fn a_kill_or_a_database_that_is_away_says_nothing_of_the_revision() {
    for kind in [
        ExitKind::Killed,
        ExitKind::Unseen,
        ExitKind::DatabaseAway,
        ExitKind::Deposed,
    ] {
        let (mut world, active) = handed_over(&changed());
        world.later(5);
        ends(&mut world, &active, kind);
        world.obey();
        assert_eq!(world.memory.failed, None);
        assert_eq!(world.memory.last_worked, Some(changed().name));
    }
}

#[test]
fn a_newer_version_that_ends_is_told_and_no_older_one_is_made() {
    let (mut world, active) = handed_over(&v2());
    world.later(5);
    ends(&mut world, &active, ExitKind::Unknown);
    world.carry_on();

    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
}

#[test]
fn a_successor_that_ends_while_its_temporary_server_answers_is_rolled_back() {
    let mut world = alone();
    world.want_settled(&changed());
    let successor = world.carry_on_until_stop();
    world.gone("a");
    world.takes(&successor);
    world.boots(&successor);
    world.obey();
    assert!(world.memory.stopping.is_some(), "it has not served yet");
    world.crashes(&successor, ExitKind::Credentials, "unable to decrypt");

    assert_eq!(world.obey().last().unwrap(), "create 2.28.0");
    let rescue = world.newest();
    assert_eq!(world.pod(&rescue).revision, Some(v1()));
    assert_eq!(world.blocked(), blocked("HandoverFailed", true));
}

/// From 2.30 on a start that fails keeps its lease for the whole length. The pod that is to work again waits for it as for any
/// other, which is neither another failure nor a lock that nobody takes; and the gap tells all of that time.
#[test]
fn the_lease_that_a_failed_start_keeps_delays_the_way_back_and_is_part_of_the_gap() {
    let old = version("2.30.0");
    let mut world = World::with(1).active("a", &old).at_rest();
    world.want_settled(&configured("2.30.0", "changed"));
    let successor = world.carry_on_until_stop();
    world.gone("a");
    world.obey();
    let stopped = world.now;
    world.takes(&successor);
    world.boots(&successor);
    world.obey();
    world.crashes(&successor, ExitKind::Configuration, "EVM.0.Nodes: missing");
    assert_eq!(world.obey().last().unwrap(), "create 2.30.0");
    let rescue = world.newest();
    world.starts(&rescue);
    world.waits(&rescue);
    for second in 0..10 {
        world.later(1);
        let acts = world.obey();
        assert!(
            !acts.iter().any(|act| act.starts_with("create")),
            "{second}: {acts:?}"
        );
        assert!(world.has(&rescue), "{second}");
        assert_eq!(world.blocked(), blocked("HandoverFailed", true), "{second}");
    }
    world.takes(&rescue);
    world.serves(&rescue);
    let plan = world.remember();
    let last = plan.finished.unwrap();
    assert_eq!(last.started_at, stopped);
    assert!(last.gap_ms.unwrap() >= 10_000, "{last:?}");
}

/// `a` was stopped for the first of two pods of the changed revision, 400 ms after a whole second, and is gone.
fn stopped_for_the_first_of_two() -> (World, String, String) {
    let (mut world, first, second) = stopped_for_the_first_of_two_that_is_there();
    world.gone("a");
    (world, first, second)
}

/// The same, and it is not over.
fn stopped_for_the_first_of_two_that_is_there() -> (World, String, String) {
    let mut world = pair();
    world.now += std::time::Duration::from_millis(400);
    world.want_settled(&changed());
    while world.handovers == 0 {
        world.carry_on_until_stop();
        world.pods.retain(|pod| !pod.deleted || pod.id.name == "a");
    }
    let names = world.pods.iter().map(|pod| pod.id.name.clone());
    let names: Vec<String> = names.filter(|name| name != "a").collect();
    let [first, second] = names.try_into().unwrap();
    (world, first, second)
}

/// It exits now, which the kubelet tells in whole seconds, is started again and waits.
fn exits_and_waits_again(world: &mut World, name: &str, kind: ExitKind) {
    let now = world.now;
    world.now = jiff::Timestamp::from_second(now.as_second()).unwrap();
    world.crashes(name, kind, "out of ideas");
    world.now = now;
    world.starts(name);
    world.waits(name);
}

#[test]
fn a_successor_that_had_the_lock_and_exited_before_the_next_look_has_failed() {
    for seconds in [0, 3] {
        let (mut world, first, second) = stopped_for_the_first_of_two();
        world.later(seconds);
        exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
        world.later(2);
        world.takes(&second);
        world.boots(&second);

        world.obey();
        assert_eq!(world.memory.failed, Some(changed().name), "{seconds}");
        assert_eq!(world.blocked(), blocked("HandoverFailed", true));
    }
}

#[test]
fn a_successor_that_had_the_lock_and_exited_has_failed_whoever_serves_at_the_next_look() {
    let (mut world, first, second) = stopped_for_the_first_of_two();
    world.gone(&second);
    let mut world = world.standby("old", &v1());
    exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
    world.later(2);
    world.takes("old");

    world.obey();
    assert_eq!(world.memory.failed, Some(changed().name));
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_successor_that_had_the_lock_and_exited_has_failed_whatever_else_was_stopped_since() {
    let (mut world, first, second) = stopped_for_the_first_of_two();
    world.obey();
    // One pod more than there should be.
    world.memory.stopping = None;
    world.takes(&second);
    world.boots(&second);
    exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
    world.obey();
    assert_eq!(world.memory.failed, Some(changed().name));
}

#[test]
fn what_ended_before_the_lock_was_free_or_from_outside_says_nothing_of_the_handover() {
    let (mut world, first, second) = stopped_for_the_first_of_two();
    world.now -= std::time::Duration::from_secs(2);
    exits_and_waits_again(&mut world, &second, ExitKind::Credentials);
    world.later(2);
    world.obey();
    assert_eq!(world.memory.failed, None, "it was up again before the stop");
    for kind in [
        ExitKind::Killed,
        ExitKind::Unseen,
        ExitKind::DatabaseAway,
        ExitKind::Deposed,
    ] {
        exits_and_waits_again(&mut world, &first, kind);
        world.obey();
        assert_eq!(world.memory.failed, None);
    }
}

/// It exits, is started again, waits, and the active is stopped for it, all in one second.
#[test]
fn an_end_in_the_second_of_the_stop_but_before_it_says_nothing_of_the_handover() {
    for to in [changed(), v2()] {
        let mut world = alone();
        world.now += std::time::Duration::from_millis(900);
        world.want_settled(&to);
        world.obey();
        let successor = world.newest();
        world.starts(&successor);
        exits_and_waits_again(&mut world, &successor, ExitKind::Credentials);
        assert_eq!(world.obey().last().unwrap(), "stop a");
        world.gone("a");
        world.obey();
        assert_eq!(world.memory.failed, None, "{to:?}");
        // Of the next end nothing of this is said.
        exits_and_waits_again(&mut world, &successor, ExitKind::Credentials);
        world.obey();
        assert_eq!(world.memory.failed, Some(to.name));
    }
}

/// Also one that is not the version of before, to which there is no way back.
#[test]
fn a_newer_version_that_ends_once_and_then_works_is_trusted_again() {
    let (mut world, active) = handed_over(&v2());
    world.later(5);
    let other = ends(&mut world, &active, ExitKind::OutOfMemory);
    world.obey();
    assert_eq!(world.memory.failed, Some(v2().name));
    for _ in 0..70 {
        world.later(1);
        world.obey();
        world.progress();
    }
    assert_eq!(world.memory.failed, None);
    assert_eq!(world.blocked(), None);
    assert_eq!(world.labelled(), [other]);
}

#[test]
fn a_trial_that_was_passed_while_the_operator_was_away_is_not_failed_by_a_later_end() {
    let (mut world, active) = handed_over(&changed());
    let before = world.handovers;
    world.later(7_200);
    ends(&mut world, &active, ExitKind::OutOfMemory);
    world.later(1);
    world.carry_on();
    assert_eq!(world.memory.failed, None);
    assert_eq!(world.memory.last_worked, Some(changed().name));
    assert_eq!(world.handovers, before);
    for pod in &world.pods {
        assert_eq!(pod.revision, Some(changed()));
    }
}

/// The lock was with it for all that time.
#[test]
fn a_long_boot_that_is_broken_off_is_no_handover_that_failed_before_the_lock_was_free_for_long() {
    for kind in [ExitKind::DatabaseAway, ExitKind::Killed, ExitKind::Deposed] {
        let mut world = alone();
        world.want_settled(&changed());
        let successor = world.carry_on_until_stop();
        world.gone("a");
        world.obey();
        world.takes(&successor);
        world.boots(&successor);
        world.later(40);
        world.obey();
        world.crashes(&successor, kind, "connection refused");
        for _ in 0..10 {
            let acts = world.obey();
            assert!(
                acts.iter().all(|act| !act.starts_with("create")),
                "{acts:?}"
            );
            assert_eq!(world.memory.failed, None);
            world.later(1);
        }
        world.later(15);
        world.obey();
        assert_eq!(world.memory.failed_how, Some(FailedHow::Late));
    }
}

/// The stopped active's machine has another clock than the operator and the successor's machine.
#[test]
fn when_a_stop_was_over_is_believed_only_between_its_decision_and_the_look_that_shows_it() {
    for seconds in [-300, 0, 300] {
        let (mut world, first, _) = stopped_for_the_first_of_two_that_is_there();
        let told = world.now + jiff::SignedDuration::from_secs(seconds);
        world.crashes("a", ExitKind::CleanStop, "");
        let Container::Down { exit, .. } = &mut world.pod("a").container else {
            panic!("it is down");
        };
        exit.at = Some(told);
        for _ in 0..5 {
            world.later(1);
            world.obey();
            assert_eq!(world.memory.failed, None, "{seconds}");
        }
        world.gone("a");
        world.takes(&first);
        world.boots(&first);
        world.obey();
        exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
        world.obey();
        assert_eq!(world.memory.failed, Some(changed().name), "{seconds}");
    }
}

/// Deleted by somebody in the moment in which it serves first.
#[test]
fn an_active_that_is_on_its_way_out_has_not_shown_that_its_revision_works() {
    let (mut world, first, second) = stopped_for_the_first_of_two();
    world.takes(&first);
    world.pod(&first).deleted = true;
    world.obey();
    world.gone(&first);
    world.obey();
    exits_and_waits_again(&mut world, &second, ExitKind::Credentials);
    world.obey();
    assert_eq!(world.memory.failed, Some(changed().name));
}

/// The lock is not free for it.
#[test]
fn a_change_during_a_move_of_place_is_not_tried_in_its_place() {
    let mut world = pair();
    world.ask("now", None);
    assert_eq!(world.obey().last().unwrap(), "stop a");
    world.want(&changed());
    world.gone("a");
    world.obey();
    assert_eq!(world.memory.attempt.unwrap().to, v1().name);
}

/// What crashed may work once its cause is mended, be it the spec or what it refers to.
#[test]
fn a_spec_that_goes_back_and_forth_is_not_judged_by_an_end_of_before() {
    let (mut world, first, second) = stopped_for_the_first_of_two();
    world.gone(&second);
    exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
    world.obey();
    assert_eq!(world.memory.failed, Some(changed().name));
    world.want(&configured("2.28.0", "another"));
    world.remember();
    world.want(&changed());
    world.remember();
    assert_eq!(world.memory.failed, None);
    exits_and_waits_again(&mut world, &first, ExitKind::Credentials);
    world.remember();
    assert_eq!(world.memory.failed, Some(changed().name));
}

/// The clock of a machine need not be that of the operator.
#[test]
fn an_end_from_before_the_trial_is_none_in_it_by_whatever_clock() {
    for seconds in [-3600, 0, 3600] {
        let (mut world, active) = handed_over(&changed());
        let clock = jiff::SignedDuration::from_secs(seconds);
        let told = world.now + clock;
        let crashed = |world: &mut World, active: &str| {
            world.crashes(active, ExitKind::Credentials, "out of ideas");
            let Container::Down { exit, .. } = &mut world.pod(active).container else {
                panic!("it is down");
            };
            exit.at = Some(told);
        };
        crashed(&mut world, &active);
        let mut before = world.memory.clone();
        world.obey();
        assert_eq!(world.memory.failed, Some(changed().name), "{seconds}");

        let known = world.pod(&active).last_exit().unwrap().number;
        before.trial.as_mut().unwrap().ends = Some(known);
        world.memory = before;
        world.starts(&active);
        world.takes(&active);
        world.obey();
        assert_eq!(world.memory.failed, None, "{seconds}");
    }
}

#[test]
fn an_active_that_boots_or_migrates_is_not_stopped_for_another_change() {
    let mut world = alone();
    world.want_settled(&v2());
    let successor = world.carry_on_until_stop();
    world.gone("a");
    world.takes(&successor);
    world.boots(&successor);
    world.want_settled(&configured("2.29.0", "changed meanwhile"));
    for _ in 0..100 {
        assert_eq!(
            world
                .obey()
                .iter()
                .filter(|act| act.starts_with("stop"))
                .count(),
            0
        );
        world.later(60);
    }
    world.serves(&successor);
    world.carry_on();
    assert_eq!(world.handovers, 2);
}
