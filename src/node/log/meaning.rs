//! The messages that matter, and what they mean.
//!
//! Each is matched at the start of the message and at the level the node prints it at. Measured
//! on 1.11.0, 1.13.3, 2.0.0, 2.1.0, 2.1.1, 2.10.0, 2.15.0, 2.18.0 and 2.23.0, except the words of
//! 0.10 to 1.0, which were read in `core/store/orm/locking_strategies.go`.

use super::line::{Entry, Level, Shape};
use super::{LogEvent, TakeoverSign, WaitingFor, redact};

/// What an entry means.
pub(super) fn event_of(entry: &Entry<'_>) -> LogEvent {
    let message = entry.message.as_ref();
    match (&entry.shape, entry.level) {
        (Shape::Console { .. } | Shape::Json(_), Some(level)) => of_the_node(level, message),
        (Shape::GoLog, _) => of_migrations(message),
        _ => LogEvent::Other,
    }
}

fn of_the_node(level: Level, message: &str) -> LogEvent {
    match level {
        Level::Debug => debug(message),
        Level::Info => info(message),
        Level::Warn if message.starts_with("DB connection was unexpectedly closed") => {
            LogEvent::ConnectionLost
        }
        Level::Error => error(message),
        Level::Fatal if message.starts_with("Another node has taken the ") => LogEvent::Deposed,
        Level::Warn | Level::Fatal => LogEvent::Other,
    }
}

fn debug(message: &str) -> LogEvent {
    if let Some(mode) = message.strip_prefix("Using database locking mode: ") {
        return mode
            .trim()
            .parse()
            .map_or(LogEvent::Other, LogEvent::UsesLock);
    }
    let via = if message.starts_with("Got exclusive lease on database") {
        TakeoverSign::GotLease
    } else if message.starts_with("Got advisory lock") {
        TakeoverSign::GotAdvisoryLock
    } else {
        return LogEvent::Other;
    };
    LogEvent::TookLock { via }
}

/// What a waiting node says. Its standby in `dual` mode says the first, or the second when it has
/// got the lease and not the advisory lock.
const WAITING: [(&str, WaitingFor); 4] = [
    (
        "Another application is currently holding the database lease",
        WaitingFor::Lease,
    ),
    (
        "Another application holds the advisory lock, waiting",
        WaitingFor::Advisory,
    ),
    ("Could not get lock, retrying", WaitingFor::Legacy),
    ("Still waiting for lock", WaitingFor::Legacy),
];

/// What is only said after the lock, in the order of a boot.
const AFTER_THE_LOCK: [(&str, TakeoverSign); 8] = [
    ("Starting StartUpHealthReport", TakeoverSign::HealthReport),
    (
        "StartUpHealthReport shutdown complete",
        TakeoverSign::HealthReport,
    ),
    (
        "Nurse service (automatic pprof profiling)",
        TakeoverSign::Boot,
    ),
    ("DatabaseBackup: ", TakeoverSign::Boot),
    ("Created P2P key with ID ", TakeoverSign::Boot),
    ("Created CSA key with ID ", TakeoverSign::Boot),
    ("Unlocked ", TakeoverSign::Boot),
    ("API exposed for user ", TakeoverSign::Boot),
];

fn info(message: &str) -> LogEvent {
    if let Some(rest) = message.strip_prefix("Starting Chainlink Node ") {
        let version = rest.split(' ').next().and_then(|text| text.parse().ok());
        return LogEvent::Starting { version };
    }
    if let Some(lock) = starts_with_one_of(message, &WAITING) {
        return LogEvent::Waiting { lock };
    }
    if let Some(via) = starts_with_one_of(message, &AFTER_THE_LOCK) {
        return LogEvent::TookLock { via };
    }
    if message.starts_with("Chainlink booted in ") {
        return LogEvent::Booted;
    }
    // `on port 6688` up to 2.1.1, `on 0.0.0.0:6688` from 2.15 on.
    if let Some(place) = message.strip_prefix("Listening and serving HTTP on ") {
        let port = place
            .rsplit([' ', ':'])
            .next()
            .and_then(|port| port.parse().ok());
        return port.map_or(LogEvent::Other, |port| LogEvent::Listening { port });
    }
    if message.starts_with("Shutting down due to ") || message.starts_with("Gracefully exiting") {
        return LogEvent::ShuttingDown;
    }
    LogEvent::Other
}

fn error(message: &str) -> LogEvent {
    if let Some(reason) = message.strip_prefix("Error in transaction, rolling back: ") {
        return LogEvent::WaitingDoubtful {
            reason: redact(reason.trim()),
        };
    }
    if message.starts_with("Error trying to refresh database lease") {
        return LogEvent::LeaseRefreshFailed;
    }
    LogEvent::Other
}

/// `goose: no migrations to run. …` or `OK    0168_name.sql`, in plain text.
fn of_migrations(message: &str) -> LogEvent {
    let ran = message.strip_prefix("OK ").is_some_and(|rest| {
        rest.trim_start()
            .split_once('_')
            .is_some_and(|(number, _)| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
    });
    if ran || message.starts_with("goose: ") {
        return LogEvent::TookLock {
            via: TakeoverSign::Migrations,
        };
    }
    LogEvent::Other
}

fn starts_with_one_of<T: Copy>(message: &str, table: &[(&str, T)]) -> Option<T> {
    table
        .iter()
        .find(|(start, _)| message.starts_with(start))
        .map(|(_, meaning)| *meaning)
}
