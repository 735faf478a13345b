//! The advisory lock: held by a connection of its own, gone with it.

use std::time::Duration;

use crate::pg::{DbError, QUERY_TIMEOUT, Session};

const TAKE: &str = "SELECT pg_try_advisory_lock($1)";
const CHECK: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    AND (classid::bigint << 32) | objid::bigint = $1)";
const RELEASE: &str = "SELECT pg_advisory_unlock($1)";

pub(super) async fn take(
    session: &Session,
    id: i64,
    timeout: Option<Duration>,
) -> Result<bool, DbError> {
    boolean(session, TAKE, id, timeout).await
}

pub(super) async fn check(
    session: &Session,
    id: i64,
    timeout: Option<Duration>,
) -> Result<bool, DbError> {
    boolean(session, CHECK, id, timeout).await
}

pub(super) async fn release(session: &Session, id: i64) -> Result<(), DbError> {
    boolean(session, RELEASE, id, Some(QUERY_TIMEOUT))
        .await
        .map(drop)
}

async fn boolean(
    session: &Session,
    sql: &str,
    id: i64,
    timeout: Option<Duration>,
) -> Result<bool, DbError> {
    let rows = session.query(sql, &[&id], timeout).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}
