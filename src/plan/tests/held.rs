//! Rollouts that wait: for a person, for their time, for their turn, for the end of a pause.

use std::time::Duration;

use super::world::{World, blocked, nothing, pair, surging, v1, v2, v3};
use crate::api::{OpenTime, Schedule};
use crate::domain::{Approved, Reason};
use crate::plan::Step;

fn for_approval() -> World {
    let mut world = pair();
    world.intent.policy.approval = Some(Approved { revision: None });
    world
}

fn approve(world: &mut World, revision: &crate::domain::Revision) {
    world.intent.policy.approval = Some(Approved {
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
fn an_upgrade_may_be_approved_by_its_version_and_no_other_change() {
    let by_version = |world: &mut World| {
        world.intent.policy.approval = Some(Approved {
            revision: Some(v2().version.to_string().as_str().into()),
        });
    };
    let mut world = for_approval();
    by_version(&mut world);
    world.want_settled(&v2());
    // Also while nobody works, it is an upgrade of what worked last.
    let mut ended = world.clone();
    ended.gone("a");
    ended.obey();
    assert_ne!(ended.blocked(), blocked("ApprovalRequired", false));
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    // The word still stands there, and another change of the same version has come.
    let mut changed = v2();
    changed.name = "cl-2-changed".into();
    world.want_settled(&changed);
    world.carry_on();
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_failover_is_never_held_and_what_is_lost_is_repaired_from_what_works() {
    let (mut world, made) = surging(for_approval());
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
    let (mut world, made) = surging(for_approval());
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
    world.intent.policy.approval = Some(Approved { revision: None });
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
    let (mut world, made) = surging(for_approval());
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
    world.intent.policy.windows = nightly();
    world.want_settled(&v2());
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.obey();
    assert_eq!(world.obey(), [format!("stop {made}")]);
    world.gone(&made);
    world.obey();
    let progress = world.plan().progress;
    assert_eq!(progress.blocked.unwrap().reason, Reason::WaitingForWindow);
    let opens = progress.until.unwrap();
    assert_eq!(opens.to_string()[11..], *"22:00:00Z");
    world.now = opens;
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
}

#[test]
fn an_automatic_fail_back_waits_for_its_window_too() {
    use std::collections::BTreeMap;

    let mut world = pair();
    world.intent.policy.windows = nightly();
    world.intent.policy.preferred = Some(crate::domain::Preferred {
        labels: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        automatic_after: Some(Duration::from_secs(300)),
    });
    let home = crate::domain::Machine {
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
    world.intent.policy.others_move = true;
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
    world.intent.policy.others_move = false;
    world.carry_on();
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_pause_stops_what_is_planned() {
    let mut world = pair();
    world.intent.policy.paused = true;
    assert_eq!(world.plan().progress.step, Step::Steady);
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
    world.intent.policy.paused = true;
    world.gone("a");
    world.takes("b");
    assert_eq!(world.obey(), ["label b", "create 2.28.0"]);
}

/// A rollout that was checked, and waits for a person.
fn checked() -> World {
    let (mut world, made) = surging(for_approval());
    world.waits(&made);
    world.obey();
    assert_eq!(world.obey(), [format!("stop {made}")]);
    world.gone(&made);
    world.obey();
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
    world
}

/// What worked can't be read any more, so that nothing can be made in place of what is lost.
#[test]
fn beside_too_few_pods_a_change_that_waits_is_not_at_rest() {
    let mut world = checked();
    assert_eq!(world.plan().progress.step, Step::Pending);
    world.forgets(&v1());
    world.gone("b");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Holding);
}

#[test]
fn while_nobody_works_a_change_that_waits_is_not_at_rest() {
    let mut world = checked();
    world.gone("a");
    world.obey();
    let made = world.newest();
    world.waits(&made);
    for _ in 0..60 {
        world.obey();
        assert!(!world.plan().progress.step.at_rest());
        world.later(1);
    }
}

#[test]
fn a_standby_leaves_its_machine_while_a_rollout_is_held() {
    let mut world = checked();
    world.emptied(&["b"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
    let made = world.newest();
    world.waits(&made);
    world.obey();
    assert!(world.pod("b").deleted, "another one waits");
    world.gone("b");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
}

#[test]
fn what_is_too_much_is_stopped_while_a_rollout_is_held() {
    let mut world = checked();
    world.emptied(&["b"]);
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.machines = Some(std::collections::BTreeMap::new());
    world.obey();
    assert!(world.pod(&made).deleted, "the cordon was lifted");
}

#[test]
fn a_machine_is_left_and_a_switchover_made_while_a_rollout_without_room_is_held() {
    let held = || {
        let mut world = World::with(2)
            .surge(0)
            .active("a", &v1())
            .standby("b", &v1())
            .at_rest();
        world.intent.policy.approval = Some(Approved { revision: None });
        world.want_settled(&v2());
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), blocked("ApprovalRequired", false));
        world
    };
    let mut world = held();
    world.emptied(&["a"]);
    assert_eq!(world.obey(), ["stop a"]);
    let mut world = held();
    world.ask("1", None);
    assert_eq!(world.obey(), ["stop a"]);
    let mut world = held();
    world.emptied(&["b"]);
    assert_eq!(world.obey(), ["stop b"], "it gives its place");
}

/// So many standbys wait.
fn waiting(world: &World) -> usize {
    world.pods.iter().filter(|pod| pod.waits()).count()
}

/// A window closes when all standbys are of the new revision and the active is not.
fn half_way(replicas: usize, surge: usize) -> World {
    let mut world = World::with(replicas).surge(surge).active("a", &v1());
    for name in ["b", "c"].iter().take(replicas - 1) {
        world = world.standby(name, &v1());
    }
    let mut world = world.at_rest();
    world.intent.policy.windows = nightly();
    world.intent.policy.others_move = true;
    world.now = "2026-02-01T22:00:00Z".parse().unwrap();
    world.want_settled(&v2());
    for _ in 0..60 {
        world.obey();
        world.settle_pods();
        world.later(1);
    }
    let old = world
        .versions()
        .iter()
        .filter(|one| *one == "2.28.0")
        .count();
    assert_eq!(old, 1);
    assert!(waiting(&world) >= replicas - 1);
    assert_eq!(world.handovers, 0);
    world.now = "2026-02-02T00:30:00Z".parse().unwrap();
    world
}

impl World {
    /// Pods that were made come to wait, those that were stopped go; the active stays.
    fn settle_pods(&mut self) {
        self.pull_comes_to(&crate::domain::Pulled::Yes);
        self.pods.retain(|pod| !pod.deleted);
        let names: Vec<String> = self.pods.iter().map(|pod| pod.id.name.clone()).collect();
        for name in names {
            let pod = self.pod(&name);
            if !pod.waits() && pod.took.is_none() {
                self.waits(&name);
            }
        }
    }

    /// Until it is at rest: the fewest standbys that waited on the way.
    fn goes_back(&mut self) -> usize {
        let mut fewest = waiting(self);
        for _ in 0..60 {
            let plan = self.remember();
            let blocked = plan.progress.blocked.clone().unwrap();
            assert!(!blocked.stalled, "{blocked:?}");
            for act in &plan.acts {
                self.act(act);
            }
            let left = self.pods.iter().filter(|pod| pod.waits() && !pod.deleted);
            fewest = fewest.min(left.count());
            // One look between a stop and its end.
            let plan = self.remember();
            let stalled = plan.progress.blocked.is_some_and(|blocked| blocked.stalled);
            assert!(!stalled);
            for act in &plan.acts {
                self.act(act);
            }
            self.settle_pods();
            self.later(1);
        }
        fewest
    }
}

#[test]
fn a_window_that_closes_in_the_middle_costs_no_standby() {
    for replicas in [2, 3] {
        let mut world = half_way(replicas, 1);
        assert_eq!(world.goes_back(), replicas - 1);
        assert_eq!(world.versions(), vec!["2.28.0"; replicas]);
        assert_eq!(world.blocked(), blocked("WaitingForWindow", false));
        assert_eq!(world.handovers, 0);
    }
}

#[test]
fn a_window_that_closes_in_the_middle_is_gone_back_from_in_place_without_room() {
    let mut world = half_way(3, 0);
    assert_eq!(world.goes_back(), 1, "one at a time");
    assert_eq!(world.versions(), vec!["2.28.0"; 3]);
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_pod_that_was_to_be_checked_does_not_go_while_it_is_the_only_standby() {
    let (mut world, made) = surging(for_approval());
    world.waits(&made);
    world.obey();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let repaired = world.newest();
    assert_eq!(world.obey(), nothing());
    world.waits(&repaired);
    world.obey();
    assert!(world.pod(&made).deleted);
}

/// The pod that is to be checked goes, for this reason, and comes again only after a pause.
fn is_removed(world: World, reason: &str) {
    let mut world = is_removed_for_good(world, reason);
    world.later(200);
    assert_eq!(world.obey(), ["create 2.29.0"], "{reason}");
}

/// The pod that is to be checked goes, for this reason.
fn is_removed_for_good(mut world: World, reason: &str) -> World {
    let made = world.newest();
    for _ in 0..2 {
        world.obey();
    }
    assert!(world.pod(&made).deleted, "{reason}: {:?}", world.plan());
    world.gone(&made);
    for _ in 0..5 {
        assert_eq!(world.obey(), nothing(), "{reason}");
        assert_eq!(world.blocked(), blocked(reason, true));
        world.later(100);
    }
    assert_eq!(world.memory.checked, None, "{reason}");
    world
}

fn to_be_checked() -> World {
    let mut world = for_approval();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    world
}

#[test]
fn a_pod_that_fails_its_check_does_not_stay_to_win_at_night() {
    let crashes = |world: &mut World, made: &str| {
        for _ in 0..3 {
            world.starts(made);
            world.crashes(made, crate::node::ExitKind::Unknown, "no such host");
        }
    };
    let mut world = to_be_checked();
    let made = world.newest();
    crashes(&mut world, &made);
    is_removed(world, "CrashLoop");

    let mut world = to_be_checked();
    let made = world.newest();
    world.starts(&made);
    world.obey();
    world.later(601);
    is_removed(world, "StandbyTimeout");

    let mut world = to_be_checked();
    let made = world.newest();
    world.waits(&made);
    world.pod(&made).contradicting_version = Some("2.27.0".to_owned());
    let mut world = is_removed_for_good(world, "VersionDiffers");
    world.later(86_400);
    assert_eq!(world.obey(), nothing(), "not before the spec changes");

    let mut world = to_be_checked();
    let made = world.newest();
    world.waits(&made);
    world.pod(&made).doubt = Some("read-only".to_owned());
    is_removed(world, "WaitingDoubtful");
}

#[test]
fn a_pod_of_which_the_database_says_otherwise_is_not_checked() {
    let mut world = to_be_checked();
    let made = world.newest();
    world.waits(&made);
    world.database.wanted = crate::api::Verification::Required;
    for _ in 0..3 {
        assert!(!world.obey().iter().any(|act| act.starts_with("stop")));
        world.later(30);
    }
    assert_eq!(world.memory.checked, None);
    assert_eq!(world.blocked().unwrap().0, "DatabaseNotAsked");
    world.later(600);
    is_removed(world, "DatabaseNotAsked");
}

#[test]
fn the_command_that_approves_can_be_copied_as_it_is() {
    let world = checked();
    let message = world.plan().progress.blocked.unwrap().message;
    assert!(message.contains("--namespace"), "{message}");
}
