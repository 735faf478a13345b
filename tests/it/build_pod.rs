//! The pods of a revision.

use std::collections::BTreeSet;

use chainlink_operator::api::names::{NODE_LABEL, ROLE_LABEL, VALIDATION_LABEL};
use chainlink_operator::api::{ChainlinkNode, RevisionName};
use chainlink_operator::build::{self, Content, Resolved};
use chainlink_operator::domain::Place;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Value, json};

use crate::golden::manifest;

/// A 2.x node with every kind of file, as JSON for a test to change.
fn toml_node() -> Value {
    json!({
        "version": "2.29.0",
        "database": {"url": {"secretKeyRef": {"name": "database", "key": "url"}}},
        "config": {
            "files": [
                {"name": "node.toml", "inline": "[Log]\nLevel = 'info'\n"},
                {"name": "rpc.toml", "secretKeyRef": {"name": "rpc", "key": "text"}},
                {"name": "last.toml", "inline": ""},
            ],
            "secretsToml": {"secretKeyRef": {"name": "more", "key": "secrets"}},
            "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}],
        },
        "credentials": {
            "keystorePassword": {"secretKeyRef": {"name": "credentials", "key": "keystore"}},
            "apiCredentials": {"secretKeyRef": {"name": "credentials", "key": "api"}},
        },
    })
}

/// A 1.x node with its `.env` file.
fn environment_node() -> Value {
    let mut spec = toml_node();
    spec["version"] = json!("1.13.3");
    spec["config"] = json!({
        "envFrom": [{"secretRef": {"name": "dot-env"}}],
        "env": [{"name": "ETH_CHAIN_ID", "value": "1"}],
    });
    spec
}

fn with(mut spec: Value, path: &str, value: Value) -> Value {
    let mut place = &mut spec;
    for part in path.split('.') {
        place = &mut place[part];
    }
    *place = value;
    spec
}

fn pull_pod(node: &ChainlinkNode, content: &Content) -> Pod {
    let revision = RevisionName::new("revision");
    build::pull_pod(node, "chainlink-pull-1", &revision, "machine-1", content)
}

fn resolved(spec: &Value) -> Resolved {
    let (node, maps) = node(spec);
    build::resolve("chainlink", &node.spec, &maps).unwrap()
}

fn node(spec: &Value) -> (ChainlinkNode, build::ConfigMaps) {
    let document = json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": "chainlink"},
        "spec": spec,
    });
    manifest(&document.to_string())
}

fn pod(spec: &Value) -> Pod {
    let Resolved {
        revision, content, ..
    } = resolved(spec);
    build::pod(
        &node(spec).0,
        "chainlink-bcdfg",
        &revision,
        &content,
        &Place::default(),
    )
}

fn pod_spec(spec: &Value) -> PodSpec {
    pod(spec).spec.unwrap()
}

fn container(spec: &Value) -> Container {
    pod_spec(spec).containers.remove(0)
}

fn command_line(spec: &Value) -> String {
    container(spec).args.unwrap().join(" ")
}

/// `NAME=value` or `NAME from secret/key`, in order.
fn environment(spec: &Value) -> Vec<String> {
    let variables = container(spec).env.unwrap();
    variables
        .into_iter()
        .map(|variable| match variable.value_from {
            Some(source) => {
                let reference = source.secret_key_ref.unwrap();
                format!(
                    "{} from {}/{}",
                    variable.name, reference.name, reference.key
                )
            }
            None => format!("{}={}", variable.name, variable.value.unwrap()),
        })
        .collect()
}

fn variable(spec: &Value, name: &str) -> Option<String> {
    environment(spec).iter().find_map(|variable| {
        variable
            .strip_prefix(&format!("{name}="))
            .map(ToOwned::to_owned)
    })
}

