//! A newer version takes the lock and ends: whether the one before may work again.
#![allow(clippy::unnecessary_wraps)] // what the database says may always be a silence

mod chance;
mod correction;
mod lost;

use std::time::Duration;

use super::world::*;
use crate::api::{Creation, FailedHow, Migrated, Verification};
use crate::domain::{Container, Holder, PodId, Reason, Revision, Says, Silence};
use crate::node::ExitKind;
use crate::plan::is_due;

const SCHEMA: Migrated = Migrated {
    highest: 247,
    applied: 240,
    columns: 1800,
};

/// What the database shows while nobody has migrated it further than the old version did.
fn says(lease: Holder) -> Says {
    Says {
        lease,
        version: Some("2.28.0".parse().unwrap()),
        schema: Some(SCHEMA),
        ..Says::quiet()
    }
}

fn id(name: &str) -> PodId {
    PodId {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

fn silence() -> Silence {
    Silence {
        reason: Reason::Unreachable,
        message: "it can't be reached".to_owned(),
    }
}

/// `a` was active and is stopped for a pod of the newer version, right after the database has said this.
fn handed_over(replicas: usize, said: &Result<Says, Silence>) -> (World, String) {
    handed_over_to(&v2(), replicas, said)
}

fn handed_over_to(
    newer: &Revision,
    replicas: usize,
    said: &Result<Says, Silence>,
) -> (World, String) {
    let mut world = World::with(replicas).active("a", &v1());
    for name in ["b", "c"].into_iter().take(replicas - 1) {
        world = world.standby(name, &v1());
    }
    let mut world = world.at_rest();
    world.want_settled(newer);
    for _ in 0..60 {
        world.hears(said.clone());
        if world.obey().contains(&"stop a".to_owned()) {
            let stop = world.memory.stopping.clone().unwrap();
            world.gone("a");
            return (world, stop.successor.unwrap());
        }
        world.progress();
        world.later(1);
    }
    panic!("nothing is handed over: {:#?}", world.plan());
}

fn said() -> Result<Says, Silence> {
    Ok(says(Holder::Pod(id("a"))))
}

/// And that has taken the lock and ended: its failed upgrade backup.
fn ended(replicas: usize) -> (World, String) {
    let (mut world, successor) = handed_over(replicas, &said());
    ends_with_the_lock(&mut world, &successor);
    (world, successor)
}

fn ends_with_the_lock(world: &mut World, name: &str) {
    if !world.pod(name).running() {
        world.starts(name);
    }
    world.takes(name);
    world.boots(name);
    world.later(1);
    world.obey();
    world.crashes(name, ExitKind::Unknown, "pg_dump failed");
    world.later(1);
    world.obey();
    world.later(1);
}

/// Obeys for some seconds, and the database answers each second as `said`; pods that are stopped go.
fn goes_on(world: &mut World, seconds: u64, said: &Result<Says, Silence>) -> Vec<String> {
    let mut acts = Vec::new();
    for _ in 0..seconds {
        world.hears(said.clone());
        let done = world.obey().into_iter();
        acts.extend(done.filter(|act| act.starts_with("stop") || act.starts_with("create")));
        world.pods.retain(|pod| !pod.deleted);
        world.later(1);
    }
    acts
}

fn free() -> Result<Says, Silence> {
    Ok(says(Holder::Nobody))
}

fn changed(change: impl FnOnce(&mut Says)) -> Result<Says, Silence> {
    let mut said = says(Holder::Nobody);
    change(&mut said);
    Ok(said)
}

fn told(world: &World) -> String {
    world.plan().progress.blocked.unwrap().message
}

fn makes_older(acts: &[String]) -> bool {
    acts.contains(&"create 2.28.0".to_owned())
}

#[test]
fn a_newer_version_that_ended_before_it_migrated_is_rolled_back_and_not_tried_again() {
    for replicas in [1, 2] {
        let (mut world, successor) = ended(replicas);
        let others: Vec<_> = world.pods.iter().map(|pod| pod.id.name.clone()).collect();
        for other in others.iter().filter(|other| **other != successor) {
            ends_with_the_lock(&mut world, other);
        }
        let acts = goes_on(&mut world, 10, &free());
        let stops = acts.iter().filter(|act| act.starts_with("stop"));
        assert_eq!(stops.count(), replicas, "{acts:?}");
        let made = acts.iter().position(|act| act == "create 2.28.0");
        let made = made.unwrap_or_else(|| panic!("{acts:?}"));
        let before = acts[..made].iter().filter(|act| act.starts_with("stop"));
        assert_eq!(before.count(), replicas, "{acts:?}");
        world.carry_on();
        assert_eq!(world.versions(), vec!["2.28.0"; replicas]);
        assert_eq!(world.blocked(), blocked("HandoverFailed", true));
        assert!(told(&world).contains("pg_dump failed"), "{}", told(&world));
        let before = world.handovers;
        world.later(86_400);
        world.carry_on();
        assert_eq!(world.handovers, before, "it is not tried again");
        assert_eq!(world.memory.upgrade, None);

        world.database.answer = None;
        world.want_settled(&configured("2.29.0", "mended"));
        world.carry_on();
        assert_eq!(world.blocked(), None);
        assert_eq!(world.versions(), vec!["2.29.0"; replicas]);
    }
}

#[test]
fn one_that_has_migrated_is_not_rolled_back_and_the_way_out_is_told() {
    type Change = fn(&mut Says);
    let cases: [(Change, &str); 4] = [
        (
            |said| {
                said.schema = Some(Migrated {
                    highest: 248,
                    ..SCHEMA
                });
            },
            "migration 248",
        ),
        (
            |said| {
                said.schema = Some(Migrated {
                    applied: 241,
                    ..SCHEMA
                });
            },
            "241 in all",
        ),
        (
            |said| {
                said.schema = Some(Migrated {
                    columns: 1801,
                    ..SCHEMA
                });
            },
            "1801 columns",
        ),
        (
            |said| said.version = Some("2.29.0".parse().unwrap()),
            "node_versions names 2.29.0",
        ),
    ];
    for (change, expected) in cases {
        let (mut world, _) = ended(1);
        let migrated = changed(change);
        let acts = goes_on(&mut world, 100, &migrated);
        assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
        let told = told(&world);
        for part in [
            expected,
            "2.28.0 is not started again",
            "database-restored-to",
        ] {
            assert!(told.contains(part), "{told}");
        }
        // A word that is taken back later does not count.
        let acts = goes_on(&mut world, 100, &free());
        assert!(!makes_older(&acts), "{acts:?}");
    }
}

#[test]
fn one_that_migrates_while_its_pods_are_removed_is_made_again() {
    type Change = fn(&mut Says);
    let cases: [Change; 2] = [
        |said| {
            said.schema = Some(Migrated {
                highest: 248,
                ..SCHEMA
            });
        },
        |said| said.version = Some("2.29.0".parse().unwrap()),
    ];
    for change in cases {
        let (mut world, successor) = ended(1);
        let acts = goes_on(&mut world, 1, &free());
        assert_eq!(acts, [format!("stop {successor}")]);
        let acts = goes_on(&mut world, 100, &changed(change));
        assert!(!makes_older(&acts), "{acts:?}");
        assert_eq!(world.versions(), ["2.29.0"]);
    }
}

#[test]
fn without_a_word_from_before_the_handover_nothing_is_rolled_back() {
    let cases: [Result<Says, Silence>; 4] = [
        Err(silence()),
        changed(|said| said.lease = Holder::Pod(id("a"))).map(|said| Says {
            schema: None,
            ..said
        }),
        changed(|said| said.lease = Holder::Pod(id("a"))).map(|said| Says {
            version: None,
            ..said
        }),
        // Nor one from before that, or of a replica.
        Err(Silence::not_allowed()),
    ];
    for before in cases {
        let (mut world, successor) = handed_over(1, &before);
        ends_with_the_lock(&mut world, &successor);
        let acts = goes_on(&mut world, 100, &free());
        assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
        assert!(told(&world).contains("was not seen"), "{}", told(&world));
    }
}

#[test]
fn a_word_that_was_old_when_the_active_was_stopped_is_none() {
    let mut world = alone();
    world.hears(said());
    world.want_settled(&v2());
    let successor = world.carry_on_until_stop();
    world.gone("a");
    ends_with_the_lock(&mut world, &successor);
    let acts = goes_on(&mut world, 100, &free());
    assert!(!makes_older(&acts), "{acts:?}");
}

#[test]
fn a_word_from_before_the_end_of_the_newer_version_counts_for_nothing() {
    let (mut world, successor) = handed_over(1, &said());
    world.hears(free());
    ends_with_the_lock(&mut world, &successor);
    let mut acts = Vec::new();
    for _ in 0..100 {
        acts.extend(world.obey());
        world.later(1);
    }
    assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
    assert!(world.blocked().unwrap().1);
}

#[test]
fn a_word_from_before_the_last_newer_pod_was_gone_makes_no_older_one() {
    let (mut world, successor) = ended(1);
    let acts = goes_on(&mut world, 1, &free());
    assert_eq!(acts, [format!("stop {successor}")]);
    let mut acts = Vec::new();
    for _ in 0..20 {
        acts.extend(world.obey());
        world.later(1);
    }
    assert_eq!(acts, nothing());
    let acts = goes_on(&mut world, 2, &free());
    assert!(makes_older(&acts), "{acts:?}");
}

#[test]
fn while_the_database_is_silent_nothing_is_removed() {
    for silent in [
        Err(silence()),
        changed(|said| said.read_only = Some("it is in recovery")),
        changed(|said| said.schema = None),
        changed(|said| said.version = None),
    ] {
        let (mut world, _) = ended(1);
        let acts = goes_on(&mut world, 100, &silent);
        assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
        assert_eq!(world.versions(), ["2.29.0"]);
    }
    let (mut world, _) = ended(1);
    world.database.wanted = Verification::Never;
    let acts = goes_on(&mut world, 100, &free());
    assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
}

#[test]
fn a_database_that_falls_silent_or_is_not_free_once_the_pods_are_gone_brings_the_newer_one_back() {
    for after in [
        Err(silence()),
        changed(|said| said.lease = Holder::Unseen),
        changed(|said| said.nodes_elsewhere = 1),
        changed(|said| said.read_only = Some("it is in recovery")),
    ] {
        let (mut world, successor) = ended(1);
        let acts = goes_on(&mut world, 1, &free());
        assert_eq!(acts, [format!("stop {successor}")]);
        // A lease that was left behind runs out.
        let acts = goes_on(&mut world, 40, &after);
        assert_eq!(acts, nothing(), "{after:?}");
        let acts = goes_on(&mut world, 10, &after);
        assert_eq!(acts, ["create 2.29.0"], "{after:?}");
        let acts = goes_on(&mut world, 100, &free());
        assert!(!makes_older(&acts), "no to and fro: {acts:?}");
    }
}

#[test]
fn a_lease_that_was_left_behind_is_waited_for() {
    let (mut world, _) = ended(1);
    goes_on(&mut world, 1, &free());
    let acts = goes_on(&mut world, 10, &Ok(says(Holder::Unseen)));
    assert_eq!(acts, nothing());
    let acts = goes_on(&mut world, 2, &free());
    assert!(makes_older(&acts), "{acts:?}");
}

/// From 2.30 on a start that fails keeps its lease for the whole length, whatever that is, and the way back waits for it: the
/// lock is not given back, and that it is not free is no sign of a migration.
#[test]
fn the_lease_that_a_failed_start_keeps_is_waited_for_to_its_end() {
    for (length, of_newer) in [(10, None), (60, Some(Duration::from_secs(60)))] {
        let newer = Revision {
            lease: of_newer,
            ..v3()
        };
        let (mut world, successor) = handed_over_to(&newer, 1, &said());
        ends_with_the_lock(&mut world, &successor);
        let left_behind = Ok(says(Holder::Unseen));
        let acts = goes_on(&mut world, length, &left_behind);
        assert_eq!(acts, [format!("stop {successor}")], "{length} s");
        let acts = goes_on(&mut world, 2, &free());
        assert!(makes_older(&acts), "{length} s: {acts:?}");
        assert_eq!(world.blocked(), blocked("HandoverFailed", true));
        assert_eq!(world.memory.upgrade, None, "it has left nothing");
    }
}

#[test]
fn a_newer_pod_that_runs_is_neither_stopped_nor_is_an_older_one_made_beside_it() {
    let (mut world, successor) = ended(2);
    let other = world.pods.iter().find(|pod| pod.id.name != successor);
    let other = other.unwrap().id.name.clone();
    let acts = goes_on(&mut world, 30, &free());
    assert_eq!(acts, [format!("stop {successor}")], "{other} waits");
    // It takes the lock, and boots.
    world.takes(&other);
    world.boots(&other);
    let acts = goes_on(&mut world, 30, &free());
    assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
    assert!(
        !acts.iter().any(|act| act.starts_with("create")),
        "{acts:?}"
    );
    // And ends as the other one did.
    world.crashes(&other, ExitKind::Unknown, "pg_dump failed");
    world.later(1);
    let acts = goes_on(&mut world, 5, &free());
    assert_eq!(acts[0], format!("stop {other}"));
    assert!(makes_older(&acts), "{acts:?}");
}

#[test]
fn a_newer_pod_that_comes_up_after_all_is_the_active() {
    let (mut world, successor) = ended(2);
    let other = world.pods.iter().find(|pod| pod.id.name != successor);
    let other = other.unwrap().id.name.clone();
    goes_on(&mut world, 3, &free());
    world.takes(&other);
    let migrated = changed(|said| {
        said.lease = Holder::Pod(id(&other));
        said.version = Some("2.29.0".parse().unwrap());
    });
    for _ in 0..100 {
        world.hears(migrated.clone());
        world.obey();
        world.progress();
        world.later(1);
    }
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.blocked(), None);
    assert_eq!(world.memory.upgrade, None);
}

#[test]
fn a_newer_pod_that_is_not_gone_yet_or_of_which_nothing_is_known_holds_the_older_one_back() {
    // Asked to stop, and there: it may have been started again meanwhile.
    let (mut world, successor) = ended(1);
    world.hears(free());
    assert_eq!(world.obey(), [format!("stop {successor}")]);
    let waits_for_it = |world: &mut World, seconds| {
        for _ in 0..seconds {
            world.hears(free());
            let acts = world.obey();
            assert!(!makes_older(&acts), "{acts:?}");
            world.later(1);
        }
    };
    waits_for_it(&mut world, 40);
    let mut late = world.clone();
    world.gone(&successor);
    let acts = goes_on(&mut world, 3, &free());
    assert!(makes_older(&acts), "{acts:?}");
    // Where it does not go, the newer one is what is left.
    waits_for_it(&mut late, 10);
    assert_eq!(late.versions(), ["2.29.0", "2.29.0"]);
    late.gone(&successor);
    let acts = goes_on(&mut late, 100, &free());
    assert!(!makes_older(&acts), "{acts:?}");

    // One that nobody knows.
    let (mut world, successor) = ended(1);
    world.pod(&successor).revision = None;
    world.pod(&successor).container = Container::Running {
        since: world.now,
        last: None,
    };
    let acts = goes_on(&mut world, 20, &free());
    assert!(!makes_older(&acts), "{acts:?}");
    assert!(world.memory.upgrade.is_some(), "it may be of the newer one");

    // One whose creation the API server may still carry out.
    let (mut world, successor) = ended(1);
    let acts = goes_on(&mut world, 1, &free());
    assert_eq!(acts, [format!("stop {successor}")]);
    world.memory.creating = Some(Creation {
        pod: "late".to_owned(),
        revision: v2().name,
        at: world.now,
    });
    for _ in 0..30 {
        world.hears(free());
        world.remember();
        world.later(1);
    }
    assert!(world.memory.creating.is_some());
    assert!(
        world.memory.upgrade.is_some(),
        "the newer one is not forgotten"
    );
}

#[test]
fn while_one_of_the_newer_pods_has_the_lock_those_that_wait_stay() {
    let (mut world, successor) = ended(3);
    let mut others = world.pods.iter().map(|pod| pod.id.name.clone());
    let other = others.find(|name| *name != successor).unwrap();
    world.takes(&other);
    world.boots(&other);
    let acts = goes_on(&mut world, 30, &free());
    assert_eq!(acts, [format!("stop {successor}")]);
}

/// The spec has gone back, and another pod of the newer version has taken the lock and migrates nothing, without an end.
#[test]
fn a_way_back_that_waits_for_long_is_for_a_person_and_nothing_is_stopped_for_it() {
    let (mut world, successor) = ended(3);
    world.want(&v1());
    let mut others = world.pods.iter().map(|pod| pod.id.name.clone());
    let other = others.find(|name| *name != successor).unwrap();
    world.takes(&other);
    world.boots(&other);
    let acts = goes_on(&mut world, 30, &free());
    assert_eq!(acts, [format!("stop {successor}")]);
    assert_eq!(world.blocked(), None);
    world.later(STANDBY_TIMEOUT);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("WayBackAwaited", true));
}

