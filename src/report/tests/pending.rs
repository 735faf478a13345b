//! A change that waits for a person or for its time: the resource is at rest, and says what waits.

use std::time::Duration;

use super::Told;
use crate::api::{OpenTime, Schedule};
use crate::domain::Approved;
use crate::plan::REFUSES;
use crate::plan::tests::world::{World, pair, v1, v2};

fn for_approval() -> World {
    let mut world = pair();
    world.intent.policy.approval = Some(Approved { revision: None });
    world
}

fn in_windows() -> World {
    let mut world = pair();
    world.intent.policy.windows = vec![OpenTime {
        opens: Schedule::parse("0 22 * * *", None).unwrap(),
        length: Duration::from_hours(2),
    }];
    world
}

/// The successor is seen to wait, and is gone again.
fn checked(mut world: World) -> Told {
    world.want_settled(&v2());
    let mut told = Told::of(world);
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    told.look();
    assert!(told.world.pod(&made).deleted);
    told.world.gone(&made);
    told.look();
    told
}

fn paused(mut world: World) -> Told {
    world.intent.policy.paused = true;
    Told::of(world)
}

/// Status and reason of these conditions.
fn conditions(told: &Told, kinds: [&str; 3]) -> [(String, String); 3] {
    kinds.map(|kind| told.condition(kind))
}

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

const BY_KSTATUS: [&str; 3] = ["Ready", "Reconciling", "Stalled"];

/// At rest, with a change that waits for this.
fn is_pending(told: &Told, reason: &str, phase: &str) {
    assert_eq!(
        conditions(told, BY_KSTATUS),
        [
            said("True", reason),
            said("False", reason),
            said("False", "Progressing")
        ]
    );
    assert_eq!(told.condition("ChangePending"), said("True", reason));
    assert_eq!(told.status.phase.as_deref(), Some(phase));
    let message = told.status.message.as_deref().unwrap();
    let works = "a is active, 1 of 1 standbys wait for the lock; ";
    assert!(message.starts_with(works), "{message}");
}

/// Under way by itself, though a change waits.
fn is_under_way(told: &Told, reason: &str) {
    assert_eq!(
        conditions(told, BY_KSTATUS),
        [
            said("False", reason),
            said("True", reason),
            said("False", "Progressing")
        ]
    );
}

#[test]
fn a_change_that_was_checked_and_waits_is_told_by_a_condition_of_its_own() {
    let told = checked(for_approval());
    is_pending(&told, "ApprovalRequired", "AwaitingApproval");
    assert_eq!(told.condition("ApprovalRequired").0, "True");
    is_pending(&checked(in_windows()), "WaitingForWindow", "AwaitingWindow");
    let mut world = pair();
    world.want_settled(&v2());
    is_pending(&paused(world), "Paused", "Paused");
}

#[test]
fn without_a_change_nothing_is_pending() {
    let unpaused: fn() -> Told = || Told::of(for_approval());
    for told in [unpaused, || paused(pair())] {
        let told = told();
        assert_eq!(told.condition("Ready"), said("True", "Steady"));
        assert_eq!(
            told.condition("ChangePending"),
            said("False", "NothingPending")
        );
        assert_eq!(told.status.phase.as_deref(), Some("Running"));
    }
}

#[test]
fn before_it_was_checked_a_change_that_will_wait_is_under_way() {
    let mut world = for_approval();
    world.want_settled(&v2());
    let mut told = Told::of(world);
    told.look();
    is_under_way(&told, "ApprovalRequired");
    assert_eq!(told.status.phase.as_deref(), Some("Upgrading"));
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    is_under_way(&told, "ApprovalRequired");
}

#[test]
fn what_is_lost_while_a_change_waits_is_under_way_until_it_is_back() {
    let mut told = checked(for_approval());
    told.world.gone("b");
    told.look();
    is_under_way(&told, "ApprovalRequired");
    told.look();
    let made = told.world.newest();
    told.world.starts(&made);
    told.look();
    is_under_way(&told, "ApprovalRequired");
    told.world.waits(&made);
    told.look();
    is_pending(&told, "ApprovalRequired", "AwaitingApproval");
}

#[test]
fn an_active_that_ends_while_a_change_waits_is_under_way_and_no_failure() {
    let mut told = checked(for_approval());
    told.world.gone("a");
    told.look();
    assert_eq!(told.condition("Ready").0, "False");
    assert_eq!(told.condition("Stalled").0, "False");
    assert_eq!(told.status.phase.as_deref(), Some("FailingOver"));
}

#[test]
fn an_active_that_refuses_is_told_before_a_change_that_waits() {
    let mut told = checked(for_approval());
    told.world.refuses("a");
    told.world.later(REFUSES.as_secs());
    told.look();
    assert_eq!(told.condition("Ready"), said("False", "ActiveRefuses"));
    assert_eq!(told.condition("Available").0, "False");
}

#[test]
fn a_boot_is_told_before_a_change_that_waits() {
    let mut told = checked(for_approval());
    told.world.gone("a");
    told.world.boots("b");
    told.world.takes("b");
    told.look();
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    assert_eq!(told.condition("Ready").0, "False");
    assert_eq!(told.status.phase.as_deref(), Some("Booting"));
}

#[test]
fn a_resource_that_is_paused_before_its_first_start_is_not_ready() {
    let told = paused(World::with(2));
    is_under_way(&told, "Paused");
    assert_eq!(told.status.phase.as_deref(), Some("Starting"));
}

#[test]
fn a_pause_that_holds_an_end_or_fewer_pods_is_a_change_that_waits() {
    for replicas in [0, 1] {
        let mut world = pair();
        world.intent.replicas = replicas;
        let told = paused(world);
        assert_eq!(
            told.condition("Ready"),
            said("True", "Paused"),
            "{replicas}"
        );
        assert_eq!(told.condition("ChangePending"), said("True", "Paused"));
        assert_eq!(told.status.phase.as_deref(), Some("Paused"));
    }
}

#[test]
fn without_room_for_a_check_the_change_waits_at_once() {
    let mut world = World::with(2).surge(0);
    world = world.active("a", &v1()).standby("b", &v1()).at_rest();
    world.intent.policy.approval = Some(Approved { revision: None });
    world.want_settled(&v2());
    is_pending(&Told::of(world), "ApprovalRequired", "AwaitingApproval");
}

#[test]
fn an_active_that_is_not_heard_of_is_not_calm_because_a_change_waits() {
    let mut told = checked(for_approval());
    told.world.later(40);
    told.world.unseen("a");
    told.look();
    assert_eq!(told.condition("Ready").0, "False");
}
