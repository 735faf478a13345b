//! Taking a raw line apart.
//!
//! Four shapes exist, and one log mixes them (measured on 1.11.0 to 2.23.0):
//! console (`2026-11-23T18:02:26.433Z [INFO]  message   file.go:86   key=value …`), JSON, Go's own
//! plain log (`2026/11/23 18:02:27 goose: …`), and bare text: stack traces, the continuation of a
//! message of several lines, and the last words before an exit.

use jiff::Timestamp;

use super::LogEvent;
use crate::node::version::NodeVersion;

/// How serious a line is, in the node's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    /// `[CRIT]`, `[PANIC]` and `[FATAL]`.
    Fatal,
}

impl Level {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "crit" | "critical" | "dpanic" | "panic" | "fatal" => Self::Fatal,
            _ => return None,
        })
    }
}

/// Which logger wrote a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape<'a> {
    /// The node's console format; what follows the source file are the fields.
    Console { fields: &'a str },
    /// The node's JSON format.
    Json(serde_json::Map<String, serde_json::Value>),
    /// Go's standard loggers: `2026/11/23 18:02:27 …` or `time=… level=INFO msg="…"`.
    GoLog,
    /// Everything else.
    Bare,
}

/// A line, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) time: Option<Timestamp>,
    pub(super) level: Option<Level>,
    pub(super) message: std::borrow::Cow<'a, str>,
    pub(super) shape: Shape<'a>,
}

impl<'a> Entry<'a> {
    /// `line` must be free of colours.
    pub(super) fn of(line: &'a str) -> Self {
        if let Some((time, Clock::Kubelet, rest)) = leading_time(line) {
            return Self {
                time: Some(time),
                ..Self::without_kubelet_time(rest)
            };
        }
        Self::without_kubelet_time(line)
    }

    fn without_kubelet_time(line: &'a str) -> Self {
        console(line)
            .or_else(|| json(line))
            .or_else(|| go_log(line))
            .unwrap_or_else(|| Self::bare(line))
    }

    fn bare(line: &'a str) -> Self {
        Self {
            time: None,
            level: None,
            message: line.into(),
            shape: Shape::Bare,
        }
    }

    /// Whether one of the node's own loggers wrote it, so that its level can be trusted.
    pub(super) fn is_structured(&self) -> bool {
        matches!(self.shape, Shape::Console { .. } | Shape::Json(_))
    }

    /// The value of a field. Console values with spaces are cut at the first one.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        match &self.shape {
            Shape::Console { fields } => console_field(fields, name).map(str::to_owned),
            Shape::Json(fields) => fields.get(name)?.as_str().map(str::to_owned),
            Shape::GoLog | Shape::Bare => None,
        }
    }

    /// `version=2.18.0@fb7d6e8`, or `logger=1.11.0@150ec84.RunNode` (1.11.0), or the message of
    /// the first line. 2.1.1 names it in the first line only.
    pub(super) fn version(&self, event: &LogEvent) -> Option<NodeVersion> {
        if let LogEvent::Starting { version } = event {
            return version.clone();
        }
        [self.field("version"), self.field("logger")]
            .into_iter()
            .flatten()
            .find_map(|value| value.split_once('@')?.0.parse().ok())
    }
}

/// Whose time a line starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// Nine digits after the second, always (`RFC3339NanoFixed`, kubelet's
    /// `kuberuntime/logs/logs.go`).
    Kubelet,
    /// Three digits; none where it was made of a Unix time (`core/logger/prettyconsole.go`).
    Node,
}

/// Splits an RFC 3339 time off the start.
///
/// Whose it is matters: behind the kubelet's time a line without its own is no line of the node's
/// logger but the rest of a message of several lines, whatever it looks like.
fn leading_time(line: &str) -> Option<(Timestamp, Clock, &str)> {
    let (token, rest) = line.split_once(' ').unwrap_or((line, ""));
    if !token.starts_with(|c: char| c.is_ascii_digit()) || !token.contains('T') {
        return None;
    }
    let time = token.parse().ok()?;
    let fraction = token.split_once('.').map_or(0, |(_, fraction)| {
        fraction.bytes().take_while(u8::is_ascii_digit).count()
    });
    let clock = match fraction {
        0 | 3 => Clock::Node,
        _ => Clock::Kubelet,
    };
    Some((time, clock, rest))
}

/// `2026-11-23T18:02:26.433Z [INFO]  message padded to 50   cmd/file.go:86   key=value key=value `.
fn console(line: &str) -> Option<Entry<'_>> {
    let (time, Clock::Node, rest) = leading_time(line)? else {
        return None;
    };
    let (level, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let (message, fields) = split_at_source(rest.trim_start());
    Some(Entry {
        time: Some(time),
        level: Some(Level::parse(level)?),
        message: message.trim_end().into(),
        shape: Shape::Console { fields },
    })
}

/// Splits a console line at the source file that wrote it: ` cmd/local_client.go:86 `.
fn split_at_source(text: &str) -> (&str, &str) {
    let mut start = 0;
    for word in text.split(' ') {
        let end = start + word.len();
        if start > 0 && is_source(word) {
            return (&text[..start], &text[end..]);
        }
        start = end + 1;
    }
    (text, "")
}

fn is_source(word: &str) -> bool {
    word.rsplit_once(".go:").is_some_and(|(file, line)| {
        file.contains('/') && !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
    })
}

fn console_field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields
        .split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn json(line: &str) -> Option<Entry<'_>> {
    if !line.starts_with('{') {
        return None;
    }
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let message = fields.get("msg")?.as_str()?.to_owned();
    let level = fields
        .get("level")
        .and_then(|level| Level::parse(level.as_str()?));
    Some(Entry {
        time: fields.get("ts").and_then(json_time),
        level,
        message: message.into(),
        shape: Shape::Json(fields),
    })
}

/// ISO 8601, or seconds since 1970 with `Log.UnixTS=true`.
fn json_time(value: &serde_json::Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let seconds = std::time::Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(seconds).ok()
}

fn go_log(line: &str) -> Option<Entry<'_>> {
    let message = go_plain(line).or_else(|| go_slog(line))?;
    Some(Entry {
        time: None,
        level: None,
        message: message.into(),
        shape: Shape::GoLog,
    })
}

/// `2026/11/23 18:02:27 message`.
fn go_plain(line: &str) -> Option<&str> {
    let (stamp, message) = line.split_at_checked("2026/11/23 18:02:27 ".len())?;
    let shaped = stamp
        .bytes()
        .zip(*b"0000/00/00 00:00:00 ")
        .all(|(byte, model)| {
            if model == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == model
            }
        });
    shaped.then_some(message)
}

/// `time=2026-11-23T18:11:28.918Z level=INFO msg="Graceful shutdown time: 3.085852ms"`.
fn go_slog(line: &str) -> Option<&str> {
    let (_, rest) = line.strip_prefix("time=")?.split_once(" level=")?;
    let (_, message) = rest.split_once(" msg=")?;
    Some(message.trim_matches('"'))
}

/// Takes out ANSI colours (`CL_LOG_COLOR`).
pub(super) fn without_colours(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        clean.push_str(before);
        // A sequence ends at its first letter.
        rest = after
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or("", |end| &after[end + 1..]);
    }
    clean.push_str(rest);
    clean
}
