//! The record of duty: complete, and never two at work.

use std::collections::BTreeMap;

use crate::support::collector::{Collector, Event};
use crate::support::eventually;
use crate::support::node::Setup;
use crate::support::postgres::Database;

/// From the first event of one kind to the last of another, by node, in order.
fn intervals(events: &[Event], from: &[&str], to: &[&str]) -> Vec<(i64, i64)> {
    let mut by_node: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for event in events {
        let interval = by_node.entry(&event.app_id).or_insert((i64::MAX, i64::MIN));
        if from.contains(&event.kind.as_str()) {
            interval.0 = interval.0.min(event.t);
        }
        if to.contains(&event.kind.as_str()) {
            interval.1 = interval.1.max(event.t);
        }
    }
    let mut intervals: Vec<(i64, i64)> = by_node
        .into_values()
        .filter(|(from, to)| from < to)
        .collect();
    intervals.sort_unstable();
    intervals
}

#[track_caller]
fn assert_apart(what: &str, intervals: &[(i64, i64)]) {
    for pair in intervals.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{what}: {pair:?} overlap");
    }
}

#[test]
fn ten_handovers_and_never_two_at_work() {
    let database = Database::shared();
    let collector = Collector::start();
    database.set("collector", &collector.address);
    database.set("boot", "50ms");
    let setup = Setup::new("2.18.0", &database);
    // All are kept: should the test fail, the log of each is shown.
    let mut nodes = vec![setup.start()];
    nodes[0].listens();
    for handover in 0..=10 {
        if handover < 10 {
            let standby = setup.again().start();
            standby.waits(0);
            nodes.push(standby);
        }
        let active = &mut nodes[handover];
        active.signal("TERM");
        assert_eq!(active.exits(), 0);
        if let Some(standby) = nodes.get(handover + 1) {
            standby.listens();
        }
        eventually(
            &format!("handover {handover}: the release is collected"),
            || (collector.count("lock-released") == handover + 1).then_some(()),
        );
    }
    let events = collector.events();
    assert_eq!(
        (collector.count("lock-taken"), collector.count("waiting")),
        (11, 10)
    );
    let locks = intervals(&events, &["lock-taken"], &["lock-released"]);
    let work = intervals(&events, &["listening", "tick"], &["tick", "stopping"]);
    assert_eq!((locks.len(), work.len()), (11, 11));
    assert_apart("locks", &locks);
    assert_apart("work", &work);

    // The database tells the same, to the microsecond.
    let rows = database.sql(
        "SELECT (extract(epoch FROM at) * 1000000)::bigint, app_id, kind FROM simulator_duty
         WHERE kind <> 'tick' ORDER BY 1, 2, 3",
    );
    let mut datagrams: Vec<String> = events
        .iter()
        .filter(|event| !["tick", "waiting"].contains(&event.kind.as_str()))
        .map(|event| format!("{}|{}|{}", event.t, event.app_id, event.kind))
        .collect();
    datagrams.sort_unstable();
    assert_eq!(rows.lines().collect::<Vec<_>>(), datagrams);
}

#[test]
fn ticks_come_every_twenty_milliseconds() {
    let database = Database::shared();
    let collector = Collector::start();
    let setup = Setup::new("2.18.0", &database).with_env("SIMULATOR_COLLECTOR", &collector.address);
    let node = setup.start();
    node.listens();
    eventually("ticks", || (collector.count("tick") >= 50).then_some(()));
    let ticks: Vec<i64> = collector
        .events()
        .iter()
        .filter(|e| e.kind == "tick")
        .map(|e| e.t)
        .collect();
    let lasted = ticks[ticks.len() - 1] - ticks[0];
    let count = i64::try_from(ticks.len()).unwrap();
    assert!(
        lasted >= (count - 1) * 19_000,
        "too many: {count} in {lasted} µs"
    );
    eventually("rows", || {
        let rows = database.postgres.try_sql(
            &database.name,
            "SELECT count(*) FROM simulator_duty WHERE kind = 'tick'",
        )?;
        (rows.parse::<u32>().ok()? >= 50).then_some(())
    });
    let pod = database.sql("SELECT DISTINCT pod, version FROM simulator_duty");
    assert_eq!(pod, format!("node-{}|2.18.0", node.port));
}
