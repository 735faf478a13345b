//! From a pod of the API server, and what the witnesses know of its container, to the planner's pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Pod as ApiPod, PodCondition,
};

use super::container::container;
use super::record::record;
use super::witness::{ContainerKey, Facts, Moment};
use crate::api::KeyRef;
use crate::api::names::{
    CONTAINER, LOCK_ANNOTATION, READY_CONDITION, REVISION_LABEL, ROLE_ACTIVE, ROLE_LABEL,
    VERSION_ANNOTATION,
};
use crate::domain::{
    Checked, Claim, Container, Pod, PodId, Pull, Pulled, Revision, Trouble, Validation,
};
use crate::node::lock::LOCK_ID_VARIABLE;
use crate::node::{LockMode, kept_lines, read_validation};

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
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|status| status.name == CONTAINER)
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

/// Addresses that several pods have: those of a machine that was lost may be given out again while its pods
/// are still listed.
pub(super) fn shared_addresses(pods: &[ApiPod]) -> BTreeSet<IpAddr> {
    let mut known = BTreeSet::new();
    pods.iter()
        .filter(|pod| !matches!(container(pod, None), Container::Ended { .. }))
        .filter_map(address)
        .filter(|address| !known.insert(*address))
        .collect()
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

fn created(pod: &ApiPod) -> Timestamp {
    let created = pod.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::MIN, |time| time.0)
}

fn label<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

fn annotation<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a str> {
    pod.metadata
        .annotations
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

/// The revision a pod is made from: the kept one, or what the pod itself carries.
fn revision(pod: &ApiPod, kept: &BTreeMap<String, Revision>) -> Option<Revision> {
    let name = label(pod, REVISION_LABEL)?;
    if let Some(revision) = kept.get(name) {
        return Some(revision.clone());
    }
    Some(Revision {
        name: name.to_owned(),
        version: annotation(pod, VERSION_ANNOTATION)?.parse().ok()?,
        lock: annotation(pod, LOCK_ANNOTATION)?.to_owned(),
        lock_id_hidden: hides_its_lock_id(pod),
        lease: None,
        validates: false,
    })
}

/// The planner's view of a pod. `warning` is what Kubernetes last said about a pod that does not start.
pub(super) fn read(
    pod: &ApiPod,
    facts: &Facts,
    warning: Option<Trouble>,
    kept: &BTreeMap<String, Revision>,
) -> Pod {
    let revision = revision(pod, kept);
    let container = container(pod, warning);
    let running = running(pod);
    let record = running
        .as_ref()
        .map(|(key, _)| record(pod, &key.container_id))
        .unwrap_or_default();
    let named = record
        .version
        .or_else(|| facts.version.as_ref().map(ToString::to_string));
    let wanted = revision.as_ref().map(|revision| revision.version.clone());
    let contradicts = |named: &String| match (&wanted, named.parse()) {
        (Some(wanted), Ok(named)) => !wanted.may_call_itself(&named),
        _ => true,
    };
    let now = Moment::now();
    let wall = |then| now.wall_at(then);
    Pod {
        id: id(pod),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        revision,
        created: created(pod),
        machine: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        labelled_active: label(pod, ROLE_LABEL) == Some(ROLE_ACTIVE),
        gate: condition(pod, READY_CONDITION).is_some_and(|condition| condition.status == "True"),
        deleted: pod.metadata.deletion_timestamp.is_some(),
        waiting: record.waiting,
        doubt: facts.doubt.clone(),
        took: record.took,
        worked_at: record.worked,
        lost_lease_at: facts.lost_lease,
        contact: facts.contact(now).filter(|_| running.is_some()),
        served: facts.served.map(wall).filter(|_| running.is_some()),
        serving_since: facts.first_served.map(wall).filter(|_| running.is_some()),
        log_ended: facts.log_ended.is_some(),
        watched: facts.watched.map(wall),
        contradicting_version: named.filter(contradicts),
        stranded: false,
        lock_id_hidden: hides_its_lock_id(pod),
        container,
    }
}

/// Whether a Secret may give the node of this pod another `ADVISORY_LOCK_ID`: its variables name none, and it takes a
/// whole Secret as variables. A variable of its own beats those.
fn hides_its_lock_id(pod: &ApiPod) -> bool {
    let Some(node) = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.containers.iter().find(|one| one.name == CONTAINER))
    else {
        return false;
    };
    let mut named = node.env.iter().flatten();
    let mut whole = node.env_from.iter().flatten();
    whole.any(|from| from.secret_ref.is_some()) && !named.any(|one| one.name == LOCK_ID_VARIABLE)
}

