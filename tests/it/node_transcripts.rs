//! The logs of real nodes, read line by line: what each process says, in order, and why it ended.

use std::collections::BTreeMap;
use std::path::Path;

use chainlink_operator::node::{
    LogEvent, LogLine, LogReader, Milestone, classify_exit, last_words, read_line,
};

/// One line of a transcript: `18:02:56.484 [C err] text`.
struct Line<'a> {
    who: &'a str,
    text: &'a str,
}

fn transcript(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/transcripts")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Lines that a person or the test bench wrote (`NOTE`) and lines of nodes (`A err`). An answer of
/// several lines to a web request is left out.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(" [")?;
        let (who, text) = rest.split_once("] ")?;
        Some(Line { who, text })
    })
}

/// What a node wrote.
fn said<'a>(line: &Line<'a>) -> Option<(&'a str, &'a str)> {
    let who = line
        .who
        .strip_suffix(" err")
        .or_else(|| line.who.strip_suffix(" out"))?;
    Some((who, line.text))
}

/// Everything that happens in a transcript, one sentence each, in order.
fn story(name: &str) -> Vec<String> {
    let text = transcript(name);
    let mut readers: BTreeMap<&str, (LogReader, Vec<&str>)> = BTreeMap::new();
    let mut story = Vec::new();
    for line in lines(&text) {
        if let Some((who, text)) = said(&line) {
            let (reader, written) = readers.entry(who).or_default();
            written.push(text);
            if let Some(milestone) = reader.feed(text) {
                story.push(format!("{who} {}", sentence(&milestone)));
            }
        } else if let Some(exit) = line.text.strip_prefix("EXIT ") {
            let (who, code) = exit.split_once(" rc=").unwrap();
            let (_, written) = readers.remove(who).unwrap_or_default();
            story.push(end(who, exit_code(code), &written));
        }
    }
    story
}

/// `0`, `-9`, or `signal 9` in later transcripts.
fn exit_code(text: &str) -> i32 {
    match text.strip_prefix("signal ") {
        Some(signal) => -signal.parse::<i32>().unwrap(),
        None => text.parse().unwrap(),
    }
}

fn sentence(milestone: &Milestone) -> String {
    match milestone {
        Milestone::Started {
            version: Some(version),
        } => format!("starts {version}"),
        Milestone::Started { version: None } => "starts".to_owned(),
        Milestone::Waits { lock } => format!("waits for {lock:?}"),
        Milestone::WaitsInVain { reason } => format!("waits in vain: {reason}"),
        Milestone::TookLock { via } => format!("took the lock ({via:?})"),
        Milestone::Booted => "booted".to_owned(),
        Milestone::Listening { port } => format!("listens on {port}"),
        Milestone::Deposed => "is deposed".to_owned(),
        Milestone::ShuttingDown => "shuts down".to_owned(),
    }
}

/// How a process ended. The test bench has `-9` where a container has 137.
fn end(who: &str, code: i32, written: &[&str]) -> String {
    let code = if code < 0 { 128 - code } else { code };
    let words = last_words(written);
    let kind = classify_exit(code, None, words.as_deref());
    match words {
        Some(words) if code != 0 && code != 137 => format!("{who} ends {kind:?}: {words}"),
        _ => format!("{who} ends {kind:?}"),
    }
}

fn assert_story(name: &str, expected: &[&str]) {
    let told = story(name);

    assert_eq!(told, expected, "\n{}", told.join("\n"));
}

/// The test bench's drill, the same with every version: a first boot; a standby, and a stop of the
/// active; a standby that is stopped; a standby, and a kill of the active; a boot on a free lock.
struct Drill {
    version: &'static str,
    lock: &'static str,
    sign: &'static str,
    stopped: &'static str,
    ports: [u16; 3],
}

