//! What happens without being asked for: takeovers, losses, databases that go away.

use super::world::{World, alone, blocked, configured, locked, nothing, pair, surging, v1, v2};
use crate::domain::{Holder, Says, Took};
use crate::node::ExitKind;
use crate::node::database::SessionOf;
use crate::plan::Step;
use std::collections::BTreeMap;

#[test]
fn the_standby_that_takes_over_becomes_active_and_redundancy_is_restored() {
    let mut world = pair();
    world.later(1);
    world.gone("a");
    world.takes("b");
    world.pods = world.look().pods;
    let last = world.plan().finished.unwrap();
    assert_eq!(
        (last.reason.as_str(), last.to.as_str()),
        ("Failover", "b (2.28.0)")
    );
    assert_eq!(world.obey(), ["label b", "create 2.28.0"]);
    assert_eq!(world.labelled(), ["b"]);
}

#[test]
fn a_failover_in_the_middle_of_a_rollout_goes_on_with_it() {
    let (mut world, newer) = surging(pair());
    world.waits(&newer);
    world.gone("a");
    world.takes("b");
    assert_eq!(
        world.obey(),
        [
            "label b".to_owned(),
            format!("ready {newer}"),
            "create 2.29.0".to_owned()
        ]
    );
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 1);
}

#[test]
fn a_newer_pod_that_takes_over_early_ends_the_rollout_without_a_stop_of_an_active() {
    let (mut world, newer) = surging(pair());
    world.waits(&newer);
    world.gone("a");
    world.takes(&newer);
    world.carry_on();
    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.handovers, 0);
}

#[test]
fn a_stuck_rollout_repairs_lost_redundancy_from_the_last_revision_that_worked() {
    let (mut world, stuck) = surging(pair());
    world.in_trouble(&stuck, "ImagePullBackOff", "not found");
    world.obey();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.blocked(), blocked("ImagePullBackOff", true));
    let repaired = world.newest();
    world.waits(&repaired);
    assert_eq!(world.obey(), [format!("ready {repaired}")], "and no more");
    assert_eq!(world.obey(), nothing());
}

#[test]
fn an_active_that_is_lost_before_a_rollout_that_can_not_work_is_made_again() {
    let mut world = alone();
    world.want_settled(&configured("2.28.0", "broken keystore"));
    world.gone("a");
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let broken = world.newest();
    world.starts(&broken);
    for _ in 0..4 {
        world.crashes(&broken, ExitKind::Credentials, "unable to decrypt");
    }
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let repair = world.newest();
    assert_eq!(world.pod(&repair).revision, Some(v1()));
    assert_eq!(world.blocked(), blocked("CrashLoop", true));
}

#[test]
fn a_suspect_leaves_the_service_and_is_no_redundancy() {
    let mut world = pair();
    world.later(12);
    world.takes("b");
    assert_eq!(
        world.obey(),
        ["unlabel a", "label b", "unready a", "create 2.28.0"],
        "a is cut off from the database and still answers"
    );
    assert_eq!(world.obey(), nothing(), "it is not killed");
    world.starts("a");
    world.waits("a");
    let made = world.newest();
    world.waits(&made);
    let acts = world.obey();
    assert_eq!(acts.last().unwrap(), &format!("stop {made}"), "{acts:?}");
}

/// A budget that has seen two actives goes on permitting the eviction of one: it is not told that a pod left it.
#[test]
fn no_two_pods_are_labelled_at_once_where_another_standby_won_than_was_meant_to() {
    for (meant, won) in [("b", "c"), ("c", "b")] {
        let mut world = World::with(3)
            .active("a", &v1())
            .standby("b", &v1())
            .standby("c", &v1())
            .at_rest();
        world.pod("a").labelled_active = false;
        world.pod(meant).labelled_active = true;
        world.later(1);
        world.gone("a");
        world.takes(won);
        let acts = world.obey();
        let labels = [format!("unlabel {meant}"), format!("label {won}")];
        assert_eq!(acts[..2], labels, "{acts:?}");
    }
}

