//! The pods of a revision, a file a subject.

mod beside;
mod configuration;
mod life;
mod place;
mod ports;
mod security;
mod sessions;
mod short_pods;
mod tries;
mod volumes;

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

fn node(spec: &Value) -> (ChainlinkNode, build::ConfigMaps) {
    let document = json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": "chainlink"},
        "spec": spec,
    });
    manifest(&document.to_string())
}

fn resolved(spec: &Value) -> Resolved {
    let (node, maps) = node(spec);
    build::resolve("chainlink", &node.spec, &maps).unwrap()
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

/// `NAME=value`, `NAME from secret/key` or `NAME from field.path`, in order.
fn environment(spec: &Value) -> Vec<String> {
    let variables = container(spec).env.unwrap();
    variables
        .into_iter()
        .map(|variable| match variable.value_from {
            Some(source) if source.field_ref.is_some() => {
                let path = source.field_ref.unwrap().field_path;
                format!("{} from {path}", variable.name)
            }
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

fn pull_pod(node: &ChainlinkNode, content: &Content) -> Pod {
    let revision = RevisionName::new("revision");
    build::pull_pod(node, "chainlink-pull-1", &revision, "machine-1", content)
}

/// The pod that checks the configuration of a spec.
fn check(spec: &Value) -> Pod {
    let Resolved {
        revision, content, ..
    } = resolved(spec);
    build::validation_pod(&node(spec).0, "chainlink-validate-1", &revision, &content)
}

/// The short pods of a spec.
fn short_pods(spec: &Value) -> [Pod; 2] {
    [
        check(spec),
        pull_pod(&node(spec).0, &resolved(spec).content),
    ]
}
