//! The settings that the operator needs in a node, and what of the user's would contradict them.
//!
//! * `fixed`: the ports and the root folder, which are the same in every node.
//! * `own`: what the operator sets, in either style of configuration.
//! * `reserved`: environment variables that a user may not set.
//! * `backup`: whether the node dumps its database before it migrates it.
//! * `dump`: where that dump is written.
//! * `grace`: how long the node may take to stop.
//! * `https`: whether the node serves HTTPS, and from where.
//! * `said`: what the user's files or variables say of one setting in the end.
//! * `p2p`: the port for peers, where the operator is asked for it.
//! * `toml_check`, `last_check`, `environment_check`, `lease_check`: what is wrong with the user's own settings.
//!
//! The user's text is never edited. What the operator sets is applied after it.

mod backup;
mod dump;
mod duration;
mod environment_check;
mod fixed;
mod grace;
mod https;
mod last_check;
mod lease_check;
mod own;
mod p2p;
mod reserved;
mod said;
mod toml_check;

pub use backup::{backup_off_by_files, backup_off_by_variables};
pub use dump::{dump_folder, dump_must_fit};
pub use duration::parse as go_duration;
pub use environment_check::{check_environment, check_environment_value};
pub use fixed::{HTTP_PORT, HTTPS_PORT, ROOT_DIR, ROOT_MOUNT};
pub use grace::{AFTER_THE_GRACE, end_with_telemetry, grace_name, own_grace};
pub use https::{TlsFiles, check_https, serves_https, tls_files};
pub use last_check::check_last;
pub use lease_check::{check_lease_times, refresh_interval, sets_lease_times};
pub use own::{LeaseTimes, OperatorSettings};
pub use p2p::{P2P_PORT, PeerAddress, unreached_peers};
pub use reserved::{reserved_variable, secret_variable, skips_postgres_check};
pub use said::{More, Settings};
pub use toml_check::{check_toml, sets_tls};

/// Something about a user's settings that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// It can't run like this. Says what to write instead.
    Refused(String),
    /// It runs, but the operator's value wins. Says which.
    Overridden(String),
}

impl Finding {
    /// The sentence for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(message) | Self::Overridden(message) => message,
        }
    }

    /// Whether the settings can't run like this.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Nobody waits longer for a node to stop; without a bound a typing error of hours would hold up every handover.
const LONGEST_GRACE: std::time::Duration = std::time::Duration::from_secs(3600 - 15);

/// Log levels that still print the waiting line, which the node prints at INFO.
fn shows_waiting_line(level: &str) -> bool {
    matches!(level.to_ascii_lowercase().as_str(), "" | "debug" | "info")
}
