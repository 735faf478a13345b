//! What the user asks for, in the planner's terms: how many pods, of which revision, and what is said of planned moves.
//! Data only: how it is read from a spec and its annotations is the matter of `controller`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pod::PodId;
use super::revision::{Revision, Wanted};
use crate::api::{OpenTime, ReleaseLease, RevisionName, Schedule};
use crate::node::NodeVersion;

/// The spec, as far as the planner is concerned.
#[derive(Clone, Debug)]
pub struct Intent {
    pub namespace: String,
    /// Name and uid of the `ChainlinkNode`: pod names are made from them.
    pub node: PodId,
    /// Which edition of the spec this is.
    pub generation: i64,
    pub replicas: usize,
    /// Pods beyond `replicas` that a handover may use.
    pub surge: usize,
    pub settle: Duration,
    pub standby_timeout: Duration,
    pub wanted: Wanted,
    pub policy: HandoverPolicy,
}

/// What the user says of planned moves.
#[derive(Clone, Debug, Default)]
pub struct HandoverPolicy {
    /// Nothing planned is done.
    pub paused: bool,
    pub switchover: Option<Switchover>,
    pub preferred: Option<Preferred>,
    /// When handovers are rehearsed.
    pub drill: Option<Schedule>,
    /// The revision that a person has approved, where rollouts wait for one.
    pub approval: Option<Approved>,
    /// The revision that a person takes over the risk for: it may be handed over to unchecked.
    pub unchecked: Option<RevisionName>,
    /// When rollouts may move the lock; always where there is none.
    pub windows: Vec<OpenTime>,
    /// How long an active may run without an answer on its port.
    pub unresponsive_after: Option<Duration>,
    /// Whether the lease of a node that ended is given back for it.
    pub release_lease: ReleaseLease,
    /// The version of a backup to which the database was restored, and the whole word of it.
    pub restored: Option<(NodeVersion, String)>,
    /// A person's word that the database behind the URL is the right one now.
    pub corrected: Option<String>,
    /// Releases are applied by themselves, and whether one was is not known any more.
    pub applied_lost: bool,
    /// As many resources of this operator move their lock as may at a time.
    pub others_move: bool,
}

/// A switchover that was asked for by an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchover {
    pub token: String,
    /// The pod or machine that is to be active, or `preferred`.
    pub to: Option<String>,
}

/// Where the active should live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferred {
    pub labels: BTreeMap<String, String>,
    /// How long a standby has to have waited there before the active goes back by itself; `None` where it
    /// does not.
    pub automatic_after: Option<Duration>,
}

/// What a person has approved, where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The name of a revision, or in its place the version that is upgraded to.
    pub revision: Option<RevisionName>,
}

impl Approved {
    /// Whether `target` may be handed over to, where `works` is what works now. A version stands for the upgrade to it: it
    /// says nothing of a change that leaves the version as it is, which may come long after.
    pub fn is_for(&self, target: &Revision, works: Option<&Revision>) -> bool {
        let Some(word) = &self.revision else {
            return false;
        };
        let is_upgrade = works.is_some_and(|works| works.version != target.version);
        *word == target.name || (is_upgrade && word.as_str() == target.version.to_string())
    }
}
