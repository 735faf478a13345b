//! Why a node exited, as far as its exit code and its last words tell.

use super::database::{Trouble, trouble};

/// What an exit means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// Asked to stop, stopped in order: exit 0.
    CleanStop,
    /// Asked to stop while it waited for the lock: exit 1 in 10 ms (upstream issue 6205).
    StoppedStandby,
    /// Asked to stop between the lock and the end of its boot: exit 1, nothing lost.
    StoppedStarting,
    /// Asked to stop, and the end of its services or the release of the lease took too long:
    /// exit 255 after 9 to 10 s. The lease runs out by itself within 10 s.
    StopTimedOut,
    /// The database was out of reach or took no connections. Says nothing about the node.
    DatabaseAway,
    /// The database or its pooler answered and refused the node, or the node can't use the URL that it was given:
    /// password, database name, rights, TLS.
    DatabaseRefused,
    /// Its session is not its own: a pooler in transaction mode hands the server's sessions from client to client.
    SessionShared,
    /// The server is older than the node starts on.
    PostgresTooOld,
    /// Another node took the lock from it. Says nothing about the node.
    Deposed,
    /// The database was migrated by a newer version.
    VersionOlderThanDatabase {
        /// The version of this node.
        application: String,
        /// The version that the database needs.
        database: String,
    },
    /// The configuration is invalid.
    Configuration,
    /// The keystore password or the API credentials are wrong or missing.
    Credentials,
    /// The file with the keystore password, or with the API user, is not there or can't be read.
    PasswordFile,
    /// The root folder can't be made or written.
    RootDir,
    /// Killed because it used more memory than its limit.
    OutOfMemory,
    /// Killed by SIGKILL: its grace period was over, or its machine had no memory left.
    Killed,
    /// Nobody saw how it ended: its machine, or the runtime of its containers, was started anew.
    Unseen,
    /// Nothing that is known.
    Unknown,
}

/// Words of [`ExitKind::StoppedStandby`]. Lease and dual, then advisory (measured on 1.11.0).
const STOPPED_STANDBY: [&str; 2] = [
    "failed to take initial lease on database: stopped",
    "error acquiring lock: stopped",
];

/// What a stop makes of whatever the start was at: migrations, keys, services (measured on 2.18.0).
const STOPPED_STARTING: &str = "context canceled";

const CREDENTIALS: [&str; 9] = [
    "unable to decrypt encrypted key ring",
    "could not decrypt key",
    "api credentials must be supplied",
    "keystore password",
    "error authenticating keystore",
    "error reading api credentials",
    "initializing api credentials",
    "error creating api initializer",
    "error creating fallback initializer",
];

/// `… version is 15, you are running: 14`: at the opening of the database, before the lock (2.66 and later, by their notes).
const OLD_POSTGRES: &str = "the minimum required postgres server version is";

/// Their words go on with keys of the user's, which may be called anything.
const UNREADABLE_TOML: [&str; 3] = [
    "failed to decode config toml",
    "failed to decode secrets toml",
    "failed to decode toml",
];

const CONFIGURATION: [&str; 11] = [
    "config validation failed",
    "configuration validation failed",
    "invalid configuration",
    "invalid environment",
    "invalid secrets",
    "failed to read config file",
    "failed to read secrets file",
    "failed to parse file",
    "must not be set: unsupported",
    "flag provided but not defined",
    "failed to parse toml",
];

