//! What the memory holds of a revision: whether it works, or how its handover has failed.

use crate::api::{FailedHow, Memory, RevisionName};

/// A handover that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'m> {
    pub how: FailedHow,
    /// Why, in the words of the node or of Kubernetes.
    pub because: Option<&'m str>,
}

impl<'m> Failure<'m> {
    /// The failure of this revision, where it is the one that has failed. It is not tried again until the spec changes.
    pub fn of(memory: &'m Memory, revision: &RevisionName) -> Option<Self> {
        (memory.failed.as_ref() == Some(revision)).then(|| Self {
            // What an older operator wrote without it was late.
            how: memory.failed_how.unwrap_or(FailedHow::Late),
            because: memory.failed_because.as_deref(),
        })
    }
}

/// The standing of a revision, worst first: one that has worked may crash later, and one that was late may have worked
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'m> {
    /// Its pod had the lock and ended. Having worked for a while leaves this, and so does another wish of the user.
    Crashed(Failure<'m>),
    /// It is the last that worked. A crash leaves this, and so does another revision that works.
    Works,
    /// Nobody of it took over in time, or its pods came to nothing. That one serves leads to `Works`; that one had the
    /// lock and ended, to `Crashed`; another wish of the user, to `Untried`.
    Failed(Failure<'m>),
    /// Nothing is known of it. A handover to it leads to one of the others.
    Untried,
}

impl<'m> Standing<'m> {
    pub fn of(memory: &'m Memory, revision: &RevisionName) -> Self {
        let worked = memory.last_worked.as_ref() == Some(revision);
        match Failure::of(memory, revision) {
            Some(failure) if failure.how == FailedHow::Crashed => Self::Crashed(failure),
            _ if worked => Self::Works,
            Some(failure) => Self::Failed(failure),
            None => Self::Untried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(worked: bool, failed: bool, how: Option<FailedHow>) -> Memory {
        let named = |is: bool| is.then(|| "one".into());
        Memory {
            last_worked: named(worked),
            failed: named(failed),
            failed_how: how,
            ..Memory::default()
        }
    }

    #[test]
    fn the_standing_is_read_from_what_was_written() {
        use FailedHow::{Crashed, GivenUp, Late};
        let failure = |how| Failure { how, because: None };
        for (worked, failed, how, standing) in [
            (false, false, None, Standing::Untried),
            (true, false, None, Standing::Works),
            (false, true, None, Standing::Failed(failure(Late))),
            (false, true, Some(Late), Standing::Failed(failure(Late))),
            (
                false,
                true,
                Some(GivenUp),
                Standing::Failed(failure(GivenUp)),
            ),
            (
                false,
                true,
                Some(Crashed),
                Standing::Crashed(failure(Crashed)),
            ),
            (true, true, Some(Late), Standing::Works),
            (
                true,
                true,
                Some(Crashed),
                Standing::Crashed(failure(Crashed)),
            ),
            (true, false, Some(Crashed), Standing::Works),
        ] {
            let memory = memory(worked, failed, how);
            assert_eq!(Standing::of(&memory, &"one".into()), standing, "{memory:?}");
            assert_eq!(Standing::of(&memory, &"other".into()), Standing::Untried);
        }
    }
}
