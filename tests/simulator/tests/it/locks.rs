//! What the two times of the lease cost, and what they buy: a benchmark for people (`make bench-locks`), whose figures stand in
//! docs/locks.md.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::collector::{Collector, Event};
use crate::support::eventually;
use crate::support::node::{Node, Setup};
use crate::support::postgres::{Database, Postgres};

/// How long the statements of one setting are counted.
const COUNTED: Duration = Duration::from_secs(30);
/// Of each setting, that many actives are killed.
const KILLS: u32 = 10;
/// Beyond the times of the lock: a busy machine.
const BUSY: Duration = Duration::from_secs(1);

/// How long the lease lasts, how often it is refreshed and tried, and how many nodes wait for it.
const SETTINGS: [(&str, &str, usize); 8] = [
    ("10s", "1s", 1),
    ("10s", "1s", 2),
    ("10s", "1s", 4),
    ("3s", "500ms", 1),
    ("5s", "500ms", 1),
    ("5s", "1s", 1),
    ("20s", "2s", 1),
    ("30s", "5s", 1),
];

fn server() -> Postgres {
    let mut postgres = Postgres::own();
    postgres.sql(
        "postgres",
        "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'",
    );
    postgres.stop();
    postgres.start();
    postgres
}

/// Statements about the lease in a second; and of each of them the bytes of write-ahead log, and the microseconds.
fn load(database: &Database) -> (f64, f64, f64) {
    let sql =
        "SELECT sum(calls), sum(wal_bytes) / sum(calls), sum(total_exec_time) * 1000 / sum(calls)
        FROM pg_stat_statements WHERE query ILIKE '%lease_lock%' AND query NOT ILIKE '%pg_stat%'";
    database.sql("SELECT pg_stat_statements_reset()");
    std::thread::sleep(COUNTED);
    let row = database.sql(sql);
    let figures: Vec<f64> = row
        .split('|')
        .map(|figure| figure.parse().unwrap())
        .collect();
    (figures[0] / COUNTED.as_secs_f64(), figures[1], figures[2])
}

fn micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

/// Of "10s" or "500ms".
fn time(text: &str) -> Duration {
    let number = text.trim_end_matches(char::is_alphabetic).parse().unwrap();
    if text.ends_with("ms") {
        Duration::from_millis(number)
    } else {
        Duration::from_secs(number)
    }
}

/// Kills the node that has the lease, and returns how many microseconds later another one has it.
fn kill(nodes: &mut Vec<Node>, database: &Database, collector: &Collector) -> i64 {
    let holder = database.sql("SELECT client_id FROM lease_lock");
    let active = nodes.iter().position(|node| node.has(&holder)).unwrap();
    let active = nodes.remove(active);
    let began = micros();
    active.signal("KILL");
    eventually("the next node takes the lease", || {
        let events = collector.events();
        let took = |event: &&Event| event.kind == "lock-taken" && event.t > began;
        events.iter().find(took).map(|event| event.t - began)
    })
}

#[test]
#[ignore = "a benchmark of 20 minutes: make bench-locks"]
fn what_the_times_of_the_lease_cost_and_buy() {
    println!(
        "| lease | refreshed, tried | waiting | statements | log | time | taken after | range |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (lease, refresh, waiting) in SETTINGS {
        let database = Database::create(Arc::new(server()));
        database.sql("CREATE EXTENSION pg_stat_statements");
        let collector = Collector::start();
        let mut setup = Setup::new("2.29.0", &database);
        setup = setup.with_env("SIMULATOR_COLLECTOR", &collector.address);
        (setup.lease, setup.refresh) = (lease, refresh);
        let mut nodes = vec![setup.start()];
        nodes[0].listens();
        let wait = |nodes: &mut Vec<Node>| {
            let standby = setup.again().start();
            standby.waits(0);
            nodes.push(standby);
        };
        (0..waiting).for_each(|_| wait(&mut nodes));
        let (statements, log, micros) = load(&database);
        let mut taken = Vec::new();
        for count in 0..KILLS {
            // At each moment between two refreshes.
            std::thread::sleep(time(refresh) * count / KILLS);
            taken.push(kill(&mut nodes, &database, &collector));
            wait(&mut nodes);
        }
        taken.sort_unstable();
        let seconds: Vec<Duration> = taken
            .iter()
            .map(|it| Duration::from_micros(it.unsigned_abs()))
            .collect();
        let [least, .., most] = seconds[..] else {
            panic!("{taken:?}")
        };
        let bound = time(lease) + time(refresh) * 12 / 10 + BUSY;
        assert!(
            most <= bound,
            "{most:?}, and the lock needs {bound:?} at most"
        );
        println!(
            "| {lease} | {refresh} | {waiting} | {statements:.2}/s | {log:.0} B | {micros:.0} µs | {:.1?} | {least:.1?} to {most:.1?} |",
            seconds[seconds.len() / 2],
        );
    }
}
