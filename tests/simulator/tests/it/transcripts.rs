//! The simulator does what the recorded nodes did: the same significant lines in the same order, the same HTTP answers,
//! the same exit codes. Waits are a fifth as long.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::eventually;
use crate::support::node::{Node, Setup};
use crate::support::postgres::{Database, Postgres};
use crate::support::probe::Probe;
use crate::support::proxy::Proxy;
use crate::support::transcript::{Recorded, every, read, significant};

/// A scenario being played beside its transcript.
struct Play {
    transcript: BTreeMap<String, Recorded>,
}

impl Play {
    fn of(name: &str) -> Self {
        Self {
            transcript: read(name),
        }
    }

    /// Compares the log and the end of a node with those of the one the transcript calls `name`.
    #[track_caller]
    fn compare(&self, name: &str, node: &mut Node, exit: i32) {
        self.compare_exit(name, node, exit);
        self.compare_lines(name, &significant(&node.lines()));
    }

    /// The same, of every line that the node logs.
    #[track_caller]
    fn compare_all(&self, name: &str, node: &mut Node, exit: i32) {
        self.compare_exit(name, node, exit);
        let recorded = &self.transcript[name].every_line;
        same(name, &every(&node.lines()), recorded);
    }

    #[track_caller]
    fn compare_exit(&self, name: &str, node: &mut Node, exit: i32) {
        assert_eq!(node.exits(), exit, "exit code of {name}");
        assert_eq!(
            self.transcript[name].exits.last(),
            Some(&exit),
            "the transcript's exit code of {name}"
        );
    }

    #[track_caller]
    fn compare_lines(&self, name: &str, simulated: &[String]) {
        same(name, simulated, &self.transcript[name].lines);
    }

    /// The recorder looked less often, so that it missed what was short: its answers have to come in ours, in order, and
    /// ours may have none it never saw (but for the temporary server's).
    #[track_caller]
    fn compare_http(&self, name: &str, probe: Probe) {
        let recorded = &self.transcript[name].http;
        for (recorded, simulated) in recorded.iter().zip(probe.end()) {
            let mut rest = simulated.iter();
            let in_order = recorded
                .iter()
                .all(|answer| rest.any(|ours| ours == answer));
            let known = simulated
                .iter()
                .all(|ours| recorded.contains(ours) || ["204", "404"].contains(&ours.as_str()));
            assert!(
                in_order && known,
                "{name}: recorded {recorded:?}, simulated {simulated:?}"
            );
        }
    }
}

#[track_caller]
fn same(name: &str, simulated: &[String], recorded: &[String]) {
    assert!(recorded.len() > 1, "nothing recorded of {name}");
    let same = simulated
        .iter()
        .zip(recorded)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    assert!(
        simulated == recorded,
        "{name} differs behind {same} lines.\n--- recorded\n{}\n--- simulated\n{}",
        recorded[same..].join("\n"),
        simulated[same..].join("\n")
    );
}

/// Scenarios 01 to 05: first boot, a standby, SIGTERM to the active, to a waiting node, SIGKILL, boot on a free lock.
fn standby_sigterm_sigkill(name: &str, setup: &Setup) {
    let play = Play::of(name);
    let probe_a = Probe::start(setup.port);
    let mut a = setup.start();
    a.listens();

    let second = setup.again();
    let probe_b = Probe::start(second.port);
    let mut b = second.start();
    b.waits(8);
    a.signal("TERM");
    play.compare("A", &mut a, 0);
    b.listens();
    probe_b.sees_the_server();
    play.compare_http("A", probe_a);

    let mut c = setup.again().start();
    c.waits(2).signal("TERM");
    play.compare("C", &mut c, 1);

    let fourth = setup.again();
    let probe_d = Probe::start(fourth.port);
    let mut d = fourth.start();
    d.waits(2);
    b.signal("KILL");
    play.compare("B", &mut b, -9);
    play.compare_http("B", probe_b);
    d.listens();
    probe_d.sees_the_server();
    d.signal("TERM");
    play.compare("D", &mut d, 0);
    play.compare_http("D", probe_d);

    let mut e = setup.again().start();
    e.listens().signal("TERM");
    play.compare("E", &mut e, 0);
}

#[test]
fn version_1_11_with_both_locks() {
    let database = Database::shared();
    let setup = Setup::new("1.11.0", &database);
    standby_sigterm_sigkill(
        "1.11.0-env-default-console-02-05-standby-sigterm-sigkill",
        &setup,
    );
}

