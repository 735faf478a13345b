//! From a pod of the API server, and what the witnesses know of its container, to the planner's pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ApiContainer, Pod as ApiPod};

use super::api_pod::{
    address, annotation, condition, container_status, created, id, label, running, status_of,
    terminated,
};
use super::claim::{hides_its_lock_id, lock};
use super::container::container;
use super::image::of_an_image;
use super::preparation::sidecar;
use super::record::{ended_client, record};
use super::witness::{Facts, Moment};
use crate::api::RevisionName;
use crate::api::names::{
    ONLY_PULLED, POD_LABEL, READY_CONDITION, REVISION_LABEL, ROLE_ACTIVE, ROLE_LABEL,
    TRIES_CONTAINER, VERSION_ANNOTATION,
};
use crate::domain::{Checked, Container, FOUND, Pod, Pull, Pulled, Revision, Trouble, Validation};
use crate::node::{Verdict, kept_lines, read_validation};

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
    let holds = |kind| condition(pod, kind).is_some_and(|condition| condition.status == "True");
    Pod {
        id: id(pod),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        revision,
        created: created(pod),
        machine: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        labelled_active: label(pod, ROLE_LABEL) == Some(ROLE_ACTIVE),
        has_own_label: label(pod, POD_LABEL).is_some(),
        gate: holds(READY_CONDITION),
        ready: holds("Ready"),
        deleted: pod.metadata.deletion_timestamp.is_some(),
        deleted_at: deleted_at(pod),
        waiting: record.waiting,
        doubt: facts.doubt.clone(),
        took: record.took,
        worked_at: record.worked,
        lost_lease_at: facts.lost_lease,
        ended_client: ended_client(pod),
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

/// When the API server accepted the deletion, in whole seconds: the time that it writes is that of the end of the grace period.
fn deleted_at(pod: &ApiPod) -> Option<Timestamp> {
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds?;
    end.checked_sub(SignedDuration::from_secs(grace)).ok()
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
        _ => others_pulled(pod),
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

/// What is known of the images that the node does not run. A container that was not started for anything else has its image.
fn others_pulled(pod: &ApiPod) -> Pulled {
    let only_pulled =
        |one: &&ApiContainer| one.command.as_deref() == Some(&[ONLY_PULLED.to_owned()]);
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let names = containers.filter(only_pulled).map(|one| one.name.as_str());
    let mut pulled = names.map(|name| other_pulled(pod, name));
    let missing = pulled.find(|pulled| *pulled != Pulled::Yes);
    missing.unwrap_or(Pulled::Yes)
}

fn other_pulled(pod: &ApiPod, name: &str) -> Pulled {
    let state = status_of(pod, name).and_then(|status| status.state.as_ref());
    let Some(state) = state else {
        return if has_ended(pod) {
            Pulled::Yes
        } else {
            Pulled::NotYet(None)
        };
    };
    let Some(waiting) = &state.waiting else {
        return Pulled::Yes;
    };
    match waiting.reason.as_deref() {
        None | Some("ContainerCreating" | "PodInitializing") => Pulled::NotYet(None),
        Some(reason) => match of_an_image(reason, waiting.message.as_deref(), None) {
            Some(trouble) => Pulled::NotYet(Some(trouble.about(name))),
            None => Pulled::Yes,
        },
    }
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
        return with_the_tries(pod, read_validation(ended.exit_code, &output));
    }
    match container(pod, warning) {
        Container::NotStarted { trouble } => Checked::NotYet(trouble),
        Container::Ended { .. } => Checked::Never,
        Container::Running { .. } | Container::Down { .. } => Checked::NotYet(None),
    }
}

/// What was tried beside the node's check, with what that said. Only what the tries say themselves counts: a shell that is
/// missing speaks for nothing and against nothing.
fn with_the_tries(pod: &ApiPod, verdict: Verdict) -> Checked {
    let status =
        status_of(pod, TRIES_CONTAINER).filter(|_| !matches!(verdict, Verdict::Invalid(_)));
    let Some(status) = status else {
        return Checked::Said(verdict);
    };
    if let Some(ended) = terminated(status) {
        let found = ended.message.as_deref().unwrap_or_default().trim();
        let finds = ended.exit_code == FOUND && !found.is_empty();
        return Checked::Said(if finds {
            Verdict::Invalid(found.lines().collect::<Vec<_>>().join(" "))
        } else {
            verdict
        });
    }
    let waiting = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    match reason {
        None | Some("ContainerCreating" | "PodInitializing") if !has_ended(pod) => {
            Checked::NotYet(None)
        }
        _ => Checked::Said(verdict),
    }
}

fn has_ended(pod: &ApiPod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::names::LOCK_ANNOTATION;

    /// What a check says whose own container ended with this code and these words, and whose tries are in this state.
    fn tried(code: i32, said: &str, tries: &Value) -> Checked {
        let status = |name: &str, state: &Value| {
            json!({
                "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            })
        };
        let check = json!({"terminated": {"exitCode": code, "message": said}});
        let mut statuses = vec![status("node", &check)];
        if !tries.is_null() {
            statuses.push(status(TRIES_CONTAINER, tries));
        }
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running", "containerStatuses": statuses}});
        validation(&serde_json::from_value(pod).unwrap(), None, None).checked
    }

    #[test]
    fn a_check_passes_when_nothing_was_found_beside_it() {
        let valid = |tries: &Value| tried(0, "Valid configuration.", tries);
        let passed = Checked::Said(Verdict::Valid);
        assert_eq!(
            valid(&Value::Null),
            passed,
            "one of an older operator, or alone"
        );
        assert_eq!(valid(&json!({"terminated": {"exitCode": 0}})), passed);
        for state in [
            json!({"running": {}}),
            json!({"waiting": {"reason": "ContainerCreating"}}),
        ] {
            assert_eq!(valid(&state), Checked::NotYet(None), "{state}");
        }
        let found =
            json!({"terminated": {"exitCode": 78, "message": "the keystore password is empty\n"}});
        let refused = Checked::Said(Verdict::Invalid(
            "the keystore password is empty".to_owned(),
        ));
        assert_eq!(valid(&found), refused);
        // The node's own words come first; those that say nothing do not.
        let own = "Invalid configuration: EVM.0.Nodes: missing\n";
        let own_words = Checked::Said(Verdict::Invalid("EVM.0.Nodes: missing".to_owned()));
        assert_eq!(tried(1, own, &found), own_words);
        let empty =
            "Invalid configuration: invalid secrets: Password.Keystore: empty: must be provided\n";
        assert_eq!(tried(1, empty, &found), refused);
    }

    /// An image without a shell, or a machine that was short of memory.
    #[test]
    fn tries_that_can_not_be_made_refuse_nothing_and_hold_nothing_up() {
        for state in [
            json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"sh\": executable file not found"}}),
            json!({"terminated": {"exitCode": 127, "reason": "Error", "message": "sh: not found"}}),
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            json!({"terminated": {"exitCode": 78, "message": ""}}),
            json!({"waiting": {"reason": "RunContainerError", "message": "no such file"}}),
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
        ] {
            let passed = Checked::Said(Verdict::Valid);
            assert_eq!(tried(0, "Valid configuration.", &state), passed, "{state}");
        }
    }

    /// What is known of the images of a pod that pulls two, where the node's is there.
    fn pulled(proxy: &Value) -> Pulled {
        let mut statuses = vec![json!({
            "name": "node", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0}},
        })];
        if !proxy.is_null() {
            statuses.push(json!({
                "name": "proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": proxy,
            }));
        }
        let pod = json!({
            "metadata": {"name": "a", "labels": {REVISION_LABEL: "one"}},
            "spec": {"nodeName": "m", "containers": [
                {"name": "node", "args": ["--version"]},
                {"name": "proxy", "command": [ONLY_PULLED]},
                {"name": "injected"},
            ]},
            "status": {"phase": "Running", "containerStatuses": statuses},
        });
        let pod = serde_json::from_value(pod).unwrap();
        pull(&pod, None).unwrap().pulled
    }

    #[test]
    fn the_image_of_a_sidecar_is_pulled_before_a_standby_makes_room_for_it() {
        let waiting =
            |reason: &str| json!({"waiting": {"reason": reason, "message": "no such image"}});
        for state in [Value::Null, waiting("ContainerCreating")] {
            assert_eq!(pulled(&state), Pulled::NotYet(None), "{state}");
        }
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let trouble = Trouble {
                reason: "ImagePullBackOff".to_owned(),
                message: "proxy: no such image".to_owned(),
            };
            assert_eq!(pulled(&waiting(reason)), Pulled::NotYet(Some(trouble)));
        }
        // Nothing of that name is in the image, which therefore is there.
        let failed = json!({"terminated": {"exitCode": 128, "reason": "StartError"}});
        for state in [
            failed,
            waiting("RunContainerError"),
            waiting("CreateContainerError"),
        ] {
            assert_eq!(pulled(&state), Pulled::Yes, "{state}");
        }
    }

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
