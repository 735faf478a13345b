//! Everything that is not the operator: the API server's store, kubelets, nodes, database locks. And
//! the record of what the operator did, judged by what was true at that moment.

mod beside;
mod judge;
mod kubelet;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fake_api::meddler::Call;
use crate::fake_api::port::Addresses;
use crate::fake_api::store::{Answer, Refusal, Store, refusal};
use crate::granted;

pub use beside::Sidecars;
pub use node::{Habits, Phase};
use node::{Lock, Process};

/// The database that all nodes sit on, unless a test changes the Secret.
pub const HOME: &str = "home";
/// The Secret in which the operators keep the key of digests.
pub const DIGEST_KEY: &str = "digest-key";
pub const NAME: &str = "mainnet";

/// Shared by the API server, the kubelets and the test.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    all: Mutex<All>,
    changes: watch::Sender<u64>,
}

/// All that is true at one moment.
pub struct All {
    pub store: Store,
    /// By the uid of the pod.
    processes: BTreeMap<String, Process>,
    locks: BTreeMap<String, Lock>,
    habits: Habits,
    /// What containers that start now find in the database Secret.
    pub database: String,
    lost_machines: BTreeSet<String>,
    addresses: Addresses,
    placed: u32,
    containers: u32,
    /// Grows with every line of a log and every change of a port.
    noise: u64,
    /// What pods and revisions are called here, in the order they were made.
    names: BTreeMap<String, String>,
    deeds: Vec<String>,
    wrongs: Vec<String>,
    /// The rights that were asked for.
    asked: BTreeSet<String>,
}

/// The version that a resource asks for, or that was applied in its place.
pub fn wanted_version(node: &Value) -> &Value {
    match &node["status"]["applied"]["version"] {
        Value::Null => &node["spec"]["version"],
        applied => applied,
    }
}

/// A ChainlinkNode of version 2.28.0 with two replicas.
pub fn two_replicas() -> Value {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "mainnet", "key": key}});
    json!({
        "replicas": 2,
        "version": "2.28.0",
        "database": {"url": secret("url")},
        "config": {"files": [{"name": "node.toml", "inline": "[Log]\nLevel = 'info'\n"}]},
        "credentials": {"keystorePassword": secret("keystore-password")},
        "handover": {"settle": "0s"},
    })
}

