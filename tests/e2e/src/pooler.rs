//! `PgBouncer` before the database, as many people have it. One for all scenarios of a run; ended when dropped.

use anyhow::{Context, Result};

use crate::cluster::{Cluster, connect};
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

    /// Whether the server behind it takes logins to a scenario's database. If not, its sessions end.
    pub async fn server_takes_logins(&self, world: &World, takes: bool) -> Result<()> {
        let database = database_of(world)?;
        let other = world.database_url().replacen(database, "postgres", 1);
        let server = connect(&other).await?;
        let allow = format!("ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS {takes}");
        server.batch_execute(&allow).await?;
        if !takes {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            server.query(end, &[&database]).await?;
        }
        Ok(())
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
