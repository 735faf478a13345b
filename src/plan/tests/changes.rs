//! Changes of the spec: what is made, replaced and stopped, in which order.

use super::world::{
    STANDBY_TIMEOUT, World, alone, blocked, configured, nothing, pair, surging, v1, v2, v3,
};
use crate::domain::{Pulled, Trouble};
use crate::node::ExitKind;
use crate::plan::Step;

#[test]
fn the_first_pod_of_an_empty_resource_is_made_at_once() {
    let mut world = World::with(2);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let first = world.newest();
    assert_eq!(world.obey(), nothing(), "pods come up one at a time");
    world.starts(&first);
    world.takes(&first);
    assert_eq!(
        world.obey(),
        [
            format!("label {first}"),
            format!("ready {first}"),
            "create 2.28.0".to_owned()
        ]
    );
    let second = world.newest();
    world.waits(&second);
    assert_eq!(world.obey(), [format!("ready {second}")]);
    assert_eq!(world.plan().progress.step, Step::Steady);
}

#[test]
fn a_change_settles_before_a_surge() {
    let mut world = alone();
    world.want(&v2());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Settling);
    world.later(4);
    assert_eq!(world.obey(), nothing());
    world.later(1);
    assert_eq!(world.obey(), ["create 2.29.0"]);
}

#[test]
fn nothing_is_stopped_before_the_surge_waits_for_the_lock() {
    let mut world = pair();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let surge = world.newest();
    for _ in 0..3 {
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.plan().progress.step, Step::AwaitingStandby);
        world.later(60);
    }
    world.starts(&surge);
    assert_eq!(world.obey(), nothing());
    world.waits(&surge);
    assert_eq!(
        world.obey(),
        [format!("ready {surge}"), "stop b".to_owned()]
    );
}

#[test]
fn standbys_are_replaced_one_at_a_time_and_before_the_active() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.want_settled(&v2());
    let mut stopped = Vec::new();
    while stopped.len() < 3 {
        assert_eq!(world.obey(), ["create 2.29.0"]);
        let made = world.newest();
        world.waits(&made);
        let acts = world.obey();
        stopped.extend(
            acts.last()
                .unwrap()
                .strip_prefix("stop ")
                .map(str::to_owned),
        );
        assert_eq!(
            acts.len(),
            2,
            "the gate of the new one and one stop: {acts:?}"
        );
        if stopped.len() < 3 {
            assert_eq!(world.obey(), nothing(), "one at a time");
        }
        world.pods.retain(|pod| !pod.deleted);
    }
    assert_eq!(stopped, ["b", "c", "a"]);
}

#[test]
fn an_upgrade_costs_one_handover_and_ends_with_the_wanted_pods_alone() {
    for replicas in 1..=3 {
        for surge in 0..=1 {
            if replicas == 1 && surge == 0 {
                continue;
            }
            let mut world = World::with(replicas).surge(surge);
            world.carry_on();
            world.want(&v2());
            let end = world.carry_on();
            assert_eq!(end.step, Step::Steady, "{replicas} {surge}");
            assert_eq!(end.blocked, None);
            assert_eq!(world.versions(), vec!["2.29.0"; replicas]);
            assert_eq!(world.handovers, 1);
        }
    }
}

