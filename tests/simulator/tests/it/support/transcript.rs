//! What a real node printed, and what of it has to be the same here.

use std::collections::BTreeMap;
use std::fs;

/// The lines that are compared, by what they contain. The rest is about chains, peers and requests.
const SIGNIFICANT: [&str; 41] = [
    "Starting Chainlink Node",
    "Starting DB stat reporter",
    "Using database locking mode",
    "Taking initial lease",
    "Got exclusive lease",
    "Another application",
    "Starting StartUpHealthReport",
    "StartUpHealthReport shutdown complete",
    " OK    0",
    "goose: no migrations to run",
    "Nurse service",
    "DatabaseBackup: periodic",
    "Created P2P key",
    "Created CSA key",
    "Unlocked 1 CSA keys",
    "Unlocked 1 P2P keys",
    "Defaulted to assume single DB API User",
    "API exposed for user",
    "no feeds managers registered",
    "EVM is disabled",
    "Pipeline runs will be pruned",
    "TelemetryManager",
    "RetirementReportCache",
    "PipelineRunner.BridgeCache",
    "Chainlink booted in",
    "Listening and serving HTTP",
    "Shutting down due to",
    "Gracefully exiting",
    "Exited all services",
    "Graceful shutdown time",
    "Shutdown grace period",
    "Error trying to refresh",
    "Error trying to release",
    "DB connection was unexpectedly closed",
    "Another node has taken",
    "opening db:",
    "fatal error",
    "aborting start",
    "Invalid configuration",
    "CheckVersion",
    "failed to create root directory",
];
/// Fields that go on over many lines; what is behind them is not compared.
const ENDLESS: [&str; 4] = [" err=", " stacktrace=", ",\"err\":", ",\"stacktrace\":"];
/// DEBUG lines about services that only some versions have.
const NOISE: [&str; 3] = [
    "[DEBUG] Starting service...",
    "[DEBUG] Closing service...",
    "[DEBUG] GET ",
];

/// One node of a transcript.
#[derive(Default)]
pub struct Recorded {
    pub lines: Vec<String>,
    /// Every line, also those that are not compared of other versions.
    pub every_line: Vec<String>,
    /// The answers of `/health` and `/readyz`, without repetitions.
    pub http: [Vec<String>; 2],
    pub exits: Vec<i32>,
}

/// `0`, `-9`, or `signal 9` in later transcripts.
fn exit_code(text: &str) -> i32 {
    match text.strip_prefix("signal ") {
        Some(signal) => -signal.parse::<i32>().unwrap(),
        None => text.parse().unwrap(),
    }
}

/// A letter that a transcript uses twice is one node here, with both lives in a row.
pub fn read(name: &str) -> BTreeMap<String, Recorded> {
    let path = format!(
        "{}/../fixtures/transcripts/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut nodes: BTreeMap<String, Recorded> = BTreeMap::new();
    let mut raw: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((who, said)) = line.get(14..).and_then(|rest| rest.split_once(']')) else {
            continue;
        };
        let said = said.strip_prefix(' ').unwrap_or(said);
        match who.split([' ', ':']).collect::<Vec<&str>>().as_slice() {
            ["NOTE"] => {
                if let Some((node, code)) = said
                    .strip_prefix("EXIT ")
                    .and_then(|end| end.split_once(" rc="))
                {
                    nodes
                        .entry(node.to_owned())
                        .or_default()
                        .exits
                        .push(exit_code(code.trim()));
                }
            }
            ["HTTP", node, _] => {
                let words: Vec<&str> = said.split_whitespace().collect();
                let index = super::probe::PATHS
                    .iter()
                    .position(|path| *path == words[0])
                    .unwrap();
                let http = &mut nodes.entry((*node).to_owned()).or_default().http[index];
                if words[2] != "err" && http.last().is_none_or(|last| last != words[2]) {
                    http.push(words[2].to_owned());
                }
            }
            [node, "err"] => raw
                .entry((*node).to_owned())
                .or_default()
                .push(said.to_owned()),
            _ => {}
        }
    }
    for (node, lines) in raw {
        let node = nodes.entry(node).or_default();
        node.every_line = every(&lines);
        node.lines = significant(&lines);
    }
    nodes
}

