//! What is mounted beside the operator's own volumes.

use chainlink_operator::api::RevisionName;
use chainlink_operator::build;
use serde_json::{Value, json};

use super::{check, container, node, pod_spec, toml_node, with};

fn mounting(volume: &Value) -> Value {
    with(toml_node(), "pod", json!({"volumes": [volume]}))
}

/// The volume itself, of a node and of the pod that checks its configuration.
fn mounted(volume: &Value) -> Value {
    let spec = mounting(volume);
    let mount = container(&spec).volume_mounts.unwrap().pop().unwrap();
    assert_eq!(mount.mount_path, "/more");
    assert_eq!(mount.read_only, Some(true));
    let last = |volumes: Option<Vec<_>>| serde_json::to_value(volumes.unwrap().pop()).unwrap();
    let of_node = last(pod_spec(&spec).volumes);
    assert_eq!(of_node["name"], mount.name);
    assert_eq!(of_node, last(check(&spec).spec.unwrap().volumes));
    of_node
}

#[test]
fn what_a_driver_puts_there_is_read_only() {
    let csi = json!({
        "driver": "secrets-store.csi.k8s.io",
        "volumeAttributes": {"secretProviderClass": "mainnet"},
    });
    let mut there = csi.clone();
    there["readOnly"] = json!(true);
    let volume = mounted(&json!({"name": "vault", "mountPath": "/more", "csi": csi}));
    assert_eq!(volume["csi"], there);
}

#[test]
fn a_volume_that_is_there_already_is_read_only() {
    let claim = json!({"claimName": "plugins"});
    let volume =
        mounted(&json!({"name": "plugins", "mountPath": "/more", "persistentVolumeClaim": claim}));
    assert_eq!(
        volume["persistentVolumeClaim"],
        json!({"claimName": "plugins", "readOnly": true})
    );
}

#[test]
fn several_things_in_one_folder_are_pinned_and_watched_as_each_would_be_alone() {
    let sources = json!([
        {"secret": {"name": "certificate", "items": [{"key": "tls.crt", "path": "crt"}]}},
        {"configMap": {"name": "authorities"}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
    ]);
    let volume = json!({"name": "all", "mountPath": "/more", "projected": {"sources": sources}});
    let (node, mut maps) = node(&mounting(&volume));
    let of = build::referenced_config_maps(&node.spec);
    assert!(of.contains("authorities"), "it is read: {of:?}");
    let without = build::resolve("chainlink", &node.spec, &maps).unwrap_err();
    assert!(without.missing, "it is waited for");
    let map = json!({"metadata": {"name": "authorities"}, "data": {"ca.crt": "one"}});
    maps.insert(
        "authorities".to_owned(),
        serde_json::from_value(map).unwrap(),
    );
    let resolved = build::resolve("chainlink", &node.spec, &maps).unwrap();
    let name = RevisionName::new(resolved.revision.name.as_str());
    let pod = build::pod(
        &node,
        "chainlink-bcdfg",
        &resolved.revision,
        &resolved.content,
        &chainlink_operator::domain::Place::default(),
    );
    let made = pod.spec.unwrap().volumes.unwrap().pop().unwrap();
    let made = serde_json::to_value(made).unwrap();
    let parts = &made["projected"]["sources"];
    assert_eq!(parts[0], sources[0]);
    assert_eq!(
        parts[1],
        json!({"configMap": {"name": format!("{name}-0")}}),
        "the copy"
    );
    assert_eq!(parts[2], sources[2]);
    let copies = build::mounted_copies(&node, &resolved);
    assert_eq!(copies[0].data, maps["authorities"].data);
    let uses = build::referenced_secrets(&node.spec);
    let certificate = uses.iter().find(|one| one.name == "certificate").unwrap();
    assert_eq!(certificate.key.as_deref(), Some("tls.crt"));
}
