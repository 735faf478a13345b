//! How a command that could be carried out ended.

/// What the exit code tells a script. 1 is a [`crate::Failure`], and 2 a command line that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Done, or nothing speaks against it.
    Done,
    /// The answer is no: a manifest is refused, a switchover was, a node needs a person.
    No,
    /// What was waited for has not come in time.
    NotYet,
}

impl End {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 3,
            Self::NotYet => 4,
        }
    }
}
