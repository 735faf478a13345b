//! The lease: one row in `lease_lock`, taken when expired or one's own, by the database's clock alone.

use std::time::Duration;

use crate::pg::{DbError, Session};

/// Made before the migrations run, because the lock is taken before them.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS lease_lock (client_id uuid NOT NULL, expires_at timestamptz NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS only_one_lease_lock ON lease_lock ((client_id IS NOT NULL))";
const TAKE: &str = "INSERT INTO lease_lock (client_id, expires_at)
    VALUES ($1::text::uuid, NOW() + $2::text::interval)
    ON CONFLICT ((client_id IS NOT NULL)) DO UPDATE
    SET client_id = EXCLUDED.client_id, expires_at = EXCLUDED.expires_at
    WHERE lease_lock.client_id = $1::text::uuid OR lease_lock.expires_at < NOW()";
const RELEASE: &str = "UPDATE lease_lock SET expires_at = NOW() WHERE client_id = $1::text::uuid AND expires_at > NOW()";

/// What blocks the lock's own statements is not waited for longer than the lease lasts.
pub(super) async fn set_up(
    session: &Session,
    duration: Duration,
    timeout: Duration,
) -> Result<(), DbError> {
    let length = duration.as_millis();
    for name in ["lock_timeout", "idle_in_transaction_session_timeout"] {
        let sql = format!("SET SESSION {name} = {length}");
        session.batch(&sql, Some(timeout)).await?;
    }
    Ok(())
}

pub(super) async fn take(
    session: &Session,
    app_id: &str,
    duration: Duration,
    initial: bool,
    timeout: Option<Duration>,
) -> Result<bool, DbError> {
    let interval = format!("{:.6} seconds", duration.as_secs_f64());
    session.batch("begin", timeout).await?;
    let changed = async {
        if initial {
            session.batch(CREATE, timeout).await?;
        }
        session.execute(TAKE, &[&app_id, &interval], timeout).await
    };
    match changed.await {
        Ok(rows) => {
            session.batch("commit", timeout).await?;
            Ok(rows > 0)
        }
        Err(error) => {
            // On a connection that is gone this fails too, and must not take the place of the first error.
            if matches!(error, DbError::Sql(_)) {
                session.batch("rollback", timeout).await?;
            }
            Err(error)
        }
    }
}

pub(super) async fn release(session: &Session, app_id: &str) -> Result<(), DbError> {
    // The server's lock timeout (10 s) speaks first; this one is for a server that does not speak.
    let timeout = Some(Duration::from_secs(11));
    session
        .execute(RELEASE, &[&app_id], timeout)
        .await
        .map(drop)
}
