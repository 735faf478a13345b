//! Where the real node prints its lines from: source file and line by generation, as the transcripts have them, and the
//! logger's name.

use crate::version::Generation;

/// The place in the node's source, one per generation (1.11, 1.13, 2.1, 2.15, 2.18), and the logger's name.
pub(crate) struct Site {
    pub(crate) logger: &'static str,
    pub(crate) callers: [&'static str; 5],
}

impl Site {
    pub(super) fn caller(&self, generation: Generation) -> &'static str {
        match generation {
            Generation::V2_29 => super::v2_29::caller(self.callers[Generation::V2_18 as usize]),
            earlier => self.callers[earlier as usize],
        }
    }
}

const fn site(logger: &'static str, callers: [&'static str; 5]) -> Site {
    Site { logger, callers }
}

pub(super) const fn everywhere(logger: &'static str, caller: &'static str) -> Site {
    Site {
        logger,
        callers: [caller; 5],
    }
}

pub(super) static STARTING: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:86",
        "cmd/local_client.go:245",
        "cmd/local_client.go:272",
        "cmd/shell_local.go:324",
        "cmd/shell_local.go:324",
    ],
);
pub(super) static CONFIG: Site = site(
    "RunNode",
    [
        "config/general_config.go:1",
        "config/general_config.go:1",
        "chainlink/config_general.go:257",
        "chainlink/config_general.go:262",
        "chainlink/config_general.go:262",
    ],
);
pub(super) static LOCKED_DB: Site = everywhere("RunNode.LockedDB", "pg/locked_db.go:89");
pub(super) static STATS: Site = everywhere("RunNode.LockedDB.StatsReporter", "pg/stats.go:96");
pub(super) static LEASE_TAKING: Site = lease(["pg/lease_lock.go:90", "pg/lease_lock.go:89"]);
pub(super) static LEASE_GOT: Site = lease(["pg/lease_lock.go:140", "pg/lease_lock.go:139"]);
pub(super) static LEASE_WAITING: Site = lease(["pg/lease_lock.go:190", "pg/lease_lock.go:189"]);
pub(super) static LEASE_REFRESH: Site = lease(["pg/lease_lock.go:225", "pg/lease_lock.go:224"]);
pub(super) static LEASE_CLOSED: Site = lease(["pg/lease_lock.go:217", "pg/lease_lock.go:216"]);
pub(super) static LEASE_DEPOSED: Site = lease(["pg/lease_lock.go:230", "pg/lease_lock.go:229"]);
pub(super) static LEASE_RELEASE: Site = lease(["pg/lease_lock.go:210", "pg/lease_lock.go:209"]);
pub(super) static ADVISORY: Site =
    everywhere("RunNode.LockedDB.AdvisoryLock", "pg/advisory_lock.go:140");
pub(super) static TRANSACTION: Site =
    everywhere("RunNode.LockedDB.LeaseLock", "pg/transaction.go:120");
