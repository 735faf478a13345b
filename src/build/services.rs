//! The Services that follow the active: the one that leads to its API, and the one by which peers reach it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::objects::metadata;
use super::volumes::some;
use crate::api::names::{NODE_LABEL, POD_LABEL, ROLE_ACTIVE, ROLE_LABEL, pod_label};
use crate::api::{ChainlinkNode, FamilyPolicy, Outside, ServiceType, TrafficPolicy};
use crate::node::settings::{HTTP_PORT, HTTPS_PORT, P2P_PORT};

/// The name of the port for peers, in pods and Services.
pub(super) const P2P: &str = "p2p";

/// The name of the port for HTTPS, likewise.
pub(super) const HTTPS: &str = "https";

/// The Services of a resource, each with its name: the one that leads to the active's API, and the one
/// by which peers reach it, which is `None` where there is to be none. `https` where a revision serves that.
/// They lead to this pod, or to whichever is labelled active.
pub fn services(
    node: &ChainlinkNode,
    https: bool,
    pod: Option<&str>,
) -> [(String, Option<Service>); 2] {
    let name = node.name_any();
    let mut active = active_service(node);
    if https && let Some(spec) = &mut active.spec {
        spec.ports
            .get_or_insert_default()
            .push(port(HTTPS, HTTPS_PORT));
    }
    let mut peers = peer_service(node);
    if let Some(pod) = pod {
        let services = [Some(&mut active), peers.as_mut()];
        for spec in services
            .into_iter()
            .flatten()
            .filter_map(|one| one.spec.as_mut())
        {
            spec.selector = Some(BTreeMap::from([
                (NODE_LABEL.to_owned(), name.clone()),
                (POD_LABEL.to_owned(), pod_label(&name, pod)),
            ]));
        }
    }
    [
        (name.clone(), Some(active)),
        (format!("{name}-{P2P}"), peers),
    ]
}

/// The Service that leads to the pod that is labelled active.
pub fn active_service(node: &ChainlinkNode) -> Service {
    let options = node.spec.service.clone().unwrap_or_default();
    let name = node.name_any();
    to_active(node, name, port("http", HTTP_PORT), options.outside)
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
    Some(to_active(node, name, port, options.outside))
}

/// The user's labels and annotations beside the operator's own labels, and never in their place.
fn labelled(
    node: &ChainlinkNode,
    name: String,
    mut labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> ObjectMeta {
    let mut metadata = metadata(node, name);
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    if !annotations.is_empty() {
        metadata.annotations = Some(annotations);
    }
    metadata
}

fn to_active(node: &ChainlinkNode, name: String, port: ServicePort, outside: Outside) -> Service {
    let selector = BTreeMap::from([
        (NODE_LABEL.to_owned(), node.name_any()),
        (ROLE_LABEL.to_owned(), ROLE_ACTIVE.to_owned()),
    ]);
    let kind = outside.kind.unwrap_or(ServiceType::ClusterIP);
    let traffic = outside.external_traffic_policy.map(TrafficPolicy::as_str);
    let families = outside.ip_family_policy.map(FamilyPolicy::as_str);
    Service {
        metadata: labelled(node, name, outside.labels, outside.annotations),
        spec: Some(ServiceSpec {
            type_: Some(kind.as_str().to_owned()),
            selector: Some(selector),
            ports: Some(vec![port]),
            load_balancer_class: outside.load_balancer_class,
            load_balancer_source_ranges: some(outside.load_balancer_source_ranges),
            external_traffic_policy: traffic.map(str::to_owned),
            ip_family_policy: families.map(str::to_owned),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
