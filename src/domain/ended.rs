//! Nodes whose end was seen: what is left of them is a lease, which may outlive the pod. Data only.

use jiff::Timestamp;

use super::pod::{Pod, PodId};
use super::revision::Revision;

/// So many ends are kept: a database has one lease, which is that of one of the last that held it.
const KEPT: usize = 16;

/// One start of a node, of which a look has shown that its kubelet saw the end (rule S10). The end of a container is for good:
/// it stays seen when the pod is gone, or has been started again and ended once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedNode {
    pub pod: PodId,
    pub revision: Option<Revision>,
    /// By this the database knows it: another start has another one.
    pub client: String,
    /// The look that showed the end first.
    pub seen: Timestamp,
    /// When its lease was given back for it.
    pub given_back: Option<Timestamp>,
}

/// The last ends that were seen, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedNodes(Vec<EndedNode>);

impl EndedNodes {
    /// Keeps the ends that a look at the pods shows.
    pub fn note(&mut self, pods: &[Pod], at: Timestamp) {
        for pod in pods {
            let Some(client) = &pod.ended_client else {
                continue;
            };
            if self.0.iter().any(|known| known.client == *client) {
                continue;
            }
            self.0.push(EndedNode {
                pod: pod.id.clone(),
                revision: pod.revision.clone(),
                client: client.clone(),
                seen: at,
                given_back: None,
            });
        }
        self.0.drain(..self.0.len().saturating_sub(KEPT));
    }

    /// The lease of the node with this id was given back for it.
    pub fn given_back(&mut self, client: &str, at: Timestamp) {
        let mut all = self.0.iter_mut();
        if let Some(ended) = all.find(|ended| ended.client == client) {
            ended.given_back = Some(at);
        }
    }

    pub fn all(&self) -> &[EndedNode] {
        &self.0
    }

    /// Whether the lease of a node that ended in this pod was given back for it at `since` or later.
    pub fn lease_given_back(&self, pod_uid: &str, since: Timestamp) -> bool {
        let mut all = self.0.iter().filter(|ended| ended.pod.uid == pod_uid);
        all.any(|ended| ended.given_back.is_some_and(|at| at >= since))
    }
}
