//! From a look and a plan to what people and tools read: status, conditions, events, metrics. Nothing
//! here talks to a cluster.

mod conditions;
mod events;
mod lock_verified;
mod metrics;
mod status;
#[cfg(test)]
mod tests;

pub use events::{Note, notes, stalled};
pub use metrics::Metrics;
pub use status::{Report, not_looked, status};
