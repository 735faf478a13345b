//! `PgBouncer` before the database, as many people have it. One for all scenarios of a run; ended when dropped.

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::world::World;

/// A pooler that runs.
pub struct Pooler {
    cluster: Cluster,
}

impl Pooler {
    /// In session mode, the only one that a node can live with.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let pooler = Self {
            cluster: cluster.clone(),
        };
        cluster.command(&["pooler", "start", "session"])?;
        Ok(pooler)
    }

    /// Ends it at once, with all connections through it, and starts it again.
    pub fn restart(&self) -> Result<()> {
        let restart = ["pooler", "restart", "session"];
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
