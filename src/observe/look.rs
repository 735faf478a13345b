//! One fresh look at everything that belongs to a resource, and the records that it calls for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod as ApiPod};
use kube::api::{Api, ListParams, LogParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::api_pod;
use super::claim::{claim, takes};
use super::database::Known;
use super::read;
use super::record::{apply, client_id, last_takeover, news, record};
use super::warning::{is_slow, warning};
use super::witness::{Facts, FromBefore, Subject, Witnesses};
use crate::api::names::{
    ACTIVE_CONDITION, CONTAINER, INSTANCE_LABEL, NODE_LABEL, PULL_LABEL, VALIDATION_LABEL,
};
use crate::api::{ChainlinkNode, KeyRef, RevisionName};
use crate::cluster::{adoption, controls, still_there};
use crate::domain::{Claim, Pod, Pull, Revision, Says, Trouble, Validation};

/// The least by which one time is later than another.
const ONE_LATER: Duration = Duration::from_millis(1);
/// So long before a takeover is seen its predecessor may have said first that it can't refresh its lease:
/// the lease itself, migrations, clocks of machines that differ.
const LEASE_LOSS: Duration = Duration::from_mins(2);
/// A taker that has not answered for so long is not asked for its log again and again.
const ANSWERS: Duration = Duration::from_secs(30);
/// What a check found stands at the end of its output, behind the whole configuration.
const LINES_OF_A_VALIDATION: i64 = 50;
/// How long it is waited for.
const OUTPUT: Duration = Duration::from_secs(2);

/// The pods of a resource, as one look showed them.
pub struct Looked {
    pub pods: Vec<Pod>,
    /// Why what is new could not be written into a pod, if it could not. It is in `pods` all the same; only, a restart
    /// of the operator may forget it.
    pub unrecorded: Option<kube::Error>,
}

/// Reads and records what belongs to one resource.
pub struct Looker<'a> {
    client: &'a Client,
    witnesses: &'a Witnesses,
    node: &'a ChainlinkNode,
    namespace: String,
}

impl<'a> Looker<'a> {
    pub fn new(client: &'a Client, witnesses: &'a Witnesses, node: &'a ChainlinkNode) -> Self {
        let namespace = node.namespace().unwrap_or_default();
        Self {
            client,
            witnesses,
            node,
            namespace,
        }
    }

    fn pods(&self) -> Api<ApiPod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn of_node(&self) -> ListParams {
        // No resourceVersion is sent: the API server answers from a quorum, never from a stale cache.
        ListParams::default().labels(&format!("{NODE_LABEL}={}", self.node.name_any()))
    }

    /// The revisions that carry the resource's label: its own, and those that an earlier one of its name has left.
    pub async fn revisions(&self) -> Result<Vec<ControllerRevision>, kube::Error> {
        let api: Api<ControllerRevision> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(api.list(&self.of_node()).await?.items)
    }

