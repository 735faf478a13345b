//! Hollow machines: what a scheduler and a kubelet do for pods, without a container. Each pod has an address of its own on the
//! loopback network, and what runs in it is a task of this process ([`super::node`]).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chainlink_operator::api::names::{CONTAINER, NODE_LABEL, READY_CONDITION, ROLE_LABEL};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as Machine, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::database::Databases;
use super::kubelet::{Logs, Served, serve};
use super::lock::{Held, Lock};
use super::node::{Log, Node, Order};
use super::seen::Seen;
use super::told::{condition, entry, running, succeeded, unpulled};

/// Requests of all machines at a time.
const AT_A_TIME: usize = 32;
/// How often what the API server does not do is tried again, and the pause between: a busy one refuses or is late, and a kubelet
/// goes on.
const TRIES: u32 = 60;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
/// What a tag ends with that can't be pulled.
pub const NOT_THERE: &str = ".404";
/// The first pause between two pulls, and the longest (`imageBackOff` of a kubelet).
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

/// A pod that a machine has started.
struct Started {
    machine: String,
    order: watch::Sender<Order>,
    life: Option<JoinHandle<()>>,
    ready: bool,
}

impl Started {
    /// It is not there any more, whatever it was at.
    fn end(self) {
        if let Some(life) = self.life {
            life.abort();
        }
    }
}

/// All machines.
#[derive(Clone)]
pub struct Hollow {
    client: Client,
    logs: Logs,
    /// What was seen of the resources.
    pub seen: Seen,
    databases: Option<Arc<Databases>>,
    writes: Arc<Semaphore>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// By their uids.
    pods: HashMap<String, Started>,
    /// Where pods without a machine were put, by their uids.
    bound: HashMap<String, (String, String)>,
    machines: HashMap<String, watch::Sender<bool>>,
    locks: HashMap<String, Arc<Lock>>,
    addresses: u32,
    /// What watches the pods and serves their logs.
    tasks: Vec<AbortHandle>,
}

fn uid(pod: &Pod) -> String {
    pod.uid().unwrap_or_default()
}

/// `NAMESPACE/NAME` of the resource whose node a pod is.
fn resource(pod: &Pod) -> Option<String> {
    let name = pod.labels().get(NODE_LABEL)?;
    Some(format!("{}/{name}", pod.namespace()?))
}

/// Whether it is left to the usual scheduler.
fn is_to_be_placed(pod: &Pod) -> bool {
    let scheduler = pod.spec.as_ref();
    let scheduler = scheduler.and_then(|spec| spec.scheduler_name.as_deref());
    scheduler.is_none_or(|name| name == "default-scheduler")
}

fn version(pod: &Pod) -> String {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let image = containers.into_iter().find(|one| one.name == CONTAINER);
    let image = image.and_then(|one| one.image.as_deref());
    let tag = image.and_then(|image| image.rsplit_once(':'));
    tag.map_or(String::new(), |(_, tag)| tag.to_owned())
}

impl Hollow {
    /// Makes machines, and begins to run what is bound to them.
    pub async fn start(
        client: Client,
        machines: usize,
        tls: (&Path, &Path),
        databases: Option<Arc<Databases>>,
    ) -> Result<Self> {
        let logs = Logs::default();
        let (port, serving) = serve(logs.clone(), tls.0, tls.1).await?;
        let hollow = Self {
            client,
            logs,
            seen: Seen::default(),
            databases,
            writes: Arc::new(Semaphore::new(AT_A_TIME)),
            known: Arc::default(),
        };
        for number in 0..machines {
            hollow.machine(&format!("machine-{number}"), port).await?;
        }
        let watching = tokio::spawn(hollow.clone().watch()).abort_handle();
        let mut known = hollow.known.lock().await;
        known.tasks = vec![serving, watching];
        drop(known);
        Ok(hollow)
    }

    /// Ends all that runs, so that its addresses are free.
    pub async fn end(&self) {
        let mut known = self.known.lock().await;
        for task in &known.tasks {
            task.abort();
        }
        for (_, pod) in known.pods.drain() {
            pod.end();
        }
    }

