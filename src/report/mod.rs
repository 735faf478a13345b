//! From a look and a plan to what people and tools read: status, conditions, events. Pure.

mod conditions;
mod events;
mod status;

pub use events::{Note, notes};
pub use status::{Report, status};
