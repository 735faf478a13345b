//! What a pod may do.

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::{
    check, container, node, pod, pod_spec, pull_pod, resolved, short_pods, toml_node, with,
};

#[test]
fn a_pod_passes_the_restricted_profile() {
    let spec = pod_spec(&toml_node());
    let pod = spec.security_context.unwrap();
    let container = spec.containers[0].security_context.clone().unwrap();

    assert_eq!(pod.run_as_non_root, Some(true));
    assert_eq!(
        (pod.run_as_user, pod.run_as_group, pod.fs_group),
        (Some(14933), Some(14933), Some(14933))
    );
    assert_eq!(pod.seccomp_profile.unwrap().type_, "RuntimeDefault");
    assert_eq!(container.allow_privilege_escalation, Some(false));
    assert_eq!(container.read_only_root_filesystem, Some(true));
    assert_eq!(container.privileged, None);
    let capabilities = container.capabilities.unwrap();
    assert_eq!(
        (capabilities.drop, capabilities.add),
        (Some(vec!["ALL".to_owned()]), None)
    );
    assert_eq!(
        (spec.host_network, spec.host_pid, spec.host_ipc),
        (None, None, None)
    );
    assert!(
        spec.volumes
            .unwrap()
            .iter()
            .all(|volume| volume.host_path.is_none())
    );
}

#[test]
fn an_image_that_runs_as_root_is_let_run_as_root() {
    let spec = pod_spec(&with(
        toml_node(),
        "pod",
        json!({"securityContext": {"runAsUser": 0}}),
    ));
    let security = spec.security_context.unwrap();

    assert_eq!(
        (security.run_as_non_root, security.run_as_user),
        (Some(false), Some(0))
    );
}

#[test]
fn the_node_writes_to_its_root_folder_and_to_tmp_only() {
    let writable: Vec<_> = container(&toml_node())
        .volume_mounts
        .unwrap()
        .into_iter()
        .filter(|mount| mount.read_only != Some(true))
        .map(|mount| mount.mount_path)
        .collect();

    assert_eq!(writable, ["/chainlink", "/tmp"]);
}

/// What the *restricted* profile asks of a pod, as of Kubernetes 1.37 (`k8s.io/pod-security-admission/policy`).
fn assert_restricted(spec: &PodSpec) {
    let pod = spec.security_context.as_ref().unwrap();
    assert_eq!(pod.run_as_non_root, Some(true));
    assert_ne!(pod.run_as_user, Some(0));
    assert_eq!(
        pod.seccomp_profile.as_ref().unwrap().type_,
        "RuntimeDefault"
    );
    assert_eq!(
        (spec.host_network, spec.host_pid, spec.host_ipc),
        (None, None, None)
    );
    for container in spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
    {
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false));
        assert_eq!(security.privileged, None);
        assert_eq!(
            (security.run_as_user, security.run_as_non_root),
            (None, None)
        );
        assert_eq!(security.seccomp_profile, None);
        let capabilities = security.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(capabilities.add, None);
        for port in container.ports.iter().flatten() {
            assert_eq!(port.host_port, None);
        }
    }
    for volume in spec.volumes.iter().flatten() {
        let allowed = volume.config_map.is_some()
            || volume.empty_dir.is_some()
            || volume.ephemeral.is_some()
            || volume.csi.is_some()
            || volume.persistent_volume_claim.is_some()
            || volume.projected.is_some()
            || volume.secret.is_some();
        assert!(allowed, "{volume:?}");
    }
}

#[test]
fn every_kind_of_pod_passes_the_restricted_profile() {
    let mut spec = toml_node();
    spec["credentials"]["sessionSecret"] = json!({"generate": true});
    spec["pod"] = json!({"volumes": [
        {"name": "tls", "mountPath": "/tls", "secretName": "tls"},
        {"name": "vault", "mountPath": "/vault", "csi": {"driver": "secrets-store.csi.k8s.io"}},
        {"name": "plugins", "mountPath": "/plugins", "persistentVolumeClaim": {"claimName": "plugins"}},
        {"name": "shared", "mountPath": "/shared", "emptyDir": {}},
    ], "sidecars": [{
        "name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 7000}],
        "volumeMounts": [{"name": "shared", "mountPath": "/out"}],
    }], "initContainers": [{"name": "vault", "image": "vault:1"}]});
    let content = resolved(&spec).content;
    let pull = pull_pod(&node(&spec).0, &content);

    for pod in [pod(&spec), check(&spec), pull] {
        assert_restricted(&pod.spec.unwrap());
    }
}

#[test]
fn a_token_is_mounted_only_where_it_is_asked_for() {
    let token = |spec: &Value| {
        let pods = short_pods(spec).into_iter().chain([pod(spec)]);
        let specs = pods.map(|pod| pod.spec.unwrap());
        let mounts: Vec<_> = specs
            .map(|spec| spec.automount_service_account_token.unwrap())
            .collect();
        assert!(mounts.iter().all(|one| *one == mounts[0]), "{mounts:?}");
        mounts[0]
    };
    let mut spec = toml_node();
    assert!(!token(&spec));
    let untouched = resolved(&spec).revision.name;
    spec["pod"] = json!({"automountServiceAccountToken": false});
    assert!(!token(&spec));
    assert_eq!(
        resolved(&spec).revision.name,
        untouched,
        "a default that is written out"
    );
    spec["pod"] = json!({"automountServiceAccountToken": true, "serviceAccountName": "vault"});
    assert!(token(&spec));
}