impl Drill {
    fn story(&self) -> Vec<String> {
        let mut story = Vec::new();
        let mut tell = |who: &str, what: &[&str]| {
            story.extend(what.iter().map(|what| format!("{who} {what}")));
        };
        let starts = format!("starts {}", self.version);
        let waits = format!("waits for {}", self.lock);
        let took = format!("took the lock ({})", self.sign);
        let listens = self.ports.map(|port| format!("listens on {port}"));
        let stopped = format!("ends StoppedStandby: {}", self.stopped);

        tell("A", &[&starts, &took, "booted", &listens[0]]);
        tell("B", &[&starts, &waits]);
        tell("A", &["shuts down", "ends CleanStop"]);
        tell("B", &[&took, "booted", &listens[1]]);
        tell("C", &[&starts, &waits, "shuts down", &stopped]);
        tell("D", &[&starts, &waits]);
        tell("B", &["ends Killed"]);
        tell("D", &[&took, "booted", &listens[2]]);
        tell("D", &["shuts down", "ends CleanStop"]);
        tell("E", &[&starts, &took, "booted", &listens[0]]);
        tell("E", &["shuts down", "ends CleanStop"]);
        story
    }

    fn is_told_by(&self, name: &str) {
        assert_eq!(story(name), self.story());
    }
}

const STOPPED_LEASE: &str = "opening db: failed to take initial lease on database: stopped";

#[test]
fn version_1_11_in_dual_mode_on_the_console() {
    Drill {
        version: "1.11.0",
        lock: "Lease",
        sign: "Migrations",
        stopped: STOPPED_LEASE,
        ports: [21101, 21102, 21103],
    }
    .is_told_by("1.11.0-env-default-console-02-05-standby-sigterm-sigkill.txt");
}

#[test]
fn version_1_11_with_the_advisory_lock_in_json() {
    Drill {
        version: "1.11.0",
        lock: "Advisory",
        sign: "Migrations",
        stopped: "opening db: error acquiring lock: stopped",
        ports: [21401, 21402, 21403],
    }
    .is_told_by("1.11.0-env-advisorylock-json-02-05-standby-sigterm-sigkill.txt");
}

#[test]
fn version_1_13_in_dual_mode_on_the_console() {
    Drill {
        version: "1.13.3",
        lock: "Lease",
        sign: "Migrations",
        stopped: STOPPED_LEASE,
        ports: [21001, 21002, 21003],
    }
    .is_told_by("1.13.3-env-dual-console-02-05-standby-sigterm-sigkill.txt");
}

#[test]
fn version_2_1_on_the_console() {
    Drill {
        version: "2.1.1",
        lock: "Lease",
        sign: "Migrations",
        stopped: STOPPED_LEASE,
        ports: [21001, 21002, 21003],
    }
    .is_told_by("2.1.1-toml-default-console-02-05-standby-sigterm-sigkill.txt");
}

#[test]
fn version_2_18_in_json() {
    Drill {
        version: "2.18.0",
        lock: "Lease",
        sign: "HealthReport",
        stopped: STOPPED_LEASE,
        ports: [21501, 21502, 21503],
    }
    .is_told_by("2.18.0-toml-default-json-02-05-standby-sigterm-sigkill.txt");
}

#[test]
fn a_first_boot_on_an_empty_database() {
    assert_story(
        "1.11.0-env-default-console-01-first-boot.txt",
        &[
            "A starts 1.11.0",
            "A took the lock (Migrations)",
            "A booted",
            "A listens on 21101",
        ],
    );
    assert_story(
        "2.18.0-toml-default-json-01-first-boot.txt",
        &[
            "A starts 2.18.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 21501",
        ],
    );
}

