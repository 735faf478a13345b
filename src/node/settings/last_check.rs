//! What is wrong with settings that the node takes from the last file that sets them: a base for many nodes may say
//! one thing, and a file of this node another.

use std::net::IpAddr;

use toml::Value;

use super::toml_check::{parse, values};
use super::{Finding, shows_waiting_line};

/// A setting in the last readable file that has it.
#[derive(Debug)]
struct Last<'a> {
    file: &'a str,
    /// More than one where the file spells the key in several ways.
    values: Vec<Value>,
    /// A file in a Secret that comes later.
    hidden: Option<&'a str>,
}

/// Checks the user's files together, in the order in which the node reads them: each is its name and its text, or no
/// text where it lies in a Secret.
///
/// What such a file sets is not known. The last that can be read is judged: with a hidden waiting line no handover comes
/// about, and one that listens elsewhere is found out when it has the lock.
#[must_use]
pub fn check_last(files: &[(&str, Option<&str>)]) -> Vec<Finding> {
    let level = judge(
        files,
        &["Log", "Level"],
        |level| level.as_str().is_some_and(shows_waiting_line),
        "which hides the line by which a standby reports that it waits: write Level = 'info' or \
         Level = 'debug'",
    );
    let listen_ip = judge(
        files,
        &["WebServer", "ListenIP"],
        |ip| {
            let ip = ip.as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
            ip.is_some_and(|ip| ip.is_unspecified())
        },
        "where neither the operator nor the Service reaches the node: leave it out",
    );
    level.into_iter().chain(listen_ip).collect()
}

fn judge(
    files: &[(&str, Option<&str>)],
    path: &[&str],
    fits: impl Fn(&Value) -> bool,
    why: &str,
) -> Option<Finding> {
    let last = last(files, path)?;
    let wrong = last.values.iter().find(|value| !fits(value))?;
    let hidden = last.hidden.map_or_else(String::new, |name| {
        format!(
            "; whether {name}, which comes later, sets another can't be read, as it is in a Secret"
        )
    });
    Some(Finding::Refused(format!(
        "spec.config.files ({}) sets {} = {wrong}, {why}{hidden}",
        last.file,
        path.join(".")
    )))
}

fn last<'a>(files: &[(&'a str, Option<&str>)], path: &[&str]) -> Option<Last<'a>> {
    let mut hidden = None;
    for (file, text) in files.iter().rev() {
        let Some(Ok(table)) = text.map(parse) else {
            hidden = hidden.or(Some(*file));
            continue;
        };
        let values: Vec<Value> = values(&table, path).into_iter().cloned().collect();
        if !values.is_empty() {
            return Some(Last {
                file,
                values,
                hidden,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Finding::Refused;
    use super::*;

    fn check(text: &str) -> Vec<Finding> {
        check_last(&[("node.toml", Some(text))])
    }

    #[test]
    fn a_log_level_that_hides_the_waiting_line_is_refused() {
        for level in ["warn", "error", "crit", "panic", "fatal", "WARN", "verbose"] {
            assert_eq!(
                check(&format!("[Log]\nLevel = '{level}'")),
                [Refused(format!(
                    "spec.config.files (node.toml) sets Log.Level = \"{level}\", which hides the \
                     line by which a standby reports that it waits: write Level = 'info' or Level \
                     = 'debug'"
                ))]
            );
        }
        for level in ["debug", "info", "INFO", ""] {
            assert_eq!(check(&format!("[Log]\nLevel = '{level}'")), []);
        }
    }

    #[test]
    fn keys_are_found_in_any_case_as_the_node_finds_them() {
        assert_eq!(check("[log]\nlevel = 'error'").len(), 1);
        assert_eq!(check("log.LEVEL = 'error'").len(), 1);
        assert_eq!(check("LOG = { Level = 'error' }").len(), 1);
        let twice = "[Log]\nLevel = 'error'\n[log]\nlevel = 'info'";
        assert_eq!(check(twice).len(), 1, "which of them counts is not known");
    }

    #[test]
    fn a_web_server_that_nobody_reaches_is_refused() {
        assert_eq!(
            check("[WebServer]\nListenIP = '127.0.0.1'"),
            [Refused(
                "spec.config.files (node.toml) sets WebServer.ListenIP = \"127.0.0.1\", where \
                 neither the operator nor the Service reaches the node: leave it out"
                    .to_owned()
            )]
        );
        for everywhere in ["0.0.0.0", "::"] {
            assert_eq!(
                check(&format!("[WebServer]\nListenIP = '{everywhere}'")),
                []
            );
        }
    }

    #[test]
    fn the_last_file_that_sets_it_counts_and_the_first_secret_after_it_is_named() {
        let warn = ("base", Some("Log.Level = 'warn'"));
        let info = ("own", Some("Log.Level = 'info'"));
        let found = |files: &[(&str, Option<&str>)]| {
            let found = check_last(files);
            found.first().map(|finding| finding.message().to_owned())
        };
        assert_eq!(found(&[warn, info]), None);
        assert_eq!(found(&[warn, ("hidden", None), info]), None);
        assert_eq!(found(&[warn, info, ("hidden", None)]), None);
        let refused = found(&[info, warn, ("other", Some(""))]);
        assert!(refused.is_some_and(|said| said.contains("(base)") && !said.contains("Secret")));
        let refused = found(&[("before", None), info, warn, ("hidden", None)]);
        assert!(refused.is_some_and(|said| said.contains("whether hidden, which comes later")));
    }
}
