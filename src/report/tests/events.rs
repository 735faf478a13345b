//! What is told as an event, and how often.

use super::*;

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
