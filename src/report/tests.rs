//! What people are told, as sentences. The world is that of the planner's tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pending;
mod refused;
mod update;

use std::time::Duration;

use serde_json::json;

use super::{Note, Report, Sharer, notes, status};
use crate::api::{
    ChainlinkNode, ChainlinkNodeStatus, GoingBack, Handover, OnSecretChange, SecretsSeen, Updates,
    Verification,
};
use crate::domain::{Answered, Contact, Holder, Preferred, Reason, Releases, Says, Silence};
use crate::node::ExitKind;
use crate::node::database::SessionOf;
use crate::plan::tests::world::{STANDBY_TIMEOUT, World, pair, v1, v2, version};
use crate::plan::{Blocked, Plan, REFUSES};

fn node() -> ChainlinkNode {
    serde_json::from_value(json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": "cl", "uid": "7", "generation": 1},
        "spec": {
            "version": "2.28.0",
            "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        },
    }))
    .unwrap()
}

/// A resource in its world, and the status that stands in it.
struct Told {
    world: World,
    status: ChainlinkNodeStatus,
    sharers: Vec<Sharer>,
    /// What of the configuration is overridden.
    warnings: Vec<String>,
    on_secret_change: Option<OnSecretChange>,
    backup_off: Option<&'static str>,
    /// What the API server refuses.
    refusal: Option<Blocked>,
    /// What the registry has said.
    releases: Option<Releases>,
    /// What the spec asks of it.
    updates: Option<Updates>,
}

impl Told {
    fn of(world: World) -> Self {
        let mut told = Self {
            world,
            status: ChainlinkNodeStatus::default(),
            sharers: Vec::new(),
            warnings: Vec::new(),
            on_secret_change: None,
            backup_off: Some("Database.Backup.Mode is none"),
            refusal: None,
            releases: None,
            updates: None,
        };
        told.look();
        told
    }

    /// One pass: the operator plans, writes the status, tells, and acts.
    fn look(&mut self) -> Vec<Note> {
        let plan = self.world.remember();
        let told = self.tell(&plan);
        for act in &plan.acts {
            self.world.act(act);
        }
        told
    }

    fn tell(&mut self, plan: &Plan) -> Vec<Note> {
        let mut node = node();
        node.spec.handover = self.on_secret_change.map(|on_change| Handover {
            on_secret_change: Some(on_change),
            ..Handover::default()
        });
        node.spec.updates = self.updates.clone();
        let report = Report {
            node: &node,
            seen: &self.world.look(),
            plan,
            sharers: self.sharers.clone(),
            backup_off: self.backup_off,
            refusal: self.refusal.clone(),
            releases: self.releases.clone(),
            now: self.world.now,
        };
        let new = status(&report, &self.status);
        let told = notes(&report, &self.status, &new, &self.warnings);
        self.status = new;
        told
    }

    /// One pass whose acts the second look does not permit.
    fn look_in_vain(&mut self) -> Vec<Note> {
        let plan = self.world.remember();
        self.tell(&plan)
    }