#[test]
fn a_takeover_that_no_look_has_shown_is_rolled_back_as_well() {
    let (mut world, successor) = handed_over(1, &said());
    world.obey();
    world.later(1);
    world.crashes(&successor, ExitKind::Unknown, "pg_dump failed");
    world.obey();
    assert!(world.memory.may_have_held.is_some());
    world.later(1);
    let acts = goes_on(&mut world, 5, &free());
    assert_eq!(acts[0], format!("stop {successor}"));
    assert!(makes_older(&acts), "{acts:?}");
}

#[test]
fn newer_pods_that_take_the_lock_from_each_other_are_rolled_back_as_well() {
    let (mut world, successor) = handed_over(2, &said());
    let other = world.pods.iter().find(|pod| pod.id.name != successor);
    let other = other.unwrap().id.name.clone();
    let mut next = [&successor, &other];
    world.takes(next[0]);
    world.boots(next[0]);
    world.obey();
    // Something else was stopped meanwhile, as one pod more than there should be.
    world.memory.stopping = None;
    for _ in 0..5 {
        world.later(1);
        world.crashes(next[0], ExitKind::Unknown, "pg_dump failed");
        world.takes(next[1]);
        world.boots(next[1]);
        world.starts(next[0]);
        world.waits(next[0]);
        assert_eq!(goes_on(&mut world, 1, &free()), nothing());
        assert_eq!(world.memory.failed, Some(v2().name));
        next.reverse();
    }
    world.crashes(next[0], ExitKind::Unknown, "pg_dump failed");
    world.crashes(next[1], ExitKind::Unknown, "pg_dump failed");
    let acts = goes_on(&mut world, 5, &free());
    assert!(makes_older(&acts), "{acts:?}");
}

