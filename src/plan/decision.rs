//! What one rule decides: at most one creation or one stop, what is going on, and what is to be remembered of it. Data
//! only; what is made of it stands in `moves`.

use super::cause::Purpose;
use super::guard::Permit;
use super::step::{Blocked, Progress, Step};
use crate::api::{FailedHow, RevisionName, Validation};
use crate::domain::{Reason, Revision};

/// A pod to be made.
#[derive(Debug)]
pub struct NewPod {
    pub pod: String,
    pub number: u32,
    pub revision: Revision,
}

/// At most one creation or one stop.
#[derive(Debug)]
pub enum Move {
    /// Nothing is made or stopped now.
    Wait,
    Create(NewPod),
    Stop(Permit),
}

/// What is to be remembered of a decision.
#[derive(Debug)]
pub enum Note {
    /// The handover to the wanted revision has failed: how, and why as far as that is known.
    Failed(FailedHow, Option<String>),
    /// The check of a configuration that goes on.
    Validates(Validation),
    /// A pod of the wanted revision was seen to wait, and the handover to it is held.
    Checked,
    /// A pod that was made to be seen waiting is not as it should be: what is wrong with it.
    CheckFailed(Blocked),
    /// The rollout is stuck, and a move of place goes first.
    SetAside,
    /// The active is about to go back to a preferred machine by itself.
    GoesBack,
    /// A move that was asked for, and why it is not made.
    Refused(Purpose, String),
}

/// What is to be done, and what is going on.
#[derive(Debug)]
pub struct Decision {
    pub next: Move,
    pub progress: Progress,
    pub notes: Vec<Note>,
    /// The image that has to be on a machine, pulled or not.
    pub image: Option<Needed>,
}

impl Decision {
    pub fn nothing(progress: Progress) -> Self {
        Self {
            next: Move::Wait,
            progress,
            notes: Vec::new(),
            image: None,
        }
    }

    pub fn create(new: NewPod, step: Step) -> Self {
        let progress = Progress::at(step).about(&new.pod);
        Self {
            next: Move::Create(new),
            ..Self::nothing(progress)
        }
    }

    pub fn stop(permit: Permit, step: Step) -> Self {
        let progress = Progress::at(step).about(&permit.pod().name);
        Self {
            next: Move::Stop(permit),
            ..Self::nothing(progress)
        }
    }

    pub fn noting(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// Whether nothing is made or stopped.
    pub fn waits(&self) -> bool {
        matches!(self.next, Move::Wait)
    }

    pub fn creates(&self) -> bool {
        matches!(self.next, Move::Create(_))
    }

    pub fn stops(&self) -> bool {
        matches!(self.next, Move::Stop(_))
    }

    /// The pod that it was to make, where the API server makes none.
    pub fn not_made(&self) -> Option<Blocked> {
        let blocked = self.progress.blocked.as_ref();
        blocked
            .filter(|blocked| blocked.reason == Reason::PodRefused)
            .cloned()
    }

    /// The check of a configuration that goes on.
    pub fn validates(&self) -> Option<&Validation> {
        self.notes.iter().find_map(|note| match note {
            Note::Validates(validation) => Some(validation),
            _ => None,
        })
    }
}

/// An image that has to be on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    pub revision: RevisionName,
    pub machine: String,
}
