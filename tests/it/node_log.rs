//! What a node's log says, line by line and in all, where no transcript shows it.

use chainlink_operator::node::{
    ExitKind, LockMode, LogEvent, LogReader, Milestone, TakeoverSign, WaitingFor, classify_exit,
    kept_lines, last_words, read_line,
};

const LEASE_WAIT: &str = "Another application is currently holding the database lease (or a \
    previous instance exited uncleanly), waiting for lease to expire...";
const ADVISORY_WAIT: &str = "Another application holds the advisory lock, waiting...";
const DENIED: &str = "ERROR: permission denied for schema public (SQLSTATE 42501)";

/// A console line, as 2.1.1 prints it, so many milliseconds after noon.
fn line(after: u32, level: &str, message: &str) -> String {
    let (seconds, millis) = (after / 1000, after % 1000);
    format!(
        "2026-11-23T12:00:{seconds:02}.{millis:03}Z [{level}] {message:<50} pg/lease_lock.go:189 \
         appID=e186b675-7354-44b7-99b1-56d44240f096 logger=RunNode "
    )
}

fn failed_try(after: u32) -> String {
    let message = format!("Error in transaction, rolling back: {DENIED}");
    line(after, "ERROR", &message)
}

fn milestones(lines: &[String]) -> (LogReader, Vec<Milestone>) {
    let mut reader = LogReader::new();
    let told = lines.iter().filter_map(|line| reader.feed(line)).collect();
    (reader, told)
}

/// It waits for the lock, as far as its log tells, and nothing speaks against it.
fn waits_now(reader: &LogReader) -> bool {
    let said = reader.summary();
    said.waited && !said.took && said.doubtful.is_none()
}

fn waits(lock: WaitingFor) -> Milestone {
    Milestone::Waits { lock }
}

fn in_vain() -> Milestone {
    Milestone::WaitsInVain {
        reason: DENIED.to_owned(),
    }
}

#[test]
fn messages_mean_what_they_say_at_their_own_level() {
    let waiting = |lock| LogEvent::Waiting { lock };
    let took = |via| LogEvent::TookLock { via };
    for (level, message, event) in [
        ("INFO", LEASE_WAIT, waiting(WaitingFor::Lease)),
        ("INFO", ADVISORY_WAIT, waiting(WaitingFor::Advisory)),
        (
            "INFO",
            "Could not get lock, retrying...",
            waiting(WaitingFor::Legacy),
        ),
        (
            "INFO",
            "Still waiting for lock...",
            waiting(WaitingFor::Legacy),
        ),
        (
            "DEBUG",
            "Using database locking mode: dual",
            LogEvent::UsesLock(LockMode::Dual),
        ),
        (
            "DEBUG",
            "Got exclusive lease on database",
            took(TakeoverSign::GotLease),
        ),
        (
            "DEBUG",
            "Got advisory lock",
            took(TakeoverSign::GotAdvisoryLock),
        ),
        (
            "INFO",
            "Listening and serving HTTP on port 6688",
            LogEvent::Listening { port: 6688 },
        ),
        (
            "INFO",
            "Listening and serving HTTP on 0.0.0.0:6688",
            LogEvent::Listening { port: 6688 },
        ),
        (
            "INFO",
            "Listening and serving HTTP on [::]:6688",
            LogEvent::Listening { port: 6688 },
        ),
        (
            "INFO",
            "Listening and serving HTTPS on 0.0.0.0:6689",
            LogEvent::Other,
        ),
        (
            "FATAL",
            "Another node has taken the advisory lock, exiting",
            LogEvent::Deposed,
        ),
        // At another level these words are somebody else's.
        ("ERROR", LEASE_WAIT, LogEvent::Other),
        ("WARN", ADVISORY_WAIT, LogEvent::Other),
        ("ERROR", "Another node has taken the lease", LogEvent::Other),
        ("INFO", "Got exclusive lease on database", LogEvent::Other),
        ("CRIT", "Chainlink booted in 2s", LogEvent::Other),
    ] {
        assert_eq!(
            read_line(&line(0, level, message)).event,
            event,
            "{level} {message}"
        );
    }
}

