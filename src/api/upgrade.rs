//! What is remembered of a handover to a newer version, until that works.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A handover to a newer version that has not worked yet: whether that has migrated anything decides about the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Its revision.
    pub to: String,
    pub version: String,
    /// When the stop of the old active was decided; once it is over, when it was.
    pub stopped: Timestamp,
    /// The newest version that had held the lock before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What the database showed right before the stop of the old active, if it was asked and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Shown>,
    /// Since when its successor is known to have had the lock and ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashed: Option<Timestamp>,
    /// Since when every pod of a newer version that is there was asked to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
    /// Since when no pod of a newer version is there that could still migrate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Timestamp>,
    /// Why there is no way back to the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
}

/// What tells of a database whether it was migrated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The version that migrated it last.
    pub version: String,
    pub schema: Migrated,
}

/// How far a database is migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Migrated {
    /// The number of the highest migration that was applied.
    pub highest: i64,
    /// How many were: a newer version may bring some with lower numbers.
    pub applied: i64,
    /// How many columns its tables and indexes have: a migration that is no transaction changes them before it is noted.
    pub columns: i64,
}
