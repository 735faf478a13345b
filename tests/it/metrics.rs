//! The metrics, as a page that Prometheus scrapes. The same page answers the alerts and the dashboard in tests/manifests/prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chainlink_operator::api::{ChainlinkNode, ChainlinkNodeStatus};
use chainlink_operator::cluster::Calls;
use chainlink_operator::report::{Format, Metrics};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::golden::{assert_golden, repository};

const PAGE: &str = "tests/fixtures/metrics.txt";

fn node(name: &str) -> ChainlinkNode {
    serde_json::from_value(json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"namespace": "chain", "name": name},
        "spec": {
            "version": "2.29.0",
            "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        },
    }))
    .unwrap()
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn pod(name: &str, role: &str) -> Value {
    json!({
        "name": name, "uid": name, "role": role, "revision": "r", "version": "2.28.0",
        "since": "2026-01-01T00:00:00Z",
    })
}

/// One that works, and one of which everything is told that there can be to tell.
fn fleet() -> Metrics {
    let read = |status: Value| -> ChainlinkNodeStatus { serde_json::from_value(status).unwrap() };
    let rest = read(json!({
        "active": "steady-0", "currentVersion": "2.29.0", "standbys": "1/1",
        "pods": [pod("steady-0", "Active"), pod("steady-1", "Standby")],
        "conditions": [
            condition("Ready", "True", "Steady"),
            condition("Stalled", "False", "Progressing"),
            condition("Available", "True", "ActiveServes"),
        ],
    }));
    let moved = |reason: &str, gap_ms: i64| {
        json!({
            "from": "a", "to": "b", "reason": reason, "gapMs": gap_ms,
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:10Z",
        })
    };
    let trouble = read(json!({
        "active": "troubled-0", "currentVersion": "2.28.0", "standbys": "0/1",
        "pods": [pod("troubled-0", "Active"), pod("troubled-1", "Suspect")],
        "conditions": [
            condition("Ready", "False", "TwoHolders"),
            condition("Stalled", "True", "TwoHolders"),
            condition("Available", "False", "ActiveUnresponsive"),
            condition("Redundant", "False", "SameMachine"),
            condition("LockVerified", "False", "TwoHolders"),
            condition("ApprovalRequired", "True", "ApprovalRequired"),
        ],
        "handover": {
            "from": "2.28.0", "to": "2.29.1", "reason": "Version", "step": "AwaitingStandby",
            "startedAt": "2026-01-01T00:00:00Z",
        },
        "lastHandover": moved("Failover", 10_600),
        "drill": {
            "token": "t", "state": "Failed", "since": "2026-01-01T00:00:00Z",
            "ended": "2026-01-01T00:00:05Z",
        },
        "update": {
            "version": "2.30.0", "firstSeen": "2026-01-01T00:00:00Z",
            "proposedAt": "2026-01-01T00:00:00Z",
        },
        "applied": {
            "version": "2.29.1", "repository": "smartcontract/chainlink", "tag": "2.29.1",
            "digest": format!("sha256:{}", "0".repeat(64)), "appliedAt": "2026-01-01T00:00:00Z",
        },
        "operator": {"drillsSince": "2026-01-01T00:00:00Z"},
    }));
    let calls = Calls::default();
    calls.note("get", "pods/log", "200");
    let metrics = Metrics::beside(|registry| calls.register(registry));
    metrics.leads(true);
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    metrics.looked(&node("steady"), &rest, now, Some(now));
    metrics.looked(&node("troubled"), &trouble, now, Some(now));
    metrics.moved(&node("troubled"), trouble.last_handover.as_ref().unwrap());
    let handover = serde_json::from_value(moved("Version", 1_750)).unwrap();
    metrics.moved(&node("steady"), &handover);
    metrics.passed(Duration::from_millis(40));
    metrics.decided(Duration::from_millis(20));
    metrics
}

/// The page in one order: a family tells its samples in any.
fn page() -> String {
    let text = fleet().text(Format::Text).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let first_label = |line: &str| {
        let labels = line.split_once('{').map_or("", |(_, labels)| labels);
        let mut labels = labels.split([',', '}']);
        let first = labels.find(|label| !label.starts_with("le="));
        first.unwrap_or_default().trim().to_owned()
    };
    for family in lines.chunk_by_mut(|one, next| one.starts_with('#') == next.starts_with('#')) {
        if !family[0].starts_with('#') {
            family.sort_by_key(|line| first_label(line));
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_page_that_alerts_and_the_dashboard_are_tried_with_is_what_the_operator_tells() {
    assert_golden(
        PAGE,
        &page(),
        "The metrics have changed: look at what asks for them (charts/chainlink-operator/files), then write the page again with UPDATE_GOLDEN=1",
    );
}

/// Each metric of a page, with its kind and the labels of its samples.
fn described(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut all: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut last = String::new();
    for line in page.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            name.clone_into(&mut last);
            all.insert(last.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.rsplit_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split("\",");
            let names = labels
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name);
            let names = names.filter(|name| *name != "le").map(str::to_owned);
            all.get_mut(&last).unwrap().1.extend(names);
        }
    }
    all
}

#[test]
fn every_metric_is_explained_with_its_kind_and_labels_and_no_other_is() {
    let page = fleet().text(Format::Text).unwrap();
    let mut told: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let docs = std::fs::read_to_string(repository("docs/metrics.md")).unwrap();
    for row in docs.lines().filter(|line| line.starts_with("| `chainlink")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        let labels = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
        let mut labels: BTreeSet<String> = labels.collect();
        if name.starts_with("chainlinknode_") {
            labels.extend(["namespace".to_owned(), "name".to_owned()]);
        }
        assert!(!cells[3].is_empty(), "{name} is not explained");
        assert_eq!(
            told.insert(name, (cells[1].to_owned(), labels)),
            None,
            "{row}"
        );
    }
    assert_eq!(told, described(&page));
}

/// Names that look like metrics of this operator.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics = words.filter(|word| {
        word.starts_with("chainlinknode_") || word.starts_with("chainlink_operator_")
    });
    // The two prefixes themselves, and the crate.
    metrics.filter(|word| !word.ends_with('_')).collect()
}

#[test]
fn every_metric_that_is_named_anywhere_is_one() {
    let page = std::fs::read_to_string(repository(PAGE)).unwrap();
    let known: BTreeSet<String> = described(&page)
        .into_iter()
        .flat_map(|(name, (kind, _))| {
            let parts: &[&str] = match kind.as_str() {
                "histogram" => &["", "_bucket", "_sum", "_count"],
                _ => &[""],
            };
            parts.iter().map(move |part| format!("{name}{part}"))
        })
        .collect();
    let mut files: Vec<_> = [
        "docs",
        "docs/runbooks",
        "charts/chainlink-operator",
        "charts/chainlink-operator/files",
        "charts/chainlink-operator/dashboards",
    ]
    .iter()
    .filter_map(|folder| std::fs::read_dir(repository(folder)).ok())
    .flat_map(|folder| folder.map(|entry| entry.unwrap().path()))
    .filter(|path| path.is_file())
    .collect();
    files.push(repository("README.md"));
    let mut found = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in named(&text) {
            assert!(
                known.contains(name),
                "{}: there is no {name}",
                file.display()
            );
            found += 1;
        }
    }
    assert!(found > 30, "{found}: the names were not found");
}
