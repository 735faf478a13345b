//! The short pods that are no nodes: the one that pulls an image, and the one that checks a configuration.

use std::collections::BTreeSet;

use chainlink_operator::api::names::{NODE_LABEL, ROLE_LABEL, VALIDATION_LABEL};
use chainlink_operator::build::{self};
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use super::{check, container, node, pull_pod, resolved, short_pods, toml_node, with};

#[test]
fn a_pod_that_pulls_an_image_is_no_node() {
    let (node, _) = node(&toml_node());
    let content = resolved(&toml_node()).content;
    let pod = pull_pod(&node, &content);
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    assert!(!labels.contains_key(NODE_LABEL), "{labels:?}");
    let spec = pod.spec.unwrap();
    assert_eq!(spec.node_name.as_deref(), Some("machine-1"));
    assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
    assert_eq!(spec.volumes, None);
    let container = &spec.containers[0];
    assert_eq!(container.args, Some(vec!["--version".to_owned()]));
    assert_eq!(container.env, None, "it knows no database");
    assert_eq!(container.env_from, None);
}

fn checking_container(spec: &Value) -> Container {
    check(spec).spec.unwrap().containers.remove(0)
}

#[test]
fn a_pod_that_checks_a_configuration_reads_what_a_node_would_and_asks_for_no_lock() {
    let files = "-c /etc/chainlink/config/00-node.toml -c /etc/chainlink/secret-config/1/01-rpc.toml \
        -c /etc/chainlink/config/02-last.toml -s /etc/chainlink/secrets/secrets.toml";
    let command_line = |spec: &Value| checking_container(spec).args.unwrap().join(" ");
    let first = with(toml_node(), "version", json!("1.13.3"));

    assert_eq!(command_line(&toml_node()), format!("node {files} validate"));
    assert_eq!(command_line(&first), format!("{files} config validate"));
    for spec in [toml_node(), first] {
        let (check, node) = (checking_container(&spec), container(&spec));
        assert_eq!(check.image, node.image);
        assert_eq!(check.volume_mounts, node.volume_mounts);
        let mut env = check.env.unwrap();
        let password = serde_json::to_value(env.pop()).unwrap();
        assert_eq!(Some(env), node.env, "the node's own, and one more");
        assert_eq!(
            password,
            json!({
                "name": "CL_PASSWORD_KEYSTORE",
                "valueFrom": {"secretKeyRef": {"name": "credentials", "key": "keystore"}},
            })
        );
    }
}

#[test]
fn a_pod_that_checks_a_configuration_is_no_node() {
    let pod = check(&toml_node());
    let labels = pod.metadata.labels.unwrap();

    assert!(!labels.contains_key(NODE_LABEL), "{labels:?}");
    assert!(!labels.contains_key(ROLE_LABEL), "{labels:?}");
    assert_eq!(labels[VALIDATION_LABEL], "chainlink");
    assert_eq!(pod.metadata.owner_references.unwrap().len(), 1);
    let spec = pod.spec.unwrap();
    assert_eq!(spec.restart_policy.as_deref(), Some("OnFailure"));
    assert_eq!(spec.readiness_gates, None);
    assert_eq!(spec.containers[0].ports, None);
}

#[test]
fn a_pod_that_checks_a_configuration_needs_nothing_of_the_sessions() {
    let secret = json!({"secretKeyRef": {"name": "not-there-yet", "key": "signature"}});
    let shared = with(toml_node(), "credentials.sessionSecret", secret);
    let spec = check(&shared).spec.unwrap();

    assert_eq!(spec.init_containers, None);
    let volumes = serde_json::to_value(&spec.volumes).unwrap().to_string();
    assert!(!volumes.contains("not-there-yet"), "{volumes}");
    let mounted: BTreeSet<_> = spec.containers[0]
        .volume_mounts
        .iter()
        .flatten()
        .map(|mount| mount.name.clone())
        .collect();
    let there: BTreeSet<_> = spec
        .volumes
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(there, mounted);
}

#[test]
fn the_pods_that_are_no_nodes_bear_the_labels_and_annotations_of_the_node() {
    let mut spec = toml_node();
    spec["pod"] = json!({
        "labels": {"example.com/team": "oracles"},
        "annotations": {"sidecar.istio.io/inject": "false"},
    });
    for pod in short_pods(&spec) {
        let labels = pod.metadata.labels.unwrap();
        assert_eq!(labels["example.com/team"], "oracles");
        for of_a_node in [NODE_LABEL, ROLE_LABEL] {
            assert!(!labels.contains_key(of_a_node), "{labels:?}");
        }
        let annotations = pod.metadata.annotations.unwrap();
        assert_eq!(annotations["sidecar.istio.io/inject"], "false");
    }
}

fn amounts(pod: Pod) -> Value {
    let resources = pod.spec.unwrap().containers.remove(0).resources;
    serde_json::to_value(resources).unwrap()
}

#[test]
fn the_pods_that_are_no_nodes_have_the_nodes_amounts_so_that_they_fit_where_it_fits() {
    let own = json!({
        "requests": {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "500m", "memory": "4Gi", "ephemeral-storage": "2Gi"},
    });
    let mut spec = toml_node();
    for pod in short_pods(&spec) {
        assert_eq!(
            amounts(pod),
            json!(null),
            "as the node: what the namespace gives"
        );
    }
    spec["pod"] = json!({"resources": own});
    for pod in short_pods(&spec) {
        assert_eq!(amounts(pod), own);
    }
}

#[test]
fn where_there_is_no_room_the_pods_that_are_no_nodes_ask_for_little_and_for_more_only_if_they_have_to()
 {
    let own = json!({
        "requests": {"cpu": "250m", "memory": "32Mi", "example.com/disks": "1"},
        "limits": {"cpu": "500m", "memory": "4Gi", "ephemeral-storage": "2Gi"},
    });
    let mut spec = toml_node();
    spec["handover"] = json!({"surge": 0});
    spec["replicas"] = json!(2);
    spec["pod"] = json!({"resources": own});
    let content = resolved(&spec).content;
    for pod in short_pods(&spec) {
        let fitting = build::as_fitting_as_the_node(&pod, &content);
        assert_eq!(amounts(fitting), own);
        assert_eq!(
            amounts(pod),
            json!({
                "requests": {
                    "cpu": "10m",
                    "memory": "32Mi",
                    "ephemeral-storage": "16Mi",
                    "example.com/disks": "1",
                },
                "limits": own["limits"],
            })
        );
    }
}
