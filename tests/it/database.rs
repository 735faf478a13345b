//! What the operator reads from a real `PostgreSQL`: who holds the lock, whose sessions are there, whether it takes
//! writes. The pods are clients with loopback addresses of their own.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chainlink_operator::api::Migrated;
use chainlink_operator::domain::{GivenBack, Holder, PodId, Reason, Says, Silence};
use chainlink_operator::node::DatabaseUrl;
use chainlink_operator::node::database::{Lease, SessionOf};
use chainlink_operator::node::lock::ADVISORY_LOCK_ID;
use chainlink_operator::observe::database::{Known, Question, ask_server, give_back_on};
use tokio_postgres::{Client, NoTls};

use crate::golden::repository;

#[allow(dead_code)]
#[path = "../simulator/tests/it/support/postgres.rs"]
mod postgres;

pub use postgres::{Database, Postgres};

#[track_caller]
fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn signal(pid: u32, name: &str) {
    Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
}

pub const ACTIVE: &str = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";

pub fn pod(name: &str) -> PodId {
    PodId {
        name: name.to_owned(),
        uid: format!("uid of {name}"),
    }
}

fn pods() -> Known {
    let addresses = [("127.0.0.2", "a"), ("127.0.0.3", "b")];
    Known {
        addresses: addresses
            .map(|(address, name)| (address.parse().unwrap(), pod(name)))
            .into(),
        ..Known::default()
    }
}

/// A session of a node from an address of its own.
pub async fn node(database: &Database, address: &str, app_id: &str) -> Client {
    session(
        database,
        address,
        &format!("Chainlink 2.18.0 |App|{app_id}"),
    )
    .await
}

pub async fn session(database: &Database, address: &str, name: &str) -> Client {
    let config: tokio_postgres::Config = format!(
        "host=127.0.0.1 user=postgres dbname={} application_name='{name}'",
        database.name
    )
    .parse()
    .unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let own: SocketAddr = format!("{address}:0").parse().unwrap();
    socket.bind(own).unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], database.postgres.port()));
    let stream = socket.connect(server).await.unwrap();
    let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database whose server lets in whoever comes from this machine.
pub async fn database() -> Database {
    let database = Database::shared();
    let entries = "('local all all trust'), ('host all all 127.0.0.0/8 trust')";
    let file = database.sql("SHOW hba_file");
    database.sql(&format!("COPY (VALUES {entries}) TO '{file}'"));
    database.sql("SELECT pg_reload_conf()");
    let begun = Instant::now();
    while !lets_in(&database).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "no way in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    database
}

async fn lets_in(database: &Database) -> bool {
    let sql = "SELECT count(*) FROM pg_hba_file_rules WHERE address = '127.0.0.0'";
    let read = database.sql(sql) == "1";
    tokio::time::sleep(Duration::from_millis(100)).await;
    read
}

async fn ask_as(url: &str, authority: Option<&[u8]>) -> Result<Says, Silence> {
    ask_knowing(url, authority, &pods()).await
}

async fn ask_knowing(url: &str, authority: Option<&[u8]>, pods: &Known) -> Result<Says, Silence> {
    let question = Question {
        url,
        authority,
        namespace: "chainlink",
        pods,
    };
    let begun = Instant::now();
    let answer = ask_server(&DatabaseUrl::parse(url).unwrap(), &question).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    if let Err(silence) = &answer {
        assert!(!silence.message.contains("geheim"), "{}", silence.message);
    }
    answer
}

pub async fn ask(database: &Database) -> Says {
    ask_as(&database.url(), None).await.unwrap()
}

fn leased(database: &Database, good_for: &str) {
    leased_to(database, ACTIVE, good_for);
}

