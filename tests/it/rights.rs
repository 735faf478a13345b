//! The rights that the chart grants, and by which values. That they are those that the operator uses is seen where its
//! calls are seen: `fake_api` grants each call by the chart's rules, and `fake_api/rights.rs` looks for rights that
//! nothing asks for. No server there is asked for a watch: those are held against the code here.

use std::collections::BTreeSet;

use crate::granted;

/// The kinds of which a file makes watches. `Api<K>` is written out wherever one is made; `Metadata<K>` is that of `K`.
fn apis<'a>(code: &'a str, ending: &str) -> BTreeSet<&'a str> {
    let (code, _) = code.split_once("#[cfg(test)]").unwrap();
    code.lines()
        .filter_map(|line| line.trim().strip_prefix("let ")?.split_once(": Api<"))
        .filter_map(|(_, rest)| rest.split_once("> = "))
        .filter(|(_, rest)| rest.starts_with(ending))
        .map(|(kind, _)| kind)
        .map(|kind| {
            kind.strip_prefix("Metadata<")
                .map_or(kind, |kind| kind.trim_end_matches('>'))
        })
        .collect()
}

fn watched(all: &BTreeSet<String>) -> BTreeSet<&str> {
    all.iter()
        .filter_map(|right| right.strip_prefix("watch "))
        .collect()
}

#[test]
fn what_the_operator_watches_it_may_list_and_watch_and_nothing_else() {
    let streams = include_str!("../../src/controller/run.rs");
    assert_eq!(
        apis(streams, "scoped("),
        BTreeSet::from([
            "ChainlinkNode",
            "ConfigMap",
            "ControllerRevision",
            "Pod",
            "PodDisruptionBudget",
            "Service",
        ])
    );
    let granted = granted::all();
    let kinds = [
        "apps/controllerrevisions",
        "chainlink-operator.dev/chainlinknodes",
        "configmaps",
        "pods",
        "policy/poddisruptionbudgets",
        "services",
    ];
    assert_eq!(watched(&granted), BTreeSet::from(kinds));
    for kind in kinds {
        assert!(granted.contains(&format!("list {kind}")), "{kind}");
    }
}

#[test]
fn machines_are_watched_and_nothing_else_may_be_done_with_them() {
    let machines = include_str!("../../src/observe/machines.rs");
    assert_eq!(apis(machines, "Api::all("), BTreeSet::from(["Node"]));
    let (code, _) = machines.split_once("#[cfg(test)]").unwrap();
    assert!(code.contains("watcher(nodes, "), "they are only watched");
    assert_eq!(code.matches("nodes").count(), 2, "and nothing else is done");

    let template = include_str!("../../charts/chainlink-operator/templates/rbac.yaml");
    let (_, rules) = template.split_once("-machines\n").unwrap();
    let (_, rules) = rules.split_once("rules:\n").unwrap();
    let (rules, _) = rules.split_once("---").unwrap();
    assert_eq!(
        granted::of_rules(rules),
        BTreeSet::from(["list nodes".to_owned(), "watch nodes".to_owned()])
    );
}

#[test]
fn secrets_are_made_and_read_only_where_a_value_says_so() {
    let about_secrets = |part: &str| -> Vec<String> {
        let rights = granted::part(part).into_iter();
        rights.filter(|right| right.contains("secret")).collect()
    };
    assert_eq!(about_secrets("rules"), [""; 0]);
    assert_eq!(about_secrets("sessionRules"), ["create secrets"]);
    assert_eq!(about_secrets("databaseRules"), ["get secrets"]);
    assert_eq!(
        about_secrets("digestKeyRules"),
        ["get secrets", "patch secrets"]
    );

    let sessions = include_str!("../../charts/chainlink-operator/templates/rbac.yaml");
    let lines: Vec<&str> = sessions.lines().map(str::trim).collect();
    let granted = lines.iter().zip(&lines[1..]);
    let granted: Vec<_> = granted
        .filter(|(_, line)| line.contains("sessionRules"))
        .collect();
    assert_eq!(granted.len(), 2, "in a Role and in a ClusterRole");
    for (before, _) in granted {
        assert!(
            before.contains("if ") && before.contains("sessionSecrets.generate"),
            "{before}"
        );
    }
    for (file, rules, times) in [
        (
            include_str!("../../charts/chainlink-operator/templates/secrets-rbac.yaml"),
            "databaseRules",
            2,
        ),
        (
            include_str!("../../charts/chainlink-operator/templates/digest-key.yaml"),
            "digestKeyRules",
            1,
        ),
    ] {
        let first = file.lines().next().unwrap();
        assert!(
            first.contains("if ") && first.contains("databaseVerification.enabled"),
            "{first}"
        );
        assert_eq!(file.matches(rules).count(), times, "{rules}");
    }
    let values = include_str!("../../charts/chainlink-operator/values.yaml");
    let values: serde_json::Value = serde_saphyr::from_str(values).unwrap();
    assert_eq!(values["sessionSecrets"]["generate"], false);
    assert_eq!(values["databaseVerification"]["enabled"], true);
}

#[test]
fn a_resource_is_patched_only_where_a_value_says_so() {
    let patch = "patch chainlink-operator.dev/chainlinknodes";
    assert!(!granted::part("rules").contains(patch));
    assert_eq!(
        granted::part("updateRules"),
        BTreeSet::from([patch.to_owned()])
    );
    let template = include_str!("../../charts/chainlink-operator/templates/rbac.yaml");
    let lines: Vec<&str> = template.lines().map(str::trim).collect();
    let mut before = lines.iter().zip(&lines[1..]);
    let guarded = before.by_ref().filter(|(before, line)| {
        line.contains("updateRules") && before.contains("if ") && before.contains("updates.apply")
    });
    assert_eq!(guarded.count(), 2, "in a Role and in a ClusterRole");
    assert_eq!(template.matches("updateRules").count(), 2);
    let values = include_str!("../../charts/chainlink-operator/values.yaml");
    let values: serde_json::Value = serde_saphyr::from_str(values).unwrap();
    assert_eq!(values["updates"]["apply"], false);
}
