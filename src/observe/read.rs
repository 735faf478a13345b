//! From a pod of the API server, and what the witnesses know of its container, to the planner's pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod as ApiPod;

use super::api_pod::{
    address, annotation, condition, container_status, created, id, label, running, terminated,
};
use super::claim::{hides_its_lock_id, lock};
use super::container::container;
use super::preparation::sidecar;
use super::record::record;
use super::witness::{Facts, Moment};
use crate::api::RevisionName;
use crate::api::names::{
    READY_CONDITION, REVISION_LABEL, ROLE_ACTIVE, ROLE_LABEL, VERSION_ANNOTATION,
};
use crate::domain::{Checked, Container, Pod, Pull, Pulled, Revision, Trouble, Validation};
use crate::node::{kept_lines, read_validation};

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

/// The revision a pod is made from: the kept one, or what the pod itself carries.
fn revision(pod: &ApiPod, kept: &BTreeMap<RevisionName, Revision>) -> Option<Revision> {
    let name = RevisionName::new(label(pod, REVISION_LABEL)?);
    if let Some(revision) = kept.get(&name) {
        return Some(revision.clone());
    }
    Some(Revision {
        name,
        version: annotation(pod, VERSION_ANNOTATION)?.parse().ok()?,
        lock: lock(pod)?,
        lock_id_hidden: hides_its_lock_id(pod),
        lease: None,
        validates: false,
        any_postgres: false,
    })
}

/// The planner's view of a pod. `warning` is what Kubernetes last said about a pod that does not start.
pub(super) fn read(
    pod: &ApiPod,
    facts: &Facts,
    warning: Option<Trouble>,
    kept: &BTreeMap<RevisionName, Revision>,
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
        http_at: facts.served.map(wall).filter(|_| running.is_some()),
        serving_since: facts.first_served.map(wall).filter(|_| running.is_some()),
        log_ended: facts.log_ended.is_some(),
        watched: facts.watched.map(wall),
        contradicting_version: named.filter(contradicts),
        stranded: false,
        sidecar: sidecar(pod),
        lock_id_hidden: hides_its_lock_id(pod),
        container,
    }
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
        revision: RevisionName::new(label(pod, REVISION_LABEL)?),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::LOCK_ANNOTATION;

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
