//! Which version this node is, and what that version does differently. Every `if` about a version is asked here.

use semver::Version;

const UNKNOWN: &str = "SIMULATOR_VERSION must hold the node's semantic version, e.g. 2.18.0";

/// Full commit hashes of versions whose logs are in tests/fixtures/transcripts.
const COMMITS: [(&str, &str); 6] = [
    ("1.11.0", "150ec84611400faa8b841c44ddd084addc01a247"),
    ("1.13.3", "47c02ecbd9f99929f20887e76632e75310635b7e"),
    ("2.1.1", "62875393144d7f8e6dd3ba1b1d887c2f01484c52"),
    ("2.15.0", "883c9f9059c259ca17454703b57521ea9ac166cb"),
    ("2.18.0", "fb7d6e88ea3471909a4f9aa29992ec080bba9057"),
    ("2.29.0", "10bd946f63887e15b6aafb63c0ba5aedd6b1e73f"),
];

/// The families of log texts. A version that was never recorded borrows from the nearest recorded one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Generation {
    V1_11 = 0,
    V1_13 = 1,
    V2_1 = 2,
    V2_15 = 3,
    V2_18 = 4,
    V2_29 = 5,
}

#[derive(Clone, Debug)]
pub(crate) struct NodeVersion {
    pub(crate) semver: Version,
    pub(crate) sha: String,
}

impl NodeVersion {
    pub(crate) fn from_env() -> Result<Self, String> {
        let text = std::env::var("SIMULATOR_VERSION").map_err(|_| UNKNOWN.to_owned())?;
        Self::parse(&text).ok_or_else(|| format!("{UNKNOWN}, not {text:?}"))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Tags have `v` before and `-root` (another user) behind the version.
        let semver = Version::parse(text.trim_start_matches('v').trim_end_matches("-root")).ok()?;
        let known = COMMITS
            .iter()
            .find(|(version, _)| *version == semver.to_string());
        let sha = known.map_or_else(|| invented_sha(text), |(_, sha)| (*sha).to_owned());
        Some(Self { semver, sha })
    }

    pub(crate) fn short_sha(&self) -> &str {
        &self.sha[..7]
    }

    fn at_least(&self, major: u64, minor: u64) -> bool {
        (self.semver.major, self.semver.minor) >= (major, minor)
    }

    pub(crate) fn generation(&self) -> Generation {
        match (self.semver.major, self.semver.minor) {
            (0, _) | (1, 0..13) => Generation::V1_11,
            (1, _) => Generation::V1_13,
            (2, 0..4) => Generation::V2_1,
            (2, 4..17) => Generation::V2_15,
            (2, 17..29) => Generation::V2_18,
            _ => Generation::V2_29,
        }
    }

    pub(crate) fn is_v1(&self) -> bool {
        self.semver.major < 2
    }

    /// v1.10 to v1.13 take TOML instead of environment variables; earlier ones know only the latter.
    pub(crate) fn knows_toml(&self) -> bool {
        self.at_least(1, 10)
    }

    pub(crate) fn knows_cl_config(&self) -> bool {
        self.at_least(1, 13)
    }

