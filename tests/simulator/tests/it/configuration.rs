//! What ends a node before the lock, and what only after it.

use crate::support::node::Setup;
use crate::support::postgres::Database;

/// Runs to the end and returns the last line, which is the one a person needs.
#[track_caller]
fn fails(setup: &Setup, code: i32) -> String {
    let (exit, _, stderr) = setup.run(&[]);
    assert_eq!(exit, Some(code), "{stderr}");
    stderr
}

#[test]
fn before_the_lock() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let with_toml = |text: &str| Setup {
        toml: text.to_owned(),
        ..setup.again()
    };
    let with_url = |url: String| Setup {
        url,
        ..setup.again()
    };
    let cases = [
        (
            setup
                .again()
                .with_env("CHAINLINK_PORT", "tcp://10.0.0.1:6688"),
            "CHAINLINK_PORT must not be set",
        ),
        (with_toml("RootDir = 1"), "Invalid configuration: "),
        (with_toml("RootDir = "), "Invalid configuration: "),
        (with_toml("[Databas]\nx = 1"), "strict mode"),
        (
            with_toml("[Database.Lock]\nLeaseRefreshInterval = '5s'"),
            "half of LeaseDuration",
        ),
        (
            with_toml("RootDir = '/proc/chainlink'"),
            "failed to create root directory \"/proc/chainlink\": ",
        ),
        (
            setup
                .again()
                .with_env("CL_CONFIG", "[Database.Lock]\nLeaseDuration = 'abc'"),
            "must be a duration",
        ),
        (
            with_url(setup.url.replace("ThisIsALongPassword123", "short")),
            "at least 16 characters",
        ),
        (
            with_url(setup.url.replace("127.0.0.1", "no.such.host.invalid")),
            "opening db: failed to open db: ",
        ),
        (
            with_url(setup.url.replace("/node_", "/nothing_")),
            "does not exist (SQLSTATE 3D000)",
        ),
    ];
    for (setup, expected) in &cases {
        let stderr = fails(setup, 1);
        assert!(
            stderr.contains(expected),
            "wanted {expected:?}, got {stderr}"
        );
        assert!(!stderr.contains("lease"), "ended before the lock: {stderr}");
    }
    assert_eq!(
        database.sql("SELECT to_regclass('lease_lock') IS NULL"),
        "t"
    );
}

#[test]
fn after_the_lock() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let without_api = setup.run(&[
        "node",
        "-c",
        "config.toml",
        "-s",
        "secrets.toml",
        "start",
        "-p",
        "password",
    ]);
    assert_eq!(without_api.0, Some(1));
    assert!(
        without_api.2.contains("API credentials must be supplied"),
        "{}",
        without_api.2
    );
    assert_eq!(
        database.sql("SELECT expires_at <= now() FROM lease_lock"),
        "t",
        "released"
    );

    let wrong_password = setup.again().run(&[
        "node",
        "-c",
        "config.toml",
        "-s",
        "secrets.toml",
        "start",
        "-p",
        "api",
        "-a",
        "api",
    ]);
    assert_eq!(wrong_password.0, Some(1));
    assert!(
        wrong_password
            .2
            .contains("unable to decrypt encrypted key ring"),
        "{}",
        wrong_password.2
    );
}

/// 2.30 validates behind the lock: a standby with a bad configuration looks healthy until it wins.
#[test]
fn version_2_30_validates_after_the_lock() {
    let database = Database::shared();
    let setup = Setup::new("2.30.0", &database).with_env("LOG_LEVEL", "debug");
    let stderr = fails(&setup, 1);
    let report = stderr
        .find("StartUpHealthReport")
        .expect("the lock was won");
    let starting = stderr.find("Starting Chainlink Node").expect("started");
    assert!(
        report < starting && stderr.contains("LOG_LEVEL must not be set"),
        "{stderr}"
    );
}

#[test]
fn the_check_version_can_be_skipped_from_2_29_on() {
    let database = Database::shared();
    let newer = Setup::new("2.30.0", &database).start();
    newer.listens();
    drop(newer);
    database.sql("DELETE FROM lease_lock");
    let setup = Setup::new("2.29.0", &database);
    let stderr = fails(&setup, 1);
    assert!(
        stderr.contains("is lower than database version (2.30.0). Only Chainlink 2.30.0 or higher"),
        "{stderr}"
    );
    setup
        .again()
        .with_env("CL_SKIP_APP_VERSION_CHECK", "true")
        .start()
        .listens();
}

#[test]
fn validate_answers_on_stdout() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let words = [
        "node",
        "-c",
        "config.toml",
        "-c",
        "more.toml",
        "-s",
        "secrets.toml",
        "validate",
    ];
    let (code, stdout, _) = setup.run(&words);
    assert_eq!(code, Some(0));
    assert!(
        stdout.ends_with("Valid configuration.\n") && !stdout.contains("ThisIsALong"),
        "{stdout}"
    );

    let refused = Setup {
        toml: "[Database.Lock]\nLeaseDuration = '1s'".to_owned(),
        ..setup.again()
    };
    let (code, stdout, _) = refused.run(&words);
    assert_eq!(code, Some(1));
    assert!(
        stdout.contains("Invalid configuration: Database.Lock.LeaseRefreshInterval"),
        "{stdout}"
    );

    // 1.11.0 says so too, and exits 0.
    let old = Setup {
        version: "1.11.0".to_owned(),
        ..refused
    };
    let words = [
        "-c",
        "config.toml",
        "-c",
        "more.toml",
        "-s",
        "secrets.toml",
        "config",
        "validate",
    ];
    let (code, stdout, _) = old.run(&words);
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("Invalid configuration: "), "{stdout}");
}

#[test]
fn toml_on_version_1() {
    let database = Database::shared();
    let mut setup = Setup::new("1.13.3", &database);
    setup.by_env = false;
    let node = setup.start();
    node.listens();
    assert_eq!(
        database.sql("SELECT count(*) FROM lease_lock WHERE expires_at > now()"),
        "1"
    );
    assert_eq!(
        database.sql("SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = current_database()"),
        "0",
        "TOML means lease"
    );
}

#[test]
fn a_hidden_waiting_line() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let active = setup.start();
    active.listens();
    let mut standby = setup.again();
    standby.level = "warn";
    let mut standby = standby.start();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'Chainlink%'";
    crate::support::eventually("two sessions", || {
        (database.sql(sessions) == "2").then_some(())
    });
    assert_eq!(standby.lines(), Vec::<String>::new());
    standby.signal("TERM");
    assert_eq!(standby.exits(), 1);
    assert!(standby.last_line().ends_with(": stopped"));
}
