//! From a pod of the API server, and what the witnesses know of its container, to the planner's pod.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod as ApiPod, PodCondition};

use super::observation::{Container, Exit, Pod, PodId, Revision, Took, Trouble};
use super::witness::{ContainerKey, Facts};
use crate::api::names::{
    ACTIVE_CONDITION, CONTAINER, LOCK_ANNOTATION, READY_CONDITION, REVISION_LABEL, ROLE_ACTIVE,
    ROLE_LABEL, VERSION_ANNOTATION, WAITING_CONDITION,
};
use crate::node::{classify_exit, last_words};

/// What a pod's own conditions say of its present container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) waiting: Option<Timestamp>,
    pub(super) took: Option<Took>,
    /// The version that the container's log named.
    pub(super) version: Option<String>,
}

/// A note in a pod condition's message: `container=… at=… waited=… version=…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) container: String,
    pub(super) at: Timestamp,
    pub(super) waited: Option<bool>,
    pub(super) version: Option<String>,
}

impl Note {
    pub(super) fn text(&self) -> String {
        let waited = self
            .waited
            .map(|waited| format!(" waited={waited}"))
            .unwrap_or_default();
        let version = self
            .version
            .as_ref()
            .map(|version| format!(" version={version}"));
        let version = version.unwrap_or_default();
        format!(
            "container={} at={}{waited}{version}",
            self.container, self.at
        )
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: BTreeMap<&str, &str> = text
            .split_whitespace()
            .filter_map(|field| field.split_once('='))
            .collect();
        Some(Self {
            container: (*fields.get("container")?).to_owned(),
            at: fields.get("at")?.parse().ok()?,
            waited: fields.get("waited").and_then(|waited| waited.parse().ok()),
            version: fields.get("version").map(|&version| version.to_owned()),
        })
    }
}

pub(super) fn condition<'a>(pod: &'a ApiPod, kind: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
}

fn noted(pod: &ApiPod, kind: &str, container: &str) -> Option<Note> {
    let condition = condition(pod, kind).filter(|condition| condition.status == "True")?;
    Note::parse(condition.message.as_deref()?).filter(|note| note.container == container)
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

pub(super) fn record(pod: &ApiPod, container: &str) -> Record {
    let waiting = noted(pod, WAITING_CONDITION, container);
    let took = noted(pod, ACTIVE_CONDITION, container);
    Record {
        version: took
            .as_ref()
            .and_then(|note| note.version.clone())
            .or_else(|| waiting.as_ref().and_then(|note| note.version.clone())),
        waiting: waiting.map(|note| note.at),
        took: took.map(|note| Took {
            at: note.at,
            waited: note.waited,
        }),
    }
}

pub(super) fn id(pod: &ApiPod) -> PodId {
    PodId {
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
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
    let wanted = revision
        .as_ref()
        .map(|revision| revision.version.to_string());
    Pod {
        id: id(pod),
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        revision,
        created: pod
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::MIN, |time| time.0),
        machine: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        labelled_active: label(pod, ROLE_LABEL) == Some(ROLE_ACTIVE),
        gate: condition(pod, READY_CONDITION).is_some_and(|condition| condition.status == "True"),
        deleted: pod.metadata.deletion_timestamp.is_some(),
        waiting: record.waiting,
        doubt: facts.doubt.clone(),
        took: record.took,
        contact: running.is_some().then_some(facts.contact).flatten(),
        watched: facts.watched,
        contradicting_version: named.filter(|named| wanted.as_ref() != Some(named)),
        container,
    }
}

fn container(pod: &ApiPod, warning: Option<Trouble>) -> Container {
    let status = container_status(pod);
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Failed" | "Succeeded")) {
        return Container::Ended {
            exit: status.and_then(last_exit),
        };
    }
    let Some(status) = status else {
        return Container::NotStarted {
            trouble: unschedulable(pod).or(warning),
        };
    };
    if let Some(running) = status
        .state
        .as_ref()
        .and_then(|state| state.running.as_ref())
    {
        let since = running
            .started_at
            .as_ref()
            .map_or(Timestamp::MIN, |time| time.0);
        return Container::Running { since };
    }
    if let Some(exit) = last_exit(status) {
        return Container::Down {
            exit,
            restarts: status.restart_count,
        };
    }
    let waiting = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let trouble = waiting.and_then(|waiting| {
        let reason = waiting
            .reason
            .clone()
            .filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"))?;
        let message = waiting.message.clone().unwrap_or_else(|| reason.clone());
        Some(Trouble { reason, message })
    });
    Container::NotStarted {
        trouble: trouble
            .or_else(|| preparation(pod))
            .or_else(|| unschedulable(pod))
            .or(warning),
    }
}