/// What another resource's pod means for a database: `None` once it can't run again. Its lock is told as on pods.
pub(super) fn claim(pod: &ApiPod, of: String, same_key: bool) -> Option<Claim> {
    if matches!(container(pod, None), Container::Ended { .. }) {
        return None;
    }
    let took = running(pod).and_then(|(key, _)| record(pod, &key.container_id).took);
    Some(Claim {
        of,
        pod: pod.metadata.name.clone(),
        mode: lock(pod).and_then(LockMode::of),
        lock_id_hidden: hides_its_lock_id(pod),
        same_key,
        works: took.is_some(),
        addresses: addresses(pod),
    })
}

/// Whether a pod reads its database URL from that key of that Secret.
pub(super) fn takes(pod: &ApiPod, key: &KeyRef) -> bool {
    let at = format!("{}/{}", key.name, key.key);
    lock(pod)
        .and_then(|lock| lock.split_once(' '))
        .is_some_and(|(_, there)| there == at)
}

/// The lock that a pod takes, as it stands on it: `lease mainnet-database/url`.
fn lock(pod: &ApiPod) -> Option<&str> {
    annotation(pod, LOCK_ANNOTATION)
}

/// A pod that pulls an image. One whose container has run, well or not, has pulled it.
pub(super) fn pull(pod: &ApiPod, warning: Option<Trouble>) -> Option<Pull> {
    let pulled = match container(pod, warning) {
        Container::NotStarted { trouble } => Pulled::NotYet(trouble),
        Container::Ended { exit: None } => {
            let status = pod.status.as_ref();
            let said = |text: Option<&String>| text.cloned();
            let reason = status.and_then(|status| said(status.reason.as_ref()));
            let reason = reason.unwrap_or_else(|| "NotAdmitted".to_owned());
            let message = status.and_then(|status| said(status.message.as_ref()));
            Pulled::Refused(Trouble {
                message: message.unwrap_or_else(|| reason.clone()),
                reason,
            })
        }
        _ => Pulled::Yes,
    };
    Some(Pull {
        id: id(pod),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        revision: label(pod, REVISION_LABEL)?.to_owned(),
        machine: pod.spec.as_ref()?.node_name.clone()?,
        created: created(pod),
        deleted: pod.metadata.deletion_timestamp.is_some(),
        pulled,
    })
}

/// A pod that checks a configuration. `log` is what it printed, where that was read.
pub(super) fn validation(pod: &ApiPod, log: Option<&str>, warning: Option<Trouble>) -> Validation {
    Validation {
        id: id(pod),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        created: created(pod),
        deleted: pod.metadata.deletion_timestamp.is_some(),
        checked: checked(pod, log, warning),
    }
}

fn checked(pod: &ApiPod, log: Option<&str>, warning: Option<Trouble>) -> Checked {
    if let Some(ended) = container_status(pod).and_then(terminated) {
        let kept = || kept_lines(ended.message.as_deref().unwrap_or_default()).join("\n");
        let output = log.map_or_else(kept, str::to_owned);
        return Checked::Said(read_validation(ended.exit_code, &output));
    }
    match container(pod, warning) {
        Container::NotStarted { trouble } => Checked::NotYet(trouble),
        Container::Ended { .. } => Checked::Never,
        Container::Running { .. } | Container::Down { .. } => Checked::NotYet(None),
    }
}

/// How the container ended last, whether or not it was started again.
pub(super) fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state| state.as_ref()?.terminated.as_ref())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What speaks against a pod made for this version whose log names that one.
    fn contradicting(version: &str, named: &str) -> Option<String> {
        let pod = json!({"metadata": {
            "name": "a",
            "labels": {REVISION_LABEL: "one"},
            "annotations": {VERSION_ANNOTATION: version, LOCK_ANNOTATION: "lease database/url"},
        }});
        let facts = Facts {
            version: Some(named.parse().unwrap()),
            ..Facts::default()
        };
        let pod = serde_json::from_value(pod).unwrap();
        read(&pod, &facts, None, &BTreeMap::new()).contradicting_version
    }

    #[test]
    fn a_log_that_names_the_release_of_a_beta_says_nothing_against_it() {
        assert_eq!(contradicting("2.29.0-beta.1", "2.29.0"), None);
        assert_eq!(contradicting("2.29.0", "2.29.0"), None);
        let other = |version, named| contradicting(version, named).as_deref() == Some(named);
        assert!(other("2.29.0", "2.28.0"));
        assert!(other("2.29.0-beta.1", "2.28.0"));
        assert!(other("2.29.0", "2.29.0-beta.1"));
    }
}