impl World {
    pub fn new(spec: &Value) -> Self {
        let mut all = All {
            store: Store::default(),
            processes: BTreeMap::new(),
            locks: BTreeMap::new(),
            habits: Habits::default(),
            database: HOME.to_owned(),
            lost_machines: BTreeSet::new(),
            addresses: Addresses::claim(),
            placed: 0,
            containers: 0,
            noise: 0,
            names: BTreeMap::new(),
            deeds: Vec::new(),
            wrongs: Vec::new(),
            asked: BTreeSet::new(),
        };
        let node = json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": NAME, "namespace": "default"}, "spec": spec,
        });
        all.store.create("chainlinknodes", node).unwrap();
        let inner = Inner {
            all: Mutex::new(all),
            changes: watch::Sender::new(0),
        };
        let world = Self(Arc::new(inner));
        tokio::spawn(kubelet::run(Arc::downgrade(&world.0)));
        world
    }

    /// Makes the Secret for the key of digests, as the chart does: empty.
    pub fn keep_a_digest_key(&self) {
        let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": DIGEST_KEY}});
        self.with(|all| all.store.create("secrets", key).unwrap());
    }

    /// Reads or changes everything at one moment.
    pub fn with<T>(&self, act: impl FnOnce(&mut All) -> T) -> T {
        let mut all = self.0.all.lock().unwrap();
        let before = (all.store.version(), all.noise);
        let out = act(&mut all);
        let changed = before != (all.store.version(), all.noise);
        drop(all);
        if changed {
            self.0.changes.send_modify(|count| *count += 1);
        }
        out
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Refuses a call for which the chart grants no right.
    pub fn grant(&self, rights: Vec<String>) -> Result<(), Refusal> {
        static GRANTED: LazyLock<BTreeSet<String>> = LazyLock::new(granted::all);
        for right in &rights {
            if !GRANTED.contains(right) {
                let message = format!("the operator's chart does not grant: {right}");
                self.with(|all| all.wrongs.push(message.clone()));
                return Err(refusal(403, "Forbidden", message));
            }
        }
        self.with(|all| all.asked.extend(rights));
        Ok(())
    }

    /// All rights that were asked for so far.
    pub fn asked(&self) -> BTreeSet<String> {
        self.with(|all| all.asked.clone())
    }

    /// Carries a call out, with the judge beside it.
    pub fn answer(&self, call: &Call, act: impl FnOnce(&mut Store) -> Answer) -> Answer {
        self.with(|all| {
            let victim = (call.is("delete", "pods"))
                .then(|| all.store.find("pods", &call.name))
                .flatten()
                .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
            let wrongs = victim
                .as_ref()
                .map(|pod| all.judge(pod))
                .unwrap_or_default();
            let existed = all.store.find(&call.kind, &call.name).is_some();
            let answer = act(&mut all.store);
            if let Ok(object) = &answer {
                all.wrongs.extend(wrongs);
                all.record(call, object, existed, victim.is_some());
            }
            answer
        })
    }

    /// Changes how nodes and machines behave from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Habits)) {
        self.with(|all| {
            change(&mut all.habits);
            all.noise += 1;
        });
    }

    /// Waits, for at most ten seconds, until something is true.
    pub async fn until(&self, what: &str, is: impl Fn(&mut All) -> bool) {
        let mut changes = self.changes();
        let wait = async {
            while !self.with(&is) {
                changes.changed().await.unwrap();
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(
            done.is_ok(),
            "it never came to this: {what}\n{}",
            self.describe()
        );
    }

    /// What a user does with `kubectl edit`.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        self.with(|all| {
            all.store
                .change("chainlinknodes", NAME, |node| change(&mut node["spec"]));
        });
    }

    pub fn upgrade(&self, version: &str) {
        self.edit(|spec| spec["version"] = json!(version));
    }

    /// The active has worked for long enough to be trusted.
    pub fn end_trial(&self) {
        self.with(|all| {
            all.store.change("chainlinknodes", NAME, |node| {
                let trial = &mut node["status"]["operator"]["trial"];
                trial["since"] = json!("2026-01-01T00:00:00Z");
            });
        });
    }

    /// All objects of these kinds belong to nobody any more.
    pub fn orphan(&self, kinds: &[&str]) {
        self.with(|all| {
            for kind in kinds {
                for name in all.store.all(kind).into_keys() {
                    all.store.change(kind, &name, |object| {
                        object["metadata"]["ownerReferences"] = json!([]);
                    });
                }
            }
        });
    }

    /// As Velero brings objects back, of these kinds and the resource: by name, with labels and annotations, and with what was
    /// asked for. Uids are others, owners are not named, and status is gone. Pods start anew.
    pub fn restore(&self, kinds: &[&str]) {
        self.with(|all| {
            for kind in kinds.iter().chain(&["chainlinknodes"]) {
                for (name, object) in all.store.all(kind) {
                    let mut object = (*object).clone();
                    let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
                    all.processes.remove(&uid);
                    all.free_locks_of(&uid);
                    all.store.remove(kind, &name);
                    object.as_object_mut().unwrap().remove("status");
                    let kept = ["name", "namespace", "labels", "annotations"];
                    let metadata = object["metadata"].as_object_mut().unwrap();
                    metadata.retain(|field, _| kept.contains(&field.as_str()));
                    if *kind == "pods" {
                        object["spec"]["nodeName"] = Value::Null;
                    }
                    all.store.create(kind, object).unwrap();
                }
            }
            all.noise += 1;
        });
    }

    pub fn node(&self) -> Value {
        self.with(|all| (*all.store.get("chainlinknodes", NAME).unwrap()).clone())
    }

    pub fn status(&self) -> Value {
        self.node()["status"].clone()
    }

    /// Pods made and stopped, revisions kept and forgotten: in order, by the names of [`All::called`].
    /// Checks of a configuration are no nodes: those are told by [`World::checks`].
    pub fn deeds(&self) -> Vec<String> {
        let mut deeds = self.with(|all| all.deeds.clone());
        deeds.retain(|deed| !deed.contains(" check "));
        deeds
    }

    /// Checks of a configuration that were made and removed.
    pub fn checks(&self) -> Vec<String> {
        let mut deeds = self.with(|all| all.deeds.clone());
        deeds.retain(|deed| deed.contains(" check "));
        deeds
    }

    /// Each pod with its role and version in the status, and whether the Service leads to it.
    pub fn roles(&self) -> Vec<String> {
        let status = self.status();
        let told = status["pods"].as_array().cloned().unwrap_or_default();
        let mut roles: Vec<String> = self.with(|all| {
            told.iter()
                .map(|told| {
                    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
                    let pod = all.store.find("pods", &text("name"));
                    let leads = pod.is_some_and(|pod| all.leads_to(&pod));
                    let leads = if leads { ", leads the Service" } else { "" };
                    let called = all.called(&text("name"));
                    format!("{called}: {} {}{leads}", text("role"), text("version"))
                })
                .collect()
        });
        roles.sort();
        roles
    }

    /// Where a rule was broken.
    pub fn wrongs(&self) -> Vec<String> {
        self.with(|all| all.wrongs.clone())
    }

    /// Everything that a person needs to understand a test that failed.
    pub fn describe(&self) -> String {
        let status = self.status();
        self.with(|all| {
            let pods: Vec<String> = all
                .store
                .all("pods")
                .values()
                .map(|pod| {
                    let uid = pod["metadata"]["uid"].as_str().unwrap();
                    let process = all.processes.get(uid).map(|process| format!("{process:?}"));
                    format!(
                        "{}: {process:?} {}",
                        all.called(pod["metadata"]["name"].as_str().unwrap()),
                        pod["status"]["conditions"]
                    )
                })
                .collect();
            format!(
                "deeds: {:#?}\nwrongs: {:#?}\npods: {pods:#?}\nstatus: {:#}",
                all.deeds, all.wrongs, status
            )
        })
    }
}

