//! What an operator does when it begins to lead, and when it ceases to. One that waits for its turn watches what the leader
//! watches and does nothing: all that a handover needs stands in the resources.

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use serde_json::json;

use super::context::Context;
use super::error::{Doing, Error};
use crate::api::ChainlinkNode;
use crate::api::names::LEADER_ANNOTATION;
use crate::mutex::lock;
use crate::plan::Step;

impl Context {
    /// Everything is looked at, as after a start. A lock that moves already has its turn, whoever began to move it.
    pub(super) fn takes_over(&self) {
        self.metrics.leads(true);
        let stores = lock(&self.stores);
        let nodes: Vec<_> = stores.iter().flat_map(Store::state).collect();
        drop(stores);
        tracing::info!(resources = nodes.len(), "this operator leads from now on");
        for node in nodes.iter().filter(|node| may_move(node)) {
            self.slots.note(&node.uid().unwrap_or_default());
        }
        self.call(nodes.iter().map(|node| ObjectRef::from_obj(node.as_ref())));
    }

    /// What it knows of the resources grows old, and would be told beside what the next leader tells.
    pub(super) fn steps_back(&self) {
        tracing::warn!("this operator does not lead any more, and does nothing");
        self.metrics.leads(false);
        self.forget_all_but(None, &[]);
    }

    /// Makes void what a leader before this one may have sent, and what is still under way: a delete names the version
    /// of its pod, and that is another one from now on. Once a term for each resource, before it is looked at.
    pub(super) async fn fence(
        &self,
        node: &ChainlinkNode,
        reference: &ObjectRef<ChainlinkNode>,
    ) -> Result<(), Error> {
        let term = self.leadership.term();
        if self.know(reference, |known| known.fenced) == term {
            return Ok(());
        }
        let stopping = node
            .status
            .as_ref()
            .and_then(|status| status.operator.stopping.as_ref());
        if let Some(stop) = stopping {
            let namespace = node.namespace().unwrap_or_default();
            let pods: Api<k8s_openapi::api::core::v1::Pod> =
                Api::namespaced(self.client.clone(), &namespace);
            let patch = json!({"metadata": {
                "uid": stop.uid,
                "annotations": {LEADER_ANNOTATION: self.leadership.name()},
            }});
            let patched = pods
                .patch(&stop.pod, &PatchParams::default(), &Patch::Merge(patch))
                .await;
            match patched {
                // It is gone, or another one has its name.
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
                patched => drop(patched.doing("making an earlier stop void")?),
            }
        }
        self.know(reference, |known| known.fenced = term);
        Ok(())
    }
}

/// Whether the lock of a resource moves, as far as its status tells.
fn may_move(node: &ChainlinkNode) -> bool {
    let Some(status) = &node.status else {
        return false;
    };
    let step = status
        .handover
        .as_ref()
        .map(|handover| handover.step.as_str());
    status.operator.stop_of_active().is_some() || step == Some(Step::Booting.as_str())
}