#[test]
fn an_upgrade_at_debug_and_the_way_back_that_is_shut() {
    const OLDER: &str = "VersionOlderThanDatabase { application: \"2.1.1\", database: \"2.15.0\" }: \
        fatal error instantiating application: CheckVersion: Application version (2.1.1) is older \
        than database version (2.15.0). Only Chainlink 2.15.0 or later can be run on this database";
    assert_story(
        "2.1.1-toml-default-to-2.15.0-console-10-upgrade.txt",
        &[
            "OLD starts 2.1.1",
            "OLD took the lock (GotLease)",
            "OLD booted",
            "OLD listens on 21451",
            "NEW starts 2.15.0",
            "NEW waits for Lease",
            "OLD shuts down",
            "OLD ends CleanStop",
            "NEW took the lock (GotLease)",
            "NEW booted",
            "NEW listens on 21452",
            "OLD2 starts 2.1.1",
            "OLD2 waits for Lease",
            "NEW shuts down",
            "NEW ends CleanStop",
            "OLD2 took the lock (GotLease)",
            &format!("OLD2 ends {OLDER}"),
            "OLD3 starts 2.1.1",
            "OLD3 took the lock (GotLease)",
            &format!("OLD3 ends {OLDER}"),
        ],
    );
}

/// From 2.15 on the waiting line lies silently: on a read-only server B and C would not win a free
/// lock, and nothing in their logs says so.
#[test]
fn a_server_that_became_read_only() {
    assert_story(
        "2.15.0-toml-default-console-info-07-pg-readonly.txt",
        &[
            "A starts 2.15.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 21021",
            "B starts 2.15.0",
            "B waits for Lease",
            "C starts 2.15.0",
            "C waits for Lease",
            "C shuts down",
            &format!("C ends StoppedStandby: {STOPPED_LEASE}"),
            "B shuts down",
            &format!("B ends StoppedStandby: {STOPPED_LEASE}"),
            "A shuts down",
            "A ends CleanStop",
        ],
    );
}

#[test]
fn an_active_that_is_cut_off_is_deposed_when_the_network_is_back() {
    assert_story(
        "2.18.0-toml-default-console-info-12-partition-active.txt",
        &[
            "A starts 2.18.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 22471",
            "B starts 2.18.0",
            "B waits for Lease",
            "B took the lock (HealthReport)",
            "B booted",
            "B listens on 22472",
            "A is deposed",
            "A ends Deposed: Another node has taken the lease, exiting immediately",
            "B shuts down",
            "B ends CleanStop",
        ],
    );
}

#[test]
fn stops_at_odd_moments() {
    let interrupted = |migration| {
        format!(
            "StoppedStarting: fatal error instantiating application: initializeORM#Migrate: \
             partial migration error (type:sql,version:{migration}): timeout: context canceled; \
             sql: transaction has already been committed or rolled back"
        )
    };
    assert_story(
        "2.18.0-14-shutdown-odd.txt",
        &[
            "A starts 2.18.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 22691",
            "A shuts down",
            "A ends StopTimedOut: Shutdown grace period of 5s exceeded, closing DB and exiting...",
            "BOOT0.25 ends StoppedStarting",
            "BOOT0.6 starts 2.18.0",
            "BOOT0.6 took the lock (HealthReport)",
            "BOOT0.6 shuts down",
            &format!("BOOT0.6 ends {}", interrupted(1)),
            "BOOT1.2 starts 2.18.0",
            "BOOT1.2 took the lock (HealthReport)",
            "BOOT1.2 shuts down",
            &format!("BOOT1.2 ends {}", interrupted(22)),
            "A2 starts 2.18.0",
            "A2 took the lock (HealthReport)",
            "A2 booted",
            "A2 listens on 22691",
            "A2 shuts down",
            "A2 ends CleanStop",
            "N1 starts 2.18.0",
            "N1 took the lock (HealthReport)",
            "N1 booted",
            "N1 listens on 22693",
            "N2 starts 2.18.0",
            "N2 took the lock (HealthReport)",
            "N2 booted",
            "N2 listens on 22694",
            "N1 shuts down",
            "N1 ends CleanStop",
            "N2 shuts down",
            "N2 ends CleanStop",
        ],
    );
}

#[test]
fn a_restart_after_an_interrupted_migration() {
    let boot = [
        "A starts 2.18.0",
        "A took the lock (HealthReport)",
        "A booted",
        "A listens on 22901",
        "A shuts down",
        "A ends CleanStop",
    ];

    assert_story(
        "2.18.0-24-restart-after-interrupted-migration.txt",
        &[boot, boot].concat(),
    );
}

