//! Which versions are known, and how well. One table: the pages for people and what is told of a version outside of it are made
//! from it.

use std::fmt::Write as _;

use super::version::NodeVersion;

/// How what is said of a version is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Nodes of these releases were run, and what they did was written down.
    Measured(&'static [&'static str]),
    /// Nodes were not run: their sources were read.
    Read,
    /// Neither: only the notes of the releases were read.
    Noted,
}

/// Versions on end of which the same is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The first release: its major and minor number.
    pub first: (u64, u64),
    /// The last one, with all of its patches.
    pub last: (u64, u64),
    pub known: Knowledge,
    /// What such a node does that others do not, and what the operator makes of it.
    pub what: &'static str,
}

/// All versions that are known, in their order.
pub const KNOWN: [Versions; 6] = [
    Versions {
        first: (0, 10),
        last: (1, 0),
        known: Knowledge::Read,
        what: "configured by environment variables; `advisorylock` only",
    },
    Versions {
        first: (1, 1),
        last: (1, 10),
        known: Knowledge::Read,
        what: "configured by environment variables; `advisorylock` by default up to 1.2, `dual` from 1.3 on",
    },
    Versions {
        first: (1, 11),
        last: (1, 13),
        known: Knowledge::Measured(&["1.11.0", "1.13.3"]),
        what: "configured by environment variables or TOML; TOML is checked before a pod is replaced for it",
    },
    Versions {
        first: (2, 0),
        last: (2, 29),
        known: Knowledge::Measured(&[
            "2.0.0", "2.1.0", "2.1.1", "2.10.0", "2.15.0", "2.18.0", "2.23.0", "2.29.0",
        ]),
        what: "TOML and `lease` only; a node checks its configuration before it asks for the lock, and the operator has it checked before that",
    },
    Versions {
        first: (2, 30),
        last: (2, 65),
        known: Knowledge::Read,
        what: "a node checks its configuration only when it has the lock: a check that says nothing holds the upgrade (`ConfigurationUnchecked`); a start that fails keeps the lease for its whole length",
    },
    Versions {
        first: (2, 66),
        last: (2, 74),
        known: Knowledge::Noted,
        what: "taken to be as those before; PostgreSQL 15 is the oldest that a node starts on (`PostgresTooOld`)",
    },
];

/// What is known of a version, where anything is.
#[must_use]
pub fn known(version: &NodeVersion) -> Option<&'static Versions> {
    let (major, minor) = version.major_and_minor();
    KNOWN
        .iter()
        .find(|versions| (versions.first..=versions.last).contains(&(major, minor)))
}

/// What is to be told of a version that is in no line of the table: it runs all the same.
#[must_use]
pub fn unknown(version: &NodeVersion) -> Option<String> {
    if known(version).is_some() {
        return None;
    }
    let first = text(KNOWN[0].first);
    let last = text(newest());
    let (major, minor) = version.major_and_minor();
    Some(if (major, minor) > newest() {
        format!(
            "{version} is newer than all that this operator knows (up to {last}), and is run as {last} is: read its release notes, and try it on a test network first"
        )
    } else {
        format!(
            "{version} is none of the versions that this operator knows ({first} to {last}): try it on a test network first"
        )
    })
}

/// The versions of the newest major number that are known, as a range for tools that look for releases.
#[must_use]
pub fn range() -> String {
    let (major, minor) = newest();
    let mut lines = KNOWN.iter().map(|versions| versions.first);
    let first = lines.find(|first| first.0 == major).unwrap_or(newest());
    format!(">={}.0 <{major}.{}.0", text(first), minor + 1)
}

fn newest() -> (u64, u64) {
    KNOWN[KNOWN.len() - 1].last
}

fn text((major, minor): (u64, u64)) -> String {
    format!("{major}.{minor}")
}

impl Knowledge {
    fn text(self) -> String {
        match self {
            Self::Measured(on) => format!("measured on {}", on.join(", ")),
            Self::Read => "read in its sources".to_owned(),
            Self::Noted => "read in its release notes only".to_owned(),
        }
    }
}

/// The table for people, in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table =
        "| version | how it is known | what the operator goes by |\n|---|---|---|\n".to_owned();
    for versions in &KNOWN {
        let Versions {
            first,
            last,
            known,
            what,
        } = versions;
        let (first, last, known) = (text(*first), text(*last), known.text());
        // A String takes every write.
        let _ = writeln!(table, "| {first} to {last} | {known} | {what} |");
    }
    let last = text(newest());
    let _ = writeln!(
        table,
        "| newer than {last} | unknown | runs as {last} does, and is never refused for its number; the event `VersionUnknown` and the message of `Ready` say so |"
    );
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Range;

    fn version(text: &str) -> NodeVersion {
        text.parse().unwrap()
    }

    #[test]
    fn the_lines_of_the_table_follow_each_other() {
        for pair in KNOWN.windows(2) {
            let ((major, minor), next) = (pair[0].last, pair[1].first);
            let follows = next == (major, minor + 1) || next == (major + 1, 0);
            assert!(follows, "{pair:?}");
            assert!(pair[0].first <= pair[0].last);
        }
    }

    #[test]
    fn what_was_measured_stands_in_its_own_line() {
        for versions in &KNOWN {
            if let Knowledge::Measured(on) = versions.known {
                for one in on {
                    assert_eq!(known(&version(one)), Some(versions), "{one}");
                }
            }
        }
    }

    #[test]
    fn the_range_for_tools_is_what_the_table_knows() {
        let range: Range = range().parse().unwrap();
        for (one, is) in [
            ("2.0.0", true),
            ("2.74.9", true),
            ("2.75.0", false),
            ("1.13.3", false),
            ("2.74.1-beta.1", false),
        ] {
            assert_eq!(range.contains(&version(one)), is, "{one}");
        }
    }

    /// What the code does by a version begins where the table says that it does.
    #[test]
    fn the_table_and_the_code_draw_the_same_lines() {
        let first = |says: fn(&NodeVersion) -> bool| {
            let releases = KNOWN.iter().map(|versions| text(versions.first));
            let mut releases = releases.map(|release| version(&format!("{release}.0")));
            releases.find(says).unwrap().to_string()
        };
        assert_eq!(first(NodeVersion::knows_locking_mode), "1.1.0");
        assert_eq!(first(NodeVersion::supports_toml), "1.11.0");
        assert_eq!(first(|version| !version.supports_environment()), "2.0.0");
        assert_eq!(first(NodeVersion::validates_after_lock), "2.30.0");
        assert_eq!(
            first(|version| version.oldest_postgres() == Some(15)),
            "2.66.0"
        );
    }

    #[test]
    fn a_version_outside_of_the_table_is_told_as_what_it_is() {
        for known in ["0.10.15", "1.13.3", "2.29.0", "2.74.9", "2.74.1-beta.1"] {
            assert_eq!(unknown(&version(known)), None, "{known}");
        }
        let newer = unknown(&version("2.75.0")).unwrap();
        assert!(
            newer.contains("newer than all that this operator knows (up to 2.74)"),
            "{newer}"
        );
        assert!(unknown(&version("3.0.0")).unwrap().contains("newer than"));
        let older = unknown(&version("0.9.10")).unwrap();
        assert!(
            older.contains("none of the versions that this operator knows (0.10 to 2.74)"),
            "{older}"
        );
    }
}
