//! What users write and read: the `ChainlinkNode` resource.
//!
//! Only types, their bounds and the rules that the API server checks for us belong here. Nothing in
//! this room knows what a node does, and nothing talks to a cluster.

mod amount;
mod attempt;
mod crd;
mod duration;
mod history;
mod memory;
pub mod names;
mod pod;
mod pod_schema;
mod reference;
mod resources;
mod revision_name;
mod schedule;
mod schema;
mod service;
mod sidecar;
mod spec;
mod status;
mod updates;

pub use amount::Amount;
pub use attempt::{Attempt, Migrated, Shown, Upgrade};
pub use crd::{ChainlinkNode, ChainlinkNodeSpec, crd, crd_yaml};
pub use duration::{InvalidDuration, parse_duration};
pub use history::{LastHandover, LockMove};
pub use memory::*;
pub use pod::*;
pub use reference::reference;
pub use resources::Resources;
pub use revision_name::RevisionName;
pub use schedule::{InvalidSchedule, OpenTime, Schedule};
pub use service::*;
pub use sidecar::*;
pub use spec::*;
pub use status::*;
pub use updates::*;
