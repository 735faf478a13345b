//! Names and times of the model: pods, revisions and checks by number, and how long ago something was.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::check::TRIES;
use super::kind::{KINDS, Kind};
use crate::api::{Migrated, RevisionName, Validation, ValidationState};
use crate::domain::{PodId, Revision};
use crate::plan::moves::pod_name;
use crate::plan::rules::oneshot::validate;

pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-01-01T12:00:00Z".parse().unwrap());

pub static NODE: LazyLock<PodId> = LazyLock::new(|| PodId {
    name: "cl".to_owned(),
    uid: "7".to_owned(),
});

/// Names by number. Number 0 is every pod that is gone.
pub static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let made = (1..16).map(|no| pod_name(&NODE, no));
    std::iter::once("gone".to_owned()).chain(made).collect()
});

pub static REVISIONS: LazyLock<Vec<Revision>> =
    LazyLock::new(|| KINDS.iter().map(Kind::revision).collect());

/// The names of the pods that check, by revision and try.
pub static CHECKS: LazyLock<Vec<(u8, u8, String)>> = LazyLock::new(|| {
    let kinds = (0..).zip(&KINDS).filter(|(_, kind)| kind.valid.is_some());
    kinds
        .flat_map(|(kind, _)| (1..=TRIES).map(move |attempt| (kind, attempt)))
        .map(|(kind, attempt)| {
            let validation = validation(kind, attempt, ValidationState::Pending);
            (kind, attempt, validate::pod_name(&NODE, &validation))
        })
        .collect()
});

pub fn validation(kind: u8, attempt: u8, state: ValidationState) -> Validation {
    Validation {
        revision: revision(kind).name.clone(),
        attempt: attempt.into(),
        state,
        message: None,
        silent: 0,
        again: None,
    }
}

/// Revision and try of a pod that checks.
pub fn check_of(name: &str) -> (u8, u8) {
    let found = CHECKS.iter().find(|(_, _, known)| known == name);
    let (kind, attempt, _) = found.expect("a check of the model");
    (*kind, *attempt)
}

pub fn revision(kind: u8) -> &'static Revision {
    &REVISIONS[usize::from(kind)]
}

pub fn name(no: u8) -> &'static str {
    &NAMES[usize::from(no)]
}

pub fn number(name: &str) -> u8 {
    let place = NAMES.iter().position(|known| known == name);
    u8::try_from(place.expect("a pod of the model")).unwrap()
}

pub fn kind_of(revision: &RevisionName) -> u8 {
    let place = REVISIONS.iter().position(|known| known.name == *revision);
    u8::try_from(place.expect("a revision of the model")).unwrap()
}

/// How long ago, as far as the planner makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ago {
    Moment,
    /// Longer than `settle`.
    Seconds,
    /// Longer than `LOST`, `RESCUE` and `BACKOFF`.
    HalfMinute,
    /// Longer than the standby timeout and `SUSPECTED`.
    TenMinutes,
}

impl Ago {
    pub fn at(self) -> Timestamp {
        *NOW - SignedDuration::from_secs(match self {
            Self::Moment => 1,
            Self::Seconds => 8,
            Self::HalfMinute => 60,
            Self::TenMinutes => 7200,
        })
    }

    pub fn of(at: Timestamp) -> Self {
        match NOW.duration_since(at).as_secs() {
            ..5 => Self::Moment,
            5..15 => Self::Seconds,
            15..600 => Self::HalfMinute,
            _ => Self::TenMinutes,
        }
    }
}

/// Between what was before something and what was after it.
pub const AFTER_WHAT_WAS_BEFORE: Duration = Duration::from_millis(2500);

pub fn version_text(version: u8) -> String {
    format!("{}.0.0", version + 1)
}

pub fn version_number(text: &str) -> u8 {
    let (major, _) = text.split_once('.').unwrap();
    major.parse::<u8>().unwrap() - 1
}

pub fn uid(no: u8) -> String {
    format!("uid-{}", name(no))
}

pub fn number_of_uid(uid: &str) -> u8 {
    number(uid.strip_prefix("uid-").unwrap())
}

/// How far a version migrates the database.
pub fn schema(version: u8) -> Migrated {
    Migrated {
        highest: version.into(),
        applied: version.into(),
        columns: version.into(),
    }
}
