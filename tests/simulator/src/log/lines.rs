//! Every log line the simulator can print: where the real node prints it from (source file and line by generation, as
//! the transcripts have them) and what it says.

use std::time::Duration;

use serde_json::Value;

use crate::config::{Config, Level, print_duration};
use crate::version::NodeVersion;

/// The place in the node's source, one per generation (1.11, 1.13, 2.1, 2.15, 2.18), and the logger's name.
pub(crate) struct Site {
    pub(crate) logger: &'static str,
    pub(crate) callers: [&'static str; 5],
}

const fn site(logger: &'static str, callers: [&'static str; 5]) -> Site {
    Site { logger, callers }
}

const fn everywhere(logger: &'static str, caller: &'static str) -> Site {
    Site {
        logger,
        callers: [caller; 5],
    }
}

static STARTING: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:86",
        "cmd/local_client.go:245",
        "cmd/local_client.go:272",
        "cmd/shell_local.go:324",
        "cmd/shell_local.go:324",
    ],
);
static CONFIG: Site = site(
    "RunNode",
    [
        "config/general_config.go:1",
        "config/general_config.go:1",
        "chainlink/config_general.go:257",
        "chainlink/config_general.go:262",
        "chainlink/config_general.go:262",
    ],
);
static LOCKED_DB: Site = everywhere("RunNode.LockedDB", "pg/locked_db.go:89");
static STATS: Site = everywhere("RunNode.LockedDB.StatsReporter", "pg/stats.go:96");
static LEASE_TAKING: Site = lease(["pg/lease_lock.go:90", "pg/lease_lock.go:89"]);
static LEASE_GOT: Site = lease(["pg/lease_lock.go:140", "pg/lease_lock.go:139"]);
static LEASE_WAITING: Site = lease(["pg/lease_lock.go:190", "pg/lease_lock.go:189"]);
static LEASE_REFRESH: Site = lease(["pg/lease_lock.go:225", "pg/lease_lock.go:224"]);
static LEASE_CLOSED: Site = lease(["pg/lease_lock.go:217", "pg/lease_lock.go:216"]);
static LEASE_DEPOSED: Site = lease(["pg/lease_lock.go:230", "pg/lease_lock.go:229"]);
static LEASE_RELEASE: Site = lease(["pg/lease_lock.go:210", "pg/lease_lock.go:209"]);
static ADVISORY: Site = everywhere("RunNode.LockedDB.AdvisoryLock", "pg/advisory_lock.go:140");
static TRANSACTION: Site = everywhere("RunNode.LockedDB.LeaseLock", "pg/transaction.go:120");
static REPORT_STARTING: Site = everywhere("", "services/health.go:55");
static REPORT_DONE: Site = everywhere("", "services/health.go:47");
static NURSE: Site = site(
    "",
    [
        "chainlink/application.go:233",
        "chainlink/application.go:229",
        "chainlink/application.go:232",
        "chainlink/application.go:291",
        "chainlink/application.go:316",
    ],
);
static BACKUP: Site = site(
    "",
    [
        "chainlink/application.go:276",
        "chainlink/application.go:272",
        "chainlink/application.go:275",
        "chainlink/application.go:307",
        "chainlink/application.go:332",
    ],
);
static BACKUP_RUNS: Site = everywhere("DatabaseBackup", "periodicbackup/backup.go:100");
static P2P_KEY: Site = site(
    "KeyStore",
    [
        "keystore/p2p.go:149",
        "keystore/p2p.go:149",
        "keystore/p2p.go:150",
        "keystore/p2p.go:147",
        "keystore/p2p.go:147",
    ],
);
static CSA_KEY: Site = site(
    "KeyStore",
    [
        "keystore/csa.go:156",
        "keystore/csa.go:156",
        "keystore/csa.go:156",
        "keystore/csa.go:153",
        "keystore/csa.go:153",
    ],
);
static UNLOCKED_CSA: Site = site(
    "KeyStore.KeyRing",
    [
        "keystore/models.go:275",
        "keystore/models.go:279",
        "keystore/models.go:289",
        "keystore/models.go:285",
        "keystore/models.go:285",
    ],
);
static UNLOCKED_P2P: Site = site(
    "KeyStore.KeyRing",
    [
        "keystore/models.go:287",
        "keystore/models.go:291",
        "keystore/models.go:301",
        "keystore/models.go:297",
        "keystore/models.go:297",
    ],
);
static API_USER: Site = site(
    "RunNode",
    [
        "cmd/client.go:882",
        "cmd/client.go:853",
        "cmd/client.go:902",
        "cmd/shell.go:905",
        "cmd/shell.go:960",
    ],
);
static API_EXPOSED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:237",
        "cmd/local_client.go:392",
        "cmd/local_client.go:447",
        "cmd/shell_local.go:490",
        "cmd/shell_local.go:499",
    ],
);
static NO_FEEDS: Site = site(
    "Feeds",
    [
        "feeds/service.go:896",
        "chainlink/application.go:516",
        "feeds/service.go:896",
        "feeds/service.go:1026",
        "feeds/service.go:1044",
    ],
);
static EVM_DISABLED: Site = site(
    "EVM.ChainSet",
    [
        "evm/chain_set.go:81",
        "evm/chain_set.go:81",
        "evm/chain_set.go:67",
        "evm/chain_set.go:67",
        "evm/chain_set.go:67",
    ],
);
static PRUNED: Site = site(
    "PipelineORM",
    [
        "pipeline/orm.go:138",
        "pipeline/orm.go:138",
        "pipeline/orm.go:138",
        "pipeline/orm.go:133",
        "pipeline/orm.go:133",
    ],
);
static BOOTED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:258",
        "cmd/local_client.go:413",
        "cmd/local_client.go:466",
        "cmd/shell_local.go:509",
        "cmd/shell_local.go:518",
    ],
);
pub(crate) static LISTENING: Site = site(
    "",
    [
        "cmd/client.go:456",
        "cmd/client.go:427",
        "cmd/client.go:451",
        "cmd/shell.go:454",
        "cmd/shell.go:509",
    ],
);
static SHUTTING_DOWN: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:108",
        "cmd/local_client.go:267",
        "cmd/local_client.go:298",
        "cmd/shell_local.go:351",
        "cmd/shell_local.go:351",
    ],
);
static GRACE_EXCEEDED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:119",
        "cmd/local_client.go:278",
        "cmd/local_client.go:309",
        "cmd/shell_local.go:362",
        "cmd/shell_local.go:362",
    ],
);
static EXITING: Site = site(
    "",
    [
        "chainlink/application.go:575",
        "chainlink/application.go:576",
        "chainlink/application.go:599",
        "chainlink/application.go:695",
        "chainlink/application.go:759",
    ],
);
static EXITED: Site = site(
    "",
    [
        "chainlink/application.go:601",
        "chainlink/application.go:602",
        "chainlink/application.go:625",
        "chainlink/application.go:721",
        "chainlink/application.go:781",
    ],
);
static GET: Site = site(
    "",
    [
        "web/router.go:500",
        "web/router.go:500",
        "web/router.go:531",
        "web/router.go:543",
        "web/router.go:543",
    ],
);
/// The services that 2.18 reports by name, in the order it starts them.
pub(crate) static SERVICES: [&str; 3] = [
    "TelemetryManager",
    "RetirementReportCache",
    "PipelineRunner.BridgeCache",
];
static SERVICE_STARTING: [Site; 3] = services("services/service.go:227");
static SERVICE_STARTED: [Site; 3] = services("services/service.go:243");
static SERVICE_CLOSING: [Site; 3] = services("services/service.go:250");
static SERVICE_CLOSED: [Site; 3] = services("services/service.go:261");

