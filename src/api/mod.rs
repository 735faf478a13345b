//! What users write and read: the `ChainlinkNode` resource.
//!
//! Only types, their bounds and the rules that the API server checks for us belong here. Nothing in
//! this room knows what a node does, and nothing talks to a cluster.

mod amount;
mod attempt;
mod crd;
mod duration;
mod memory;
pub mod names;
mod pod;
mod pod_schema;
mod reference;
mod revision_name;
mod schedule;
mod schema;
mod service;
mod spec;
mod status;

pub use amount::Amount;
pub use attempt::{Attempt, Migrated, Shown, Upgrade};
pub use crd::{ChainlinkNode, ChainlinkNodeSpec, crd, crd_yaml};
pub use duration::{InvalidDuration, parse_duration};
pub use memory::*;
pub use pod::*;
pub use reference::reference;
pub use revision_name::RevisionName;
pub use schedule::{InvalidSchedule, OpenTime, Schedule};
pub use service::*;
pub use spec::*;
pub use status::*;
