//! What Prometheus is told.

use jiff::Timestamp;

use super::*;
use crate::api::{AppliedUpdate, LastHandover, Request, RequestState};
use crate::domain::MoveReason;
use crate::report::conditions::CONDITIONS;
use crate::report::{Format, Metrics};

fn leading() -> Metrics {
    let metrics = Metrics::default();
    metrics.leads(true);
    metrics
}

fn named(name: &str) -> ChainlinkNode {
    let mut node = node();
    node.metadata.namespace = Some("chain".to_owned());
    node.metadata.name = Some(name.to_owned());
    node
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The samples of a metric: labels and value.
fn samples<'a>(text: &'a str, metric: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let of = lines.filter_map(|line| line.strip_prefix(metric));
    of.filter(|rest| rest.starts_with(['{', ' '])).collect()
}

fn told(metrics: &Metrics, metric: &str) -> Vec<String> {
    let text = metrics.text(Format::Text).unwrap();
    let samples = samples(&text, metric);
    samples.into_iter().map(str::to_owned).collect()
}

/// A status with these conditions, each with its status and reason.
fn with(conditions: &[(&str, &str, &str)]) -> ChainlinkNodeStatus {
    let conditions = conditions.iter().map(|(kind, status, reason)| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    });
    let conditions: Vec<_> = conditions.collect();
    serde_json::from_value(json!({"conditions": conditions})).unwrap()
}

fn moved(reason: &str, gap_ms: Option<i64>) -> LastHandover {
    LastHandover {
        from: "a".to_owned(),
        to: "b".to_owned(),
        reason: reason.to_owned(),
        started_at: at(1),
        finished_at: at(2),
        gap_ms,
        gap: None,
        gap_is_upper_bound: false,
        lease_given_back: false,
    }
}

const OF: &str = r#"namespace="chain",name="mainnet""#;