#[test]
fn two_takeovers_first_seen_in_one_look_permit_nothing() {
    let mut world = World::with(2)
        .standby("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    world.takes("a");
    world.takes("b");
    for _ in 0..3 {
        let acts = world.obey();
        let permitted = acts.iter().any(|act| {
            ["stop", "label", "create"]
                .iter()
                .any(|word| act.starts_with(word))
        });
        assert!(!permitted, "{acts:?}");
        world.later(5);
    }
    assert_eq!(world.blocked().unwrap().0, "OrderUnknown");
    world.starts("a");
    world.waits("a");
    assert!(world.obey().contains(&"label b".to_owned()));
}

#[test]
fn a_takeover_whose_log_tells_nothing_leaves_the_order_unknown() {
    let mut world = pair();
    world.later(12);
    world.takes("b");
    let now = world.now;
    world.pod("b").took = Some(Took {
        at: now,
        waited: None,
    });
    world.obey();
    assert_eq!(world.blocked().unwrap().0, "OrderUnknown");
    assert_eq!(world.labelled(), ["a"]);
}

#[test]
fn all_pods_wait_so_the_holder_is_outside() {
    let world = World::with(2)
        .standby("a", &v1())
        .standby("b", &v1())
        .at_rest();
    let situation = world.plan().progress;
    assert_eq!((situation.step, situation.blocked), (Step::External, None));
}

/// It boots with the lock, and answers nothing yet.
#[test]
fn a_pod_of_which_nothing_is_known_may_have_the_lock_for_which_the_others_wait() {
    let begun = || {
        let mut world = World::with(2)
            .standby("a", &v1())
            .standby("b", &v1())
            .at_rest();
        world.intent.replicas = 1;
        world.starts("a");
        world
    };
    let mut deleted = begun();
    deleted.pod("a").deleted = true;
    let mut lost = begun();
    lost.unseen("a");
    lost.later(40);
    for (mut world, for_a_person) in [(deleted, false), (lost, true)] {
        let progress = world.plan().progress;
        assert_eq!(progress.step, Step::AwaitingTakeover);
        assert_eq!(world.blocked(), blocked("NoActive", false));
        world.later(3_600);
        assert_eq!(world.blocked(), blocked("NoActive", for_a_person));
        let waits = (world.pod("b").id.clone(), SessionOf::Node);
        world.hears(Ok(Says {
            lease: Holder::Elsewhere([10, 0, 0, 9].into()),
            sessions: [waits].into(),
            ..Says::quiet()
        }));
        assert_eq!(world.plan().progress.step, Step::External);
        world.gone("a");
        assert_eq!(world.plan().progress.step, Step::External);
    }
}

#[test]
fn standbys_of_an_outside_holder_are_upgraded_too() {
    let mut world = World::with(2)
        .standby("a", &v1())
        .standby("b", &v1())
        .at_rest();
    world.want_settled(&v2());
    assert_eq!(world.obey(), ["create 2.29.0"]);
    let made = world.newest();
    world.waits(&made);
    let acts = world.obey();
    assert_eq!(acts.last().unwrap(), "stop a");
}

#[test]
fn after_the_loss_of_the_active_no_standby_is_stopped_until_somebody_took_over() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.gone("a");
    world.intent.replicas = 1;
    assert_eq!(
        world.obey(),
        nothing(),
        "the one that is stopped may be the one that has just taken the lock"
    );
    world.later(60);
    assert_eq!(world.obey(), nothing());
    world.takes("c");
    assert_eq!(world.obey(), ["label c", "stop b"]);
}

#[test]
fn a_lost_standby_is_replaced_and_trimmed_only_when_it_is_back() {
    let mut world = pair();
    world.obey();
    world.unseen("b");
    world.later(20);
    assert_eq!(world.obey(), nothing());
    world.later(20);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.waits(&made);
    assert_eq!(world.obey(), [format!("ready {made}")]);
    world.later(20);
    assert_eq!(world.obey(), nothing(), "lost is not surplus");
    world.seen_again("b");
    assert_eq!(world.obey(), [format!("stop {made}")]);
}

#[test]
fn a_pod_that_is_never_started_again_is_on_a_lost_machine_and_is_replaced() {
    let mut world = pair();
    world.crashes("b", ExitKind::Killed, "");
    world.obey();
    world.later(300);
    assert_eq!(
        world.obey(),
        nothing(),
        "the kubelet waits for five minutes"
    );
    world.later(61);
    assert_eq!(world.obey(), ["create 2.28.0"]);
}

