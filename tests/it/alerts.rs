//! The alerts: each has a page, a test that it fires, and metrics that are there (tests/it/metrics.rs).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::golden::repository;

const RUNBOOKS: &str = "docs/runbooks";

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

fn alerts() -> Vec<Value> {
    let file = text("charts/chainlink-operator/files/alerts.yaml");
    let file: Value = serde_saphyr::from_str(&file).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
    let rules: Vec<Value> = rules.collect();
    assert_eq!(rules.len(), 16, "the alerts were not found");
    rules
}

fn name(alert: &Value) -> &str {
    alert["alert"].as_str().unwrap()
}

#[test]
fn every_alert_has_a_page_that_tells_of_requests_commands_and_a_way_out_and_no_page_is_left_over() {
    let pages = std::fs::read_dir(repository(RUNBOOKS)).unwrap();
    let pages = pages.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: BTreeSet<String> = pages.collect();
    for alert in alerts() {
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        let file = url.rsplit_once('/').unwrap().1;
        assert!(
            pages.remove(file),
            "{}: there is no {file} of its own",
            name(&alert)
        );
        let page = text(&format!("{RUNBOOKS}/{file}"));
        let begins = format!("# {}\n\n**For requests now**: ", name(&alert));
        assert!(page.starts_with(&begins), "{file}");
        let commands = page.split_once("## Look\n\n```sh\n").unwrap().1;
        let (commands, rest) = commands.split_once("```\n").unwrap();
        assert_eq!(commands.lines().count(), 3, "{file}: {commands}");
        assert!(rest.contains("## The way out\n\n* "), "{file}");
    }
    assert_eq!(pages, BTreeSet::new());
}

#[test]
fn every_alert_says_how_urgent_it_is_and_what_it_is_about_and_stands_in_the_table() {
    let table = text("docs/metrics.md");
    for alert in alerts() {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&severity), "{}", name(&alert));
        let file = alert["annotations"]["runbook_url"].as_str().unwrap();
        let file = file.rsplit_once('/').unwrap().1;
        let row = format!("| [{}](runbooks/{file}) | {severity} | ", name(&alert));
        assert!(table.contains(&row), "docs/metrics.md has not: {row}");
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        let expression = alert["expr"].as_str().unwrap();
        // Which of two operators told it is of no matter: an alert must not begin anew with another leader.
        if summary.contains("$labels.name ") {
            assert!(
                expression.contains("by (namespace, name"),
                "{}",
                name(&alert)
            );
        }
    }
}

#[test]
fn every_alert_is_seen_to_fire_by_a_test_of_promtool() {
    let folder = "tests/manifests/prometheus";
    let tests = ["alerts.test.yaml", "alerts-of-days.test.yaml"];
    let tests = tests.map(|file| text(&format!("{folder}/{file}"))).concat();
    for alert in alerts() {
        let fires = format!(
            "labels: ALERTS{{alertname=\"{}\", alertstate=\"firing\"",
            name(&alert)
        );
        assert!(tests.contains(&fires), "no test has: {fires}");
    }
}
