//! The database's answer, in the planner's terms. Data only.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::api::Verification;
use crate::node::NodeVersion;
use crate::observe::PodId;

/// What the spec asks for, and the last answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub wanted: Verification,
    pub word: Option<DatabaseWord>,
}

/// One answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseWord {
    /// When the question was put.
    pub at: Timestamp,
    pub said: Result<Says, Silence>,
    /// Pods that the same URL has shown to hold a lock, now or before: they are on this database.
    pub held: BTreeSet<PodId>,
}

/// What the server said that the database URL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Why it takes no writes, if it takes none.
    pub read_only: Option<&'static str>,
    /// Which right on the lease the role lacks, if it lacks one.
    pub missing_right: Option<&'static str>,
    /// Who holds the row in `lease_lock`.
    pub lease: Holder,
    /// Who holds the advisory lock.
    pub advisory: Holder,
    /// The version that migrated it last, where that can be read (rule S6).
    pub version: Option<NodeVersion>,
    /// The pods of the resource that have a session there.
    pub sessions: BTreeSet<PodId>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    Pod(PodId),
    /// A client at an address that is no pod's of the resource.
    Elsewhere(IpAddr),
    /// Somebody whose session or address can't be seen.
    Unseen,
}

/// Why the database could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// CamelCase, for the condition.
    pub reason: &'static str,
    /// A sentence for people, without a word of the URL.
    pub message: String,
}

impl Silence {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The operator was installed without the right to read Secrets.
    pub fn not_allowed() -> Self {
        Self::new(
            "NotAllowed",
            "the operator was installed without the right to read the Secret of the database URL: set databaseVerification.enabled in the values of its chart",
        )
    }
}
