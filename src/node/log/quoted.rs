//! What stands below the first line of a message: lists, rules for passwords, and lines of the user's own files.
//!
//! A TOML key that the node does not know is told with the lines of the document around it (`core/config`'s `DecodeTOML`
//! prints go-toml's `StrictMissingError.String()`), secrets files included:
//!
//! ```text
//! Error running app: failed to decode secrets TOML: 1| [Database]
//! 2| AllowSimplePassword = true
//!  | ~~~~~~~~~~~~~~~~~~~ missing field
//! 3| [Password]
//! 4| Keystore = '…'
//! ```
//!
//! Such lines are never shown: only the marked key and the number of its line.

/// Longest key that is shown; longer ones are no keys of the node's.
const LONGEST_KEY: usize = 60;

/// What go-toml says of a marked key, and of nothing else (`strict.go`).
const OF_A_KEY: [&str; 2] = ["missing field", "missing table"];

/// How go-toml begins what is wrong with a value or a character: it names types and characters, and no value.
const OF_A_VALUE: [&str; 3] = ["expected ", "cannot decode TOML ", "unexpected "];

/// Headings and rules that are the same in every message about a password (`core/utils/password.go`).
const RULES: [&str; 9] = [
    "Expected password complexity:",
    "Must be at least ",
    "Must be longer than ",
    "Must have a length of ",
    "Must not comprise:",
    "Must comprise:",
    "Leading or trailing whitespace",
    "A user's API email",
    ". Database should be secured by ",
];

/// A message of one or several lines in one, without what is quoted.
pub(in crate::node) fn in_one_line<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    let mut quoted: Option<Quoted<'_>> = None;
    for line in lines {
        let (text, quote) = split(line);
        let text = text.trim();
        if let Some(quote) = quote {
            match quote.number {
                Some(_) => quoted = Some(quote),
                None => keys.extend(marked(quoted.as_ref(), quote.text)),
            }
        }
        let rule = is_rule(text);
        if !rule && !matches!(text, "" | "---" | "." | ":") {
            told.push(text.to_owned());
        }
    }
    if !keys.is_empty() && told.is_empty() {
        // The kubelet kept no more than the end of it.
        told.push("failed to decode TOML:".to_owned());
    }
    if !keys.is_empty() {
        told.push(keys.join("; "));
    }
    told.join(" ")
}

/// Whether a line is one of a document that is quoted, the mark below one, or stands between two quotes.
pub(in crate::node) fn is_of_a_quote(line: &str) -> bool {
    line.trim_end() == "---" || matches!(split(line), (text, Some(_)) if text.trim().is_empty())
}

/// Whether an unindented line is part of a message about a password.
pub(super) fn is_about_a_password(line: &str) -> bool {
    is_rule(line) || matches!(line.trim_end(), "Faults:" | "." | ":")
}

fn is_rule(text: &str) -> bool {
    RULES.iter().any(|rule| text.starts_with(rule))
}

/// Where the quoted document begins in a line: behind `4|`, or behind a bare `|` at its start.
pub(super) fn start_of_quote(line: &str) -> Option<usize> {
    let (before, quote) = split(line);
    quote.map(|_| before.len())
}

/// A line of a document, by its number, or the mark below one.
struct Quoted<'a> {
    number: Option<usize>,
    text: &'a str,
}

/// What of a line is not of a document, and what is: `… TOML: 1| [Database]` has both.
fn split(line: &str) -> (&str, Option<Quoted<'_>>) {
    for (at, _) in line.match_indices('|') {
        let (before, text) = (&line[..at], &line[at + 1..]);
        if !(text.is_empty() || text.starts_with(char::is_whitespace)) {
            continue;
        }
        let start = before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (before, number) = before.split_at(start);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if number.is_empty() && before.trim().is_empty() {
            return ("", Some(Quoted { number: None, text }));
        }
        let begins = before.is_empty() || before.ends_with(char::is_whitespace);
        if begins && !number.is_empty() {
            let number = number.parse().ok();
            let number = Some(number.unwrap_or_default());
            return (before, Some(Quoted { number, text }));
        }
    }
    (line, None)
}

