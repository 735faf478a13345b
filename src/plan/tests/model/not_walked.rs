//! What of the operator's memory no walk carries from one look to the next. Of what is decided by it the walks say nothing.

use std::collections::BTreeSet;

use schemars::schema_for;

use super::cluster::{Budget, Cluster};
use super::kind::{NEW_CHECKED, OLD};
use super::mind::{Active, Mind, OnTrial, Stopping, Tried, Upgrading};
use super::names::Ago;
use super::pod::Pod;
use crate::api::{FailedHow, Memory, ValidationState};

/// Each field of `status.operator`, and why. docs/safety.md tells its readers the same.
const NOT_WALKED: [(&str, &str); 24] = [
    ("checkFailed", "no walk has an approval or a window"),
    ("checked", "no walk has an approval or a window"),
    ("drill", "no walk has a schedule of drills"),
    ("drillSchedule", "no walk has a schedule of drills"),
    ("drillsSince", "no walk has a schedule of drills"),
    ("earlierSwitchovers", "on no walk is a switchover asked for"),
    ("failedBecause", "only words for people"),
    ("goingBack", "no walk has preferred machines"),
    (
        "readOnlySpells",
        "on no walk do sessions begin that can never write",
    ),
    ("restored", "on no walk is a backup restored"),
    (
        "said",
        "on no walk does a pod say another version than that of its revision",
    ),
    ("secrets", "on no walk may the content of Secrets be read"),
    ("switchover", "on no walk is a switchover asked for"),
    (
        "unresponsive",
        "on no walk is an active to be stopped that runs and does not answer",
    ),
    (
        "coming.words",
        "on no walk does a pod that comes late leave its words to the next",
    ),
    (
        "databaseDiffers.corrected",
        "on no walk does a person say that the database is right now",
    ),
    (
        "databaseDiffers.generation",
        "the generation of the spec stays the same on a walk",
    ),
    ("lastActive.purpose", "no walk has preferred machines"),
    ("stopping.purpose", "no walk has preferred machines"),
    ("stopping.reason", "only words for people"),
    (
        "upgrade.noWayBack",
        "only words for people, but for whether it is there",
    ),
    (
        "validation.again",
        "on no walk does a check that says nothing hold a change",
    ),
    ("validation.message", "only words for people"),
    (
        "validation.silent",
        "on no walk does a check that says nothing hold a change",
    ),
];

/// Stops a walk whose planner has set what the walk would lose.
pub fn unset<const N: usize>(fields: [(&str, bool); N]) {
    for (field, unset) in fields {
        assert!(unset, "the planner sets {field}, which no walk carries");
    }
}

/// A memory in which everything stands that a walk can carry, of a cluster with two pods.
fn full() -> (Mind, Cluster) {
    let mut cluster = Cluster::new(1, OLD, Budget::default());
    cluster.add(Pod::new(1, OLD));
    cluster.add(Pod::new(2, NEW_CHECKED));
    let mind = Mind {
        wanted: Some((NEW_CHECKED, Ago::Seconds)),
        last_worked: Some(OLD),
        newest_held: 1,
        may_have_held: Some((2, 0b101)),
        creating: Some((3, NEW_CHECKED, Ago::HalfMinute)),
        stopping: Some(Stopping {
            no: 1,
            active: true,
            successor: Some(2),
            to: Some(NEW_CHECKED),
            ago: Ago::Seconds,
            over: true,
        }),
        last_active: Some(Active {
            no: 1,
            kind: OLD,
            ended: Some(Ago::HalfMinute),
            planned: true,
        }),
        missing: Some(Ago::TenMinutes),
        failed: Some(NEW_CHECKED),
        set_aside: Some(NEW_CHECKED),
        unheld: Some(Ago::Moment),
        differs: Some((2, Ago::HalfMinute)),
        validation: Some((NEW_CHECKED, 2, ValidationState::Invalid)),
        failed_how: Some(FailedHow::Crashed),
        trial: Some(OnTrial {
            kind: NEW_CHECKED,
            before: OLD,
            no: 2,
            since: Ago::Seconds,
        }),
        attempt: Some(Tried {
            to: NEW_CHECKED,
            stopped: 1,
            since: Ago::HalfMinute,
            over: true,
        }),
        upgrade: Some(Upgrading {
            to: NEW_CHECKED,
            held: 1,
            before: Some(1),
            crashed: Some(Ago::Seconds),
            removed: Some(Ago::Moment),
            cleared: Some(Ago::Moment),
            no_way_back: true,
        }),
        coming: Some((NEW_CHECKED, Ago::TenMinutes, true)),
    };
    (mind, cluster)
}

fn keys(value: &serde_json::Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn what_a_walk_carries_of_the_memory_comes_back() {
    let (mind, cluster) = full();

    assert_eq!(Mind::of(&mind.memory(&cluster, 3)), mind);
}

#[test]
fn every_field_of_the_memory_is_carried_by_the_walks_or_listed() {
    let (mind, cluster) = full();
    let carried = serde_json::to_value(mind.memory(&cluster, 3)).unwrap();
    let all = schema_for!(Memory).to_value();

    let carried = keys(&carried);
    let lost: BTreeSet<String> = keys(&all["properties"])
        .difference(&carried)
        .cloned()
        .collect();
    let listed = NOT_WALKED.iter().map(|(field, _)| *field);
    let listed: BTreeSet<String> = listed
        .filter(|field| !field.contains('.'))
        .map(str::to_owned)
        .collect();
    assert_eq!(lost, listed);
}

#[test]
fn what_no_walk_carries_is_told_in_the_docs() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/safety.md");
    let page = std::fs::read_to_string(page).unwrap();
    let told = page.split("\n### What no walk carries\n").nth(1).unwrap();
    let told = told.split("\n#").next().unwrap();
    let told: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("* `"))
        .collect();

    let listed = NOT_WALKED.map(|(field, why)| format!("* `{field}`: {why}."));
    assert_eq!(told, listed);
}
