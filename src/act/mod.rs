//! From a plan to the API server. Nothing is decided here: each act is done as planned, with the uid
//! and the version of what it was planned for, or not at all.

mod keep;
mod pods;

pub use keep::{Keeper, Keeping, Kept, Services};
pub use pods::{Actor, Outcome};
