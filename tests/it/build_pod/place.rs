//! Where a pod runs, and on what.

use chainlink_operator::build::{self, Resolved};
use chainlink_operator::domain::Place;
use serde_json::{Value, json};

use super::{check, node, pod, pod_spec, resolved, short_pods, toml_node, with};

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

fn json_of(spec: &Value, field: &str) -> Value {
    serde_json::to_value(pod_spec(spec)).unwrap()[field].clone()
}

#[test]
fn what_the_user_says_of_places_stands_beside_what_the_operator_says() {
    let arch = json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]);
    let hard = json!({"nodeSelectorTerms": [{"matchExpressions": arch}]});
    let wish = json!([{"weight": 7, "preference": {"matchExpressions": arch}}]);
    let near = json!({"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "rpc"}}});
    let affinity = json!({
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": hard,
            "preferredDuringSchedulingIgnoredDuringExecution": wish,
        },
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]},
    });
    let spec = with(toml_node(), "pod", json!({"affinity": affinity}));
    let Resolved {
        revision, content, ..
    } = resolved(&spec);
    let place = Place {
        avoid: vec!["machine-1".to_owned()],
        ..Place::default()
    };
    let pod = build::pod(&node(&spec).0, "a", &revision, &content, &place);
    let made = serde_json::to_value(pod.spec.unwrap().affinity).unwrap();
    let machines = &made["nodeAffinity"];
    assert_eq!(
        machines["requiredDuringSchedulingIgnoredDuringExecution"],
        hard
    );
    let soft = &machines["preferredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(soft[0], wish[0]);
    assert_eq!(
        soft[1]["preference"]["matchFields"][0]["values"],
        json!(["machine-1"]),
        "what this one creation asks for"
    );
    assert_eq!(
        made["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0],
        near
    );
    let away = &made["podAntiAffinity"];
    assert_eq!(
        away["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"],
        json!({"matchLabels": {"chainlink-operator.dev/node": "chainlink"}}),
        "no selector means the pods of this resource"
    );
    let apart = away["preferredDuringSchedulingIgnoredDuringExecution"].as_array();
    assert_eq!(apart.unwrap().len(), 2, "and they are spread as always");
    // The check of a configuration needs a machine on which the image runs, and no company.
    let check = serde_json::to_value(check(&spec).spec.unwrap().affinity).unwrap();
    assert_eq!(check, json!({"nodeAffinity": affinity["nodeAffinity"]}));
}

#[test]
fn a_term_without_a_selector_means_the_pods_of_this_resource_wherever_it_stands() {
    let terms = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}],
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "rack"}},
        ],
    });
    let affinity = json!({"podAffinity": terms, "podAntiAffinity": terms});
    let spec = with(
        toml_node(),
        "pod",
        json!({"spread": "None", "affinity": affinity}),
    );
    let made = json_of(&spec, "affinity");
    let own = json!({"matchLabels": {"chainlink-operator.dev/node": "chainlink"}});
    for kind in ["podAffinity", "podAntiAffinity"] {
        let hard = &made[kind]["requiredDuringSchedulingIgnoredDuringExecution"][0];
        let soft = &made[kind]["preferredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(hard["labelSelector"], own, "{kind}");
        assert_eq!(soft["podAffinityTerm"]["labelSelector"], own, "{kind}");
    }
}

#[test]
fn what_pods_are_spread_by_counts_those_of_this_resource() {
    let evenly = json!([{
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    }]);
    let spec = with(
        toml_node(),
        "pod",
        json!({"topologySpreadConstraints": evenly}),
    );
    let mut there = evenly;
    there[0]["labelSelector"] =
        json!({"matchLabels": {"chainlink-operator.dev/node": "chainlink"}});
    assert_eq!(json_of(&spec, "topologySpreadConstraints"), there);
}

#[test]
fn every_pod_has_the_runtime_and_the_names_that_it_is_told() {
    let told = json!({
        "runtimeClassName": "gvisor",
        "dnsConfig": {"nameservers": ["192.0.2.53"], "options": [{"name": "ndots", "value": "1"}]},
        "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["db.internal"]}],
    });
    let spec = with(toml_node(), "pod", told.clone());
    for pod in short_pods(&spec).into_iter().chain([pod(&spec)]) {
        let made = serde_json::to_value(pod.spec.unwrap()).unwrap();
        for field in ["runtimeClassName", "dnsConfig", "hostAliases"] {
            assert_eq!(made[field], told[field], "{field}");
        }
    }
}
