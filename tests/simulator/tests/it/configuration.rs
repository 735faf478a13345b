//! What ends a node before the lock, and what only after it.

use crate::support::node::Setup;
use crate::support::postgres::Database;
use crate::support::proxy::Proxy;

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
        (
            with_toml("RootDir = 1"),
            "Error running app: failed to decode config TOML: ",
        ),
        (
            with_toml("RootDir = "),
            "Error running app: failed to decode config TOML: toml: ",
        ),
        (
            with_toml("[Databas]\nx = 1"),
            "Error running app: failed to decode config TOML: 1| [Databas]\n |  ~~~~~~~ missing table\n2| x = 1\n",
        ),
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
            "config validation failed: invalid secrets: Database.URL: invalid value (*****): missing or insufficiently \
             complex password: \n\tExpected password complexity:\n",
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

/// The operator reads these words: it is tried with texts of the same shape in `src/node/exit.rs`.
#[test]
fn short_passwords_and_a_missing_right() {
    let database = Database::shared();
    let start = ["node", "-c", "config.toml", "-s", "secrets.toml", "start"];
    let with = |setup: &Setup, files: &[&str]| setup.run(&[&start, files].concat()).2;
    let setup = Setup::new("2.29.0", &database);
    let stderr = with(&setup, &["-p", "short", "-a", "api"]);
    assert!(
        stderr.contains(
            "fatal error instantiating application: error authenticating keystore: \nExpected password complexity:\n"
        ),
        "{stderr}"
    );
    assert!(
        stderr.contains("\nFaults:\n\tpassword is less than 16 characters long\n"),
        "{stderr}"
    );
    let stderr = with(&setup, &["-p", "password", "-a", "api-short"]);
    assert!(
        stderr.contains(
            "error creating api initializer: failed to instantiate new user: password insufficiently complex:\n"
        ),
        "{stderr}"
    );
    let stderr = with(&setup, &["-a", "api"]);
    assert!(
        stderr.contains("config validation failed: invalid secrets: Password.Keystore: empty"),
        "{stderr}"
    );
}

/// The first try makes the table, in the same transaction; the second one does not.
#[test]
fn a_missing_right_to_create_costs_a_try_where_the_table_is_there() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut owner = setup.start();
    owner.listens();
    owner.signal("TERM");
    assert_eq!(owner.exits(), 0);
    let role = format!("limited_{}", database.name);
    database.sql(&format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let limited = Setup {
        url: setup.url.replace("//postgres:", &format!("//{role}:")),
        level: "debug",
        ..setup.again()
    };
    let mut node = limited.start();
    node.waits(0);
    node.says("Got exclusive lease on database");
    // What it makes in the boot is the simulator's matter, not the lock's.
    node.exits();
}

