//! What is told of the active, of its end, and of who comes after it.

use super::*;
use crate::domain::{NotReady, Revision};
use crate::plan::REFUSES;
use crate::plan::tests::world::{STANDBY_TIMEOUT, alone, configured};

#[test]
fn an_active_is_available_by_its_own_http_alone() {
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let mut told = Told::of(pair());
    for (answer, expected) in [
        (Answered::Serving, is("True", "ActiveServes")),
        (Answered::Kubelet, is("Unknown", "ActiveNotReached")),
        (Answered::Starting, is("False", "ActiveBoots")),
        (Answered::Refused, is("Unknown", "ActiveNotReached")),
    ] {
        assert_eq!(told.available(Some(answer)), expected, "{answer:?}");
    }
    assert_eq!(told.available(None), is("Unknown", "ActiveNotReached"));
}

/// Seen on real nodes: a drain ended the active of a database that takes no writes, and all was green.
#[test]
fn pods_that_wait_after_an_active_of_ours_has_ended_are_no_good_news() {
    let mut told = Told::of(pair());
    told.world.gone("a");
    told.look();
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    told.world.later(30);
    let warnings = told.texts("LockNotTaken");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let not_taken = |status: &str| (status.to_owned(), "LockNotTaken".to_owned());
    assert_eq!(told.status.phase.as_deref(), Some("Stalled"));
    assert_eq!(told.status.holder, None);
    assert_eq!(told.condition("Ready"), not_taken("False"));
    assert_eq!(told.condition("Stalled"), not_taken("True"));
    assert_eq!(told.condition("Available"), not_taken("False"));
    assert_eq!(told.condition("Redundant"), not_taken("False"));
}

/// Its log comes later than the database's word, and before 2.15 only once the boot is over.
#[test]
fn a_pod_that_has_the_lock_and_says_nothing_yet_is_named_as_its_holder() {
    let mut told = Told::of(pair());
    let b = told.world.pod("b").id.clone();
    told.world.gone("a");
    told.look();
    assert_eq!(told.status.holder, None);
    assert_eq!(told.condition("Available").1, "NoActive");
    told.world.later(1);
    told.world.hears(Ok(Says {
        lease: Holder::Pod(b.clone()),
        sessions: [(b, SessionOf::Node)].into(),
        ..Says::quiet()
    }));
    told.look();
    assert_eq!(told.status.phase.as_deref(), Some("Booting"));
    assert_eq!(told.status.holder.as_deref(), Some("b"));
    assert_eq!(told.status.active, None);
    assert_eq!(told.condition("Available").1, "ActiveBoots");
}

/// Seen on real nodes: for half a second its port refused, and the API server showed its container as running.
#[test]
fn one_crash_of_an_active_is_one_warning() {
    let mut told = Told::of(pair());
    told.world.refuses("a");
    let mut notes = Vec::new();
    let mut look = |told: &mut Told| {
        notes.extend(told.look());
        let (stalled, _) = told.condition("Stalled");
        assert_eq!(stalled, "False", "{:?}", told.status.message);
        let (ready, _) = told.condition("Available");
        (ready, told.condition("Available").1)
    };
    let refused = look(&mut told);
    assert_eq!(
        refused,
        ("Unknown".to_owned(), "ActiveNotReached".to_owned())
    );
    told.world.later(1);
    told.world.crashes("a", ExitKind::Killed, "");
    told.world.starts("a");
    look(&mut told);
    told.world.waits("a");
    told.world.later(10);
    told.world.takes("b");
    look(&mut told);
    let warnings = notes.iter().filter(|note| note.warning);
    let warnings: Vec<_> = warnings.map(|note| note.reason.as_str()).collect();
    assert_eq!(warnings, ["FailedOver"]);
}

/// No container ends, and no time limit of Kubernetes helps.
#[test]
fn a_boot_without_an_end_is_for_a_person_and_serves_nobody() {
    let mut told = Told::of(pair());
    told.world.gone("a");
    told.world.boots("b");
    told.world.takes("b");
    told.look();
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    let boots = |status: &str| (status.to_owned(), "ActiveBoots".to_owned());
    assert_eq!(told.condition("Available"), boots("False"));
    assert_eq!(told.status.phase.as_deref(), Some("Booting"));
    told.world.later(STANDBY_TIMEOUT - 1);
    assert_eq!(told.texts("ActiveBoots"), [""; 0]);
    told.world.later(1);
    let texts = told.texts("ActiveBoots");
    assert!(
        texts.len() == 1 && !texts[0].contains("works on"),
        "{texts:?}"
    );
    assert_eq!(told.condition("Stalled"), boots("True"));
    assert!(told.world.pods.iter().all(|pod| !pod.deleted));
    told.world.serves("b");
    told.look();
    assert_eq!(told.condition("Ready").0, "True");
    assert_eq!(told.condition("Available").1, "ActiveServes");
}

/// Its machine is lost, and the API server goes on showing it as running.
#[test]
fn of_an_active_whose_end_nobody_saw_only_what_is_known_is_told() {
    let mut told = Told::of(pair());
    told.world.pods = told.world.look().pods;
    let last_answer = told.world.now;
    told.world.unseen("a");
    told.world.later(12);
    told.world.takes("b");
    let notes = told.look();
    let texts = texts(notes, "FailedOver");
    let since = format!("which has not answered since {last_answer}, at most 12.0s without");
    assert!(texts.len() == 1 && texts[0].contains(&since), "{texts:?}");
    let last = told.status.last_handover.clone().unwrap();
    assert_eq!((last.gap_ms, last.gap_is_upper_bound), (Some(12_000), true));
    assert_eq!(last.started_at, last_answer);
    let made = told.world.newest();
    told.world.waits(&made);
    for _ in 0..2 {
        told.look();
        assert_eq!(told.status.phase.as_deref(), Some("OldPodOutOfReach"));
        let ready = ("False".to_owned(), "OldPodOutOfReach".to_owned());
        assert_eq!(told.condition("Ready"), ready);
        assert_eq!(told.condition("Redundant").0, "True");
        assert_eq!(told.condition("Available").0, "True");
        let message = told.status.message.clone().unwrap();
        assert!(!message.contains("still answers"), "{message}");
        told.world.later(60);
    }
    told.world.seen_again("a");
    told.look();
    assert_eq!(told.condition("Ready").1, "SuspectAnswers");
    assert_eq!(told.status.phase.as_deref(), Some("Waiting"));
}

