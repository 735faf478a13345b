//! `PostgreSQL` going away, coming back, or ending sessions; frozen nodes.

use std::sync::Arc;

use crate::support::eventually;
use crate::support::node::Setup;
use crate::support::postgres::{Database, Postgres};
use crate::support::probe::get;
use crate::support::proxy::Proxy;

/// A standby gives up after one retry; an active never does, and its HTTP answers stay.
#[test]
fn a_stopped_server() {
    let mut database = Database::create(Arc::new(Postgres::own()));
    let setup = Setup::new("2.18.0", &database);
    let mut active = setup.start();
    active.listens();
    let mut standby = setup.again().start();
    standby.waits(2);

    let postgres = Arc::get_mut(&mut database.postgres).expect("nobody else has it");
    postgres.stop();
    assert_eq!(standby.exits(), 1);
    let last = standby.last_line();
    assert!(
        last.starts_with(
            "opening db: failed to take initial lease on database: failed to get lock: "
        ),
        "{last}"
    );
    assert!(
        last.ends_with("(connect: connection refused)") || last.contains("refused"),
        "{last}"
    );
    assert!(standby.has("DB connection was unexpectedly closed; checking out a new one"));
    assert!(!standby.has("Graceful shutdown time"));

    active
        .says("Error trying to refresh database lease")
        .says("Error trying to refresh connection");
    assert!(active.is_running());
    assert_eq!(
        get(active.port, "/readyz").map(|(status, _)| status),
        Some(200)
    );
    postgres.start();
    eventually("a live lease", || {
        (postgres.try_sql(&database.name, "SELECT expires_at > now() FROM lease_lock")? == "t")
            .then_some(())
    });
    active.signal("TERM");
    assert_eq!(active.exits(), 0);
}

/// Packets vanish: the standby asks once, tries to connect anew, and gives up after twice the query timeout.
#[test]
fn a_cut_off_standby() {
    let database = Database::shared();
    let proxy = Proxy::to(database.postgres.port());
    let setup = Setup::new("2.18.0", &database);
    let active = setup.start();
    active.listens();
    let mut standby = Setup {
        url: database.url_through(proxy.port),
        ..setup.again()
    }
    .start();
    standby.waits(1);
    let cut = std::time::Instant::now();
    proxy.swallow(true);
    assert_eq!(standby.exits(), 1);
    assert!(
        (18..30).contains(&cut.elapsed().as_secs()),
        "after {:?}",
        cut.elapsed()
    );
    let last = standby.last_line();
    assert!(
        last.starts_with(
            "opening db: failed to take initial lease on database: failed to get lock: "
        ),
        "{last}"
    );
}

/// In advisory mode the lock goes with the session: the standby has it at once, the old active ends two checks later.
#[test]
fn ended_sessions_move_the_advisory_lock() {
    let database = Database::shared();
    let setup = Setup::new("1.11.0", &database).with_env("DATABASE_LOCKING_MODE", "advisorylock");
    let mut active = setup.start();
    active.listens();
    let standby = setup.again().start();
    standby.waits(1);
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND (classid::bigint << 32) | objid::bigint = 1027321974924625846
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    standby.listens();
    assert_eq!(active.exits(), 1);
    let lines = active.lines();
    let position = |text: &str| lines.iter().position(|line| line.contains(text));
    let (first, second, third) = (
        position("Error trying to refresh advisory lock"),
        position("DB connection was unexpectedly closed"),
        position("Another node has taken the advisory lock, exiting"),
    );
    assert!(
        first.is_some() && first < second && second < third,
        "{lines:#?}"
    );
}

/// With the lease, the same costs nothing.
#[test]
fn ended_sessions_leave_the_lease() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut active = setup.start();
    active.listens();
    database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'Chainlink%' AND datname = current_database()");
    active.says("checking out a new one");
    let refreshed = || database.sql("SELECT expires_at FROM lease_lock");
    let before = refreshed();
    eventually("a new refresh", || (refreshed() != before).then_some(()));
    assert!(active.is_running());
}

/// A frozen holder is succeeded when its lease has run out, and ends as soon as it wakes.
#[test]
fn a_frozen_holder() {
    let database = Database::shared();
    let setup = Setup::new("2.18.0", &database);
    let mut active = setup.start();
    active.listens();
    let standby = setup.again().start();
    standby.waits(1);
    active.signal("STOP");
    standby.listens();
    active.signal("CONT");
    assert_eq!(active.exits(), 1);
    assert!(active.has("Another node has taken the lease, exiting immediately"));
}

/// Dual: the standby gets the lease, then waits for the advisory lock, which the frozen one's connection still holds.
#[test]
fn a_frozen_holder_of_both_locks() {
    let database = Database::shared();
    let setup = Setup::new("1.13.3", &database);
    let mut active = setup.start();
    active.listens();
    let standby = setup.again().start();
    standby.waits(1);
    active.signal("STOP");
    standby.says("Another application holds the advisory lock, waiting...");
    assert!(!standby.has("Chainlink booted"));
    active.signal("CONT");
    assert_eq!(active.exits(), 1);
    standby.listens();
}

/// To 2.1.1 the waiting line that is a lie has the truth above it.
#[test]
fn swallowed_errors() {
    let database = Database::shared();
    database.sql(
        "CREATE ROLE nobody_much LOGIN; REVOKE CREATE ON SCHEMA public FROM public;
         GRANT USAGE ON SCHEMA public TO public",
    );
    let mut setup = Setup::new("2.1.1", &database);
    setup.url = database.url().replace("//postgres:", "//nobody_much:");
    let old = setup.start();
    old.waits(1);
    assert!(
        old.lines()[1].contains("Error in transaction, rolling back: "),
        "{:#?}",
        old.lines()
    );
    assert!(old.has("permission denied for schema public"));
    setup.version = "2.15.0".to_owned();
    let new = setup.again().start();
    new.waits(1);
    assert!(!new.has("permission denied"));
}
