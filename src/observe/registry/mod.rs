//! Which tags a registry has of an image, and what a tag names: asked by a task of its own, so that no pass waits for a
//! registry, and kept for all resources of the image.
//!
//! A registry is chosen by whoever may write a resource, and it may lie. So it is asked over TLS alone (but for one on this
//! machine), by requests that change nothing; what it answers is bounded in size and time, leads to no other host but that of
//! its tokens, and is never told in its own words.

mod credentials;
mod http;
mod kept;
mod repository;
mod talk;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::domain::Reason;

pub use kept::{PullSecrets, Registries, Source};
pub use repository::Repository;

/// Why a registry has not told what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
    /// How long it wants not to be asked.
    pub wait: Option<Duration>,
    /// It says that what was asked for is not there.
    pub missing: bool,
}

impl Trouble {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            wait: None,
            missing: false,
        }
    }
}