/// An end in order is no proof that the lock was given back.
#[test]
fn a_handover_that_took_as_long_as_a_lease_is_explained() {
    for (after, lease, explained) in [
        (2, None, false),
        (10, None, true),
        (10, Some(Duration::from_secs(30)), false),
        (30, Some(Duration::from_secs(30)), true),
    ] {
        let wanted = Revision {
            lease,
            ..configured("2.28.0", "changed")
        };
        let mut world = alone();
        world.want_settled(&wanted);
        let successor = world.carry_on_until_stop();
        let mut told = Told::of(world);
        told.world.gone("a");
        told.look();
        told.world.later(after);
        told.world.takes(&successor);
        let texts = told.texts("HandedOver");
        assert_eq!(texts.len(), 1);
        let said = texts[0].contains("without giving back its lease");
        assert_eq!(said, explained, "{after}: {texts:?}");
    }
}

/// It is cut off from the database: no end, and no gap that could be known.
#[test]
fn of_an_active_that_answers_on_no_end_is_told() {
    let mut told = Told::of(pair());
    told.world.later(12);
    told.world.takes("b");
    let texts = told.texts("FailedOver");
    assert_eq!(texts, ["b (2.28.0) took over from a (2.28.0)"]);
    let last = told.status.last_handover.clone().unwrap();
    assert_eq!((last.gap_ms, last.gap_is_upper_bound), (None, false));
}

#[test]
fn an_active_whose_sidecar_is_not_ready_is_not_called_available() {
    let mut told = Told::of(pair());
    let since = told.world.now;
    told.world.pod("a").sidecar = Some(NotReady {
        since,
        why: "proxy ended with code 1".to_owned(),
    });
    told.look();
    let not_ready = |status: &str| (status.to_owned(), "SidecarNotReady".to_owned());
    assert_eq!(told.condition("Available"), not_ready("False"));
    assert_eq!(told.condition("Ready"), not_ready("False"));
    assert_eq!(told.condition("Redundant").0, "True");
    let of_pod = told.status.pods.iter().find(|pod| pod.name == "a");
    let message = of_pod.unwrap().message.clone().unwrap();
    assert!(message.contains("proxy ended with code 1"), "{message}");
    told.world.later(STANDBY_TIMEOUT);
    told.look();
    assert_eq!(told.condition("Stalled"), not_ready("True"));
    told.world.pod("a").sidecar = None;
    told.look();
    assert_eq!(told.condition("Available").1, "ActiveServes");
    assert_eq!(told.condition("Ready").0, "True");
}

#[test]
fn an_active_that_refuses_for_long_is_for_a_person() {
    let mut told = Told::of(pair());
    told.world.refuses("a");
    told.world.later(REFUSES.as_secs() - 1);
    assert_eq!(told.texts("ActiveRefuses"), [""; 0]);
    assert_eq!(told.condition("Ready").0, "False", "nobody is served");
    told.world.later(1);
    let texts = told.texts("ActiveRefuses");
    assert_eq!(texts.len(), 1);
    assert!(!texts[0].contains("works on"), "{}", texts[0]);
    assert_eq!(
        told.condition("Stalled"),
        ("True".to_owned(), "ActiveRefuses".to_owned())
    );
    assert_eq!(
        told.condition("Available"),
        ("False".to_owned(), "ActiveRefuses".to_owned())
    );
}

#[test]
fn a_restart_of_the_operator_does_not_call_the_active_into_question() {
    let mut told = Told::of(pair());
    let before = told.available(Some(Answered::Serving));
    assert_eq!(told.available(None), before);
}

#[test]
fn while_it_is_not_known_who_took_over_nobody_is_said_to_be_failing_over() {
    let mut told = Told::of(pair());
    told.world.starts("b");
    told.world.takes("b");
    told.look();
    assert_eq!(told.status.phase.as_deref(), Some("Waiting"));
    let (status, reason) = told.condition("Available");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Unknown", "OrderUnknown")
    );
}

/// Seen by somebody who watched an upgrade: it went to and fro between the two.
#[test]
fn a_handover_is_told_from_the_stop_of_the_active_on() {
    let mut world = pair();
    world.want_settled(&v2());
    let mut told = Told::of(world.standby("c", &v2()));
    assert!(told.world.pod("b").deleted);
    told.look();
    assert_eq!(told.status.phase.as_deref(), Some("Upgrading"));

    told.world.intent.policy.others_move = true;
    told.world.gone("b");
    told.look();
    let made = told.world.newest();
    told.world.waits(&made);
    told.look();
    assert_eq!(told.condition("Ready").1, "WaitingForTurn");
    assert_eq!(told.status.phase.as_deref(), Some("Upgrading"));

    told.world.intent.policy.others_move = false;
    for _ in 0..2 {
        told.look();
        assert!(told.world.pod("a").deleted);
        assert_eq!(told.status.phase.as_deref(), Some("HandingOver"));
    }
}
