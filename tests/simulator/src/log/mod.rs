//! Writing log lines to stderr as the node does, in either format.

mod format;
pub(crate) mod lines;
mod lock_lines;
mod sites;
pub(crate) mod v2_29;

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Level;
use crate::settings::Settings;
use crate::version::{Generation, NodeVersion};
pub(crate) use lines::Line;
pub(crate) use lock_lines::LockLines;

/// Prints text that carries no time and no level, in either format (migration lines, the last error line).
pub(crate) fn plain(text: &str) {
    write_all(&format!("{text}\n"));
}

fn write_all(text: &str) {
    // One write a line, or lines of several tasks mix. A closed stderr is no reason to end.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[derive(Clone)]
pub(crate) struct Logger {
    level: Level,
    json: bool,
    generation: Generation,
    /// `2.18.0@fb7d6e8`
    version: String,
    has_version_field: bool,
    settings: Arc<Settings>,
}

impl Logger {
    pub(crate) fn new(
        level: Level,
        json: bool,
        version: &NodeVersion,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            level,
            json,
            generation: version.generation(),
            version: format!("{}@{}", version.semver, version.short_sha()),
            has_version_field: version.logs_version_field(),
            settings,
        }
    }

    pub(crate) fn log(&self, line: &Line) {
        if line.level < self.level || self.settings.fault("silent-log").is_some() {
            return;
        }
        let context = format::Context {
            time: format!("{:.3}", Timestamp::now()),
            caller: line.site.caller(self.generation),
            logger: self.logger_name(line.site.logger),
            version: self.has_version_field.then_some(self.version.as_str()),
        };
        let text = if self.json {
            format::json(line, &context)
        } else {
            format::console(line, &context)
        };
        write_all(&text);
    }

    /// Plain text that the log level does not hide, but the fault does.
    pub(crate) fn plain(&self, text: &str) {
        if self.settings.fault("silent-log").is_none() {
            plain(text);
        }
    }

    /// v1 and early v2 print through Go's `log` package, later ones through `slog`.
    pub(crate) fn graceful_shutdown_time(&self, took: std::time::Duration) {
        let now = Timestamp::now();
        let took = crate::config::print_duration(took);
        if self.generation <= Generation::V2_1 {
            self.plain(&format!("{} Graceful shutdown time: {took}", go_time(now)));
        } else {
            self.plain(&format!(
                "time={now:.3} level=INFO msg=\"Graceful shutdown time: {took}\""
            ));
        }
    }

    /// A line of the migration tool, with the time as Go's `log` package writes it.
    pub(crate) fn migration(&self, text: &str) {
        self.plain(&format!("{} {text}", go_time(Timestamp::now())));
    }

    fn logger_name(&self, name: &str) -> String {
        match (self.generation, name) {
            (Generation::V1_11, "") => self.version.clone(),
            (Generation::V1_11, name) => format!("{}.{name}", self.version),
            (_, name) => name.to_owned(),
        }
    }
}

/// As Go's `log` package writes it.
pub(crate) fn go_plain(text: &str) -> String {
    format!("{} {text}", go_time(Timestamp::now()))
}

fn go_time(now: Timestamp) -> String {
    now.strftime("%Y/%m/%d %H:%M:%S").to_string()
}
