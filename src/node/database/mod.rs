//! The database as a node uses it: how its URL is read, which SQL tells who holds the lock, and what last words say of it.

mod release;
mod trouble;
mod url;
mod written;

pub use release::Lease;
pub use trouble::takes_no_connections;
pub(super) use trouble::{Trouble, trouble};
pub use url::{DatabaseUrl, Host, TlsMode, WhichServer, completed, completes_url};
pub use written::UnreadableUrl;

use super::lock::ADVISORY_LOCK_ID;

/// What stands before the `appID` in the `application_name` of a node's sessions: `Chainlink 2.18.0 |App|<appID>`
/// (measured on 1.11.0 to 2.23.0). The `appID` is `lease_lock.client_id`.
const APP_MARK: &str = "|App|";
/// What the `application_name` of every session of a node begins with, whatever the URL says (`SetConsumerName` in
/// upstream's `core/static/static.go`, read).
const NODE_NAME: &str = "Chainlink";
/// `PostgreSQL` cuts an `application_name` after 63 bytes: of the id of a long beta version so much is left at least
/// that two are not mistaken for each other.
const LEAST_OF_AN_ID: usize = 8;

/// What the server may be asked for by a node: whether it takes writes, and whether the role has the rights that a
/// waiting node needs. A node runs `CREATE TABLE IF NOT EXISTS lease_lock` at its first try alone (read), for which
/// `PostgreSQL` wants the right to create even where the table is there: that spoils one try, and no more.
///
/// Columns: in recovery, read-only by default, `lease_lock` is there, may read it, may write it, may create, may read
/// `node_versions`, may read `goose_migrations`, the server's version as a number (`150004`), when it was started, what it
/// is read-only by default by (`database`, `user`, `configuration file`…), what its clock says.
pub const SERVER_QUERY: &str = "SELECT pg_is_in_recovery(), \
    current_setting('default_transaction_read_only')::bool, \
    to_regclass('lease_lock') IS NOT NULL, \
    COALESCE(has_table_privilege(to_regclass('lease_lock')::oid, 'SELECT'), false), \
    COALESCE(has_table_privilege(to_regclass('lease_lock')::oid, 'INSERT') \
        AND has_table_privilege(to_regclass('lease_lock')::oid, 'UPDATE'), false), \
    COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false), \
    COALESCE(has_table_privilege(to_regclass('node_versions')::oid, 'SELECT'), false), \
    COALESCE(has_table_privilege(to_regclass('goose_migrations')::oid, 'SELECT'), false), \
    current_setting('server_version_num'), \
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint, \
    (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only'), \
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Whether a session keeps a setting of this `pg_settings.source` for as long as it lasts, whatever is set later: what the
/// database or the role sets is read when a session begins. The file of the server is read anew by all of them (measured on
/// `PostgreSQL` 15).
pub fn is_kept_by_sessions(source: &str) -> bool {
    matches!(source, "database" | "user" | "database user" | "global")
}

/// The major version of a `server_version_num`, from 10 on.
pub fn major_version(number: &str) -> Option<u32> {
    number.parse::<u32>().ok().map(|number| number / 10_000)
}

/// Every session on the database but the one that asks. Columns: pid, address of the client (null where it may not be
/// seen), `application_name`, how many microseconds ago its last query began, by the server's clock alone (null where
/// there was none, or it may not be seen), and when the session began, by the same clock in microseconds (null where it may
/// not be seen).
pub const SESSIONS_QUERY: &str = "SELECT pid, host(client_addr), COALESCE(application_name, ''), \
    (extract(epoch FROM clock_timestamp() - query_start) * 1000000)::bigint, \
    (extract(epoch FROM backend_start) * 1000000)::bigint \
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// The lease, if there is one. Columns: `client_id`, whether it is still good by the server's clock.
pub const LEASE_QUERY: &str =
    "SELECT client_id, expires_at > now() FROM lease_lock ORDER BY expires_at DESC LIMIT 1";

/// The version that migrated the database last: a node refuses to start on that of a newer one, after it has won the
/// lock. Written after the migrations (measured on 2.15 to 2.23). Column: version.
pub const VERSION_QUERY: &str =
    "SELECT version FROM node_versions ORDER BY created_at DESC LIMIT 1";

