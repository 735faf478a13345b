//! What the node was configured to do, resolved from v1's environment variables or from TOML.
//!
//! v1.10 to v1.13 take one or the other, v2 takes TOML only. Reading (syntax, types) and validating (meaning) are
//! apart, because from 2.30 on the node validates only after it has won the lock.

mod duration;
mod env;
mod legacy;
mod tables;
mod validate;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::version::NodeVersion;

pub(crate) use duration::{parse as parse_duration, print as print_duration};

/// `DATABASE_LOCKING_MODE` to v1.13, `[Database.Lock] Enabled` with TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    Dual,
    Lease,
    Advisory,
    None,
}

impl LockMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dual => "dual",
            Self::Lease => "lease",
            Self::Advisory => "advisorylock",
            Self::None => "none",
        }
    }

    pub(crate) fn uses_lease(self) -> bool {
        matches!(self, Self::Dual | Self::Lease)
    }

    pub(crate) fn uses_advisory(self) -> bool {
        matches!(self, Self::Dual | Self::Advisory)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Crit,
    Fatal,
}

impl Level {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "crit" | "dpanic" | "panic" => Self::Crit,
            "fatal" => Self::Fatal,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the switches of the node, one each"
)]
pub(crate) struct Config {
    pub(crate) root_dir: String,
    pub(crate) database_url: String,
    pub(crate) keystore_password: Option<String>,
    pub(crate) log_level: Level,
    pub(crate) log_json: bool,
    pub(crate) http_port: u16,
    pub(crate) https_port: u16,
    /// The files of the certificate and its key, where both are named.
    pub(crate) certificate: Option<(String, String)>,
    pub(crate) lock_mode: LockMode,
    pub(crate) lease_duration: Duration,
    pub(crate) lease_refresh: Duration,
    pub(crate) advisory_check: Duration,
    pub(crate) advisory_id: i64,
    /// `None` when backups are off; otherwise whether one is due on a version upgrade.
    pub(crate) backup_on_upgrade: Option<bool>,
    pub(crate) migrate: bool,
    pub(crate) shutdown_grace: Duration,
    /// v1 environment configuration with `EVM_ENABLED=false`: `/readyz` is always 503 (measured).
    pub(crate) evm_off_by_env: bool,
    pub(crate) prometheus_token: Option<String>,
    /// Read from TOML: other keys are legal, other rules hold.
    pub(crate) from_toml: bool,
    pub(crate) simple_passwords: bool,
    /// Lines to log at ERROR before the start (an unreadable v1 duration falls back to its default).
    pub(crate) complaints: Vec<String>,
    /// What `config validate` and the DEBUG log print.
    pub(crate) input: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root_dir: "~/.chainlink".to_owned(),
            database_url: String::new(),
            keystore_password: None,
            log_level: Level::Info,
            log_json: false,
            http_port: 6688,
            https_port: 6689,
            certificate: None,
            lock_mode: LockMode::Lease,
            lease_duration: Duration::from_secs(10),
            lease_refresh: Duration::from_secs(1),
            advisory_check: Duration::from_secs(1),
            advisory_id: 1_027_321_974_924_625_846,
            backup_on_upgrade: None,
            migrate: true,
            shutdown_grace: Duration::from_secs(5),
            evm_off_by_env: false,
            prometheus_token: None,
            from_toml: true,
            simple_passwords: false,
            complaints: Vec::new(),
            input: String::new(),
        }
    }
}

impl Config {
    /// Reads all sources. An error is the end of the node, before the lock in every version.
    pub(crate) fn read(cli: &Cli, version: &NodeVersion) -> Result<Self, Exit> {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let toml_wanted = !cli.config.is_empty()
            || !cli.secrets.is_empty()
            || (version.knows_cl_config() && environment.contains_key("CL_CONFIG"));
        if version.is_v1() && !(version.knows_toml() && toml_wanted) {
            return env::read(&environment, version)
                .map_err(|error| Exit::failed(format!("config validation failed: {error}")));
        }
        tables::read(cli, &environment, version).map_err(|error| not_running(&error, version))
    }

    /// Everything a real node says about a configuration that reads well and makes no sense.
    fn problems(&self, version: &NodeVersion) -> Result<(), String> {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let errors = validate::errors(self, version, &environment);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(error_list(&errors))
        }
    }

    /// As a start checks it, with the keystore password of its `-p` file (`runNode` of `core/cmd/shell_local.go`).
    pub(crate) fn validate(&self, version: &NodeVersion, password: &str) -> Result<(), Exit> {
        let with_password = Self {
            keystore_password: Some(password.to_owned()),
            ..self.clone()
        };
        with_password
            .problems(version)
            .map_err(|problems| Exit::failed(format!("config validation failed: {problems}")))
    }

    /// `RootDir` with `~` resolved.
    pub(crate) fn root_path(&self) -> std::path::PathBuf {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/home/chainlink".to_owned());
        match self.root_dir.strip_prefix('~') {
            Some(rest) => format!("{home}{rest}").into(),
            None => self.root_dir.clone().into(),
        }
    }
}

/// What ends the program before any of its commands (`core/main.go`): logged in 1.x, printed from 2.0 on.
fn not_running(error: &str, version: &NodeVersion) -> Exit {
    let words = format!("Error running app: {error}");
    Exit::failed(if version.is_v1() {
        crate::log::go_plain(&words)
    } else {
        words
    })
}

/// `MultiErrorList` of chainlink-common's `pkg/config/error.go`.
pub(super) fn error_list(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|error| format!("\n\t- {error}")).collect();
            format!("{} errors:{}", many.len(), lines.concat())
        }
    }
}

/// `node … validate` and `config validate`: no lock, no database; the answer is on stdout.
pub(crate) fn validate_command(cli: &Cli, version: &NodeVersion) -> u8 {
    let checked = Config::read(cli, version).map(|config| {
        println!(
            "# Secrets:\n[Database]\nURL = 'xxxxx'\n\n# Input Configuration:\n{}",
            config.input
        );
        config.problems(version)
    });
    match checked {
        Ok(Ok(())) => {
            println!("Valid configuration.");
            0
        }
        // `configExitErr` of `core/cmd/shell.go`.
        Ok(Err(problems)) => {
            println!("Invalid configuration: {problems}\n");
            if version.validate_exits_zero() {
                return 0;
            }
            Exit::failed(version.validate_summary()).print();
            1
        }
        Err(unreadable) => {
            unreadable.print();
            unreadable.code
        }
    }
}
