//! From the cluster to an [`Observation`]: what is read, what is watched, and what of it is recorded
//! in the pods. Nothing is decided here.

mod adoption;
mod container;
pub mod database;
mod look;
mod machines;
mod observation;
mod preparation;
mod read;
mod record;
mod warning;
mod witness;

pub use adoption::{adoption, still_there};
pub use database::{DatabaseWord, Free, Heard, Holder, Says, Silence, Verified};
pub use look::Looker;
pub use machines::Machines;
pub use observation::*;
pub use witness::Witnesses;
