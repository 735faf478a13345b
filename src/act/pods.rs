//! Acts on pods.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};

use super::recorded::Recorded;
use crate::api::names::{FIELD_MANAGER, POD_LABEL, pod_label};
use crate::api::{ChainlinkNode, RevisionName};
use crate::build::{self, Content};
use crate::cluster::{controls, only, refusal};
use crate::domain::{Place, Pod, PodId, Revision};
use crate::leader::Leadership;
use crate::plan::Confirmed;

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The pod is not as it was planned for any more: nothing was done.
    Overtaken,
    /// The API server refuses to make the pod: quota, admission, invalid fields.
    Refused(String),
    /// The name of the pod to be made is that of somebody else's.
    Taken,
    /// What permitted it is too long ago, or this operator does not lead any more: nothing was done.
    Late,
}

/// Acts on the pods of one resource, and only for a plan whose intent is written (rule S4).
pub struct Actor<'a> {
    node: &'a ChainlinkNode,
    pods: Api<ApiPod>,
    leadership: &'a Leadership,
}

impl<'a> Actor<'a> {
    pub fn new(
        client: &Client,
        node: &'a ChainlinkNode,
        leadership: &'a Leadership,
        _: &Recorded<'_>,
    ) -> Self {
        let namespace = node.namespace().unwrap_or_default();
        Self {
            node,
            pods: Api::namespaced(client.clone(), &namespace),
            leadership,
        }
    }

    /// Makes a pod under the name that the intent holds, and not after `until`. If it is there already, and ours, a crash
    /// came between the creation and its record: that is done.
    pub async fn create(
        &self,
        name: &str,
        revision: &Revision,
        content: &Content,
        place: &Place,
        until: Instant,
    ) -> Result<Outcome, kube::Error> {
        let mut pod = build::pod(self.node, name, revision, content, place);
        // As its name, it is no part of what its revision makes.
        let own = pod_label(&self.node.name_any(), name);
        pod.labels_mut().insert(POD_LABEL.to_owned(), own);
        if Instant::now() > until {
            return Ok(Outcome::Late);
        }
        self.make(&pod).await
    }

    /// Makes a pod that pulls the image of a revision on one machine.
    pub async fn pull(
        &self,
        name: &str,
        revision: &RevisionName,
        machine: &str,
        content: &Content,
    ) -> Result<Outcome, kube::Error> {
        let pod = build::pull_pod(self.node, name, revision, machine, content);
        self.make_short(&pod, content).await
    }

    /// Makes a pod that checks the configuration of a revision.
    pub async fn validate(
        &self,
        name: &str,
        revision: &Revision,
        content: &Content,
    ) -> Result<Outcome, kube::Error> {
        let pod = build::validation_pod(self.node, name, revision, content);
        self.make_short(&pod, content).await
    }

    /// Makes a pod that is no node. One that asks for less than the node, or for a container
    /// more, may be refused for that alone.
    async fn make_short(&self, pod: &ApiPod, content: &Content) -> Result<Outcome, kube::Error> {
        let made = self.make(pod).await?;
        let fitting = build::as_fitting_as_the_node(pod, content);
        if matches!(made, Outcome::Refused(_)) && fitting != *pod {
            return self.make(&fitting).await;
        }
        Ok(made)
    }

    pub(super) async fn make(&self, pod: &ApiPod) -> Result<Outcome, kube::Error> {
        let name = &pod.name_any();
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        if !self.leadership.leads() {
            return Ok(Outcome::Late);
        }
        match self.pods.create(&parameters, pod).await {
            Ok(_) => Ok(Outcome::Done),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = self.pods.get_opt(name).await?;
                let ours = there.is_none_or(|pod| controls(self.node, &pod));
                Ok(if ours { Outcome::Done } else { Outcome::Taken })
            }
            Err(error) => refusal(&error).map(Outcome::Refused).ok_or(error),
        }
    }

    /// Stops the pod that a permit names, as it stood in the look that confirmed it at `looked`; and only while the
    /// answers of that look are fresh: what came since may have taken any time, which a clock tells that nobody can set
    /// (rule S5).
    pub async fn stop(
        &self,
        confirmed: &Confirmed,
        looked: Instant,
    ) -> Result<Outcome, kube::Error> {
        if looked.elapsed() > confirmed.good_for() {
            return Ok(Outcome::Late);
        }
        let permit = confirmed.permit();
        self.delete(permit.pod(), Some(permit.resource_version()))
            .await
    }

    /// Removes a pod that can't run again.
    pub async fn tidy(&self, pod: &Pod) -> Result<Outcome, kube::Error> {
        self.delete(&pod.id, Some(&pod.resource_version)).await
    }

    /// Removes a pod that is no node.
    pub async fn end_oneshot(&self, pod: &PodId) -> Result<Outcome, kube::Error> {
        self.delete(pod, None).await
    }

    /// The last question before the call is whether this operator leads: it may have been cut off, or frozen, since.
    async fn delete(&self, pod: &PodId, version: Option<&str>) -> Result<Outcome, kube::Error> {
        let parameters = only(&pod.uid, version);
        if !self.leadership.leads() {
            return Ok(Outcome::Late);
        }
        overtaken(self.pods.delete(&pod.name, &parameters).await.map(drop))
    }
}

