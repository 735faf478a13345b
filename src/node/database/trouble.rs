//! What last words say of the database: nothing where they are about another server, which a node has several of (RPC
//! nodes, LDAP, collectors) and whose network errors Go words alike.

/// What is the matter with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) enum Trouble {
    /// It is out of reach, or takes no connections now.
    Away,
    /// It answers and says no, or the node can't use what it was told of it.
    Refuses,
}

/// What stands before a cause that is the database's: the node's own words (`core/services/pg`), pgx's (`pgconn`), and
/// those of Go's `database/sql`.
const OF_THE_DATABASE: [&str; 14] = [
    "opening db",
    "failed to open db",
    "failed to take initial lease",
    "error acquiring lock",
    "failed to connect to `",
    "cannot parse `",
    "parse \"postgres",
    "hostname resolving error",
    "initializeorm",
    "checkversion: ",
    "leaselock#",
    "driver: bad connection",
    "sql: ",
    "the minimum required postgres server version is",
];

/// What a person has to mend, whatever else is said: a pooler also quotes what its server said to it.
const REFUSALS: [&str; 20] = [
    "password authentication failed",
    "no pg_hba.conf entry",
    "permission denied for ",
    "permission denied to ",
    "connect: permission denied",
    "read-only transaction",
    "unrecognized configuration parameter",
    "unsupported startup parameter",
    "invalid value for parameter",
    "tenant or user not found",
    "server refused tls",
    "x509: ",
    "tls: ",
    "failed to configure tls",
    "cannot parse `",
    "parse \"postgres",
    "unknown target_session_attrs",
    "invalid server signature",
    "unknown authentication",
    "the minimum required postgres server version is",
];

/// Socket errors and name servers as Go words them, sessions that ended, and a fail-over without a writable server yet.
const ABSENCES: [&str; 36] = [
    "connection refused",
    "connection reset by peer",
    "connection aborted",
    "no such host",
    "name resolution",
    "name or service not known",
    "no address associated",
    "server misbehaving",
    "hostname resolving error",
    "no route to host",
    "host is down",
    "network is unreachable",
    "network is down",
    "connect: operation not permitted",
    "cannot assign requested address",
    "i/o timeout",
    "handshake timeout",
    "deadline exceeded",
    "timed out",
    "timed-out",
    "unexpected eof",
    "(eof)",
    ": eof",
    "broken pipe",
    "bad connection",
    "connection is already closed",
    "use of closed network connection",
    "conn closed",
    "too many clients",
    "too many connections",
    "max clients reached",
    "remaining connection slots are reserved",
    "terminating connection due to",
    "read only connection",
    "server is in hot standby mode",
    "not currently accepting connections",
];

/// What a pooler says with code `08P01` while it is well itself: `PgBouncer` gives that code to nearly all it says
/// (`src/client.c`, `src/objects.c`, `src/janitor.c`).
const POOLER_WITHOUT_SERVER: [&str; 18] = [
    "server login has been failing",
    "cannot connect to server",
    "connect failed",
    "dns lookup failed",
    "crashed",
    "no more connections allowed",
    "exceeded",
    "timeout",
    "server_lifetime",
    "server closed",
    "shutting down",
    "shut down",
    // Closed for a while by who looks after it (`DISABLE`, up to 1.12 in the second words), and sessions ended by hand.
    "\" is disabled",
    "does not allow connections",
    "admin forced disconnect",
    "database removed",
    // It lacks something itself.
    "resources exhaustion",
    "memory",
];

/// What other poolers say with code `XX000` while they are well themselves.
const POOLER_FULL_OR_WITHOUT_SERVER: [&str; 6] = [
    "max clients reached",
    "connection to database closed",
    "check out",
    "circuit breaker",
    "unable to establish connection",
    "has been disabled",
];

/// How a login or a handshake that failed is called, whatever the cause.
const FAILED_LOGIN: [&str; 2] = ["failed sasl auth", "tls error"];

/// What these words say of the database; nothing where they are not about it, or about one statement only.
pub(in crate::node) fn trouble(words: &str) -> Option<Trouble> {
    let lower = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|known| lower.contains(known));
    let by_codes: Vec<Trouble> = codes(&lower)
        .filter_map(|code| of_code(code, &lower))
        .collect();
    if by_codes.is_empty() && !says(&OF_THE_DATABASE) {
        return None;
    }
    // Of several servers one may refuse while another is away.
    if says(&REFUSALS) || by_codes.contains(&Trouble::Refuses) {
        return Some(Trouble::Refuses);
    }
    let socket_gone = lower.contains("dial unix") && lower.contains("no such file");
    if !by_codes.is_empty() || socket_gone || says(&ABSENCES) {
        return Some(Trouble::Away);
    }
    says(&FAILED_LOGIN).then_some(Trouble::Refuses)
}

/// Whether a server or pooler that answered with this code and sentence takes no connections now.
pub fn takes_no_connections(code: &str, message: &str) -> bool {
    let (code, message) = (code.to_lowercase(), message.to_lowercase());
    of_code(&code, &message) == Some(Trouble::Away)
}

/// The codes in `… (SQLSTATE 57P03)`.
fn codes(lower: &str) -> impl Iterator<Item = &str> {
    let behind = lower.split("sqlstate ").skip(1);
    behind.filter_map(|rest| rest.get(..5))
}

/// What a code says: classes 08 (connection), 53 (resources), 57P and 58 (the server's own state), 28 (login); of the others
/// those that a whole session meets (`PostgreSQL`, appendix A).
fn of_code(code: &str, lower: &str) -> Option<Trouble> {
    let says = |any: &[&str]| any.iter().any(|known| lower.contains(known));
    Some(match (code.get(..2)?, code) {
        (_, "08p01") if says(&POOLER_WITHOUT_SERVER) => Trouble::Away,
        (_, "08p01" | "08004" | "57p04") => Trouble::Refuses,
        ("08" | "53", _) | (_, "58000" | "58030") => Trouble::Away,
        ("57", code) if code.starts_with("57p") => Trouble::Away,
        // `ALLOW_CONNECTIONS false`: closed for a while by who looks after it.
        (_, "55000") if lower.contains("not currently accepting connections") => Trouble::Away,
        // No database, no schema, no rights, read-only, and prepared statements of another session.
        ("28", _) | (_, "3d000" | "3f000" | "42501" | "25006" | "42p05" | "26000") => {
            Trouble::Refuses
        }
        // "Internal error": what poolers call their own.
        (_, "xx000") if says(&POOLER_FULL_OR_WITHOUT_SERVER) => Trouble::Away,
        _ => return None,
    })
}
