//! Every log line the simulator can print; the locks' are in a file of their own.

use std::time::Duration;

use serde_json::Value;

use super::sites::{
    API_EXPOSED, API_USER, BACKUP, BACKUP_RUNS, BOOTED, CONFIG, CSA_KEY, EVM_DISABLED, EXITED,
    EXITING, GET, GRACE_EXCEEDED, LISTENING, LOCKED_DB, NO_FEEDS, NURSE, P2P_KEY, PRUNED,
    REPORT_DONE, REPORT_STARTING, SERVICE_CLOSED, SERVICE_CLOSING, SERVICE_STARTED,
    SERVICE_STARTING, SHUTTING_DOWN, STARTING, STATS, Site, UNLOCKED_CSA, UNLOCKED_P2P, everywhere,
};
use crate::config::{Config, Level, print_duration};
use crate::version::NodeVersion;

pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) site: &'static Site,
    pub(crate) message: String,
    /// In the order JSON has them; the console sorts.
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) stack: Option<&'static str>,
}

impl Line {
    pub(super) fn new(level: Level, site: &'static Site, message: impl Into<String>) -> Self {
        Self {
            level,
            site,
            message: message.into(),
            fields: Vec::new(),
            stack: None,
        }
    }

    pub(crate) fn info(site: &'static Site, message: impl Into<String>) -> Self {
        Self::new(Level::Info, site, message)
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((key, value.into()));
        self
    }

    pub(super) fn stacked(mut self, stack: &'static str) -> Self {
        self.stack = Some(stack);
        self
    }
}

pub(crate) fn starting(version: &NodeVersion) -> Line {
    let number = version.semver.to_string();
    Line::info(
        &STARTING,
        format!("Starting Chainlink Node {number} at commit {}", version.sha),
    )
    .with("Version", number)
    .with("SHA", version.sha.as_str())
}

/// At DEBUG the node repeats its configuration in one line of many lines.
pub(crate) fn configuration(config: &Config) -> Line {
    Line::new(
        Level::Debug,
        &CONFIG,
        format!("# Input Configuration:\n{}\n", config.input),
    )
}

pub(crate) fn complaint(text: &str) -> Line {
    Line::new(Level::Error, &CONFIG, text)
}

pub(crate) fn locking_mode(mode: &str) -> Line {
    Line::new(
        Level::Debug,
        &LOCKED_DB,
        format!("Using database locking mode: {mode}"),
    )
}

pub(crate) fn stat_reporter() -> Line {
    Line::new(Level::Debug, &STATS, "Starting DB stat reporter")
}

pub(crate) fn report_starting() -> Line {
    Line::info(&REPORT_STARTING, "Starting StartUpHealthReport")
}

pub(crate) fn report_done() -> Line {
    Line::info(&REPORT_DONE, "StartUpHealthReport shutdown complete")
}

pub(crate) fn nurse_disabled() -> Line {
    Line::info(
        &NURSE,
        "Nurse service (automatic pprof profiling) is disabled",
    )
}

pub(crate) fn backups_disabled(from_toml: bool) -> Line {
    let key = if from_toml {
        "Database.Backup.Mode"
    } else {
        "DATABASE_BACKUP_MODE"
    };
    Line::info(
        &BACKUP,
        format!(
            "DatabaseBackup: periodic database backups are disabled. To enable automatic backups, set {key}=lite or {key}=full"
        ),
    )
}

pub(crate) fn backup(text: &str) -> Line {
    Line::info(&BACKUP_RUNS, text)
}

pub(crate) fn created_p2p_key(key: &str) -> Line {
    Line::info(&P2P_KEY, format!("Created P2P key with ID {key}"))
}

pub(crate) fn created_csa_key(key: &str) -> Line {
    Line::info(&CSA_KEY, format!("Created CSA key with ID {key}"))
}

pub(crate) fn unlocked_csa_key(key: &str) -> Line {
    Line::info(&UNLOCKED_CSA, "Unlocked 1 CSA keys").with("keys", vec![key])
}

pub(crate) fn unlocked_p2p_key(key: &str) -> Line {
    Line::info(&UNLOCKED_P2P, "Unlocked 1 P2P keys").with("keys", vec![key])
}

