//! The words that planner, builders and reports share: what a look shows, what the user asks for, what the database said.
//!
//! Data, and questions that the data answers by itself. No client, no Kubernetes type, no clock and no decision enters here:
//! the room imports [`crate::api`] and [`crate::node`] only, so that whoever reads it needs to know no other room.

mod answer;
mod applied;
mod asked_by;
mod claim;
mod ended;
mod intent;
mod lock;
mod machine;
mod move_reason;
mod observation;
mod oneshot;
mod place;
mod pod;
mod read_only;
mod reason;
mod releases;
pub mod remembered;
mod revision;
mod role;
mod secrets;

pub use answer::{DatabaseAnswer, DatabaseView, Free, GivenBack, Heard, Holder, Says, Silence};
pub use applied::{Applied, restored, wanted_spec};
pub use asked_by::AskedBy;
pub use claim::Claim;
pub use ended::{EndedNode, EndedNodes};
pub use intent::{Approved, HandoverPolicy, Intent, Preferred, Switchover};
pub use lock::Lock;
pub use machine::{Machine, reports};
pub use move_reason::MoveReason;
pub use observation::{Observation, Refused};
pub use oneshot::{Checked, FOUND, Pull, Pulled, Validation};
pub use place::Place;
pub use pod::{Answered, Contact, Container, Exit, NotReady, Pod, PodId, Took, Trouble};
pub use read_only::{Beginnings, ReadOnlySpells};
pub use reason::{Patience, Reason};
pub use releases::Releases;
pub use revision::{Problem, Revision, Wanted};
pub use role::Role;
pub use secrets::SecretData;