/// Process 1 of a container has no default for a signal: Go's runtime exits with 2, and without a word.
#[test]
fn a_stop_in_the_first_moments() {
    let database = Database::shared();
    let proxy = Proxy::to(database.postgres.port());
    proxy.swallow(true);
    let setup = Setup {
        url: database.url_through(proxy.port),
        ..Setup::new("2.18.0", &database)
    };
    // Caught once it runs, which is within the first 0.2 s unless the machine is very busy.
    let stopped = (1..=20).find_map(|tenths| {
        let mut node = setup.again().start();
        std::thread::sleep(std::time::Duration::from_millis(10 * tenths));
        node.signal("TERM");
        // By the signal itself where it came before the program had begun.
        let code = node.try_exits(std::time::Duration::from_millis(500))?;
        (code == 2).then(|| node.lines())
    });
    assert_eq!(stopped, Some(Vec::new()), "it ends at once, silently");
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

/// `fileAPIInitializer` of `core/cmd/shell.go` (read): the file is read before it is asked whether there is a user.
#[test]
fn the_api_credentials_are_read_at_each_start_with_the_lock_held() {
    let database = Database::shared();
    for version in ["1.13.3", "2.29.0"] {
        let setup = Setup::new(version, &database);
        let with = |file: &str| {
            let words = ["node", "-c", "config.toml", "-s", "secrets.toml", "start"];
            let words = match version {
                "1.13.3" => ["-c", "config.toml", "-s", "secrets.toml", "node", "start"],
                _ => words,
            };
            let files = ["-p", "password", "-a", file];
            let setup = setup
                .again()
                .with_env("SIMULATOR_FAULTS", "crash-after-listening");
            let (code, _, stderr) = setup.run(&[&words[..], &files].concat());
            database.sql("DELETE FROM lease_lock");
            (code, stderr)
        };
        let refused = |file: &str, said: &str| {
            let (code, stderr) = with(file);
            assert_eq!(code, Some(1), "{stderr}");
            let said = format!("error creating api initializer: {said}");
            assert!(stderr.contains(&said), "{version}: {stderr}");
        };
        refused("nothing", "open nothing: no such file or directory");
        assert_eq!(
            with("api").0,
            Some(2),
            "{version} makes the user, and works"
        );

        refused("nothing", "open nothing: no such file or directory");
        refused(
            "api-one-line",
            "malformed API credentials file does not have at least two lines at api-one-line",
        );
        // Of what stands in it nothing is made any more.
        assert_eq!(with("api-short").0, Some(2), "{version} works");
        database.sql("DELETE FROM users");
        refused("api-short", "failed to instantiate new user");
    }
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
    assert_eq!(
        database.sql("SELECT expires_at > now() FROM lease_lock"),
        "t",
        "the hook that would give it back is not run"
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

/// From 2.30 on (read): another prefix, and the help of the command beside it.
#[test]
fn an_older_version_speaks_as_its_release_does() {
    let database = Database::shared();
    let newer = Setup::new("2.31.0", &database).start();
    newer.listens();
    drop(newer);
    for (version, prefix, helps) in [
        (
            "2.29.0",
            "fatal error instantiating application: CheckVersion: ",
            false,
        ),
        (
            "2.30.0",
            "failed to handle node versioning: CheckVersion: ",
            true,
        ),
    ] {
        database.sql("DELETE FROM lease_lock");
        let setup = Setup::new(version, &database);
        let (code, stdout, stderr) = setup.run(&[]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(prefix), "{version}: {stderr}");
        assert_eq!(stdout.starts_with("NAME:\n"), helps, "{version}: {stdout}");
    }
}

/// From 2.66 on (its release notes), before the lock.
#[test]
fn a_server_below_15_ends_a_node_of_2_66_and_later_before_the_lock() {
    let database = Database::shared();
    let old_server =
        |version: &str| Setup::new(version, &database).with_env("SIMULATOR_FAULTS", "postgres=14");
    let stderr = fails(&old_server("2.66.0"), 1);
    let words = "opening db: failed to open db: the minimum required Postgres server version is 15, you are running: 14";
    assert!(stderr.contains(words), "{stderr}");
    let table = "SELECT to_regclass('lease_lock') IS NULL";
    assert_eq!(database.sql(table), "t", "it has not asked for the lock");
    let skips = old_server("2.66.0")
        .with_env("SKIP_PG_VERSION_CHECK", "true")
        .start();
    skips.listens();
    drop(skips);
    database.sql("DELETE FROM lease_lock; DELETE FROM node_versions");
    old_server("2.65.0").start().listens();
}

/// By October 2026 the summary has more words before it.
#[test]
fn validate_ends_in_the_words_of_its_release() {
    let database = Database::shared();
    for (version, summary) in [
        ("2.65.0", "invalid configuration\n"),
        (
            "2.66.0",
            "Error running app: configuration validation failed: invalid configuration\n",
        ),
    ] {
        let setup = Setup::new(version, &database);
        let words = [
            "node",
            "-c",
            "config.toml",
            "-s",
            "secrets.toml",
            "validate",
        ];
        let (code, stdout, stderr) = setup.run(&words);
        assert_eq!((code, stderr.as_str()), (Some(1), summary));
        assert!(stdout.contains("Invalid configuration: "), "{stdout}");
    }
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
    let (code, stdout, stderr) = setup.run(&words);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(1), "invalid configuration\n")
    );
    let ends = "Invalid configuration: invalid secrets: Password.Keystore: empty: must be provided and non-empty\n\n";
    assert!(stdout.ends_with(ends), "{stdout}");
    let setup = setup.with_env("CL_PASSWORD_KEYSTORE", "ThisIsAKeystorePassword");
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
        stdout.contains(
            "Invalid configuration: invalid configuration: Database.Lock.LeaseRefreshInterval"
        ),
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
