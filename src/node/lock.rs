//! The database lock: the modes a node offers, and which of them keep two nodes apart.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a lease is good for without a refresh, unless it is configured otherwise
/// (`v1.13.3:core/config/envvar/schema.go`, the same in v2).
pub const LEASE_DURATION: Duration = Duration::from_secs(10);

/// How often the active refreshes its lease and a standby tries to get it, ±10 % jitter.
pub const LEASE_REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The key of the advisory lock, `ADVISORY_LOCK_ID` (`v1.13.3:core/config/envvar/schema.go`).
pub const ADVISORY_LOCK_ID: i64 = 1_027_321_974_924_625_846;

/// The variable that gives a node of version 1 another one (`v1.13.3:core/config/envvar/schema.go`).
pub const LOCK_ID_VARIABLE: &str = "ADVISORY_LOCK_ID";

/// How nodes on one database agree on which of them works.
///
/// Chainlink also knows `none`; it lets two nodes work at once and is never offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockMode {
    /// The lease first, then the advisory lock. Versions 1.1 to 1.13 with environment
    /// configuration.
    #[serde(rename = "dual")]
    Dual,
    /// One row in `lease_lock`, refreshed every second. The only mode of TOML configuration.
    #[serde(rename = "lease")]
    Lease,
    /// A session-level advisory lock. The only mode before 1.1.
    #[serde(rename = "advisorylock")]
    Advisory,
}

impl LockMode {
    /// Every mode the operator offers.
    pub const ALL: [Self; 3] = [Self::Dual, Self::Lease, Self::Advisory];

    /// Whether, of two nodes in these modes on one database, one always waits for the other.
    ///
    /// `lease` beside `advisorylock` makes two actives (measured on 1.11.0 beside 2.1.1); a
    /// `dual` node takes both locks, so it waits for either and either waits for it.
    #[must_use]
    pub fn sees(self, other: Self) -> bool {
        self == other || self == Self::Dual || other == Self::Dual
    }

    /// Whether, of two nodes in these modes, the one waits for the other by the advisory lock alone: a node with another
    /// `ADVISORY_LOCK_ID` would not.
    #[must_use]
    pub fn sees_by_the_advisory_lock_alone(self, other: Self) -> bool {
        self.sees(other) && !(self.uses_lease() && other.uses_lease())
    }

    /// Whether, of two nodes in these modes on one database, one always waits for the other, also where a Secret may give
    /// one of them another `ADVISORY_LOCK_ID` (`id_hidden`): then only the lease is sure to keep them apart.
    #[must_use]
    pub fn surely_sees(self, other: Self, id_hidden: bool) -> bool {
        self.sees(other) && !(id_hidden && self.sees_by_the_advisory_lock_alone(other))
    }

    /// The value of `DATABASE_LOCKING_MODE`.
    #[must_use]
    pub fn env_value(self) -> &'static str {
        match self {
            Self::Dual => "dual",
            Self::Lease => "lease",
            Self::Advisory => "advisorylock",
        }
    }

    /// The variable that says how often a node in this mode tries the lock that it waits for first, with environment
    /// configuration (`v1.13.3:core/config/envvar/schema.go`).
    #[must_use]
    pub fn interval_variable(self) -> &'static str {
        match self {
            Self::Dual | Self::Lease => "LEASE_LOCK_REFRESH_INTERVAL",
            Self::Advisory => "ADVISORY_LOCK_CHECK_INTERVAL",
        }
    }

    /// Whether a node in this mode must hold the row in `lease_lock` to be active.
    #[must_use]
    pub fn uses_lease(self) -> bool {
        self != Self::Advisory
    }

    /// Whether a node in this mode must hold the advisory lock to be active.
    #[must_use]
    pub fn uses_advisory(self) -> bool {
        self != Self::Lease
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.env_value())
    }
}

/// A lock mode that is not one of those on offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a lock mode: write `lease`, `dual` or `advisorylock`")]
pub struct UnknownLockMode(String);

impl FromStr for LockMode {
    type Err = UnknownLockMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.env_value() == text)
            .ok_or_else(|| UnknownLockMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::LockMode::{Advisory, Dual, Lease};
    use super::*;

    #[test]
    fn only_lease_beside_advisory_do_not_see_each_other() {
        let blind: Vec<_> = LockMode::ALL
            .into_iter()
            .flat_map(|one| LockMode::ALL.map(|other| (one, other)))
            .filter(|(one, other)| !one.sees(*other))
            .collect();

        assert_eq!(blind, [(Lease, Advisory), (Advisory, Lease)]);
    }

    #[test]
    fn where_an_id_is_hidden_only_the_lease_keeps_two_nodes_apart() {
        let apart = |hidden| {
            LockMode::ALL
                .into_iter()
                .flat_map(|one| LockMode::ALL.map(|other| (one, other)))
                .filter(|(one, other)| one.surely_sees(*other, hidden))
                .count()
        };
        // Of nine pairs lease beside advisory never, and an advisory lock only with the same id.
        assert_eq!((apart(false), apart(true)), (7, 4));
        assert!(Dual.surely_sees(Lease, true) && !Dual.surely_sees(Advisory, true));
    }

    #[test]
    fn dual_needs_both_locks() {
        let needs = LockMode::ALL.map(|mode| (mode, mode.uses_lease(), mode.uses_advisory()));

        assert_eq!(
            needs,
            [
                (Dual, true, true),
                (Lease, true, false),
                (Advisory, false, true)
            ]
        );
    }

    #[test]
    fn names_are_the_same_in_the_spec_and_in_the_environment() {
        for mode in LockMode::ALL {
            let name = serde_json::to_string(&mode).unwrap();

            assert_eq!(name, format!("\"{mode}\""));
            assert_eq!(serde_json::from_str::<LockMode>(&name).unwrap(), mode);
            assert_eq!(mode.env_value().parse(), Ok(mode));
        }
    }

    #[test]
    fn none_is_never_offered() {
        let error = "none".parse::<LockMode>().unwrap_err();

        assert_eq!(
            error.to_string(),
            "`none` is not a lock mode: write `lease`, `dual` or `advisorylock`"
        );
    }
}
