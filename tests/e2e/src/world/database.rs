//! The scenario's databases: what is set in them, and the record of duty that nodes keep there.

use anyhow::{Context, Result};

use super::World;
use crate::cluster::connect;
use crate::duty::{Event, Kind, Record};

impl World {
    /// Tells the simulators of a database where to send their record of duty.
    pub(super) async fn prepare_database(&self, url: &str) -> Result<()> {
        let database = connect(url).await?;
        database
            .batch_execute("CREATE TABLE simulator_settings (key text PRIMARY KEY, value text)")
            .await?;
        if let Some(collector) = &self.collector {
            set(&database, "collector", collector.address()).await?;
        }
        Ok(())
    }

    /// One more database. The duty of its nodes is not collected: judgements are about one database.
    pub async fn other_database(&self, suffix: &str) -> Result<String> {
        self.cluster.database(&self.other_name(suffix)).await
    }

    pub(super) fn other_name(&self, suffix: &str) -> String {
        format!("{}__{suffix}", self.database)
    }

    /// The URL of the scenario's database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Has new sessions of the scenario's database refuse writes, or take them again.
    pub async fn read_only(&self, on: bool) -> Result<()> {
        let (database, value) = (&self.database, if on { "on" } else { "off" });
        let url = self
            .database_url
            .replace('?', "?options=-c%20default_transaction_read_only%3Doff&");
        connect(&url)
            .await?
            .batch_execute(&format!(
                "ALTER DATABASE \"{database}\" SET default_transaction_read_only = {value}"
            ))
            .await?;
        Ok(())
    }

    /// For how many seconds the lease is still good if nobody refreshes it.
    pub async fn lease_left(&self) -> Result<f64> {
        let sql = "SELECT extract(epoch FROM max(expires_at) - now())::float8 FROM lease_lock";
        let row = connect(&self.database_url)
            .await?
            .query_one(sql, &[])
            .await?;
        row.get::<_, Option<f64>>(0).context("nobody has a lease")
    }

    /// A setting or fault of the simulators (tests/simulator/README.md).
    pub async fn simulate(&self, key: &str, value: &str) -> Result<()> {
        set(&connect(&self.database_url).await?, key, value).await
    }

    /// The record in the database.
    pub async fn duty_in_database(&self) -> Result<Record> {
        let database = connect(&self.database_url).await?;
        if database
            .query_one("SELECT to_regclass('simulator_duty') IS NULL", &[])
            .await?
            .get(0)
        {
            return Ok(Record::default());
        }
        let rows = database
            .query(
                "SELECT (extract(epoch FROM at) * 1000000)::bigint, pod, app_id::text, version, kind
                 FROM simulator_duty WHERE kind <> 'tick'
                 UNION ALL
                 SELECT (extract(epoch FROM max(at)) * 1000000)::bigint, pod, app_id::text, version, kind
                 FROM simulator_duty WHERE kind = 'tick' GROUP BY pod, app_id, version, kind",
                &[],
            )
            .await?;
        Ok(Record::of(rows.iter().filter_map(|row| {
            Some(Event {
                at: row.get(0),
                pod: row.get(1),
                app: row.get(2),
                version: row.get(3),
                kind: Kind::parse(row.get(4))?,
            })
        })))
    }
}

async fn set(database: &tokio_postgres::Client, key: &str, value: &str) -> Result<()> {
    let statement =
        "INSERT INTO simulator_settings VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
    database.execute(statement, &[&key, &value]).await?;
    Ok(())
}
