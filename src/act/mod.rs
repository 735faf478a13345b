//! From a plan to the API server. Nothing is decided here: each act is done as planned, with the uid
//! and the version of what it was planned for, or not at all.

mod digest_key;
mod pods;
mod random;
mod recorded;
mod revisions;
mod roles;
mod services;
mod session;
#[cfg(test)]
mod tests;

pub use digest_key::{DigestKeyAt, digest_key};
pub use pods::{Actor, Outcome};
pub use recorded::Recorded;
pub use revisions::{Kept, RevisionStore, Revisions};
pub use roles::RoleKeeper;
pub use services::{Services, budgets, lead_services, services};
pub use session::session_secret;