#[test]
fn a_lost_active_gets_a_replacement_and_is_not_stopped() {
    let mut world = pair();
    world.obey();
    world.unseen("a");
    world.later(40);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    let made = world.newest();
    world.waits(&made);
    world.obey();
    world.later(40);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.labelled(), ["a"], "nobody else has taken over");
}

#[test]
fn an_answer_after_a_spell_of_unknown_is_no_new_takeover() {
    let mut world = pair();
    world.obey();
    world.unseen("a");
    world.later(15);
    world.takes("b");
    assert!(world.obey().contains(&"label b".to_owned()));
    world.later(5);
    world.seen_again("a");
    let acts = world.obey();
    assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
    assert_eq!(world.labelled(), ["b"]);
}

#[test]
fn pods_in_back_off_after_a_database_outage_are_replaced_one_at_a_time() {
    let mut world = World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest();
    world.crashes("b", ExitKind::DatabaseAway, "connection refused");
    world.crashes("c", ExitKind::DatabaseAway, "connection refused");
    assert_eq!(world.obey(), ["unready b", "unready c"]);
    assert_eq!(world.obey(), nothing(), "the kubelet tries first");
    world.later(16);
    assert_eq!(world.obey(), ["stop b"]);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    world.gone("b");
    assert_eq!(world.obey(), nothing(), "c stays until the first is up");
    let made = world.newest();
    world.waits(&made);
    assert_eq!(world.obey(), [format!("ready {made}"), "stop c".to_owned()]);
}

/// An outage that lasts is met by ever fewer new pods, and its end at once.
#[test]
fn the_longer_a_database_is_away_the_longer_its_pods_are_left_in_back_off() {
    let mut world = pair();
    for pod in ["a", "b"] {
        world.crashes(pod, ExitKind::DatabaseAway, "connection refused");
    }
    world.obey();
    assert_eq!(world.memory.unheld_since, Some(world.now));
    // A tenth of the outage, which goes on meanwhile.
    for (outage, pause) in [(100, 15), (600, 67), (7200, 300)] {
        let mut world = world.clone();
        world.later(outage);
        for pod in ["a", "b"] {
            world.crashes(pod, ExitKind::DatabaseAway, "connection refused");
        }
        world.later(pause - 1);
        assert_eq!(world.obey(), nothing(), "{outage} s");
        world.later(1);
        assert_eq!(world.obey(), ["stop a"], "{outage} s");
    }
}

#[test]
fn an_exit_that_means_something_is_left_to_the_kubelet() {
    let mut world = pair();
    world.crashes("b", ExitKind::Configuration, "invalid configuration");
    world.obey();
    world.later(60);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked().unwrap().0, "CrashLoop");
}

#[test]
fn a_back_off_does_not_make_the_operator_forget_a_handover() {
    let mut world = alone();
    world.want_settled(&configured("2.28.0", "more"));
    world = world
        .standby("b", &configured("2.28.0", "more"))
        .standby("c", &configured("2.28.0", "more"));
    world.crashes("c", ExitKind::DatabaseAway, "connection refused");
    world.later(13);
    // c crashes while a is stopped for b.
    world.waits("c");
    assert_eq!(world.obey().last().unwrap(), "stop a");
    world.gone("a");
    world.crashes("c", ExitKind::DatabaseAway, "connection refused");
    world.crashes("c", ExitKind::DatabaseAway, "connection refused");
    world.crashes("b", ExitKind::DatabaseAway, "connection refused");
    for _ in 0..4 {
        world.obey();
        world.pods.retain(|pod| !pod.deleted);
        world.later(4);
    }
    world.obey();
    assert_eq!(world.blocked().unwrap().0, "HandoverFailed");
}

#[test]
fn pods_that_have_ended_are_tidied() {
    let mut world = pair();
    world.ends("b");
    assert_eq!(world.obey(), ["tidy b", "create 2.28.0"]);
}

#[test]
fn a_pod_killed_while_it_starts_is_made_again_under_another_name() {
    let mut world = World::with(1);
    world.obey();
    let first = world.newest();
    world.obey();
    world.gone(&first);
    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_ne!(world.newest(), first);
}

#[test]
fn a_creation_that_was_lost_is_repeated_under_the_same_name() {
    let mut world = World::with(1);
    let intent = world.remember();
    let again = world.remember();
    assert_eq!(intent.acts, again.acts);
    world.obey();
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.pods.len(), 1);
}