impl All {
    /// The name of the pod that is called so here (`pod 1`).
    pub fn name_of(&self, called: &str) -> String {
        let found = self.names.iter().find(|(_, short)| *short == called);
        found
            .unwrap_or_else(|| panic!("there was no {called}"))
            .0
            .clone()
    }

    /// What each pod and revision is called here.
    pub fn names(&self) -> &BTreeMap<String, String> {
        &self.names
    }

    /// What a pod or revision is called here.
    pub fn called(&self, name: &str) -> String {
        self.names
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }

    /// Whether the Service leads to a pod, or would once it is made.
    pub fn leads_to(&self, pod: &Value) -> bool {
        let made = self.store.find("services", NAME);
        let role = json!({"chainlink-operator.dev/role": "active"});
        let selector = made.map_or(role, |made| made["spec"]["selector"].clone());
        let labels = &pod["metadata"]["labels"];
        let mut selector = selector.as_object().into_iter().flatten();
        selector.all(|(key, value)| labels[key] == *value)
    }

    /// The pods that the Service leads to.
    pub fn led_to(&self) -> Vec<String> {
        let pods = self.store.all("pods");
        let led = pods.iter().filter(|(_, pod)| self.leads_to(pod));
        led.map(|(name, _)| self.called(name)).collect()
    }

    pub fn pod(&self, called: &str) -> Option<Arc<Value>> {
        self.store.find("pods", &self.name_of(called))
    }