#[test]
fn three_changes_in_a_row_cost_one_handover() {
    let mut world = World::with(2);
    world.carry_on();
    for revision in [v2(), configured("2.29.0", "more"), v3()] {
        world.want(&revision);
        assert_eq!(world.obey(), nothing());
        world.later(3);
    }
    world.carry_on();
    assert_eq!(world.versions(), ["2.30.0", "2.30.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_configuration_and_a_version_a_few_seconds_apart_cost_one_handover() {
    let mut world = World::with(2);
    world.carry_on();
    world.want(&configured("2.28.0", "more"));
    world.obey();
    world.later(4);
    world.want(&configured("2.29.0", "more"));
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn an_image_that_does_not_exist_leaves_the_active_at_work_and_says_so() {
    let (mut world, surge) = surging(pair());
    world.in_trouble(&surge, "FailedMount", "secret keys not found");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("FailedMount", false));
    world.in_trouble(
        &surge,
        "ImagePullBackOff",
        "Back-off pulling image 2.29.0: not found",
    );
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ImagePullBackOff", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("Back-off pulling image"), "{told}");
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn setting_the_version_back_clears_a_rollout_whose_image_does_not_exist() {
    let (mut world, surge) = surging(pair());
    world.in_trouble(&surge, "ImagePullBackOff", "not found");
    world.obey();
    world.want_settled(&v1());
    assert_eq!(world.obey(), [format!("stop {surge}")]);
    world.gone(&surge);
    assert_eq!(world.obey(), nothing());
    let end = world.plan().progress;
    assert_eq!((end.step, end.blocked), (Step::Steady, None));
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_crash_loop_is_told_in_the_nodes_own_words() {
    let (mut world, surge) = surging(alone());
    for _ in 0..4 {
        world.crashes(
            &surge,
            ExitKind::Configuration,
            "invalid configuration: EVM.0",
        );
    }
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("CrashLoop", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("invalid configuration: EVM.0"), "{told}");
}

#[test]
fn a_pod_is_in_its_crash_loop_between_two_crashes_too() {
    let (mut world, surge) = surging(alone());
    for _ in 0..4 {
        world.crashes(&surge, ExitKind::Unknown, "panic: oh");
    }
    assert_eq!(world.blocked(), blocked("CrashLoop", true));
    world.starts(&surge);
    world.later(59);
    assert_eq!(world.blocked(), blocked("CrashLoop", true));
    world.later(1);
    assert_eq!(world.blocked(), None, "it seems to have come through");
}

#[test]
fn a_pod_that_was_started_again_once_is_in_no_crash_loop() {
    let (mut world, surge) = surging(alone());
    world.crashes(&surge, ExitKind::Unknown, "panic: oh");
    world.starts(&surge);
    assert_eq!(world.blocked(), None);
}

#[test]
fn a_pod_that_never_waits_is_reported_after_the_timeout() {
    let (mut world, surge) = surging(alone());
    world.starts(&surge);
    world.obey();
    assert_eq!(world.blocked(), None);
    world.later(601);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("StandbyTimeout", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(
        told.contains("a log level above info, also one that stands in a Secret"),
        "{told}"
    );
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn a_newer_spec_overtakes_a_stuck_rollout() {
    let (mut world, stuck) = surging(pair());
    world.in_trouble(&stuck, "ImagePullBackOff", "not found");
    world.obey();
    world.want(&v3());
    let end = world.carry_on();
    assert_eq!(end.step, Step::Steady);
    assert_eq!(world.versions(), ["2.30.0", "2.30.0"]);
    assert!(!world.has(&stuck));
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_revert_in_the_middle_upgrades_nothing_and_removes_the_waiting_newer_pods_first() {
    let (mut world, newer) = surging(pair());
    world.waits(&newer);
    assert_eq!(world.obey().last().unwrap(), "stop b");
    world.gone("b");
    world.want_settled(&v1());
    assert_eq!(
        world.obey(),
        [format!("stop {newer}")],
        "the newer pod goes before it could win"
    );
    world.gone(&newer);
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    assert!(world.has("a"));
    assert_eq!(world.handovers, 0);
}

#[test]
fn without_room_a_standby_is_replaced_in_place() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["pull 2.29.0 on machine-b"]);
    assert_eq!(world.obey(), nothing(), "not before the image is there");
    world.pull_comes_to(&Pulled::Yes);
    assert_eq!(world.obey(), ["stop b"]);
    assert_eq!(world.obey(), ["end pull"]);
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let made = world.newest();
    assert_eq!(world.obey(), nothing());
    world.waits(&made);
    assert_eq!(world.obey(), [format!("ready {made}"), "stop a".to_owned()]);
}

#[test]
fn without_room_an_image_that_does_not_exist_costs_no_standby() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    world.obey();
    world.pull_comes_to(&Pulled::NotYet(Some(Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: "2.29.0: not found".to_owned(),
    })));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ImagePullBackOff", true));
    world.later(3600);
    assert_eq!(world.obey(), nothing());
    world.want_settled(&v1());
    assert_eq!(world.pulls.len(), 0, "what nothing needs is removed");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), None);
    assert_eq!(world.plan().progress.step, Step::Steady);
}

#[test]
fn a_machine_that_does_not_admit_the_pull_is_asked_again() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    world.obey();
    world.pull_comes_to(&Pulled::Refused(Trouble {
        reason: "OutOfpods".to_owned(),
        message: "no room for another pod".to_owned(),
    }));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("OutOfpods", false));
    world.later(30);
    assert_eq!(world.obey(), ["end pull"]);
    assert_eq!(world.obey(), ["pull 2.29.0 on machine-b"]);
}

