//! The rights that the chart grants, read from its template.

use std::collections::BTreeSet;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// One right, as `get pods/log` or `update chainlink-operator.dev/chainlinknodes/status`.
pub fn right(verb: &str, group: &str, resource: &str) -> String {
    match group {
        "" => format!("{verb} {resource}"),
        _ => format!("{verb} {group}/{resource}"),
    }
}

/// What a list of rules in YAML grants.
pub fn of_rules(rules: &str) -> BTreeSet<String> {
    let rules: Vec<Rule> = serde_saphyr::from_str(rules).unwrap();
    let mut rights = BTreeSet::new();
    for rule in &rules {
        for group in &rule.api_groups {
            for resource in &rule.resources {
                let verbs = rule.verbs.iter();
                rights.extend(verbs.map(|verb| right(verb, group, resource)));
            }
        }
    }
    rights
}

/// What a part of the chart's `_rules.tpl` grants: `rules`, `sessionRules`, `updateRules`, `databaseRules`,
/// `digestKeyRules` or `leaseRules`.
pub fn part(name: &str) -> BTreeSet<String> {
    let template = include_str!("../../charts/chainlink-operator/templates/_rules.tpl");
    let begin = format!("{{{{- define \"chainlink-operator.{name}\" -}}}}");
    let (_, rules) = template.split_once(&begin).unwrap();
    // What follows in braces is the end, or a restriction to some names.
    let (rules, _) = rules.split_once("{{-").unwrap();
    of_rules(rules)
}

/// What the chart grants with every value that asks for rights on, but for machines.
pub fn all() -> BTreeSet<String> {
    let parts = [
        "rules",
        "sessionRules",
        "updateRules",
        "databaseRules",
        "digestKeyRules",
        "leaseRules",
    ];
    parts.into_iter().flat_map(part).collect()
}
