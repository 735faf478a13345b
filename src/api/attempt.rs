//! What is remembered of a handover to another revision, until that works.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::revision_name::RevisionName;

/// A handover to a revision that has not worked yet. A later stop does not make it forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The revision.
    pub to: RevisionName,
    /// Uid of the active that was stopped for it.
    pub stopped: String,
    /// From when on its pods may have had the lock: the decision to stop the active; once that is over, the end of that
    /// one's container, where Kubernetes tells of it.
    pub since: Timestamp,
    /// Whether the stop was seen to be over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// How often the containers of pods had ended when that was decided, by uid, where one had: times are told in whole
    /// seconds, and by several clocks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ends: BTreeMap<String, i32>,
}

/// A handover to a newer version that has not worked yet: whether that has migrated anything decides about the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// Its revision.
    pub to: RevisionName,
    pub version: String,
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
