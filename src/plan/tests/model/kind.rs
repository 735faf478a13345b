//! The revisions of the walks, and what becomes of their pods.

use crate::domain::{Lock, Revision};

/// What becomes of a pod of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Good,
    /// Its image does not exist.
    NoImage,
    /// It exits before it asks for the lock.
    CrashesBefore,
    /// It waits like any other, and exits when it has the lock.
    CrashesAfter,
    /// It takes over like any other, serves, and then exits; again and again.
    CrashesServing,
    /// It says that it waits, and can't win (a server that is read-only for it).
    Lies,
    /// The same, and its log does not show it: only the database can tell.
    LiesSilently,
}

impl Nature {
    /// Whether its waiting line is no waiting.
    pub fn lies(self) -> bool {
        matches!(self, Self::Lies | Self::LiesSilently)
    }
}

/// Revisions by index. The version counts up; two that have no lock in common do not see each other.
pub struct Kind {
    pub name: &'static str,
    pub version: u8,
    pub lock: u8,
    pub nature: Nature,
    /// A temporary server answers between its lock and its own server (2.15 and later).
    pub answers_early: bool,
    /// What the node's own check says of its configuration; `None` where there is no check.
    pub valid: Option<bool>,
}

const fn kind(name: &'static str, version: u8, lock: u8, nature: Nature) -> Kind {
    Kind {
        name,
        version,
        lock,
        nature,
        answers_early: false,
        valid: None,
    }
}

impl Kind {
    const fn answers_early(mut self) -> Self {
        self.answers_early = true;
        self
    }

    const fn checked(mut self, valid: bool) -> Self {
        self.valid = Some(valid);
        self
    }
}

pub const OLD: u8 = 0;
pub const OLD_CONFIGURED: u8 = 1;
pub const NEW: u8 = 2;
pub const NEW_NO_IMAGE: u8 = 3;
pub const NEW_CRASHES: u8 = 4;
pub const NEW_CRASHES_LATE: u8 = 5;
pub const CONFIG_CRASHES_LATE: u8 = 6;
pub const NEW_LIES: u8 = 7;
pub const OTHER_LOCK: u8 = 8;
pub const NEWEST: u8 = 9;
pub const NEW_LIES_SILENTLY: u8 = 10;
pub const BOTH_LOCKS: u8 = 11;
pub const NEW_CRASHES_SERVING: u8 = 12;
pub const CONFIG_CRASHES_SERVING: u8 = 13;
pub const NEW_CHECKED: u8 = 14;
pub const NEW_REFUSED: u8 = 15;
pub const NEW_ANSWERS_EARLY: u8 = 16;
pub const CONFIG_ANSWERS_AND_CRASHES: u8 = 17;
pub const NEW_ANSWERS_AND_CRASHES: u8 = 18;

/// The locks that a pod takes, all of them.
pub const LEASE: u8 = 1;
pub const ADVISORY: u8 = 2;

pub const KINDS: [Kind; 19] = [
    kind("old", 1, LEASE, Nature::Good),
    kind("old-configured", 1, LEASE, Nature::Good),
    kind("new", 2, LEASE, Nature::Good),
    kind("new-no-image", 2, LEASE, Nature::NoImage),
    kind("new-crashes", 2, LEASE, Nature::CrashesBefore),
    kind("new-crashes-late", 2, LEASE, Nature::CrashesAfter),
    kind("config-crashes-late", 1, LEASE, Nature::CrashesAfter),
    kind("new-lies", 2, LEASE, Nature::Lies),
    kind("other-lock", 1, ADVISORY, Nature::Good),
    kind("newest", 3, LEASE, Nature::Good),
    kind("new-lies-silently", 2, LEASE, Nature::LiesSilently),
    kind("both-locks", 1, LEASE | ADVISORY, Nature::Good),
    kind("new-crashes-serving", 2, LEASE, Nature::CrashesServing),
    kind("config-crashes-serving", 1, LEASE, Nature::CrashesServing),
    kind("new-checked", 2, LEASE, Nature::Good).checked(true),
    kind("new-refused", 2, LEASE, Nature::Good).checked(false),
    kind("new-answers-early", 2, LEASE, Nature::Good).answers_early(),
    kind("config-answers-and-crashes", 1, LEASE, Nature::CrashesAfter).answers_early(),
    kind("new-answers-and-crashes", 2, LEASE, Nature::CrashesAfter).answers_early(),
];

impl Kind {
    pub fn revision(&self) -> Revision {
        Revision {
            name: self.name.into(),
            version: super::names::version_text(self.version).parse().unwrap(),
            lock: Lock::read(match self.lock {
                LEASE => "lease db",
                ADVISORY => "advisorylock db",
                _ => "dual db",
            }),
            lock_id_hidden: false,
            lease: None,
            validates: self.valid.is_some(),
            any_postgres: false,
        }
    }
}
