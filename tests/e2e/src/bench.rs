//! `make bench`: this operator beside what people do without it, with the same simulated node on the same cluster.
//!
//! [`peers`] says what is compared, [`record`] keeps what was measured, [`table`] and [`picture`] show it.

pub mod cases;
pub mod peers;
pub mod picture;
pub mod record;
pub mod requests;
pub mod table;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::duty::Micros;
use crate::machine::NODES;
use crate::mirror::Mirror;
use crate::timeline::Timeline;
use crate::world::PATIENCE;
use crate::{Cluster, World, until};
use peers::{Peer, WATCHED, at_work, until_works};
use record::{Kind, Move, free_lock, holes, version};
use requests::{Requests, now};

/// What is looked at before a move.
const AT_REST: Micros = 2 * SECOND;
/// How long an image is pulled, where it has to be.
pub const PULL: Duration = Duration::from_secs(10);
const SECOND: Micros = 1_000_000;
/// The port of every Service.
const PORT: u16 = 6688;

/// Measures one peer so many times in a world of its own, and adds each move to a file as it is over.
pub async fn measure(cluster: &Cluster, peer: Peer, times: u32, file: &Path) -> Result<()> {
    let name = format!("e2e-bench-{}", peer.name());
    let mut cluster = cluster.clone();
    let versions: Vec<String> = (0..=times).map(version).collect();
    let mirror = peer
        .pulls()
        .then(|| Mirror::slow(&cluster, &versions, PULL));
    let mut mirror = mirror.transpose()?;
    if let Some(mirror) = &mut mirror {
        for version in &versions {
            mirror.release(version)?;
        }
        cluster.node_repository = mirror.repository();
    }
    let world = World::new(&cluster, &name, Timeline::new(false))
        .await?
        .with_secrets()
        .await?;
    moves(&world, peer, times, file).await?;
    world.remove().await
}

/// The moves of one peer, in a world that is there.
pub async fn moves(world: &World, peer: Peer, times: u32, file: &Path) -> Result<()> {
    let mut series = Series::begin(world, peer, file).await?;
    let (planned, crash) = (Kind::Planned, Kind::Crash);
    for _ in 0..times {
        if peer.ends() && peer.kinds().contains(&planned) {
            series.one(planned).await?;
        }
        if peer.kinds().contains(&crash) {
            series.one(crash).await?;
            series.renew().await?;
        }
    }
    if !peer.ends() {
        series.endless().await?;
    }
    Ok(())
}

/// The moves of one peer in a row.
struct Series<'a> {
    world: &'a World,
    peer: Peer,
    file: &'a Path,
    requests: Requests,
    upgrades: u32,
}

impl<'a> Series<'a> {
    async fn begin(world: &'a World, peer: Peer, file: &'a Path) -> Result<Self> {
        peer.begin(world, &version(0)).await?;
        let service = world.services().get("node").await?.spec;
        let address = service.and_then(|spec| spec.cluster_ip);
        let address = address.context("the Service has no address")?;
        let requests = Requests::start(NODES[0], &format!("{address}:{PORT}"))?;
        let series = Self {
            world,
            peer,
            file,
            requests,
            upgrades: 0,
        };
        series.until_answered().await;
        Ok(series)
    }

    async fn one(&mut self, kind: Kind) -> Result<()> {
        let (world, peer) = (self.world, self.peer);
        self.at_rest().await?;
        let before = world.gaps().await?.len();
        let begin = now();
        match kind {
            Kind::Planned => {
                self.upgrades += u32::from(peer.upgrades());
                let version = version(self.upgrades);
                peer.planned(world, &version).await?;
                until_works(world, &version, WATCHED).await?;
            }
            Kind::Crash => {
                let _absent = peer.before_crash(world, &version(self.upgrades)).await?;
                let active = at_work(world).await?.pod;
                world.kill_process(&active).await?;
                until("somebody works again", PATIENCE, async || {
                    ensure!(world.gaps().await?.len() > before, "nobody does");
                    Ok(())
                })
                .await?;
            }
        }
        peer.rested(world, &version(self.upgrades)).await?;
        self.until_answered().await;
        let gaps = world.gaps().await?;
        self.keep(&Move {
            peer: peer.name(),
            kind,
            number: self.number(kind)?,
            holes: holes(&gaps[before..]),
            free_lock: free_lock(&gaps[before..]),
            service: requests::without_answer(&self.requests.since(begin))
                .map(|micros| micros / 1000),
            failed_at_rest: self.failed_before(begin),
        })
    }

    /// A planned move that has no end while it is watched: the old version works on.
    async fn endless(&mut self) -> Result<()> {
        let (world, peer) = (self.world, self.peer);
        self.at_rest().await?;
        let begin = now();
        self.upgrades += 1;
        let version = version(self.upgrades);
        peer.planned(world, &version).await?;
        let ended = until_works(world, &version, WATCHED).await;
        ensure!(ended.is_err(), "{} came to an end after all", peer.title());
        self.keep(&Move {
            peer: peer.name(),
            kind: Kind::Planned,
            number: self.number(Kind::Planned)?,
            holes: Vec::new(),
            free_lock: None,
            service: None,
            failed_at_rest: self.failed_before(begin),
        })
    }

    async fn renew(&self) -> Result<()> {
        self.peer.renew(self.world, &version(self.upgrades)).await
    }

    /// Waits until as much is known of the rest as is looked at before a move.
    async fn at_rest(&self) -> Result<()> {
        let begin = now();
        until("the rest is looked at", PATIENCE, async || {
            let rested = Duration::from_micros(u64::try_from(now() - begin)?);
            ensure!(rested >= self.peer.rest(), "it is not over");
            Ok(())
        })
        .await
    }

    fn failed_before(&self, moved: Micros) -> usize {
        let mut requests = self.requests.since(moved - AT_REST);
        requests.retain(|request| request.sent < moved);
        requests::failed(&requests)
    }

    /// Waits until every request of a second is answered; where the Service leads to a standby too, that never comes.
    async fn until_answered(&self) {
        let begin = now();
        let answered = async || {
            let since = now() - SECOND;
            ensure!(since >= begin, "it was not looked at for a second");
            let last = self.requests.since(since);
            ensure!(
                !last.is_empty() && requests::failed(&last) == 0,
                "some fail"
            );
            Ok(())
        };
        let patience = Duration::from_secs(if self.peer.leads_to_standbys() { 0 } else { 30 });
        // Where it does not answer, what is measured next says so.
        let _ = until("the Service answers", patience, answered).await;
    }

    /// Of the next move of a kind, over all runs that the file has.
    fn number(&self, kind: Kind) -> Result<usize> {
        if !self.file.exists() {
            return Ok(1);
        }
        let name = self.peer.name();
        let before = record::read(self.file)?;
        let same = |one: &&Move| one.peer == name && one.kind == kind;
        Ok(before.iter().filter(same).count() + 1)
    }

    fn keep(&self, one: &Move) -> Result<()> {
        println!("{one}");
        record::append(self.file, one)
    }
}