pub(crate) fn assumed_api_user(email: &str) -> Line {
    Line::info(&API_USER, "Defaulted to assume single DB API User").with("email", email)
}

pub(crate) fn api_exposed(email: &str) -> Line {
    Line::info(&API_EXPOSED, format!("API exposed for user {email}"))
}

pub(crate) fn no_feeds() -> Line {
    Line::info(&NO_FEEDS, "no feeds managers registered")
}

/// 1.13 calls the same an error, over many lines.
pub(crate) fn no_feeds_error() -> Line {
    static SITE: Site = everywhere("", "chainlink/application.go:516");
    Line::new(Level::Error, &SITE, "[Feeds Service] Failed to start no feeds managers registered").stacked(
        "github.com/smartcontractkit/chainlink/core/services/chainlink.(*ChainlinkApplication).Start\n\t/chainlink/application.go:516\nmain.main\n\t/chainlink/main.go:45",
    )
}

pub(crate) fn evm_disabled() -> Line {
    Line::new(
        Level::Warn,
        &EVM_DISABLED,
        "EVM is disabled, no EVM-based chains will be started",
    )
}

pub(crate) fn runs_pruned() -> Line {
    Line::info(
        &PRUNED,
        "Pipeline runs will be pruned above per-job limit of MaxSuccessfulRuns=10000",
    )
}

/// 2.18 prunes between its second and third service.
pub(crate) fn services_started() -> Vec<Line> {
    let mut started = Vec::new();
    for (index, service) in SERVICE_STARTING.iter().zip(&SERVICE_STARTED).enumerate() {
        if index == 2 {
            started.push(runs_pruned());
        }
        started.push(Line::info(service.0, "Starting"));
        started.push(Line::info(service.1, "Started"));
    }
    started
}

pub(crate) fn services_closed() -> impl Iterator<Item = Line> {
    let pairs = SERVICE_CLOSING.iter().zip(&SERVICE_CLOSED).rev();
    pairs.flat_map(|(closing, closed)| {
        [Line::info(closing, "Closing"), Line::info(closed, "Closed")]
    })
}

pub(crate) fn booted(took: Duration, app_id: &str) -> Line {
    Line::info(
        &BOOTED,
        format!("Chainlink booted in {:.2}s", took.as_secs_f64()),
    )
    .with("appID", app_id)
}

pub(crate) fn listening(version: &NodeVersion, port: u16) -> Line {
    if version.listening_line_has_address() {
        Line::info(
            &LISTENING,
            format!("Listening and serving HTTP on 0.0.0.0:{port}"),
        )
        .with("ip", "0.0.0.0")
        .with("port", port)
    } else {
        Line::info(
            &LISTENING,
            format!("Listening and serving HTTP on port {port}"),
        )
    }
}

/// Read (`cmd/shell.go`), in no transcript.
pub(crate) fn listening_with_tls(port: u16) -> Line {
    let text = format!("Listening and serving HTTPS on 0.0.0.0:{port}");
    Line::info(&LISTENING, text)
        .with("ip", "0.0.0.0")
        .with("port", port)
}

pub(crate) fn server_failed(kind: &str, error: &str) -> Line {
    Line::new(
        Level::Crit,
        &LISTENING,
        format!("Error starting {kind}server"),
    )
    .with("err", error)
}

pub(crate) fn served(path: &str, status: u16) -> Line {
    Line::new(Level::Debug, &GET, format!("GET {path}"))
        .with("method", "GET")
        .with("status", status)
        .with("path", path)
}

pub(crate) fn shutting_down(signal: &str) -> Line {
    Line::info(
        &SHUTTING_DOWN,
        format!("Shutting down due to {signal} signal received..."),
    )
}

pub(crate) fn grace_exceeded(grace: Duration) -> Line {
    let text = format!(
        "Shutdown grace period of {} exceeded, closing DB and exiting...",
        print_duration(grace)
    );
    Line::new(Level::Crit, &GRACE_EXCEEDED, text)
        .stacked("github.com/smartcontractkit/chainlink/core/shutdown.HandleShutdown\n\t/chainlink/shutdown.go:15")
}

pub(crate) fn exiting() -> Line {
    Line::info(&EXITING, "Gracefully exiting...")
}

pub(crate) fn exited() -> Line {
    Line::info(&EXITED, "Exited all services")
}
