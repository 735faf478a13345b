//! How the lease of a node that has ended is given back for it: one statement that says itself whether it may.

use super::{APP_MARK, NODE_NAME};

/// When the server was started, in microseconds: the form of a time depends on settings of the session.
const SERVER_START: &str = "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint";

/// What is given back: the lease of one start of a node, on one start of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    client: String,
    server_start: i64,
}

impl Lease {
    /// `None` where `client` is no `client_id`: nothing but a UUID gets into the statement.
    pub fn of(client: &str, server_start: i64) -> Option<Self> {
        is_uuid(client).then(|| Self {
            client: client.to_ascii_lowercase(),
            server_start,
        })
    }

    /// The `client_id` in the row.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Gives it back, as the node itself does where it ends in order (`expires_at=NOW()`), if all of this holds in the one
    /// moment of the statement: the row bears this `client_id` and has not run out; the server was not started anew; and
    /// no session is, or may be, the node's. The row is locked by the `UPDATE`: whoever took or refreshed it in between is
    /// seen before it is written.
    ///
    /// A session may be the node's where its name bears the id or a beginning of it, was cut before the mark, or is
    /// empty. Processes of the server itself have no name either, and no user, by which they are told apart: their kind
    /// is hidden from roles without special rights.
    ///
    /// One row. Columns: whether it was given back, whether the server is the same, whether a session stands against it,
    /// whether the row is the node's and good, as it was when the statement began.
    pub fn give_back(&self) -> String {
        let Self {
            client,
            server_start,
        } = self;
        format!(
            "WITH fact AS MATERIALIZED (SELECT \
               {SERVER_START} = {server_start} AS same, \
               EXISTS (SELECT FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL \
                 AND CASE WHEN strpos(application_name, '{APP_MARK}') > 0 \
                   THEN starts_with('{client}', split_part(application_name, '{APP_MARK}', 2)) \
                   ELSE COALESCE(application_name, '') = '' OR starts_with(application_name, '{NODE_NAME}') END) AS session), \
             done AS (UPDATE lease_lock SET expires_at = now() FROM fact \
               WHERE client_id = '{client}' AND expires_at > clock_timestamp() AND fact.same AND NOT fact.session \
               RETURNING client_id) \
             SELECT EXISTS (SELECT FROM done), same, session, \
               EXISTS (SELECT FROM lease_lock WHERE client_id = '{client}' AND expires_at > now()) FROM fact"
        )
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let mut bytes = parts.iter().flat_map(|part| part.bytes());
    lengths == [8, 4, 4, 4, 12] && bytes.all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_uuid_gets_into_the_statement() {
        let id = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";
        assert!(Lease::of(id, 1).is_some());
        for other in [
            "",
            "5f0cd4de",
            "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b1",
            "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b1'",
            "5f0cd4de2d9b-4d1c-9c1f-6d2a1f0e8b11-0",
        ] {
            assert_eq!(Lease::of(other, 1), None, "{other}");
        }
    }
}
