//! The one line that a person needs after an exit.

use super::line::{Entry, Level, without_colours};
use super::meaning::event_of;
use super::{LogEvent, redact};

/// Longest text that is handed on; a line of a person's terminal or two.
const LONGEST: usize = 1000;

/// The line a person needs after an exit, without passwords.
///
/// That is the plain text after the last line of the node's own log, printed with neither time
/// nor level (`opening db: failed to take initial lease on database: …`), whole if it has several
/// lines. Failing that the last FATAL, CRIT or ERROR message, failing that the last line. One that
/// ended while it waited for the lock has said nothing of interest.
#[must_use]
pub fn last_words(tail: &[&str]) -> Option<String> {
    let clean: Vec<_> = tail
        .iter()
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
        .or_else(|| Some(entries.last()?.message.trim().to_owned()))?;
    Some(shortened(redact(&words)))
}

fn waits(entry: &Entry<'_>) -> bool {
    matches!(event_of(entry), LogEvent::Waiting { .. })
}

/// The last bare text after the last structured line that is no part of a stack trace.
fn bare_words(entries: &[Entry<'_>]) -> Option<String> {
    let after = entries
        .iter()
        .rposition(Entry::is_structured)
        .map_or(0, |last| last + 1);
    let end = &entries[after..];
    let head = (0..end.len()).rev().find(|&at| is_head(end, at))?;
    let block = std::iter::once(&end[head])
        .chain(end[head + 1..].iter().take_while(|entry| is_detail(entry)));
    let words: Vec<_> = block.map(|entry| entry.message.trim()).collect();
    Some(words.join(" "))
}

/// Bare text that starts something: neither indented nor part of a stack trace.
fn is_head(lines: &[Entry<'_>], at: usize) -> bool {
    let message = &lines[at].message;
    let says_something = message.contains(' ') && !message.starts_with("goroutine ");
    is_bare(&lines[at])
        && !message.starts_with(char::is_whitespace)
        && says_something
        && !heads_a_trace(&lines[at + 1..])
}

/// Whether these lines start with a stack trace, or with the second line of a frame.
fn heads_a_trace(lines: &[Entry<'_>]) -> bool {
    match lines {
        [place, ..] if is_frame_place(place) => true,
        [name, place, ..] => is_frame_name(name) && is_frame_place(place),
        _ => false,
    }
}

/// An indented line of a message, such as `- Database: …` below `invalid configuration: …`.
fn is_detail(entry: &Entry<'_>) -> bool {
    is_bare(entry) && entry.message.starts_with(char::is_whitespace) && !is_frame_place(entry)
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

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
