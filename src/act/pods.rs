//! Acts on pods.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};

use super::recorded::Recorded;
use crate::api::names::FIELD_MANAGER;
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
        let pod = build::pod(self.node, name, revision, content, place);
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