#[test]
fn without_room_a_version_that_can_not_wait_gives_its_place_back() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    world.obey();
    world.pull_comes_to(&Pulled::Yes);
    assert_eq!(world.obey(), ["stop b"]);
    world.gone("b");
    world.obey();
    let broken = world.newest();
    for _ in 0..3 {
        world.crashes(&broken, ExitKind::Configuration, "invalid configuration");
    }
    world.obey();
    world.obey();
    let (reason, stalled) = world.blocked().unwrap();
    assert_eq!((reason.as_str(), stalled), ("RolloutGivenUp", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("invalid configuration"), "{told}");
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    assert_eq!(world.handovers, 0);
    assert_eq!(world.blocked().unwrap().0, "RolloutGivenUp");
    world.want(&v3());
    world.carry_on();
    assert_eq!(world.versions(), ["2.30.0", "2.30.0"]);
    assert_eq!(world.blocked(), None);
}

#[test]
fn one_replica_is_upgraded_by_a_surge() {
    let mut world = alone();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let next = world.newest();
    world.waits(&next);
    assert_eq!(world.obey(), [format!("ready {next}"), "stop a".to_owned()]);
}

#[test]
fn a_missing_secret_is_waited_for_and_reported_after_ten_minutes() {
    let mut world = World::with(2);
    world.want_unusable("SecretMissing", true);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("SecretMissing", false));
    world.later(600);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("SecretMissing", true));
    world.want(&v1());
    assert_eq!(world.obey(), ["create 2.28.0"], "it heals by itself");
}