/// A conflict, or a pod that is gone, says that the plan was for another state.
pub(super) fn overtaken(result: Result<(), kube::Error>) -> Result<Outcome, kube::Error> {
    match result {
        Ok(()) => Ok(Outcome::Done),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
            Ok(Outcome::Overtaken)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use serde_json::json;

    use super::*;
    use crate::api::ChainlinkNodeStatus;
    use crate::build::ConfigMaps;
    use crate::plan::tests::world::{World, pair};
    use crate::plan::{Act, Plan, SecondLook, confirm, pending, plan};

    /// A resource whose status holds the intent of this plan.
    fn node(plan: &Plan) -> ChainlinkNode {
        let manifest = json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": "cl", "uid": "7", "resourceVersion": "7"},
            "spec": {
                "version": "2.28.0",
                "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
                "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            },
        });
        let mut node: ChainlinkNode = serde_json::from_value(manifest).unwrap();
        node.status = Some(ChainlinkNodeStatus {
            operator: plan.memory.clone(),
            ..ChainlinkNodeStatus::default()
        });
        node
    }

    /// An API server that does what it is asked to, and how often it was.
    fn server() -> (Client, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let serve = move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { json!({"metadata": {"name": "cl-1"}}).to_string() }
        };
        (Client::new(Router::new().fallback(serve), "a"), calls)
    }

    fn ago(seconds: u64) -> Instant {
        let ago = Instant::now().checked_sub(Duration::from_secs(seconds));
        ago.unwrap()
    }

    /// An operator that was frozen between its last question and the call: what the answer told is worth nothing any more.
    #[tokio::test]
    async fn a_pod_is_asked_for_no_later_than_it_was_known_to_be_planned() {
        let (client, calls) = server();
        let plan = World::with(1).plan();
        let node = node(&plan);
        let recorded = Recorded::of(&plan, &node).unwrap();
        let alone = Leadership::new(None);
        let actor = Actor::new(&client, &node, &alone, &recorded);
        let made = build::resolve("cl", &node.spec, &ConfigMaps::new()).unwrap();
        let (revision, content, place) = (&made.revision, &made.content, Place::default());
        let late = actor.create("cl-1", revision, content, &place, ago(1));
        assert_eq!(late.await.unwrap(), Outcome::Late);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        let soon = Instant::now() + Duration::from_secs(60);
        let made = actor.create("cl-1", revision, content, &place, soon);
        assert_eq!(made.await.unwrap(), Outcome::Done);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    /// The same between its second look and the call (rule S5).
    #[tokio::test]
    async fn a_pod_is_not_stopped_once_the_answers_that_permit_it_are_old() {
        let (client, calls) = server();
        let mut world = pair();
        world.intent.replicas = 1;
        let first = world.plan();
        let node = node(&first);
        let recorded = Recorded::of(&first, &node).unwrap();
        let permits = first.acts.iter().find_map(|act| match act {
            Act::Stop(permit) => Some(permit),
            _ => None,
        });
        let seen = world.look();
        let look = SecondLook {
            written: &first.memory,
            seen: &seen,
            plan: &plan(&seen, &first.memory, world.now),
            asked: world.now,
            now: world.now,
        };
        let confirmed = confirm(&pending(permits.unwrap(), true).unwrap(), &look).unwrap();
        let alone = Leadership::new(None);
        let actor = Actor::new(&client, &node, &alone, &recorded);
        let late = actor.stop(&confirmed, ago(3)).await;
        assert_eq!(late.unwrap(), Outcome::Late);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        let stopped = actor.stop(&confirmed, Instant::now()).await;
        assert_eq!(stopped.unwrap(), Outcome::Done);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
