//! The small objects around the pods: what keeps a revision, and what keeps pods from being evicted.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};

use super::content::{Content, Resolved};
use crate::api::names::{
    BUDGET_ACTIVE_ANNOTATION, NODE_LABEL, REVISION_LABEL, ROLE_ACTIVE, ROLE_LABEL, ROLE_STANDBY,
    labels,
};
use crate::api::{ChainlinkNode, RevisionName};

/// The owner reference of everything that goes with the resource.
pub fn owner(node: &ChainlinkNode) -> Option<OwnerReference> {
    node.controller_owner_ref(&())
}

pub(super) fn metadata(node: &ChainlinkNode, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: node.namespace(),
        labels: Some(labels(&node.name_any())),
        owner_references: owner(node).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The metadata of what goes with a revision.
pub(super) fn of_revision(
    node: &ChainlinkNode,
    name: String,
    revision: &RevisionName,
) -> ObjectMeta {
    let mut metadata = metadata(node, name);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.to_owned(), revision.to_string());
    metadata
}

/// The kept form of a revision.
pub fn revision_object(
    node: &ChainlinkNode,
    resolved: &Resolved,
    number: i64,
) -> Result<ControllerRevision, serde_json::Error> {
    let name = &resolved.revision.name;
    Ok(ControllerRevision {
        metadata: of_revision(node, name.to_string(), name),
        data: Some(RawExtension(serde_json::to_value(&resolved.content)?)),
        revision: number,
    })
}

/// The content of a kept revision.
pub fn content_of(kept: &ControllerRevision) -> Result<Content, serde_json::Error> {
    let data = kept
        .data
        .as_ref()
        .map(|data| data.0.clone())
        .unwrap_or_default();
    serde_json::from_value(data)
}

/// The files of a revision. Immutable: a container restarted in the middle of a rollout gets the
/// files that it was made with.
pub fn config_map(node: &ChainlinkNode, resolved: &Resolved) -> Option<ConfigMap> {
    if resolved.texts.is_empty() {
        return None;
    }
    let name = &resolved.revision.name;
    Some(ConfigMap {
        metadata: of_revision(node, name.to_string(), name),
        data: Some(resolved.texts.clone()),
        immutable: Some(true),
        ..ConfigMap::default()
    })
}

/// The budgets of a resource, each with its name. They never overlap, as a pod under two can't be evicted at
/// all: the active may only go after the lock was handed over, and of the standbys so many have to stay.
/// A standby that is not ready may always be evicted.
pub fn budgets(
    node: &ChainlinkNode,
    standbys_kept: usize,
    active: &str,
) -> [(String, PodDisruptionBudget); 2] {
    let budget = |role: &str, kept: usize, unhealthy: &str| {
        let name = format!("{}-{role}", node.name_any());
        let selector = BTreeMap::from([
            (NODE_LABEL.to_owned(), node.name_any()),
            (ROLE_LABEL.to_owned(), role.to_owned()),
        ]);
        let mut metadata = metadata(node, name.clone());
        let counted_for = (BUDGET_ACTIVE_ANNOTATION.to_owned(), active.to_owned());
        metadata
            .annotations
            .get_or_insert_default()
            .extend([counted_for]);
        let budget = PodDisruptionBudget {
            metadata,
            spec: Some(PodDisruptionBudgetSpec {
                min_available: Some(IntOrString::Int(i32::try_from(kept).unwrap_or(i32::MAX))),
                selector: Some(LabelSelector {
                    match_labels: Some(selector),
                    ..LabelSelector::default()
                }),
                unhealthy_pod_eviction_policy: Some(unhealthy.to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        };
        (name, budget)
    };
    [
        budget(ROLE_ACTIVE, 1, "IfHealthyBudget"),
        budget(ROLE_STANDBY, standbys_kept, "AlwaysAllow"),
    ]
}