/// `line 2, AllowSimplePassword: missing field`: the key that the mark stands below, and what is wrong with it.
fn marked(quoted: Option<&Quoted<'_>>, mark: &str) -> Option<String> {
    let start = mark.find('~')?;
    let end = start
        + mark[start..]
            .find(|c| c != '~')
            .unwrap_or(mark.len() - start);
    let wrong = mark[end..].trim();
    let quoted = quoted?;
    let line = quoted.number?;
    if !OF_A_KEY.contains(&wrong) {
        let known = OF_A_VALUE.iter().any(|known| wrong.starts_with(known));
        let says_a_text = wrong.contains(['"', '\'', '`']);
        return Some(if known && !says_a_text {
            format!("line {line}: {wrong}")
        } else {
            format!("line {line}")
        });
    }
    let key = quoted.text.get(start..end).filter(|key| is_key(key));
    Some(match key {
        Some(key) => format!("line {line}, {key}: {wrong}"),
        None => format!("line {line}: {wrong}"),
    })
}

fn is_key(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.len() <= LONGEST_KEY && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        in_one_line(text.lines())
    }

    #[test]
    fn a_quoted_document_is_told_by_its_marked_keys_alone() {
        let text = "failed to decode secrets TOML:  9| [Database]\n\
            10| URL = 'postgresql://u:hunter2@db/cl'\n\
            11| AllowSimplePassword = true\n   \
            | ~~~~~~~~~~~~~~~~~~~ missing field\n\
            12|\n\
            ---\n\
            12|\n\
            13| [Passwords]\n   \
            |  ~~~~~~~~~ missing table\n\
            14| Keystore = 'hunter2'";
        assert_eq!(
            told(text),
            "failed to decode secrets TOML: line 11, AllowSimplePassword: missing field; line 13, Passwords: missing table"
        );
    }

    #[test]
    fn what_is_no_key_is_not_shown_under_a_mark() {
        let quoted = "7| Keystore = 'hunter2'\n | ";
        assert_eq!(
            told(&format!("{quoted}           ~~~~~~~~~ missing field")),
            "failed to decode TOML: line 7: missing field"
        );
        assert_eq!(
            told(&format!("{quoted}~~~~~~~~ something else")),
            "failed to decode TOML: line 7"
        );
        assert_eq!(told("7| Keystore = 'hunter2'"), "");
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_told_by_its_kind_and_not_by_itself() {
        let quoted = "2| [WebServer]\n3| HTTPPort = 'hunter2'\n | ";
        let kind =
            "cannot decode TOML string into struct field toml.WebServer.HTTPPort of type *uint16";
        assert_eq!(
            told(&format!(
                "failed to decode config TOML: {quoted}           ~~~~~~~~~ {kind}"
            )),
            format!("failed to decode config TOML: line 3: {kind}")
        );
        let quoting = "expected newline but got 'hunter2'";
        assert_eq!(
            told(&format!(
                "failed to decode config TOML: {quoted}           ~~~~~~~~~ {quoting}"
            )),
            "failed to decode config TOML: line 3"
        );
    }

    #[test]
    fn of_the_rules_for_passwords_only_the_fault_is_told() {
        let text = "error authenticating keystore: \n\
            Expected password complexity:\n\
            Must be at least 16 characters long\n\
            Must not comprise:\n\
            \tLeading or trailing whitespace\n\
            \tA user's API email\n\
            \n\
            Faults:\n\
            \tpassword is less than 16 characters long\n";
        assert_eq!(
            told(text),
            "error authenticating keystore: Faults: password is less than 16 characters long"
        );
    }

    #[test]
    fn other_texts_are_told_whole() {
        for text in ["a | b", "x|y", "opening db: a|b: c", "see 12|3"] {
            assert_eq!(told(text), text);
            assert!(!is_of_a_quote(text), "{text}");
        }
        for text in ["4| x", " 4|", "   | ~~~ missing field", "---"] {
            assert!(is_of_a_quote(text), "{text}");
        }
    }
}
