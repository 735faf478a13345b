//! The lease of a node that ended without giving it back (rule S10). What has to hold for it is tested beside its guard.

use std::time::Duration;

use super::world::{World, blocked, nothing, v1, v2};
use crate::api::{ReleaseLease, Verification};
use crate::domain::{Answered, Contact, Holder, Reason, Refused, Says, Silence};
use crate::node::ExitKind;
use crate::plan::{
    Act, ConfirmedReturn, Plan, Return, SecondLook, Unconfirmed, confirm_return, is_due, plan,
};

pub const CLIENT: &str = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";

/// The lease is that of `a`, of whose node a session is there or not.
fn leased(world: &mut World, session: bool) {
    world.hears(Ok(Says {
        lease: Holder::Unseen,
        lease_client: Some(CLIENT.to_owned()),
        leaseholder_has_a_session: session,
        server_start: Some(7),
        ..Says::quiet()
    }));
}

/// `a` is active and `b` waits; the database has shown that `a` has the lease, and its session.
fn shown() -> World {
    let mut world = World::with(2)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest();
    leased(&mut world, true);
    world.later(20);
    world
}

/// The node in `a` was killed a moment ago, and its lease stands.
fn killed() -> World {
    let mut world = shown();
    world.crashes("a", ExitKind::Killed, "");
    world.pod("a").ended_client = Some(CLIENT.to_owned());
    world.obey();
    world
}

fn gives_back(world: &mut World) -> bool {
    let acts = world.obey();
    let last = acts
        .last()
        .is_some_and(|act| act == "give back the lease of a");
    let any = acts.iter().any(|act| act.starts_with("give back"));
    assert_eq!(last, any, "it is the last act: {acts:?}");
    any
}

fn due(world: &World) -> bool {
    is_due(&world.look(), &world.plan(), world.now)
}

#[test]
fn the_lease_of_a_node_that_was_killed_is_given_back_once_and_the_gap_says_so() {
    let mut world = killed();
    assert!(due(&world), "the database is asked at once");
    assert_eq!(world.plan().again, Duration::from_millis(100));
    world.later(1);
    leased(&mut world, false);
    assert!(gives_back(&mut world));
    assert!(!gives_back(&mut world), "once");
    assert!(!due(&world));
    world.later(1);
    world.takes("b");
    world.pods = world.look().pods;
    let last = world.plan().finished.unwrap();
    assert_eq!((last.gap_ms, last.lease_given_back), (Some(2000), true));
}

#[test]
fn a_gap_in_which_no_lease_was_given_back_does_not_say_so() {
    let mut world = killed();
    world.later(10);
    world.takes("b");
    world.pods = world.look().pods;
    let last = world.plan().finished.unwrap();
    assert_eq!((last.gap_ms, last.lease_given_back), (Some(10_000), false));
}

/// Exit 0 is no proof (measured on 2.23.0 and 2.29.0): a refresh that hangs keeps the release from being made.
#[test]
fn the_lease_that_a_planned_stop_left_behind_is_given_back_also_when_the_pod_is_gone() {
    let mut world = shown();
    world.intent.replicas = 1;
    world.want_settled(&v2());
    world = world.standby("c", &v2());
    world.obey();
    world.obey();
    let mut stopped = false;
    for _ in 0..6 {
        world.later(1);
        leased(&mut world, true);
        stopped |= world.obey().contains(&"stop a".to_owned());
        world.pods.retain(|pod| !pod.deleted || pod.id.name == "a");
    }
    assert!(stopped, "{:?}", world.plan());
    world.crashes("a", ExitKind::Unknown, "");
    world.pod("a").ended_client = Some(CLIENT.to_owned());
    world.obey();
    world.gone("a");
    world.later(1);
    leased(&mut world, false);
    assert!(gives_back(&mut world), "{:?}", world.plan());
}

/// A node of 2.30 and later that fails after it has taken the lease keeps it, and so does one that is killed in its boot.
#[test]
fn while_a_node_boots_that_has_taken_a_lease_the_database_is_asked_once_who_it_is() {
    let mut world = shown();
    world.gone("a");
    world.later(11);
    world.takes("b");
    world.boots("b");
    assert!(!due(&world), "the Service follows first");
    world.obey();
    world.obey();
    assert!(due(&world));
    world.later(1);
    world.hears(Err(Silence::not_allowed()));
    world.later(4);
    assert!(!due(&world), "it does not answer");
    world.later(1);
    assert!(due(&world), "an answer that did not come shows nothing");
    leased(&mut world, true);
    world.later(6);
    assert!(!due(&world), "once");
    world.crashes("b", ExitKind::Unknown, "");
    world.pod("b").ended_client = Some(CLIENT.to_owned());
    let made = world.newest();
    world.waits(&made);
    world.obey();
    world.later(1);
    leased(&mut world, false);
    assert!(
        world
            .obey()
            .contains(&"give back the lease of b".to_owned()),
        "{:?}",
        world.plan()
    );
}

#[test]
fn a_node_alone_gets_the_lease_of_its_own_last_start() {
    let mut world = World::with(1).active("a", &v1()).at_rest();
    leased(&mut world, true);
    world.crashes("a", ExitKind::Killed, "");
    world.pod("a").ended_client = Some(CLIENT.to_owned());
    world.obey();
    world.later(1);
    leased(&mut world, false);
    assert!(!gives_back(&mut world), "nobody waits for it yet");
    world.waits("a");
    assert!(gives_back(&mut world));
}

