//! S7: what is outside of the resource, and takes its database by a lock that its pods would not see.

use std::net::IpAddr;

use super::world::{World, alone, blocked, locked, nothing, pair, v1, v2};
use crate::api::Verification;
use crate::domain::{Claim, Holder, PodId, Reason, Revision, Says, Silence};
use crate::node::LockMode;
use crate::plan::{Evidence, is_due, of_active};

const CLIENT: &str = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";

fn outsider() -> IpAddr {
    [10, 0, 0, 9].into()
}

/// A pod of another resource that names the same key of the same Secret, and works.
fn claim(mode: LockMode) -> Claim {
    Claim {
        of: "other".to_owned(),
        pod: Some("other-1".to_owned()),
        mode: Some(mode),
        lock_id_hidden: false,
        same_key: true,
        works: true,
        addresses: vec![outsider()],
    }
}

fn advisory(version: &str) -> Revision {
    locked(version, "advisorylock on db")
}

fn dual(version: &str) -> Revision {
    locked(version, "dual on db")
}

fn says(lease: Holder, advisory: Holder) -> Says {
    Says {
        lease,
        advisory,
        ..Says::quiet()
    }
}

fn message(world: &World) -> String {
    world.plan().progress.blocked.unwrap().message
}

#[test]
fn s7_no_pod_is_made_beside_another_resource_whose_lock_it_would_not_see() {
    let mut world = World::with(2).wanting(&v1());
    world.claims = vec![claim(LockMode::Advisory)];
    for _ in 0..3 {
        assert_eq!(world.obey(), nothing());
        world.later(60);
    }
    assert_eq!(world.blocked(), blocked("LockDiffers", true));
    let said = message(&world);
    for word in [
        "other-1 of the resource other",
        "advisorylock",
        "dual",
        "one resource",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }

    // A lock that can't be told is none that is seen.
    world.claims[0].mode = None;
    assert_eq!(world.obey(), nothing());
    for seen in [LockMode::Dual, LockMode::Lease] {
        let mut world = world.clone();
        world.claims = vec![claim(seen)];
        assert_eq!(world.obey(), ["create 2.28.0"], "{seen}");
    }
}

#[test]
fn s7_what_another_resource_is_about_to_make_counts_like_a_pod() {
    let mut world = World::with(1).wanting(&v1());
    let intent = Claim {
        pod: None,
        works: false,
        addresses: Vec::new(),
        ..claim(LockMode::Advisory)
    };
    world.claims = vec![intent];
    assert_eq!(world.obey(), nothing());
    assert!(message(&world).contains("the resource other, which goes first"));
}

#[test]
fn s7_no_pod_is_made_by_an_intent_of_before_where_another_resource_has_come_to_the_database() {
    let mut world = World::with(1).wanting(&v1());
    world.remember();
    assert!(world.memory.creating.is_some());
    world.claims = vec![claim(LockMode::Advisory)];
    assert_eq!(world.obey(), nothing());
    assert!(
        world.memory.creating.is_some(),
        "the API server may still make what was asked of it before"
    );
    world.later(90);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.memory.creating, None);
}

/// Nobody else's claim is to keep a working node from its redundancy.
#[test]
fn a_repair_of_what_has_worked_is_denied_only_by_pods_on_the_same_key_of_the_same_secret() {
    let repaired = |change: fn(&mut Claim)| {
        let mut world = pair();
        world.gone("b");
        let mut other = claim(LockMode::Advisory);
        other.works = false;
        change(&mut other);
        world.claims = vec![other];
        world.obey() == ["create 2.28.0"]
    };
    assert!(repaired(|claim| claim.same_key = false));
    assert!(repaired(|claim| claim.pod = None));
    assert!(!repaired(|_| {}));
}

