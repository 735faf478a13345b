//! Reading a node's log: what one line means, and what the lines of a container add up to.
//!
//! * `line` takes a raw line apart: kubelet's timestamp, level, message, fields.
//! * `read` is the way through both, from a raw line to its meaning.
//! * `meaning` knows the messages, each with its source.
//! * `reader` follows one container's log from its start.
//! * `quoted` knows what stands below the first line of a message, and what of it is never shown.
//! * `words` finds the one line that a person needs after an exit.
//! * `redaction` takes passwords and keys out of what is shown.
//!
//! A message is matched at its start and at its level, never anywhere in the raw line: a job's
//! error that quotes the waiting line is not the waiting line.

mod line;
mod meaning;
mod quoted;
mod read;
mod reader;
mod redaction;
mod words;

use jiff::Timestamp;

use super::lock::LockMode;
use super::version::NodeVersion;

pub(super) use quoted::{in_one_line, is_of_a_quote};
pub use read::read_line;
pub use reader::{LogReader, LogSummary, Milestone};
pub use redaction::redact;
pub use words::{kept_lines, last_line, last_words};
pub(super) use words::{outside_of_help, shortened};

/// One line of a node's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogLine {
    /// When it was written: the prefix that the kubelet adds when asked for timestamps, else the
    /// line's own time, else unknown (plain text has none).
    pub time: Option<Timestamp>,
    /// The version, if this is a line of known meaning that names it.
    pub version: Option<NodeVersion>,
    /// The node's own id (`lease_lock.client_id`), if this is a line of known meaning that names it.
    pub app_id: Option<String>,
    /// What it means.
    pub event: LogEvent,
    /// The message as a person would read it: no time, no level, no source file, no fields, no
    /// passwords.
    pub text: String,
}

/// What one line of a node's log means to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogEvent {
    /// `Starting Chainlink Node 2.18.0 at commit …`.
    Starting {
        /// The version it names, if it is one.
        version: Option<NodeVersion>,
    },
    /// Which lock it is about to take, said at DEBUG only.
    UsesLock(LockMode),
    /// It waits for a lock that another holds (but see [`LogEvent::WaitingDoubtful`]).
    Waiting {
        /// What it waits for.
        lock: WaitingFor,
    },
    /// Its lock's connection broke and it opens another. A standby and an active both print it.
    ConnectionLost,
    /// A transaction failed. Before the lock this shows that the waiting line is a lie: the node
    /// waits because the database refuses it, not because another holds the lock (1.11 to 2.1.1).
    /// After the lock it is an ordinary error.
    WaitingDoubtful {
        /// What the database said.
        reason: String,
    },
    /// It has the lock.
    TookLock {
        /// How the line shows it.
        via: TakeoverSign,
    },
    /// Every service is up.
    Booted,
    /// Its web server listens.
    Listening {
        /// The port.
        port: u16,
    },
    /// It could not refresh its lease this time.
    LeaseRefreshFailed,
    /// Another node took the lock from it; it exits.
    Deposed,
    /// It was asked to stop.
    ShuttingDown,
    /// Anything else.
    Other,
}

/// The lock that a waiting node names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitingFor {
    /// The lease (modes `lease` and `dual`).
    Lease,
    /// The advisory lock (`advisorylock`; `dual` when it has the lease already).
    Advisory,
    /// The advisory lock, in the words of 0.10 to 1.0.
    Legacy,
}

/// How a line shows that the node has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TakeoverSign {
    /// It says so (DEBUG). In `dual` mode the lease is only half of the lock.
    GotLease,
    /// It says so (DEBUG).
    GotAdvisoryLock,
    /// Migrations ran, or none were to run (plain text up to 2.1.1).
    Migrations,
    /// The temporary server of 2.15 and later was started.
    HealthReport,
    /// Another line that only comes after the lock: keys unlocked, services started.
    Boot,
}