pub(super) static REPORT_STARTING: Site = everywhere("", "services/health.go:55");
pub(super) static REPORT_DONE: Site = everywhere("", "services/health.go:47");
pub(super) static NURSE: Site = site(
    "",
    [
        "chainlink/application.go:233",
        "chainlink/application.go:229",
        "chainlink/application.go:232",
        "chainlink/application.go:291",
        "chainlink/application.go:316",
    ],
);
pub(super) static BACKUP: Site = site(
    "",
    [
        "chainlink/application.go:276",
        "chainlink/application.go:272",
        "chainlink/application.go:275",
        "chainlink/application.go:307",
        "chainlink/application.go:332",
    ],
);
pub(super) static BACKUP_RUNS: Site = everywhere("DatabaseBackup", "periodicbackup/backup.go:100");
pub(super) static P2P_KEY: Site = site(
    "KeyStore",
    [
        "keystore/p2p.go:149",
        "keystore/p2p.go:149",
        "keystore/p2p.go:150",
        "keystore/p2p.go:147",
        "keystore/p2p.go:147",
    ],
);
pub(super) static CSA_KEY: Site = site(
    "KeyStore",
    [
        "keystore/csa.go:156",
        "keystore/csa.go:156",
        "keystore/csa.go:156",
        "keystore/csa.go:153",
        "keystore/csa.go:153",
    ],
);
pub(super) static UNLOCKED_CSA: Site = site(
    "KeyStore.KeyRing",
    [
        "keystore/models.go:275",
        "keystore/models.go:279",
        "keystore/models.go:289",
        "keystore/models.go:285",
        "keystore/models.go:285",
    ],
);
pub(super) static UNLOCKED_P2P: Site = site(
    "KeyStore.KeyRing",
    [
        "keystore/models.go:287",
        "keystore/models.go:291",
        "keystore/models.go:301",
        "keystore/models.go:297",
        "keystore/models.go:297",
    ],
);
pub(super) static API_USER: Site = site(
    "RunNode",
    [
        "cmd/client.go:882",
        "cmd/client.go:853",
        "cmd/client.go:902",
        "cmd/shell.go:905",
        "cmd/shell.go:960",
    ],
);
pub(super) static API_EXPOSED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:237",
        "cmd/local_client.go:392",
        "cmd/local_client.go:447",
        "cmd/shell_local.go:490",
        "cmd/shell_local.go:499",
    ],
);
pub(super) static NO_FEEDS: Site = site(
    "Feeds",
    [
        "feeds/service.go:896",
        "chainlink/application.go:516",
        "feeds/service.go:896",
        "feeds/service.go:1026",
        "feeds/service.go:1044",
    ],
);
pub(super) static EVM_DISABLED: Site = site(
    "EVM.ChainSet",
    [
        "evm/chain_set.go:81",
        "evm/chain_set.go:81",
        "evm/chain_set.go:67",
        "evm/chain_set.go:67",
        "evm/chain_set.go:67",
    ],
);
pub(super) static PRUNED: Site = site(
    "PipelineORM",
    [
        "pipeline/orm.go:138",
        "pipeline/orm.go:138",
        "pipeline/orm.go:138",
        "pipeline/orm.go:133",
        "pipeline/orm.go:133",
    ],
);
pub(super) static BOOTED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:258",
        "cmd/local_client.go:413",
        "cmd/local_client.go:466",
        "cmd/shell_local.go:509",
        "cmd/shell_local.go:518",
    ],
);
pub(super) static LISTENING: Site = site(
    "",
    [
        "cmd/client.go:456",
        "cmd/client.go:427",
        "cmd/client.go:451",
        "cmd/shell.go:454",
        "cmd/shell.go:509",
    ],
);
pub(super) static SHUTTING_DOWN: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:108",
        "cmd/local_client.go:267",
        "cmd/local_client.go:298",
        "cmd/shell_local.go:351",
        "cmd/shell_local.go:351",
    ],
);
pub(super) static GRACE_EXCEEDED: Site = site(
    "RunNode",
    [
        "cmd/local_client.go:119",
        "cmd/local_client.go:278",
        "cmd/local_client.go:309",
        "cmd/shell_local.go:362",
        "cmd/shell_local.go:362",
    ],
);
pub(super) static EXITING: Site = site(
    "",
    [
        "chainlink/application.go:575",
        "chainlink/application.go:576",
        "chainlink/application.go:599",
        "chainlink/application.go:695",
        "chainlink/application.go:759",
    ],
);
pub(super) static EXITED: Site = site(
    "",
    [
        "chainlink/application.go:601",
        "chainlink/application.go:602",
        "chainlink/application.go:625",
        "chainlink/application.go:721",
        "chainlink/application.go:781",
    ],
);
pub(super) static GET: Site = site(
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
pub(super) static SERVICES: [&str; 3] = [
    "TelemetryManager",
    "RetirementReportCache",
    "PipelineRunner.BridgeCache",
];
pub(super) static SERVICE_STARTING: [Site; 3] = services("services/service.go:227");
pub(super) static SERVICE_STARTED: [Site; 3] = services("services/service.go:243");
pub(super) static SERVICE_CLOSING: [Site; 3] = services("services/service.go:250");
pub(super) static SERVICE_CLOSED: [Site; 3] = services("services/service.go:261");

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