/// What an exit with this code and these [last words](super::last_words) means.
///
/// `exit_code` is the container's: 128 and the signal's number for a killed process. `reason` is the
/// kubelet's. What a process said before it was killed is not why.
#[must_use]
pub fn classify_exit(exit_code: i32, reason: Option<&str>, last_words: Option<&str>) -> ExitKind {
    match (exit_code, reason) {
        (_, Some("OOMKilled")) => return ExitKind::OutOfMemory,
        (0, _) => return ExitKind::CleanStop,
        (137, _) => return ExitKind::Killed,
        // What containerd notes, at its own start, of a container that ran when it was last seen
        // (`internal/cri/server/restart.go`, `loadContainer`). The log that the kubelet adds is that of a node at work.
        (255, Some("Unknown")) => return ExitKind::Unseen,
        _ => {}
    }
    let words = last_words.unwrap_or_default();
    match by_words(words) {
        ExitKind::Unknown => match exit_code {
            // Asked to stop before the node had a handler for it.
            130 | 143 => ExitKind::StoppedStarting,
            // The same where it is the container's first process: the kernel ignores the signal that a Go program then
            // sends itself, and it exits with 2 (`runtime.dieFromSignal`). One that crashes with 2 says so, and one
            // that has got further catches the signal.
            2 if is_silent(words) => ExitKind::StoppedStarting,
            255 if words.is_empty() => ExitKind::StopTimedOut,
            _ => ExitKind::Unknown,
        },
        kind => kind,
    }
}

/// Nothing was said, or only the line right before signals are caught (`core/cmd/shell_local.go`, `runNode`).
fn is_silent(words: &str) -> bool {
    words.is_empty() || words.starts_with("Starting Chainlink Node ")
}

fn by_words(words: &str) -> ExitKind {
    let lower = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|known| lower.contains(known));
    if let Some((application, database)) = older_than_database(words) {
        ExitKind::VersionOlderThanDatabase {
            application,
            database,
        }
    } else if says(&UNREADABLE_TOML) {
        ExitKind::Configuration
    } else if says(&STOPPED_STANDBY) {
        ExitKind::StoppedStandby
    } else if lower.contains(OLD_POSTGRES) {
        ExitKind::PostgresTooOld
    } else if lower.starts_with("shutdown grace period of ") {
        ExitKind::StopTimedOut
    } else if lower.starts_with("another node has taken the ") {
        ExitKind::Deposed
    } else if lower.contains(STOPPED_STARTING) && trouble(words).is_none() {
        ExitKind::StoppedStarting
    } else if says(&["failed to create root directory", "rootdir"]) {
        ExitKind::RootDir
    } else if is_about_a_password_file(&lower) {
        ExitKind::PasswordFile
    } else if says(&CREDENTIALS) {
        ExitKind::Credentials
    } else if says(&CONFIGURATION) {
        ExitKind::Configuration
    } else {
        match trouble(words) {
            // Of its own statements (SQLSTATE 42P05 and 26000, and 08P01 where the pooler itself counts them).
            Some(Trouble::Refuses) if lower.contains("prepared statement") => {
                ExitKind::SessionShared
            }
            Some(Trouble::Refuses) => ExitKind::DatabaseRefused,
            Some(Trouble::Away) => ExitKind::DatabaseAway,
            None => ExitKind::Unknown,
        }
    }
}

/// `error reading password: open /etc/chainlink/credentials/keystore-password: no such file or directory`: what Go says
/// of a file, behind words about a password. A certificate of the database's is told by its own words.
fn is_about_a_password_file(lower: &str) -> bool {
    let says = |any: &[&str]| any.iter().any(|known| lower.contains(known));
    says(&["password", "credentials"])
        && says(&["open /", "open .", "read /", "stat /"])
        && says(&[
            "no such file or directory",
            "permission denied",
            "is a directory",
        ])
        && trouble(lower).is_none()
}

/// `Application version (2.1.1) is older than database version (2.15.0). …` up to 2.1.1,
/// `lower than` from 2.4 on.
fn older_than_database(words: &str) -> Option<(String, String)> {
    let (_, rest) = words.split_once("Application version (")?;
    let (application, rest) = rest.split_once(')')?;
    let (_, rest) = rest.split_once("than database version (")?;
    let (database, _) = rest.split_once(')')?;
    Some((application.to_owned(), database.to_owned()))
}

