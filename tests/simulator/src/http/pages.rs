//! The bodies.

use serde_json::{Value, json};

use crate::version::{Generation, NodeVersion};

pub(super) const UI: &str =
    "<!doctype html><html><head><title>Operator UI</title></head><body>simulated</body></html>";
pub(super) const UNAUTHENTICATED: &str = r#"{"errors":[{"detail":"Authentication failed"}]}"#;

/// Whether any service of this node fails its check.
pub(super) fn failing(evm_off_by_env: bool, on_request: bool) -> bool {
    evm_off_by_env || on_request
}

/// Checks by generation; the first is the one that fails when one does.
fn checks(generation: Generation) -> &'static [&'static str] {
    match generation {
        Generation::V1_11 | Generation::V1_13 => &[
            "*evm.chainSet",
            "*pipeline.runner",
            "*pg.eventBroadcaster",
            "*promreporter.promReporter",
            "*ocrcommon.SingletonPeerWrapper",
            "*synchronization.NoopExplorerClient",
            "*synchronization.NoopTelemetryIngressClient",
        ],
        Generation::V2_1 => &[
            "EVM.ChainSet",
            "JobSpawner",
            "PromReporter",
            "EventBroadcaster",
            "SingletonPeerWrapper",
            "PipelineRunner",
            "MailboxMonitor",
        ],
        Generation::V2_15 => &[
            "PromReporter",
            "JobSpawner",
            "Mailbox.Monitor",
            "Mercury.WSRPCPool",
            "PipelineRunner",
        ],
        Generation::V2_18 | Generation::V2_29 => &[
            "HeadReporter",
            "JobSpawner",
            "Mailbox.Monitor",
            "Mercury.WSRPCPool",
            "PipelineRunner",
            "TelemetryManager",
        ],
    }
}

pub(super) fn health(generation: Generation, failing: bool) -> String {
    let checks: Vec<Value> = checks(generation)
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let (status, output) = if failing && index == 0 {
                ("failing", "service is \"Unstarted\", not started")
            } else {
                ("passing", "")
            };
            json!({"type": "checks", "id": name, "attributes": {"name": name, "status": status, "output": output}})
        })
        .collect();
    json!({"data": checks}).to_string()
}

pub(super) fn metrics(version: &NodeVersion) -> String {
    format!(
        "# HELP db_conns_max Maximum number of open connections to the database.\n\
         # TYPE db_conns_max gauge\n\
         db_conns_max {}\n\
         # HELP db_conns_open The number of established connections both in use and idle.\n\
         # TYPE db_conns_open gauge\n\
         db_conns_open 3\n\
         # HELP version The version of the node.\n\
         # TYPE version gauge\n\
         version{{commit=\"{}\",version=\"{}\"}} 1\n",
        version.max_open_conns(),
        version.sha,
        version.semver
    )
}
