//! What the database's own word holds back, and what not.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::world::{World, alone, blocked, configured, nothing, pair, v1, v2, version};
use crate::api::Verification;
use crate::domain::{Beginnings, DatabaseAnswer, Holder, PodId, Reason, Says, Silence};
use crate::node::database::SessionOf;
use crate::plan::{Evidence, RESCUE, Roles, Step, of_active};

/// `a` is active, `b` waits for it: one pass before the stop.
fn before_the_stop() -> World {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2());
    world.later(60);
    world
}

fn id(world: &mut World, name: &str) -> PodId {
    world.pod(name).id.clone()
}

/// As it should be: `a` holds the lease, `a` and `b` have their sessions.
fn good(world: &mut World) -> Says {
    let (a, b) = (id(world, "a"), id(world, "b"));
    Says {
        lease: Holder::Pod(a.clone()),
        sessions: nodes([a, b]),
        ..Says::quiet()
    }
}

fn nodes<const N: usize>(pods: [PodId; N]) -> BTreeMap<PodId, SessionOf> {
    pods.map(|pod| (pod, SessionOf::Node)).into()
}

fn says(world: &mut World, change: impl FnOnce(&mut Says, PodId)) {
    let mut said = good(world);
    let b = id(world, "b");
    change(&mut said, b);
    let held = [id(world, "a")].into();
    world.hears(Ok(said));
    world.database.answer.as_mut().unwrap().held = held;
}

fn silent(world: &mut World) {
    world.hears(Err(Silence {
        reason: Reason::Unreachable,
        message: "it can't be reached".to_owned(),
    }));
}

fn told(world: &World) -> String {
    world.plan().progress.blocked.unwrap().message
}

#[test]
fn a_database_that_agrees_permits_the_stop_in_every_mode() {
    for wanted in [
        Verification::Auto,
        Verification::Required,
        Verification::Never,
    ] {
        let mut world = before_the_stop();
        world.database.wanted = wanted;
        says(&mut world, |_, _| {});
        assert_eq!(world.obey(), ["stop a"], "{wanted:?}");
    }
}

fn migrated_by(version: &str) -> DatabaseAnswer {
    let says = Says {
        version: Some(version.parse().unwrap()),
        ..Says::quiet()
    };
    DatabaseAnswer::after(None, "2026-01-01T12:00:00Z".parse().unwrap(), Ok(says))
}

