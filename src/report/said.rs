//! One condition as it is said, before it has a time: its kind, whether it is so, and why.

use std::fmt;

pub(super) struct Said {
    pub(super) kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

pub(super) fn said(
    kind: &'static str,
    is: bool,
    reason: impl fmt::Display,
    message: impl Into<String>,
) -> Said {
    Said {
        kind,
        status: if is { "True" } else { "False" },
        reason: reason.to_string(),
        message: message.into(),
    }
}

pub(super) fn unknown(
    kind: &'static str,
    reason: impl fmt::Display,
    message: impl Into<String>,
) -> Said {
    Said {
        status: "Unknown",
        ..said(kind, false, reason, message)
    }
}
