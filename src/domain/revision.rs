//! A revision as the planner knows it, and what came of the spec that asks for one. Data only: the content of a revision,
//! which its pods are made from, stays in `build`.

use std::time::Duration;

use super::lock::Lock;
use super::reason::Reason;
use crate::api::RevisionName;
use crate::node::NodeVersion;

/// What the planner needs to know of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    pub name: RevisionName,
    pub version: NodeVersion,
    /// Which lock on which database its pods take. Two pods with different locks may not see each other.
    pub lock: Lock,
    /// Whether a Secret may give its nodes another `ADVISORY_LOCK_ID`.
    pub lock_id_hidden: bool,
    /// Whether its configuration can be checked by a pod that is no node.
    pub validates: bool,
    /// Whether its nodes may start on a `PostgreSQL` that is too old for them: a variable says so, or a Secret may.
    pub any_postgres: bool,
    /// How long their lease is good for without a refresh, where that is not the node's default.
    pub lease: Option<Duration>,
}

/// The revision that the spec asks for, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Revision(Revision),
    /// The spec can't be turned into pods. Nothing that runs is touched; what is lost is repaired.
    Unusable(Problem),
}

/// Why a spec can't be turned into pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: Reason,
    /// A sentence that says what to write instead.
    pub message: String,
    /// Whether it may heal by itself: something referenced does not exist yet.
    pub missing: bool,
}
