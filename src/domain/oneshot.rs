//! Short pods that are no nodes: one pulls an image, the other checks a configuration, and each ends. Data only: how such
//! a pod is made is the matter of `build`, and when is decided by `plan`.

use jiff::Timestamp;

use super::pod::{PodId, Trouble};
use crate::api::RevisionName;
use crate::node::Verdict;

/// A short pod that pulls the image of a revision on one machine. It is no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub id: PodId,
    pub revision: RevisionName,
    pub machine: String,
    pub created: Timestamp,
    pub deleted: bool,
    pub pulled: Pulled,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    Yes,
    NotYet(Option<Trouble>),
    /// The machine did not admit the pod: it will not start.
    Refused(Trouble),
}

/// A short pod that checks the configuration of a revision. It is no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    pub id: PodId,
    pub created: Timestamp,
    pub deleted: bool,
    pub checked: Checked,
}

/// The exit code of the tries beside a check that found what a start would end with. Any other one says nothing: of a shell
/// that is missing, for one.
pub const FOUND: i32 = 78;

/// How far the check of a configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    NotYet(Option<Trouble>),
    Said(Verdict),
    /// The pod ended and has not said anything: its machine evicted or lost it.
    Never,
}
