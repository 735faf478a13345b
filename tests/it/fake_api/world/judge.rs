//! Each accepted deletion of a pod, held against what was true at that moment; and the record of what
//! was made and removed.

use serde_json::Value;

use super::beside;
use super::kubelet::is_check;
use super::node::{Phase, Process};
use super::{All, HOME, NAME, wanted_version};
use crate::fake_api::meddler::Call;

impl All {
    /// What is wrong with stopping this pod now.
    pub(super) fn judge(&mut self, victim: &Value) -> Vec<String> {
        let name = self.called(victim["metadata"]["name"].as_str().unwrap());
        let mut wrongs = Vec::new();
        let node = self.store.get("chainlinknodes", NAME).unwrap();
        let (spec, wanted) = (node["spec"].clone(), wanted_version(&node).clone());
        for other in self.store.all("pods").values() {
            let going = other["metadata"]["deletionTimestamp"].is_string();
            let alive = self.process(other).is_some_and(Process::is_alive);
            if going && alive && self.process(victim).is_some_and(Process::is_alive) {
                let other = self.called(other["metadata"]["name"].as_str().unwrap());
                wrongs.push(format!("S2: {name} was stopped while {other} was stopping"));
            }
        }
        let holds = self.holder(HOME).is_some_and(|holder| holder == name);
        if holds && spec["replicas"] != 0 {
            let (fit, rivals): (Vec<_>, Vec<_>) = self
                .store
                .all("pods")
                .into_values()
                .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
                .filter(|pod| {
                    self.process(pod).is_some_and(|process| {
                        process.phase == Phase::Waiting
                            && process.database == HOME
                            && process.is_alive()
                    })
                })
                .partition(|pod| process_version(pod) == wanted);
            if fit.is_empty() {
                wrongs.push(format!("S1: {name} held the lock and nobody waited for it"));
            } else if !fit.iter().any(|pod| beside::is_ready(pod)) {
                wrongs.push(format!(
                    "S1: {name} held the lock, and whoever waited for it lacked a sidecar"
                ));
            }
            for rival in rivals {
                let rival = self.called(rival["metadata"]["name"].as_str().unwrap());
                wrongs.push(format!(
                    "S1: {name} was stopped, and {rival} could win the lock"
                ));
            }
        }
        wrongs
    }

    fn process(&self, pod: &Value) -> Option<&Process> {
        self.processes.get(pod["metadata"]["uid"].as_str()?)
    }

    /// Writes down what an accepted call made or removed.
    pub(super) fn record(&mut self, call: &Call, object: &Value, existed: bool, stopped: bool) {
        // When budgets are looked at is a matter of time: what becomes of them is told by a test of their own.
        let told_elsewhere = ["new-events", "poddisruptionbudgets"].contains(&call.kind.as_str());
        if call.write.is_none() || told_elsewhere {
            return;
        }
        if !existed {
            let short = match call.kind.as_str() {
                "pods" if is_check(object) => Some("check"),
                "pods" => Some("pod"),
                "controllerrevisions" | "configmaps" => Some("revision"),
                _ => None,
            };
            if let Some(short) = short.filter(|_| !self.names.contains_key(&call.name)) {
                let number = 1 + self
                    .names
                    .values()
                    .filter(|name| name.starts_with(short))
                    .count();
                self.names
                    .insert(call.name.clone(), format!("{short} {number}"));
            }
            let version = process_version(object);
            let version = version
                .as_str()
                .map(|version| format!(" ({version})"))
                .unwrap_or_default();
            self.note(&format!(
                "make {} {}{version}",
                call.kind,
                self.called(&call.name)
            ));
        } else if call.verb == "delete" && (call.kind != "pods" || stopped) {
            self.note(&format!("remove {} {}", call.kind, self.called(&call.name)));
        }
    }

    fn note(&mut self, deed: &str) {
        self.deeds.push(
            deed.replace("pods pod", "pod")
                .replace("pods check", "check")
                .replace("controllerrevisions ", "")
                .replace("configmaps ", "files of "),
        );
    }
}

fn process_version(pod: &Value) -> Value {
    pod["metadata"]["annotations"]["chainlink-operator.dev/version"].clone()
}