    /// `DATABASE_LOCKING_MODE` when unset: `advisorylock` to v1.2, `dual` from v1.3 (`core/config/schema.go`).
    pub(crate) fn default_locking_mode(&self) -> &'static str {
        if self.at_least(1, 3) {
            "dual"
        } else {
            "advisorylock"
        }
    }

    /// `Exited all services`, which 2.29 says no more.
    pub(crate) fn says_when_all_services_are_closed(&self) -> bool {
        self.generation() < Generation::V2_29
    }

    /// The `version=` field; 1.11 has it in `logger=`, 2.1.1 nowhere.
    pub(crate) fn logs_version_field(&self) -> bool {
        !matches!(self.generation(), Generation::V1_11 | Generation::V2_1)
    }

    /// `goose: …` and `OK 0001_….sql` lines, and an ERROR line behind each waiting line that is a lie.
    pub(crate) fn logs_migrations(&self) -> bool {
        !self.at_least(2, 2)
    }

    pub(crate) fn logs_swallowed_errors(&self) -> bool {
        !self.at_least(2, 2)
    }

    /// A temporary server during version check, backup and migrations; `/health` 204, the rest 404.
    pub(crate) fn has_startup_health_report(&self) -> bool {
        self.at_least(2, 15)
    }

    /// 2.4 to 2.14: the temporary server runs during the upgrade backup only.
    pub(crate) fn has_backup_health_report(&self) -> bool {
        self.at_least(2, 4) && !self.at_least(2, 15)
    }

    /// `Listening … on 0.0.0.0:6688` instead of `on port 6688`.
    pub(crate) fn listening_line_has_address(&self) -> bool {
        self.at_least(2, 15)
    }

    /// `CheckVersion` says `lower … or higher` from 2.4 on, `older … or later` before.
    pub(crate) fn check_version_text(&self, database: &Version) -> String {
        let app = &self.semver;
        let (below, above) = if self.at_least(2, 4) {
            ("lower", "higher")
        } else {
            ("older", "later")
        };
        format!(
            "Application version ({app}) is {below} than database version ({database}). \
             Only Chainlink {database} or {above} can be run on this database"
        )
    }

    pub(crate) fn may_skip_version_check(&self) -> bool {
        self.at_least(2, 29)
    }

    /// 2.30 moved the lock, the version check and the migration before `Starting Chainlink Node`, and the validation
    /// of the configuration behind them (read, not measured).
    pub(crate) fn locks_before_starting(&self) -> bool {
        self.at_least(2, 30)
    }

    /// What stands before an error of the version check, the backup or the migrations (from 2.30 on: read).
    pub(crate) fn before_the_database_was_prepared(&self) -> &'static str {
        if self.locks_before_starting() {
            "failed to handle node versioning"
        } else {
            "fatal error instantiating application"
        }
    }

    /// The command line prints the help of a command whose hook has failed (from 2.30 on, where the hook takes the lock and
    /// migrates: read).
    pub(crate) fn helps_where_its_hook_fails(&self) -> bool {
        self.locks_before_starting()
    }

    /// The oldest server that it starts on: 15 from 2.66 on (its release notes), 12 in effect before.
    pub(crate) fn oldest_postgres(&self) -> u32 {
        if self.at_least(2, 66) { 15 } else { 12 }
    }

    /// `validate` ends with more words: by October 2026 (release 2.66 and later; which was the first is not known).
    pub(crate) fn validate_summary(&self) -> &'static str {
        if self.at_least(2, 66) {
            "Error running app: configuration validation failed: invalid configuration"
        } else {
            "invalid configuration"
        }
    }

    /// Which file could not be read as TOML is said up to 2.1 (`core/cmd/app.go`), and not in 2.23.
    pub(crate) fn with_the_file(&self, what: &str, error: String) -> String {
        if self.at_least(2, 2) {
            error
        } else {
            format!("failed to parse {what}: {error}")
        }
    }

    /// From 2.30 on a command's hook gives the lock back, which the command line does not run once a command has failed
    /// (`HandleExitCoder` of urfave/cli ends the process; read, not measured).
    pub(crate) fn leaves_its_lock_at_a_failed_boot(&self) -> bool {
        self.locks_before_starting()
    }

    /// The keystore is unlocked where the application is made (read in `core/cmd/shell.go` of 2.23.0, not in that of
    /// 2.1.1), so that its errors have those words before them.
    pub(crate) fn unlocks_in_the_factory(&self) -> bool {
        self.at_least(2, 23)
    }

    /// 2.x refuses to start when its root folder cannot be made or chmodded.
    pub(crate) fn insists_on_root_dir(&self) -> bool {
        !self.is_v1()
    }

    /// `config validate` of 1.11.0 reports semantic errors and exits 0.
    pub(crate) fn validate_exits_zero(&self) -> bool {
        self.semver == Version::new(1, 11, 0)
    }

    /// SIGTERM in the middle of a refresh that hangs: exit 0 at once, and the lease stays (measured on 2.23.0 and 2.29.0).
    pub(crate) fn loses_the_release_in_a_refresh(&self) -> bool {
        self.at_least(2, 23)
    }

    /// From 2.30 on it catches signals as a node only when it is one: what waits or migrates ends without a word (read).
    pub(crate) fn tells_of_a_stop_while_it_waits(&self) -> bool {
        !self.locks_before_starting()
    }

    /// 207 for a failing service from 2.9 on; 200 always before.
    pub(crate) fn health_can_answer_207(&self) -> bool {
        self.at_least(2, 9)
    }

    /// 2.1 to 2.18 answer `/readyz` 200 whatever the services say.
    pub(crate) fn readyz_ignores_services(&self) -> bool {
        self.at_least(2, 1) && !self.at_least(2, 19)
    }

    pub(crate) fn max_open_conns(&self) -> u32 {
        if self.at_least(2, 11) { 100 } else { 20 }
    }

    /// The newest migration this version brings. Measured: 153, 160, 168 and 247; the others are invented between.
    pub(crate) fn migrations(&self) -> u32 {
        let minor = u32::try_from(self.semver.minor)
            .unwrap_or(u32::MAX)
            .min(1000);
        match self.semver.major {
            0 => 80,
            1 => match minor {
                0..11 => 130 + minor,
                11 => 153,
                12 => 155,
                _ => 160,
            },
            2 => match minor {
                0 => 164,
                1 => 168,
                2..=15 => 168 + (minor - 1) * 79 / 14,
                _ => 247 + (minor - 15) * 3,
            },
            _ => 400,
        }
    }
}

/// Forty hexadecimal digits that depend on the version only.
fn invented_sha(version: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in version.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!(
        "{hash:016x}{:016x}{:08x}",
        hash.rotate_left(21),
        hash.rotate_left(43) >> 32
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn version(text: &str) -> NodeVersion {
        NodeVersion::parse(text).unwrap()
    }

    #[test]
    fn a_sha_has_forty_digits() {
        assert_eq!(version("2.23.0").sha.len(), 40);
        assert_eq!(version("2.18.0").short_sha(), "fb7d6e8");
    }

    #[test]
    fn check_version_speaks_as_the_version_does() {
        let database = Version::new(2, 15, 0);
        assert_eq!(
            version("2.1.1").check_version_text(&database),
            "Application version (2.1.1) is older than database version (2.15.0). \
             Only Chainlink 2.15.0 or later can be run on this database"
        );
        assert!(
            version("2.10.0")
                .check_version_text(&database)
                .contains("lower")
        );
    }

    #[test]
    fn migrations_never_decrease() {
        let all = [
            "1.10.0", "1.11.0", "1.13.3", "2.0.0", "2.1.1", "2.10.0", "2.15.0", "2.18.0", "2.40.0",
        ];
        let counts: Vec<u32> = all.iter().map(|v| version(v).migrations()).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!((counts[1], counts[4], counts[6]), (153, 168, 247));
    }
}