    /// The ConfigMaps that exist of those named.
    pub async fn config_maps(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, ConfigMap>, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(map) = api.get_opt(name).await? {
                found.insert(name.clone(), map);
            }
        }
        Ok(found)
    }

    /// Every pod of the resource, after new observations have been recorded in them.
    pub async fn look(
        &self,
        kept: &BTreeMap<RevisionName, Revision>,
        at: Timestamp,
    ) -> Result<Looked, kube::Error> {
        let mut pods = self.own_pods().await?;
        let shared = read::shared_addresses(&pods);
        let subjects = pods
            .iter()
            .filter_map(|pod| self.subject(pod, &shared))
            .collect();
        self.witnesses
            .watch(&ObjectRef::from_obj(self.node), subjects);
        // Two that are first seen in one look get the same time: their order is unknown. It is the order of
        // the records that counts, also where another operator's clock was ahead.
        let newest = pods.iter().filter_map(last_takeover).max();
        let after = |newest: Timestamp| newest.checked_add(ONE_LATER).unwrap_or(newest);
        let took_at = newest.map_or(at, |newest| at.max(after(newest)));
        let mut unrecorded = None;
        for pod in &mut pods {
            let news = self.unrecorded(pod, at, took_at);
            match self.record(pod, &news).await {
                Ok(Some(recorded)) => *pod = recorded,
                Ok(None) => {}
                Err(error) => {
                    apply(pod, &news);
                    unrecorded.get_or_insert(error);
                }
            }
        }
        self.look_for_lost_leases(&pods);
        let mut seen = Vec::with_capacity(pods.len());
        for pod in &pods {
            let warning = self.warning(pod, at).await;
            seen.push(read::read(pod, &self.facts(pod), warning, kept));
        }
        Ok(Looked {
            pods: seen,
            unrecorded,
        })
    }

    /// Where several containers have taken the lock, those that were not the last to do so may say that they
    /// lost it.
    fn look_for_lost_leases(&self, pods: &[ApiPod]) {
        let takers: Vec<_> = pods
            .iter()
            .filter_map(|pod| {
                let (key, _) = api_pod::running(pod)?;
                let took = record(pod, &key.container_id).took?.at;
                Some((key, took))
            })
            .collect();
        let newest = takers.iter().map(|(_, took)| *took).max();
        let last: Vec<_> = takers
            .iter()
            .filter(|(_, took)| Some(*took) == newest)
            .collect();
        for (key, took) in &takers {
            let alone = last.iter().all(|(other, _)| other == key);
            let heard = self.witnesses.facts(key).contact;
            let answers = heard.is_some_and(|heard| heard.at.elapsed() <= ANSWERS);
            let before_the_newest = newest.and_then(|newest| newest.checked_sub(LEASE_LOSS).ok());
            let since = before_the_newest.filter(|_| !alone && answers);
            let since = since.map(|since| since.max(*took));
            self.witnesses.look_for_lost_lease(key, since);
        }
    }

    /// Every pod of the resource that is no node: it only pulls an image, or only checks a configuration.
    pub async fn oneshots(
        &self,
        at: Timestamp,
    ) -> Result<(Vec<Pull>, Vec<Validation>), kube::Error> {
        let name = self.node.name_any();
        let labelled = format!("{INSTANCE_LABEL}={name},!{NODE_LABEL}");
        let labelled = ListParams::default().labels(&labelled);
        let listed = self.pods().list(&labelled).await?;
        let (mut pulls, mut validations) = (Vec::new(), Vec::new());
        for pod in listed.items {
            if !controls(self.node, &pod) {
                continue;
            }
            let is = |kind| pod.labels().get(kind) == Some(&name);
            if is(PULL_LABEL) {
                let warning = self.warning(&pod, at).await;
                pulls.extend(read::pull(&pod, warning));
            } else if is(VALIDATION_LABEL) {
                let log = self.output_of_success(&pod).await;
                let warning = self.warning(&pod, at).await;
                validations.push(read::validation(&pod, log.as_deref(), warning));
            }
        }
        Ok((pulls, validations))
    }

    /// What a container printed that ended well: Kubernetes keeps that of others by itself.
    async fn output_of_success(&self, pod: &ApiPod) -> Option<String> {
        let ended = api_pod::container_status(pod).and_then(api_pod::terminated)?;
        if ended.exit_code != 0 {
            return None;
        }
        let end = LogParams {
            container: Some(CONTAINER.to_owned()),
            tail_lines: Some(LINES_OF_A_VALIDATION),
            ..LogParams::default()
        };
        // Without it the exit code has to do: nothing is held up by a kubelet that does not answer.
        let pods = self.pods();
        let name = pod.name_any();
        let output = timeout(OUTPUT, pods.logs(&name, &end)).await;
        output.ok()?.ok()
    }

    /// The pods of other resources in this namespace whose database URL is that key of that Secret, whether or not
    /// the resource is still there: what they mean for the database. Which those are, metadata tells of all, and that
    /// is a third of them.
    pub async fn claims_on_key(&self, key: &KeyRef) -> Result<Vec<Claim>, kube::Error> {
        let labelled = ListParams::default().labels(NODE_LABEL);
        let api = self.pods();
        let listed = api.list_metadata(&labelled).await?.items;
        let own = self.node.name_any();
        let others = listed.iter().filter(|pod| {
            let controlled = pod
                .owner_references()
                .iter()
                .any(|one| one.controller == Some(true));
            // One of ours that nobody controls is about to be adopted.
            let orphan = !controlled && pod.labels().get(NODE_LABEL) == Some(&own);
            !controls(self.node, *pod) && !orphan && takes(*pod, key)
        });
        // One that is gone since claims nothing, and one of its name that came since is no less than it.
        let others = others.map(async |pod| api.get_opt(&pod.name_any()).await);
        let others = try_join_all(others).await?;
        let of = |pod: &ApiPod| pod.labels().get(NODE_LABEL).cloned().unwrap_or_default();
        let others = others.iter().flatten();
        Ok(others.filter_map(|pod| claim(pod, of(pod), true)).collect())
    }

    /// The pods of another resource whose database URL is that key of that Secret: what they mean for the database.
    pub async fn claims_of(
        &self,
        other: &ChainlinkNode,
        key: &KeyRef,
        of: &str,
    ) -> Result<Vec<Claim>, kube::Error> {
        let namespace = other.namespace().unwrap_or_default();
        let pods: Api<ApiPod> = Api::namespaced(self.client.clone(), &namespace);
        let labelled = format!("{NODE_LABEL}={}", other.name_any());
        let listed = pods.list(&ListParams::default().labels(&labelled)).await?;
        let here = listed.items.iter().filter(|pod| takes(*pod, key));
        Ok(here
            .filter_map(|pod| claim(pod, of.to_owned(), false))
            .collect())
    }

    /// By what the sessions of the pods of the resource are known in the database.
    pub async fn known_by(&self) -> Result<Known, kube::Error> {
        let listed = self.pods().list(&self.of_node()).await?;
        let shared = read::shared_addresses(&listed.items);
        let mut known = Known::default();
        for pod in listed.items.iter().filter(|pod| controls(self.node, *pod)) {
            let id = || api_pod::id(pod);
            let addresses = api_pod::addresses(pod);
            let alone = !addresses.iter().any(|address| shared.contains(address));
            let addresses = addresses.into_iter();
            known
                .addresses
                .extend(addresses.map(|address| (address, id())));
            let running = api_pod::running(pod);
            match client_id(pod, &self.facts(pod)) {
                Some(client) => known.clients.extend([(client, id())]),
                None if alone => known.unnamed.extend(running.map(|(key, _)| (id(), key))),
                None => {}
            }
        }
        Ok(known)
    }

    /// What an answer of the database tells of a container that has not named itself. The next look writes it down, where the
    /// same container still runs.
    pub fn hear(&self, asked_of: &Known, says: &Says) {
        if let Some((container, client)) = asked_of.names(says) {
            self.witnesses.name(container, client);
        }
    }

    /// Asks one pod directly, so that the next look has its answer (rule S5).
    pub async fn ask(&self, name: &str) -> Result<(), kube::Error> {
        let Some(pod) = self.pods().get_opt(name).await? else {
            return Ok(());
        };
        if let Some(subject) = self.subject(&pod, &BTreeSet::new()) {
            self.witnesses.ask(&subject).await;
        }
        Ok(())
    }

    /// Pods that carry our label and are ours, orphans after adoption.
    async fn own_pods(&self) -> Result<Vec<ApiPod>, kube::Error> {
        let mut own = Vec::new();
        for pod in self.pods().list(&self.of_node()).await?.items {
            let others = pod
                .owner_references()
                .iter()
                .any(|owner| owner.controller == Some(true));
            if controls(self.node, &pod) {
                own.push(pod);
            } else if !others && pod.metadata.deletion_timestamp.is_some() {
                // Too late to be adopted, and it may hold the lock for as long as it runs.
                own.push(pod);
            } else if !others && still_there(self.client, self.node).await? {
                own.push(self.adopt(&pod).await?);
            }
        }
        Ok(own)
    }

    async fn adopt(&self, orphan: &ApiPod) -> Result<ApiPod, kube::Error> {
        let patch = adoption(self.node, orphan);
        self.pods()
            .patch(
                &orphan.name_any(),
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await
    }

    fn subject(&self, pod: &ApiPod, shared: &BTreeSet<IpAddr>) -> Option<Subject> {
        let (key, started) = api_pod::running(pod)?;
        let record = record(pod, &key.container_id);
        let address = api_pod::address(pod)?;
        Some(Subject {
            recorded: FromBefore {
                waiting: record.waiting.is_some(),
                took: record.took.is_some(),
                worked: record.worked.is_some(),
                named: record.client.is_some(),
            },
            address,
            address_is_shared: shared.contains(&address),
            key,
            namespace: self.namespace.clone(),
            pod: pod.name_any(),
            node: ObjectRef::from_obj(self.node),
            started,
        })
    }

    fn facts(&self, pod: &ApiPod) -> Facts {
        api_pod::running(pod)
            .map(|(key, _)| self.witnesses.facts(&key))
            .unwrap_or_default()
    }

    /// What was seen of a pod's container and does not stand in the pod yet, as conditions.
    fn unrecorded(&self, pod: &ApiPod, at: Timestamp, took_at: Timestamp) -> Vec<Value> {
        let Some((key, _)) = api_pod::running(pod) else {
            return Vec::new();
        };
        let facts = self.witnesses.facts(&key);
        let took_at = facts.took_at.unwrap_or(took_at);
        let conditions = news(pod, &facts, at, took_at);
        if conditions.iter().any(|one| one["type"] == ACTIVE_CONDITION) {
            // Should the patch fail, the next look is not to make a later takeover of it.
            self.witnesses.took_at(&key, took_at);
        }
        conditions
    }

    /// Writes that into the pod. The pod was read after the line was, and the patch carries its version: the same
    /// container is still there.
    async fn record(
        &self,
        pod: &ApiPod,
        conditions: &[Value],
    ) -> Result<Option<ApiPod>, kube::Error> {
        if conditions.is_empty() {
            return Ok(None);
        }
        let patch = json!({
            "metadata": {"uid": pod.metadata.uid, "resourceVersion": pod.metadata.resource_version},
            "status": {"conditions": conditions},
        });
        let patched = self
            .pods()
            .patch_status(
                &pod.name_any(),
                &PatchParams::default(),
                &Patch::Strategic(patch),
            )
            .await;
        match patched {
            Ok(pod) => Ok(Some(pod)),
            // Changed or gone since: the next look sees how.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What Kubernetes last complained about, for a pod that takes long to start.
    async fn warning(&self, pod: &ApiPod, at: Timestamp) -> Option<Trouble> {
        if !is_slow(pod, at) {
            return None;
        }
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let uid = pod.metadata.uid.as_deref()?;
        let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        warning(pod, events.list(&about).await.ok()?.items, at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use axum::Router;
    use axum::extract::Request;
    use serde_json::Value;

    use super::*;
    use crate::api::names::REVISION_LABEL;
    use crate::domain::{Checked, Pulled};

    fn node() -> ChainlinkNode {
        serde_json::from_value(json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": "cl", "namespace": "a", "uid": "n"},
            "spec": {
                "version": "2.28.0",
                "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
                "credentials": {
                    "keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}},
                },
            },
        }))
        .unwrap()
    }

    /// A cluster with these pods of one uid, and one event of it.
    fn cluster(pods: [Value; 3], event: Value) -> Client {
        let serve = move |request: Request| {
            let uri = request.uri().to_string();
            let asks_of_the_pod = uri.contains("involvedObject.uid%3Dp");
            let items = match &uri {
                uri if uri.contains("/pods?") => json!(pods),
                uri if uri.contains("/events?") && asks_of_the_pod => json!([event]),
                _ => json!([]),
            };
            let list = json!({"metadata": {}, "items": items}).to_string();
            std::future::ready(list)
        };
        Client::new(Router::new().fallback(serve), "a")
    }

    /// A missing key of a Secret that is mounted stands nowhere but in an event.
    #[tokio::test]
    async fn what_keeps_a_pod_that_is_no_node_from_starting_is_told() {
        let (wake, _woken) = tokio::sync::mpsc::unbounded_channel();
        let pod = |label: &str| {
            json!({
                "metadata": {
                    "name": "cl-1", "uid": "p", "creationTimestamp": "2026-01-01T12:00:00Z",
                    "labels": {"chainlink-operator.dev/revision": "r", label: "cl"},
                    "ownerReferences": [{"apiVersion": "x", "kind": "x", "name": "cl", "uid": "n", "controller": true}],
                },
                "spec": {"nodeName": "m", "containers": []},
                "status": {"phase": "Pending", "containerStatuses": [{
                    "name": CONTAINER, "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"waiting": {"reason": "ContainerCreating"}},
                }]},
            })
        };
        let event = json!({
            "metadata": {"name": "e"}, "involvedObject": {"uid": "p"}, "type": "Warning",
            "reason": "FailedMount", "lastTimestamp": "2026-01-01T12:00:09Z",
            "message": "references non-existent secret key: no-such-key",
        });
        let client = cluster(
            [pod(VALIDATION_LABEL), pod(PULL_LABEL), pod(REVISION_LABEL)],
            event,
        );
        let witnesses = Witnesses::new(client.clone(), wake);
        let node = node();
        let looker = Looker::new(&client, &witnesses, &node);
        let at: Timestamp = "2026-01-01T12:00:10Z".parse().unwrap();
        let told = Some(Trouble {
            reason: "FailedMount".to_owned(),
            message: "references non-existent secret key: no-such-key".to_owned(),
        });

        let (pulls, validations) = looker.oneshots(at).await.unwrap();
        let [validation] = &validations[..] else {
            panic!("{validations:?}");
        };
        assert_eq!(validation.checked, Checked::NotYet(told.clone()));
        let [pull] = &pulls[..] else {
            panic!("{pulls:?}");
        };
        assert_eq!(pull.pulled, Pulled::NotYet(told));
    }
}
