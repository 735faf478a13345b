//! What is known of the releases that a resource's registry has.

use super::reason::Reason;
use crate::api::Update;

/// What `spec.updates` has come to in one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Releases {
    /// Nothing new: the registry was not asked yet by this process, or the lock moves and nothing is looked at for it.
    NotYet,
    /// It can't be told, and why.
    Unknown(Reason, String),
    /// The newer release that the spec asks for, or that there is none.
    Known(Option<Box<Update>>),
}
