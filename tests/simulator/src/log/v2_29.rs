//! What 2.29 prints between the lock and the end, as its transcripts have it: more services than 2.18, each announced, other
//! keys, and other places in the source.

use super::Line;
use super::lines::runs_pruned;
use super::sites::{Site, everywhere};

/// Where the same line is printed from in 2.18 and in 2.29, where that differs.
const MOVED: [(&str, &str); 10] = [
    ("cmd/shell_local.go:324", "cmd/shell_local.go:315"),
    ("cmd/shell_local.go:351", "cmd/shell_local.go:342"),
    ("cmd/shell_local.go:499", "cmd/shell_local.go:574"),
    ("cmd/shell_local.go:518", "cmd/shell_local.go:593"),
    ("cmd/shell.go:509", "cmd/shell.go:492"),
    ("cmd/shell.go:960", "cmd/shell.go:947"),
    (
        "chainlink/application.go:316",
        "chainlink/application.go:429",
    ),
    (
        "chainlink/application.go:332",
        "chainlink/application.go:445",
    ),
    (
        "chainlink/application.go:759",
        "chainlink/application.go:1365",
    ),
    ("feeds/service.go:1044", "feeds/service.go:1290"),
];

/// The place of a line, from that in 2.18.
pub(super) fn caller(in_2_18: &'static str) -> &'static str {
    let moved = MOVED.iter().find(|(old, _)| *old == in_2_18);
    moved.map_or(in_2_18, |(_, new)| new)
}

static ANNOUNCED: Site = everywhere("", "chainlink/application.go:1309");
static DIALS: Site = everywhere("WorkflowClient", "billing/workflow_client.go:211");
static CONNECTED: Site = everywhere("WorkflowClient", "billing/workflow_client.go:113");
static CREATED_KEY: Site = everywhere("", "keystore/master.go:338");
static NO_REPORTS: Site = everywhere(
    "BridgeStatusReporter",
    "bridgestatus/bridge_status_reporter.go:65",
);

/// The services that log their own start and end, in the order in which they start.
const RUNNING: [&str; 6] = [
    "Heartbeat",
    "TelemetryManager",
    "RetirementReportCache",
    "LLOTransmissionReaper",
    "BridgeStatusReporter",
    "PipelineRunner.BridgeCache",
];
static STARTING: [Site; 6] = running("services/service.go:264");
static STARTED: [Site; 6] = running("services/service.go:280");
static CLOSING: [Site; 6] = running("services/service.go:287");
static CLOSED: [Site; 6] = running("services/service.go:298");

const fn running(caller: &'static str) -> [Site; 6] {
    [
        everywhere(RUNNING[0], caller),
        everywhere(RUNNING[1], caller),
        everywhere(RUNNING[2], caller),
        everywhere(RUNNING[3], caller),
        everywhere(RUNNING[4], caller),
        everywhere(RUNNING[5], caller),
    ]
}

/// All services in the order in which they start, and which of [`RUNNING`] each is or starts.
const SERVICES: [(&str, Option<usize>); 15] = [
    ("Heartbeat", Some(0)),
    ("WorkflowEngineLimiters", None),
    ("WorkflowRateLimiter", None),
    ("WorkflowExecutionLimiter", None),
    ("TelemetryManager", Some(1)),
    ("Mercury.WSRPCPool", None),
    ("RetirementReportCache", Some(2)),
    ("LLOTransmissionReaper", Some(3)),
    ("Mailbox.Monitor", None),
    ("WorkflowStore", None),
    ("HeadReporter", None),
    ("PipelineORM", None),
    ("BridgeStatusReporter", Some(4)),
    ("JobSpawner", None),
    ("PipelineRunner", Some(5)),
];

/// The client for billing is made with the keys, before anything else of the application.
pub(crate) fn billing() -> [Line; 2] {
    let of_client = |site, text: &str| Line::info(site, text).with("address", "localhost:4319");
    [
        of_client(&DIALS, "Dialing with provided credentials"),
        of_client(&CONNECTED, "Connected to Billing service (WorkflowClient)"),
    ]
}

/// Of keys that were there already nothing is said.
pub(crate) fn created_key(kind: &str, key: &str) -> Line {
    Line::info(&CREATED_KEY, format!("Created {kind} key with ID {key}"))
}

pub(crate) fn services_started() -> Vec<Line> {
    let mut started = Vec::new();
    for (name, running) in SERVICES {
        started.push(Line::info(&ANNOUNCED, "Starting service...").with("name", name));
        if name == "PipelineORM" {
            started.push(runs_pruned());
        }
        if let Some(index) = running {
            started.push(Line::info(&STARTING[index], "Starting"));
            if name == "BridgeStatusReporter" {
                let text = "Bridge Status Reporter Service is disabled";
                started.push(Line::info(&NO_REPORTS, text));
            }
            started.push(Line::info(&STARTED[index], "Started"));
        }
    }
    started
}

pub(crate) fn services_closed() -> impl Iterator<Item = Line> {
    let pairs = CLOSING.iter().zip(&CLOSED).rev();
    pairs.flat_map(|(closing, closed)| {
        [Line::info(closing, "Closing"), Line::info(closed, "Closed")]
    })
}