/// The node with this id has the lease for so long.
pub fn leased_to(database: &Database, client: &str, good_for: &str) {
    database.sql(&format!(
        "CREATE TABLE IF NOT EXISTS lease_lock (client_id uuid NOT NULL, expires_at timestamptz NOT NULL);
         DELETE FROM lease_lock;
         INSERT INTO lease_lock VALUES ('{client}', now() + interval '{good_for}')"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_of_the_lease_is_the_pod_whose_session_bears_its_id() {
    let database = database().await;
    leased(&database, "10 seconds");
    let _active = node(&database, "127.0.0.2", ACTIVE).await;
    let _standby = node(
        &database,
        "127.0.0.3",
        "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11",
    )
    .await;
    let says = ask(&database).await;
    assert_eq!(
        says.clone(),
        Says {
            read_only: None,
            missing_right: None,
            may_not_create: false,
            lease: Holder::Pod(pod("a")),
            advisory: Holder::Nobody,
            lease_client: Some(ACTIVE.to_owned()),
            leaseholder_has_a_session: true,
            advisory_session: None,
            version: None,
            // Another test has this one.
            postgres: says.postgres,
            server_start: says.server_start,
            schema: None,
            nodes_elsewhere: 0,
            // A time, which is measured elsewhere.
            asked_ago: says.asked_ago,
            begun: says.begun,
            identified: BTreeSet::new(),
            sessions: [pod("a"), pod("b")]
                .map(|pod| (pod, SessionOf::Node))
                .into(),
        }
    );
}

/// By this the next try of a node that waits is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_ago_a_node_asked_last_is_told_where_one_session_alone_is_its() {
    let database = database().await;
    let standby = node(&database, "127.0.0.3", ACTIVE).await;
    let other = session(&database, "127.0.0.3", "psql").await;
    let before = Instant::now();
    standby.simple_query("commit").await.unwrap();
    let after = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    other.simple_query("commit").await.unwrap();
    let told = ask(&database).await.asked_ago[&pod("b")];
    // The clocks of the test and of the server run alike, and count from different moments of one query.
    let a_little = Duration::from_millis(5);
    assert!(told + a_little >= Duration::from_millis(300), "{told:?}");
    assert!(told <= before.elapsed() + a_little, "{told:?}");
    assert!(after.elapsed() <= told + Duration::from_secs(1), "{told:?}");

    let _second = node(&database, "127.0.0.3", "00000000-2d9b").await;
    assert_eq!(
        ask(&database).await.asked_ago,
        [].into(),
        "which of them waits?"
    );
}

/// What a person asks when the operator names no pod: docs/locks.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statements_of_the_page_of_locks_name_the_holder_of_either_lock_and_end_its_session() {
    let database = database().await;
    leased(&database, "10 minutes");
    let _leaseholder = node(&database, "127.0.0.2", ACTIVE).await;
    let holder = node(&database, "127.0.0.3", "00000000").await;
    let lock = format!("SELECT pg_advisory_lock({ADVISORY_LOCK_ID})");
    holder.batch_execute(&lock).await.unwrap();
    let page = std::fs::read_to_string(repository("docs/locks.md")).unwrap();
    let blocks = page.split("```sql\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let statements: Vec<&str> = blocks.flat_map(|block| block.split(';')).collect();
    let of = |begin: &str| {
        let found = statements.iter().find(|one| one.trim().starts_with(begin));
        (*found.unwrap()).to_owned()
    };
    let told = database.sql(&of("-- the advisory lock"));
    assert!(told.contains("|127.0.0.3|Chainlink 2.18.0 |"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let leased = database.sql(&of("-- the lease"));
    assert!(leased.contains("|127.0.0.2|Chainlink 2.18.0 |"), "{leased}");
    assert_eq!(leased.lines().count(), 1, "{leased}");
    let pid = told.split('|').next().unwrap();
    database.sql(&of("SELECT pg_terminate_backend").replace("12345", pid));
    eventually("its session ends", || holder.is_closed().then_some(()));
}

/// One machine translates the addresses of its pods, and another does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_that_of_the_pod_whose_log_names_its_id_wherever_it_comes_from() {
    const STANDBY: &str = "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11";
    let database = database().await;
    leased(&database, "10 seconds");
    let _active = node(&database, "127.0.0.9", ACTIVE).await;
    let _standby = node(&database, "127.0.0.3", STANDBY).await;
    let ask = async |known: &Known| ask_knowing(&database.url(), None, known).await.unwrap();
    let by_address = ask(&pods()).await;
    assert_eq!(
        by_address.lease,
        Holder::Elsewhere("127.0.0.9".parse().unwrap())
    );
    assert_eq!(by_address.nodes_elsewhere, 1);
    let mut known = pods();
    known.clients = [(ACTIVE.to_owned(), pod("a"))].into();
    let by_id = ask(&known).await;
    assert_eq!(by_id.lease, Holder::Pod(pod("a")));
    assert_eq!(by_id.nodes_elsewhere, 0);
    let both = [pod("a"), pod("b")].map(|pod| (pod, SessionOf::Node));
    assert_eq!(by_id.sessions, both.into());
    assert_eq!(by_id.identified, [pod("a")].into());
    // Another node at the address of a pod whose own id is known is not that pod.
    known.clients = [(ACTIVE.to_owned(), pod("b"))].into();
    let other = ask(&known).await;
    assert_eq!(other.lease, Holder::Pod(pod("b")));
    assert_eq!(other.sessions, [(pod("b"), SessionOf::Node)].into());
    assert_eq!(other.nodes_elsewhere, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_from_the_address_of_a_pod_is_the_nodes_only_by_its_name() {
    let database = database().await;
    let sessions = async || ask(&database).await.sessions;
    let _stranger = session(&database, "127.0.0.2", "psql").await;
    let _unnamed = session(&database, "127.0.0.3", "").await;
    let _elsewhere = session(&database, "127.0.0.9", "").await;
    assert_eq!(
        sessions().await,
        [
            (pod("a"), SessionOf::Stranger),
            (pod("b"), SessionOf::Unclear)
        ]
        .into()
    );
    let cut = "Chainlink 2.18.0-beta-of-a-very-long-name-that-is-cut |App|5f0cd4de-2d9b";
    let _node = session(&database, "127.0.0.2", cut).await;
    let _other = session(&database, "127.0.0.2", "psql").await;
    assert_eq!(sessions().await.get(&pod("a")), Some(&SessionOf::Node));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_node_whose_pod_is_gone_is_counted_until_it_ends() {
    let database = database().await;
    assert_eq!(ask(&database).await.nodes_elsewhere, 0);
    let _pod = node(&database, "127.0.0.2", ACTIVE).await;
    let _psql = session(&database, "127.0.0.9", "psql").await;
    assert_eq!(ask(&database).await.nodes_elsewhere, 0);
    let gone = node(&database, "127.0.0.9", ACTIVE).await;
    let cut = "Chainlink 2.18.0-beta-of-a-name-so-long-that-nothing-is-left-of";
    let _unclear = session(&database, "127.0.0.9", cut).await;
    assert_eq!(ask(&database).await.nodes_elsewhere, 2);
    drop(gone);
    let begun = Instant::now();
    while ask(&database).await.nodes_elsewhere != 1 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_major_version_of_the_server_is_read() {
    let database = Database::shared();
    let says = ask(&database).await;
    let version = database.sql("SELECT split_part(current_setting('server_version'), '.', 1)");
    let major = version.split_whitespace().next().map(str::parse);
    assert_eq!(says.postgres.map(Ok), major, "{version}");
    assert!(says.postgres.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_migration_is_read_where_there_is_one_and_it_may_be_read() {
    let database = Database::shared();
    assert_eq!(ask(&database).await.schema, None, "no table");
    // As goose makes it (the simulator's own).
    database.sql(
        "CREATE TABLE goose_migrations (id serial PRIMARY KEY, version_id bigint NOT NULL,
             is_applied boolean NOT NULL, tstamp timestamp DEFAULT now())",
    );
    assert_eq!(ask(&database).await.schema, None, "no row");
    database.sql(
        "INSERT INTO goose_migrations (version_id, is_applied)
             VALUES (0, true), (1, true), (9, true), (10, true), (11, false)",
    );
    let schema = ask(&database).await.schema.expect("it is shown");
    assert_eq!((schema.highest, schema.applied), (10, 4));
    // A newer node also applies what it finds missing below the highest.
    database.sql("INSERT INTO goose_migrations (version_id, is_applied) VALUES (7, true)");
    let below = ask(&database).await.schema.expect("it is shown");
    let expected = Migrated {
        applied: 5,
        ..schema
    };
    assert_eq!(below, expected);
    // One that is no transaction has come half way.
    database.sql("CREATE TABLE half (a int, b int)");
    let half = ask(&database).await.schema.expect("it is shown");
    assert_eq!(half.columns, schema.columns + 2);
    assert_eq!(
        ask(&database).await.schema,
        Some(half),
        "nothing else moves it"
    );
    let role = format!("reading_{}", database.name);
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url().replace("//postgres:", &format!("//{role}:"));
    assert_eq!(ask_as(&url, None).await.unwrap().schema, None);
    database.sql(&format!("GRANT SELECT ON goose_migrations TO {role}"));
    assert_eq!(ask_as(&url, None).await.unwrap().schema, Some(half));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_that_migrated_last_is_read_where_it_is_a_version_and_may_be_read() {
    let database = database().await;
    assert_eq!(ask(&database).await.version, None);
    database.sql(
        "CREATE TABLE node_versions (version text PRIMARY KEY, created_at timestamp NOT NULL);
         INSERT INTO node_versions VALUES ('2.18.0', '2026-01-02'), ('2.9.0', '2026-01-01')",
    );
    assert_eq!(
        ask(&database).await.version,
        Some("2.18.0".parse().unwrap())
    );
    database.sql("UPDATE node_versions SET version = 'unset' WHERE version = '2.18.0'");
    assert_eq!(ask(&database).await.version, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_advisory_lock_is_held_by_the_session_that_took_it_and_by_no_other_lock() {
    let database = database().await;
    let standby = node(&database, "127.0.0.3", "none").await;
    standby
        .batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    assert_eq!(ask(&database).await.advisory, Holder::Nobody);
    let active = node(&database, "127.0.0.2", "none").await;
    active
        .batch_execute(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK_ID})"))
        .await
        .unwrap();
    assert_eq!(ask(&database).await.advisory, Holder::Pod(pod("a")));

    let elsewhere = Database::create(Arc::clone(&database.postgres));
    assert_eq!(
        ask(&elsewhere).await.advisory,
        Holder::Nobody,
        "a lock belongs to one database"
    );
}

/// A lease-only node sees it, and it is no lock of another kind (rule S7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_dual_mode_is_one_client_that_has_both_locks() {
    let database = database().await;
    leased(&database, "10 seconds");
    let lock = format!("SELECT pg_advisory_lock({ADVISORY_LOCK_ID})");
    let other = node(
        &database,
        "127.0.0.9",
        "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11",
    )
    .await;
    other.batch_execute(&lock).await.unwrap();
    assert!(!ask(&database).await.one_client_has_both());
    drop(other);
    let dual = node(&database, "127.0.0.9", ACTIVE).await;
    dual.batch_execute(&lock).await.unwrap();
    let said = ask(&database).await;
    assert!(said.one_client_has_both(), "{said:?}");
    // Also for as long as it is frozen: its lease has run out.
    leased(&database, "-1 seconds");
    let said = ask(&database).await;
    assert_eq!(said.lease, Holder::Nobody);
    assert!(said.one_client_has_both(), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ran_out_is_held_by_nobody_and_one_without_a_session_by_somebody_unseen() {
    let database = database().await;
    assert_eq!(ask(&database).await.lease, Holder::Nobody, "no table yet");
    leased(&database, "-1 seconds");
    assert_eq!(ask(&database).await.lease, Holder::Nobody);
    leased(&database, "10 seconds");
    let unseen = ask(&database).await;
    assert_eq!(unseen.lease, Holder::Unseen);
    assert!(!unseen.leaseholder_has_a_session);
    let _outside = node(&database, "127.0.0.9", ACTIVE).await;
    assert_eq!(
        ask(&database).await.lease,
        Holder::Elsewhere("127.0.0.9".parse().unwrap())
    );
}

const SUCCESSOR: &str = "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11";

async fn try_to_give_back(
    url: &str,
    client: &str,
    server_start: i64,
) -> Result<GivenBack, Silence> {
    let question = Question {
        url,
        authority: None,
        namespace: "chainlink",
        pods: &pods(),
    };
    let lease = Lease::of(client, server_start).unwrap();
    give_back_on(&DatabaseUrl::parse(url).unwrap(), &question, &lease).await
}

async fn give_back_for(database: &Database, client: &str, server_start: i64) -> GivenBack {
    let given_back = try_to_give_back(&database.url(), client, server_start).await;
    given_back.unwrap()
}

/// Whether the lease that [`leased`] wrote is still as good as it was.
fn is_kept(database: &Database) -> bool {
    database.sql("SELECT expires_at > now() + interval '5 minutes' FROM lease_lock") == "t"
}

/// A database with a lease that is good for ten minutes, and when its server says that it was started.
async fn with_a_lease() -> (Database, i64) {
    let database = database().await;
    leased(&database, "10 minutes");
    let start = ask(&database).await.server_start;
    (database, start.expect("it is said"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_given_back_once_and_the_next_node_gets_it() {
    let (database, start) = with_a_lease().await;
    let _standby = node(&database, "127.0.0.3", SUCCESSOR).await;
    let _stranger = session(&database, "127.0.0.2", "psql").await;
    let gives_back = async || give_back_for(&database, ACTIVE, start).await;
    assert_eq!(gives_back().await, GivenBack::Yes);
    assert_eq!(ask(&database).await.lease, Holder::Nobody);
    assert_eq!(gives_back().await, GivenBack::NotHeld);
    // As a node takes it.
    database.sql(&format!(
        "UPDATE lease_lock SET client_id = '{SUCCESSOR}', expires_at = now() + interval '10 minutes'
             WHERE expires_at < now()"
    ));
    assert_eq!(gives_back().await, GivenBack::NotHeld);
    assert!(is_kept(&database), "it is the next one's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lease_is_given_back_while_a_session_is_or_may_be_its_holders() {
    let (database, start) = with_a_lease().await;
    for name in [
        &format!("Chainlink 2.29.0 |App|{ACTIVE}"),
        "Chainlink 2.29.0-beta-of-a-name-that-is-cut |App|5f0cd4de-2d9b",
        "Chainlink 2.29.0-beta-of-a-name-that-is-cut-to-little |App|5f",
        "Chainlink 2.29.0-beta-of-a-name-that-is-cut-to-nothing |App|",
        "Chainlink 2.29.0-beta-of-a-name-so-long-that-nothing-is-left",
        "",
    ] {
        // At an address that says nothing of whose it is.
        let left = session(&database, "127.0.0.9", name).await;
        assert_eq!(
            give_back_for(&database, ACTIVE, start).await,
            GivenBack::SessionLeft,
            "{name}"
        );
        assert!(is_kept(&database), "{name}");
        drop(left);
        let begun = Instant::now();
        while database.sql("SELECT count(*) FROM pg_stat_activity WHERE client_addr = '127.0.0.9'")
            != "0"
        {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
        }
    }
    let done = give_back_for(&database, ACTIVE, start).await;
    assert_eq!(done, GivenBack::Yes, "nothing else was against it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lease_is_given_back_on_a_server_that_was_started_since() {
    let (database, start) = with_a_lease().await;
    assert_eq!(
        give_back_for(&database, ACTIVE, start - 1).await,
        GivenBack::ServerChanged
    );
    assert!(is_kept(&database));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_anothers_is_not_given_back() {
    let (database, start) = with_a_lease().await;
    assert_eq!(
        give_back_for(&database, SUCCESSOR, start).await,
        GivenBack::NotHeld
    );
    assert!(is_kept(&database));
}

/// The successor is about to take the row: what it writes is seen before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_taken_in_the_same_moment_is_left_to_its_taker() {
    let (database, start) = with_a_lease().await;
    let taker = node(&database, "127.0.0.3", SUCCESSOR).await;
    let url = database.url();
    let onlooker = session(&database, "127.0.0.9", "psql").await;
    let begun = Instant::now();
    // On a busy machine the statement may have given up before the taker was told to go on.
    let given_back = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "never in time");
        leased(&database, "10 minutes");
        let written = format!(
            "BEGIN; UPDATE lease_lock SET client_id = '{SUCCESSOR}', expires_at = now() + interval '10 minutes'"
        );
        taker.batch_execute(&written).await.unwrap();
        let over = Cell::new(false);
        let gives_back = async {
            let given_back = try_to_give_back(&url, ACTIVE, start).await;
            over.set(true);
            given_back
        };
        let commits = async {
            while !over.get() && !waits_for_a_row(&onlooker).await {}
            taker.batch_execute("COMMIT").await.unwrap();
        };
        if let (Ok(given_back), ()) = tokio::join!(gives_back, commits) {
            break given_back;
        }
    };
    assert_eq!(given_back, GivenBack::Overtaken);
    assert!(is_kept(&database));
}

async fn waits_for_a_row(onlooker: &Client) -> bool {
    let sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    !onlooker.query(sql, &[]).await.unwrap().is_empty()
}

/// Who holds the row does not hold up the operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_stays_locked_is_given_up_soon() {
    let (database, start) = with_a_lease().await;
    let taker = node(&database, "127.0.0.3", SUCCESSOR).await;
    let locks = "BEGIN; SELECT FROM lease_lock FOR UPDATE";
    taker.batch_execute(locks).await.unwrap();
    let given_back = try_to_give_back(&database.url(), ACTIVE, start).await;
    let silence = given_back.unwrap_err();
    assert_eq!(silence.reason, Reason::QueryRefused);
    taker.batch_execute("ROLLBACK").await.unwrap();
    assert!(is_kept(&database));
}

/// As the node's own role, which may not see the sessions of others in full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_the_rights_of_a_node_can_give_a_lease_back() {
    let (database, start) = with_a_lease().await;
    let role = format!("node_{}", database.name);
    database.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE ON lease_lock TO {role}"
    ));
    let url = database.url().replace("//postgres:", &format!("//{role}:"));
    let gives_back = async || try_to_give_back(&url, ACTIVE, start).await.unwrap();
    // Of another role: its address is hidden, and its name is not.
    let left = node(&database, "127.0.0.9", ACTIVE).await;
    assert_eq!(gives_back().await, GivenBack::SessionLeft);
    drop(left);
    let begun = Instant::now();
    while gives_back().await != GivenBack::Yes {
        assert!(begun.elapsed() < Duration::from_secs(30), "never");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_could_never_get_the_lease_is_found() {
    let database = Database::shared();
    leased(&database, "10 seconds");
    let role = format!("waiting_{}", database.name);
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url().replace("//postgres:", &format!("//{role}:"));
    let missing = async || ask_as(&url, None).await.unwrap().missing_right;

    let first = missing().await.unwrap();
    assert!(first.contains("lease_lock"), "{first}");
    assert_eq!(
        ask_as(&url, None).await.unwrap().lease,
        Holder::Unseen,
        "it may not be read"
    );
    database.sql(&format!(
        "GRANT SELECT, INSERT, UPDATE ON lease_lock TO {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    ));
    // The table is there: only migrations make tables.
    let said = ask_as(&url, None).await.unwrap();
    assert_eq!((said.missing_right, said.may_not_create), (None, true));
    database.sql("DROP TABLE lease_lock");
    let second = missing().await.unwrap();
    assert!(second.contains("create tables"), "{second}");
    database.sql(&format!("GRANT CREATE ON SCHEMA public TO {role}"));
    let said = ask_as(&url, None).await.unwrap();
    assert_eq!((said.missing_right, said.may_not_create), (None, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_told_by_its_code_alone() {
    let database = Database::shared();
    let url = database.url().replace(&database.name, "geheim");
    let silence = ask_as(&url, None).await.unwrap_err();
    assert_eq!(silence.reason, Reason::LoginRefused);
    assert!(silence.message.contains("3D000"), "{}", silence.message);
    let url = database.url().replace("disable", "require");
    let silence = ask_as(&url, None).await.unwrap_err();
    assert_eq!(silence.reason, Reason::TlsFailed, "{}", silence.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_in_time() {
    let database = database().await;
    leased(&database, "10 seconds");
    let locker = node(&database, "127.0.0.2", ACTIVE).await;
    locker
        .batch_execute("BEGIN; LOCK TABLE lease_lock IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let silence = ask_as(&database.url(), None).await.unwrap_err();
    assert_eq!(silence.reason, Reason::QueryRefused, "{}", silence.message);

    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = database.url_through(deaf.local_addr().unwrap().port());
    let silence = ask_as(&url, None).await.unwrap_err();
    assert_eq!(silence.reason, Reason::Unreachable, "{}", silence.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_question_stays() {
    let database = Database::shared();
    ask(&database).await;
    eventually("the session is gone", || {
        let left = database.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chainlink-operator' AND datname = current_database()",
        );
        (left == "0").then_some(())
    });
}

/// A certificate authority, and a server's certificate for these names.
fn certificates(folder: &std::path::Path, names: &str) -> Vec<u8> {
    let script = format!(
        "cd {folder} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca \
            -keyout ca.key -out ca.pem && \
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr && \
         echo 'subjectAltName={names}' >extension && \
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension -out server.pem && \
         chown --reference={folder}/data server.key server.pem; chmod 600 server.key",
        folder = folder.display()
    );
    let made = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::read(folder.join("ca.pem")).unwrap()
}

/// Has the server take up its new certificate.
async fn secured(database: &Database, names: &str) -> Vec<u8> {
    let data = database.sql("SHOW data_directory");
    let folder = std::path::Path::new(&data).parent().unwrap();
    let authority = certificates(folder, names);
    for (setting, file) in [
        ("ssl_cert_file", "server.pem"),
        ("ssl_key_file", "server.key"),
    ] {
        let path = folder.join(file);
        database.sql(&format!(
            "ALTER SYSTEM SET {setting} = '{}'",
            path.display()
        ));
    }
    database.sql("ALTER SYSTEM SET ssl = on");
    database.sql("SELECT pg_reload_conf()");
    let url = database.url().replace("disable", "require");
    let begun = Instant::now();
    while ask_as(&url, None).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no TLS");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    authority
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sslmode_asks_of_the_server_what_the_url_says() {
    let database = Database::create(Arc::new(Postgres::own()));
    let authority = secured(&database, "DNS:db.example").await;
    let ask = async |mode: &str, authority: Option<&[u8]>| {
        let url = database.url().replace("sslmode=disable", mode);
        ask_as(&url, authority)
            .await
            .map_err(|silence| (silence.reason, silence.message))
    };

    assert!(ask("sslmode=require", None).await.is_ok());
    assert!(ask("", None).await.is_ok());
    assert!(ask("sslmode=verify-ca", Some(&authority)).await.is_ok());
    let (reason, message) = ask("sslmode=verify-full", Some(&authority))
        .await
        .unwrap_err();
    assert_eq!(reason, Reason::TlsFailed);
    assert!(message.contains("not for the host"), "{message}");
    let (reason, _) = ask("sslmode=verify-ca&sslrootcert=/geheim", None)
        .await
        .unwrap_err();
    assert_eq!(reason, Reason::AuthorityMissing);
    // The node's driver verifies nothing with these.
    for mode in ["sslmode=prefer", "sslmode=allow", "sslmode="] {
        let url = format!("{mode}&sslrootcert=/geheim");
        assert!(ask(&url, None).await.is_ok(), "{mode}");
        assert!(ask(&url, Some(b"nonsense")).await.is_ok(), "{mode}");
    }

    let other = secured(&database, "IP:127.0.0.1").await;
    assert!(ask("sslmode=verify-full", Some(&other)).await.is_ok());
    for mode in [
        "sslmode=verify-ca",
        "sslmode=verify-full",
        "sslmode=require&sslrootcert=/x",
    ] {
        let (reason, message) = ask(mode, Some(&authority)).await.unwrap_err();
        assert_eq!(reason, Reason::TlsFailed);
        assert!(message.contains("trusted authority"), "{mode}: {message}");
    }
}