/// The lines that count, in a form in which two runs are equal: without times, ids, ports, line numbers of source files
/// and padding; repeated ones once.
pub fn significant(lines: &[String]) -> Vec<String> {
    of_those(lines, |line| {
        SIGNIFICANT.iter().any(|text| line.contains(text))
            && !NOISE.iter().any(|text| line.contains(text))
    })
}

/// All lines, in that form. The address that a node was told to listen on is none of its own.
pub fn every(lines: &[String]) -> Vec<String> {
    let of_any = |line: &String| line.replace("127.0.0.1", "0.0.0.0");
    let lines: Vec<String> = lines.iter().map(of_any).collect();
    of_those(&lines, |_| true)
}

fn of_those(lines: &[String], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| wanted(line)) {
        let end = ENDLESS
            .iter()
            .filter_map(|field| line.find(field))
            .min()
            .unwrap_or(line.len());
        let normal = normalised(&line[..end]);
        if kept.last() != Some(&normal) {
            kept.push(normal);
        }
    }
    kept
}

fn normalised(line: &str) -> String {
    if line.contains(" OK    0") {
        return "a migration".to_owned();
    }
    let mut out = String::new();
    let mut token = String::new();
    for c in line.chars().chain(std::iter::once(' ')) {
        if c.is_whitespace() || "\"'=[](){},".contains(c) {
            out.push_str(&placeholder(&token));
            token.clear();
            if !(c == ' ' && out.ends_with(' ')) {
                out.push(c);
            }
        } else {
            token.push(c);
        }
    }
    out.trim_end().to_owned()
}

fn placeholder(token: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = |unit: &str| {
        token
            .strip_suffix(unit)
            .is_some_and(|number| number.parse::<f64>().is_ok())
    };
    let is_time = token.len() >= 8
        && token
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"-/:.TZ".contains(&byte))
        && token.contains(['-', '/', ':'])
        && !token.contains("0.0.0.0");
    match token {
        _ if is_time => "TIME".to_owned(),
        _ if token.len() == 36 && token.matches('-').count() == 4 => "UUID".to_owned(),
        _ if token.contains("12D3KooW") => "KEY".to_owned(),
        _ if token.len() >= 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            "HASH".to_owned()
        }
        _ if duration("ms") || duration("µs") || (token.contains('.') && duration("s")) => {
            "DURATION".to_owned()
        }
        _ if token.len() == 5 && digits(token) => "PORT".to_owned(),
        _ => match token.rsplit_once(':') {
            Some((before, number))
                if digits(number) && (!before.is_empty() || number.len() == 5) =>
            {
                format!("{before}:N")
            }
            _ => token.to_owned(),
        },
    }
}

#[test]
fn runs_become_comparable() {
    let line = "2026-11-23T18:11:24.979Z [INFO]  Chainlink booted in 12.37s           cmd/shell_local.go:509    \
                appID=c01a25dd-85b6-437a-afe7-f6b63a743f6e logger=RunNode version=2.15.0@883c9f9 ";
    assert_eq!(
        normalised(line),
        "TIME [INFO] Chainlink booted in DURATION cmd/shell_local.go:N appID=UUID logger=RunNode version=2.15.0@883c9f9"
    );
    assert_eq!(
        normalised("tryCount=4 0.0.0.0:21501 \"port\":21501}"),
        "tryCount=4 0.0.0.0:N \"port\":N}"
    );
    assert_eq!(
        normalised("2026/11/23 18:11:22 Graceful: 2.5ms of 5s"),
        "TIME TIME Graceful: DURATION of 5s"
    );
}