#[test]
fn a_condition_is_told_by_its_status_where_it_is_not_as_at_rest_and_stalled_by_its_reason() {
    let metrics = leading();
    let condition = |status: &ChainlinkNodeStatus| {
        metrics.status(&named("mainnet"), status);
        told(&metrics, "chainlinknode_condition")
    };
    let rest = with(&[
        ("Ready", "True", "Steady"),
        ("Stalled", "False", "Progressing"),
    ]);
    assert_eq!(condition(&rest), [""; 0]);
    let trouble = with(&[
        ("Ready", "False", "CrdOutdated"),
        ("Stalled", "True", "CrdOutdated"),
        ("LockVerified", "Unknown", "NotAllowed"),
    ]);
    assert_eq!(
        condition(&trouble),
        [
            format!(r#"{{{OF},condition="Ready",status="False"}} 1"#),
            format!(r#"{{{OF},condition="Stalled",status="True",reason="CrdOutdated"}} 1"#),
            format!(r#"{{{OF},condition="LockVerified",status="Unknown"}} 1"#),
        ]
    );
    let all = told(&metrics, "chainlink_operator_conditions");
    assert_eq!(all.len(), CONDITIONS.len() * 3);
    assert!(all.contains(&r#"{condition="Ready",status="False"} 1"#.to_owned()));
    assert!(all.contains(&r#"{condition="Ready",status="True"} 0"#.to_owned()));
    // It must not stay at what it was when it was there last.
    assert_eq!(condition(&ChainlinkNodeStatus::default()), [""; 0]);
}

#[test]
fn what_a_real_pair_at_rest_is_told_of_is_what_somebody_may_ask_for() {
    let pair = Told::of(pair());
    let metrics = leading();
    metrics.looked(&named("mainnet"), &pair.status, at(7), Some(at(6)));
    let text = metrics.text(Format::Text).unwrap();
    for line in [
        format!(r#"pods{{{OF},role="Active"}} 1"#),
        format!(r#"pods{{{OF},role="Standby"}} 1"#),
        format!(r#"running_version{{{OF},version="2.28.0"}} 1"#),
        format!("failovers_total{{{OF}}} 0"),
        format!("looked_timestamp_seconds{{{OF}}} 7"),
        format!("database_said_timestamp_seconds{{{OF}}} 6"),
    ] {
        let line = format!("chainlinknode_{line}");
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert_eq!(
        samples(&text, "chainlinknode_active_since_timestamp_seconds").len(),
        1
    );
    for quiet in [
        "wanted_version",
        "standbys_missing",
        "same_machine",
        "two_holders",
    ] {
        let samples = samples(&text, &format!("chainlinknode_{quiet}"));
        assert_eq!(samples, [""; 0], "{quiet}");
    }
}

#[test]
fn what_is_amiss_with_the_standbys_and_the_lock_has_a_series_of_its_own() {
    let metrics = leading();
    let mut status = with(&[
        ("Redundant", "False", "SameMachine"),
        ("LockVerified", "False", "TwoHolders"),
        ("ApprovalRequired", "True", "ApprovalRequired"),
    ]);
    status.standbys = Some("1/3".to_owned());
    metrics.status(&named("mainnet"), &status);
    for (metric, value) in [
        ("standbys_missing", "2"),
        ("same_machine", "1"),
        ("two_holders", "1"),
        ("approval_waiting_since_timestamp_seconds", "1767225600"),
    ] {
        let told = told(&metrics, &format!("chainlinknode_{metric}"));
        assert_eq!(told, [format!("{{{OF}}} {value}")], "{metric}");
    }
}

#[test]
fn the_wanted_version_is_told_until_it_is_the_active_s_and_not_where_nothing_is_to_run() {
    let metrics = leading();
    let mut node = named("mainnet");
    let mut status = ChainlinkNodeStatus::default();
    let wanted = |node: &ChainlinkNode, status: &ChainlinkNodeStatus| {
        metrics.status(node, status);
        told(&metrics, "chainlinknode_wanted_version").len()
    };
    assert_eq!(wanted(&node, &status), 1, "there is no active");
    status.current_version = Some("2.27.0".to_owned());
    assert_eq!(wanted(&node, &status), 1);
    status.current_version = Some("2.28.0".to_owned());
    assert_eq!(wanted(&node, &status), 0);
    node.spec.replicas = 0;
    assert_eq!(wanted(&node, &ChainlinkNodeStatus::default()), 0);
}

fn applied(version: &str) -> AppliedUpdate {
    AppliedUpdate {
        version: version.to_owned(),
        repository: "smartcontract/chainlink".to_owned(),
        tag: version.to_owned(),
        digest: "sha256:aaaa".to_owned(),
        applied_at: Some(at(3)),
    }
}

#[test]
fn an_applied_release_is_what_is_wanted_and_is_told_until_the_spec_has_gone_on() {
    let metrics = leading();
    let mut status = ChainlinkNodeStatus {
        current_version: Some("2.28.0".to_owned()),
        applied: Some(applied("2.29.0")),
        ..ChainlinkNodeStatus::default()
    };
    let of = |status: &ChainlinkNodeStatus| {
        metrics.status(&named("mainnet"), status);
        let metric = "chainlinknode_update_applied_timestamp_seconds";
        let wanted = told(&metrics, "chainlinknode_wanted_version");
        (told(&metrics, metric), wanted)
    };
    let since = [format!(r#"{{{OF},version="2.29.0"}} 3"#)].to_vec();
    let wanted = [format!(r#"{{{OF},version="2.29.0"}} 1"#)].to_vec();
    assert_eq!(of(&status), (since.clone(), wanted), "it is on its way");
    status.current_version = Some("2.29.0".to_owned());
    assert_eq!(of(&status), (since, vec![]), "it runs");
    status.applied = None;
    let wanted = [format!(r#"{{{OF},version="2.28.0"}} 1"#)].to_vec();
    assert_eq!(of(&status), (vec![], wanted), "the spec's word counts");
}

#[test]
fn a_look_that_failed_does_not_pass_for_a_good_one() {
    let metrics = leading();
    let status = ChainlinkNodeStatus::default();
    let looked = |metrics: &Metrics| told(metrics, "chainlinknode_looked_timestamp_seconds");
    metrics.status(&named("mainnet"), &status);
    assert_eq!(looked(&metrics), [""; 0]);
    metrics.looked(&named("mainnet"), &status, at(7), None);
    metrics.status(&named("mainnet"), &status);
    assert_eq!(looked(&metrics), [format!("{{{OF}}} 7")]);
}

#[test]
fn a_move_counts_for_the_fleet_by_reason_and_gap_and_a_failover_for_its_resource() {
    let metrics = leading();
    let node = named("mainnet");
    let moves = |metrics: &Metrics| told(metrics, "chainlink_operator_lock_moves_total");
    assert_eq!(moves(&metrics).len(), MoveReason::ALL.len(), "from zero on");
    metrics.status(&node, &ChainlinkNodeStatus::default());
    for (reason, gap) in [
        ("Version", Some(1750)),
        ("Failover", Some(10_600)),
        ("Drill", None),
    ] {
        metrics.moved(&node, &moved(reason, gap));
    }
    for reason in ["Version", "Failover", "Drill"] {
        let line = format!(r#"{{reason="{reason}"}} 1"#);
        assert!(moves(&metrics).contains(&line), "{reason}");
    }
    for (planned, sum) in [("true", "1.75"), ("false", "10.6")] {
        let line = format!(r#"{{planned="{planned}"}} {sum}"#);
        assert_eq!(
            told(&metrics, "chainlink_operator_gap_seconds_sum")
                .iter()
                .filter(|one| **one == line)
                .count(),
            1,
            "{line}"
        );
    }
    let failovers = told(&metrics, "chainlinknode_failovers_total");
    assert_eq!(failovers, [format!("{{{OF}}} 1")]);
    // What the next status says takes no count back.
    metrics.status(&node, &ChainlinkNodeStatus::default());
    assert_eq!(told(&metrics, "chainlinknode_failovers_total"), failovers);
}

#[test]
fn the_last_move_and_its_gap_outlive_a_restart_and_are_those_of_one_move() {
    let metrics = leading();
    let mut status = ChainlinkNodeStatus {
        last_handover: Some(moved("Failover", Some(10_600))),
        ..ChainlinkNodeStatus::default()
    };
    metrics.status(&named("mainnet"), &status);
    let last = told(&metrics, "chainlinknode_last_move_timestamp_seconds");
    assert_eq!(last, [format!(r#"{{{OF},reason="Failover"}} 2"#)]);
    let gap = |metrics: &Metrics| told(metrics, "chainlinknode_last_gap_seconds");
    assert_eq!(gap(&metrics), [format!("{{{OF}}} 10.6")]);
    // The gap of the last one is not known: that of the one before it is not shown for it.
    status.last_handover = Some(moved("Version", None));
    metrics.status(&named("mainnet"), &status);
    assert_eq!(gap(&metrics), [""; 0]);
}

fn asked(state: RequestState, ended: Option<Timestamp>) -> ChainlinkNodeStatus {
    ChainlinkNodeStatus {
        drill: Some(Request {
            token: "t".to_owned(),
            to: None,
            state,
            message: None,
            since: at(1),
            from: None,
            ended,
        }),
        ..ChainlinkNodeStatus::default()
    }
}

#[test]
fn a_drill_is_counted_once_by_how_it_ended_and_what_goes_on_is_not() {
    let metrics = leading();
    let pending = asked(RequestState::Pending, None);
    let skipped = asked(RequestState::Refused, Some(at(3)));
    let nothing = ChainlinkNodeStatus::default();
    let last = "chainlinknode_last_drill_timestamp_seconds";
    for (old, new) in [
        (&nothing, &pending),
        (&pending, &skipped),
        (&skipped, &skipped),
    ] {
        metrics.status(&named("mainnet"), new);
        metrics.asked(old, new);
        let ended = new.drill.as_ref().unwrap().ended.is_some();
        assert_eq!(told(&metrics, last).len(), usize::from(ended));
    }
    let drills = told(&metrics, "chainlink_operator_drills_total");
    for (result, count) in [("Refused", 1), ("Done", 0), ("Failed", 0)] {
        let line = format!(r#"{{result="{result}"}} {count}"#);
        assert!(drills.contains(&line), "{drills:?}");
    }
    assert_eq!(
        told(&metrics, last),
        [format!(r#"{{{OF},result="Refused"}} 3"#)]
    );
}

#[test]
fn only_an_operator_that_leads_tells_of_resources() {
    let metrics = Metrics::default();
    let status = with(&[("Ready", "False", "Holding")]);
    let tells = |metrics: &Metrics| {
        metrics.looked(&named("mainnet"), &status, at(7), None);
        metrics.moved(&named("mainnet"), &moved("Failover", None));
        let text = metrics.text(Format::Text).unwrap();
        let totals = samples(&text, "chainlink_operator_conditions").len();
        (text.contains("mainnet"), totals > 0)
    };
    assert_eq!(tells(&metrics), (false, false));
    metrics.leads(true);
    assert_eq!(tells(&metrics), (true, true));
    metrics.leads(false);
    // A pass that was still under way may end after that.
    assert_eq!(tells(&metrics), (false, false));
}

#[test]
fn a_resource_that_is_gone_leaves_no_series() {
    let metrics = leading();
    let status = with(&[("Ready", "False", "Holding")]);
    metrics.looked(&named("mainnet"), &status, at(7), Some(at(6)));
    metrics.moved(&named("mainnet"), &moved("Failover", Some(1)));
    assert!(metrics.text(Format::Text).unwrap().contains("mainnet"));
    metrics.forget("chain", "mainnet");
    assert!(!metrics.text(Format::Text).unwrap().contains("mainnet"));
}

#[test]
fn a_thousand_resources_stay_below_a_megabyte() {
    let mut rest = Told::of(pair());
    // As the chart installs it: the machines are read, and the database is asked.
    for condition in &mut rest.status.conditions {
        if ["LockVerified", "Drainable"].contains(&condition.type_.as_str()) {
            "True".clone_into(&mut condition.status);
        }
    }
    let mut trouble = Told::of(pair());
    trouble.world.ends("a");
    trouble.look();
    let fleet = |troubled: fn(usize) -> bool| {
        let metrics = leading();
        for number in 0..1000 {
            let of = if troubled(number) { &trouble } else { &rest };
            let status = ChainlinkNodeStatus {
                last_handover: Some(moved("Configuration", Some(1750))),
                ..of.status.clone()
            };
            let node = named(&format!("mainnet-{number:04}"));
            let now = at(1_767_225_600);
            metrics.looked(&node, &status, now, Some(now));
        }
        metrics
    };
    let some = fleet(|number| number % 10 == 0);
    for format in [Format::Text, Format::OpenMetrics] {
        let text = some.text(format).unwrap();
        let (bytes, lines) = (text.len(), text.lines().count());
        assert!(bytes < 1_000_000, "{bytes} bytes in {lines} lines");
        assert!(lines > 9_000, "{lines} lines are not those of a fleet");
    }
    // Where the actives of all of them end at once.
    let all = fleet(|_| true).text(Format::Text).unwrap();
    let (bytes, lines) = (all.len(), all.lines().count());
    assert!(bytes < 1_500_000, "{bytes} bytes in {lines} lines");
}

#[test]
fn the_text_of_old_names_what_its_samples_are_called_and_open_metrics_has_an_end() {
    let metrics = leading();
    metrics.failed();
    let text = metrics.text(Format::Text).unwrap();
    let open = metrics.text(Format::OpenMetrics).unwrap();
    for (text, kinds) in [
        (
            &text,
            [
                "# TYPE chainlink_operator_reconcile_errors_total counter\n",
                "# TYPE chainlink_operator_build_info gauge\n",
                "# TYPE chainlink_operator_gap_seconds histogram\n",
            ],
        ),
        (
            &open,
            [
                "# TYPE chainlink_operator_reconcile_errors counter\n",
                "# TYPE chainlink_operator_build info\n",
                "# UNIT chainlink_operator_gap_seconds seconds\n",
            ],
        ),
    ] {
        for kind in kinds {
            assert!(text.contains(kind), "{kind}: {text}");
        }
        let errors = samples(text, "chainlink_operator_reconcile_errors_total");
        assert_eq!(errors, [" 1"]);
    }
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF") && !text.contains("# UNIT"));
    assert!(text.contains(
        "# HELP chainlink_operator_reconcile_errors_total Passes that ended with an error.\n"
    ));
}

#[test]
fn the_form_is_the_one_that_is_asked_for() {
    for (accept, format) in [
        // Prometheus 2 and 3, a browser, curl, and one that says nothing.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
            Format::OpenMetrics,
        ),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
        ("text/plain;version=0.0.4", Format::Text),
        (
            "text/plain, application/openmetrics-text;q=0.5",
            Format::Text,
        ),
        ("application/openmetrics-text;q=0", Format::Text),
        ("*/*", Format::Text),
        ("", Format::Text),
    ] {
        assert_eq!(Format::accepted(accept), format, "{accept}");
    }
}
