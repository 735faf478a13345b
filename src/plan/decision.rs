//! What one rule decides: at most one creation and one stop, what is going on, and what is to be remembered of it. Data
//! only; what is made of it stands in `moves`.

use super::cause::Purpose;
use super::guard::Permit;
use super::step::{Blocked, Situation, Step};
use crate::api::{FailedHow, Validation};
use crate::observe::Revision;

/// A pod to be made.
#[derive(Debug)]
pub struct NewPod {
    pub pod: String,
    pub number: u32,
    pub revision: Revision,
}

/// What is to be done, and what is going on.
#[allow(clippy::struct_excessive_bools)] // each is one thing to be remembered
#[derive(Debug)]
pub struct Decision {
    pub create: Option<NewPod>,
    pub stop: Option<Permit>,
    pub situation: Situation,
    /// The handover to the wanted revision has failed: how, and why as far as that is known.
    pub failed: Option<(FailedHow, Option<String>)>,
    /// The image that has to be on a machine, pulled or not.
    pub image: Option<Needed>,
    /// The check of a configuration that goes on.
    pub validation: Option<Validation>,
    /// A pod of the wanted revision was seen to wait, and the handover to it is held.
    pub checked: bool,
    /// The rollout is stuck, and a move of place goes first.
    pub set_aside: bool,
    /// A pod that was made to be seen waiting is not as it should be: what is wrong with it.
    pub check_failed: Option<Blocked>,
    /// The active is about to go back to a preferred machine by itself.
    pub goes_back: bool,
    /// A move that was asked for, and why it is not made.
    pub refused: Option<(Purpose, String)>,
}

impl Decision {
    pub fn nothing(situation: Situation) -> Self {
        Self {
            create: None,
            stop: None,
            situation,
            failed: None,
            image: None,
            validation: None,
            checked: false,
            set_aside: false,
            check_failed: None,
            goes_back: false,
            refused: None,
        }
    }

    pub fn stop(permit: Permit, step: Step) -> Self {
        let situation = Situation::at(step).about(&permit.pod().name);
        Self {
            stop: Some(permit),
            ..Self::nothing(situation)
        }
    }
}

/// An image that has to be on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    pub revision: String,
    pub machine: String,
}