#[test]
fn s7_the_database_denies_a_pod_beside_a_lock_of_the_other_kind_whoever_holds_it() {
    for holder in [Holder::Elsewhere(outsider()), Holder::Unseen] {
        let mut world = World::with(1).wanting(&v1());
        world.hears(Ok(says(Holder::Nobody, holder.clone())));
        assert_eq!(world.obey(), nothing(), "{holder:?}");
        assert_eq!(world.blocked(), blocked("LockDiffers", true));
        // A question that is not answered takes nothing back.
        world.later(60);
        world.hears(Err(Silence {
            reason: Reason::Unreachable,
            message: "it can't be reached".to_owned(),
        }));
        assert_eq!(world.obey(), nothing());
        world.later(60);
        world.hears(Ok(says(Holder::Nobody, Holder::Nobody)));
        assert_eq!(world.obey(), ["create 2.28.0"]);
    }

    let mut world = World::with(1).wanting(&advisory("1.13.3"));
    let mut lease = says(Holder::Elsewhere(outsider()), Holder::Nobody);
    lease.lease_client = Some(CLIENT.to_owned());
    world.hears(Ok(lease));
    assert_eq!(world.obey(), nothing());
    assert!(message(&world).contains("holds the lease"));

    // A holder that it sees is waited for.
    let mut world = World::with(1).wanting(&v1());
    world.hears(Ok(says(Holder::Elsewhere(outsider()), Holder::Nobody)));
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let mut world = World::with(1).wanting(&v1());
    world.database.wanted = Verification::Never;
    world.hears(Ok(says(Holder::Nobody, Holder::Unseen)));
    assert_eq!(world.obey(), ["create 2.28.0"], "it is not to be asked");
}

