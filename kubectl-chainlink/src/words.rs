//! Times, lengths and states as people read them.

use chainlink_operator::api::{ChainlinkNode, ChainlinkNodeStatus};
use chainlink_operator::domain::Applied;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::out::{Tone, Word};

/// How long ago, as kubectl has it: two units at most.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, minutes) if minutes < 10 => format!("{minutes}m{rest}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) if days < 10 => format!("{days}d{hours}h"),
        (days, ..) => format!("{days}d"),
    }
}

/// The time itself, and how long ago that is.
pub fn when(then: Timestamp, now: Timestamp) -> String {
    format!(
        "{} ({} ago)",
        then.strftime("%Y-%m-%d %H:%M:%SZ"),
        ago(then, now)
    )
}

/// The version that is wanted: that of the spec, or of the release that was applied in its place.
pub fn wanted_version(node: &ChainlinkNode) -> String {
    let applied = Applied::of(node);
    let applied = applied.release().map(|release| release.version.clone());
    applied.unwrap_or_else(|| node.spec.version.clone())
}

/// The condition of this type.
pub fn condition<'a>(status: &'a ChainlinkNodeStatus, kind: &str) -> Option<&'a Condition> {
    let mut all = status.conditions.iter();
    all.find(|one| one.type_ == kind)
}

pub fn is(status: &ChainlinkNodeStatus, kind: &str, word: &str) -> bool {
    condition(status, kind).is_some_and(|one| one.status == word)
}

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nobody works, or nobody knows.
    Down,
    /// A person is needed.
    Stalled,
    /// The operator has not looked at it yet.
    Unseen,
    /// It works, and a loss now would be an outage.
    NotRedundant,
    /// Something is under way.
    Moving,
    /// It works, and a change waits for a person or for its time.
    Waits,
    Well,
}

impl Health {
    pub fn of(status: Option<&ChainlinkNodeStatus>) -> Self {
        let Some(status) = status.filter(|status| status.observed_generation >= 0) else {
            return Self::Unseen;
        };
        let is = |kind, word| is(status, kind, word);
        let wanted = status.phase.as_deref() != Some("Hibernated");
        if wanted && !is("Available", "True") {
            return Self::Down;
        }
        if is("Stalled", "True") {
            return Self::Stalled;
        }
        if is("Redundant", "False") && wants_a_standby(status) {
            return Self::NotRedundant;
        }
        if !is("Ready", "True") {
            return Self::Moving;
        }
        if is("ChangePending", "True") || is("Paused", "True") {
            return Self::Waits;
        }
        Self::Well
    }

    pub fn tone(self) -> Tone {
        match self {
            Self::Down | Self::Stalled => Tone::Bad,
            Self::Unseen | Self::NotRedundant | Self::Moving | Self::Waits => Tone::Waits,
            Self::Well => Tone::Good,
        }
    }

    /// Whether a person is needed now.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Down | Self::Stalled)
    }
}

/// With `replicas: 1` there is none by wish.
fn wants_a_standby(status: &ChainlinkNodeStatus) -> bool {
    let reason = chainlink_operator::domain::Reason::NoStandbyWanted;
    condition(status, "Redundant").is_none_or(|one| one.reason != reason)
}

/// What the status of a condition is to its reader.
pub fn tone_of(condition: &Condition) -> Tone {
    match (condition.type_.as_str(), condition.status.as_str()) {
        ("Stalled" | "DatabaseShared", "True") | ("Available" | "LockVerified", "False") => {
            Tone::Bad
        }
        ("Ready" | "Available" | "Redundant" | "LockVerified" | "Drainable", "True") => Tone::Good,
        ("Ready" | "Redundant" | "Drainable", "False")
        | (_, "Unknown")
        | (
            "Reconciling" | "Paused" | "ApprovalRequired" | "ChangePending" | "SecretsChanged"
            | "UpdateAvailable",
            "True",
        ) => Tone::Waits,
        _ => Tone::Plain,
    }
}

/// A phase in the colour of its health.
pub fn phase(status: Option<&ChainlinkNodeStatus>) -> Word {
    let told = status.and_then(|status| status.phase.clone());
    Word::new(
        told.unwrap_or_else(|| "NotLookedAt".to_owned()),
        Health::of(status).tone(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        let now: Timestamp = "2026-03-04T10:00:00Z".parse().expect("a time");
        let ago = |seconds: i64| ago(now - jiff::SignedDuration::from_secs(seconds), now);
        for (seconds, said) in [
            (-5, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (3_599, "59m"),
            (3_660, "1h1m"),
            (90_000, "1d1h"),
            (1_000_000, "11d"),
        ] {
            assert_eq!(ago(seconds), said);
        }
    }
}
