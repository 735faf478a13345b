//! The rules that every stop and every creation passes. A stop without a [`Permit`] does not compile,
//! and only this room makes one.
//!
//! What has to hold for each kind of stop, and for a creation, is a table of checks beside it: `CHECKS` in `handover` and
//! `others`, `FOR_GOOD` and `FOR_NOW` in `creation`; and in `lease` for the return of the lease of a node that has ended.

mod check;
mod creation;
mod denials;
mod handover;
mod lease;
mod others;
mod permit;

pub use creation::{create, refuse, stays_possible};
pub use denials::{foreign_message, order_unknown, still_stopping, suspect};
pub use handover::{fit, ready, stop_active};
pub use lease::{Return, give_back};
pub use others::{backed_off, stop_for_end, stop_foreign, stop_other};
pub use permit::{Goal, Permit};