/// 1.13.3 with both locks, somewhere: the move to 2.x stays one handover.
#[test]
fn a_node_in_dual_mode_holds_no_lock_that_is_not_seen() {
    let both = |client: &str| {
        let holder = Holder::Elsewhere(outsider());
        Says {
            lease_client: Some(client.to_owned()),
            advisory_session: Some(format!("Chainlink 1.13.3 |App|{CLIENT}")),
            ..says(holder.clone(), holder)
        }
    };
    let mut world = World::with(1).wanting(&v1());
    world.hears(Ok(both(CLIENT)));
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let mut world = World::with(1).wanting(&advisory("1.13.3"));
    world.hears(Ok(both(CLIENT)));
    assert_eq!(world.obey(), ["create 1.13.3"]);

    let mut world = World::with(1).wanting(&v1());
    world.hears(Ok(both("6f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11")));
    assert_eq!(world.obey(), nothing(), "two nodes hold the two locks");

    // It had the lease, and is frozen.
    let mut world = World::with(1).wanting(&v1());
    world.hears(Ok(both(CLIENT)));
    world.later(60);
    world.hears(Ok(both("6f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11")));
    assert_eq!(world.obey(), ["create 2.28.0"]);

    // A pod of that mode, by whatever name its session goes.
    let mut world = World::with(1)
        .wanting(&dual("1.13.3"))
        .active("a", &dual("1.13.3"))
        .at_rest();
    let a = world.pod("a").id.clone();
    world.database.duals = vec![Holder::Pod(a.clone())];
    world.want_settled(&v1());
    let lock = locked("2.28.0", "lease on db");
    assert_eq!(lock, v1());
    world.hears(Ok(says(Holder::Pod(a.clone()), Holder::Pod(a))));
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn s7_no_pod_is_made_where_the_database_names_another_holder_than_the_active_that_works() {
    let lost = || {
        let mut world = pair();
        world.gone("b");
        world
    };
    for holder in [Holder::Elsewhere(outsider()), Holder::Nobody] {
        let mut world = lost();
        let stranger = PodId {
            name: "c".to_owned(),
            uid: "uid-c".to_owned(),
        };
        let mut said = says(holder.clone(), Holder::Nobody);
        said.sessions = [(stranger, crate::node::database::SessionOf::Node)].into();
        world.hears(Ok(said));
        assert_eq!(world.obey(), nothing(), "{holder:?}");
        world.later(61);
        let expected = blocked("DatabaseContradicts", true);
        assert_eq!(world.blocked(), expected);
    }
    // What it said before the active took its lock is about another.
    let mut world = lost();
    world.hears(Ok(says(Holder::Nobody, Holder::Nobody)));
    world.later(1);
    world.takes("a");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn two_nodes_at_work_are_told_whoever_started_them() {
    let two = blocked("TwoHolders", true);

    let mut world = alone();
    world.claims = vec![claim(LockMode::Advisory)];
    assert_eq!(world.blocked(), two, "another resource");
    world.claims[0].works = false;
    let waits = blocked("LockDiffers", true);
    assert_eq!(world.blocked(), waits, "it may come to work at any time");
    world.claims = vec![claim(LockMode::Dual)];
    assert_eq!(world.blocked(), None);

    let mut world = alone();
    let a = Holder::Pod(world.pod("a").id.clone());
    world.hears(Ok(says(a, Holder::Elsewhere(outsider()))));
    assert_eq!(world.blocked(), two, "a node that no resource has made");
    assert!(message(&world).contains("10.0.0.9"));

    // Also from the other side.
    let mut world = World::with(1)
        .wanting(&advisory("1.13.3"))
        .active("a", &advisory("1.13.3"))
        .at_rest();
    let a = Holder::Pod(world.pod("a").id.clone());
    let mut said = says(Holder::Elsewhere(outsider()), a);
    said.lease_client = Some(CLIENT.to_owned());
    world.hears(Ok(said));
    assert_eq!(world.blocked(), two);

    // Whatever else is waited for.
    let mut world = alone();
    world.claims = vec![claim(LockMode::Advisory)];
    world.want_unusable("InvalidSpec", false);
    assert_eq!(world.blocked(), two);
}

/// A Secret that is taken whole may hold an `ADVISORY_LOCK_ID` of its own.
#[test]
fn s7_beside_a_pod_whose_lock_id_a_secret_may_set_one_with_its_own_is_made_only_where_the_database_shows_it()
 {
    let hidden = Revision {
        lock_id_hidden: true,
        ..locked("1.13.2", "advisorylock on db")
    };
    let world = || {
        let mut world = World::with(1)
            .wanting(&hidden)
            .active("a", &hidden)
            .at_rest();
        world.pod("a").lock_id_hidden = true;
        world.want_settled(&advisory("1.13.3"));
        world
    };
    let mut unknown = world();
    assert_eq!(unknown.obey(), nothing());
    assert_eq!(unknown.blocked(), blocked("LockDiffers", true));
    let said = message(&unknown);
    assert!(
        said.contains("replicas: 0") && !said.contains("dual"),
        "{said}"
    );

    let mut free = world();
    free.hears(Ok(says(Holder::Nobody, Holder::Nobody)));
    assert_eq!(free.obey(), nothing(), "it holds another id");

    let mut shown = world();
    let a = Holder::Pod(shown.pod("a").id.clone());
    shown.hears(Ok(says(Holder::Nobody, a)));
    assert_eq!(shown.obey(), ["create 1.13.3"]);

    // By the lease the two see each other whatever the id.
    let leased = Revision {
        lock_id_hidden: true,
        ..dual("1.13.2")
    };
    let mut world = World::with(1)
        .wanting(&leased)
        .active("a", &leased)
        .at_rest();
    world.pod("a").lock_id_hidden = true;
    world.want_settled(&dual("1.13.3"));
    assert_eq!(world.obey(), ["create 1.13.3"]);
}

#[test]
fn the_database_is_asked_before_every_pod_that_begins_a_revision() {
    let mut world = alone();
    let a = Holder::Pod(world.pod("a").id.clone());
    world.hears(Ok(says(a, Holder::Nobody)));
    world.later(2);
    world.want_settled(&locked("2.29.0", "lease on db"));
    let plan = world.plan();
    assert!(is_due(&world.look(), &plan, world.now), "{:?}", plan.acts);
}

/// The database's word on a pod looks at both locks.
#[test]
fn s7_nothing_is_handed_over_while_somebody_holds_a_lock_that_the_active_does_not_see() {
    let hands_over = |other: Holder| {
        let mut world = alone();
        world.want_settled(&locked("2.29.0", "lease on db"));
        world = world.standby("b", &locked("2.29.0", "lease on db"));
        world.later(60);
        let a = Holder::Pod(world.pod("a").id.clone());
        world.hears(Ok(says(a, other)));
        world.obey() == ["stop a"]
    };
    assert!(hands_over(Holder::Nobody));
    assert!(!hands_over(Holder::Elsewhere(outsider())));
    assert!(!hands_over(Holder::Unseen));

    // Nor is the lock verified by the one that the active has.
    let mut world = alone();
    let a = Holder::Pod(world.pod("a").id.clone());
    world.hears(Ok(says(a.clone(), Holder::Nobody)));
    let evidence = |world: &mut World| of_active(&world.database.clone(), world.pod("a"));
    assert_eq!(evidence(&mut world), Evidence::Agrees);
    world.hears(Ok(says(a, Holder::Unseen)));
    assert!(matches!(evidence(&mut world), Evidence::Contradicts(_)));
}

/// Only what shows by itself in a moment is waited for in silence.
#[test]
fn a_rollout_that_the_database_denies_from_its_beginning_is_told_at_once() {
    let mut world = World::with(1).wanting(&v1()).active("a", &v1()).at_rest();
    world.later(60);
    let mut said = says(Holder::Elsewhere(outsider()), Holder::Nobody);
    said.lease_client = Some(CLIENT.to_owned());
    said.identified = [world.pod("a").id.clone()].into();
    world.want_settled(&v2());
    world.hears(Ok(said));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", false));
}

/// The Secret was changed in place, and where it leads to now no session of ours is seen: addresses tell nothing there, and
/// the id of whoever has the lock tells that it is not the active.
#[test]
fn no_pod_is_made_where_the_lock_has_a_client_that_is_not_the_active() {
    let session = format!("Chainlink 2.28.0 |App|{CLIENT}");
    let lease = |holder: Holder| Says {
        lease_client: Some(CLIENT.to_owned()),
        ..says(holder, Holder::Nobody)
    };
    let advisory_lock = |holder: Holder| Says {
        advisory_session: Some(session.clone()),
        ..says(Holder::Nobody, holder)
    };
    let elsewhere = || Holder::Elsewhere(outsider());
    for (of, said, who) in [
        (v1(), lease(elsewhere()), "a client at 10.0.0.9"),
        (v1(), lease(Holder::Unseen), "a client that is not shown"),
        (
            advisory("1.13.3"),
            advisory_lock(elsewhere()),
            "a client at 10.0.0.9",
        ),
    ] {
        let makes = |change: fn(&mut Says)| {
            let world = World::with(2).wanting(&of).active("a", &of);
            let mut world = world.standby("b", &of).at_rest();
            world.later(60);
            let active = world.pod("a").id.clone();
            let mut said = said.clone();
            said.identified = [active].into();
            change(&mut said);
            world.hears(Ok(said));
            world.gone("b");
            (world.obey(), world.blocked(), world)
        };
        let (acts, blocked_by, world) = makes(|_| {});
        assert_eq!(acts, nothing(), "{who}");
        assert_eq!(blocked_by, blocked("DatabaseContradicts", true));
        assert!(message(&world).contains(who), "{}", message(&world));
        // Of an active whose log was rotated the id is not known.
        let (acts, ..) = makes(|said| said.identified.clear());
        assert_eq!(acts.len(), 1, "{acts:?}");
    }
}