    /// Texts of the events of one reason.
    fn texts(&mut self, reason: &str) -> Vec<String> {
        texts(self.look(), reason)
    }
    /// Status and reason of a condition.
    fn condition(&self, kind: &str) -> (String, String) {
        let mut all = self.status.conditions.iter();
        let found = all.find(|condition| condition.type_ == kind).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    /// One pass of an operator that has this of the active.
    fn available(&mut self, contact: Option<Answered>) -> (String, String) {
        let at = self.world.now;
        self.world.pod("a").contact = contact.map(|answer| Contact { at, answer });
        self.world.pod("a").watched = Some(at);
        self.world.unseen("a");
        self.look();
        self.condition("Available")
    }

    fn message(&self, pod: &str) -> Option<&str> {
        let pod = self.status.pods.iter().find(|other| other.name == pod);
        pod?.message.as_deref()
    }
}

fn texts(notes: Vec<Note>, reason: &str) -> Vec<String> {
    notes
        .into_iter()
        .filter(|note| note.reason.as_str() == reason)
        .map(|note| note.text)
        .collect()
}

#[test]
fn a_dump_tool_that_is_older_than_the_server_is_warned_of_before_anything_is_stopped() {
    let warned = |backup_off, postgres| {
        let mut told = Told::of(pair());
        told.backup_off = backup_off;
        told.world.hears(Ok(Says {
            postgres,
            ..Says::quiet()
        }));
        told.look();
        told.world.want(&v2());
        let texts = told.texts("DumpToolTooOld");
        assert!(told.texts("DumpToolTooOld").is_empty(), "once");
        texts
    };
    let texts = warned(None, Some(17));
    assert_eq!(texts.len(), 1);
    let begin = "the image of 2.29.0 has pg_dump 16 as far as is known, which does not dump a PostgreSQL 17";
    assert!(texts[0].starts_with(begin), "{texts:?}");
    assert_eq!(warned(None, Some(16)), [""; 0]);
    assert_eq!(warned(None, None), [""; 0]);
    assert_eq!(
        warned(Some("Database.Backup.Mode is none"), Some(17)),
        [""; 0]
    );
}

#[test]
fn a_version_that_nobody_has_tried_runs_and_is_told_as_such() {
    let mut told = Told::of(pair());
    assert!(told.texts("VersionUnknown").is_empty());
    told.world.want(&version("2.99.0"));
    let texts = told.texts("VersionUnknown");
    assert_eq!(texts.len(), 1);
    let unknown = "2.99.0 is newer than all that this operator knows (up to 2.74)";
    assert!(texts[0].starts_with(unknown), "{texts:?}");
    assert!(told.texts("VersionUnknown").is_empty(), "once");

    told.world.later(5);
    for _ in 0..60 {
        told.look();
        told.world.progress();
        told.world.later(1);
    }
    assert_eq!(
        told.world.versions(),
        ["2.99.0", "2.99.0"],
        "it is not refused"
    );
    told.look();
    let mut conditions = told.status.conditions.iter();
    let ready = conditions.find(|one| one.type_ == "Ready").unwrap();
    assert_eq!(ready.status, "True");
    let works = " is active, 1 of 1 standbys wait for the lock; ";
    assert!(
        ready.message.contains(&format!("{works}{unknown}")),
        "{}",
        ready.message
    );
}

#[test]
fn a_change_of_version_without_a_backup_is_warned_of_once_and_before_anything_is_stopped() {
    let mut told = Told::of(pair());
    assert!(told.texts("NoBackup").is_empty());
    told.world.want(&v2());
    let notes = told.look();
    let texts = texts(notes, "NoBackup");
    assert_eq!(texts.len(), 1);
    assert!(texts[0].starts_with("2.29.0 will migrate the database without a dump before"));
    assert!(texts[0].contains("Database.Backup.Mode is none"));
    assert!(told.world.pods.iter().all(|pod| !pod.deleted));
    assert!(told.texts("NoBackup").is_empty());
}

#[test]
fn the_way_back_to_an_older_version_migrates_nothing_and_is_not_warned_of() {
    // The newer version only waits, and the spec goes back.
    let mut told = Told::of(pair());
    told.world.want_settled(&v2());
    told.look();
    let surge = told.world.newest();
    told.world.waits(&surge);
    told.look();
    told.world.want(&v1());
    assert_eq!(told.texts("NoBackup"), [""; 0]);
    let handover = told.status.handover.as_ref().unwrap();
    assert!(handover.to.starts_with("2.28.0"), "{handover:?}");

    // The newer version works: an older one is refused.
    let newer = World::with(2).active("a", &v2()).standby("b", &v2());
    let mut told = Told::of(newer.wanting(&v2()).at_rest());
    told.world.want(&v1());
    assert_eq!(told.texts("NoBackup"), [""; 0]);
    assert_eq!(told.status.handover.as_ref().unwrap().reason, "Version");
}

#[test]
fn another_resource_on_the_same_database_is_told_once_and_as_long_as_it_is_there() {
    let mut told = Told::of(pair());
    let sharer = |name: &str, sees| Sharer {
        name: name.to_owned(),
        sees,
    };
    told.sharers = vec![sharer("other/cl", true)];
    let texts = told.texts("DatabaseShared");
    assert!(texts[0].starts_with("other/cl runs pods on the same database"));
    assert_eq!(told.condition("DatabaseShared").0, "True");
    assert!(told.texts("DatabaseShared").is_empty());
    told.sharers.push(sharer("blind", false));
    let texts = told.texts("DatabaseShared");
    assert!(texts[0].starts_with("blind asks for the same database by a lock that"));
    assert!(texts[0].contains("other/cl runs pods on the same database"));
    told.sharers.clear();
    told.look();
    let mut all = told.status.conditions.iter();
    assert!(all.all(|condition| condition.type_ != "DatabaseShared"));
}

#[test]
fn the_last_words_of_a_container_that_is_started_again_at_once_are_told_once() {
    let mut told = Told::of(pair());
    told.world
        .crashes("b", ExitKind::Configuration, "invalid configuration: EVM.0");
    told.world.starts("b");
    assert_eq!(
        told.texts("NodeExited"),
        ["b ended: invalid configuration: EVM.0"]
    );
    let words = "started again after: invalid configuration: EVM.0";
    assert_eq!(told.message("b"), Some(words));
    assert_eq!(told.texts("NodeExited"), [""; 0]);
    told.world.waits("b");
    told.look();
    assert_eq!(told.message("b"), Some(words), "for a while");
    told.world.later(600);
    told.look();
    assert_eq!(told.message("b"), None);
}

#[test]
fn each_exit_is_told_even_in_the_same_words() {
    let mut told = Told::of(pair());
    for _ in 0..3 {
        told.world.crashes("b", ExitKind::Unknown, "panic: oh");
        assert_eq!(told.texts("NodeExited"), ["b ended: panic: oh"]);
        told.world.starts("b");
        assert_eq!(told.texts("NodeExited"), [""; 0], "it was told");
    }
}

#[test]
fn an_exit_that_means_nothing_is_not_told() {
    let mut told = Told::of(pair());
    told.world
        .crashes("b", ExitKind::DatabaseAway, "connection refused");
    told.world.starts("b");
    assert_eq!(told.texts("NodeExited"), [""; 0]);
    assert_eq!(told.message("b"), None);
}

#[test]
fn a_trouble_that_is_told_in_other_words_is_not_told_again() {
    let mut told = Told::of(pair());
    told.world.want_settled(&v2());
    told.look();
    let surge = told.world.newest();
    let mut events = Vec::new();
    for words in ["not found", "Back-off pulling image", "not found"] {
        told.world.in_trouble(&surge, "ImagePullBackOff", words);
        events.extend(told.texts("ImagePullBackOff"));
    }
    assert_eq!(events, [format!("{surge}: not found (a works on)")]);
}

#[test]
fn a_stop_that_the_second_look_does_not_permit_is_told_once() {
    let mut told = Told::of(pair());
    told.world.intent.replicas = 1;
    let stop = "stopping b: ";
    let first = texts(told.look_in_vain(), "StoppingPod");
    assert!(first.len() == 1 && first[0].starts_with(stop), "{first:?}");
    for _ in 0..3 {
        told.world.later(1);
        assert_eq!(texts(told.look_in_vain(), "StoppingPod"), [""; 0]);
    }
}

/// As by an edit of a ConfigMap: the resource has no new generation.
#[test]
fn a_setting_that_is_overridden_is_told_with_each_revision_that_has_it() {
    let mut told = Told::of(pair());
    told.warnings = vec!["Log.Level is overridden".to_owned()];
    assert_eq!(told.texts("SettingOverridden"), [""; 0]);
    told.world.want(&v2());
    assert_eq!(told.texts("SettingOverridden"), ["Log.Level is overridden"]);
    told.world.later(1);
    assert_eq!(told.texts("SettingOverridden"), [""; 0]);
}

/// The condition `SecretsChanged`: its status and its message.
fn secrets_changed(told: &Told) -> Option<(String, String)> {
    let mut all = told.status.conditions.iter();
    let one = all.find(|one| one.type_ == "SecretsChanged")?;
    Some((one.status.clone(), one.message.clone()))
}

/// A container reads its Secrets when it starts, and only then.
#[test]
fn a_secret_that_changes_is_told_until_every_pod_has_read_it_and_is_an_event_once() {
    let mut told = Told::of(pair());
    assert_eq!(secrets_changed(&told), None);
    told.world.memory.secrets = Some(SecretsSeen {
        of: "names".to_owned(),
        content: "new".to_owned(),
        stamp: None,
        stamped: None,
        held_until: None,
        changed: Some(told.world.now),
        url: None,
        url_changed: None,
    });
    let event = told.texts("SecretChanged");
    let (status, message) = secrets_changed(&told).expect("it is told");
    assert_eq!(status, "True");
    assert!(message.contains("a, b may run with"), "{message}");
    assert!(message.contains("set spec.restartedAt"), "{message}");
    assert_eq!(event, [message]);
    told.world.later(1);
    assert_eq!(told.texts("SecretChanged"), [""; 0], "once");

    told.world.starts("b");
    told.look();
    let (_, message) = secrets_changed(&told).expect("a has not read it");
    assert!(message.contains("a may run with"), "{message}");
    told.world.starts("a");
    told.look();
    assert_eq!(secrets_changed(&told), None);
}

#[test]
fn a_rollout_after_each_change_that_can_not_be_seen_is_told() {
    let mut told = Told::of(pair());
    told.world.database.answer = Some(crate::domain::DatabaseAnswer::after(
        None,
        told.world.now,
        Err(Silence::not_allowed()),
    ));
    told.look();
    assert_eq!(secrets_changed(&told), None);
    told.on_secret_change = Some(OnSecretChange::Rollout);
    told.look();
    let (status, message) = secrets_changed(&told).expect("it is told");
    assert_eq!(status, "Unknown");
    assert!(
        message.contains("set databaseVerification.enabled"),
        "{message}"
    );
}

#[test]
fn a_note_is_no_longer_than_an_event_may_be_and_ends_with_a_whole_letter() {
    let note = Note {
        warning: false,
        reason: Reason::NodeExited,
        action: "Watch",
        text: format!("a{}", "ü".repeat(1000)),
    };
    assert_eq!(note.short_text().len(), 1023);
}

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

/// What the database says of `a`, which is active, and `b`, which waits.
fn asked(told: &mut Told, change: impl FnOnce(&mut Says)) {
    let (a, b) = (
        told.world.pod("a").id.clone(),
        told.world.pod("b").id.clone(),
    );
    let mut said = Says {
        lease: Holder::Pod(a.clone()),
        sessions: [a, b].map(|pod| (pod, SessionOf::Node)).into(),
        ..Says::quiet()
    };
    change(&mut said);
    told.world.later(1);
    told.world.hears(Ok(said));
    told.look();
}

#[test]
fn the_lock_is_verified_only_where_the_database_was_asked_and_agrees() {
    let mut told = Told::of(pair());
    let verified = |told: &Told| {
        let (status, reason) = told.condition("LockVerified");
        format!("{status} {reason}")
    };
    assert_eq!(verified(&told), "Unknown NotAskedYet");
    asked(&mut told, |_| {});
    assert_eq!(verified(&told), "True HolderIsActive");
    asked(&mut told, |said| said.lease = Holder::Nobody);
    assert_eq!(verified(&told), "False DatabaseContradicts");
    asked(&mut told, |said| said.lease = Holder::Unseen);
    assert_eq!(verified(&told), "Unknown HolderUnknown");
    asked(&mut told, |said| {
        said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
        said.sessions.clear();
    });
    assert_eq!(verified(&told), "Unknown AddressesHidden");
    let active = told.world.pod("a").id.clone();
    asked(&mut told, |said| {
        said.sessions.retain(|pod, _| *pod == active);
    });
    assert_eq!(
        verified(&told),
        "False DatabaseContradicts",
        "b waits elsewhere"
    );

    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    assert_eq!(
        verified(&told),
        "False DatabaseContradicts",
        "what was said against it stands"
    );
    asked(&mut told, |_| {});
    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    assert_eq!(verified(&told), "Unknown NotAllowed");
    told.world.database.wanted = Verification::Never;
    told.look();
    assert_eq!(verified(&told), "Unknown NotWanted");
}

#[test]
fn an_old_answer_verifies_nothing_and_what_it_says_against_the_lock_stands() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(180);
    told.look();
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let verified = |told: &Told| told.condition("LockVerified");
    assert_eq!(verified(&told), is("True", "HolderIsActive"));
    told.world.later(1);
    told.look();
    assert_eq!(verified(&told), is("Unknown", "NotAskedLately"));
    asked(&mut told, |said| said.lease = Holder::Nobody);
    told.world.later(3600);
    told.look();
    assert_eq!(verified(&told), is("False", "DatabaseContradicts"));
}

