//! What is refused, said, and not touched.

use super::world::{
    World, alone, blocked, configured, locked, nothing, pair, surging, v1, v2, v3, version,
};
use crate::api::SecretsSeen;
use crate::node::ExitKind;
use crate::plan::Step;

#[test]
fn another_lock_is_refused_and_nothing_is_touched() {
    let mut world = pair();
    for (lock, says) in [
        ("advisorylock on db", "to dual first"),
        ("lease on another", "or database"),
    ] {
        world.want_settled(&locked("2.29.0", lock));
        assert_eq!(world.obey(), nothing());
        assert_eq!(world.blocked(), blocked("LockDiffers", true));
        let told = world.plan().progress.blocked.unwrap().message;
        assert!(
            told.contains("replicas: 0") && told.contains(says),
            "{told}"
        );
    }
}

#[test]
fn from_one_lock_to_the_other_by_way_of_both_costs_one_handover_each() {
    let mut world = World::with(2);
    let step = |mode: &str| locked("1.13.3", &format!("{mode} on db"));
    world.want(&step("advisorylock"));
    world.carry_on();
    for (count, mode) in [(1, "dual"), (2, "lease")] {
        world.want_settled(&step(mode));
        world.carry_on();
        assert_eq!((world.handovers, world.blocked()), (count, None), "{mode}");
    }
}

#[test]
fn another_lock_is_taken_after_an_end() {
    let mut world = alone();
    let dual = locked("2.28.0", "dual on db");
    world.want_settled(&dual);
    world.intent.replicas = 0;
    assert_eq!(world.obey(), ["stop a"]);
    world.obey();
    world.gone("a");
    world.intent.replicas = 1;
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    assert_eq!(world.pod(&made).revision, Some(dual));
}

#[test]
fn a_pod_of_no_known_revision_is_not_joined() {
    let mut world = alone();
    world.pod("a").revision = None;
    world.intent.replicas = 2;
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("LockDiffers", true));
}

#[test]
fn a_downgrade_after_the_newer_version_held_is_refused_and_nothing_is_touched() {
    let mut world = World::with(2)
        .active("a", &v2())
        .standby("b", &v2())
        .wanting(&v2())
        .at_rest();
    world.want_settled(&v1());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    world.gone("b");
    assert_eq!(
        world.obey(),
        ["create 2.29.0"],
        "redundancy is repaired at the running version"
    );
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
    world.want_settled(&v3());
    world.obey();
    assert_eq!(world.blocked(), None, "forward is allowed");
}

