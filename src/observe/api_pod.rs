//! What is asked of a pod as the API server has it: a condition, the node's container, an address, a label. Each answer is
//! a field of the pod, and says nothing of what it means.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Pod as ApiPod, PodCondition,
};

use super::witness::ContainerKey;
use crate::api::names::CONTAINER;
use crate::domain::PodId;

pub(super) fn condition<'a>(pod: &'a ApiPod, kind: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// The node's container, by name: meshes inject others.
pub(super) fn container_status(pod: &ApiPod) -> Option<&ContainerStatus> {
    status_of(pod, CONTAINER)
}

/// A container that is to run as long as the pod, by name.
pub(super) fn status_of<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|status| status.name == name)
}

/// The running container, with the time it started.
pub(super) fn running(pod: &ApiPod) -> Option<(ContainerKey, Timestamp)> {
    let status = container_status(pod)?;
    let started = status.state.as_ref()?.running.as_ref()?;
    let key = ContainerKey {
        pod_uid: pod.metadata.uid.clone()?,
        container_id: status.container_id.clone()?,
    };
    let since = started
        .started_at
        .as_ref()
        .map_or(Timestamp::MIN, |time| time.0);
    Some((key, since))
}

pub(super) fn address(pod: &ApiPod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

/// All addresses of a pod, where it has one of each family. That of its machine is not its own.
pub(super) fn addresses(pod: &ApiPod) -> Vec<IpAddr> {
    let own_network = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.host_network != Some(true));
    let more = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ips.as_ref());
    more.into_iter()
        .flatten()
        .filter(|_| own_network)
        .filter_map(|address| address.ip.parse().ok())
        .collect()
}

pub(super) fn id(pod: &ApiPod) -> PodId {
    PodId {
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

pub(super) fn created(pod: &ApiPod) -> Timestamp {
    let created = pod.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::MIN, |time| time.0)
}

pub(super) fn label<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

pub(super) fn annotation<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a str> {
    pod.metadata
        .annotations
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

/// How the container ended last, whether or not it was started again.
pub(super) fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state| state.as_ref()?.terminated.as_ref())
}
