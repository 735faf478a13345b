//! What 2.29 and later do, where the versions before do something else.

use crate::support::eventually;
use crate::support::node::Setup;
use crate::support::postgres::Database;
use crate::support::transcript::{every, read};

/// Scenario 18 of 2.29.0: SIGTERM while a refresh hangs. The exit is 0, and the lease stays for its whole length.
#[test]
fn an_exit_0_that_leaves_the_lease() {
    let database = Database::shared();
    let mut setup = Setup::new("2.29.0", &database);
    setup.lease = "4s";
    let mut active = setup.start();
    active.listens();
    let locked = database.lock_the_lease();
    let hangs =
        "SELECT count(*) FROM pg_locks WHERE relation = 'lease_lock'::regclass AND NOT granted";
    eventually("a refresh hangs", || {
        (database.sql(hangs) == "1").then_some(())
    });
    active.signal("TERM");
    assert_eq!(active.exits(), 0);
    locked.end();
    let live = "SELECT expires_at > now() FROM lease_lock";
    assert_eq!(database.sql(live), "t", "nobody has given it back");

    // Errors are many lines long there, and the rest of the log is that of any other node.
    let told = |lines: &[String]| -> Vec<String> {
        let from = |line: &&String| {
            [
                "Error trying",
                "Shutting down",
                "Gracefully exiting",
                "Graceful shutdown",
            ]
            .iter()
            .any(|text| line.contains(text))
        };
        lines.iter().filter(from).cloned().collect()
    };
    let recorded = &read("2.29.0-toml-default-console-18-shutdown-locked-lease")["F1"];
    assert_eq!(recorded.exits, [0]);
    assert_eq!(told(&every(&active.lines())), told(&recorded.every_line));
}

/// Read, not measured: the handler of signals comes with the node, after the lock and the migrations.
#[test]
fn what_waits_or_migrates_ends_without_a_word_from_2_30_on() {
    let database = Database::shared();
    let last = "opening db: failed to take initial lease on database: stopped";
    for (version, tells) in [("2.29.0", true), ("2.30.0", false)] {
        let setup = Setup::new(version, &database);
        let active = setup.start();
        active.listens();
        let mut waits = setup.again().start();
        waits.waits(1).signal("TERM");
        assert_eq!(waits.exits(), 1);
        assert_eq!(waits.has("Shutting down due to"), tells, "{version}");
        assert_eq!(waits.has("Graceful shutdown time"), tells, "{version}");
        assert_eq!(waits.last_line(), last, "{version}");
        active.signal("KILL");
        drop(active);
        database.sql("DELETE FROM lease_lock");
    }
    // 2.31 brings migrations; one in the middle of them says nothing either, and one at work does.
    let setup = Setup::new("2.31.0", &database);
    let mut migrates = setup.clone().with_env("SIMULATOR_MIGRATION", "20s").start();
    migrates.says("Starting StartUpHealthReport");
    eventually("a migration", || {
        let newest = database.sql("SELECT max(version_id) FROM goose_migrations");
        (newest.parse::<u32>().unwrap() > 292).then_some(())
    });
    migrates.signal("TERM");
    assert_eq!(migrates.exits(), 1);
    assert!(!migrates.has("Shutting down due to"));
    database.sql("DELETE FROM lease_lock");
    let mut works = setup.again().start();
    works.listens().signal("TERM");
    assert_eq!(works.exits(), 0);
    assert!(works.has("Shutting down due to terminated signal received"));
}
