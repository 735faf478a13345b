//! Nodes for tests.

use serde_json::{Value, json};

/// A node of two pods at work, as its status tells.
pub fn running(name: &str) -> Value {
    json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": name, "namespace": "oracles", "uid": "uid-1", "generation": 1},
        "spec": {
            "version": "2.29.0",
            "replicas": 2,
            "database": {"url": {"secretKeyRef": {"name": "database", "key": "url"}}},
            "credentials": {
                "keystorePassword": {"secretKeyRef": {"name": "credentials", "key": "keystore-password"}},
            },
        },
        "status": {
            "observedGeneration": 1,
            "phase": "Running",
            "message": format!("{name}-1 is active, 1 of 1 standbys wait for the lock"),
            "active": format!("{name}-1"),
            "holder": format!("{name}-1"),
            "currentVersion": "2.29.0",
            "standbys": "1/1",
            "conditions": [
                said("Ready", "True", "Steady", ""),
                said("Stalled", "False", "Progressing", ""),
                said("Available", "True", "ActiveServes", "it answers"),
                said("Redundant", "True", "StandbysWait", ""),
                said("LockVerified", "True", "HolderIsActive", "the database says so"),
                said("ChangePending", "False", "NothingPending", ""),
            ],
            "pods": [
                {"name": format!("{name}-1"), "uid": "1", "role": "Active", "version": "2.29.0",
                 "revision": format!("{name}-aaaa"), "machine": "machine-1", "since": "2026-03-04T10:00:00Z"},
                {"name": format!("{name}-2"), "uid": "2", "role": "Standby", "version": "2.29.0",
                 "revision": format!("{name}-aaaa"), "machine": "machine-2", "since": "2026-03-04T10:00:05Z"},
            ],
            "lastHandover": {
                "from": format!("{name}-0 (2.28.0)"), "to": format!("{name}-1 (2.29.0)"), "reason": "Version",
                "startedAt": "2026-03-04T09:59:58Z", "finishedAt": "2026-03-04T10:00:00Z", "gapMs": 1800, "gap": "1.8s",
            },
            "operator": {"wanted": {"name": format!("{name}-aaaa"), "since": "2026-03-04T09:00:00Z"}},
        },
    })
}

pub fn said(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-03-04T10:00:00Z"})
}

/// Puts a condition in the place of the one of its type.
pub fn tell(node: &mut Value, condition: Value) {
    let all = node["status"]["conditions"].as_array_mut().unwrap();
    all.retain(|one| one["type"] != condition["type"]);
    all.push(condition);
}

/// One that runs a release which was applied in place of its `spec.version`.
pub fn with_an_applied_release(name: &str) -> Value {
    let mut node = running(name);
    node["spec"]["updates"] = json!({"range": "2.x", "policy": "Apply"});
    node["status"]["currentVersion"] = json!("2.30.0");
    node["status"]["applied"] = json!({
        "version": "2.30.0", "repository": "smartcontract/chainlink", "tag": "2.30.0",
        "digest": digest(), "appliedAt": "2026-03-04T09:00:00Z",
    });
    node["status"]["operator"]["newestHeld"] = json!("2.30.0");
    node
}

/// That of the release that was applied.
pub fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

/// One that a change makes wait for a person.
pub fn waiting_for_approval(name: &str) -> Value {
    let mut node = running(name);
    node["spec"]["handover"] = json!({"approval": "Manual"});
    node["spec"]["version"] = json!("2.30.0");
    node["status"]["phase"] = json!("AwaitingApproval");
    node["status"]["operator"]["wanted"]["name"] = json!(format!("{name}-bbbb"));
    let message = format!(
        "2.30.0 (revision {name}-bbbb) was seen to wait for the lock and is not handed over to before it is approved"
    );
    tell(
        &mut node,
        said("ApprovalRequired", "True", "ApprovalRequired", &message),
    );
    tell(
        &mut node,
        said("ChangePending", "True", "ApprovalRequired", &message),
    );
    node
}

/// One whose lock nobody takes.
pub fn down(name: &str) -> Value {
    let mut node = running(name);
    node["status"]["phase"] = json!("Stalled");
    node["status"]["active"] = Value::Null;
    let message = format!("{name}-1 has ended, and no pod has taken the lock since");
    node["status"]["message"] = json!(message);
    for condition in [
        said("Ready", "False", "LockNotTaken", &message),
        said("Stalled", "True", "LockNotTaken", &message),
        said("Available", "False", "LockNotTaken", &message),
    ] {
        tell(&mut node, condition);
    }
    node
}
