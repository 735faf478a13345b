//! The containers beside the node's: sidecars and init containers.

use chainlink_operator::api::names::{ONLY_PULLED, SIDECARS_ANNOTATION};
use chainlink_operator::build;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use super::{check, container, node, pod, pod_spec, pull_pod, resolved, toml_node, with};

fn before_the_node(spec: &Value) -> Vec<Container> {
    pod_spec(spec).init_containers.unwrap_or_default()
}

/// A node whose database is behind a proxy, and whose secrets come from a vault.
fn with_proxy_and_vault() -> Value {
    with(
        toml_node(),
        "pod",
        json!({
            "volumes": [
                {"name": "secrets", "mountPath": "/vault", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                {"name": "vault-role", "secretName": "vault-role"},
            ],
            "sidecars": [{
                "name": "proxy", "image": "registry.example.com/proxy:2",
                "args": ["--port=5432", "$(INSTANCE)"],
                "env": [
                    {"name": "INSTANCE", "value": "a$b"},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "key"}}},
                    {"name": "MACHINE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                ],
                "ports": [{"name": "metrics", "containerPort": 9801}],
                "resources": {"requests": {"cpu": "50m"}},
                "startupProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
                "readinessProbe": {"httpGet": {"port": "metrics", "path": "/readiness"}},
                "livenessProbe": {"exec": {"command": ["true"]}},
                "securityContext": {"runAsUser": 65532, "readOnlyRootFilesystem": true},
            }],
            "initContainers": [{
                "name": "vault", "image": "registry.example.com/vault:1", "command": ["vault", "agent"],
                "volumeMounts": [
                    {"name": "secrets", "mountPath": "/out"},
                    {"name": "vault-role", "mountPath": "/role"},
                ],
            }],
        }),
    )
}

#[test]
fn a_sidecar_is_up_before_the_node_and_outlives_it() {
    let spec = with(
        with_proxy_and_vault(),
        "credentials.sessionSecret",
        json!({"generate": true}),
    );
    let all = before_the_node(&spec);
    let policies: Vec<_> = all
        .iter()
        .map(|one| (one.name.as_str(), one.restart_policy.as_deref()))
        .collect();
    assert_eq!(
        policies,
        [
            ("proxy", Some("Always")),
            ("vault", None),
            ("session-secret", None)
        ],
        "what runs to its end may need what goes on"
    );
    assert_eq!(pod_spec(&spec).containers.len(), 1, "the node alone");
}

#[test]
fn a_sidecar_is_made_as_it_is_written() {
    let proxy = serde_json::to_value(&before_the_node(&with_proxy_and_vault())[0]).unwrap();
    assert_eq!(
        proxy,
        json!({
            "name": "proxy", "image": "registry.example.com/proxy:2",
            "args": ["--port=5432", "$(INSTANCE)"],
            "env": [
                {"name": "INSTANCE", "value": "a$$b"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "key"}}},
                {"name": "MACHINE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "ports": [{"name": "metrics", "containerPort": 9801}],
            "resources": {"requests": {"cpu": "50m"}},
            "startupProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
            "readinessProbe": {"httpGet": {"port": "metrics", "path": "/readiness"}},
            "livenessProbe": {"exec": {"command": ["true"]}},
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "runAsUser": 65532, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
            },
            "restartPolicy": "Always",
            "terminationMessagePolicy": "FallbackToLogsOnError",
        })
    );
    assert_eq!(
        container(&with_proxy_and_vault()).env,
        container(&toml_node()).env
    );
}

#[test]
fn what_a_vault_writes_the_node_reads_and_a_volume_without_a_folder_it_does_not_see() {
    let spec = with_proxy_and_vault();
    let vault = before_the_node(&spec).remove(1);
    let mounts = serde_json::to_value(vault.volume_mounts).unwrap();
    assert_eq!(
        mounts,
        json!([
            {"name": "extra-secrets", "mountPath": "/out"},
            {"name": "extra-vault-role", "mountPath": "/role"},
        ])
    );
    let of_node: Vec<_> = container(&spec).volume_mounts.unwrap();
    let extra = of_node.iter().filter(|one| one.name.starts_with("extra-"));
    let extra: Vec<_> = extra
        .map(|one| (one.name.as_str(), one.mount_path.as_str(), one.read_only))
        .collect();
    assert_eq!(extra, [("extra-secrets", "/vault", Some(true))]);
    let volumes = pod_spec(&spec).volumes.unwrap();
    let scratch = volumes.iter().find(|one| one.name == "extra-secrets");
    assert_eq!(
        serde_json::to_value(scratch.unwrap()).unwrap(),
        json!({"name": "extra-secrets", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}})
    );
}

#[test]
fn a_pod_names_the_sidecars_that_were_asked_for_and_one_without_any_bears_no_word_of_them() {
    let names = |spec: &Value| {
        let annotations = pod(spec).metadata.annotations.unwrap();
        annotations.get(SIDECARS_ANNOTATION).cloned()
    };
    let two =
        json!({"sidecars": [{"name": "proxy", "image": "p:1"}, {"name": "vpn", "image": "v:1"}]});
    assert_eq!(
        names(&with(toml_node(), "pod", two)).as_deref(),
        Some("proxy,vpn")
    );
    assert_eq!(names(&toml_node()), None);
}

