//! What the planner is given, before anything is made of it.

use jiff::Timestamp;

use super::safety::Rules;
use crate::api::Memory;
use crate::domain::Observation;

/// One look, what was remembered before it, and the time.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    pub seen: &'a Observation,
    pub memory: &'a Memory,
    pub now: Timestamp,
    pub rules: Rules,
}
