//! When the database is asked again.

use super::world::{World, blocked, pair, surging, v1, v2};
use crate::api::Verification;
use crate::domain::{Holder, Reason, Says, Silence};
use crate::plan::{is_due, is_stale};

fn due(world: &World) -> bool {
    is_due(&world.look(), &world.plan(), world.now)
}

fn says() -> Says {
    Says {
        lease: Holder::Unseen,
        ..Says::quiet()
    }
}

fn silence() -> Silence {
    Silence {
        reason: Reason::Unreachable,
        message: "it can't be reached".to_owned(),
    }
}

/// Whether it is due after this many seconds.
fn after(world: &World, seconds: u64) -> bool {
    let mut world = world.clone();
    world.later(seconds);
    due(&world)
}

#[test]
fn at_rest_the_database_is_asked_once_a_minute_answer_or_not() {
    let mut world = pair();
    assert!(due(&world), "it was never asked");
    for said in [Ok(says()), Err(silence())] {
        world.hears(said);
        assert!(!after(&world, 59));
        assert!(after(&world, 60));
    }
    world.intent.replicas = 0;
    assert!(!after(&world, 60), "nothing is to be asked");
}

#[test]
fn a_rollout_that_is_stuck_for_days_does_not_live_on_one_answer() {
    let (mut world, surge) = surging(pair());
    world.in_trouble(&surge, "ImagePullBackOff", "not found");
    world.later(86_400);
    world.obey();
    assert_eq!(world.blocked(), blocked("ImagePullBackOff", true));
    world.hears(Ok(says()));
    assert!(!after(&world, 59));
    assert!(after(&world, 60));
}

#[test]
fn while_the_lock_moves_nobody_waits_for_an_answer_unless_it_stays_away() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.hears(Ok(says()));
    world.later(70);
    world.gone("a");
    world.obey();
    assert!(!due(&world));
    assert!(!after(&world, 10));
    assert!(after(&world, 16), "nobody has been seen to take the lock");
    world.later(1);
    world.takes("b");
    assert!(!due(&world), "the Service follows first");
    world.obey();
    world.obey();
    world.later(1);
    assert!(due(&world), "it was not asked since the takeover");
}

/// Rule L1: a database that was restored is found to be so.
#[test]
fn a_database_that_was_too_new_is_asked_again_whether_it_still_is() {
    let mut world = World::with(2).wanting(&v1());
    let too_new = Says {
        version: Some("2.29.0".parse().unwrap()),
        ..says()
    };
    world.hears(Ok(too_new));
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    assert!(!after(&world, 10));
    assert!(after(&world, 11));
    world.later(11);
    world.hears(Err(silence()));
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    assert!(!after(&world, 10));
    assert!(after(&world, 11));
    world.later(11);
    world.hears(Ok(says()));
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn what_speaks_against_a_handover_is_asked_for_again_and_a_silence_is_not_waited_for_twice() {
    let mut world = pair();
    world.database.wanted = Verification::Required;
    world.want_settled(&v2());
    world.obey();
    world.hears(Ok(says()));
    assert!(!is_stale(&world.database, world.now));
    world.later(2);
    assert!(is_stale(&world.database, world.now));
    world.hears(Err(silence()));
    world.later(10);
    assert!(!is_stale(&world.database, world.now));
    world.later(1);
    assert!(is_stale(&world.database, world.now));
}