    async fn machine(&self, name: &str, port: u16) -> Result<()> {
        let machines: Api<Machine> = Api::all(self.client.clone());
        let machine = json!({"apiVersion": "v1", "kind": "Node", "metadata": {
            "name": name, "labels": {"kubernetes.io/hostname": name},
        }});
        machines
            .create(&PostParams::default(), &serde_json::from_value(machine)?)
            .await?;
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
                "lastHeartbeatTime": Timestamp::now(), "lastTransitionTime": Timestamp::now(),
            }],
        }});
        machines
            .patch_status(name, &PatchParams::default(), &Patch::Strategic(status))
            .await?;
        let mut known = self.known.lock().await;
        known
            .machines
            .insert(name.to_owned(), watch::Sender::new(false));
        Ok(())
    }

    /// A machine is lost: its pods are not seen any more, and it tells nothing.
    pub async fn lose(&self, machine: &str) -> Result<()> {
        let known = self.known.lock().await;
        let lost = known.machines.get(machine).context("no such machine")?;
        lost.send_replace(true);
        for pod in known.pods.values().filter(|pod| pod.machine == machine) {
            pod.order.send_replace(Order::Vanish);
        }
        Ok(())
    }

    /// A machine that was lost is gone for good: its Node is removed, and its pods with it, as the garbage collector of pods does.
    pub async fn discard(&self, machine: &str) -> Result<()> {
        let machines: Api<Machine> = Api::all(self.client.clone());
        machines.delete(machine, &DeleteParams::default()).await?;
        let pods: Api<Pod> = Api::all(self.client.clone());
        let on_it = ListParams::default().fields(&format!("spec.nodeName={machine}"));
        for pod in pods.list(&on_it).await? {
            self.remove(&pod).await?;
        }
        Ok(())
    }

    /// The machine that a pod is on.
    pub async fn machine_of(&self, pod: &str) -> Option<String> {
        let known = self.known.lock().await;
        let bound = known.bound.values().find(|(name, _)| name == pod);
        bound.map(|(_, machine)| machine.clone())
    }

    async fn watch(self) {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let mut events = Box::pin(watcher(pods, watcher::Config::default()));
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                    self.changed(pod).await;
                }
                Ok(watcher::Event::Delete(pod)) => self.gone(&pod).await,
                Ok(_) => {}
                Err(error) => eprintln!("the pods can't be watched: {error}"),
            }
        }
    }

    async fn changed(&self, pod: Pod) {
        let resource = resource(&pod);
        if let Some(resource) = &resource
            && pod.labels().get(ROLE_LABEL).map(String::as_str) == Some("active")
        {
            self.seen.labelled(resource, &pod.name_any());
        }
        let mut known = self.known.lock().await;
        let machine = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let Some(machine) = machine else {
            if pod.metadata.deletion_timestamp.is_none()
                && is_to_be_placed(&pod)
                && let Some(machine) = known.place(&pod)
            {
                let (hollow, what) = (self.clone(), format!("bind {}", pod.name_any()));
                tokio::spawn(async move { told(&what, hollow.bind(&pod, &machine).await) });
            }
            return;
        };
        if known.is_lost(&machine) {
            return;
        }
        let uid = uid(&pod);
        if pod.metadata.deletion_timestamp.is_some() {
            if let Some(resource) = &resource {
                self.seen.stopped(resource, &pod.name_any());
            }
            let life = known.pods.get_mut(&uid).map(|started| {
                started.order.send_replace(Order::Stop);
                started.life.take()
            });
            if life.as_ref().is_some_and(Option::is_none) {
                return;
            }
            let (hollow, what) = (self.clone(), format!("remove {}", pod.name_any()));
            tokio::spawn(async move {
                if let Some(Some(life)) = life {
                    // It ends by itself, or this process does.
                    let _ = life.await;
                }
                told(&what, hollow.remove(&pod).await);
            });
        } else if let Some(started) = known.pods.get_mut(&uid) {
            let gate = condition(&pod, READY_CONDITION);
            if gate != started.ready && resource.is_some() {
                started.ready = gate;
                let (hollow, what) = (self.clone(), format!("tell of {}", pod.name_any()));
                tokio::spawn(async move {
                    let conditions = [entry("Ready", gate)];
                    let status = json!({"conditions": conditions});
                    told(&what, hollow.write(&pod, status).await);
                });
            }
        } else {
            self.begin(&mut known, pod, machine);
        }
    }

    /// Starts what a pod is made for.
    fn begin(&self, known: &mut Known, pod: Pod, machine: String) {
        let order = watch::Sender::new(Order::Run);
        let hollow = self.clone();
        let what = format!("run {}", pod.name_any());
        let (id, orders) = (uid(&pod), order.subscribe());
        let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        let log = watch::Sender::new(Log::default());
        if let Some(lost) = known.machines.get(&machine) {
            let served = Served {
                log: log.subscribe(),
                silent: lost.subscribe(),
            };
            self.logs.keep(&key, served);
        }
        known
            .bound
            .insert(id.clone(), (pod.name_any(), machine.clone()));
        known.addresses += 1;
        let address = IpAddr::V4(Ipv4Addr::from(0x7f64_0000 + known.addresses));
        let life = match resource(&pod) {
            Some(_) if version(&pod).ends_with(NOT_THERE) => {
                tokio::spawn(async move { told(&what, hollow.pull(&pod, address, orders).await) })
            }
            Some(resource) => {
                let databases = self.databases.as_ref();
                let lease = databases.and_then(|all| all.lease(&resource, address, &version(&pod)));
                let lock = if let Some(lease) = lease {
                    Held::Real(Box::new(lease))
                } else {
                    let lock = known.locks.entry(resource.clone()).or_default();
                    Held::Scripted(Arc::clone(lock))
                };
                let node = Node {
                    resource,
                    pod: pod.name_any(),
                    container: id.clone(),
                    version: version(&pod),
                    address,
                    lock,
                    log,
                    seen: self.seen.clone(),
                };
                tokio::spawn(async move {
                    let status = running(&pod, address);
                    told(&what, hollow.write(&pod, status).await);
                    node.run(orders).await;
                })
            }
            // A short pod: what it looks at is as it should be.
            None => tokio::spawn(async move {
                log.send_modify(|log| {
                    let line = "Valid configuration.".to_owned();
                    log.lines.push((Timestamp::now(), line));
                    log.ended = true;
                });
                told(&what, hollow.write(&pod, succeeded(&pod, address)).await);
            }),
        };
        let started = Started {
            machine,
            order,
            life: Some(life),
            ready: false,
        };
        known.pods.insert(id, started);
    }

    /// An image that is nowhere is pulled again and again.
    async fn pull(
        &self,
        pod: &Pod,
        address: IpAddr,
        mut order: watch::Receiver<Order>,
    ) -> Result<()> {
        let mut pause = BACK_OFF;
        loop {
            for reason in ["ErrImagePull", "ImagePullBackOff"] {
                self.write(pod, unpulled(pod, address, reason)).await?;
            }
            let stopped = order.wait_for(|order| *order != Order::Run);
            if tokio::time::timeout(pause, stopped).await.is_ok() {
                return Ok(());
            }
            pause = (pause * 2).min(LONGEST_BACK_OFF);
        }
    }

    async fn gone(&self, pod: &Pod) {
        let mut known = self.known.lock().await;
        let id = uid(pod);
        if let Some(started) = known.pods.remove(&id) {
            started.end();
        }
        known.bound.remove(&id);
        let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        self.logs.forget(&key);
    }

    fn pods(&self, pod: &Pod) -> Api<Pod> {
        let namespace = pod.namespace().unwrap_or_default();
        Api::namespaced(self.client.clone(), &namespace)
    }

    async fn bind(&self, pod: &Pod, machine: &str) -> Result<()> {
        again(|| self.bind_once(pod, machine).boxed()).await
    }

    async fn bind_once(&self, pod: &Pod, machine: &str) -> Result<()> {
        let _turn = self.writes.acquire().await?;
        let name = pod.name_any();
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": machine},
        });
        let path = format!(
            "/api/v1/namespaces/{}/pods/{name}/binding",
            pod.namespace().unwrap_or_default()
        );
        let request = http::Request::post(path)
            .header("Content-Type", "application/json")
            .body(serde_json::to_vec(&binding)?)?;
        // It was bound by the try before, whose answer did not come.
        left_or(self.client.request::<Value>(request).await)
    }

    async fn write(&self, pod: &Pod, status: Value) -> Result<()> {
        again(|| self.write_once(pod, &status).boxed()).await
    }

    async fn write_once(&self, pod: &Pod, status: &Value) -> Result<()> {
        let _turn = self.writes.acquire().await?;
        let patch = json!({"metadata": {"uid": uid(pod)}, "status": status});
        let name = pod.name_any();
        let patched = self
            .pods(pod)
            .patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch))
            .await;
        left_or(patched)
    }

    async fn remove(&self, pod: &Pod) -> Result<()> {
        again(|| self.remove_once(pod).boxed()).await
    }

    async fn remove_once(&self, pod: &Pod) -> Result<()> {
        let _turn = self.writes.acquire().await?;
        let now = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(uid(pod)),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        left_or(self.pods(pod).delete(&pod.name_any(), &now).await)
    }
}

