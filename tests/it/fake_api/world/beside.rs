//! The containers beside a node, as its kubelet tells of them: those that have to end before it is started, and those that go
//! on with it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::All;
use crate::fake_api::store::seconds;

/// How the sidecars of a pod are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sidecars {
    #[default]
    Ready,
    /// They run, and their readiness probe does not pass.
    Unready,
    /// They ended, and the kubelet waits before it starts them again.
    Crashing,
}

/// What the kubelet tells of the containers that are started before the node's, when that one is.
pub(super) fn told(pod: &Value, sidecars: Sidecars) -> Value {
    let before = pod["spec"]["initContainers"].as_array();
    let told = before.into_iter().flatten().map(|container| {
        let goes_on = container["restartPolicy"] == "Always";
        let ended =
            |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
        let running = json!({"running": {"startedAt": seconds(Timestamp::now())}});
        let back_off =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
        let (state, last, ready) = match (goes_on, sidecars) {
            (false, _) => (ended(0, "Completed"), json!({}), true),
            (true, Sidecars::Ready) => (running, json!({}), true),
            (true, Sidecars::Unready) => (running, json!({}), false),
            (true, Sidecars::Crashing) => (back_off, ended(1, "Error"), false),
        };
        json!({
            "name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
            "started": goes_on && state["running"].is_object(), "restartCount": 0,
            "state": state, "lastState": last,
        })
    });
    told.collect()
}

/// Whether the kubelet has told that everything beside the node is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    let told = pod["status"]["initContainerStatuses"].as_array();
    told.into_iter().flatten().all(|one| one["ready"] == true)
}

impl All {
    /// From now on the sidecars of this pod are like that.
    pub fn sidecars(&mut self, called: &str, sidecars: Sidecars) {
        let name = self.name_of(called);
        self.store.change("pods", &name, |pod| {
            pod["status"]["initContainerStatuses"] = told(pod, sidecars);
        });
        self.noise += 1;
    }
}
