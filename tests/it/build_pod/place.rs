//! Where a pod runs, and on what.

use serde_json::{Value, json};

use super::{pod_spec, toml_node, with};

#[test]
fn a_pod_outlives_the_loss_of_its_machine_until_the_operator_decides() {
    let all = json!([
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10},
        {"key": "oracles", "operator": "Exists"},
    ]);
    let tolerations = pod_spec(&with(toml_node(), "pod", json!({"tolerations": all})))
        .tolerations
        .unwrap();

    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        // The taint controller takes the first one that fits.
        let first = tolerations
            .iter()
            .find(|toleration| toleration.key.as_deref().is_none_or(|other| other == key))
            .unwrap();
        assert_eq!(first.key.as_deref(), Some(key));
        assert_eq!(first.operator.as_deref(), Some("Exists"));
        assert_eq!(first.effect.as_deref(), Some("NoExecute"));
        assert_eq!(first.toleration_seconds, None);
    }
    assert_eq!(tolerations.len(), 4);
}

#[test]
fn pods_keep_apart_as_far_as_they_are_told() {
    let apart = |spread: &str| {
        let spec = with(toml_node(), "pod", json!({"spread": spread}));
        pod_spec(&spec).affinity.map(|affinity| {
            let apart = affinity.pod_anti_affinity.unwrap();
            let hard = apart
                .required_during_scheduling_ignored_during_execution
                .unwrap_or_default();
            let soft = apart
                .preferred_during_scheduling_ignored_during_execution
                .unwrap_or_default();
            (hard.len(), soft.len())
        })
    };

    assert_eq!(apart("Preferred"), Some((0, 2)));
    assert_eq!(apart("Required"), Some((1, 1)));
    assert_eq!(apart("None"), None);
}

#[test]
fn the_root_folder_is_bounded_and_may_lie_on_a_storage_class() {
    let root = |storage: Value| {
        let spec = with(toml_node(), "pod", json!({"storage": storage}));
        serde_json::to_value(&pod_spec(&spec).volumes.unwrap()[0]).unwrap()
    };

    assert_eq!(
        root(json!({})),
        json!({"name": "root", "emptyDir": {"sizeLimit": "1Gi"}})
    );
    let claim = root(json!({"size": "20Gi", "storageClassName": "fast"}));
    assert_eq!(
        claim["ephemeral"]["volumeClaimTemplate"]["spec"],
        json!({
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "20Gi"}},
        })
    );
}