/// Every transcript there is, so that none is added without a story.
const TRANSCRIPTS: [&str; 15] = [
    "1.11.0-env-advisorylock-json-02-05-standby-sigterm-sigkill.txt",
    "1.11.0-env-default-console-01-first-boot.txt",
    "1.11.0-env-default-console-02-05-standby-sigterm-sigkill.txt",
    "1.13.3-env-dual-console-02-05-standby-sigterm-sigkill.txt",
    "2.1.1-toml-default-console-02-05-standby-sigterm-sigkill.txt",
    "2.1.1-toml-default-to-2.15.0-console-10-upgrade.txt",
    "2.15.0-toml-default-console-info-07-pg-readonly.txt",
    "2.18.0-14-shutdown-odd.txt",
    "2.18.0-24-restart-after-interrupted-migration.txt",
    "2.18.0-toml-default-console-info-12-partition-active.txt",
    "2.18.0-toml-default-json-01-first-boot.txt",
    "2.18.0-toml-default-json-02-05-standby-sigterm-sigkill.txt",
    "2.29.0-toml-default-console-02-05-standby-sigterm-sigkill.txt",
    "2.29.0-toml-default-console-06-before-the-lock.txt",
    "2.29.0-toml-default-console-18-shutdown-locked-lease.txt",
];

#[test]
fn version_2_29_hands_over_by_signal() {
    assert_story(
        "2.29.0-toml-default-console-02-05-standby-sigterm-sigkill.txt",
        &[
            "A starts 2.29.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 21511",
            "B starts 2.29.0",
            "B waits for Lease",
            "A shuts down",
            "B took the lock (HealthReport)",
            "A ends CleanStop",
            "B booted",
            "B listens on 21512",
            "C starts 2.29.0",
            "C waits for Lease",
            "B ends Killed",
            "C took the lock (HealthReport)",
            "C booted",
            "C listens on 21513",
            "D starts 2.29.0",
            "D waits for Lease",
            "D shuts down",
            "D ends StoppedStandby: opening db: failed to take initial lease on database: stopped",
            "E starts 2.29.0",
            "E waits for Lease",
            "C shuts down",
            "C ends CleanStop",
            "E took the lock (HealthReport)",
            "E booted",
            "E listens on 21515",
            "F starts 2.29.0",
            "F waits for Lease",
            "E ends Killed",
            "F took the lock (HealthReport)",
            "F booted",
            "F listens on 21516",
            "G starts 2.29.0",
            "G waits for Lease",
            "G took the lock (HealthReport)",
            "G booted",
            "G listens on 21517",
            "F is deposed",
            "F ends Deposed: Another node has taken the lease, exiting immediately",
            "G shuts down",
            "G ends CleanStop",
        ],
    );
}

#[test]
fn what_ends_version_2_29_before_the_lock() {
    assert_story(
        "2.29.0-toml-default-console-06-before-the-lock.txt",
        &[
            "A starts 2.29.0",
            "A took the lock (HealthReport)",
            "A booted",
            "A listens on 21561",
            "B ends Configuration: failed to decode config TOML: line 2, Nonsense: missing field",
            "C starts 2.29.0",
            "C waits for Lease",
            "C ends Killed",
            "D starts 2.29.0",
            "D ends DatabaseRefused: opening db: failed to open db: failed to connect to `host=127.0.0.1 user=chainlink database=c_absent`: server error (FATAL: database \"c_absent\" does not exist (SQLSTATE 3D000))",
            "E starts 2.29.0",
            "E ends DatabaseAway: opening db: failed to open db: failed to connect to `host=127.0.0.1 user=chainlink database=x`: dial error (dial tcp 127.0.0.1:25999: connect: connection refused)",
            "F starts 2.29.0",
            "F ends DatabaseRefused: opening db: failed to open db: failed to connect to `host=127.0.0.1 user=chainlink database=c2290pre`: failed SASL auth (FATAL: password authentication failed for user \"chainlink\" (SQLSTATE 28P01))",
            "G ends Configuration: config validation failed: invalid secrets: Database.URL: invalid value (*****): missing or insufficiently complex password: Faults: password is less than 16 characters long",
            "H ends Configuration: config validation failed: invalid environment: environment variable CHAINLINK_PORT must not be set: unsupported with config v2",
            "I starts 2.29.0",
            "I waits for Lease",
            "A ends Killed",
            "I ends Killed",
        ],
    );
}