#[test]
fn the_gap_begins_with_the_end_of_a_container_that_was_started_again_at_once() {
    let mut world = pair();
    world.crashes("a", ExitKind::Unknown, "panic: oh");
    world.later(2);
    world.starts("a");
    world.later(1);
    world.takes("b");
    let done = world.remember().finished.unwrap();
    assert_eq!(done.gap_ms, Some(3000));
}

/// The status could not be written meanwhile, or no operator ran: another pod has had the lock since, so the look that
/// missed the old one came long after its end.
#[test]
fn an_end_that_only_a_late_look_has_missed_begins_no_gap() {
    let mut world = pair();
    world.gone("a");
    world.later(10);
    world.takes("b");
    world.later(2);
    let done = world.remember().finished.unwrap();
    assert_eq!((done.gap_ms, done.reason.as_str()), (None, "Failover"));
    assert_eq!(done.started_at, done.finished_at);
}

#[test]
fn the_service_follows_the_only_one_that_waits_as_soon_as_the_active_is_gone() {
    let mut world = pair();
    world.later(1);
    world.gone("a");
    assert_eq!(world.obey(), ["label b", "create 2.28.0"]);
}

/// `a`, of this lock, is gone, and all others wait since.
fn nobody_takes_over(lock: &str) -> World {
    let revision = locked("1.13.3", lock);
    let mut world = World::with(2)
        .wanting(&revision)
        .active("a", &revision)
        .standby("b", &revision)
        .at_rest();
    world.gone("a");
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world
}

const LOCKS: [&str; 3] = ["lease on db", "advisorylock on db", "dual on db"];

#[test]
fn pods_that_wait_after_an_active_of_ours_are_no_word_of_a_holder_outside() {
    for lock in LOCKS {
        let mut world = nobody_takes_over(lock);
        for second in 0..600 {
            world.obey();
            let progress = world.plan().progress;
            assert_eq!(progress.step, Step::AwaitingTakeover, "{lock}");
            let told = (second >= 30).then(|| ("LockNotTaken".to_owned(), true));
            assert_eq!(world.blocked(), told, "{lock}, {second} s");
            world.later(1);
        }
        let message = world.plan().progress.blocked.unwrap().message;
        assert!(message.contains("a node outside"), "{message}");
        assert!(message.contains("none of them can win"), "{message}");
        let dead = message.contains("pg_terminate_backend");
        assert_eq!(dead, lock != LOCKS[0], "a lease needs no connection");
    }
}

#[test]
fn a_holder_outside_that_the_database_names_is_good_news_after_an_active_of_ours_too() {
    for lock in LOCKS {
        let mut world = nobody_takes_over(lock);
        world.later(60);
        let sessions = world
            .pods
            .iter()
            .map(|pod| (pod.id.clone(), SessionOf::Node));
        let outside = Says {
            lease: Holder::Elsewhere([10, 0, 0, 9].into()),
            sessions: sessions.collect(),
            ..Says::quiet()
        };
        world.hears(Ok(outside.clone()));
        // The address of an advisory lock may be that of the pod that is gone.
        let named = lock != LOCKS[1];
        assert_eq!(
            world.plan().progress.step == Step::External,
            named,
            "{lock}"
        );
        assert_eq!(world.blocked().is_none(), named, "{lock}");
        world.hears(Ok(Says {
            sessions: BTreeMap::new(),
            ..outside.clone()
        }));
        assert_eq!(
            world.blocked(),
            blocked("LockNotTaken", true),
            "behind a pooler it may be anybody's"
        );
        world.hears(Ok(Says {
            read_only: Some("it is in recovery"),
            lease: Holder::Nobody,
            ..outside
        }));
        assert_eq!(world.blocked(), blocked("LockNotTaken", true));
        let message = world.plan().progress.blocked.unwrap().message;
        assert!(
            message.contains("takes no writes (it is in recovery)"),
            "{message}"
        );
    }
}

/// It alone is there, and tries once a second.
#[test]
fn a_pod_that_has_come_to_wait_a_moment_ago_may_take_the_lock_in_the_next() {
    let mut world = World::with(1).active("a", &v1()).at_rest();
    world.crashes("a", ExitKind::Unknown, "panic: oh");
    world.obey();
    world.later(300);
    world.starts("a");
    world.waits("a");
    world.obey();
    assert_eq!(world.plan().progress.step, Step::AwaitingTakeover);
    assert_eq!(world.blocked(), None);
    world.later(30);
    assert_eq!(world.blocked(), blocked("LockNotTaken", true));
}

