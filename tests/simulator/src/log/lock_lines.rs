//! What the two locks say: the same things, from different places and with different fields.

use super::lines::Line;
use super::sites::{
    ADVISORY, LEASE_CLOSED, LEASE_DEPOSED, LEASE_GOT, LEASE_REFRESH, LEASE_RELEASE, LEASE_TAKING,
    LEASE_WAITING, Site, TRANSACTION,
};
use crate::config::Level;

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
