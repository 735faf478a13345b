//! The rights that the chart grants are those that the operator uses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde::Deserialize;

#[derive(Deserialize)]
struct Rule {
    resources: Vec<String>,
    verbs: Vec<String>,
}

fn rules(name: &str, end: &str) -> Vec<String> {
    let template = include_str!("../charts/chainlink-operator/templates/_rules.tpl");
    let (_, rules) = template
        .split_once(&format!("{{{{- define \"chainlink-operator.{name}\" -}}}}"))
        .unwrap();
    let (rules, _) = rules.split_once(end).unwrap();
    let rules: Vec<Rule> = serde_yaml_ng::from_str(rules).unwrap();
    rules
        .iter()
        .map(|rule| format!("{}: {}", rule.resources.join(" "), rule.verbs.join(" ")))
        .collect()
}

#[test]
fn the_chart_grants_what_the_operator_uses_and_no_more() {
    assert_eq!(
        rules("rules", "{{- end }}"),
        [
            // The controller's watch, and a fresh read at each pass.
            "chainlinknodes: get list watch",
            // Written whole, with the resourceVersion (rule S4).
            "chainlinknodes/status: update",
            // For owner references that block.
            "chainlinknodes/finalizers: update",
            // Patched: the role label, and the owner of an orphan.
            "pods: get list watch create patch delete",
            "pods/status: patch",
            "pods/log: get",
            // A server-side apply that makes an object needs create and patch. The one for peers is
            // removed when the spec asks for it no more.
            "services: get create patch delete",
            // Watched for those that the user refers to; our own are made and removed, never changed.
            "configmaps: get list watch create delete",
            // A session secret is made once, and never read.
            "secrets: create",
            // As ConfigMaps; read one by one only where a name is taken.
            "controllerrevisions: get list create delete",
            // Applied where they differ; they go with their owner.
            "poddisruptionbudgets: get create patch",
            // Why a pod does not start.
            "events: list",
            // Each of ours is an event of its own.
            "events: create",
        ]
    );
}

#[test]
fn secrets_are_read_only_where_the_databases_are_to_be_asked() {
    assert_eq!(rules("databaseRules", "{{- with"), ["secrets: get"]);
    let roles = include_str!("../charts/chainlink-operator/templates/rbac.yaml");
    let lines: Vec<&str> = roles.lines().map(str::trim).collect();
    let mut granted = 0;
    for (before, line) in lines.iter().zip(&lines[1..]) {
        if line.contains("databaseRules") {
            assert!(before.contains("if ") && before.contains("databaseVerification.enabled"));
            granted += 1;
        }
    }
    assert_eq!(granted, 2, "in a Role and in a ClusterRole");
    let values = include_str!("../charts/chainlink-operator/values.yaml");
    assert!(values.contains("databaseVerification:\n  enabled: false\n"));
}
