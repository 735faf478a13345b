//! What a kubelet tells of a pod: the status that it writes.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

/// Kubernetes counts in whole seconds.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether a condition of a pod holds.
pub(super) fn condition(pod: &Pod, kind: &str) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    let mut found = conditions.flatten().filter(|one| one.type_ == kind);
    found.any(|one| one.status == "True")
}

/// A condition.
pub(super) fn entry(kind: &str, holds: bool) -> Value {
    let status = if holds { "True" } else { "False" };
    json!({"type": kind, "status": status, "lastTransitionTime": now()})
}

fn status(pod: &Pod, address: IpAddr, phase: &str, runs: bool, state: &Value) -> Value {
    let conditions = [
        entry("Initialized", true),
        entry("ContainersReady", runs),
        entry("Ready", false),
    ];
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers: Vec<Value> = containers
        .map(|container| {
            let mut status = json!({
                "name": container.name, "image": container.image, "imageID": "", "restartCount": 0,
                "ready": runs, "started": runs, "state": state,
            });
            if state.get("waiting").is_none() {
                status["containerID"] =
                    json!(format!("hollow://{}", pod.uid().unwrap_or_default()));
            }
            status
        })
        .collect();
    json!({
        "phase": phase, "startTime": now(),
        "hostIP": "127.0.0.1", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions, "containerStatuses": containers,
    })
}

/// Of one whose containers run.
pub(super) fn running(pod: &Pod, address: IpAddr) -> Value {
    let now = now();
    let state = json!({"running": {"startedAt": now}});
    status(pod, address, "Running", true, &state)
}

/// Of one whose containers have ended well.
pub(super) fn succeeded(pod: &Pod, address: IpAddr) -> Value {
    let now = now();
    let state = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
        "containerID": format!("hollow://{}", pod.uid().unwrap_or_default()),
    }});
    status(pod, address, "Succeeded", false, &state)
}

/// Of one whose image can't be pulled.
pub(super) fn unpulled(pod: &Pod, address: IpAddr, reason: &str) -> Value {
    let message = "rpc error: code = NotFound desc = failed to pull and unpack image: not found";
    let state = json!({"waiting": {"reason": reason, "message": message}});
    status(pod, address, "Pending", false, &state)
}
