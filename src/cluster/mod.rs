//! What all calls of the API server share: to whom an object belongs, how far a call reaches, what a refusal says, that each
//! is counted, what was read by one pass and may be read again from memory, and what of a try that fails again and again is worth a line in the log.
//!
//! Nothing here knows what the operator is for: neither a pod's part nor a plan enters. The room imports [`crate::api`] and [`crate::mutex`] only.

mod calls;
mod ownership;
mod reads;
mod refusal;
mod repeated;
mod scope;

pub use calls::Calls;
pub use ownership::{adoption, controls, may_adopt, may_change, still_there};
pub use reads::{Listener, Reads};
pub use refusal::{refusal, says_the_same, sentence};
pub use repeated::{Repeated, RepeatedLines};
pub use scope::{only, remove, scoped};