const fn services(caller: &'static str) -> [Site; 3] {
    [
        everywhere(SERVICES[0], caller),
        everywhere(SERVICES[1], caller),
        everywhere(SERVICES[2], caller),
    ]
}

/// The lease lock's source moved by one line after 2.1.
const fn lease(callers: [&'static str; 2]) -> Site {
    let [old, new] = callers;
    site("RunNode.LockedDB.LeaseLock", [old, old, old, new, new])
}

pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) site: &'static Site,
    pub(crate) message: String,
    /// In the order JSON has them; the console sorts.
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) stack: Option<&'static str>,
}

impl Line {
    fn new(level: Level, site: &'static Site, message: impl Into<String>) -> Self {
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

    fn stacked(mut self, stack: &'static str) -> Self {
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

/// The two locks print alike, from different places and with different fields.
#[derive(Clone, Debug)]
pub(crate) enum LockLines {
    Lease { app_id: String },
    Advisory { id: i64 },
}

const LEASE_STACK: &str = "github.com/smartcontractkit/chainlink/core/services/pg.(*leaseLock).loop\n\t/chainlink/lease_lock.go:224";
const ADVISORY_STACK: &str = "github.com/smartcontractkit/chainlink/core/services/pg.(*advisoryLock).loop\n\t/chainlink/advisory_lock.go:175";

impl LockLines {
    fn line(&self, level: Level, site: &'static Site, lease: &str, advisory: &str) -> Line {
        match self {
            Self::Lease { app_id } => Line::new(level, site, lease).with("appID", app_id.as_str()),
            Self::Advisory { id } => {
                Line::new(level, &ADVISORY, advisory).with("advisoryLockID", *id)
            }
        }
    }

    pub(crate) fn taking(&self) -> Line {
        self.line(
            Level::Debug,
            &LEASE_TAKING,
            "Taking initial lease...",
            "Taking advisory lock...",
        )
    }

    pub(crate) fn got(&self) -> Line {
        self.line(
            Level::Debug,
            &LEASE_GOT,
            "Got exclusive lease on database",
            "Got advisory lock",
        )
    }

    pub(crate) fn waiting(&self, tries: u64) -> Line {
        self.line(
            Level::Info,
            &LEASE_WAITING,
            "Another application is currently holding the database lease (or a previous instance exited uncleanly), \
             waiting for lease to expire...",
            "Another application holds the advisory lock, waiting...",
        )
        .with("tryCount", tries)
    }

    pub(crate) fn closed(&self, error: &str) -> Line {
        let text = "DB connection was unexpectedly closed; checking out a new one";
        self.verbose(self.line(Level::Warn, &LEASE_CLOSED, text, text), error)
    }

    pub(crate) fn checkout_failed(&self, error: &str) -> Line {
        let text = "Error trying to refresh connection";
        self.line(Level::Warn, &LEASE_CLOSED, text, text)
            .with("err", error)
    }

    pub(crate) fn refresh_failed(&self, error: &str) -> Line {
        let line = self.line(
            Level::Error,
            &LEASE_REFRESH,
            "Error trying to refresh database lease",
            "Error trying to refresh advisory lock",
        );
        self.verbose(line, error).stacked(self.stack())
    }

    pub(crate) fn deposed(&self) -> Line {
        self.line(
            Level::Fatal,
            &LEASE_DEPOSED,
            "Another node has taken the lease, exiting immediately",
            "Another node has taken the advisory lock, exiting",
        )
        .stacked(self.stack())
    }

    pub(crate) fn release_failed(&self, error: &str) -> Line {
        self.line(
            Level::Warn,
            &LEASE_RELEASE,
            "Error trying to release lease on cancelled ctx",
            "Error trying to release advisory lock on cancelled ctx",
        )
        .with("err", error)
    }

    /// To 2.1.1 each swallowed error is logged before the waiting line.
    pub(crate) fn rolled_back(error: &str) -> Line {
        Line::new(
            Level::Error,
            &TRANSACTION,
            format!("Error in transaction, rolling back: {error}"),
        )
        .stacked(LEASE_STACK)
    }

    /// Errors are printed twice, the second time with the places they passed, over several lines.
    fn verbose(&self, line: Line, error: &str) -> Line {
        let (outer, inner) = error.split_once(": ").unwrap_or(("", error));
        line.with("err", error)
            .with("errVerbose", format!("{inner}\n{outer}\n{}", self.stack()))
    }

    fn stack(&self) -> &'static str {
        match self {
            Self::Lease { .. } => LEASE_STACK,
            Self::Advisory { .. } => ADVISORY_STACK,
        }
    }
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