#[test]
fn a_spec_that_can_not_be_used_touches_nothing_and_lost_pods_are_repaired() {
    let mut world = pair();
    world.want_unusable("ConfigInvalid", false);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ConfigInvalid", true));
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_missing_secret_is_waited_for_ten_minutes_where_a_standby_may_take_an_hour() {
    let mut world = alone();
    world.intent.standby_timeout = std::time::Duration::from_hours(1);
    world.want_settled(&v2());
    world.obey();
    let surge = world.newest();
    world.in_trouble(
        &surge,
        "CreateContainerConfigError",
        "secret \"credentials\" not found",
    );
    let reason = "CreateContainerConfigError";
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(
        told.ends_with("secret \"credentials\" not found; create it, or correct spec.database, spec.credentials, spec.config or spec.pod, whichever names it; it is waited for"),
        "{told}"
    );
    world.later(590);
    assert_eq!(world.blocked(), blocked(reason, false));
    world.later(10);
    assert_eq!(world.blocked(), blocked(reason, true));
    world.waits(&surge);
    world.obey();
    assert_eq!(world.blocked(), None, "healed by itself");
}

#[test]
fn after_a_restored_backup_an_older_version_is_allowed_once_it_is_said() {
    let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
    world.intent.replicas = 0;
    world.obey();
    world.gone("a");
    world.obey();
    world.want(&v1());
    world.intent.policy.restored = Some((v1().version, "2.28.0 of monday".to_owned()));
    world.obey();
    world.intent.replicas = 1;
    assert_eq!(world.obey(), ["create 2.28.0"]);
    world.carry_on();
    // The word stays where it is and says nothing of what comes after.
    world.want_settled(&v2());
    world.carry_on();
    world.want_settled(&v1());
    world.obey();
    assert_eq!(world.blocked().unwrap().0, "VersionWentBack");
}

/// The backup may have been restored before anybody said so: the newer version would migrate it again.
#[test]
fn after_a_hibernation_nothing_is_started_but_what_the_spec_asks_for() {
    for refused in [true, false] {
        let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
        world.intent.replicas = 0;
        assert_eq!(world.carry_on().step, Step::Hibernating);
        if refused {
            world.want(&v1());
        } else {
            world.want_unusable("ConfigMapMissing", true);
        }
        world.intent.replicas = 2;
        for _ in 0..100 {
            let acts = world.obey();
            assert!(
                acts.iter().all(|act| !act.starts_with("create")),
                "{acts:?}"
            );
            world.later(10);
        }
        world.want(&v2());
        world.carry_on();
        assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    }
}

/// Who waits for that says next that a backup was restored, which is believed only then.
#[test]
fn a_hibernation_is_over_only_when_the_last_pod_is_gone() {
    let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
    world.intent.replicas = 0;
    world.obey();
    world.ends("a");
    world.intent.policy.restored = Some((v1().version, "2.28.0".to_owned()));
    world.remember();
    assert_eq!(world.plan().progress.step, Step::Ending);
    world.gone("a");
    world.remember();
    assert_eq!(world.plan().progress.step, Step::Hibernating);
    world.want(&v1());
    world.intent.replicas = 1;
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

/// S6: only an active that answers now shows that nobody else has had the lock.
#[test]
fn a_newer_version_that_was_started_is_not_forgotten_while_the_active_is_silent() {
    let mut world = alone();
    world.want_settled(&v2());
    world.obey();
    let newer = world.newest();
    world.starts(&newer);
    world.obey();
    world.unseen("a");
    world.gone(&newer);
    world.later(5);
    world.want(&v1());
    world.obey();
    assert!(world.memory.may_have_held.is_some());
    world.seen_again("a");
    world.obey();
    assert_eq!(world.memory.may_have_held, None);
}

/// An operator starts on a machine whose clock is right, after one whose clock was an hour ahead.
#[test]
fn times_that_lie_in_the_future_hold_nothing_up() {
    let mut world = alone();
    world.want(&v2());
    world.obey();
    world.now -= jiff::SignedDuration::from_hours(1);
    for pod in &mut world.pods {
        for at in [&mut pod.created].into_iter().chain(pod.waiting.as_mut()) {
            *at = (*at).min(world.now);
        }
    }
    assert_eq!(world.obey(), nothing());
    world.later(super::world::SETTLE);
    assert_eq!(world.obey(), ["create 2.29.0"]);
}

/// Its only pod was lost with its machine, and nobody asked for an end: the database is the one that it had.
#[test]
fn a_restored_backup_is_not_believed_where_an_active_was_just_lost() {
    let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
    world.intent.policy.restored = Some((v1().version, "2.28.0".to_owned()));
    world.want_settled(&v1());
    world.obey();
    world.gone("a");
    for _ in 0..3 {
        let acts = world.obey();
        assert!(!acts.contains(&"create 2.28.0".to_owned()), "{acts:?}");
        world.later(60);
    }
    assert_eq!(world.memory.restored, None);
}

/// Both edits of the way back may come in one look.
#[test]
fn a_restored_backup_is_believed_with_the_edit_that_wakes_the_node() {
    let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
    world.intent.replicas = 0;
    world.carry_on();
    world.intent.policy.restored = Some((v1().version, "2.28.0".to_owned()));
    world.want(&v1());
    world.intent.replicas = 1;
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_restored_backup_is_not_believed_while_a_pod_is_there() {
    let mut world = World::with(1).active("a", &v2()).wanting(&v2()).at_rest();
    world.intent.policy.restored = Some((v1().version, "2.28.0".to_owned()));
    world.want_settled(&v1());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "VersionWentBack");
}

#[test]
fn a_successor_that_crashes_with_the_lock_is_rolled_back_at_once() {
    let new = configured("2.28.0", "new");
    let mut world = alone();
    world.want_settled(&new);
    world.obey();
    let made = world.newest();
    world.waits(&made);
    assert_eq!(world.obey().last().unwrap(), "stop a");
    world.gone("a");
    world.obey();
    world.later(1);
    world.takes(&made);
    world.crashes(&made, ExitKind::Unknown, "invalid job spec");
    let acts = world.obey();
    assert!(acts.contains(&"create 2.28.0".to_owned()), "{acts:?}");
    let back = world.newest();
    assert_eq!(world.pod(&back).revision, Some(v1()));
    assert_eq!(world.blocked().unwrap().0, "HandoverFailed");
}

#[test]
fn a_pull_that_hangs_is_told_and_a_lost_machine_is_asked_for_none() {
    let mut world = World::with(2)
        .surge(0)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["pull 2.29.0 on machine-b"]);
    world.later(STANDBY_TIMEOUT);
    assert_eq!(world.blocked(), blocked("PullTimeout", true));
}
