//! The small objects around the pods: what keeps a revision, and the Services that follow the active.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServicePort, ServiceSpec};
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
use crate::api::{ChainlinkNode, RevisionName, ServiceType};
use crate::node::settings::{HTTP_PORT, HTTPS_PORT, P2P_PORT};

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

/// The name of the port for peers, in pods and Services.
pub(super) const P2P: &str = "p2p";

/// The name of the port for HTTPS, likewise.
pub(super) const HTTPS: &str = "https";

/// The Services of a resource, each with its name: the one that leads to the active's API, and the one
/// by which peers reach it, which is `None` where there is to be none. `https` where a revision serves that.
pub fn services(node: &ChainlinkNode, https: bool) -> [(String, Option<Service>); 2] {
    let name = node.name_any();
    let mut active = active_service(node);
    if https && let Some(spec) = &mut active.spec {
        spec.ports
            .get_or_insert_default()
            .push(port(HTTPS, HTTPS_PORT));
    }
    [
        (name.clone(), Some(active)),
        (format!("{name}-{P2P}"), peer_service(node)),
    ]
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

/// The Service that leads to the active pod.
pub fn active_service(node: &ChainlinkNode) -> Service {
    let options = node.spec.service.clone().unwrap_or_default();
    to_active(
        node,
        node.name_any(),
        options.kind,
        options.annotations,
        port("http", HTTP_PORT),
    )
}

/// A port of the node's own, under its own number.
fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

/// The Service by which peers reach the active pod, on a port that stays as it is. A pod of a revision
/// without that port is not behind it.
pub fn peer_service(node: &ChainlinkNode) -> Option<Service> {
    let options = node.spec.service.as_ref()?.p2p.clone()?;
    let port = ServicePort {
        name: Some(P2P.to_owned()),
        port: options.port.unwrap_or_else(|| i32::from(P2P_PORT)),
        target_port: Some(IntOrString::String(P2P.to_owned())),
        node_port: options.node_port,
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let name = format!("{}-{P2P}", node.name_any());
    Some(to_active(
        node,
        name,
        options.kind,
        options.annotations,
        port,
    ))
}

fn to_active(
    node: &ChainlinkNode,
    name: String,
    kind: Option<ServiceType>,
    annotations: BTreeMap<String, String>,
    port: ServicePort,
) -> Service {
    let mut metadata = metadata(node, name);
    if !annotations.is_empty() {
        metadata.annotations = Some(annotations);
    }
    let selector = BTreeMap::from([
        (NODE_LABEL.to_owned(), node.name_any()),
        (ROLE_LABEL.to_owned(), ROLE_ACTIVE.to_owned()),
    ]);
    let kind = kind.unwrap_or(ServiceType::ClusterIP);
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(kind.as_str().to_owned()),
            selector: Some(selector),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