#[test]
fn after_a_takeover_an_old_answer_is_no_reason_to_doubt_the_new_active() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(5);
    told.world.gone("a");
    told.world.takes("b");
    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    let (status, reason) = told.condition("LockVerified");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Unknown", "NotAllowed")
    );
}

/// All pods wait for a node outside.
#[test]
fn where_no_pod_could_ever_get_the_lock_the_resource_is_not_called_healthy() {
    let world = World::with(2).standby("a", &v1()).standby("b", &v1());
    let mut told = Told::of(world);
    let outside = |said: &mut Says| said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
    let conditions = |told: &Told| {
        ["Ready", "Stalled", "Available", "LockVerified"].map(|kind| told.condition(kind).0)
    };
    asked(&mut told, outside);
    assert_eq!(conditions(&told), ["True", "False", "True", "True"]);
    asked(&mut told, |said| said.lease = Holder::Unseen);
    assert_eq!(conditions(&told), ["True", "False", "True", "Unknown"]);
    let mut doubtful = told.world.clone();
    doubtful.hears(Err(Silence::not_allowed()));
    let mut silent = Told::of(doubtful);
    silent.look();
    assert_eq!(conditions(&silent), ["True", "False", "True", "Unknown"]);
    asked(&mut told, |said| {
        outside(said);
        said.missing_right = Some("to create tables");
    });
    assert_eq!(conditions(&told), ["False", "True", "Unknown", "False"]);
    let (_, reason) = told.condition("Stalled");
    assert_eq!(reason, "DatabaseContradicts");
    told.world.later(400);
    told.look();
    assert_eq!(conditions(&told), ["False", "True", "Unknown", "False"]);
    asked(&mut told, outside);
    assert_eq!(conditions(&told), ["True", "False", "True", "True"]);
    told.world.later(181);
    told.look();
    assert_eq!(
        told.condition("LockVerified"),
        ("Unknown".to_owned(), "NotAskedLately".to_owned())
    );
}

