//! What the containers of all pods have in common: the node's own, and the short one that prepares its root folder.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ResourceRequirements, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::content::Content;
use crate::api::Amount;

pub(super) fn resources(content: &Content) -> Option<ResourceRequirements> {
    let resources = content.pod.resources.as_ref()?;
    Some(ResourceRequirements {
        requests: quantities(&resources.requests),
        limits: quantities(&resources.limits),
        ..ResourceRequirements::default()
    })
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
