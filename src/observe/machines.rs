//! The machines of the cluster, where they may be read: which are being emptied, and which do not report.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;

use crate::api::ChainlinkNode;
use crate::domain::Machine;
use crate::mutex::lock;

/// Taints by which those that are about to remove a machine say so, beside the cordon.
const DRAIN_TAINTS: [&str; 5] = [
    // Cluster autoscaler: the machine is being removed.
    "ToBeDeletedByClusterAutoscaler",
    // Karpenter 1.0 and newer, and before.
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "cloud.google.com/impending-node-termination",
    "node.kubernetes.io/out-of-service",
];
/// Taints of the AWS node termination handler begin so.
const AWS_TERMINATION: &str = "aws-node-termination-handler/";
/// Between two tries to watch where that is not allowed.
const NOT_ALLOWED: Duration = Duration::from_secs(60);

/// Between two looks whether they were listed.
const LISTING: Duration = Duration::from_millis(20);

/// What is known of the machines, kept up to date by [`Machines::watch`].
#[derive(Clone, Debug, Default)]
pub struct Machines {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// `None` until they were listed, and where they may not be.
    machines: Option<BTreeMap<String, Machine>>,
    /// Whether it is known which machines there are, or that they may not be read.
    settled: bool,
    /// Who wants to hear of changes.
    resources: HashSet<ObjectRef<ChainlinkNode>>,
}

impl Machines {
    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Every machine by name, if they may be read; `resource` hears of changes from now on.
    pub fn of(&self, resource: &ObjectRef<ChainlinkNode>) -> Option<BTreeMap<String, Machine>> {
        let mut known = self.known();
        known.resources.insert(resource.clone());
        known.machines.clone()
    }

    /// Waits until it is known which machines there are, or that they may not be read: what is said of them
    /// before would be taken back a moment later.
    pub async fn settled(&self) {
        while !self.known().settled {
            tokio::time::sleep(LISTING).await;
        }
    }

    /// A resource is gone.
    pub fn forget(&self, resource: &ObjectRef<ChainlinkNode>) {
        self.known().resources.remove(resource);
    }

    /// Watches the machines until the process ends, and wakes the resources when something about them
    /// changes that matters.
    pub async fn watch(self, client: Client, wake: UnboundedSender<ObjectRef<ChainlinkNode>>) {
        let nodes: Api<Node> = Api::all(client);
        let mut events = Box::pin(watcher(nodes, watcher::Config::default()).default_backoff());
        let mut listing = BTreeMap::new();
        while let Some(event) = events.next().await {
            let changed = match event {
                Ok(watcher::Event::Init) => {
                    listing.clear();
                    false
                }
                Ok(watcher::Event::InitApply(node)) => {
                    listing.insert(node.name_any(), machine(&node));
                    false
                }
                Ok(watcher::Event::InitDone) => self.listed(std::mem::take(&mut listing)),
                Ok(watcher::Event::Apply(node)) => {
                    self.applied(node.name_any(), Some(machine(&node)))
                }
                Ok(watcher::Event::Delete(node)) => self.applied(node.name_any(), None),
                Err(error) => {
                    tracing::warn!(%error, "machines can't be watched: they are maintained by switchover only");
                    if matches!(&error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.is_forbidden())
                    {
                        self.not_allowed();
                        tokio::time::sleep(NOT_ALLOWED).await;
                    }
                    false
                }
            };
            if changed {
                let resources: Vec<_> = self.known().resources.iter().cloned().collect();
                for resource in resources {
                    // The receiver only goes away with the controllers.
                    let _ = wake.send(resource);
                }
            }
        }
    }

    fn not_allowed(&self) {
        let mut known = self.known();
        known.machines = None;
        known.settled = true;
    }

    fn listed(&self, machines: BTreeMap<String, Machine>) -> bool {
        let mut known = self.known();
        let changed = known.machines.as_ref() != Some(&machines);
        known.machines = Some(machines);
        known.settled = true;
        changed
    }

    fn applied(&self, name: String, machine: Option<Machine>) -> bool {
        let mut known = self.known();
        let machines = known.machines.get_or_insert_default();
        match machine {
            Some(machine) => {
                let changed = machines.get(&name) != Some(&machine);
                machines.insert(name, machine);
                changed
            }
            None => machines.remove(&name).is_some(),
        }
    }
}

fn machine(node: &Node) -> Machine {
    Machine {
        labels: node.labels().clone(),
        emptying: node.spec.as_ref().and_then(emptying),
        ready: node.status.as_ref().is_some_and(is_ready),
    }
}

fn emptying(spec: &NodeSpec) -> Option<String> {
    if spec.unschedulable == Some(true) {
        return Some("cordoned".to_owned());
    }
    let drains = |taint: &&Taint| {
        DRAIN_TAINTS.contains(&taint.key.as_str()) || taint.key.starts_with(AWS_TERMINATION)
    };
    let taint = spec.taints.iter().flatten().find(drains)?;
    Some(format!("tainted {}", taint.key))
}

fn is_ready(status: &NodeStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: &serde_json::Value, ready: &str) -> Machine {
        let node = json!({
            "metadata": {"name": "m", "labels": {"zone": "a"}},
            "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        });
        machine(&serde_json::from_value(node).unwrap())
    }

    #[test]
    fn a_cordon_and_the_usual_taints_empty_a_machine() {
        let taint = |key: &str| json!({"taints": [{"key": key, "effect": "NoSchedule"}]});
        for (spec, emptying) in [
            (json!({}), None),
            (json!({"unschedulable": true}), Some("cordoned")),
            (taint("dedicated"), None),
            (taint("DeletionCandidateOfClusterAutoscaler"), None),
            (
                taint("ToBeDeletedByClusterAutoscaler"),
                Some("tainted ToBeDeletedByClusterAutoscaler"),
            ),
            (
                taint("karpenter.sh/disrupted"),
                Some("tainted karpenter.sh/disrupted"),
            ),
            (
                taint("aws-node-termination-handler/spot-itn"),
                Some("tainted aws-node-termination-handler/spot-itn"),
            ),
        ] {
            assert_eq!(read(&spec, "True").emptying.as_deref(), emptying, "{spec}");
        }
    }

    #[test]
    fn a_machine_whose_kubelet_is_silent_is_not_ready() {
        assert!(read(&json!({}), "True").ready);
        assert!(!read(&json!({}), "Unknown").ready);
    }

    #[tokio::test]
    async fn they_are_settled_once_they_were_listed() {
        let machines = Machines::default();
        let soon = Duration::from_millis(100);
        assert!(
            tokio::time::timeout(soon, machines.settled())
                .await
                .is_err()
        );
        machines.listed(BTreeMap::new());
        machines.settled().await;
    }

    #[test]
    fn only_what_matters_wakes_the_resources() {
        let machines = Machines::default();
        let calm = read(&json!({}), "True");
        assert!(machines.listed(BTreeMap::from([("m".to_owned(), calm.clone())])));
        assert!(!machines.applied("m".to_owned(), Some(calm)));
        let cordoned = read(&json!({"unschedulable": true}), "True");
        assert!(machines.applied("m".to_owned(), Some(cordoned)));
        assert!(machines.applied("m".to_owned(), None));
        assert!(!machines.applied("m".to_owned(), None));
    }
}
