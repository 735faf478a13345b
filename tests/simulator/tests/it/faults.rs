//! Faults on request, most of them by the table, as a cluster test asks for them.

use crate::support::collector::Collector;
use crate::support::eventually;
use crate::support::node::Setup;
use crate::support::postgres::Database;
use crate::support::probe::get;
use crate::support::proxy::Proxy;

#[test]
fn a_crash_after_takeover_by_version() {
    let database = Database::shared();
    database.set("fault:crash-after-takeover:2.23.0", "");
    let setup = Setup::new("2.18.0", &database);
    let mut good = setup.start();
    good.listens();
    let bad = Setup {
        version: "2.23.0".to_owned(),
        ..setup.again()
    };
    let mut bad = bad.start();
    bad.waits(0);
    good.signal("TERM");
    assert_eq!((good.exits(), bad.exits()), (0, 2));
    assert_eq!(
        database.sql("SELECT expires_at > now() FROM lease_lock"),
        "t",
        "a crash releases nothing"
    );
}

/// The end is tied to the state of the database: it comes with the named migration, and again at each start after it.
#[test]
fn a_crash_at_a_migration() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut old = setup.start();
    old.listens().signal("TERM");
    assert_eq!(old.exits(), 0);
    let migrated = || database.sql("SELECT max(version_id) FROM goose_migrations");
    assert_eq!(migrated(), "256");

    database.set("fault:crash-at-migration:2.19.0", "257");
    let newer = Setup {
        version: "2.19.0".to_owned(),
        ..setup.again()
    };
    for _ in 0..2 {
        database.sql("DELETE FROM lease_lock");
        let mut newer = newer.again().start();
        assert_eq!(newer.exits(), 2);
        assert!(newer.has("crash-at-migration"));
        assert!(!newer.has("Listening"));
        assert_eq!(migrated(), "257", "of 257, 258 and 259");
    }
    database.set("fault:crash-at-migration:2.19.0", "off");
    database.sql("DELETE FROM lease_lock");
    newer.start().listens();
    assert_eq!(migrated(), "259");
}

/// The delay counts from `Listening`, however long the boot has taken.
#[test]
fn a_crash_after_listening() {
    let database = Database::shared();
    let mut node = Setup::new("2.18.0", &database)
        .with_env("SIMULATOR_FAULTS", "crash-after-listening=300ms")
        .start();
    assert_eq!(node.exits(), 2);
    assert!(node.has("Listening and serving HTTP"));
    assert!(node.last_line().contains("crash-after-listening"));
    assert_eq!(
        database.sql("SELECT expires_at > now() FROM lease_lock"),
        "t",
        "a crash releases nothing"
    );
}

/// The next start is well.
#[test]
fn a_crash_that_is_wanted_once() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut node = setup.start();
    node.listens();
    database.set("fault:crash", "once");
    assert_eq!(node.exits(), 1);
    database.sql("DELETE FROM lease_lock");
    let mut again = setup.again().start();
    again.listens().signal("TERM");
    assert_eq!(again.exits(), 0);
}

fn has_a_session(database: &Database) {
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'Chainlink%'";
    eventually("its session", || {
        (database.sql(sessions) == "1").then_some(())
    });
}

#[test]
fn never_wait() {
    let database = Database::shared();
    database.set("fault:never-wait", "");
    let mut node = Setup::new("2.18.0", &database).start();
    node.says("Starting Chainlink Node");
    has_a_session(&database);
    assert_eq!(
        database.sql("SELECT to_regclass('lease_lock') IS NULL"),
        "t"
    );
    node.signal("TERM");
    assert_eq!(node.exits(), 1);
}

/// The settings are waited for: nothing is logged or locked without them.
#[test]
fn a_slow_database_does_not_make_it_forget_its_settings() {
    let database = Database::shared();
    database.set("fault:never-wait", "");
    let proxy = Proxy::to(database.postgres.port());
    proxy.swallow(true);
    let setup = Setup {
        url: database.url_through(proxy.port),
        ..Setup::new("2.18.0", &database)
    };
    let mut node = setup.start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!node.has("Starting Chainlink Node"));
    proxy.swallow(false);
    node.says("Starting Chainlink Node");
    has_a_session(&database);
    assert_eq!(
        database.sql("SELECT to_regclass('lease_lock') IS NULL"),
        "t"
    );
    node.signal("TERM");
    assert_eq!(node.exits(), 1);
}