#[test]
fn a_node_with_toml_reads_its_files_in_order_then_its_secrets_then_its_credentials() {
    assert_eq!(
        command_line(&toml_node()),
        "node -c /etc/chainlink/config/00-node.toml -c /etc/chainlink/secret-config/1/01-rpc.toml \
         -c /etc/chainlink/config/02-last.toml -s /etc/chainlink/secrets/secrets.toml \
         start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
}

#[test]
fn a_node_without_any_configuration_starts_with_the_operators_alone() {
    let spec = with(toml_node(), "config", Value::Null);

    assert_eq!(
        command_line(&spec),
        "node start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
    assert!(variable(&spec, "CL_CONFIG").is_some());
}

#[test]
fn credentials_that_are_not_given_are_not_asked_for() {
    let spec = with(toml_node(), "credentials.apiCredentials", Value::Null);

    assert!(command_line(&spec).ends_with("start -p /etc/chainlink/credentials/keystore-password"));
}

#[test]
fn a_node_of_version_1_with_toml_says_its_files_before_the_command() {
    let spec = with(toml_node(), "version", json!("1.13.3"));

    assert_eq!(
        command_line(&spec),
        "-c /etc/chainlink/config/00-node.toml -c /etc/chainlink/secret-config/1/01-rpc.toml \
         -c /etc/chainlink/config/02-last.toml -s /etc/chainlink/secrets/secrets.toml \
         node start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
}

#[test]
fn versions_without_cl_config_get_the_operators_settings_as_the_last_file() {
    for version in ["1.11.0", "1.12.0"] {
        let spec = with(toml_node(), "version", json!(version));

        assert!(
            command_line(&spec)
                .contains("02-last.toml -c /etc/chainlink/config/zz-operator.toml -s"),
            "{version}"
        );
        assert_eq!(variable(&spec, "CL_CONFIG"), None, "{version}");
        assert!(
            resolved(&spec).texts["zz-operator.toml"].contains("[Database.Lock]\nEnabled = true")
        );
    }
}

#[test]
fn a_node_with_toml_gets_the_operators_settings_explicitly_and_last() {
    let environment = environment(&toml_node());

    assert_eq!(
        environment[..2],
        [
            "HTTPS_PROXY=http://proxy.example.com",
            "CL_DATABASE_URL from database/url"
        ]
    );
    assert!(
        environment[2].starts_with("CL_CONFIG=RootDir = '/chainlink/root'"),
        "{environment:?}"
    );
    assert_eq!(environment.len(), 3);
}

#[test]
fn a_node_of_version_1_is_told_everything_by_environment_the_operators_last() {
    assert_eq!(
        command_line(&environment_node()),
        "local node -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
    assert_eq!(
        environment(&environment_node()),
        [
            "ETH_CHAIN_ID=1",
            "ADVISORY_LOCK_ID=1027321974924625846",
            "CHAINLINK_PORT=6688",
            "CHAINLINK_TLS_PORT=0",
            "DATABASE_LOCKING_MODE=dual",
            "LOG_FILE_MAX_SIZE=0b",
            "ROOT=/chainlink/root",
            "DATABASE_URL from database/url",
        ]
    );
    let from = container(&environment_node()).env_from.unwrap();
    assert_eq!(from[0].secret_ref.as_ref().unwrap().name, "dot-env");
}

#[test]
fn the_lock_that_is_asked_for_is_the_lock_that_is_set() {
    let spec = with(
        environment_node(),
        "database.lock",
        json!({"mode": "advisorylock"}),
    );

    assert_eq!(
        variable(&spec, "DATABASE_LOCKING_MODE").as_deref(),
        Some("advisorylock")
    );
    assert_eq!(
        pod(&spec).metadata.annotations.unwrap()["chainlink-operator.dev/lock"],
        "advisorylock database/url"
    );
}

#[test]
fn https_is_off_unless_there_is_a_certificate_for_it() {
    let off = |spec: &Value| {
        variable(spec, "CL_CONFIG")
            .unwrap()
            .contains("HTTPSPort = 0")
    };
    let volume = json!({"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}]});
    let tls = json!([{"name": "a.toml", "inline": "[WebServer.TLS]\nCertPath = '/tls/c'\nKeyPath = '/tls/k'\n"}]);

    assert!(
        off(&toml_node()),
        "a file in a Secret, and no volume for a certificate"
    );
    assert!(
        off(&with(toml_node(), "pod", volume.clone())),
        "a volume for another purpose names no certificate"
    );
    let https = with(with(toml_node(), "pod", volume), "config.files", tls);
    assert!(!off(&https));
    let ports = container(&https).ports.unwrap();
    assert!(ports.iter().any(|port| port.container_port == 6689));
    let ports = container(&toml_node()).ports.unwrap();
    assert!(ports.iter().all(|port| port.container_port != 6689));
    let served = |https| {
        let [(_, service), _] = build::services(&node(&toml_node()).0, https);
        let ports = service.unwrap().spec.unwrap().ports.unwrap();
        ports.into_iter().map(|port| port.port).collect::<Vec<_>>()
    };
    assert_eq!(
        (served(false), served(true)),
        (vec![6688], vec![6688, 6689])
    );
}

#[test]
fn a_certificate_below_the_root_folder_is_refused() {
    let tls = json!([{"name": "a.toml", "inline": "[WebServer.TLS]\nCertPath = '/chainlink/tls/c'\nKeyPath = '/chainlink/tls/k'\n"}]);
    let (node, maps) = node(&with(toml_node(), "config.files", tls));
    let problem = build::resolve("chainlink", &node.spec, &maps).unwrap_err();
    assert!(
        problem.message.contains("mountPath: /certificates"),
        "{}",
        problem.message
    );
}

#[test]
fn a_node_that_keeps_values_at_home_has_one_that_it_can_write() {
    let newer = with(toml_node(), "version", json!("2.30.0"));
    assert_eq!(variable(&newer, "HOME").as_deref(), Some("/chainlink"));
    let own = json!([{"name": "HOME", "value": "/home/me"}]);
    let own = with(newer, "config.env", own);
    assert_eq!(variable(&own, "HOME").as_deref(), Some("/home/me"));
    assert_eq!(variable(&toml_node(), "HOME"), None);
}

#[test]
fn peers_that_no_service_leads_to_are_warned_of() {
    let p2p = json!([{"name": "a.toml", "inline": "[P2P.V2]\nEnabled = true\nAnnounceAddresses = ['203.0.113.7:7990']\nListenAddresses = ['0.0.0.0:7990']\n"}]);
    let warnings = resolved(&with(toml_node(), "config.files", p2p)).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("203.0.113.7:7990"), "{warnings:?}");
}

#[test]
fn https_of_version_1_is_off_unless_there_is_a_certificate_for_it() {
    let off = |spec: &Value| variable(spec, "CHAINLINK_TLS_PORT").as_deref() == Some("0");
    let volume = json!({"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}]});
    let tls = json!([
        {"name": "TLS_CERT_PATH", "value": "/tls/c"},
        {"name": "TLS_KEY_PATH", "value": "/tls/k"},
    ]);

    assert!(off(&environment_node()));
    assert!(
        off(&with(environment_node(), "pod", volume)),
        "a volume for another purpose names no certificate"
    );
    assert!(!off(&with(environment_node(), "config.env", tls)));
}

#[test]
fn a_dollar_in_a_value_reaches_the_node_as_it_is() {
    let spec = with(
        toml_node(),
        "config.env",
        json!([{"name": "TEXT", "value": "$(HOME) costs $5 $$"}]),
    );

    // The kubelet reads `$$` as `$`, and expands nothing behind it.
    assert_eq!(
        variable(&spec, "TEXT").as_deref(),
        Some("$$(HOME) costs $$5 $$$$")
    );
}

#[test]
fn a_secret_is_named_and_never_copied() {
    let spec = with(
        toml_node(),
        "config.env",
        json!([{"name": "CL_PASSWORD_VRF", "valueFrom": {"secretKeyRef": {"name": "vrf", "key": "password"}}}]),
    );

    assert!(environment(&spec).contains(&"CL_PASSWORD_VRF from vrf/password".to_owned()));
    let names: Vec<_> = resolved(&spec).texts.into_keys().collect();
    assert_eq!(
        names,
        ["00-node.toml", "02-last.toml"],
        "only what can be read is copied"
    );
    let volumes = serde_json::to_value(pod_spec(&spec).volumes).unwrap();
    assert_eq!(
        volumes[4]["secret"],
        json!({"secretName": "rpc", "items": [{"key": "text", "path": "01-rpc.toml"}]})
    );
}

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
        json!({"security": {"runAsUser": 0}}),
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

/// The pod that checks the configuration of a spec.
fn check(spec: &Value) -> Pod {
    let Resolved {
        revision, content, ..
    } = resolved(spec);
    build::validation_pod(&node(spec).0, "chainlink-validate-1", &revision, &content)
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
            || volume.projected.is_some()
            || volume.secret.is_some();
        assert!(allowed, "{volume:?}");
    }
}

#[test]
fn every_kind_of_pod_passes_the_restricted_profile() {
    let mut spec = toml_node();
    spec["credentials"]["sessionSecret"] = json!({"generate": true});
    spec["pod"] = json!({"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}]});
    let content = resolved(&spec).content;
    let pull = pull_pod(&node(&spec).0, &content);

    for pod in [pod(&spec), check(&spec), pull] {
        assert_restricted(&pod.spec.unwrap());
    }
}

/// The short pods of a spec.
fn short_pods(spec: &Value) -> [Pod; 2] {
    [
        check(spec),
        pull_pod(&node(spec).0, &resolved(spec).content),
    ]
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
        let larger = build::as_large_as_the_node(&pod, &content);
        assert_eq!(amounts(larger), own);
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

#[test]
fn a_pod_that_peers_are_to_reach_has_a_port_for_them_and_says_where_it_listens() {
    let service = json!({"p2p": {"port": 7000, "announceAddress": "node.example.com:443"}});
    let spec = with(toml_node(), "service", service);
    let container = container(&spec);

    let ports: Vec<_> = container
        .ports
        .unwrap()
        .into_iter()
        .map(|port| (port.name.unwrap(), port.container_port))
        .collect();
    assert_eq!(ports, [("http".to_owned(), 6688), ("p2p".to_owned(), 7000)]);
    let settings = resolved(&spec).content.settings.unwrap();
    assert!(
        settings.ends_with(
            "[P2P.V2]\nEnabled = true\nListenAddresses = ['0.0.0.0:7000']\n\
             AnnounceAddresses = ['node.example.com:443']\n"
        ),
        "{settings}"
    );
}

#[test]
fn peers_reach_the_active_by_a_service_of_their_own() {
    let service =
        json!({"p2p": {"type": "LoadBalancer", "nodePort": 30690, "annotations": {"a": "b"}}});
    let (node, _) = node(&with(toml_node(), "service", service));
    let peers = serde_json::to_value(build::peer_service(&node).unwrap()).unwrap();

    assert_eq!(peers["metadata"]["name"], "chainlink-p2p");
    assert_eq!(peers["metadata"]["annotations"], json!({"a": "b"}));
    assert_eq!(
        peers["spec"],
        json!({
            "type": "LoadBalancer",
            "selector": build::active_service(&node).spec.unwrap().selector,
            "ports": [{"name": "p2p", "port": 6690, "targetPort": "p2p", "nodePort": 30690, "protocol": "TCP"}],
        })
    );
}

#[test]
fn how_the_service_for_peers_looks_from_outside_is_no_new_revision() {
    let name = |p2p: Value| {
        let spec = with(toml_node(), "service", json!({"p2p": p2p}));
        resolved(&spec).revision.name
    };

    assert_eq!(
        name(json!({})),
        name(json!({"type": "NodePort", "port": 6690}))
    );
    assert_ne!(name(json!({})), name(json!({"port": 6691})));
    assert_ne!(name(json!({})), name(json!({"announceAddress": "a:1"})));
    assert_ne!(name(json!({})), resolved(&toml_node()).revision.name);
}

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
