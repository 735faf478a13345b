//! How the node ends: an exit code and the plain-text line that a person needs (printed without time or level, also in
//! JSON mode).

use crate::log;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) last_line: String,
}

impl Exit {
    /// The usual end with a reason: exit code 1.
    pub(crate) fn failed(last_line: impl Into<String>) -> Self {
        Self {
            code: 1,
            last_line: last_line.into(),
        }
    }

    pub(crate) fn print(&self) {
        if !self.last_line.is_empty() {
            log::plain(&self.last_line);
        }
    }
}