/// Each ends with 0 while a refresh hangs, and has given nothing back: the next one gets the lease when it has run out.
#[test]
fn a_stop_of_2_29_while_its_lease_can_not_be_given_back() {
    assert_story(
        "2.29.0-toml-default-console-18-shutdown-locked-lease.txt",
        &[
            "F0 starts 2.29.0",
            "F0 took the lock (HealthReport)",
            "F0 booted",
            "F0 listens on 21841",
            "G0 starts 2.29.0",
            "G0 waits for Lease",
            "F0 shuts down",
            "F0 ends CleanStop",
            "G0 took the lock (HealthReport)",
            "G0 booted",
            "G0 listens on 21842",
            "G0 shuts down",
            "G0 ends CleanStop",
            "F1 starts 2.29.0",
            "F1 took the lock (HealthReport)",
            "F1 booted",
            "F1 listens on 21843",
            "G1 starts 2.29.0",
            "G1 waits for Lease",
            "F1 shuts down",
            "F1 ends CleanStop",
            "G1 took the lock (HealthReport)",
            "G1 booted",
            "G1 listens on 21844",
            "G1 shuts down",
            "G1 ends CleanStop",
            "F2 starts 2.29.0",
            "F2 took the lock (HealthReport)",
            "F2 booted",
            "F2 listens on 21845",
            "G2 starts 2.29.0",
            "G2 waits for Lease",
            "F2 shuts down",
            "F2 ends CleanStop",
            "G2 took the lock (HealthReport)",
            "G2 booted",
            "G2 listens on 21846",
            "G2 shuts down",
            "G2 ends CleanStop",
        ],
    );
}

#[test]
fn no_transcript_is_without_a_story() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();

    assert_eq!(names, TRANSCRIPTS);
}

/// Runs over every line that a node wrote, in every transcript.
fn for_every_line(mut check: impl FnMut(&str)) {
    let mut count = 0;
    for name in TRANSCRIPTS {
        let text = transcript(name);
        for line in lines(&text) {
            if let Some((_, text)) = said(&line) {
                check(text);
                count += 1;
            }
        }
    }
    assert!(count > 3700, "only {count} lines");
}

/// The words that matter, looked for anywhere in a line. In these transcripts nobody quotes them.
const TELLING_WORDS: [(&str, &str); 26] = [
    ("Starting Chainlink Node ", "Starting"),
    ("Using database locking mode: ", "UsesLock"),
    (
        "Another application is currently holding the database lease",
        "Waiting",
    ),
    ("Another application holds the advisory lock", "Waiting"),
    ("DB connection was unexpectedly closed", "ConnectionLost"),
    ("Got exclusive lease on database", "TookLock"),
    ("Got advisory lock", "TookLock"),
    ("goose: no migrations to run", "TookLock"),
    (" OK    0", "TookLock"),
    ("Starting StartUpHealthReport", "TookLock"),
    ("StartUpHealthReport shutdown complete", "TookLock"),
    (
        "Nurse service (automatic pprof profiling) is disabled",
        "TookLock",
    ),
    ("DatabaseBackup: periodic", "TookLock"),
    ("Created P2P key with ID", "TookLock"),
    ("Created CSA key with ID", "TookLock"),
    ("Unlocked 1 CSA keys", "TookLock"),
    ("Unlocked 1 P2P keys", "TookLock"),
    ("API exposed for user", "TookLock"),
    ("Chainlink booted in ", "Booted"),
    ("Listening and serving HTTP on ", "Listening"),
    (
        "Error trying to refresh database lease",
        "LeaseRefreshFailed",
    ),
    ("Another node has taken the lease", "Deposed"),
    ("Shutting down due to ", "ShuttingDown"),
    ("Gracefully exiting...", "ShuttingDown"),
    ("Error in transaction, rolling back", "WaitingDoubtful"),
    ("Another node has taken the advisory lock", "Deposed"),
];