/// An adopted database: nothing of ours has ever run on it.
#[test]
fn s6_no_pod_is_made_of_a_version_that_the_database_is_too_new_for() {
    let mut world = World::with(2).wanting(&v1());
    world.database.answer = Some(migrated_by("2.28.1"));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    assert!(told(&world).contains("the database says that version 2.28.1 has migrated it"));
    // That of a backup, or another database.
    world.database.answer = Some(migrated_by("2.28.0"));
    assert_eq!(world.obey(), ["create 2.28.0"]);

    // A beta has written the release that it is for.
    let beta = version("2.29.0-beta.1");
    let mut world = World::with(2).wanting(&beta);
    world.database.answer = Some(migrated_by("2.29.0"));
    assert_eq!(world.obey(), ["create 2.29.0-beta.1"]);

    // A variant is older than its release, unless it has worked there: it may call itself by that.
    let variant = version("2.29.0-ccip");
    let mut world = World::with(2).wanting(&variant);
    world.database.answer = Some(migrated_by("2.29.0"));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    let text = told(&world);
    assert!(
        text.contains("set version to 2.29.0 and image.tag to 2.29.0-ccip"),
        "{text}"
    );
    world.database.answer = Some(migrated_by("2.29.0-ccip"));
    assert_eq!(world.obey(), ["create 2.29.0-ccip"]);
    let mut world = World::with(2)
        .wanting(&variant)
        .active("a", &variant)
        .standby("b", &variant)
        .at_rest();
    world.database.answer = Some(migrated_by("2.29.0"));
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.29.0-ccip"]);

    let mut world = World::with(1).active("a", &v2()).at_rest();
    world.memory.newest_held = None;
    world.database.answer = Some(migrated_by("2.29.0"));
    world.want_settled(&v1());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

/// Releases are applied by themselves, and a restore has dropped the status and the annotation.
#[test]
fn s6_where_it_is_lost_what_was_applied_nothing_is_made_before_the_database_has_spoken() {
    let mut world = World::with(2).wanting(&v1());
    world.intent.policy.applied_lost = true;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "AppliedUpdateUnknown");
    silent(&mut world);
    assert_eq!(world.obey(), nothing());
    let text = told(&world);
    for told in [
        "(it can't be reached)",
        "applied-update=none",
        "spec.version",
    ] {
        assert!(text.contains(told), "{text}");
    }
    world.database.answer = Some(migrated_by("2.29.0"));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    world.database.answer = Some(migrated_by("2.28.0"));
    assert_eq!(world.obey(), ["create 2.28.0"]);

    // A new database.
    let mut world = World::with(2).wanting(&v1());
    world.intent.policy.applied_lost = true;
    world.hears(Ok(Says::quiet()));
    assert_eq!(world.obey(), ["create 2.28.0"]);

    // The pods say what ran, where they are left.
    let mut world = pair();
    world.intent.policy.applied_lost = true;
    silent(&mut world);
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

/// The server is of this major version.
fn server(world: &mut World, postgres: u32) {
    says(world, |said, _| said.postgres = Some(postgres));
}

#[test]
fn a_server_that_is_too_old_for_a_version_is_told_before_anything_is_made_for_it() {
    let needs_15 = version("2.66.0");
    for (postgres, wanted, denied) in [
        (14, &needs_15, true),
        (15, &needs_15, false),
        (14, &v2(), false),
    ] {
        let mut world = pair();
        server(&mut world, postgres);
        world.want_settled(wanted);
        let made = world.obey();
        assert_eq!(
            made.is_empty(),
            denied,
            "{postgres} {}: {made:?}",
            wanted.version
        );
    }
    let mut world = pair();
    server(&mut world, 14);
    world.want_settled(&needs_15);
    assert_eq!(world.blocked(), blocked("PostgresTooOld", true));
    let told = told(&world);
    assert!(
        told.contains("the database is PostgreSQL 14, and 2.66.0 starts on 15 or later only"),
        "{told}"
    );
    assert!(told.contains("SKIP_PG_VERSION_CHECK"), "{told}");
    assert!(world.has("a") && world.has("b"));

    // A silence takes nothing of it back; an upgraded server does.
    silent(&mut world);
    assert_eq!(world.obey(), nothing());
    server(&mut world, 16);
    assert_eq!(world.obey(), ["create 2.66.0"]);
}

#[test]
fn what_a_variable_lets_start_on_an_old_server_or_works_there_is_not_denied() {
    let mut skips = version("2.66.0");
    skips.any_postgres = true;
    let mut world = pair();
    server(&mut world, 14);
    world.want_settled(&skips);
    assert_eq!(world.obey(), ["create 2.66.0"]);

    let works = version("2.66.0");
    let mut world = World::with(2)
        .wanting(&works)
        .active("a", &works)
        .standby("b", &works)
        .at_rest();
    server(&mut world, 14);
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.66.0"]);
}

#[test]
fn a_server_that_is_too_old_is_asked_for_again_while_it_holds_a_version() {
    let mut world = pair();
    server(&mut world, 14);
    world.want_settled(&version("2.66.0"));
    world.obey();
    assert_eq!(world.blocked(), blocked("PostgresTooOld", true));
    world.later(8);
    let due = |world: &World| crate::plan::is_due(&world.look(), &world.plan(), world.now);
    assert!(due(&world), "ten seconds have passed since it was asked");
    server(&mut world, 14);
    assert!(!due(&world));
}

#[test]
fn what_the_database_says_against_a_handover_holds_it_back() {
    type Change = fn(&mut Says, PodId);
    let cases: [(Change, &str); 6] = [
        (
            |said, _| said.read_only = Some("it is in recovery"),
            "takes no writes",
        ),
        (
            |said, _| said.missing_right = Some("to create tables"),
            "has no right",
        ),
        (
            |said, b| said.lease = Holder::Pod(b),
            "b holds the lease, not a",
        ),
        (
            |said, _| said.lease = Holder::Nobody,
            "nobody holds the lease",
        ),
        (
            |said, _| said.lease = Holder::Elsewhere([10, 0, 0, 9].into()),
            "a client at 10.0.0.9",
        ),
        (
            |said, b| {
                said.sessions.remove(&b);
            },
            "b says that it waits, but has no session",
        ),
    ];
    for (change, words) in cases {
        let mut world = before_the_stop();
        says(&mut world, change);
        assert_eq!(world.moves(), nothing(), "{words}");
        assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
        assert!(told(&world).contains(words), "{}", told(&world));
        world.database.wanted = Verification::Never;
        assert_eq!(world.moves(), ["stop a"], "nobody asked: {words}");
    }
}

#[test]
fn a_doubt_of_the_database_is_a_matter_for_a_person_only_when_it_lasts() {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2());
    let now = world.now;
    world.pod("b").created = now;
    says(&mut world, |said, _| said.lease = Holder::Nobody);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", false));
    world.later(61);
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
    says(&mut world, |_, _| {});
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn where_the_database_cannot_be_asked_the_rest_is_enough_unless_it_is_required() {
    let mut world = before_the_stop();
    silent(&mut world);
    world.database.wanted = Verification::Required;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseNotAsked", true));
    assert!(told(&world).contains("it can't be reached"));
    world.database.answer = None;
    assert_eq!(world.obey(), nothing());

    world.database.wanted = Verification::Auto;
    silent(&mut world);
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn behind_a_pooler_that_hides_addresses_nothing_is_proven_either_way() {
    let hidden: fn(&mut Says, PodId) = |said, _| {
        said.sessions.clear();
        said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
    };
    let mut world = before_the_stop();
    says(&mut world, hidden);
    let active = world.pod("a").clone();
    assert!(matches!(
        of_active(&world.database, &active),
        Evidence::Missing(Reason::AddressesHidden, _)
    ));
    world.database.wanted = Verification::Required;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseNotAsked", true));
    world.database.wanted = Verification::Auto;
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn an_old_answer_still_speaks_against_a_stop_and_no_longer_for_one() {
    let mut world = before_the_stop();
    world.database.wanted = Verification::Required;
    says(&mut world, |_, _| {});
    world.later(3);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseNotAsked", true));

    let mut world = before_the_stop();
    says(&mut world, |said, _| said.lease = Holder::Nobody);
    world.later(30);
    assert_eq!(world.obey(), nothing());
}

#[test]
fn in_dual_mode_only_both_locks_together_name_the_active() {
    let dual = super::world::locked("1.13.3", "dual on db");
    let mut world = World::with(1)
        .active("a", &dual)
        .standby("b", &dual)
        .at_rest();
    says(&mut world, |_, _| {});
    let active = world.pod("a").clone();
    let evidence = of_active(&world.database, &active);
    assert!(matches!(evidence, Evidence::Contradicts(_)), "{evidence:?}");
    says(&mut world, |said, _| said.advisory = said.lease.clone());
    assert_eq!(of_active(&world.database, &active), Evidence::Agrees);
    says(&mut world, |said, b| {
        said.advisory = said.lease.clone();
        said.lease = Holder::Pod(b);
    });
    let evidence = of_active(&world.database, &active);
    assert!(
        matches!(evidence, Evidence::Missing(Reason::LeaseLost, _)),
        "{evidence:?}"
    );
}

/// A frozen active keeps the advisory lock for as long as its connection lives, while a standby has its lease.
#[test]
fn in_dual_mode_a_standby_that_already_has_the_lease_is_handed_over_to() {
    let dual = super::world::locked("1.13.2", "dual on db");
    let next = super::world::locked("1.13.3", "dual on db");
    let mut world = World::with(1).active("a", &dual).wanting(&dual).at_rest();
    world.want_settled(&next);
    world = world.standby("b", &next);
    world.later(60);
    world.database.wanted = Verification::Required;
    says(&mut world, |said, b| {
        said.advisory = said.lease.clone();
        said.lease = Holder::Pod(b);
    });
    assert_eq!(world.obey(), ["stop a"]);
}

/// `a` worked; `b` came back after an outage and took the lock without having waited, while `a` goes on answering.
fn after_an_outage() -> World {
    let mut world = pair();
    world.starts("b");
    world.takes("b");
    world.pod("b").took.as_mut().unwrap().waited = Some(false);
    world.later(20);
    world
}

#[test]
fn the_database_tells_a_pod_that_took_over_after_an_outage_from_one_on_another_database() {
    let world = after_an_outage();
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(roles.foreign.len(), 1, "without the database's word");

    let mut world = after_an_outage();
    says(&mut world, |said, b| {
        said.sessions = nodes([b.clone()]);
        said.lease = Holder::Pod(b);
    });
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert!(roles.foreign.is_empty());
    assert_eq!(roles.active.unwrap().id.name, "b");
    assert_eq!(roles.suspects[0].id.name, "a");
    assert!(
        !world.obey().contains(&"stop b".to_owned()),
        "the one that has the lease is not touched"
    );
}

#[test]
fn a_database_in_which_the_older_one_holds_the_lock_makes_the_newer_one_no_active() {
    let mut world = after_an_outage();
    says(&mut world, |said, b| {
        said.sessions.remove(&b);
    });
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(roles.active.unwrap().id.name, "a");
    assert_eq!(roles.foreign[0].id.name, "b");
}

#[test]
fn a_url_that_never_named_the_older_one_says_nothing_of_it() {
    let mut world = after_an_outage();
    says(&mut world, |said, b| {
        said.sessions = nodes([b.clone()]);
        said.lease = Holder::Pod(b);
    });
    world.database.answer.as_mut().unwrap().held = [id(&mut world.clone(), "b")].into();
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(roles.active.unwrap().id.name, "a", "rule S9");
    assert_eq!(roles.foreign[0].id.name, "b");
}

#[test]
fn an_answer_from_before_the_takeover_names_nobody() {
    let mut world = after_an_outage();
    says(&mut world, |said, b| said.lease = Holder::Pod(b));
    let took = world.pod("b").took.unwrap().at;
    world.database.answer.as_mut().unwrap().at = took;
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(roles.foreign.len(), 1);
}

/// One question that is not answered, or a hundred, must not let through what the database has spoken against.
#[test]
fn a_silence_takes_nothing_back_of_what_was_said_against_a_stop() {
    type Change = fn(&mut Says, PodId);
    let cases: [Change; 4] = [
        |said, _| said.read_only = Some("it is in recovery"),
        |said, _| said.missing_right = Some("to create tables"),
        |said, _| said.lease = Holder::Nobody,
        |said, b| {
            said.sessions.remove(&b);
        },
    ];
    for change in cases {
        for wanted in [Verification::Auto, Verification::Required] {
            let mut world = before_the_stop();
            world.database.wanted = wanted;
            says(&mut world, change);
            for _ in 0..3 {
                world.later(11);
                silent(&mut world);
                assert_eq!(world.moves(), nothing());
                assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
                assert!(told(&world).contains("so it said when it last answered"));
            }
            says(&mut world, |_, _| {});
            assert_eq!(world.moves(), ["stop a"], "it has taken it back");
        }
    }
}

#[test]
fn an_agreement_of_before_a_silence_is_none() {
    let mut world = before_the_stop();
    world.database.wanted = Verification::Required;
    says(&mut world, |_, _| {});
    silent(&mut world);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseNotAsked", true));
}

/// Else a database that can't be asked any more would hold back every handover after a failover.
#[test]
fn an_answer_of_before_a_silence_says_nothing_of_a_pod_that_came_after_it() {
    let mut world = before_the_stop();
    says(&mut world, |said, b| {
        said.sessions.remove(&b);
        said.lease = Holder::Pod(b);
    });
    world.later(1);
    let now = world.now;
    world.pod("a").took.as_mut().unwrap().at = now;
    world.pod("b").waiting = Some(now);
    world.later(60);
    silent(&mut world);
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn s6_a_silence_does_not_make_the_database_older() {
    let mut world = World::with(2).wanting(&v1());
    world.database.answer = Some(migrated_by("2.29.0"));
    silent(&mut world);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

/// `advisorylock` to `dual`: the successor writes `lease_lock`, and the active never has.
#[test]
fn the_rights_that_count_are_those_that_the_successor_needs() {
    let lacks: fn(&mut Says, PodId) = |said, _| {
        said.missing_right = Some("to create tables");
        said.advisory = said.lease.clone();
    };
    let next = |from: &str, to: &str| {
        let from = super::world::locked("1.13.2", from);
        let to = super::world::locked("1.13.3", to);
        let mut world = World::with(1).active("a", &from).wanting(&from).at_rest();
        world.want_settled(&to);
        world = world.standby("b", &to);
        world.later(60);
        says(&mut world, lacks);
        world
    };
    let mut world = next("advisorylock on db", "dual on db");
    assert_eq!(world.moves(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
    assert!(told(&world).contains("has no right to create tables"));
    let mut world = next("advisorylock on db", "advisorylock on db");
    assert_eq!(world.obey(), ["stop a"]);
    let mut world = next("dual on db", "advisorylock on db");
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_strangers_session_from_the_address_of_the_successor_is_not_the_successors() {
    let of = |session| {
        let mut world = before_the_stop();
        world.database.wanted = Verification::Required;
        says(&mut world, |said, b| {
            said.sessions.insert(b, session);
        });
        world
    };
    let mut world = of(SessionOf::Stranger);
    world.database.wanted = Verification::Auto;
    assert_eq!(world.moves(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));

    let mut world = of(SessionOf::Unclear);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseNotAsked", true));
    world.database.wanted = Verification::Auto;
    assert_eq!(world.obey(), ["stop a"], "it proves nothing either way");
}

/// Their sessions have a name that says nothing.
#[test]
fn of_a_node_before_1_1_any_session_that_may_be_its_own_is_taken_for_it() {
    let old = super::world::locked("1.0.0", "advisorylock on db");
    let next = super::world::locked("1.0.1", "advisorylock on db");
    let mut world = World::with(1).active("a", &old).wanting(&old).at_rest();
    world.want_settled(&next);
    world = world.standby("b", &next);
    world.later(60);
    world.database.wanted = Verification::Required;
    says(&mut world, |said, _| {
        said.advisory = said.lease.clone();
        for session in said.sessions.values_mut() {
            *session = SessionOf::Unclear;
        }
    });
    assert_eq!(world.obey(), ["stop a"]);
}

/// On another machine, whose addresses are translated.
#[test]
fn one_whose_session_may_come_from_another_address_is_not_said_to_have_none() {
    let hidden = |said: &mut Says, b: PodId, identified: bool| {
        said.sessions.remove(&b);
        said.nodes_elsewhere = 1;
        said.identified.extend(identified.then_some(b));
    };
    let mut world = before_the_stop();
    says(&mut world, |said, b| hidden(said, b, true));
    // It is no redundancy either: its gate closes.
    assert_eq!(world.obey(), ["unready b"]);
    assert_eq!(world.blocked().unwrap().0, "DatabaseContradicts");
    let mut world = before_the_stop();
    world.database.wanted = Verification::Required;
    says(&mut world, |said, b| hidden(said, b, false));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "DatabaseNotAsked");
    world.database.wanted = Verification::Auto;
    assert_eq!(world.obey(), ["stop a"]);
}

#[test]
fn a_role_that_may_not_create_tables_is_in_the_way_of_a_newer_version_alone() {
    for (named, to, denied) in [
        (None, configured("2.28.0", "new"), false),
        (None, v2(), true),
        (Some("2.28.0"), configured("2.28.0", "new"), false),
        (Some("2.28.0"), v2(), true),
        // Another one has migrated it that far.
        (Some("2.29.0"), v2(), false),
    ] {
        let mut world = World::with(1).active("a", &v1()).at_rest();
        world.want_settled(&to);
        world = world.standby("b", &to);
        world.later(60);
        says(&mut world, |said, _| {
            said.may_not_create = true;
            said.version = named.map(|version| version.parse().unwrap());
        });
        let stopped = world.obey() == ["stop a"];
        assert_eq!(stopped, !denied, "{named:?} to {}", to.name);
        if denied {
            assert!(
                told(&world).contains("could not migrate"),
                "{}",
                told(&world)
            );
        }
    }
}

/// `a` and `b` wait for a node outside.
fn all_wait() -> World {
    let mut world = World::with(2)
        .standby("a", &v1())
        .standby("b", &v1())
        .at_rest();
    outside(&mut world, |_, _| {});
    assert_eq!(world.plan().progress.step, Step::External);
    world
}

fn outside(world: &mut World, change: impl FnOnce(&mut Says, PodId)) {
    says(world, |said, b| {
        said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
        change(said, b);
    });
}

#[test]
fn where_no_pod_could_win_from_a_holder_outside_a_person_is_told() {
    type Change = fn(&mut Says, PodId);
    let cases: [(Change, &str); 4] = [
        (
            |said, _| said.read_only = Some("it is in recovery"),
            "takes no writes",
        ),
        (
            |said, _| said.missing_right = Some("to create tables"),
            "has no right",
        ),
        (
            |said, b| {
                said.sessions.remove(&b);
            },
            "b says that it waits, but has no session",
        ),
        (
            |said, b| {
                said.sessions.insert(b, SessionOf::Stranger);
            },
            "b says that it waits, but has no session",
        ),
    ];
    for (change, words) in cases {
        let mut world = all_wait();
        outside(&mut world, change);
        assert_eq!(world.moves(), nothing());
        assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
        assert!(told(&world).contains(words), "{}", told(&world));
        assert_eq!(world.plan().progress.step, Step::External);
        world.later(60);
        silent(&mut world);
        assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
        outside(&mut world, |_, _| {});
        assert_eq!(world.blocked(), None, "{words}");
        outside(&mut world, change);
        world.database.wanted = Verification::Never;
        assert_eq!(world.blocked(), None, "nobody asks: {words}");
    }
}

#[test]
fn a_lock_that_nobody_has_for_longer_than_a_takeover_needs_is_not_held_outside() {
    let free: fn(&mut Says, PodId) = |said, _| said.lease = Holder::Nobody;
    let mut world = all_wait();
    outside(&mut world, free);
    assert_eq!(world.blocked(), None, "it may be taken at this moment");
    world.later(RESCUE.as_secs() - 1);
    outside(&mut world, free);
    assert_eq!(world.blocked(), None);
    world.later(1);
    outside(&mut world, free);
    assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
    assert!(told(&world).contains("nobody holds the lease"));
    outside(&mut world, |_, _| {});
    outside(&mut world, free);
    assert_eq!(world.blocked(), None, "it was held in between");
}

#[test]
fn what_the_database_does_not_show_of_a_holder_outside_changes_nothing() {
    type Change = fn(&mut Says, PodId);
    let cases: [Change; 4] = [
        |said, _| said.lease = Holder::Unseen,
        |said, _| said.sessions.clear(),
        |said, b| {
            said.sessions.insert(b, SessionOf::Unclear);
        },
        |said, b| said.lease = Holder::Pod(b),
    ];
    for change in cases {
        let mut world = all_wait();
        outside(&mut world, change);
        world.later(600);
        outside(&mut world, change);
        assert_eq!(world.blocked(), None);
        silent(&mut world);
        assert_eq!(world.blocked(), None);
        world.database.answer = None;
        assert_eq!(world.blocked(), None);
    }
    // One that came to wait after the question is not in the answer.
    let mut world = all_wait();
    outside(&mut world, |said, b| {
        said.sessions.remove(&b);
    });
    world.later(1);
    world.starts("b");
    world.waits("b");
    assert_eq!(world.blocked(), None);
}

/// Before 2.15 nothing but the database tells of a takeover until the boot is over.
#[test]
fn a_successor_that_the_database_knows_to_hold_the_lock_has_not_failed() {
    let said = good(&mut before_the_stop());
    let mut world = alone();
    world.want_settled(&crate::plan::tests::world::configured("2.28.0", "changed"));
    let successor = world.carry_on_until_stop();
    world.gone("a");
    world.obey();
    world.later(20);
    let holder = world.pod(&successor).id.clone();
    world.hears(Ok(Says {
        lease: Holder::Pod(holder.clone()),
        sessions: nodes([holder.clone(), holder.clone()]),
        ..said
    }));
    world.later(1);
    for minute in 0..20 {
        let acts = world.obey();
        assert!(acts.iter().all(|act| act.starts_with("label")), "{acts:?}");
        assert_eq!(world.plan().progress.step, Step::Booting);
        let told = (minute >= 10).then(|| ("ActiveBoots".to_owned(), true));
        assert_eq!(world.blocked(), told, "minute {minute}");
        world.later(60);
    }
    world.takes(&successor);
    world.carry_on();
    assert_eq!(world.memory.failed, None);
}

/// An answer of a server at this second of its clock, whose sessions that begin keep that they can't write, or may. `b` began
/// its own at the second 15.
fn spell(world: &mut World, second: i64, read_only: bool) {
    let at = |second| Timestamp::from_second(second).unwrap();
    says(world, |said, b| {
        said.begun = Beginnings {
            clock: Some(at(second)),
            read_only_is_kept: read_only,
            of: [(b, [at(15)].into())].into(),
        };
        said.read_only = read_only.then_some("default_transaction_read_only is on");
    });
}

/// Its session keeps what it began with, and the operator's own is a new one.
#[test]
fn a_standby_whose_session_began_in_a_read_only_spell_is_none_until_it_has_another() {
    let mut world = before_the_stop();
    for (second, read_only, words) in [
        (10, true, "takes no writes"),
        (20, false, "b began its session"),
        (30, false, "b began its session"),
    ] {
        spell(&mut world, second, read_only);
        assert!(!world.obey().iter().any(|act| act.starts_with("stop")));
        assert_eq!(world.blocked(), blocked("DatabaseContradicts", true));
        assert!(told(&world).contains(words), "{}", told(&world));
    }
    // It is no pod that could take over, for whoever counts those.
    let look = world.look();
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(roles.standbys().count(), 0);
    // A silence takes that back as little as another operator.
    world.later(11);
    silent(&mut world);
    assert_eq!(world.obey(), nothing());
    let noted = world.memory.read_only_spells.clone();
    assert_eq!(noted.len(), 1);
    let answer = world.database.answer.take().unwrap();
    let says = answer.before.unwrap().says;
    let heard = DatabaseAnswer::after_noted(None, &noted, world.now, Ok(says));
    world.database.answer = Some(heard);
    assert_eq!(world.obey(), nothing());
    // The pod was made anew, or its node has connected anew.
    spell(&mut world, 40, false);
    let said = world.database.answer.as_ref().unwrap().said.clone();
    let mut said = said.unwrap();
    said.begun.of.values_mut().for_each(|begun| {
        *begun = [Timestamp::from_second(35).unwrap()].into();
    });
    world.hears(Ok(said));
    assert_eq!(world.obey(), ["ready b", "stop a"]);
    assert_eq!(world.memory.read_only_spells, []);
}
