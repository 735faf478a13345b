//! The machines of the cluster, where they may be read: which are being emptied, and which do not report.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;

use crate::api::ChainlinkNode;
use crate::cluster::Repeated;
use crate::domain::Machine;
use crate::mutex::lock;
use crate::observe::wake::Wake;

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

/// How long watches may fail before what is known of the machines counts no more.
const NOT_HEARD_OF: Duration = Duration::from_secs(60);

/// Between two looks whether they were listed.
const LISTING: Duration = Duration::from_millis(20);

/// What is known of the machines, kept up to date by [`Machines::watch`].
#[derive(Clone, Debug, Default)]
pub struct Machines {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// `None` until they were listed.
    machines: Option<BTreeMap<String, Machine>>,
    /// They may not be read, or have not been heard of for a while: what was known may be so no more.
    unknown: bool,
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
        known.machines.clone().filter(|_| !known.unknown)
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
    pub async fn watch(self, client: Client, wake: UnboundedSender<Wake>) {
        let nodes: Api<Node> = Api::all(client);
        let mut events = Box::pin(watcher(nodes, watcher::Config::default()).default_backoff());
        let mut listing = BTreeMap::new();
        let mut failing: Option<Instant> = None;
        let mut log = Repeated::default();
        while let Some(event) = events.next().await {
            let mut wait = Duration::ZERO;
            let changed = match event {
                Ok(watcher::Event::Init) => {
                    listing.clear();
                    false
                }
                Ok(watcher::Event::InitApply(node)) => {
                    listing.insert(node.name_any(), machine(&node));
                    false
                }
                Ok(watcher::Event::InitDone) => {
                    failing = None;
                    self.listed(std::mem::take(&mut listing))
                }
                Ok(watcher::Event::Apply(node)) => {
                    failing = None;
                    self.applied(node.name_any(), Some(machine(&node)))
                }
                Ok(watcher::Event::Delete(node)) => {
                    failing = None;
                    self.applied(node.name_any(), None)
                }
                Err(error) => {
                    let said = error.to_string();
                    if let Some(times) = log.again(&said, Instant::now()) {
                        tracing::warn!(
                            said,
                            times,
                            "machines can't be watched: they are maintained by switchover only"
                        );
                    }
                    let since = *failing.get_or_insert_with(Instant::now);
                    let forbidden = is_forbidden(&error);
                    let changed =
                        (forbidden || since.elapsed() >= NOT_HEARD_OF) && self.not_known();
                    if forbidden {
                        wait = NOT_ALLOWED;
                    }
                    changed
                }
            };
            if changed {
                let resources: Vec<_> = self.known().resources.iter().cloned().collect();
                for resource in resources {
                    // The receiver only goes away with the controllers.
                    let _ = wake.send(Wake::changed(resource));
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// What is known of them is worth nothing until they are heard of again. Whether that is new.
    fn not_known(&self) -> bool {
        let mut known = self.known();
        known.settled = true;
        !std::mem::replace(&mut known.unknown, true)
    }

    fn listed(&self, machines: BTreeMap<String, Machine>) -> bool {
        let mut known = self.known();
        let changed = known.machines.as_ref() != Some(&machines);
        known.machines = Some(machines);
        known.settled = true;
        std::mem::take(&mut known.unknown) || changed
    }

    /// A watch that goes on tells first what it has missed, so that what is known is whole again.
    fn applied(&self, name: String, machine: Option<Machine>) -> bool {
        let mut known = self.known();
        let again = std::mem::take(&mut known.unknown);
        let machines = known.machines.get_or_insert_default();
        let changed = match machine {
            Some(machine) => {
                let changed = machines.get(&name) != Some(&machine);
                machines.insert(name, machine);
                changed
            }
            None => machines.remove(&name).is_some(),
        };
        again || changed
    }
}

/// Whether it was the first list, or a watch that went well for long and is refused since.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.is_forbidden(),
        _ => false,
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

    fn forbidden() -> kube::Error {
        kube::Error::Api(
            kube::core::Status::failure("no", "Forbidden")
                .with_code(403)
                .boxed(),
        )
    }

    /// The right may be taken away while the operator runs: machines of that day would be left, or taken for alive, for ever.
    #[test]
    fn machines_that_may_be_watched_no_more_are_unknown_until_they_are_heard_of_again() {
        let refused = kube::core::Status::failure("no", "Forbidden").with_code(403);
        for error in [
            watcher::Error::InitialListFailed(forbidden()),
            watcher::Error::WatchStartFailed(forbidden()),
            watcher::Error::WatchError(refused.boxed()),
        ] {
            assert!(is_forbidden(&error), "{error}");
        }
        let machines = Machines::default();
        let resource = ObjectRef::new("cl");
        let calm = read(&json!({}), "True");
        machines.listed(BTreeMap::from([("m".to_owned(), calm.clone())]));
        assert!(machines.of(&resource).is_some());
        assert!(machines.not_known(), "it is told");
        assert_eq!(machines.of(&resource), None);
        assert!(!machines.not_known(), "once");
        assert!(machines.applied("n".to_owned(), Some(calm)), "and again");
        let names = machines.of(&resource).unwrap().into_keys();
        assert_eq!(names.collect::<Vec<_>>(), ["m", "n"]);
    }
}