/// How far the database is migrated: goose writes a row for each migration, in its transaction where it has one. A newer
/// node also applies such as it knows with lower numbers than the highest (upstream's `core/store/migrate/migrate.go`
/// names the table, and goose is called with `WithAllowMissing`; read). Columns: the highest number, null in an empty
/// table; how many were applied; how many columns all relations of the schema have.
pub const SCHEMA_QUERY: &str = "SELECT max(version_id), count(*), \
    (SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
     JOIN pg_namespace ON pg_namespace.oid = relnamespace \
     WHERE nspname = current_schema() AND attnum > 0 AND NOT attisdropped) \
    FROM goose_migrations WHERE is_applied";

/// The session that holds the advisory lock. Column: pid.
pub fn advisory_query() -> String {
    format!(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND (classid::bigint << 32) | objid::bigint = {ADVISORY_LOCK_ID}"
    )
}

/// Whether a session with this `application_name` is of the node with this `appID`.
pub fn is_of_app(application_name: &str, app_id: &str) -> bool {
    application_name
        .split_once(APP_MARK)
        .is_some_and(|(_, id)| id.len() >= LEAST_OF_AN_ID && app_id.starts_with(id))
}

/// Whether an `application_name` tells of which node the session is.
pub fn names_an_app(application_name: &str) -> bool {
    application_name
        .split_once(APP_MARK)
        .is_some_and(|(_, id)| id.len() >= LEAST_OF_AN_ID)
}

/// Whose session it is, by its `application_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionOf {
    /// Of no node: `psql`, a sidecar, a backup.
    Stranger,
    /// It may be a node's: it has no name; or the name was cut before the mark, or is one of before 1.1, as
    /// `Chainlink 0.10.8 | ORM | <id>`.
    Unclear,
    /// Of a node.
    Node,
}

/// Whether a session with this `application_name` is, or may be, a node's, by what it calls itself.
pub fn is_named_as_node(application_name: &str) -> bool {
    application_name.starts_with(NODE_NAME)
}

/// Whose session one with this `application_name` is.
pub fn session_of(application_name: &str) -> SessionOf {
    match application_name.strip_prefix(NODE_NAME) {
        Some(rest) if rest.starts_with(' ') && rest.contains(APP_MARK) => SessionOf::Node,
        Some(_) => SessionOf::Unclear,
        None if application_name.is_empty() => SessionOf::Unclear,
        None => SessionOf::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_a_nodes_only_by_the_name_that_nodes_give_theirs() {
        let id = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";
        let cases = [
            (format!("Chainlink 2.18.0 |App|{id}"), SessionOf::Node),
            (format!("Chainlink |App|{id}"), SessionOf::Node),
            (
                "Chainlink 2.18.0-beta-20240801 |App|5f0cd4de-2d9b-4d1c-9c1".to_owned(),
                SessionOf::Node,
            ),
            (
                "Chainlink 2.18.0-beta-of-a-name-so-long-that-nothing-of-the-ma".to_owned(),
                SessionOf::Unclear,
            ),
            (format!("Chainlink 0.10.8 | ORM | {id}"), SessionOf::Unclear),
            (String::new(), SessionOf::Unclear),
            ("psql".to_owned(), SessionOf::Stranger),
            (format!("psql |App|{id}"), SessionOf::Stranger),
        ];
        for (name, expected) in cases {
            assert_eq!(session_of(&name), expected, "{name}");
        }
    }

    #[test]
    fn a_session_is_known_by_the_id_in_its_name_also_where_that_is_cut() {
        let id = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";
        assert!(is_of_app(&format!("Chainlink 2.18.0 |App|{id}"), id));
        assert!(is_of_app(
            "Chainlink 2.18.0-beta-20240801 |App|5f0cd4de-2d9b-4d1c-9c1",
            id
        ));
        assert!(!is_of_app("Chainlink 2.18.0-a-very-long-beta |App|5f", id));
        assert!(!is_of_app(
            "Chainlink 2.18.0 |App|6f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11",
            id
        ));
        assert!(!is_of_app("psql", id));
        assert!(!is_of_app("", id));
    }
}