#[test]
fn no_line_is_misread_or_overlooked() {
    for_every_line(|raw| {
        let expected = TELLING_WORDS
            .iter()
            .find(|(words, _)| raw.contains(words))
            .map_or("Other", |(_, event)| *event);
        let event = format!("{:?}", read_line(raw).event);

        assert!(event.starts_with(expected), "{raw}\nreads as {event}");
    });
}

#[test]
fn the_kubelets_time_and_colours_change_nothing_but_the_time() {
    for_every_line(|raw| {
        let plain = read_line(raw);
        let stamped = read_line(&format!("2026-11-23T18:02:26.433999999Z {raw}"));
        let coloured = read_line(&raw.replace('[', "\u{1b}[34m[").replace(']', "]\u{1b}[0m"));

        assert_eq!(
            stamped.time.unwrap().to_string(),
            "2026-11-23T18:02:26.433999999Z"
        );
        assert_eq!(
            LogLine {
                time: plain.time,
                ..stamped
            },
            plain
        );
        assert_eq!(coloured, plain);
    });
}

#[test]
fn a_line_quoted_in_another_message_is_not_that_line() {
    for_every_line(|raw| {
        let quoted = serde_json::to_string(raw).unwrap();
        for forged in [
            format!("2026-11-23T18:02:26.433Z [ERROR] Job 7 failed: {raw} job/run.go:7 err={raw}"),
            format!(
                "2026-11-23T18:02:26.433Z [INFO]  result={raw} job/run.go:7   version=2.18.0@f "
            ),
            format!(r#"{{"level":"error","msg":"Job 7 failed","err":{quoted}}}"#),
            format!(
                r#"{{"level":"info","msg":"Job 7 says","msg2":{quoted},"x":{{"msg":{quoted}}}}}"#
            ),
            format!("job 7 failed: {raw}"),
        ] {
            assert_eq!(read_line(&forged).event, LogEvent::Other, "{forged}");
        }
    });
}

#[test]
fn the_rest_of_a_message_of_several_lines_is_not_a_line_of_the_node() {
    for_every_line(|raw| {
        // Below the kubelet's time a line of the node has a time of its own.
        let Some((_, rest)) = raw.split_once("Z [") else {
            return;
        };
        let forged = format!("2026-11-23T18:02:26.433999999Z [{rest}");

        assert_eq!(read_line(&forged).event, LogEvent::Other, "{forged}");
    });
}

#[test]
fn the_waiting_line_names_who_waits() {
    let mut seen = 0;
    for_every_line(|raw| {
        let line = read_line(raw);
        if matches!(line.event, LogEvent::Waiting { .. }) && raw.contains("appID") {
            let id = line.app_id.unwrap();
            assert!(raw.contains(&id) && id.len() == 36, "{raw}\n{id}");
            seen += 1;
        }
    });
    assert!(seen > 60, "only {seen} lines");
}

#[test]
fn versions_are_read_where_a_line_names_them() {
    for_every_line(|raw| {
        let line = read_line(raw);
        let named = ["1.11.0", "1.13.3", "2.1.1", "2.15.0", "2.18.0", "2.29.0"]
            .into_iter()
            .find(|version| {
                raw.contains(&format!("{version}@")) || raw.contains(&format!("Node {version} "))
            });
        if line.event == LogEvent::Other {
            assert_eq!(line.version, None, "{raw}");
        } else {
            let read = line.version.map(|version| version.to_string());
            assert_eq!(read.as_deref(), named, "{raw}");
        }
    });
}
