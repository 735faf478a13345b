//! What a pod carries in its own conditions of what was seen of its container, so that neither another
//! operator nor a restart has to see it again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod as ApiPod, PodCondition};
use serde_json::{Value, json};

use super::api_pod::{condition, container_status, running, terminated};
use super::witness::{Facts, Moment};
use crate::api::names::{ACTIVE_CONDITION, WAITING_CONDITION};
use crate::domain::Took;

/// What a pod's own conditions say of its present container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) waiting: Option<Timestamp>,
    pub(super) took: Option<Took>,
    /// Since when it is known to do a node's work.
    pub(super) worked: Option<Timestamp>,
    /// The version that the container's log named.
    pub(super) version: Option<String>,
    /// The node's own id, by which the database knows it.
    pub(super) client: Option<String>,
}

/// A note in a pod condition's message: `container=… at=… waited=… version=… worked=… client=…`. What an
/// older operator wrote has fewer fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) container: String,
    pub(super) at: Timestamp,
    pub(super) waited: Option<bool>,
    pub(super) version: Option<String>,
    pub(super) worked: Option<Timestamp>,
    pub(super) client: Option<String>,
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
        let worked = self.worked.map(|worked| format!(" worked={worked}"));
        let worked = worked.unwrap_or_default();
        let client = self.client.as_ref();
        let client = client.map(|client| format!(" client={client}"));
        let client = client.unwrap_or_default();
        format!(
            "container={} at={}{waited}{version}{worked}{client}",
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
            worked: fields.get("worked").and_then(|worked| worked.parse().ok()),
            client: fields.get("client").map(|&client| client.to_owned()),
        })
    }
}

fn noted(pod: &ApiPod, kind: &str, container: &str) -> Option<Note> {
    let condition = condition(pod, kind).filter(|condition| condition.status == "True")?;
    Note::parse(condition.message.as_deref()?).filter(|note| note.container == container)
}

pub(super) fn record(pod: &ApiPod, container: &str) -> Record {
    let waiting = noted(pod, WAITING_CONDITION, container);
    let took = noted(pod, ACTIVE_CONDITION, container);
    Record {
        version: took
            .as_ref()
            .and_then(|note| note.version.clone())
            .or_else(|| waiting.as_ref().and_then(|note| note.version.clone())),
        client: took
            .as_ref()
            .and_then(|note| note.client.clone())
            .or_else(|| waiting.as_ref().and_then(|note| note.client.clone())),
        waiting: waiting.map(|note| note.at),
        worked: took.as_ref().and_then(|note| note.worked),
        took: took.map(|note| Took {
            at: note.at,
            waited: note.waited,
        }),
    }
}

/// The id of the node that runs in a pod: of this container, as each start of a node gives itself another.
pub(super) fn client_id(pod: &ApiPod, facts: &Facts) -> Option<String> {
    let (key, _) = running(pod)?;
    let recorded = record(pod, &key.container_id).client;
    recorded.or_else(|| facts.client.clone())
}

/// The id of the node whose container ended last, as its kubelet saw it. A pod that is Failed with its machine has
/// containers of which nobody saw the end: the kubelet says `ContainerStatusUnknown` of them, and containerd, after a start of
/// its own, `Unknown`.
pub(super) fn ended_client(pod: &ApiPod) -> Option<String> {
    const UNSEEN: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];
    let ended = terminated(container_status(pod)?)?;
    let reason = ended.reason.as_deref()?;
    let container = ended.container_id.as_deref()?;
    if UNSEEN.contains(&reason) {
        return None;
    }
    record(pod, container).client
}

/// The last takeover that a pod records, of whatever container.
pub(super) fn last_takeover(pod: &ApiPod) -> Option<Timestamp> {
    let message = condition(pod, ACTIVE_CONDITION)?.message.as_deref()?;
    Note::parse(message).map(|note| note.at)
}

/// What is known of a pod's container and not recorded in it yet, as conditions. `took_at` is the time of a
/// takeover that is seen now.
pub(super) fn news(pod: &ApiPod, facts: &Facts, at: Timestamp, took_at: Timestamp) -> Vec<Value> {
    let Some((key, _)) = running(pod) else {
        return Vec::new();
    };
    let known = record(pod, &key.container_id);
    let now = Moment::now();
    let seen = facts.version.as_ref().map(ToString::to_string);
    let note = |at, waited, worked| Note {
        container: key.container_id.clone(),
        at,
        waited,
        version: seen.clone().or_else(|| known.version.clone()),
        worked,
        client: known.client.clone().or_else(|| facts.client.clone()),
    };
    let named = known.client.is_none() && facts.client.is_some();
    let mut conditions = Vec::new();
    if (known.waiting.is_none() || named)
        && known.took.is_none()
        && let Some(since) = known.waiting.or(facts.waiting)
    {
        let note = note(since, None, None);
        conditions.push(entry(WAITING_CONDITION, "WaitingForLock", &note, at));
    }
    let worked = facts.worked().map(|worked| now.wall_at(worked));
    let worked = known.worked.or(worked);
    let took = known.took.or_else(|| {
        let before = facts.taken(known.waiting.is_some(), now.steady)?;
        Some(Took {
            at: took_at,
            waited: before.waited(),
        })
    });
    let is_news = known.took.is_none() || known.worked != worked || named;
    if let Some(took) = took.filter(|_| is_news) {
        let note = note(took.at, took.waited, worked);
        conditions.push(entry(ACTIVE_CONDITION, "LockTaken", &note, took.at));
    }
    conditions
}

