//! Role labels and readiness gates: whom the Service leads to, and who is ready.
//!
//! They carry no intent, so nothing has to be written before them: whether they stand is seen at the next look, and what
//! an overtaken plan has set is set right by it. The Service follows the lock whatever else the API server refuses.

use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::pods::{Outcome, overtaken};
use crate::api::ChainlinkNode;
use crate::api::names::{
    POD_LABEL, READY_CONDITION, ROLE_ACTIVE, ROLE_LABEL, ROLE_STANDBY, pod_label,
};
use crate::domain::{Pod, PodId};
use crate::leader::Leadership;

/// Sets the roles of the pods of one resource.
pub struct RoleKeeper<'a> {
    node: String,
    pods: Api<ApiPod>,
    leadership: &'a Leadership,
}

impl<'a> RoleKeeper<'a> {
    pub fn new(client: &Client, node: &ChainlinkNode, leadership: &'a Leadership) -> Self {
        let namespace = node.namespace().unwrap_or_default();
        Self {
            node: node.name_any(),
            pods: Api::namespaced(client.clone(), &namespace),
            leadership,
        }
    }

    /// Moves the role label.
    pub async fn label(&self, pod: &Pod, active: bool) -> Result<Outcome, kube::Error> {
        let role = if active { ROLE_ACTIVE } else { ROLE_STANDBY };
        let patch = json!({"metadata": {
            "uid": pod.id.uid,
            "resourceVersion": pod.resource_version,
            // One that an earlier operator has made has none.
            "labels": {ROLE_LABEL: role, POD_LABEL: pod_label(&self.node, &pod.id.name)},
        }});
        if !self.leadership.leads() {
            return Ok(Outcome::Late);
        }
        let patched = self
            .pods
            .patch(&pod.id.name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        match patched {
            // Its label went with it.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Outcome::Done),
            patched => overtaken(patched.map(drop)),
        }
    }

    /// Sets the readiness gate. It is the operator's alone, so the uid is precondition enough.
    pub async fn gate(&self, pod: &PodId, ready: bool) -> Result<Outcome, kube::Error> {
        let patch = json!({
            "metadata": {"uid": pod.uid},
            "status": {"conditions": [{
                "type": READY_CONDITION,
                "status": if ready { "True" } else { "False" },
                "reason": if ready { "ActiveOrWaiting" } else { "NeitherActiveNorWaiting" },
            }]},
        });
        if !self.leadership.leads() {
            return Ok(Outcome::Late);
        }
        let patched = self
            .pods
            .patch_status(&pod.name, &PatchParams::default(), &Patch::Strategic(patch))
            .await;
        overtaken(patched.map(drop))
    }
}
