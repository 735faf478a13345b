//! Migrations that change nothing but the record of migrations: one row each, in order, resumable.

use std::cell::Cell;
use std::time::Duration;

use crate::log::Logger;
use crate::pg::{DbError, QUERY_TIMEOUT, Session};
use crate::version::NodeVersion;

/// File names of the first 168, as the real nodes print them.
const NAMES: &str = include_str!("migrations.txt");
const CREATE: &str = "SET synchronous_commit = off;
    CREATE TABLE IF NOT EXISTS goose_migrations (
        id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT NOW());
    INSERT INTO goose_migrations (version_id, is_applied)
        SELECT 0, true WHERE NOT EXISTS (SELECT 1 FROM goose_migrations)";
const APPLY: &str = "INSERT INTO goose_migrations (version_id, is_applied) VALUES ($1, true)";

/// The migration under way, for the error line of an interrupted boot.
#[derive(Default)]
pub(crate) struct Progress(Cell<Option<u32>>);

impl Progress {
    pub(crate) fn current(&self) -> Option<u32> {
        self.0.get()
    }
}

/// What a test asked of the migrations.
pub(crate) struct Wishes<'a> {
    /// How long all that are missing take together.
    pub(crate) extra: Duration,
    /// Told of each number that the database has: the newest one at first, then each that was applied.
    pub(crate) reached: &'a dyn Fn(u32),
}

/// Applies what is missing.
pub(crate) async fn migrate(
    session: &Session,
    version: &NodeVersion,
    log: &Logger,
    wishes: &Wishes<'_>,
    progress: &Progress,
) -> Result<(), DbError> {
    let timeout = Some(QUERY_TIMEOUT);
    session.batch(CREATE, timeout).await?;
    let rows = session
        .query(
            "SELECT max(version_id)::bigint FROM goose_migrations",
            &[],
            timeout,
        )
        .await?;
    let applied: i64 = rows.first().map_or(0, |row| row.get(0));
    let applied = u32::try_from(applied).unwrap_or(0);
    (wishes.reached)(applied);
    let first = applied + 1;
    let last = version.migrations();
    let pending = (last + 1).saturating_sub(first);
    for number in first..=last {
        progress.0.set(Some(number));
        tokio::time::sleep(wishes.extra / pending.max(1)).await;
        session
            .execute(APPLY, &[&i64::from(number)], timeout)
            .await?;
        (wishes.reached)(number);
        if version.logs_migrations() {
            log.migration(&format!("OK    {}", file_name(number)));
        }
    }
    progress.0.set(None);
    if version.logs_migrations() {
        log.migration(&format!(
            "goose: no migrations to run. current version: {}",
            last.max(first - 1)
        ));
    }
    session.batch("RESET synchronous_commit", timeout).await
}

fn file_name(number: u32) -> String {
    let prefix = format!("{number:04}_");
    let known = NAMES.lines().find(|name| name.starts_with(&prefix));
    known.map_or_else(|| format!("{prefix}simulated.sql"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_real_ones_as_far_as_known() {
        assert_eq!(file_name(82), "0082_lease_lock.sql");
        assert_eq!(file_name(300), "0300_simulated.sql");
    }
}
