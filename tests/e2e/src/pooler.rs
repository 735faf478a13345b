//! `PgBouncer` before the database, as many people have it. One for all scenarios of a run; ended when dropped.

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::world::World;

/// Whose a session of the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A client's, for as long as it is connected: the only mode that a node can live with.
    Session,
    /// A client's for the time of one transaction.
    Transaction,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }
}

/// A pooler that runs.
pub struct Pooler {
    cluster: Cluster,
    mode: Mode,
}

impl Pooler {
    /// Starts it, in this mode.
    pub fn start(cluster: &Cluster, mode: Mode) -> Result<Self> {
        let pooler = Self {
            cluster: cluster.clone(),
            mode,
        };
        cluster.command(&["pooler", "start", mode.name()])?;
        Ok(pooler)
    }

    /// Ends it at once, with all connections through it, and starts it again.
    pub fn restart(&self) -> Result<()> {
        let restart = ["pooler", "restart", self.mode.name()];
        self.cluster.command(&restart).map(drop)
    }

    /// The URL of a scenario's database by way of it.
    pub fn url(&self, world: &World) -> Result<String> {
        self.cluster
            .command(&["pooler", "url", database_of(world)?])
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.command(&["pooler", "stop"]) {
            eprintln!("PgBouncer could not be ended: {error:#}");
        }
    }
}

fn database_of(world: &World) -> Result<&str> {
    let (_, path) = world.database_url().rsplit_once('/').context("no path")?;
    Ok(path.split('?').next().unwrap_or(path))
}
