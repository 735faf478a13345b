//! The second look: which planned stops it confirms, and which it does not.

use std::time::Duration;

use jiff::{Span, Timestamp, ToSpan};

use super::world::{World, alone, pair, v2};
use crate::api::Verification;
use crate::domain::Observation;
use crate::node::ExitKind;
use crate::plan::{Act, Confirmed, Permit, Plan, SecondLook, Unconfirmed, confirm, pending, plan};

/// `a` is active with `v1`, and `b` of `v2` waits for it; that `a` is stopped for `b` is planned and written.
fn a_handover_is_written() -> (World, Plan) {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2());
    let written = world.remember();
    (world, written)
}

fn stop(plan: &Plan) -> &Permit {
    let stop = plan.acts.iter().find_map(|act| match act {
        Act::Stop(permit) => Some(permit),
        _ => None,
    });
    stop.unwrap_or_else(|| panic!("no stop: {plan:#?}"))
}

/// Looks again, where those that the stop relies on were asked at `asked`.
fn second_look(world: &World, written: &Plan, asked: Timestamp) -> Result<Confirmed, Unconfirmed> {
    let seen = world.look();
    let look = SecondLook {
        written: &written.memory,
        seen: &seen,
        plan: &plan(&seen, &written.memory, world.now),
        asked,
        now: world.now,
    };
    confirm(&pending(stop(written), true)?, &look)
}

fn why_not(world: &World, written: &Plan, asked: Timestamp) -> Option<Unconfirmed> {
    second_look(world, written, asked).err()
}

#[test]
fn a_second_look_that_shows_the_same_confirms_the_stop() {
    let (mut world, written) = a_handover_is_written();
    world.later(1);
    let confirmed = second_look(&world, &written, world.now).unwrap();
    assert_eq!(confirmed.permit(), stop(&written));
}

#[test]
fn a_handover_whose_labels_are_not_in_place_is_not_carried_out() {
    let (_, written) = a_handover_is_written();
    let why = pending(stop(&written), false).err();
    assert_eq!(why, Some(Unconfirmed::LabelsNotInPlace));
}

#[test]
fn a_standby_is_stopped_wherever_the_labels_are() {
    let mut world = pair();
    world.intent.replicas = 1;
    let written = world.remember();
    assert_eq!(stop(&written).pod().name, "b");
    assert!(pending(stop(&written), false).is_ok());
}

#[test]
fn a_container_that_ended_after_the_intent_was_written_permits_no_stop() {
    let (mut world, written) = a_handover_is_written();
    world.crashes("b", ExitKind::DatabaseAway, "");
    world.starts("b");
    world.waits("b");
    let again = world.plan();
    assert_eq!(
        stop(&again).cause(),
        stop(&written).cause(),
        "the same stop is planned again, as it waits again"
    );
    let why = why_not(&world, &written, world.now);
    assert_eq!(why, Some(Unconfirmed::ContainerEnded));
}

#[test]
fn a_successor_that_has_not_answered_since_it_was_asked_permits_no_stop() {
    let (mut world, written) = a_handover_is_written();
    world.unseen("b");
    world.later(1);
    stop(&world.plan());
    let why = why_not(&world, &written, world.now);
    assert_eq!(why, Some(Unconfirmed::Silent("b".to_owned())));
}

#[test]
fn a_stop_for_another_successor_is_not_the_one_that_was_planned() {
    let (mut world, written) = a_handover_is_written();
    world.gone("b");
    world = world.standby("c", &v2());
    let successor = stop(&world.plan()).successor().cloned();
    assert_eq!(successor.unwrap().name, "c");
    let why = why_not(&world, &written, world.now);
    assert_eq!(why, Some(Unconfirmed::NotPermitted));
}

#[test]
fn the_answers_of_a_second_look_stay_fresh_for_two_seconds_and_no_longer() {
    let (mut world, written) = a_handover_is_written();
    world.later(1);
    let whole = world.look();
    let plan = plan(&whole, &written.memory, world.now);
    let good_for_in = |seen: &Observation, late: Span| {
        let look = SecondLook {
            written: &written.memory,
            seen,
            plan: &plan,
            asked: world.now,
            now: world.now + late,
        };
        let pending = pending(stop(&written), true).unwrap();
        confirm(&pending, &look).unwrap().good_for()
    };
    let good_for = |late| good_for_in(&whole, late);
    assert_eq!(good_for(0.seconds()), Duration::from_secs(2));
    assert_eq!(good_for(1500.milliseconds()), Duration::from_millis(500));
    assert_eq!(good_for(3.seconds()), Duration::ZERO);
    // A clock that was set back would make an old answer a fresh one.
    assert_eq!(good_for(-1.seconds()), Duration::ZERO);

    // The active that is stopped has to be in sight as well, and the database where it has to be asked.
    let mut seen = whole.clone();
    let active = seen.pods.iter_mut().find(|pod| pod.id.name == "a").unwrap();
    active.contact.as_mut().unwrap().at -= 1.seconds();
    assert_eq!(good_for_in(&seen, 0.seconds()), Duration::from_secs(1));
    let mut seen = whole.clone();
    seen.database.wanted = Verification::Required;
    assert_eq!(good_for_in(&seen, 0.seconds()), Duration::ZERO);
}
