//! What the containers of all pods have in common: the node's own, the short one that prepares its root folder, and those that
//! the user asks for beside it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceRequirements,
    SecretKeySelector, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::content::{Content, Value};
use crate::api::{Amount, KeyRef, Resources};

pub(super) fn resources(content: &Content) -> Option<ResourceRequirements> {
    content.pod.resources.as_ref().map(amounts)
}

pub(super) fn amounts(of: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: quantities(&of.requests),
        limits: quantities(&of.limits),
        ..ResourceRequirements::default()
    }
}

pub(super) fn security(content: &Content) -> SecurityContext {
    let options = content.pod.security.clone().unwrap_or_default();
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(options.read_only_root_filesystem.unwrap_or(true)),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

fn quantities(map: &BTreeMap<String, Amount>) -> Option<BTreeMap<String, Quantity>> {
    (!map.is_empty()).then(|| {
        map.iter()
            .map(|(name, size)| (name.clone(), Quantity(size.to_string())))
            .collect()
    })
}

pub(super) fn mount(name: &str, path: impl Into<String>, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// One variable.
pub(super) fn variable(name: &str, value: &Value) -> EnvVar {
    match value {
        Value::Text(value) => text(name, value),
        Value::Secret(reference) => from_secret(name, reference),
        Value::Field(path) => from_field(name, path),
    }
}

pub(super) fn from_secret(name: &str, reference: &KeyRef) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: reference.name.clone(),
                key: reference.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(literal(value)),
        ..EnvVar::default()
    }
}

/// As the kubelet has to be given it: `$(NAME)` would be expanded, and `$$` is a `$` to it.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}
