//! The limit of what anybody can do: the first is stopped so that its lock is free just before the second tries to take it. When
//! that will be is told by the database, which knows the time of the second's last try.

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::requests::now;
use super::at_work;
use super::hand::second;
use crate::cluster::connect;
use crate::duty::Micros;
use crate::{World, machine};

/// From one try to the next at the earliest: a second, with a tenth of jitter.
const NEXT_TRY: Micros = 900_000;
/// What the simulated node needs from SIGTERM until its lease is given back, 30 ms of it by its setting `shutdown`.
const SHUTDOWN: Micros = 60_000;
/// How often the database is asked.
const LOOK: Duration = Duration::from_millis(5);

/// Starts a second container of this version, and stops the first at the ideal moment.
pub async fn replace(world: &World, version: &str) -> Result<()> {
    let active = at_work(world).await?.pod;
    let process = machine::process_of(&active, "chainlink")?;
    second(world, version).await?;
    // On a busy machine a try may be seen too late: then it is the one after it.
    let wait = loop {
        let wait = next_try(world, version).await? + NEXT_TRY - SHUTDOWN - now();
        if wait > 0 {
            break wait;
        }
    };
    tokio::time::sleep(Duration::from_micros(u64::try_from(wait)?)).await;
    machine::signal_process(process, "TERM")
}

/// Waits for a try of the standby of this version, and returns when it was.
async fn next_try(world: &World, version: &str) -> Result<Micros> {
    let database = connect(world.database_url()).await?;
    let named = format!("Chainlink {version} |App|%");
    let last = async || -> Result<Micros> {
        let row = database
            .query_one(
                "SELECT (extract(epoch FROM max(query_start)) * 1000000)::bigint FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE $1",
                &[&named],
            )
            .await?;
        row.get::<_, Option<Micros>>(0)
            .context("the standby has no session")
    };
    let before = last().await?;
    let tries = async || -> Result<Micros> {
        loop {
            let tried = last().await?;
            // A try is several statements: the last of them is some milliseconds after the first.
            if tried > before + NEXT_TRY / 2 {
                return Ok(tried);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let patience = Duration::from_secs(5);
    tokio::time::timeout(patience, tries())
        .await
        .context("the standby does not try")?
}