#[test]
fn ignore_sigterm_can_be_switched_on_and_off() {
    let database = Database::shared();
    let mut node = Setup::new("2.18.0", &database)
        .with_env("SIMULATOR_FAULTS", "ignore-sigterm")
        .start();
    node.listens().signal("TERM");
    let collector = Collector::start();
    database.set("collector", &collector.address);
    // It has read the table, and goes on working.
    eventually("ticks", || (collector.count("tick") > 5).then_some(()));
    assert!(node.is_running() && !node.has("Shutting down"));
    database.set("fault:ignore-sigterm", "off");
    eventually("an end", || {
        node.signal("TERM");
        std::thread::sleep(std::time::Duration::from_millis(20));
        node.has("Shutting down").then_some(())
    });
    assert_eq!(node.exits(), 0);
}

#[test]
fn silent_log_and_crash() {
    let database = Database::shared();
    database.set("fault:silent-log", "");
    let mut node = Setup::new("2.18.0", &database).start();
    eventually("it answers", || {
        get(node.port, "/readyz").filter(|(status, _)| *status == 200)
    });
    assert_eq!(node.lines(), Vec::<String>::new());
    database.set("fault:crash", "");
    assert_eq!(node.exits(), 1);
}

#[test]
fn http_faults() {
    let database = Database::shared();
    let setup = Setup::new("2.23.0", &database);
    let node = setup.start();
    node.listens();
    let status = |path: &str| get(node.port, path).map(|(status, _)| status);
    assert_eq!(
        (status("/health"), status("/readyz"), status("/v2/jobs")),
        (Some(200), Some(200), Some(401))
    );
    database.set("fault:failing-service", "");
    eventually("207", || (status("/health") == Some(207)).then_some(()));
    assert_eq!(
        (status("/readyz"), status("/metrics")),
        (Some(503), Some(200))
    );
    let pages: Vec<Option<u16>> = (0..25).map(|_| status("/")).collect();
    assert_eq!(
        (pages[19], pages[20], status("/readyz")),
        (Some(200), Some(429), Some(503))
    );
}

#[test]
fn slow_shutdown_exceeds_the_grace_period() {
    let database = Database::shared();
    let mut setup =
        Setup::new("2.18.0", &database).with_env("SIMULATOR_FAULTS", "slow-shutdown=1m");
    setup.toml = "ShutdownGracePeriod = '300ms'".to_owned();
    let mut node = setup.start();
    node.listens().signal("TERM");
    assert_eq!(node.exits(), 255);
    assert!(node.has("Shutdown grace period of 300ms exceeded, closing DB and exiting..."));
    assert_eq!(
        database.sql("SELECT expires_at <= now() FROM lease_lock"),
        "t",
        "the lease was released all the same"
    );
}

/// Another process on the web port: active, and without HTTP.
#[test]
fn a_taken_port() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let taken = std::net::TcpListener::bind(("0.0.0.0", setup.port)).unwrap();
    let collector = Collector::start();
    let mut node = setup
        .with_env("SIMULATOR_COLLECTOR", &collector.address)
        .start();
    node.says("Listening and serving HTTP")
        .says("[CRIT]")
        .says("address already in use");
    eventually("ticks", || (collector.count("tick") > 1).then_some(()));
    assert!(node.is_running());
    drop(taken);
}

/// An upgrade backup that fails ends the node after the lock, and leaves the database to the old version.
#[test]
fn upgrade_backups() {
    let database = Database::shared();
    let mut setup = Setup::new("2.15.0", &database);
    setup.toml = "[Database.Backup]\nMode = 'lite'".to_owned();
    let mut old = setup.start();
    old.listens().signal("TERM");
    assert_eq!(old.exits(), 0);
    let newer = Setup {
        version: "2.18.0".to_owned(),
        ..setup.again()
    };
    let mut failing = newer
        .again()
        .with_env("SIMULATOR_FAULTS", "backup-fails")
        .start();
    assert_eq!(failing.exits(), 1);
    assert!(failing.last_line().contains("pg_dump"));
    assert_eq!(database.sql("SELECT version FROM node_versions"), "2.15.0");
    let good = newer.again().start();
    good.listens();
    assert!(good.has("Upgrade backup: completed"));
}
