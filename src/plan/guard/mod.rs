//! The rules that every stop and every creation passes. A stop without a [`Permit`] does not compile,
//! and only this room makes one.

mod creation;
mod denials;
mod handover;
mod others;
mod permit;

pub use creation::{create, refuse, stays_possible};
pub use denials::{doubtful, foreign_message, order_unknown, still_stopping, suspect};
pub use handover::{fit, ready, stop_active};
pub use others::{backed_off, stop_for_end, stop_foreign, stop_other};
pub use permit::{Goal, Permit};
