//! What the node says of a password that is too short (`core/utils/password.go`).

/// Of the length and of what was wrong with it.
pub(crate) const FAULTS: &str = "
Expected password complexity:
Must be at least 16 characters long
Must not comprise:
\tLeading or trailing whitespace
\tA user's API email

Faults:
\tpassword is less than 16 characters long
";

pub(crate) const RULES: &str = "
Must have a length of 16-50 characters
Must not comprise:
\tLeading or trailing whitespace (note that a trailing newline in the password file, if present, will be ignored)
";

pub(crate) fn is_long(password: &str) -> bool {
    password.len() >= 16
}