    fn process_of(&mut self, called: &str) -> Option<&mut Process> {
        let pod = self.pod(called)?;
        self.processes
            .get_mut(pod["metadata"]["uid"].as_str().unwrap())
    }

    /// What the node in a pod does now.
    pub fn phase(&mut self, called: &str) -> Option<Phase> {
        self.process_of(called).map(|process| process.phase)
    }

    /// The same for a pod that may not have been made yet.
    pub fn phase_of(&mut self, called: &str) -> Option<Phase> {
        self.names
            .values()
            .any(|name| name == called)
            .then(|| self.phase(called))?
    }

    /// A machine whose kubelet is none of this world's.
    pub fn leave_alone(&mut self, machine: &str) {
        self.lost_machines.insert(machine.to_owned());
    }

    /// Who truly holds the lock of a database.
    pub fn holder(&self, database: &str) -> Option<String> {
        let uid = self.locks.get(database)?.holder.clone()?;
        let pods = self.store.all("pods");
        let pod = pods.values().find(|pod| pod["metadata"]["uid"] == uid)?;
        Some(self.called(pod["metadata"]["name"].as_str().unwrap()))
    }

    /// SIGKILL. The kubelet starts the container again.
    pub fn kill(&mut self, called: &str) {
        self.process_of(called).unwrap().end(137);
        self.noise += 1;
    }

    /// The id by which a database knows the node that runs in a pod.
    pub fn app_id(&mut self, called: &str) -> String {
        self.process_of(called).unwrap().app_id()
    }

    /// The lease of a database is nobody's any more: it has run out, or was given back.
    pub fn lease_is_free(&mut self, database: &str) {
        if let Some(lock) = self.locks.get_mut(database) {
            *lock = Lock::new();
        }
        self.noise += 1;
    }

    /// The way from a node to its database is cut: its lease runs out, and it works on as if it had it.
    pub fn cut_off(&mut self, called: &str) {
        let uid = self.pod(called).unwrap()["metadata"]["uid"].clone();
        self.process_of(called)
            .unwrap()
            .say_at("ERROR", "Error trying to refresh database lease");
        self.free_locks_of(uid.as_str().unwrap());
        self.noise += 1;
    }

    /// From now on something answers on every port in the nodes' place.
    pub fn put_before_ports(&mut self, front: u16) {
        self.habits.front = Some(front);
        for process in self.processes.values_mut() {
            process.port = None;
            process.port = self.habits.before(process.address);
        }
        self.noise += 1;
    }

    /// The machine of a pod loses its power, and its network with it.
    pub fn lose_machine(&mut self, called: &str) {
        let pod = self.pod(called).unwrap();
        let machine = pod["spec"]["nodeName"].as_str().unwrap().to_owned();
        self.lost_machines.insert(machine.clone());
        for process in self
            .processes
            .values_mut()
            .filter(|process| process.machine == machine)
        {
            process.lose();
        }
        self.noise += 1;
    }

    /// The kubelet marks a pod Failed: evicted, or its machine was shut down.
    pub fn fail_pod(&mut self, called: &str) {
        let name = self.name_of(called);
        let uid = self.pod(called).unwrap()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned();
        self.processes.remove(&uid);
        self.free_locks_of(&uid);
        self.store.change("pods", &name, |pod| {
            pod["status"]["phase"] = json!("Failed");
            pod["status"]["reason"] = json!("Evicted");
            let state = json!({"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": crate::fake_api::store::seconds(jiff::Timestamp::now())}});
            pod["status"]["containerStatuses"][0]["state"] = state;
        });
    }

    fn free_locks_of(&mut self, uid: &str) {
        for lock in self.locks.values_mut() {
            lock.free(uid);
        }
    }
}

/// A moment ago, for things that take a little time.
fn passed(since: Instant, millis: u64) -> bool {
    since.elapsed() >= Duration::from_millis(millis)
}
