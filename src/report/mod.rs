//! From a look and a plan to what people and tools read: status, conditions, events, metrics. Nothing
//! here talks to a cluster.

mod basis;
mod conditions;
mod events;
mod lock_verified;
mod message;
mod metrics;
mod said;
mod secrets_changed;
mod status;
#[cfg(test)]
mod tests;
mod update;
mod wish;

pub use basis::{Report, Sharer};
pub use events::{Note, lease_given_back, notes, stalled};
pub use metrics::{Format, Metrics};
pub use status::{not_looked, status};
pub use wish::{Candidate, Wish};