#[test]
fn one_that_is_late_and_then_ends_is_rolled_back_as_well() {
    let (mut world, successor) = handed_over(1, &said());
    // Before 2.15 a backup runs without any server.
    for _ in 0..20 {
        world.obey();
        world.later(1);
    }
    assert_eq!(world.memory.failed_how, Some(FailedHow::Late));
    world.crashes(&successor, ExitKind::Unknown, "pg_dump failed");
    goes_on(&mut world, 2, &free());
    // A pod that was made meanwhile goes, too.
    for _ in 0..10 {
        let names: Vec<String> = world.pods.iter().map(|pod| pod.id.name.clone()).collect();
        for name in names {
            if !matches!(world.pod(&name).container, Container::Down { .. }) {
                world.crashes(&name, ExitKind::Unknown, "pg_dump failed");
            }
        }
        let acts = goes_on(&mut world, 1, &free());
        if makes_older(&acts) {
            return;
        }
    }
    panic!("{:#?}", world.plan());
}

#[test]
fn a_pause_and_an_operator_that_is_new_change_nothing_of_it() {
    let (mut world, successor) = ended(1);
    world.intent.policy.paused = true;
    let acts = goes_on(&mut world, 30, &free());
    assert_eq!(acts, nothing());
    world.intent.policy.paused = false;
    // A new operator has heard nothing yet.
    world.database.answer = None;
    assert_eq!(world.obey(), nothing());
    let acts = goes_on(&mut world, 1, &free());
    assert_eq!(acts, [format!("stop {successor}")]);
    world.database.answer = None;
    assert_eq!(world.obey(), nothing());
    // Nor is it left half way: what is lost is made again.
    world.intent.policy.paused = true;
    let acts = goes_on(&mut world, 5, &free());
    assert!(makes_older(&acts), "{acts:?}");
}

#[test]
fn the_database_is_asked_at_once_after_the_end_and_after_the_last_pod_is_gone() {
    let due = |world: &World| is_due(&world.look(), &world.plan(), world.now);
    let (mut world, successor) = handed_over(1, &said());
    world.hears(said());
    world.later(2);
    world.takes(&successor);
    world.boots(&successor);
    world.obey();
    assert!(due(&world), "it was not asked since the takeover");
    world.later(1);
    world.hears(said());
    world.later(2);
    assert!(!due(&world), "the lock moves");
    world.crashes(&successor, ExitKind::Unknown, "pg_dump failed");
    assert!(due(&world));
    world.obey();
    world.later(2);
    assert!(due(&world));
    world.hears(free());
    assert!(!due(&world), "it has said what it can");
    world.obey();
    world.later(2);
    world.gone(&successor);
    assert!(due(&world));
    let again = world.remember().again;
    assert!(again <= std::time::Duration::from_secs(1), "{again:?}");
    world.hears(Err(silence()));
    world.later(5);
    assert!(!due(&world), "it is given time");
    world.later(10);
    assert!(due(&world));
}