/// `replicas: 0` in between: the node outside may have had the lock before them.
#[test]
fn in_a_new_life_pods_that_wait_have_lost_nothing() {
    let mut world = pair();
    world.intent.replicas = 0;
    world.carry_on();
    world.intent.replicas = 2;
    for _ in 0..4 {
        world.obey();
        for name in world
            .pods
            .iter()
            .map(|pod| pod.id.name.clone())
            .collect::<Vec<_>>()
        {
            world.starts(&name);
            world.waits(&name);
        }
        world.later(60);
    }
    assert_eq!(
        (world.plan().progress.step, world.blocked()),
        (Step::External, None)
    );
}

#[test]
fn a_rollout_that_is_paused_hides_no_outage() {
    let mut world = nobody_takes_over(LOCKS[0]);
    world.intent.policy.paused = true;
    world.want(&v2());
    world.obey();
    world.later(60);
    assert_eq!(world.blocked(), blocked("LockNotTaken", true));
}

#[test]
fn something_that_answers_for_every_pod_makes_no_endless_pods() {
    let mut world = pair();
    for _ in 0..20 {
        world.later(1);
        let newest = world.newest();
        if world.pod(&newest).took.is_none() {
            world.waits(&newest);
            world.takes(&newest);
        }
        world.obey();
    }
    assert!(world.pods.len() <= 4, "{}", world.pods.len());
}

#[test]
fn a_database_that_is_never_reached_is_told_in_the_nodes_words_and_in_a_status_of_bounded_length() {
    let mut world = World::with(2);
    for _ in 0..400 {
        world.obey();
        world.pods.retain(|pod| !pod.deleted);
        let names: Vec<String> = world.pods.iter().map(|pod| pod.id.name.clone()).collect();
        for name in names {
            if !world.pod(&name).running() && world.pod(&name).last_exit().is_none() {
                world.starts(&name);
                world.crashes(&name, ExitKind::DatabaseAway, "no such host");
            }
        }
        world.later(5);
    }
    assert_eq!(world.blocked(), blocked("DatabaseAway", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("no such host"), "{told}");
    let started = world.memory.may_have_held.clone().unwrap();
    assert!(started.pods.len() <= 4, "{started:?}");
}

#[test]
fn a_pod_whose_database_is_back_is_replaced_at_once() {
    let mut world = pair();
    world.crashes("b", ExitKind::DatabaseAway, "connection refused");
    if let crate::domain::Container::Down { restarts, .. } = &mut world.pod("b").container {
        *restarts = 3;
    }
    assert_eq!(world.obey(), ["unready b"]);
    world.later(2);
    let other = World::with(1).standby("c", &v1()).pod("c").clone();
    world.pods.push(other);
    world.starts("c");
    world.waits("c");
    assert!(world.obey().contains(&"stop b".to_owned()));
}

#[test]
fn an_active_that_is_not_seen_is_not_called_well() {
    let mut world = pair();
    world.pods = world.look().pods;
    world.unseen("a");
    world.later(31);
    world.obey();
    let made = world.newest();
    world.waits(&made);
    world.obey();
    assert_eq!(world.blocked(), blocked("ActiveNotSeen", false));
    world.later(601);
    assert_eq!(world.blocked(), blocked("ActiveNotSeen", true));
}

/// Its route to the database broke, and it goes on answering (measured).
#[test]
fn s9_a_pod_that_takes_the_lease_of_an_active_that_says_it_lost_it_is_the_active() {
    let mut world = alone();
    world.want_settled(&configured("2.28.0", "restarted"));
    world.obey();
    let successor = world.newest();
    let now = world.now;
    world.pod("a").lost_lease_at = Some(now);
    world.starts(&successor);
    world.takes(&successor);
    for _ in 0..60 {
        let acts = world.obey();
        assert!(!acts.contains(&format!("stop {successor}")), "{acts:?}");
        world.later(1);
    }
    assert_eq!(world.labelled(), [successor]);
    assert_eq!(world.memory.database_differs, None);
}
