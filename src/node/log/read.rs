//! From a raw line to what it means: it is taken apart, its message is looked up, and what is shown of it is redacted.

use super::line::{Entry, without_colours};
use super::meaning::event_of;
use super::{LogEvent, LogLine, redact};

/// Reads one line, with or without the kubelet's timestamp, coloured or not.
#[must_use]
pub fn read_line(raw: &str) -> LogLine {
    let plain = without_colours(raw.trim_end());
    let entry = Entry::of(&plain);
    let event = event_of(&entry);
    let known = event != LogEvent::Other;
    LogLine {
        time: entry.time,
        version: known.then(|| entry.version(&event)).flatten(),
        app_id: known.then(|| entry.field("appID")).flatten(),
        text: redact(entry.message.trim()),
        event,
    }
}