#[test]
fn an_answer_of_before_the_takeover_verifies_nothing() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(5);
    told.world.gone("a");
    told.world.takes("b");
    told.look();
    let (status, reason) = told.condition("LockVerified");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Unknown", "NotAskedYet")
    );
}

#[test]
fn a_fail_back_that_is_held_is_told_with_its_reason_and_its_time() {
    let mut told = Told::of(pair());
    let now = told.world.now;
    told.world.intent.policy.preferred = Some(Preferred {
        labels: [("zone".to_owned(), "b".to_owned())].into(),
        automatic_after: Some(Duration::from_mins(5)),
    });
    told.world.machines = Some([].into());
    told.world.memory.going_back = Some(GoingBack {
        generation: told.world.intent.generation,
        failed_at: Some(now),
        until: Some(now + Duration::from_mins(10)),
        because: Some("the last one ended in a failover".to_owned()),
        ..GoingBack::default()
    });
    told.look();
    assert_eq!(
        told.condition("Preferred"),
        ("False".to_owned(), "FailbackHeld".to_owned())
    );
    let (ready, _) = told.condition("Ready");
    assert_eq!(ready, "True", "the active is at work");
}

#[test]
fn a_standby_that_could_not_take_over_is_shown_as_what_it_is_and_counts_as_no_redundancy() {
    let mut told = Told::of(pair());
    told.look();
    assert_eq!(told.status.standbys.as_deref(), Some("1/1"));
    told.world.pod("b").contradicting_version = Some("2.30.0".to_owned());
    told.look();
    assert_eq!(told.status.standbys.as_deref(), Some("0/1"));
    let b = told.status.pods.iter().find(|pod| pod.name == "b").unwrap();
    let message = "b says that it is version 2.30.0: set spec.version to what the image holds";
    assert_eq!(b.role, "Unfit");
    assert_eq!(b.message.as_deref(), Some(message));
    let mut conditions = told.status.conditions.iter();
    let redundant = conditions.find(|told| told.type_ == "Redundant");
    let redundant = redundant.unwrap();
    assert_eq!(redundant.status, "False");
    assert_eq!(
        redundant.message,
        format!("0 of 1 standbys wait for the lock; {message}")
    );
}