#[test]
fn version_1_11_with_the_advisory_lock_in_json() {
    let database = Database::shared();
    let mut setup =
        Setup::new("1.11.0", &database).with_env("DATABASE_LOCKING_MODE", "advisorylock");
    setup.json = true;
    standby_sigterm_sigkill(
        "1.11.0-env-advisorylock-json-02-05-standby-sigterm-sigkill",
        &setup,
    );
}

#[test]
fn version_1_13_with_both_locks() {
    let database = Database::shared();
    let setup = Setup::new("1.13.3", &database);
    standby_sigterm_sigkill(
        "1.13.3-env-dual-console-02-05-standby-sigterm-sigkill",
        &setup,
    );
}

#[test]
fn version_2_1_with_the_lease() {
    let database = Database::shared();
    let setup = Setup::new("2.1.1", &database);
    standby_sigterm_sigkill(
        "2.1.1-toml-default-console-02-05-standby-sigterm-sigkill",
        &setup,
    );
}

#[test]
fn version_2_18_with_the_lease_in_json() {
    let database = Database::shared();
    let mut setup = Setup::new("2.18.0", &database);
    setup.json = true;
    standby_sigterm_sigkill(
        "2.18.0-toml-default-json-02-05-standby-sigterm-sigkill",
        &setup,
    );
}

/// As it was measured on 2.29.0: SIGTERM and SIGKILL to the active, SIGTERM to a waiting node.
#[test]
fn version_2_29_with_the_lease() {
    let play = Play::of("2.29.0-toml-default-console-02-05-standby-sigterm-sigkill");
    let database = Database::shared();
    let setup = Setup::new("2.29.0", &database);
    let mut a = setup.start();
    a.listens();
    let mut b = setup.again().start();
    b.waits(4);
    a.signal("TERM");
    play.compare_all("A", &mut a, 0);
    b.listens();
    let mut c = setup.again().start();
    c.waits(2);
    b.signal("KILL");
    play.compare_all("B", &mut b, -9);
    c.listens();
    let mut d = setup.again().start();
    d.waits(2).signal("TERM");
    play.compare_all("D", &mut d, 1);
    c.signal("TERM");
    play.compare_all("C", &mut c, 0);
}

#[test]
fn first_boots() {
    for (name, json) in [
        ("1.11.0-env-default-console-01-first-boot", false),
        ("2.18.0-toml-default-json-01-first-boot", true),
    ] {
        let play = Play::of(name);
        let database = Database::shared();
        let mut setup = Setup::new(name.split('-').next().unwrap(), &database);
        setup.json = json;
        // Long enough for the probe to see every server.
        setup
            .env
            .insert("SIMULATOR_BOOT".to_owned(), "700ms".to_owned());
        let probe = Probe::start(setup.port);
        let node = setup.start();
        node.listens();
        probe.sees_the_server();
        play.compare_lines("A", &significant(&node.lines()));
        play.compare_http("A", probe);
    }
}

/// Scenario 10: upgrade from 2.1.1 to 2.15.0, and 2.1.1 is refused afterwards, waiting or not.
#[test]
fn upgrade_and_refusal_of_the_old_version() {
    let play = Play::of("2.1.1-toml-default-to-2.15.0-console-10-upgrade");
    let database = Database::shared();
    let mut old_setup = Setup::new("2.1.1", &database);
    old_setup.level = "debug";
    let new_setup = Setup {
        version: "2.15.0".to_owned(),
        ..old_setup.again()
    };

    let mut old = old_setup.start();
    old.listens();
    let probe = Probe::start(new_setup.port);
    let mut new = new_setup.start();
    new.waits(8);
    old.signal("TERM");
    play.compare("OLD", &mut old, 0);
    new.listens();
    probe.sees_the_server();
    assert_eq!(database.sql("SELECT version FROM node_versions"), "2.15.0");
    assert_eq!(
        database.sql("SELECT count(*), max(version_id) FROM goose_migrations"),
        "248|247"
    );

    let mut old2 = old_setup.again().start();
    old2.waits(1);
    new.signal("TERM");
    play.compare("NEW", &mut new, 0);
    play.compare_http("NEW", probe);
    play.compare("OLD2", &mut old2, 1);
    assert_eq!(
        database.sql("SELECT expires_at <= now() FROM lease_lock"),
        "t",
        "the refused node released the lease"
    );

    let mut old3 = old_setup.again().start();
    play.compare("OLD3", &mut old3, 1);
    assert_eq!(database.sql("SELECT version FROM node_versions"), "2.15.0");
}

