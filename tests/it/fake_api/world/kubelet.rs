//! Kubelets and nodes, moved on in small steps.

use std::sync::Weak;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::node::{Lock, Phase, Process};
use super::{All, Inner, World, beside, passed};
use crate::fake_api::patch;
use crate::fake_api::store::seconds;

/// Between two steps while anything is under way.
const STEP: Duration = Duration::from_millis(5);
/// Milliseconds that a node needs from the lock to its own server: the operator sees the temporary
/// server before that, as it does with real nodes.
const BOOT: u64 = 150;
/// Milliseconds from SIGTERM to the end.
const SHUTDOWN: u64 = 30;
/// Milliseconds that a free lock waits for the next try of a waiting node.
const POLL: u64 = 10;
/// Milliseconds until a kubelet starts an ended container again.
const BACK_OFF: u64 = 20;

/// Moves the world on until nobody needs it any more.
pub(super) async fn run(world: Weak<Inner>) {
    let Some(mut changes) = world.upgrade().map(|inner| World(inner).changes()) else {
        return;
    };
    loop {
        let Some(inner) = world.upgrade() else { return };
        let busy = World(inner).with(All::step);
        if busy {
            tokio::time::sleep(STEP).await;
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

impl All {
    /// One step of everything. Says whether more will happen by itself.
    fn step(&mut self) -> bool {
        let mut busy = false;
        for (name, pod) in self.store.all("pods") {
            if matches!(
                pod["status"]["phase"].as_str(),
                Some("Failed" | "Succeeded")
            ) {
                continue;
            }
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            if is_check(&pod) && !pod["spec"]["nodeName"].is_null() {
                busy |= self.check(&name, &pod);
            } else if pod["spec"]["nodeName"].is_null() {
                busy |= self.place(&name);
            } else if !self
                .lost_machines
                .contains(pod["spec"]["nodeName"].as_str().unwrap())
            {
                if pod["metadata"]["deletionTimestamp"].is_string() {
                    busy |= self.stop(&name, &uid);
                } else if self.run_process(&name, &uid) {
                    busy = true;
                }
                self.report_ready(&name);
            }
        }
        busy |= self.hand_out_locks();
        busy
    }

    fn place(&mut self, name: &str) -> bool {
        if self.habits.no_room {
            return false;
        }
        self.placed += 1;
        let machine = format!("machine-{}", self.placed);
        let address = self.addresses.of(self.placed).to_string();
        self.store.change("pods", name, |pod| {
            pod["spec"]["nodeName"] = json!(machine);
            pod["status"]["podIP"] = json!(address);
            pod["status"]["podIPs"] = json!([{"ip": address}]);
        });
        true
    }

    /// A node checks its configuration, and ends.
    fn check(&mut self, name: &str, pod: &Value) -> bool {
        if pod["metadata"]["deletionTimestamp"].is_string() {
            self.store.remove("pods", name);
            return true;
        }
        let (code, state) = match &self.habits.refuses_configuration {
            Some(_) => (1, json!({"waiting": {"reason": "CrashLoopBackOff"}})),
            None => (0, json!({})),
        };
        let words = self.habits.refuses_configuration.clone();
        let ended = json!({"terminated": {
            "exitCode": code, "reason": "Error", "finishedAt": seconds(Timestamp::now()),
            "message": words.unwrap_or_else(|| "Valid configuration.".to_owned()),
        }});
        let known = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
        if known["exitCode"] == code {
            return false;
        }
        self.store.change("pods", name, |pod| {
            pod["status"]["phase"] = json!(if code == 0 { "Succeeded" } else { "Running" });
            pod["status"]["containerStatuses"] = json!([{
                "name": "node", "image": "chainlink", "imageID": "", "ready": false,
                "restartCount": code, "state": state, "lastState": ended,
            }]);
        });
        true
    }

    fn start_container(&mut self, name: &str, uid: &str) {
        self.containers += 1;
        let container = format!("containerd://{}", self.containers);
        let pod = self.store.get("pods", name).unwrap();
        let annotation = &pod["metadata"]["annotations"]["chainlink-operator.dev/version"];
        let version = self.habits.says_version.clone();
        let address = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
        let mut process = Process {
            container: container.clone(),
            machine: pod["spec"]["nodeName"].as_str().unwrap().to_owned(),
            address,
            version: version.unwrap_or_else(|| annotation.as_str().unwrap().to_owned()),
            database: self.database.clone(),
            phase: Phase::Starting,
            since: Instant::now(),
            log: Vec::new(),
            lost: false,
            exit: 0,
            port: self.habits.before(address),
        };
        process.start();
        let beside = beside::told(&pod, self.habits.sidecars);
        let again = self.processes.insert(uid.to_owned(), process).is_some();
        self.store.change("pods", name, |pod| {
            let last = pod["status"]["containerStatuses"][0]["lastState"].clone();
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"]
                .as_i64()
                .unwrap_or(0);
            pod["status"]["phase"] = json!("Running");
            if !again {
                pod["status"]["initContainerStatuses"] = beside;
            }
            pod["status"]["containerStatuses"] = json!([{
                "name": "node", "image": "chainlink", "imageID": "", "ready": true, "started": true,
                "containerID": container, "restartCount": restarts + i64::from(again),
                "state": {"running": {"startedAt": seconds(Timestamp::now())}}, "lastState": last,
            }]);
        });
    }

    /// Moves one node on.
    fn run_process(&mut self, name: &str, uid: &str) -> bool {
        let hangs = self.habits.hang_at_start;
        let Some(process) = self.processes.get_mut(uid) else {
            self.start_container(name, uid);
            return true;
        };
        match process.phase {
            Phase::Starting if hangs => false,
            Phase::Starting => {
                let lock = self
                    .locks
                    .entry(process.database.clone())
                    .or_insert_with(Lock::new);
                let database = &self.processes[uid].database;
                let first = self.habits.starters_win || !waited_for(&self.processes, database);
                if lock.holder.is_none() && first {
                    lock.holder = Some(uid.to_owned());
                    let habits = self.habits.clone();
                    self.processes.get_mut(uid).unwrap().take_lock(&habits);
                } else {
                    self.processes.get_mut(uid).unwrap().wait();
                }
                self.noise += 1;
                true
            }
            Phase::Booting => {
                if passed(process.since, self.habits.boot.unwrap_or(BOOT)) {
                    process.serve(&self.habits);
                    self.noise += 1;
                }
                true
            }
            Phase::Waiting | Phase::Active | Phase::Stopping => false,
            Phase::Ended => self.restart(name, uid),
        }
    }

    fn restart(&mut self, name: &str, uid: &str) -> bool {
        if !self.habits.leaves_lease {
            self.free_locks_of(uid);
        }
        let process = &self.processes[uid];
        let exit = process.exit;
        let since = process.since;
        let pod = self.store.get("pods", name).unwrap();
        if self.habits.ends_untold {
            return false;
        }
        if pod["status"]["containerStatuses"][0]["state"]["running"].is_object() {
            let container = process.container.clone();
            self.store
                .change("pods", name, |pod| terminated(pod, exit, &container));
        }
        if self.habits.no_restarts {
            return false;
        }
        if passed(since, BACK_OFF) {
            self.start_container(name, uid);
        }
        true
    }

    /// SIGTERM, a little time, the end.
    fn stop(&mut self, name: &str, uid: &str) -> bool {
        let Some(process) = self.processes.get_mut(uid) else {
            self.store.remove("pods", name);
            return true;
        };
        match process.phase {
            Phase::Stopping if !passed(process.since, SHUTDOWN) => {}
            Phase::Stopping | Phase::Ended => {
                self.processes.remove(uid);
                self.free_locks_of(uid);
                self.store.remove("pods", name);
            }
            _ => {
                process.go(Phase::Stopping);
                process.port = None;
            }
        }
        true
    }

    /// A free lock goes to the node that has waited longest, at its next try.
    fn hand_out_locks(&mut self) -> bool {
        let habits = self.habits.clone();
        if habits.starters_win {
            return false;
        }
        let mut busy = false;
        for (database, lock) in self
            .locks
            .iter_mut()
            .filter(|(_, lock)| lock.holder.is_none())
        {
            let heir = self
                .processes
                .iter_mut()
                .filter(|(_, process)| process.phase == Phase::Waiting && !process.lost)
                .filter(|(_, process)| process.database == *database)
                .min_by_key(|(_, process)| process.since);
            let Some((uid, process)) = heir else { continue };
            if passed(lock.free_since, POLL) {
                lock.holder = Some(uid.clone());
                process.take_lock(&habits);
                self.noise += 1;
            }
            busy = true;
        }
        busy
    }

    /// The kubelet's own Ready: the container runs, and the readiness gate is open.
    fn report_ready(&mut self, name: &str) {
        let Some(pod) = self.store.find("pods", name) else {
            return;
        };
        let none = vec![];
        let conditions = pod["status"]["conditions"].as_array().unwrap_or(&none);
        let gate = conditions.iter().any(|condition| {
            condition["type"] == "chainlink-operator.dev/ready" && condition["status"] == "True"
        });
        let runs = pod["status"]["containerStatuses"][0]["state"]["running"].is_object();
        let ready = gate && runs && beside::is_ready(&pod);
        if ready && self.habits.never_ready {
            return;
        }
        let ready = if ready { "True" } else { "False" };
        let said = conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == ready);
        if !said {
            let ready = json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
            self.store
                .change("pods", name, |pod| patch::strategic(pod, &ready));
        }
    }
}

/// A pod that only checks a configuration.
pub(super) fn is_check(pod: &Value) -> bool {
    pod["metadata"]["labels"]["chainlink-operator.dev/validation"].is_string()
}

fn waited_for(processes: &std::collections::BTreeMap<String, Process>, database: &str) -> bool {
    processes.values().any(|process| {
        process.phase == Phase::Waiting && !process.lost && process.database == database
    })
}

fn terminated(pod: &mut Value, exit: i32, container: &str) {
    let status = &mut pod["status"]["containerStatuses"][0];
    status["ready"] = json!(false);
    let finished = json!({"terminated": {
        "exitCode": exit, "reason": "Error", "finishedAt": seconds(Timestamp::now()),
        "containerID": container,
    }});
    status["state"] = finished.clone();
    status["lastState"] = finished;
}

impl World {
    /// The container that runs, or last ran, in the pod of this name.
    pub fn container(&self, pod: &str) -> Option<String> {
        self.with(|all| {
            let pod = all.store.find("pods", pod)?;
            let process = all.processes.get(pod["metadata"]["uid"].as_str()?)?;
            Some(process.container.clone())
        })
    }

    /// The log of a container from a line on, and whether it has ended. Nothing where it is gone.
    pub fn lines(&self, container: &str, from: usize) -> Option<(Vec<String>, bool)> {
        self.with(|all| {
            let process = all
                .processes
                .values()
                .find(|process| process.container == container)?;
            let ended = process.phase == Phase::Ended;
            Some((process.log[from.min(process.log.len())..].to_vec(), ended))
        })
    }

    /// Whether a log would be asked for in vain.
    pub fn log_is_silent(&self, pod: &str) -> bool {
        self.with(|all| {
            let pod = all.store.find("pods", pod);
            let lost = pod.is_some_and(|pod| {
                all.lost_machines
                    .contains(pod["spec"]["nodeName"].as_str().unwrap_or_default())
            });
            lost || all.habits.silent_logs
        })
    }
}