/// What keeps a container from ending that has to run before the node's.
fn preparation(pod: &ApiPod) -> Option<Trouble> {
    let before = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    before.iter().find_map(|status| {
        let state = status.state.as_ref()?;
        let ended = |state: Option<&ContainerState>| {
            let ended = state?
                .terminated
                .as_ref()
                .filter(|end| end.exit_code != 0)?;
            let words = ended.message.as_deref().unwrap_or_default().trim();
            let code = ended.exit_code;
            Some(format!("{} ended with code {code}: {words}", status.name))
        };
        let waiting = state.waiting.as_ref();
        let reason = waiting
            .and_then(|waiting| waiting.reason.clone())
            .filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"));
        let words = ended(Some(state)).or_else(|| ended(status.last_state.as_ref()));
        match (reason, words) {
            (reason, Some(message)) => Some(Trouble {
                reason: reason.unwrap_or_else(|| "InitFailed".to_owned()),
                message,
            }),
            (Some(reason), None) => Some(Trouble {
                message: waiting
                    .and_then(|waiting| waiting.message.clone())
                    .unwrap_or_else(|| reason.clone()),
                reason,
            }),
            (None, None) => None,
        }
    })
}

fn unschedulable(pod: &ApiPod) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled").filter(|found| found.status == "False")?;
    Some(Trouble {
        reason: scheduled
            .reason
            .clone()
            .unwrap_or_else(|| "Unschedulable".to_owned()),
        message: scheduled
            .message
            .clone()
            .unwrap_or_else(|| "no machine has room".to_owned()),
    })
}

/// How the container last ended. Kubernetes keeps the tail of the log of a container that ended with
/// an error; the last words are in it.
fn last_exit(status: &ContainerStatus) -> Option<Exit> {
    let now = status
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let before = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let ended = now.or(before)?;
    let tail: Vec<&str> = ended
        .message
        .as_deref()
        .unwrap_or_default()
        .lines()
        .collect();
    let words = last_words(&tail).filter(|words| !words.is_empty());
    Some(Exit {
        at: ended.finished_at.as_ref().map(|time| time.0),
        kind: classify_exit(ended.exit_code, words.as_deref()),
        code: ended.exit_code,
        words,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn trouble(before: &serde_json::Value) -> Option<Trouble> {
        let pod = serde_json::json!({
            "metadata": {"name": "pod"},
            "status": {
                "phase": "Pending",
                "containerStatuses": [{
                    "name": CONTAINER, "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"waiting": {"reason": "PodInitializing"}},
                }],
                "initContainerStatuses": [{
                    "name": "session-secret", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": before["state"], "lastState": before["lastState"],
                }],
            },
        });
        match container(&serde_json::from_value(pod).unwrap(), None) {
            Container::NotStarted { trouble } => trouble,
            _ => None,
        }
    }

    #[test]
    fn what_fails_before_the_node_is_told_in_its_own_words() {
        let ended =
            serde_json::json!({"terminated": {"exitCode": 1, "message": "it is not base64\n"}});
        let again = serde_json::json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": ended,
        });
        let words = "session-secret ended with code 1: it is not base64";

        for (before, reason) in [
            (serde_json::json!({"state": ended}), "InitFailed"),
            (again, "CrashLoopBackOff"),
        ] {
            let found = trouble(&before).unwrap();
            assert_eq!(
                (found.reason.as_str(), found.message.as_str()),
                (reason, words)
            );
        }
    }

    #[test]
    fn an_image_that_is_not_there_is_told_also_before_the_node() {
        let state =
            serde_json::json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});

        let found = trouble(&serde_json::json!({"state": state})).unwrap();

        assert_eq!(found.reason, "ImagePullBackOff");
        assert_eq!(found.message, "not found");
    }

    #[test]
    fn what_is_on_its_way_before_the_node_is_no_trouble() {
        for state in [
            serde_json::json!({"waiting": {"reason": "PodInitializing"}}),
            serde_json::json!({"running": {}}),
            serde_json::json!({"terminated": {"exitCode": 0}}),
        ] {
            assert_eq!(trouble(&serde_json::json!({"state": state})), None);
        }
    }
}
