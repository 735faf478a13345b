//! One move of the lock as it was measured, and its line in a file of comma-separated values.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::duty::{Gap, Micros};
use crate::images::SOAK_VERSIONS;

/// Why the lock moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Planned,
    Crash,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Crash => "crash",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Planned, Self::Crash];
        all.into_iter().find(|kind| kind.name() == text)
    }
}

/// Time without an active, in milliseconds since the first active of the move ended its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub from: Micros,
    pub length: Micros,
}

/// One move. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub peer: String,
    pub kind: Kind,
    pub number: usize,
    /// By the record of duty; empty where the move had no end while it was watched.
    pub holes: Vec<Hole>,
    /// From the lock that was given back to its next holder, where one move did that.
    pub free_lock: Option<Micros>,
    /// From answer to answer through the Service; `None` where that has no end, or no beginning.
    pub service: Option<Micros>,
    /// How many of a hundred requests failed before the move, with everything at rest.
    pub failed_at_rest: usize,
}

const HEAD: &str = "peer,kind,number,without_active_ms,free_lock_ms,without_answer_ms,failed_at_rest_percent,holes_ms";

impl Move {
    /// All time without an active.
    pub fn without_active(&self) -> Option<Micros> {
        (!self.holes.is_empty()).then(|| self.holes.iter().map(|hole| hole.length).sum())
    }

    fn line(&self) -> String {
        let or_empty =
            |value: Option<Micros>| value.map_or_else(String::new, |value| value.to_string());
        let holes: Vec<String> = self
            .holes
            .iter()
            .map(|hole| format!("{}+{}", hole.from, hole.length))
            .collect();
        format!(
            "{},{},{},{},{},{},{},{}",
            self.peer,
            self.kind.name(),
            self.number,
            or_empty(self.without_active()),
            or_empty(self.free_lock),
            or_empty(self.service),
            self.failed_at_rest,
            holes.join(" ")
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(',').collect();
        let [peer, kind, number, _, free_lock, service, failed, holes] = words[..] else {
            return None;
        };
        let hole = |text: &str| {
            let (from, length) = text.split_once('+')?;
            let (from, length) = (from.parse().ok()?, length.parse().ok()?);
            Some(Hole { from, length })
        };
        Some(Self {
            peer: peer.to_owned(),
            kind: Kind::parse(kind)?,
            number: number.parse().ok()?,
            holes: holes.split_whitespace().filter_map(hole).collect(),
            free_lock: free_lock.parse().ok(),
            service: service.parse().ok(),
            failed_at_rest: failed.parse().ok()?,
        })
    }
}

impl fmt::Display for Move {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told =
            |value: Option<Micros>| value.map_or("-".to_owned(), |value| format!("{value} ms"));
        write!(
            out,
            "{:>3} {:<8} without an active: {:>9}, of it with a free lock: {:>9}, through the Service: {:>9}",
            self.number,
            self.kind.name(),
            told(self.without_active()),
            told(self.free_lock),
            told(self.service)
        )
    }
}

/// The gaps of one move, counted from the first.
pub fn holes(gaps: &[Gap]) -> Vec<Hole> {
    let Some(begin) = gaps.first().map(|gap| gap.from.worked_until()) else {
        return Vec::new();
    };
    let hole = |gap: &Gap| Hole {
        from: (gap.from.worked_until() - begin) / 1000,
        length: gap.micros() / 1000,
    };
    gaps.iter().map(hole).collect()
}

/// How long the lock was free in a move of one gap, in milliseconds.
pub fn free_lock(gaps: &[Gap]) -> Option<Micros> {
    match gaps {
        [gap] => gap.lock().map(|micros| micros / 1000),
        _ => None,
    }
}

/// Adds a move to a file, which is begun where it is not there.
pub fn append(file: &Path, one: &Move) -> Result<()> {
    let begun = file.exists();
    let mut file = File::options().append(true).create(true).open(file)?;
    if !begun {
        writeln!(file, "{HEAD}")?;
    }
    writeln!(file, "{}", one.line())?;
    Ok(())
}

/// The moves of a file.
pub fn read(file: &Path) -> Result<Vec<Move>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    let lines = text.lines().skip(1);
    lines
        .map(|line| Move::parse(line).with_context(|| format!("no move: {line}")))
        .collect()
}

/// The version after so many upgrades.
pub fn version(upgrades: u32) -> String {
    format!("2.{}.0", SOAK_VERSIONS.start + upgrades)
}

/// The one in the middle; of an even number the later of the two.
pub fn median(mut values: Vec<Micros>) -> Option<Micros> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_what_was_added_to_it() {
        let folder = std::env::temp_dir().join(format!("bench-record-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("moves.csv");
        let (first, second) = (
            Hole {
                from: 0,
                length: 900,
            },
            Hole {
                from: 4000,
                length: 800,
            },
        );
        let ended = Move {
            peer: "stateful".to_owned(),
            kind: Kind::Planned,
            number: 1,
            holes: vec![first, second],
            free_lock: None,
            service: Some(5000),
            failed_at_rest: 50,
        };
        let endless = Move {
            holes: Vec::new(),
            free_lock: Some(130),
            service: None,
            ..ended.clone()
        };
        append(&file, &ended).unwrap();
        append(&file, &endless).unwrap();
        assert_eq!(read(&file).unwrap(), [ended.clone(), endless.clone()]);
        assert_eq!(ended.without_active(), Some(1700));
        assert_eq!(endless.without_active(), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