#[test]
fn what_a_container_beside_the_node_reads_is_watched_and_pinned_like_what_the_node_reads() {
    let value_from = json!({"configMapKeyRef": {"name": "vpn", "key": "endpoint"}});
    let vpn = json!({"name": "vpn", "image": "v:1", "env": [
        {"name": "ENDPOINT", "valueFrom": value_from},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "vpn-key", "key": "key"}}},
    ]});
    let (node, mut maps) = node(&with(toml_node(), "pod", json!({"sidecars": [vpn]})));
    assert!(build::referenced_config_maps(&node.spec).contains("vpn"));
    let secrets = build::referenced_secrets(&node.spec);
    assert!(
        secrets.iter().any(|one| one.name == "vpn-key"),
        "{secrets:?}"
    );
    let mut made = |endpoint: &str| {
        let map = json!({"metadata": {"name": "vpn"}, "data": {"endpoint": endpoint}});
        maps.insert("vpn".to_owned(), serde_json::from_value(map).unwrap());
        build::resolve("chainlink", &node.spec, &maps).unwrap()
    };
    let (one, other) = (made("one"), made("other"));
    assert_ne!(
        one.revision.name, other.revision.name,
        "a change of it rolls"
    );
    let env = &one.content.pod.sidecars[0].env[0];
    assert_eq!(
        (env.value.as_deref(), &env.value_from),
        (Some("one"), &None)
    );
}

/// A default that is written out, as people paste it, makes no revision.
#[test]
fn what_says_nothing_of_a_sidecar_makes_no_revision() {
    let name = |more: Value| {
        let mut vpn = json!({"name": "vpn", "image": "v:1"});
        vpn.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let pod = json!({
            "sidecars": [vpn],
            "volumes": [{"name": "shared", "mountPath": "/shared", "emptyDir": {}}],
        });
        resolved(&with(toml_node(), "pod", pod)).revision.name
    };
    let port = |protocol: &str| json!({"ports": [{"containerPort": 7000, "protocol": protocol}]});
    let mount = |read_only: bool| json!({"volumeMounts": [{"name": "shared", "mountPath": "/out", "readOnly": read_only}]});
    let plain = json!({"securityContext": {
        "runAsNonRoot": true, "allowPrivilegeEscalation": false, "privileged": false,
        "readOnlyRootFilesystem": false, "capabilities": {"drop": ["ALL"]},
    }, "resources": {}});
    assert_eq!(name(plain), name(json!({})));
    assert_eq!(
        name(port("TCP")),
        name(json!({"ports": [{"containerPort": 7000}]}))
    );
    assert_ne!(name(port("TCP")), name(port("UDP")));
    assert_ne!(name(mount(false)), name(mount(true)));
    assert_ne!(name(json!({"image": "v:2"})), name(json!({})), "a handover");
    let shared = json!({"shareProcessNamespace": false, "hostNetwork": false});
    let untouched = resolved(&toml_node()).revision.name;
    assert_eq!(
        resolved(&with(toml_node(), "pod", shared)).revision.name,
        untouched
    );
}

/// The check looks at files that the vault writes, and neither asks the database nor needs a way to it.
#[test]
fn the_pod_that_checks_a_configuration_has_what_writes_the_nodes_files_and_nothing_else_beside_it()
{
    let spec = with_proxy_and_vault();
    let pod = check(&spec);
    let annotations = pod.metadata.annotations.unwrap();
    assert_eq!(annotations[SIDECARS_ANNOTATION], "proxy");
    let of_check = pod.spec.unwrap();
    let of_node = pod_spec(&spec);
    assert_eq!(of_check.init_containers, of_node.init_containers);
    let volumes = of_check.volumes.unwrap();
    for extra in ["extra-secrets", "extra-vault-role"] {
        let of_node = of_node.volumes.iter().flatten();
        let one = of_node.clone().find(|volume| volume.name == extra);
        assert!(volumes.iter().any(|volume| Some(volume) == one), "{extra}");
    }
    let proxy = json!({
        "sidecars": [{"name": "proxy", "image": "proxy:1"}],
        "volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}],
    });
    let pod = check(&with(toml_node(), "pod", proxy));
    assert_eq!(pod.metadata.annotations, None);
    assert_eq!(pod.spec.unwrap().init_containers, None);
}

#[test]
fn the_pod_that_pulls_pulls_each_image_and_runs_none_but_the_nodes() {
    let mut spec = with_proxy_and_vault();
    spec["pod"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "again", "image": "registry.example.com/vault:1"}));
    let pod = pull_pod(&node(&spec).0, &resolved(&spec).content);
    let spec = pod.spec.unwrap();
    assert_eq!((spec.init_containers, spec.volumes), (None, None));
    let others: Vec<_> = spec.containers[1..]
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.image.as_deref(),
                one.command.as_deref(),
                &one.env,
            )
        })
        .collect();
    let nothing = [ONLY_PULLED.to_owned()];
    assert_eq!(
        others,
        [
            (
                "proxy",
                Some("registry.example.com/proxy:2"),
                Some(&nothing[..]),
                &None
            ),
            (
                "vault",
                Some("registry.example.com/vault:1"),
                Some(&nothing[..]),
                &None
            ),
        ]
    );
}

#[test]
fn amounts_beside_the_node_are_read_before_a_pod_is_made() {
    let vpn = json!({"name": "vpn", "image": "v:1", "resources": {"requests": {"cpu": "1 core"}}});
    let scratch =
        json!({"name": "shared", "mountPath": "/shared", "emptyDir": {"sizeLimit": "64 MB"}});
    for (pod, field) in [
        (
            json!({"sidecars": [vpn]}),
            "spec.pod.sidecars (vpn).resources.requests.cpu",
        ),
        (
            json!({"volumes": [scratch]}),
            "spec.pod.volumes (shared).emptyDir.sizeLimit",
        ),
    ] {
        let (node, maps) = node(&with(toml_node(), "pod", pod));
        let problem = build::resolve("chainlink", &node.spec, &maps).unwrap_err();
        assert!(problem.message.contains(field), "{}", problem.message);
    }
}
