//! The one line that a person needs after an exit.

use super::line::{Entry, Level, without_colours};
use super::meaning::event_of;
use super::quoted::{in_one_line, is_about_a_password, is_of_a_quote};
use super::{LogEvent, redact};

/// Longest text that is handed on; a line of a person's terminal or two.
const LONGEST: usize = 1000;

/// Of a container that ended with an error the kubelet keeps so much of the log's end
/// (`MaxContainerTerminationMessageLogLength`, `pkg/kubelet/container/runtime.go`).
const KEPT_BYTES: usize = 2048;

/// How the program begins the words of an error that none of its commands has printed itself (`core/main.go`): with a
/// time before it up to 1.13, where it is logged.
const RUNNING: &str = "Error running app: ";

/// The first line of a help text, and how its other parts begin. From 2.30 on one may stand before or behind an error
/// (`urfave/cli`, `ShowSubcommandHelp`; read).
const HELP: &str = "NAME:";
const PARTS_OF_HELP: [&str; 9] = [
    "USAGE:",
    "VERSION:",
    "DESCRIPTION:",
    "AUTHOR:",
    "CATEGORY:",
    "COMMANDS:",
    "OPTIONS:",
    "GLOBAL OPTIONS:",
    "COPYRIGHT:",
];

/// The lines that are of no help text.
pub(in crate::node) fn outside_of_help<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let mut helps = false;
    lines.filter(move |line| {
        let end = line.trim_end();
        let goes_on =
            end.is_empty() || line.starts_with(char::is_whitespace) || PARTS_OF_HELP.contains(&end);
        helps = end == HELP || (helps && goes_on);
        !helps
    })
}

/// The lines of what the kubelet kept of a log. It cuts by length: the first line may be the rest of any, of a secret in
/// a quoted file too.
#[must_use]
pub fn kept_lines(text: &str) -> Vec<&str> {
    let cut = usize::from(text.len() >= KEPT_BYTES);
    text.lines().skip(cut).collect()
}

/// The last line of what a program printed that is no node, without passwords.
#[must_use]
pub fn last_line(text: &str) -> Option<String> {
    let mut lines = kept_lines(text).into_iter().map(without_colours);
    let last = lines.rfind(|line| !line.trim().is_empty())?;
    Some(shortened(redact(last.trim())))
}

/// The line a person needs after an exit, without passwords.
///
/// That is the first plain text after the last line of the node's own log, printed with neither time
/// nor level (`opening db: failed to take initial lease on database: …`), with what belongs to it if it has several
/// lines. Failing that the last FATAL, CRIT or ERROR message, failing that the last line. One that
/// ended while it waited for the lock has said nothing of interest.
#[must_use]
pub fn last_words(tail: &[&str]) -> Option<String> {
    let clean: Vec<_> = outside_of_help(tail.iter().copied())
        .map(|raw| without_colours(raw.trim_end()))
        .collect();
    let entries: Vec<_> = clean
        .iter()
        .map(|line| Entry::of(line))
        .filter(|entry| !entry.message.trim().is_empty())
        .collect();
    if entries.last().is_some_and(waits) {
        return None;
    }
    let words = bare_words(&entries)
        .or_else(|| last_error(&entries))
        .or_else(|| {
            let last = entries.last()?;
            let quoted = is_of_a_quote(&last.message);
            (!quoted).then(|| last.message.trim().to_owned())
        })?;
    Some(shortened(redact(&words)))
}

fn waits(entry: &Entry<'_>) -> bool {
    matches!(event_of(entry), LogEvent::Waiting { .. })
}

/// The first text after the last structured line that is no part of a stack trace, and what stands below it.
fn bare_words(entries: &[Entry<'_>]) -> Option<String> {
    let after = entries
        .iter()
        .rposition(Entry::is_structured)
        .map_or(0, |last| last + 1);
    let end = &entries[after..];
    let head = (0..end.len()).find(|&at| is_head(end, at));
    // Where the head was cut off, a quote may be left of it.
    let first = head.or_else(|| end.iter().position(|entry| is_of_a_quote(&entry.message)))?;
    let below = end[first + 1..]
        .iter()
        .take_while(|entry| is_bare(entry) && !is_frame_place(entry) && !is_routine(entry));
    let block: Vec<&str> = std::iter::once(&end[first])
        .chain(below)
        .map(|entry| entry.message.as_ref())
        .collect();
    let words = in_one_line(belonging(&block));
    let words = words.strip_prefix(RUNNING).unwrap_or(&words);
    (!words.is_empty()).then(|| words.to_owned())
}

/// The first line and the ones below it that are part of the same message: indented, or quoted, or rules with the faults
/// below them.
fn belonging<'a>(block: &[&'a str]) -> Vec<&'a str> {
    let belongs = |line: &&&str| {
        line.starts_with(char::is_whitespace) || is_of_a_quote(line) || is_about_a_password(line)
    };
    let (first, below) = block.split_at(1.min(block.len()));
    // The cause stands below a line that only announces it: `failed to decode config TOML:`.
    let announces = first.iter().any(|line| line.trim_end().ends_with(':'));
    let cause = usize::from(announces && below.first().is_some_and(|line| !belongs(&line)));
    let (cause, below) = below.split_at(cause);
    let below = cause.iter().chain(below.iter().take_while(belongs));
    first.iter().chain(below).copied().collect()
}

/// Text that starts something: neither indented nor quoted nor part of a stack trace.
fn is_head(lines: &[Entry<'_>], at: usize) -> bool {
    let message = &lines[at].message;
    if lines[at].shape == super::line::Shape::GoLog {
        return message.starts_with(RUNNING);
    }
    let says_something = message.contains(' ') && !is_routine(&lines[at]);
    is_bare(&lines[at])
        && !message.starts_with(char::is_whitespace)
        && !is_of_a_quote(message)
        && says_something
        && !heads_a_trace(&lines[at + 1..])
}

fn is_routine(entry: &Entry<'_>) -> bool {
    entry.message.starts_with("goroutine ")
}

/// Whether these lines start with a stack trace, or with the second line of a frame.
fn heads_a_trace(lines: &[Entry<'_>]) -> bool {
    match lines {
        [place, ..] if is_frame_place(place) => true,
        [name, place, ..] => is_frame_name(name) && is_frame_place(place),
        _ => false,
    }
}

/// The first line of a frame: `github.com/urfave/cli.Command.Run`, `main.main()`.
fn is_frame_name(entry: &Entry<'_>) -> bool {
    is_bare(entry) && entry.message.contains('.')
}

/// The second line of a frame: a tab and `/chainlink/lease_lock.go:224`, or `…` where it was cut.
fn is_frame_place(entry: &Entry<'_>) -> bool {
    is_bare(entry)
        && entry.message.starts_with('\t')
        && (entry.message.contains(".go:")
            || entry.message.contains(".s:")
            || entry.message.starts_with("\t…"))
}

fn is_bare(entry: &Entry<'_>) -> bool {
    entry.shape == super::line::Shape::Bare
}

fn last_error(entries: &[Entry<'_>]) -> Option<String> {
    let error = entries
        .iter()
        .rev()
        .find(|entry| entry.is_structured() && entry.level >= Some(Level::Error))?;
    Some(error.message.trim().to_owned())
}

/// As much of a text as is handed on.
pub(in crate::node) fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
