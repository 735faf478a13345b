//! What Kubernetes does with a pod, from its creation to its end.

use serde_json::{Value, json};

use super::{container, environment_node, pod, pod_spec, resolved, toml_node, with};

#[test]
fn kubernetes_injects_nothing_that_could_keep_a_node_from_booting() {
    let spec = pod_spec(&toml_node());

    assert_eq!(spec.enable_service_links, Some(false));
    assert_eq!(spec.automount_service_account_token, Some(false));
}

#[test]
fn a_pod_is_ready_when_the_operator_says_so() {
    let gates = pod_spec(&toml_node()).readiness_gates.unwrap();

    assert_eq!(gates.len(), 1);
    assert_eq!(gates[0].condition_type, "chainlink-operator.dev/ready");
}

#[test]
fn no_probe_kills_a_standby_which_serves_no_http() {
    let container = container(&toml_node());

    assert!(container.liveness_probe.is_none());
    assert!(container.startup_probe.is_none());
    assert!(container.readiness_probe.is_none());
}

#[test]
fn a_node_has_time_to_release_its_lock() {
    let grace = |spec: &Value| pod_spec(spec).termination_grace_period_seconds;

    assert_eq!(grace(&toml_node()), Some(30));
    assert_eq!(
        grace(&with(
            toml_node(),
            "pod",
            json!({"terminationGracePeriodSeconds": 90})
        )),
        Some(90)
    );
    // What it may take for itself, and to give its lock back.
    let own = json!([{"name": "node.toml", "inline": "ShutdownGracePeriod = '1m'"}]);
    assert_eq!(grace(&with(toml_node(), "config.files", own)), Some(75));
    let mut of_1 = environment_node();
    of_1["config"]["env"] = json!([{"name": "SHUTDOWN_GRACE_PERIOD", "value": "20s"}]);
    assert_eq!(grace(&of_1), Some(35));
}

#[test]
fn a_pod_is_a_standby_from_its_creation_on() {
    let labels = pod(&toml_node()).metadata.labels.unwrap();

    assert_eq!(labels["chainlink-operator.dev/role"], "standby");
    assert_eq!(labels["chainlink-operator.dev/node"], "chainlink");
    assert_eq!(
        labels["chainlink-operator.dev/revision"],
        resolved(&toml_node()).revision.name.as_str()
    );
}

#[test]
fn a_pod_belongs_to_its_node_as_to_a_controller() {
    let owners = pod(&toml_node()).metadata.owner_references.unwrap();

    assert_eq!(owners.len(), 1);
    assert_eq!(
        (owners[0].kind.as_str(), owners[0].controller),
        ("ChainlinkNode", Some(true))
    );
}

#[test]
fn the_users_labels_and_annotations_stand_beside_ours_and_never_in_their_place() {
    let spec = with(
        toml_node(),
        "pod",
        json!({
            "labels": {"team": "oracles", "app.kubernetes.io/name": "mine"},
            "annotations": {"note": "a b c", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        }),
    );
    let metadata = pod(&spec).metadata;
    let (labels, annotations) = (metadata.labels.unwrap(), metadata.annotations.unwrap());

    assert_eq!(
        (&*labels["team"], &*labels["app.kubernetes.io/name"]),
        ("oracles", "chainlink-node")
    );
    assert_eq!(annotations["note"], "a b c");
    assert_eq!(
        annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"],
        "true"
    );
    assert_eq!(
        resolved(&spec).warnings,
        [
            "spec.pod.labels sets app.kubernetes.io/name; the operator sets it itself",
            "spec.pod.annotations sets cluster-autoscaler.kubernetes.io/safe-to-evict; the operator sets it itself",
        ]
    );
}

#[test]
fn the_image_is_the_version_unless_more_is_said() {
    let beta = with(
        with(toml_node(), "version", json!("2.29.0")),
        "image",
        json!({"tag": "2.29.0-beta.1"}),
    );
    let image_of_a_beta = container(&beta).image.unwrap();
    assert!(image_of_a_beta.ends_with(":2.29.0-beta.1"));
    let image = |image: Value| container(&with(toml_node(), "image", image)).image.unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));

    assert_eq!(image(json!({})), "smartcontract/chainlink:2.29.0");
    assert_eq!(
        image(json!({"tag": "2.29.0-root"})),
        "smartcontract/chainlink:2.29.0-root"
    );
    assert_eq!(
        image(json!({"repository": "public.ecr.aws/chainlink/chainlink", "tag": "v2.29.0"})),
        "public.ecr.aws/chainlink/chainlink:v2.29.0"
    );
    assert_eq!(
        image(json!({"tag": "2.29.0", "digest": digest})),
        format!("smartcontract/chainlink@{digest}")
    );
}
