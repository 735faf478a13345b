//! What signs the sessions of people and API clients.

use chainlink_operator::build::{self};
use serde_json::json;

use super::{node, pod_spec, toml_node, with};

#[test]
fn pods_that_share_their_sessions_get_the_secret_before_the_node_starts() {
    let secret = json!({"secretKeyRef": {"name": "own", "key": "signature"}});
    let spec = with(toml_node(), "credentials.sessionSecret", secret);
    let pod = pod_spec(&spec);
    let before = pod.init_containers.unwrap().remove(0);

    assert_eq!(before.image, pod.containers[0].image);
    assert_eq!(before.security_context, pod.containers[0].security_context);
    let mounted: Vec<_> = before
        .volume_mounts
        .unwrap()
        .into_iter()
        .map(|mount| (mount.name, mount.mount_path, mount.read_only))
        .collect();
    assert_eq!(
        mounted,
        [
            ("root".to_owned(), "/chainlink".to_owned(), None),
            (
                "session-secret".to_owned(),
                "/etc/chainlink/session".to_owned(),
                Some(true)
            ),
        ]
    );
    let volume = pod
        .volumes
        .unwrap()
        .into_iter()
        .find(|volume| volume.name == "session-secret");
    let source = serde_json::to_value(volume.unwrap().secret.unwrap()).unwrap();
    assert_eq!(
        source,
        json!({"secretName": "own", "items": [{"key": "signature", "path": "secret"}]})
    );
    // The node itself sees the file in its root folder, and not the Secret.
    let node = serde_json::to_value(&pod.containers[0]).unwrap();
    assert!(!node.to_string().contains("session"), "{node}");
}

#[test]
fn the_operators_own_session_secret_is_named_after_the_resource() {
    let generate = json!({"generate": true});
    let spec = with(toml_node(), "credentials.sessionSecret", generate);
    let (node, _) = node(&spec);
    let secret = build::session_secret(&node, [255; 32]).unwrap();

    assert_eq!(secret.metadata.name.as_deref(), Some("chainlink-session"));
    assert_eq!(
        secret.string_data.unwrap()["secret"],
        "//////////////////////////////////////////8="
    );
    let mounted = serde_json::to_value(pod_spec(&spec).volumes).unwrap();
    assert!(
        mounted.to_string().contains("\"chainlink-session\""),
        "{mounted}"
    );
}

#[test]
fn pods_that_share_no_sessions_have_no_container_before_the_nodes() {
    assert_eq!(pod_spec(&toml_node()).init_containers, None);
}
