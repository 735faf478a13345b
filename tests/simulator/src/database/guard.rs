//! `node_versions`: an older binary refuses a database that a newer one has used.

use semver::Version;

use crate::pg::{DbError, QUERY_TIMEOUT, Session};
use crate::version::NodeVersion;

/// Migrations 18 and 78 of the real node.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS node_versions (
        version text PRIMARY KEY, created_at timestamp without time zone NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS idx_only_one_node_version ON node_versions ((version IS NOT NULL))";
const NOTE: &str = "INSERT INTO node_versions (version, created_at) VALUES ($1, NOW())
    ON CONFLICT ((version IS NOT NULL)) DO UPDATE
    SET version = EXCLUDED.version, created_at = EXCLUDED.created_at
    WHERE node_versions.version <> EXCLUDED.version";

/// The version that used this database last; an error text if it is newer than this one. Patch releases count.
pub(crate) async fn check_version(
    session: &Session,
    version: &NodeVersion,
) -> Result<Option<Version>, String> {
    let database = read_version(session)
        .await
        .map_err(|error| format!("CheckVersion: {error}"))?;
    match database {
        Some(database) if database > version.semver => Err(format!(
            "CheckVersion: {}",
            version.check_version_text(&database)
        )),
        other => Ok(other),
    }
}

async fn read_version(session: &Session) -> Result<Option<Version>, DbError> {
    let timeout = Some(QUERY_TIMEOUT);
    let exists = session
        .query(
            "SELECT to_regclass('node_versions') IS NOT NULL",
            &[],
            timeout,
        )
        .await?;
    if !exists.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let sql = "SELECT version FROM node_versions ORDER BY created_at DESC LIMIT 1";
    let rows = session.query(sql, &[], timeout).await?;
    Ok(rows.first().and_then(|row| Version::parse(row.get(0)).ok()))
}

/// After the migrations, so that a failed one leaves the old version its database.
pub(crate) async fn note_version(session: &Session, version: &NodeVersion) -> Result<(), DbError> {
    let timeout = Some(QUERY_TIMEOUT);
    session.batch(CREATE, timeout).await?;
    session
        .execute(NOTE, &[&version.semver.to_string()], timeout)
        .await
        .map(drop)
}