impl Known {
    fn is_lost(&self, machine: &str) -> bool {
        self.machines
            .get(machine)
            .is_some_and(|lost| *lost.borrow())
    }

    /// Chooses a machine for a pod, once: one that has none of the same resource where there is one, and the fewest.
    fn place(&mut self, pod: &Pod) -> Option<String> {
        let id = uid(pod);
        if self.bound.contains_key(&id) {
            return None;
        }
        // A pod is called after its resource.
        let of = pod.labels().get(NODE_LABEL).cloned().unwrap_or_default();
        let mut load: HashMap<&str, (usize, usize)> = HashMap::new();
        for (name, machine) in self.bound.values() {
            let one = load.entry(machine).or_default();
            let same = !of.is_empty() && name.starts_with(&format!("{of}-"));
            one.0 += usize::from(same);
            one.1 += 1;
        }
        let free = self.machines.keys().filter(|name| !self.is_lost(name));
        let machine = free.min_by_key(|name| load.get(name.as_str()).copied().unwrap_or_default());
        let machine = machine?.clone();
        self.bound.insert(id, (pod.name_any(), machine.clone()));
        Some(machine)
    }
}

async fn again<'a>(act: impl Fn() -> BoxFuture<'a, Result<()>>) -> Result<()> {
    let mut tries = 0;
    loop {
        let outcome = act().await;
        tries += 1;
        if outcome.is_ok() || tries > TRIES {
            return outcome;
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// A pod that is another by now, or none, is left alone.
fn left_or<T>(outcome: kube::Result<T>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

fn told(what: &str, outcome: Result<()>) {
    if let Err(error) = outcome {
        eprintln!("a hollow machine could not {what}: {error:#}");
    }
}