#[test]
fn a_line_is_taken_apart_in_every_format() {
    let console = "2026-11-23T12:00:00.000Z [INFO]  Another application holds the advisory lock, \
        waiting... pg/advisory_lock.go:99   appID=e186b675 logger=1.11.0@150ec84.RunNode.Locked ";
    let json = r#"{"level":"info","ts":"2026-11-23T12:00:00.000Z","logger":"1.11.0@150ec84.RunNode.Locked","caller":"pg/advisory_lock.go:99","msg":"Another application holds the advisory lock, waiting...","appID":"e186b675"}"#;
    let unix = json.replace(r#""2026-11-23T12:00:00.000Z""#, "1795435200.0");
    let coloured = console.replace("[INFO]", "\u{1b}[34m[INFO]\u{1b}[0m");

    for raw in [console, json, &unix, &coloured] {
        let line = read_line(raw);

        assert_eq!(
            line.time.unwrap().to_string(),
            "2026-11-23T12:00:00Z",
            "{raw}"
        );
        assert_eq!(line.version.unwrap().to_string(), "1.11.0", "{raw}");
        assert_eq!(line.app_id.as_deref(), Some("e186b675"), "{raw}");
        assert_eq!(
            line.event,
            LogEvent::Waiting {
                lock: WaitingFor::Advisory
            }
        );
        assert_eq!(line.text, ADVISORY_WAIT, "{raw}");
    }
}

#[test]
fn broken_lines_are_nothing_and_do_no_harm() {
    for raw in [
        "",
        " ",
        "{",
        r#"{"level":"info","msg":7}"#,
        r#"{"level":"info","msg":"Another application holds the adv"#,
        "[INFO] Another application holds the advisory lock, waiting...",
        "2026-11-23T12:00:00.000Z",
        "2026-11-23T12:00:00.000Z [",
        "2026-11-23T12:00:00.000Z [INFO]",
        "2026/11/23 12:00:00 ",
        "2026/11/23 12:00:00 OK ",
        "time=",
        "\u{1b}[",
        "ünïcödé\u{1b}[3",
        "OK    0001_initial.sql",
        "goose: no migrations to run. current version: 160",
    ] {
        assert_eq!(read_line(raw).event, LogEvent::Other, "{raw}");
    }
}

#[test]
fn what_is_shown_has_no_passwords() {
    let raw = line(0, "ERROR", "dial postgres://cl:hunter2@db/cl: refused");

    assert_eq!(
        read_line(&raw).text,
        "dial postgres://xxxxx@db/xxxxx: refused"
    );
}

#[test]
fn a_standby_is_known_by_its_first_waiting_line() {
    let (reader, told) = milestones(&[
        line(0, "INFO", "Starting Chainlink Node 2.1.1 at commit 6287539"),
        line(100, "INFO", LEASE_WAIT),
        line(1100, "INFO", LEASE_WAIT),
    ]);
    let summary = reader.summary();

    assert_eq!(
        told,
        [
            Milestone::Started {
                version: Some("2.1.1".parse().unwrap())
            },
            waits(WaitingFor::Lease)
        ]
    );
    assert!(waits_now(&reader));
    assert_eq!(
        summary.waiting_since.unwrap().to_string(),
        "2026-11-23T12:00:00.1Z"
    );
    assert_eq!(summary.version.as_ref().unwrap().to_string(), "2.1.1");
    assert_eq!(
        summary.app_id.as_deref(),
        Some("e186b675-7354-44b7-99b1-56d44240f096")
    );
}

#[test]
fn a_waiting_line_that_a_failed_try_made_is_a_lie() {
    let (reader, told) = milestones(&[failed_try(0), line(1, "INFO", LEASE_WAIT)]);

    assert_eq!(told, [in_vain()]);
    assert_eq!(reader.summary().doubtful.as_deref(), Some(DENIED));
    assert!(!waits_now(&reader));
}

#[test]
fn a_standby_that_the_database_starts_to_refuse_waits_in_vain_from_then_on() {
    let (reader, told) = milestones(&[
        line(0, "INFO", LEASE_WAIT),
        failed_try(1000),
        failed_try(2000),
    ]);

    assert_eq!(told, [waits(WaitingFor::Lease), in_vain()]);
    assert!(!waits_now(&reader));
}

#[test]
fn a_later_try_that_did_not_fail_clears_the_doubt() {
    let (reader, told) = milestones(&[
        failed_try(0),
        line(1, "INFO", LEASE_WAIT),
        failed_try(1000),
        line(1001, "INFO", LEASE_WAIT),
        failed_try(2000),
        line(4001, "INFO", LEASE_WAIT),
    ]);

    assert_eq!(told, [in_vain(), waits(WaitingFor::Lease)]);
    assert!(waits_now(&reader));
}

#[test]
fn an_error_of_the_active_is_no_doubt() {
    let (reader, told) = milestones(&[line(0, "INFO", "Chainlink booted in 2s"), failed_try(9000)]);

    assert_eq!(told, [Milestone::Booted]);
    assert_eq!(reader.summary().doubtful, None);
    assert!(reader.summary().took);
}

#[test]
fn the_lease_alone_does_not_make_a_dual_node_active() {
    let (reader, told) = milestones(&[
        line(0, "DEBUG", "Using database locking mode: dual"),
        line(1, "INFO", LEASE_WAIT),
        line(2, "DEBUG", "Got exclusive lease on database"),
        line(3, "INFO", ADVISORY_WAIT),
    ]);
    assert_eq!(
        told,
        [waits(WaitingFor::Lease), waits(WaitingFor::Advisory)]
    );
    assert!(waits_now(&reader));

    let mut reader = reader;
    assert_eq!(
        reader.feed(&line(4, "DEBUG", "Got advisory lock")),
        Some(Milestone::TookLock {
            via: TakeoverSign::GotAdvisoryLock
        })
    );
    assert!(!waits_now(&reader));
}

#[test]
fn who_has_the_lock_never_waits_again() {
    let (reader, told) = milestones(&[
        line(0, "INFO", "Chainlink booted in 2s"),
        line(1, "INFO", LEASE_WAIT),
    ]);

    assert_eq!(told, [Milestone::Booted]);
    assert!(!reader.summary().waited);
}

#[test]
fn a_standby_that_was_asked_to_stop_tells_it_once() {
    let asked = |after| {
        let words = "Shutting down due to terminated signal received...";
        line(after, "INFO", words)
    };
    let (_, told) = milestones(&[line(0, "INFO", LEASE_WAIT), asked(1), asked(2)]);

    assert_eq!(told, [waits(WaitingFor::Lease), Milestone::ShuttingDown]);
}

#[test]
fn last_words_are_the_plain_text_at_the_end() {
    let shutting_down = line(
        0,
        "INFO",
        "Shutting down due to terminated signal received...",
    );
    let words = "opening db: failed to take initial lease on database: stopped";
    for graceful in [
        "2026/11/23 18:02:56 Graceful shutdown time: 204.32µs",
        r#"time=2026-11-23T18:12:00.955Z level=INFO msg="Graceful shutdown time: 189.612µs""#,
    ] {
        assert_eq!(
            last_words(&[&shutting_down, graceful, words]).as_deref(),
            Some(words)
        );
        assert_eq!(
            last_words(&[&shutting_down, words, graceful, ""]).as_deref(),
            Some(words)
        );
    }
}

#[test]
fn last_words_are_read_behind_the_kubelets_time() {
    let tail = [
        "2026-11-23T18:02:56.484000001Z 2026-11-23T18:02:56.483Z [ERROR] earlier a/b.go:1 ",
        "2026-11-23T18:02:56.485000001Z opening db: connection refused",
    ];

    assert_eq!(
        last_words(&tail).as_deref(),
        Some("opening db: connection refused")
    );
}

/// From 2.30 on (read): the command line prints its help where what comes before a command has failed.
#[test]
fn a_help_text_is_nobodys_last_words() {
    let help = [
        "NAME:",
        "   chainlink node start - Run the Chainlink node",
        "",
        "USAGE:",
        "   chainlink node start [command options] [arguments...]",
        "",
        "GLOBAL OPTIONS:",
        "   --password value, -p value  text file holding the password for the node's account",
        "",
    ];
    let waited = line(0, "INFO", LEASE_WAIT);
    for (words, kind) in [
        (
            "failed to handle node versioning: CheckVersion: Application version (2.30.0) is lower than database version (2.31.0). Only Chainlink 2.31.0 or higher can be run on this database",
            ExitKind::VersionOlderThanDatabase {
                application: "2.30.0".to_owned(),
                database: "2.31.0".to_owned(),
            },
        ),
        (
            "opening db: failed to open db: the minimum required Postgres server version is 15, you are running: 14",
            ExitKind::PostgresTooOld,
        ),
    ] {
        let before: Vec<&str> = [waited.as_str()]
            .into_iter()
            .chain(help)
            .chain([words])
            .collect();
        let after: Vec<&str> = [waited.as_str(), words].into_iter().chain(help).collect();
        for tail in [before, after] {
            assert_eq!(last_words(&tail).as_deref(), Some(words));
        }
        assert_eq!(classify_exit(1, None, Some(words)), kind);
    }
}

#[test]
fn last_words_of_several_lines_are_kept_together() {
    let tail = [
        "Invalid configuration: invalid configuration: 2 errors:",
        "\t- P2P.V2.Enabled: invalid value (false): must be true",
        "\t- EVM.0.ChainID: missing: required for all chains",
    ];

    assert_eq!(
        last_words(&tail).as_deref(),
        Some(
            "Invalid configuration: invalid configuration: 2 errors: - P2P.V2.Enabled: invalid \
             value (false): must be true - EVM.0.ChainID: missing: required for all chains"
        )
    );
}

#[test]
fn a_stack_trace_is_nobodys_last_words() {
    let error = line(
        0,
        "FATAL",
        "Another node has taken the lease, exiting immediately",
    );
    let tail = [
        error.as_str(),
        "leaseLock#GetLease failed",
        "github.com/smartcontractkit/chainlink/v2/core/services/pg.(*leaseLock).loop",
        "\t/chainlink/lease_lock.go:229 version=2.18.0@fb7d6e8 ",
    ];
    assert_eq!(
        last_words(&tail).as_deref(),
        Some("Another node has taken the lease, exiting immediately")
    );

    let panic = [
        "panic: runtime error: invalid memory address",
        "",
        "goroutine 1 [running]:",
        "main.main()",
        "\t/chainlink/main.go:12 +0x1d",
    ];
    assert_eq!(last_words(&panic).as_deref(), Some(panic[0]));
}

#[test]
fn failing_plain_text_the_last_error_speaks_then_the_last_line() {
    let error = line(
        0,
        "CRIT",
        "Shutdown grace period of 5s exceeded, closing DB and exiting...",
    );
    let info = line(1, "INFO", "Exited all services");

    assert_eq!(
        last_words(&[&error, &info]).as_deref(),
        Some("Shutdown grace period of 5s exceeded, closing DB and exiting...")
    );
    assert_eq!(last_words(&[&info]).as_deref(), Some("Exited all services"));
    assert_eq!(last_words(&["", " "]), None);
    assert_eq!(last_words(&[]), None);
}

#[test]
fn a_node_that_ended_while_it_waited_has_no_last_words() {
    let error = "2026-11-23T18:02:20.433Z [ERROR] something from before   pg/x.go:1  version=2.18.0@fb7d6e8";
    let waits = "2026-11-23T18:02:26.433Z [INFO]  Another application is currently holding the \
                 database lease (or a previous instance exited uncleanly), waiting for lease to \
                 expire...  pg/lease_lock.go:117  version=2.18.0@fb7d6e8";
    assert_eq!(last_words(&[error, waits]), None);
    assert!(last_words(&[waits, error]).is_some());
}

#[test]
fn last_words_hide_passwords_and_are_short() {
    let long = format!(
        "opening db: postgres://cl:hunter2@db/cl {}",
        "x".repeat(5000)
    );
    let words = last_words(&[&long]).unwrap();

    assert!(
        words.starts_with("opening db: postgres://xxxxx@db/xxxxx x"),
        "{words}"
    );
    assert_eq!(words.chars().count(), 1001);
}

#[test]
fn the_cause_below_a_line_that_announces_it_is_told() {
    // As 2.29.0 was seen to print it, and with the cause in a line of its own.
    for (tail, told) in [
        (
            vec![
                "Error running app: failed to decode config TOML: 1| RootDir = '/chainlink/B/root'",
                "2| Nonsense = 1",
                " | ~~~~~~~~ missing field",
                "3| [WebServer]",
                "4| ListenIP='127.0.0.1'",
            ],
            "failed to decode config TOML: line 2, Nonsense: missing field",
        ),
        (
            vec![
                "Error running app: failed to decode config TOML:",
                "toml: key Level is already defined",
            ],
            "failed to decode config TOML: toml: key Level is already defined",
        ),
    ] {
        assert_eq!(last_words(&tail).as_deref(), Some(told));
    }
}

/// As go-toml 2.2.4 prints it behind the words of `core/services/chainlink/config_general.go`.
const UNKNOWN_KEYS: &str = "failed to decode secrets TOML: 1| [Database]
2| URL = 'postgresql://u:hunter2hunter2hunter2@db/cl'
3| AllowSimplePassword = true
 | ~~~~~~~~~~~~~~~~~~~ missing field
4| BackupURI = 'hunter2'
5|
6| [Passwords]
---
1| [Database]
2| URL = 'postgresql://u:hunter2hunter2hunter2@db/cl'
3| AllowSimplePassword = true
4| BackupURI = 'hunter2'
 | ~~~~~~~~~ missing field
5|
6| [Passwords]
7| Keystore = 'T.tLHkcmwePT'
---
3| AllowSimplePassword = true
4| BackupURI = 'hunter2'
5|
6| [Passwords]
 |  ~~~~~~~~~ missing table
7| Keystore = 'T.tLHkcmwePT'
8| VRF = 'geheim'
";
const UNKNOWN_KEYS_TOLD: &str = "failed to decode secrets TOML: line 3, AllowSimplePassword: missing field; \
    line 4, BackupURI: missing field; line 6, Passwords: missing table";

#[test]
fn a_mistake_in_a_secrets_file_is_told_and_nothing_of_the_file() {
    let logged = line(0, "INFO", "something of before");
    for start in [
        "Error running app: ",
        "2026/11/23 18:02:27 Error running app: ",
        "",
    ] {
        let text = format!("{logged}\n{start}{UNKNOWN_KEYS}");
        let tail: Vec<&str> = text.lines().collect();
        let words = last_words(&tail).unwrap();
        assert_eq!(words, UNKNOWN_KEYS_TOLD);
        assert_eq!(
            classify_exit(1, None, Some(&words)),
            ExitKind::Configuration
        );
        for line in tail {
            let shown = read_line(line).text;
            for secret in ["hunter2", "T.tLH", "geheim"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[test]
fn nothing_of_a_file_is_told_wherever_the_log_was_cut() {
    let text = format!("Error running app: {UNKNOWN_KEYS}");
    let lines: Vec<&str> = text.lines().collect();
    for start in 0..lines.len() {
        let words = last_words(&lines[start..]).unwrap_or_default();
        for secret in ["hunter2", "T.tLH", "geheim", "postgres"] {
            assert!(!words.contains(secret), "{words}");
        }
        let known =
            words.is_empty() || classify_exit(1, None, Some(&words)) == ExitKind::Configuration;
        assert!(known, "{words}");
    }
}

#[test]
fn the_first_line_of_what_the_kubelet_cut_by_its_length_is_not_read() {
    let secret = "x".repeat(2100);
    let kept = format!("7| Some = 'hunter2{secret}'\n");
    assert_eq!(last_words(&kept_lines(&kept[17..])), None);
    let short = "opening db: connection refused\n";
    assert_eq!(
        last_words(&kept_lines(short)).as_deref(),
        Some("opening db: connection refused")
    );
}

#[test]
fn a_short_password_is_told_by_what_is_wrong_with_it() {
    use ExitKind::{Configuration, Credentials};
    // `core/utils/password.go`, `VerifyPasswordComplexity`.
    let complexity = "\nExpected password complexity:\nMust be at least 16 characters long\nMust not comprise:\n\
        \tLeading or trailing whitespace\n\tA user's API email\n\nFaults:\n\
        \tpassword is less than 16 characters long\n";
    let requirements = "\nMust have a length of 16-50 characters\nMust not comprise:\n\
        \tLeading or trailing whitespace (note that a trailing newline in the password file, if present, will be ignored)\n";
    let keystore = "fatal error instantiating application: error authenticating keystore: ";
    let database = "config validation failed: invalid secrets: Database.URL: invalid value (*****): missing or \
        insufficiently complex password: ";
    let user = "error creating api initializer: failed to instantiate new user: password insufficiently complex:";
    let faults = "Faults: password is less than 16 characters long";
    for (text, told, kind) in [
        (
            format!("{keystore}{complexity}"),
            format!("{keystore}{faults}"),
            Credentials,
        ),
        (
            format!(
                "{database}{complexity}. Database should be secured by a password matching the following complexity \
                 requirements: {requirements}"
            ),
            format!("{database}{faults}"),
            Configuration,
        ),
        (
            format!("{user}\n{requirements}: {complexity}"),
            format!("{user} {faults}"),
            Credentials,
        ),
    ] {
        let logged = line(0, "INFO", "Starting Chainlink Node 2.29.0 at commit abc");
        let text =
            format!("{logged}\n{text}\n2026/11/23 18:02:56 Graceful shutdown time: 204.32µs");
        let tail: Vec<&str> = text.lines().collect();
        let words = last_words(&tail).unwrap();
        assert_eq!(words, told);
        assert_eq!(classify_exit(1, None, Some(&words)), kind, "{words}");
    }
}

#[test]
fn words_behind_a_stack_trace_are_found() {
    let error = line(0, "ERROR", "something failed");
    let tail = [
        error.as_str(),
        "leaseLock#GetLease failed",
        "github.com/smartcontractkit/chainlink/v2/core/services/pg.(*leaseLock).loop",
        "\t/chainlink/lease_lock.go:229",
        "opening db: connection refused",
    ];
    assert_eq!(
        last_words(&tail).as_deref(),
        Some("opening db: connection refused")
    );
}
