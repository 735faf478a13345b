//! From the cluster to an [`Observation`]: what is read, what is watched, and what of it is recorded
//! in the pods. Nothing is decided here.

mod api_pod;
mod claim;
mod container;
pub mod database;
mod image;
mod look;
mod machines;
mod preparation;
mod read;
mod record;
pub mod registry;
mod secrets;
mod wake;
mod warning;
mod witness;

pub use look::Looker;
pub use machines::Machines;
pub use secrets::read_secrets;
pub use wake::Wake;
pub use witness::{Moment, Witnesses};