/// Scenario 07: the server turns read-only and back. The active stays and complains, standbys say what they always say.
#[test]
fn read_only_server() {
    let play = Play::of("2.15.0-toml-default-console-info-07-pg-readonly");
    // The whole server is switched, so it is the test's own.
    let database = Database::create(Arc::new(Postgres::own()));
    let setup = Setup::new("2.15.0", &database);
    let mut a = setup.start();
    a.listens();
    let mut b = setup.again().start();
    b.waits(2);
    let read_only = |on: &str| {
        database.postgres.sql(
            "postgres",
            &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"),
        );
        database.postgres.sql("postgres", "SELECT pg_reload_conf()");
    };
    read_only("on");
    a.says("Error trying to refresh database lease");
    let mut c = setup.again().start();
    c.waits(2).signal("TERM");
    play.compare("C", &mut c, 1);
    b.waits(32).signal("TERM");
    play.compare("B", &mut b, 1);
    read_only("off");
    // Either may win then; here B is gone.
    eventually("a live lease", || {
        (database.sql("SELECT expires_at > now() FROM lease_lock") == "t").then_some(())
    });
    a.signal("TERM");
    play.compare("A", &mut a, 0);
}

/// Scenario 12: the active's packets vanish. It stays up and answers, another takes over, and it ends when they flow.
#[test]
fn partition_of_the_active() {
    let play = Play::of("2.18.0-toml-default-console-info-12-partition-active");
    let database = Database::shared();
    let proxy = Proxy::to(database.postgres.port());
    // Slow enough for a busy machine: the second has to try four times more before the lease runs out.
    let mut setup = Setup::new("2.18.0", &database);
    (setup.lease, setup.refresh) = ("5s", "500ms");
    let mut cut_off = setup.again();
    cut_off.url = database.url_through(proxy.port);

    let mut a = cut_off.start();
    a.listens();
    let probe_a = Probe::start(cut_off.port);
    let second = setup.again();
    let probe_b = Probe::start(second.port);
    let mut b = second.start();
    b.waits(4);
    proxy.swallow(true);
    b.listens();
    probe_b.sees_the_server();
    a.says("DB connection was unexpectedly closed");
    assert!(a.is_running(), "a cut-off active does not end");
    proxy.swallow(false);
    play.compare("A", &mut a, 1);
    play.compare_http("A", probe_a);
    b.signal("TERM");
    play.compare("B", &mut b, 0);
    play.compare_http("B", probe_b);
}

/// Scenario 14: odd ends. A release that hangs, SIGTERM during the migration, SIGINT, two nodes without a lock.
#[test]
fn odd_shutdowns() {
    let play = Play::of("2.18.0-14-shutdown-odd");
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    // No refresh may be under way when the table is locked.
    let mut unhurried = setup.again();
    (unhurried.lease, unhurried.refresh) = ("10s", "5s");
    let mut a = unhurried.start();
    a.listens();
    let locked = database.lock_the_lease();
    locked.is_held();
    a.signal("TERM");
    a.exits();
    locked.end();
    play.compare("A", &mut a, 255);

    database.sql("DELETE FROM lease_lock");
    let mut a2 = setup.again().start();
    a2.listens().signal("INT");
    play.compare("A2", &mut a2, 0);

    let mut unlocked = setup.again();
    unlocked.toml = "[Database.Lock]\nEnabled=false\n".to_owned();
    let mut n1 = unlocked.start();
    n1.listens();
    let mut n2 = unlocked.again().start();
    n2.listens();
    n1.signal("TERM");
    play.compare("N1", &mut n1, 0);
    n2.signal("TERM");
    play.compare("N2", &mut n2, 0);
}

/// Scenarios 14 and 24: a migration that SIGTERM interrupts, and the start after it.
#[test]
fn interrupted_migration() {
    let play = Play::of("2.18.0-14-shutdown-odd");
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut interrupted = setup.again().with_env("SIMULATOR_MIGRATION", "20s").start();
    interrupted.says("Starting StartUpHealthReport");
    eventually("some migrations", || {
        let count = database
            .postgres
            .try_sql(&database.name, "SELECT count(*) FROM goose_migrations")?;
        (count.parse::<u32>().ok()? > 3).then_some(())
    });
    interrupted.signal("TERM");
    play.compare("BOOT1.2", &mut interrupted, 1);
    assert_eq!(
        database.sql("SELECT expires_at <= now() FROM lease_lock"),
        "t",
        "the lease was released"
    );

    let play = Play::of("2.18.0-24-restart-after-interrupted-migration");
    let mut a = setup.start();
    a.listens().signal("TERM");
    a.exits();
    let once = significant(&a.lines());
    // The transcript has two such starts behind each other.
    play.compare_lines("A", &[once.clone(), once].concat());
}