#[test]
fn a_newer_pod_that_vanished_unseen_may_have_held_the_lock() {
    let (mut world, newer) = surging(alone());
    world.starts(&newer);
    world.obey();
    world.gone(&newer);
    world.gone("a");
    world.want_settled(&v1());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

#[test]
fn a_newer_pod_that_vanished_while_the_active_worked_has_not_held_the_lock() {
    let (mut world, newer) = surging(alone());
    world.starts(&newer);
    world.obey();
    world.gone(&newer);
    world.want_settled(&v1());
    world.obey();
    world.gone("a");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_newer_orphan_may_have_held_the_lock_too() {
    let mut world = alone();
    world = world.standby("orphan", &v2());
    world.obey();
    world.gone("orphan");
    world.gone("a");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

#[test]
fn a_first_version_whose_image_does_not_exist_may_be_lowered() {
    let mut world = World::with(1).wanting(&v2());
    world.obey();
    let first = world.newest();
    world.in_trouble(&first, "ImagePullBackOff", "not found");
    world.obey();
    world.want_settled(&v1());
    assert_eq!(world.obey(), [format!("stop {first}")]);
    world.gone(&first);
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_first_version_whose_pod_was_never_made_may_be_lowered() {
    let mut world = World::with(1).wanting(&v2());
    world.remember();
    world.want(&v1());
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_creation_that_was_refused_does_not_stand_in_the_way_of_a_newer_spec() {
    let mut world = alone();
    world.want_settled(&v2());
    world.remember();
    world.want(&v3());
    world.remember();
    world.later(5);
    assert_eq!(world.obey(), ["create 2.30.0"]);
}

#[test]
fn a_name_that_is_somebody_elses_is_passed_over() {
    let mut world = World::with(1);
    world.remember();
    let first = world.memory.creating.clone().unwrap().pod;
    assert_eq!(world.memory.pods_made, 1);
    world.taken = Some(first.clone());
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.memory.pods_made, 2);
    assert_ne!(world.newest(), first);
    let started = world.memory.may_have_held.clone().unwrap().pods;
    assert_eq!(started, [world.newest()], "the other pod never ran");
}

#[test]
fn a_creation_is_not_repeated_once_a_newer_version_has_held_the_lock() {
    let mut world = World::with(2)
        .active("a", &v1())
        .standby("b", &v2())
        .wanting(&v2());
    world.obey();
    world.later(5);
    world.want_unusable("SecretMissing", true);
    world.pods.retain(|pod| pod.id.name != "none");
    world.intent.replicas = 3;
    world.remember();
    assert!(
        world.memory.creating.is_some(),
        "a repair at v1 is intended"
    );
    world.gone("a");
    world.takes("b");
    let acts = world.obey();
    assert!(!acts.contains(&"create 2.28.0".to_owned()), "{acts:?}");
}

#[test]
fn a_pod_on_another_database_is_stopped_and_the_active_is_left_alone() {
    let mut world = pair();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let foreign = world.newest();
    world.starts(&foreign);
    world.obey();
    world.takes(&foreign);
    assert_eq!(
        world.obey(),
        nothing(),
        "the active may have lost its lease, and not know it yet"
    );
    world.later(16);
    assert_eq!(world.obey(), [format!("stop {foreign}")]);
    assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
    assert_eq!(world.labelled(), ["a"], "it gets no traffic");
    assert!(!world.pod(&foreign).gate);
    world.gone(&foreign);
    for _ in 0..5 {
        assert_eq!(world.obey(), nothing(), "the next one would do the same");
        assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
        world.later(10);
    }
    world.later(86_400);
    assert_eq!(world.obey(), nothing(), "no time heals it");
    world.intent.generation += 1;
    assert_eq!(world.obey(), nothing(), "nor does what says nothing of it");
    world.want_settled(&configured("2.28.0", "restartedAt"));
    assert_eq!(world.obey(), ["create 2.28.0"], "a person asks for a try");
    let cured = world.newest();
    world.waits(&cured);
    world.carry_on();
    assert_eq!(world.blocked(), None);
    assert_eq!(world.plan().progress.step, Step::Steady);
}

/// Where Secrets are read, and their changes only told: the one who set the URL right asks for no new revision.
#[test]
fn after_another_database_was_met_another_url_asks_for_another_try_and_another_password_for_none() {
    let (mut world, foreign) = another_database_met();
    world.gone(&foreign);
    world.later(60);
    let mut secrets = SecretsSeen {
        of: "names".to_owned(),
        content: "another password".to_owned(),
        stamp: None,
        stamped: None,
        held_until: None,
        changed: Some(world.now),
        url: Some("url".to_owned()),
        url_changed: None,
    };
    world.memory.secrets = Some(secrets.clone());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
    world.later(60);
    secrets.url_changed = Some(world.now);
    world.memory.secrets = Some(secrets);
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn after_another_database_was_met_a_persons_word_asks_for_one_more_try() {
    let (mut world, foreign) = another_database_met();
    world.gone(&foreign);
    world.later(60);
    assert_eq!(world.obey(), nothing());
    world.intent.policy.corrected = Some("monday".to_owned());
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let again = world.newest();
    world.starts(&again);
    world.obey();
    world.takes(&again);
    world.obey();
    world.later(16);
    assert_eq!(world.obey(), [format!("stop {again}")]);
    world.gone(&again);
    for word in [Some("monday"), None, Some("monday")] {
        world.intent.policy.corrected = word.map(str::to_owned);
        world.later(3600);
        assert_eq!(world.obey(), nothing(), "the same word asks once");
        assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
    }
    world.intent.policy.corrected = Some("tuesday".to_owned());
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

/// A word that was there before it was met says nothing of it.
#[test]
fn a_word_of_before_asks_for_no_try_after_another_database_was_met() {
    let mut world = World::with(2).active("a", &v1()).standby("b", &v1());
    world.intent.policy.corrected = Some("last year".to_owned());
    world = world.at_rest();
    world.starts("b");
    world.takes("b");
    world.obey();
    world.later(16);
    world.obey();
    world.gone("b");
    world.later(60);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
}

#[test]
fn after_another_database_was_met_another_revision_asks_for_another_try() {
    let mut world = pair();
    world.starts("b");
    world.takes("b");
    world.obey();
    world.later(16);
    assert_eq!(world.obey(), ["unready b", "stop b"]);
    assert_eq!(world.blocked(), blocked("DatabaseDiffers", true));
    // What still runs of the time before does not count against the spec of now.
    world.want(&v2());
    world.obey();
    assert_eq!(world.memory.database_differs, None);
    world.gone("b");
    world.carry_on();
    assert_eq!(world.blocked(), None);
}

/// `a` is at work, and another pod that took a lock without having waited has just been stopped: its name.
fn another_database_met() -> (World, String) {
    let mut world = World::with(2).active("a", &v1()).standby("b", &v1());
    world = world.at_rest();
    world.gone("b");
    world.obey();
    let foreign = world.newest();
    world.starts(&foreign);
    world.obey();
    world.takes(&foreign);
    world.obey();
    world.later(16);
    assert_eq!(world.obey(), [format!("stop {foreign}")]);
    (world, foreign)
}

#[test]
fn s8_an_operator_that_starts_leads_nobody_to_a_pod_on_another_database() {
    let (mut world, foreign) = another_database_met();
    for pod in ["a", &foreign] {
        world.unseen(pod);
    }
    world.operator_starts();
    assert_eq!(world.obey(), nothing(), "it has heard of no pod yet");
    world.seen_again(&foreign);
    assert_eq!(world.obey(), nothing(), "nor of the active");
    world.seen_again("a");
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn s8_an_operator_that_starts_stops_nothing_that_was_left_alone_for_another_database() {
    let (mut world, foreign) = another_database_met();
    world.gone(&foreign);
    let mut world = world.standby("down", &v1());
    world.crashes("down", crate::node::ExitKind::DatabaseAway, "no such host");
    world.later(20);
    let left = |world: &mut World| {
        let acts = world.obey();
        assert!(acts.iter().all(|act| !act.starts_with("stop")), "{acts:?}");
    };
    left(&mut world);
    world.unseen("a");
    world.operator_starts();
    left(&mut world);
}

#[test]
fn what_was_known_of_another_database_says_nothing_of_a_new_spec() {
    let (mut world, foreign) = another_database_met();
    world.gone(&foreign);
    let mut world = world.standby("next", &v1());
    world.obey();
    world.takes("next");
    world.obey();
    world.later(16);
    let stops = |world: &World| {
        let acts = world.plan().acts;
        acts.iter()
            .any(|act| matches!(act, crate::plan::Act::Stop(_)))
    };
    assert!(stops(&world), "it may have waited on that other database");
    world.want(&v2());
    assert!(!stops(&world), "already at the first look");
}

#[test]
fn while_a_pod_sits_on_another_database_nothing_else_is_stopped() {
    let (mut world, newer) = surging(alone());
    world.starts(&newer);
    world.takes(&newer);
    world = world.standby("waits", &v2());
    world.obey();
    world.later(16);
    assert_eq!(world.obey().last().unwrap(), &format!("stop {newer}"));
    for _ in 0..3 {
        let acts = world.obey();
        assert!(!acts.contains(&"stop a".to_owned()), "{acts:?}");
    }
}

#[test]
fn a_pod_that_took_the_free_lock_of_a_lost_active_is_not_on_another_database() {
    let mut world = alone();
    world.obey();
    world.unseen("a");
    world.later(40);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let next = world.newest();
    world.starts(&next);
    world.takes(&next);
    assert!(world.obey().contains(&format!("label {next}")));
    world.later(5);
    world.seen_again("a");
    let acts = world.obey();
    assert_eq!(
        acts,
        nothing(),
        "one of them is wrong, and nothing says which"
    );
    assert_eq!(world.blocked(), blocked("OrderUnknown", false));
    assert!(world.pod(&next).labelled_active);
    world.starts("a");
    world.waits("a");
    world.obey();
    assert_eq!(world.blocked(), None, "it was cut off from the database");
    assert_eq!(world.labelled(), [next]);
}

#[test]
fn s6_what_a_node_says_that_it_is_counts_and_not_what_the_spec_calls_it() {
    let mut world = World::with(1).active("a", &v1());
    world.pod("a").contradicting_version = Some("2.29.0".to_owned());
    world.obey();
    assert_eq!(
        world.blocked(),
        blocked("VersionDiffers", true),
        "it is told"
    );

    world.want_settled(&version("2.28.5"));
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}

#[test]
fn s6_what_a_node_says_of_the_database_counts() {
    let mut world = World::with(1).wanting(&v1());
    world.obey();
    let pod = world.newest();
    world.starts(&pod);
    let kind = ExitKind::VersionOlderThanDatabase {
        application: "2.28.0".to_owned(),
        database: "2.29.0".to_owned(),
    };
    world.crashes(&pod, kind, "CheckVersion");
    world.obey();
    assert_eq!(world.memory.newest_held.as_deref(), Some("2.29.0"));
    assert_eq!(world.blocked(), blocked("VersionWentBack", true));
}