#[test]
fn nothing_is_given_back_or_asked_for_where_the_spec_says_so() {
    let changes: [fn(&mut World); 2] = [
        |world| world.intent.policy.release_lease = ReleaseLease::Never,
        |world| world.database.wanted = Verification::Never,
    ];
    for change in changes {
        let mut world = shown();
        change(&mut world);
        world.crashes("a", ExitKind::Killed, "");
        world.pod("a").ended_client = Some(CLIENT.to_owned());
        world.obey();
        assert!(!due(&world));
        leased(&mut world, false);
        assert!(!gives_back(&mut world));
    }
}

/// Rule S10: neither a machine that does not report, nor a pod that is gone, nor one that is Failed, has ended.
#[test]
fn an_end_that_no_kubelet_has_seen_gives_nothing_back() {
    let ends: [fn(&mut World); 4] = [
        |world| world.unseen("a"),
        |world| world.gone("a"),
        |world| world.ends("a"),
        |world| world.crashes("a", ExitKind::Unseen, ""),
    ];
    for end in ends {
        let mut world = shown();
        end(&mut world);
        for _ in 0..15 {
            world.later(1);
            leased(&mut world, false);
            assert!(!gives_back(&mut world));
        }
    }
}

#[test]
fn where_the_lease_is_nobodys_or_anothers_the_database_is_not_asked_for_it_any_more() {
    let mut world = killed();
    world.later(1);
    world.hears(Ok(Says::quiet()));
    world.later(2);
    assert!(!due(&world));
    let mut world = killed();
    assert!(due(&world));
    world.later(16);
    let asks = world.plan().again;
    assert!(
        asks > Duration::from_millis(200),
        "it has run out: {asks:?}"
    );
}

fn silent(world: &mut World) {
    world.hears(Err(Silence::new(
        Reason::Unreachable,
        "it can't be reached",
    )));
}

#[test]
fn a_database_that_does_not_answer_is_not_asked_for_it_again_and_again() {
    let mut world = killed();
    world.later(1);
    silent(&mut world);
    assert!(!gives_back(&mut world));
    world.later(5);
    assert!(!due(&world));
    world.later(6);
    assert!(due(&world));
}

#[test]
fn a_return_that_the_database_refused_is_told_and_tried_again_later() {
    let mut world = killed();
    world.later(1);
    leased(&mut world, false);
    world.refused_return = Some(Refused {
        pod: CLIENT.to_owned(),
        message: "no".to_owned(),
        lasting: true,
        perhaps: false,
        tries: 1,
        again: world.now + Duration::from_secs(2),
    });
    assert!(!gives_back(&mut world));
    assert!(!due(&world));
    assert_eq!(world.blocked(), blocked("LeaseNotGivenBack", false));
    world.later(2);
    assert!(gives_back(&mut world));
    assert_eq!(world.obey(), nothing());
}

#[test]
fn nothing_is_given_back_beside_a_stop_or_while_all_is_to_end() {
    let mut world = killed();
    world.intent.replicas = 0;
    leased(&mut world, false);
    for _ in 0..5 {
        world.later(1);
        leased(&mut world, false);
        assert!(!gives_back(&mut world));
    }
}

fn given_back(plan: &Plan) -> Option<&Return> {
    plan.acts.iter().find_map(|act| match act {
        Act::ReleaseLease(given_back) => Some(given_back),
        _ => None,
    })
}

/// A second look of now; the pods that answer did so that many milliseconds ago.
fn second_look(
    world: &World,
    written: &Plan,
    heard_ms: u64,
) -> Result<ConfirmedReturn, Unconfirmed> {
    let mut seen = world.look();
    let heard = world.now - Duration::from_millis(heard_ms);
    for pod in &mut seen.pods {
        pod.contact = pod.contact.map(|_| Contact {
            at: heard,
            answer: Answered::Refused,
        });
    }
    let look = SecondLook {
        written: &written.memory,
        seen: &seen,
        plan: &plan(&seen, &written.memory, world.now),
        asked: world.now,
        now: world.now,
    };
    confirm_return(given_back(written).unwrap(), &look)
}

#[test]
fn a_second_look_has_to_show_the_same_and_is_good_for_what_is_left_of_two_seconds() {
    let mut world = killed();
    leased(&mut world, false);
    let written = world.plan();
    world.later(1);
    let confirmed = second_look(&world, &written, 300).unwrap();
    assert_eq!(Some(confirmed.given_back()), given_back(&written));
    let left = confirmed.good_for();
    assert_eq!(
        left,
        Duration::from_secs(1),
        "the database was asked before"
    );
    let confirmed = second_look(&world, &written, 1999).unwrap();
    assert_eq!(confirmed.good_for(), Duration::from_millis(1));
    let silent = second_look(&world, &written, 2001).err();
    assert_eq!(silent, Some(Unconfirmed::NotPermitted));

    let changes: [fn(&mut World); 4] = [
        |world| world.takes("b"),
        |world| leased(world, true),
        |world| world.intent.policy.release_lease = ReleaseLease::Never,
        |world| world.later(2),
    ];
    for change in changes {
        let mut world = world.clone();
        change(&mut world);
        let why = second_look(&world, &written, 0).err();
        assert_eq!(why, Some(Unconfirmed::NotPermitted));
    }
}