/// Notes such conditions in what was read of the pod, as if the API server had taken them.
pub(super) fn apply(pod: &mut ApiPod, conditions: &[Value]) {
    let all = pod
        .status
        .get_or_insert_default()
        .conditions
        .get_or_insert_default();
    for new in conditions {
        let Ok(new) = serde_json::from_value::<PodCondition>(new.clone()) else {
            continue;
        };
        all.retain(|old| old.type_ != new.type_);
        all.push(new);
    }
}

fn entry(kind: &str, reason: &str, note: &Note, since: Timestamp) -> Value {
    json!({
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": note.text(),
        "lastTransitionTime": since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::time::Instant;

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn pod(note: Option<&str>) -> ApiPod {
        let conditions: Vec<Value> = note
            .into_iter()
            .map(|note| json!({"type": ACTIVE_CONDITION, "status": "True", "message": note}))
            .collect();
        let pod = json!({"metadata": {"name": "a", "uid": "a"}, "status": {
            "conditions": conditions,
            "containerStatuses": [{
                "name": "node", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "c", "state": {"running": {}},
            }],
        }});
        serde_json::from_value(pod).unwrap()
    }

    fn notes(pod: &ApiPod, facts: &Facts) -> Vec<Note> {
        let news = news(pod, facts, AT, AT);
        let notes = news.iter().map(|one| one["message"].as_str().unwrap());
        notes.map(|text| Note::parse(text).unwrap()).collect()
    }

    fn at_work() -> Facts {
        Facts {
            waiting: Some(AT),
            took_by_port: Some(Instant::now()),
            first_served: Some(Instant::now()),
            ..Facts::default()
        }
    }

    #[test]
    fn what_an_older_operator_wrote_is_added_to_and_kept() {
        let old = "container=c at=2026-01-01T12:00:00Z waited=false version=2.28.0";
        let old = pod(Some(old));
        assert_eq!(record(&old, "c").worked, None);
        let added = notes(&old, &at_work());
        let [note] = added.as_slice() else {
            panic!("{added:?}")
        };
        assert_eq!(
            note.text().split_once(" worked=").unwrap().0,
            "container=c at=2026-01-01T12:00:00Z waited=false version=2.28.0"
        );
        // And no more than once (rule L2).
        let new = pod(Some(&note.text()));
        assert_eq!(record(&new, "c").worked, note.worked);
        assert_eq!(notes(&new, &at_work()), []);
    }

    /// As of what an older operator recorded, whose log is read again for a handover.
    #[test]
    fn the_id_of_a_node_is_recorded_once_and_belongs_to_its_container() {
        let facts = Facts {
            client: Some("5f0cd4de".to_owned()),
            ..at_work()
        };
        let old = "container=c at=2026-01-01T12:00:00Z waited=true worked=2026-01-01T13:00:00Z";
        let added = notes(&pod(Some(old)), &facts);
        let [note] = added.as_slice() else {
            panic!("{added:?}")
        };
        assert_eq!(note.text(), format!("{old} client=5f0cd4de"));
        let new = pod(Some(&note.text()));
        assert_eq!(notes(&new, &facts), []);
        assert_eq!(client_id(&new, &Facts::default()), note.client);
        let started_again = note.text().replace("container=c", "container=b");
        let started_again = pod(Some(&started_again));
        assert_eq!(client_id(&started_again, &Facts::default()), None);
        let waits = Facts {
            waiting: Some(AT),
            client: facts.client.clone(),
            ..Facts::default()
        };
        let [note] = &notes(&pod(None), &waits)[..] else {
            panic!("it waits")
        };
        assert_eq!(note.client, facts.client);
    }

    #[test]
    fn the_id_of_a_node_that_ended_is_told_only_where_the_kubelet_saw_the_end_of_its_container() {
        const NOTE: &str = "container=c at=2026-01-01T12:00:00Z waited=true client=5f0cd4de";
        let told = |state: Value, last: Value| {
            let mut pod = serde_json::to_value(pod(Some(NOTE))).unwrap();
            let status = &mut pod["status"]["containerStatuses"][0];
            (status["state"], status["lastState"]) = (state, last);
            ended_client(&serde_json::from_value(pod).unwrap())
        };
        let ended = |container: &str, reason: &str| json!({"terminated": {"exitCode": 137, "reason": reason, "containerID": container}});
        let running = || json!({"running": {}});
        let its = Some("5f0cd4de".to_owned());
        assert_eq!(told(ended("c", "Error"), json!({})), its);
        assert_eq!(told(ended("c", "OOMKilled"), json!({})), its);
        assert_eq!(told(running(), ended("c", "Error")), its, "started again");
        assert_eq!(told(running(), json!({})), None, "it runs");
        assert_eq!(told(ended("b", "Error"), json!({})), None, "another start");
        // The end of the start before that of which the id is known.
        assert_eq!(told(running(), ended("b", "Error")), None);
        for unseen in ["ContainerStatusUnknown", "Unknown"] {
            assert_eq!(told(ended("c", unseen), json!({})), None, "{unseen}");
        }
        let no_id = json!({"terminated": {"exitCode": 137, "reason": "Error"}});
        assert_eq!(told(no_id, json!({})), None, "of no container");
    }

    #[test]
    fn a_takeover_is_recorded_before_it_is_known_to_work() {
        let facts = Facts {
            first_served: None,
            ..at_work()
        };
        let seen = notes(&pod(None), &facts);
        assert!(seen.iter().all(|note| note.worked.is_none()));
        assert_eq!(seen.len(), 2);
    }
}
