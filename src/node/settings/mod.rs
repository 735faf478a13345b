//! The settings that the operator needs in a node, and what of the user's would contradict them.
//!
//! * `own`: what the operator sets, in either style of configuration.
//! * `reserved`: environment variables that a user may not set.
//! * `backup`: whether the node dumps its database before it migrates it.
//! * `p2p`: the port for peers, where the operator is asked for it.
//! * `toml_check`, `environment_check`, `lease_check`: what is wrong with the user's own settings.
//!
//! The user's text is never edited. What the operator sets is applied after it.

mod backup;
mod duration;
mod environment_check;
mod lease_check;
mod own;
mod p2p;
mod reserved;
mod toml_check;

pub use backup::{backup_off_by_files, backup_off_by_variables};
pub use environment_check::{check_environment, check_environment_value};
pub use lease_check::{check_lease_times, sets_lease_times};
pub use own::{HTTP_PORT, HTTPS_PORT, LeaseTimes, OperatorSettings, ROOT_DIR, ROOT_MOUNT};
pub use p2p::{P2P_PORT, PeerAddress};
pub use reserved::reserved_variable;
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

/// Log levels that still print the waiting line, which the node prints at INFO.
fn shows_waiting_line(level: &str) -> bool {
    matches!(level.to_ascii_lowercase().as_str(), "" | "debug" | "info")
}
