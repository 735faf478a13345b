//! What a Chainlink node is and says: its versions, its database locks, its log, its exits, its
//! HTTP answers, the settings that the operator needs in it.
//!
//! Pure knowledge. No Kubernetes types, no clients, no files, no clock may enter here: text and
//! numbers come in, meaning goes out. Every fact names its source: the upstream release and file
//! it was read in, or the releases it was measured on.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod database;
pub mod exit;
pub mod http;
pub mod legacy;
pub mod lock;
pub mod log;
pub mod range;
pub mod settings;
pub mod supported;
pub mod tag;
pub mod validation;
pub mod version;

pub use database::{DatabaseUrl, Host, TlsMode, UnreadableUrl, WhichServer};
pub use exit::{ExitKind, classify_exit};
pub use http::{Answer, Shows};
pub use legacy::is_legacy_variable;
pub use lock::LockMode;
pub use log::{LogEvent, LogLine, LogReader, LogSummary, Milestone, TakeoverSign, WaitingFor};
pub use log::{kept_lines, last_line, last_words, read_line, redact};
pub use range::{InvalidRange, Range};
pub use settings::{Finding, OperatorSettings};
pub use tag::{ReleaseTag, TagForm};
pub use validation::{Verdict, read_validation};
pub use version::{ConfigStyle, NodeVersion, VersionError};
