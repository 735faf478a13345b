//! Changes that can't work: what becomes of the node that worked before.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use super::peers::{Peer, at_work};
use super::record::version;
use super::requests::now;
use crate::timeline::Timeline;
use crate::world::PATIENCE;
use crate::{Cluster, World, until};

/// For how long is looked on.
const WATCHED: Duration = Duration::from_secs(60);
/// One who works says so every 20 ms.
const SILENT: i64 = 2_000_000;
const PEERS: [Peer; 5] = [
    Peer::Hand,
    Peer::Recreate,
    Peer::Rolling,
    Peer::Stateful,
    Peer::Operator,
];

/// What is wrong with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Image,
    Configuration,
    OlderVersion,
    ReadOnly,
}

impl Case {
    pub const ALL: [Self; 4] = [
        Self::Image,
        Self::Configuration,
        Self::OlderVersion,
        Self::ReadOnly,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Image => "an image that nobody has",
            Self::Configuration => "a configuration that the node refuses",
            Self::OlderVersion => "a version older than the database",
            Self::ReadOnly => "new sessions can't write to the database",
        }
    }

    /// Changes it, with all that a person does.
    async fn change(self, world: &World, peer: Peer) -> Result<()> {
        match self {
            Self::Image => peer.planned(world, "2.100.0").await,
            Self::Configuration => peer.misconfigured(world, &version(2)).await,
            Self::OlderVersion => peer.planned(world, &version(0)).await,
            Self::ReadOnly => {
                world.read_only(true).await?;
                peer.planned(world, &version(2)).await
            }
        }
    }
}

/// Tries each case on each peer once, and adds what was seen to a file.
pub async fn all(cluster: &Cluster, file: &Path) -> Result<()> {
    for case in Case::ALL {
        let tried = PEERS.map(|peer| one(cluster, peer, case));
        for (peer, seen) in PEERS.iter().zip(try_join_all(tried).await?) {
            println!("{}, {}: {seen}", case.title(), peer.title());
            let mut file = File::options().append(true).create(true).open(file)?;
            writeln!(file, "{},{case:?},{seen}", peer.name())?;
        }
    }
    Ok(())
}

/// What was seen, in words.
async fn one(cluster: &Cluster, peer: Peer, case: Case) -> Result<String> {
    let name = format!("e2e-bench-{case:?}-{}", peer.name()).to_lowercase();
    let world = World::new(cluster, &name, Timeline::new(false)).await?;
    let world = world.with_secrets().await?;
    peer.begin(&world, &version(1)).await?;
    let begin = now();
    // A person who sees no standby wait does nothing more, and a refusal changes nothing.
    let change = tokio::time::timeout(WATCHED, case.change(&world, peer)).await;
    drop(change);
    until("it was watched long enough", PATIENCE, async || {
        let watched = Duration::from_micros(u64::try_from(now() - begin)?);
        ensure!(watched >= WATCHED, "it was not");
        Ok(())
    })
    .await?;
    let last = at_work(&world).await?;
    let silent = now() - last.worked_until();
    let seen = if silent <= SILENT {
        format!("{} works on", last.version)
    } else {
        let seconds = WATCHED.as_secs();
        let silent = silent / 1_000_000;
        format!("nobody works for {silent} of {seconds} s")
    };
    world.read_only(false).await?;
    world.remove().await?;
    Ok(seen)
}

/// What a file has, as a table.
pub fn table(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)?;
    let titles = PEERS.map(Peer::title).join(" | ");
    let mut shown = format!("| | {titles} |\n|---{}|\n", "|---".repeat(PEERS.len()));
    for case in Case::ALL {
        let seen = |peer: &Peer| -> Result<&str> {
            let begin = format!("{},{case:?},", peer.name());
            let mut lines = text.lines().rev();
            let seen = lines.find_map(|line| line.strip_prefix(&begin));
            seen.with_context(|| format!("{begin} was not tried"))
        };
        let cells: Vec<&str> = PEERS.iter().map(seen).collect::<Result<_>>()?;
        writeln!(shown, "| {} | {} |", case.title(), cells.join(" | "))?;
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_case_is_shown() {
        let file = std::env::temp_dir().join(format!("bench-cases-{}", std::process::id()));
        let mut text = "hand,Image,nobody works for 59 of 60 s\n".to_owned();
        for case in Case::ALL {
            for peer in PEERS {
                writeln!(text, "{},{case:?},2.41.0 works on", peer.name()).unwrap();
            }
        }
        std::fs::write(&file, text).unwrap();
        let shown = table(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let cells = "| 2.41.0 works on ".repeat(PEERS.len());
        assert!(
            shown.contains(&format!("| an image that nobody has {cells}|")),
            "{shown}"
        );
    }
}