impl ExitKind {
    /// The exit says nothing against the node, its version or its settings: the same pod is worth
    /// starting again.
    #[must_use]
    pub fn means_nothing(&self) -> bool {
        match self {
            Self::CleanStop
            | Self::StoppedStandby
            | Self::StoppedStarting
            | Self::StopTimedOut
            | Self::DatabaseAway
            | Self::Deposed => true,
            Self::DatabaseRefused
            | Self::SessionShared
            | Self::PostgresTooOld
            | Self::VersionOlderThanDatabase { .. }
            | Self::Configuration
            | Self::Credentials
            | Self::PasswordFile
            | Self::RootDir
            | Self::OutOfMemory
            | Self::Killed
            | Self::Unseen
            | Self::Unknown => false,
        }
    }

    /// The node ended by itself, for a reason of its own: a kill from outside, or an end with its machine, says nothing of
    /// its revision.
    #[must_use]
    pub fn is_its_own(&self) -> bool {
        !self.means_nothing() && !matches!(self, Self::Killed | Self::Unseen)
    }

    /// What is said of a process that could say nothing itself.
    #[must_use]
    pub fn words(&self) -> Option<&'static str> {
        match self {
            Self::OutOfMemory => Some("killed (OOMKilled): raise pod.resources.limits.memory"),
            Self::Killed => Some("killed (SIGKILL)"),
            Self::Unseen => {
                Some("ended unseen: its machine or its container runtime was restarted")
            }
            _ => None,
        }
    }

    /// What to do about it, in one sentence; nothing where there is nothing to do.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::CleanStop
            | Self::StoppedStandby
            | Self::StoppedStarting
            | Self::Deposed
            | Self::OutOfMemory
            | Self::Unseen => None,
            Self::StopTimedOut => Some(
                "Look for what held the database up; the lease it left behind runs out by itself.",
            ),
            Self::DatabaseAway => Some(
                "Check that the database in spec.database.url is up, reachable from the pods and \
                 has connections left; the node is started again by itself.",
            ),
            Self::DatabaseRefused => Some(
                "Check user, password, database name, rights and TLS of the URL in the Secret \
                 that spec.database.url names.",
            ),
            Self::SessionShared => Some(
                "Set the pooler to session mode for this database and user (PgBouncer: pool_mode = session), or have \
                 the URL in the Secret that spec.database.url names lead to the server itself: in transaction mode another \
                 client has the node's prepared statements and its advisory lock.",
            ),
            Self::PostgresTooOld => Some(
                "Upgrade the PostgreSQL server first, or set spec.version back; SKIP_PG_VERSION_CHECK=true in \
                 spec.config.env starts the node all the same.",
            ),
            Self::VersionOlderThanDatabase { .. } => Some(
                "Set spec.version to the database's version or a later one, or restore the backup \
                 that was taken before the upgrade.",
            ),
            Self::Configuration => Some(
                "Correct the setting that the message names, in spec.config or in the Secrets; \
                 `chainlink node -c … -s … validate` checks them without a database.",
            ),
            Self::Credentials => Some(
                "Check the Secrets that spec.credentials names: the keystore password must be the \
                 one the keys were encrypted with, and an empty database needs apiCredentials.",
            ),
            Self::PasswordFile => Some(
                "Check that the Secrets which spec.credentials names have the keys named there, and that the pod's user \
                 may read the file.",
            ),
            Self::RootDir => Some(
                "Leave the root folder to the operator: the node must own it, so it can't be a \
                 mounted volume itself.",
            ),
            Self::Killed => Some(
                "Look at why it did not stop within its grace period, or whether its machine ran out \
                 of memory.",
            ),
            Self::Unknown => Some("Read the pod's previous log for what came before."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(words: &str) -> ExitKind {
        classify_exit(1, None, Some(words))
    }

    #[test]
    fn a_stop_that_was_asked_for_is_no_failure() {
        use ExitKind::{CleanStop, StopTimedOut, StoppedStandby, StoppedStarting};
        for (code, words, expected) in [
            (0, None, CleanStop),
            (0, Some("Exited all services"), CleanStop),
            (
                1,
                Some("opening db: failed to take initial lease on database: stopped"),
                StoppedStandby,
            ),
            (
                1,
                Some("opening db: error acquiring lock: stopped"),
                StoppedStandby,
            ),
            (1, Some("aborting start: context canceled"), StoppedStarting),
            (
                1,
                Some(
                    "error authenticating keystore: unable to get encrypted key ring: context canceled",
                ),
                StoppedStarting,
            ),
            (
                1,
                Some(
                    "fatal error instantiating application: error authenticating keystore: timeout: context canceled",
                ),
                StoppedStarting,
            ),
            (
                1,
                Some(
                    "error creating api initializer: Unable to List users for initialization: context canceled",
                ),
                StoppedStarting,
            ),
            (
                1,
                Some(
                    "opening db: failed to open db: failed to connect to `host=db user=cl database=cl`: dial error (timeout: context canceled)",
                ),
                StoppedStarting,
            ),
            (143, None, StoppedStarting),
            (2, None, StoppedStarting),
            (
                2,
                Some("Starting Chainlink Node 2.29.0 at commit abc"),
                StoppedStarting,
            ),
            (
                255,
                Some("Shutdown grace period of 5s exceeded, closing DB and exiting..."),
                StopTimedOut,
            ),
            (255, None, StopTimedOut),
        ] {
            let kind = classify_exit(code, None, words);
            assert_eq!(kind, expected, "{code} {words:?}");
            assert!(kind.means_nothing(), "{kind:?}");
        }
    }

    #[test]
    fn a_database_out_of_reach_says_nothing_about_the_node() {
        for cause in [
            "dial tcp 10.0.0.7:5432: connect: connection refused",
            "hostname resolving error: lookup db on 10.96.0.10:53: no such host",
            "dial error: dial tcp 10.0.0.7:5432: i/o timeout",
            "dial tcp: connect: no route to host",
            "context deadline exceeded",
            "failed to receive message: unexpected EOF",
            "read tcp 10.1.2.3:41234->10.0.0.7:5432: read: connection reset by peer",
            "server error: FATAL: sorry, too many clients already (SQLSTATE 53300)",
            "server error: FATAL: too many connections for role \"cl\" (SQLSTATE 53300)",
            "server error: FATAL: the database system is starting up (SQLSTATE 57P03)",
            "FATAL: terminating connection due to administrator command (SQLSTATE 57P01)",
            "driver: bad connection",
        ] {
            let words = format!(
                "opening db: failed to take initial lease on database: failed to connect to \
                 `user=cl database=cl`: {cause}"
            );
            assert_eq!(kind(&words), ExitKind::DatabaseAway, "{cause}");
            assert!(kind(&words).means_nothing());
        }
    }

    /// Last words, one a line.
    fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.clone().count() > 5);
        lines
    }

    #[test]
    fn a_pooler_or_proxy_whose_server_is_away_is_a_database_that_is_away() {
        for words in lines(include_str!("../../tests/fixtures/exits/database-away.txt")) {
            assert_eq!(kind(words), ExitKind::DatabaseAway, "{words}");
        }
    }

    #[test]
    fn another_server_out_of_reach_is_not_the_database() {
        for words in lines(include_str!(
            "../../tests/fixtures/exits/not-the-database.txt"
        )) {
            let kind = kind(words);
            assert_eq!(kind, ExitKind::Unknown, "{words}");
            assert!(kind.is_its_own(), "{words}");
            assert!(!kind.advice().unwrap().contains("database"), "{words}");
        }
    }

    #[test]
    fn what_a_pooler_or_server_refuses_needs_a_person() {
        for words in lines(include_str!(
            "../../tests/fixtures/exits/database-refused.txt"
        )) {
            let kind = kind(words);
            let shared = words.contains("prepared statement");
            let expected = if shared {
                ExitKind::SessionShared
            } else {
                ExitKind::DatabaseRefused
            };
            assert_eq!(kind, expected, "{words}");
            assert!(kind.is_its_own() && !kind.means_nothing(), "{words}");
            let advice = kind.advice().unwrap();
            assert_eq!(advice.contains("pool_mode = session"), shared, "{words}");
        }
    }

    #[test]
    fn a_failed_statement_is_neither_away_nor_refused() {
        for words in [
            "initializeORM#Migrate: failed to migrate: ERROR: relation \"jobs\" already exists (SQLSTATE 42P07)",
            "initializeORM#Migrate: failed to migrate: ERROR: canceling statement due to statement timeout (SQLSTATE 57014)",
            "fatal error instantiating application: ERROR: duplicate key value (SQLSTATE 23505)",
            "opening db: out of ideas",
        ] {
            assert_eq!(kind(words), ExitKind::Unknown, "{words}");
        }
    }

    #[test]
    fn a_database_that_refuses_needs_a_person() {
        for cause in [
            "FATAL: password authentication failed for user \"cl\" (SQLSTATE 28P01)",
            "FATAL: database \"cl\" does not exist (SQLSTATE 3D000)",
            "FATAL: no pg_hba.conf entry for host \"10.1.2.3\", user \"cl\" (SQLSTATE 28000)",
            "ERROR: permission denied for schema public (SQLSTATE 42501)",
            "tls error: server refused TLS connection",
            "tls error: x509: certificate signed by unknown authority",
        ] {
            let words = format!("opening db: failed to take initial lease on database: {cause}");
            assert_eq!(kind(&words), ExitKind::DatabaseRefused, "{cause}");
            assert!(!kind(&words).means_nothing());
        }
    }

    #[test]
    fn a_server_that_is_too_old_has_an_advice_of_its_own() {
        for words in [
            "opening db: failed to open db: the minimum required Postgres server version is 15, you are running: 14",
            "opening db: The minimum required Postgres server version is 11, you are running: 10, which is EOL",
        ] {
            assert_eq!(kind(words), ExitKind::PostgresTooOld, "{words}");
        }
        assert!(ExitKind::PostgresTooOld.is_its_own());
        let advice = ExitKind::PostgresTooOld.advice().unwrap();
        assert!(advice.contains("SKIP_PG_VERSION_CHECK=true"), "{advice}");
    }

    #[test]
    fn an_older_version_is_told_in_the_words_of_old_and_new_nodes() {
        let older = ExitKind::VersionOlderThanDatabase {
            application: "2.1.1".to_owned(),
            database: "2.15.0".to_owned(),
        };
        for words in [
            "fatal error instantiating application: CheckVersion: Application version (2.1.1) is \
             older than database version (2.15.0). Only Chainlink 2.15.0 or later can be run on \
             this database",
            "fatal error instantiating application: CheckVersion: Application version (2.1.1) is \
             lower than database version (2.15.0). Only Chainlink 2.15.0 or higher can be run on \
             this database",
        ] {
            assert_eq!(kind(words), older);
        }
        assert!(!older.means_nothing());
    }

    #[test]
    fn what_the_user_must_correct_is_told_apart() {
        use ExitKind::{Configuration, Credentials, RootDir};
        for (words, expected) in [
            (
                "Invalid configuration: invalid configuration: P2P.V2.Enabled: …",
                Configuration,
            ),
            (
                "invalid environment: environment variable ETH_URL must not be set: unsupported",
                Configuration,
            ),
            (
                "invalid secrets: Database.URL: invalid value (*****): too short",
                Configuration,
            ),
            (
                "failed to decode config TOML: strict mode: fields in the document are missing",
                Configuration,
            ),
            (
                "error authenticating keystore: unable to decrypt encrypted key ring: could not decrypt",
                Credentials,
            ),
            ("API credentials must be supplied", Credentials),
            (
                "error creating api initializer: failed to instantiate new user: password insufficiently complex:",
                Credentials,
            ),
            ("error creating fallback initializer: EOF", Credentials),
            (
                "failed to decode config TOML: line 3, RootDirectory: missing field",
                Configuration,
            ),
            (
                "config validation failed: invalid secrets: Database.URL: invalid value (*****): missing or \
                 insufficiently complex password: Faults: password is less than 16 characters long",
                Configuration,
            ),
            ("configuration validation failed: 2 errors", Configuration),
            (
                "failed to create root directory \"/chainlink\": chmod /chainlink: operation not permitted",
                RootDir,
            ),
        ] {
            assert_eq!(kind(words), expected, "{words}");
            assert!(!expected.means_nothing() && expected.advice().is_some());
        }
    }

    #[test]
    fn a_password_file_that_cannot_be_read_is_told_apart_from_a_wrong_password() {
        for words in [
            "error reading password: open /etc/chainlink/credentials/keystore-password: no such file or directory",
            "error reading VRF password from vrfpassword file \"/etc/vrf\": open /etc/vrf: permission denied",
            "error creating api initializer: open /etc/chainlink/credentials/api-credentials: no such file or directory",
        ] {
            assert_eq!(kind(words), ExitKind::PasswordFile, "{words}");
        }
        assert!(ExitKind::PasswordFile.is_its_own());
        let advice = ExitKind::PasswordFile.advice().unwrap();
        assert!(advice.contains("spec.credentials"), "{advice}");
        let wrong = "error authenticating keystore: unable to decrypt encrypted key ring";
        assert_eq!(kind(wrong), ExitKind::Credentials);
    }

    #[test]
    fn a_loser_of_the_lock_is_deposed_whichever_lock_it_was() {
        for lock in ["lease", "advisory lock"] {
            let words = format!("Another node has taken the {lock}, exiting immediately");
            assert_eq!(kind(&words), ExitKind::Deposed);
        }
        assert!(ExitKind::Deposed.means_nothing());
    }

    #[test]
    fn what_is_not_known_is_not_excused() {
        assert_eq!(classify_exit(1, None, None), ExitKind::Unknown);
        assert_eq!(
            classify_exit(2, None, Some("panic: runtime error")),
            ExitKind::Unknown
        );
        assert!(!ExitKind::Unknown.means_nothing());
    }

    #[test]
    fn an_end_with_the_machine_says_nothing_of_the_node() {
        let words = Some("error: call failed: connection refused by the RPC");
        let kind = classify_exit(255, Some("Unknown"), words);
        assert_eq!(kind, ExitKind::Unseen);
        assert!(!kind.is_its_own() && !kind.means_nothing());
        assert_eq!(classify_exit(255, Some("Error"), words), ExitKind::Unknown);
    }

    #[test]
    fn what_a_killed_node_said_before_is_not_why() {
        let words = Some("call failed: dial tcp 10.0.0.9:8545: connect: connection refused");
        assert_eq!(classify_exit(137, Some("Error"), words), ExitKind::Killed);
        assert_eq!(classify_exit(137, None, None), ExitKind::Killed);
        assert!(!ExitKind::Killed.means_nothing() && !ExitKind::Killed.is_its_own());
        assert!(!ExitKind::Killed.advice().unwrap().contains("limits"));
    }

    #[test]
    fn memory_is_advised_only_where_the_kubelet_says_so() {
        for code in [1, 137] {
            let kind = classify_exit(code, Some("OOMKilled"), Some("Exited all services"));
            assert_eq!(kind, ExitKind::OutOfMemory);
            assert!(!kind.means_nothing() && kind.advice().is_none());
        }
    }

    #[test]
    fn advice_is_one_sentence() {
        for words in [
            "opening db: connection refused",
            "API credentials must be supplied",
            "?",
        ] {
            let advice = kind(words).advice().unwrap();
            assert!(advice.ends_with('.') && advice.len() < 200, "{advice}");
        }
    }
}
