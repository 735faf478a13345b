//! Who watches the containers: one task reads a container's log where that is needed, one tries its port.
//! What they find is kept here, by container, until the pod is gone; what must outlive the operator is
//! recorded in the pod itself.
//!
//! * `eyes` is what the tasks of one watch see with.
//! * `facts` is what is known of one container, and whether its log is needed.
//! * `health` is the question to a port, and its connection.
//! * `port` tries the port, and asks the kubelet where it is silent.
//! * `log` reads the log.

mod eyes;
mod facts;
mod health;
mod log;
mod port;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::api::ChainlinkNode;
use crate::mutex::lock;
use crate::observe::wake::Wake;

use eyes::{Eyes, Shared, Waker};

pub use eyes::{ContainerKey, Subject};
pub use facts::{Facts, FromBefore, Moment};

struct Watch {
    subject: Subject,
    eyes: Eyes,
    tasks: Vec<AbortHandle>,
    /// Since when its log is searched for a lost lease, and by which task.
    lease: Option<(Timestamp, AbortHandle)>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let lease = self.lease.iter().map(|(_, task)| task);
        for task in self.tasks.iter().chain(lease) {
            task.abort();
        }
    }
}

/// All watches of this operator.
pub struct Witnesses {
    client: kube::Client,
    wake: UnboundedSender<Wake>,
    watches: Mutex<HashMap<ContainerKey, Watch>>,
    shared: Mutex<HashMap<ObjectRef<ChainlinkNode>, Arc<Shared>>>,
}

impl Witnesses {
    pub fn new(client: kube::Client, wake: UnboundedSender<Wake>) -> Self {
        Self {
            client,
            wake,
            watches: Mutex::default(),
            shared: Mutex::default(),
        }
    }

    /// Watches exactly these containers of a resource: new ones are begun, others ended.
    pub fn watch(&self, node: &ObjectRef<ChainlinkNode>, subjects: Vec<Subject>) {
        let shared = self.shared(node);
        let mut watches = lock(&self.watches);
        watches.retain(|key, watch| {
            watch.subject.node != *node || subjects.iter().any(|subject| subject.key == *key)
        });
        for subject in subjects {
            let address_is_shared = subject.address_is_shared;
            let watch = watches
                .entry(subject.key.clone())
                .or_insert_with(|| self.begin(subject, &shared));
            let mut facts = lock(&watch.eyes.facts);
            let flag = &watch.eyes.address_is_shared;
            flag.store(address_is_shared, Ordering::SeqCst);
            if address_is_shared {
                facts.forget_port();
            }
        }
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, node: &ObjectRef<ChainlinkNode>) {
        self.watch(node, Vec::new());
        lock(&self.shared).remove(node);
    }

    /// What is known of a container.
    pub fn facts(&self, key: &ContainerKey) -> Facts {
        lock(&self.watches)
            .get(key)
            .map(|watch| lock(&watch.eyes.facts).clone())
            .unwrap_or_default()
    }

    /// Whether every container of a resource that is watched has answered at the last try of its port: who falls silent then
    /// wakes the resource.
    pub fn hear_all(&self, node: &ObjectRef<ChainlinkNode>) -> bool {
        let watches = lock(&self.watches);
        let mut of_node = watches.values().filter(|watch| watch.subject.node == *node);
        of_node.all(|watch| lock(&watch.eyes.facts).heard)
    }

    /// The database has shown who the container is that holds the lease.
    pub fn name(&self, key: &ContainerKey, client: &str) {
        if let Some(watch) = lock(&self.watches).get(key) {
            lock(&watch.eyes.facts).note_name(client);
        }
    }

    /// When a container took the lock: the time that was chosen first, however often it is written down.
    pub fn took_at(&self, key: &ContainerKey, now: Timestamp) -> Timestamp {
        lock(&self.watches).get(key).map_or(now, |watch| {
            *lock(&watch.eyes.facts).took_at.get_or_insert(now)
        })
    }

    /// Tries ports ten times as often, and reads logs again, while a handover or a loss is under way.
    pub fn set_alert(&self, node: &ObjectRef<ChainlinkNode>, on: bool) {
        let shared = self.shared(node);
        shared
            .alert
            .send_if_modified(|alert| std::mem::replace(alert, on) != on);
    }

    fn shared(&self, node: &ObjectRef<ChainlinkNode>) -> Arc<Shared> {
        let new = || {
            Arc::new(Shared {
                alert: watch::Sender::new(false),
                http: Mutex::default(),
            })
        };
        let mut all = lock(&self.shared);
        Arc::clone(all.entry(node.clone()).or_insert_with(new))
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Asks a container now, by its port and its kubelet (rule S5).
    pub async fn ask(&self, subject: &Subject) {
        let eyes = lock(&self.watches)
            .get(&subject.key)
            .map(|watch| watch.eyes.clone());
        let Some(eyes) = eyes else { return };
        port::ask(&self.pods(&subject.namespace), subject, &eyes).await;
    }

    /// Has the log of a container searched for a lease that it could not refresh at `since` or later; or no
    /// longer. What was found for another time is forgotten.
    pub fn look_for_lost_lease(&self, key: &ContainerKey, since: Option<Timestamp>) {
        let mut watches = lock(&self.watches);
        let Some(watch) = watches.get_mut(key) else {
            return;
        };
        if watch.lease.as_ref().map(|(since, _)| *since) == since {
            return;
        }
        if let Some((_, task)) = watch.lease.take() {
            task.abort();
        }
        lock(&watch.eyes.facts).lost_lease = None;
        watch.lease = since.map(|since| {
            let pods = self.pods(&watch.subject.namespace);
            let search =
                log::find_lost_lease(pods, watch.subject.clone(), watch.eyes.clone(), since);
            (since, tokio::spawn(search).abort_handle())
        });
    }

    fn begin(&self, subject: Subject, shared: &Arc<Shared>) -> Watch {
        let wake = Waker {
            wake: self.wake.clone(),
            node: subject.node.clone(),
        };
        let eyes = Eyes {
            facts: Arc::new(Mutex::new(Facts::begin(subject.recorded, Instant::now()))),
            shared: Arc::clone(shared),
            address_is_shared: Arc::new(AtomicBool::new(subject.address_is_shared)),
            wake,
        };
        let pods = self.pods(&subject.namespace);
        let port = port::watch(pods.clone(), subject.clone(), eyes.clone());
        let log = log::read(pods, subject.clone(), eyes.clone());
        let tasks = vec![
            tokio::spawn(port).abort_handle(),
            tokio::spawn(log).abort_handle(),
        ];
        Watch {
            subject,
            eyes,
            tasks,
            lease: None,
        }
    }
}
