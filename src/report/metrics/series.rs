//! The series of the resources: one table, a row for each metric, written out with each scrape.
//!
//! A thousand resources are to stay below a megabyte. So what says nothing new has no series: a part that no pod plays, a
//! condition that is as it is at rest, a handover that is not. All of them are counted over the fleet instead ([`Totals`]).

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::resource::Resource;
use crate::api::ChainlinkNode;
use crate::report::conditions::CONDITIONS;

type Labels<'a> = Vec<(&'static str, &'a str)>;

static SECONDS: Unit = Unit::Seconds;

/// What a sample says.
enum Value {
    Whole(i64),
    Seconds(f64),
    Count(u64),
}

/// One metric of a resource.
struct Row {
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
    kind: MetricType,
    /// The samples of one resource: the labels beside its own, and what they say.
    samples: for<'a> fn(&'a Resource) -> Vec<(Labels<'a>, Value)>,
}

impl Row {
    const fn gauge(
        name: &'static str,
        help: &'static str,
        samples: for<'a> fn(&'a Resource) -> Vec<(Labels<'a>, Value)>,
    ) -> Self {
        Self {
            name,
            help,
            unit: None,
            kind: MetricType::Gauge,
            samples,
        }
    }

    const fn counter(
        name: &'static str,
        help: &'static str,
        samples: for<'a> fn(&'a Resource) -> Vec<(Labels<'a>, Value)>,
    ) -> Self {
        Self {
            kind: MetricType::Counter,
            ..Self::gauge(name, help, samples)
        }
    }

    const fn in_seconds(mut self) -> Self {
        self.unit = Some(&SECONDS);
        self
    }
}

/// Seconds since 1970, as Prometheus counts time.
fn seconds(at: jiff::Timestamp) -> i64 {
    at.as_second()
}

fn one(value: Value) -> Vec<(Labels<'static>, Value)> {
    vec![(Vec::new(), value)]
}

/// 1 where it is so, and else nothing.
fn flag(is: bool) -> Vec<(Labels<'static>, Value)> {
    if is { one(Value::Whole(1)) } else { Vec::new() }
}

/// A time, where there is one.
fn at(time: Option<jiff::Timestamp>) -> Vec<(Labels<'static>, Value)> {
    let time = time.map(|time| one(Value::Whole(seconds(time))));
    time.unwrap_or_default()
}

fn version(version: Option<&String>) -> Vec<(Labels<'_>, Value)> {
    let version = version.map(|version| (vec![("version", version.as_str())], Value::Whole(1)));
    version.into_iter().collect()
}

/// A release and its time.
fn release(release: Option<&(String, jiff::Timestamp)>) -> Vec<(Labels<'_>, Value)> {
    let release = release.map(|(version, at)| {
        let labels = vec![("version", version.as_str())];
        (labels, Value::Whole(seconds(*at)))
    });
    release.into_iter().collect()
}

const ROWS: [Row; 19] = [
    Row::gauge(
        "condition",
        "1 for each condition that is not as it is at rest, by its status; of Stalled also its reason",
        |node| {
            let told = node.conditions.iter().filter(|told| !told.at_rest());
            told.map(|told| {
                let mut labels = vec![("condition", told.kind), ("status", told.status.as_str())];
                if told.kind == "Stalled" {
                    labels.push(("reason", told.reason.as_str()));
                }
                (labels, Value::Whole(1))
            })
            .collect()
        },
    ),
    Row::gauge("pods", "Pods by role, of the roles that a pod has", |node| {
        let pods = node.pods.iter();
        pods.map(|(role, count)| {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            (vec![("role", role.as_str())], Value::Whole(count))
        })
        .collect()
    }),
    Row::gauge(
        "running_version",
        "1 for the version of the active",
        |node| version(node.running.as_ref()),
    ),
    Row::gauge(
        "wanted_version",
        "1 for the version that is wanted, where the active is another one or there is none; not there with replicas 0",
        |node| version(node.wanted.as_ref()),
    ),
    Row::gauge(
        "active_since_timestamp",
        "When the active took the lock; not there without an active",
        |node| at(node.active_since),
    )
    .in_seconds(),
    Row::gauge(
        "standbys_missing",
        "Standbys that are wanted and do not wait for the lock, where there are such",
        |node| match node.standbys_missing {
            0 => Vec::new(),
            missing => one(Value::Whole(i64::from(missing))),
        },
    ),
    Row::gauge(
        "same_machine",
        "1 where the active and all standbys run on one machine",
        |node| flag(node.same_machine),
    ),
    Row::gauge(
        "two_holders",
        "1 where another node works on the database beside the active, by a lock that neither sees",
        |node| flag(node.two_holders),
    ),
    Row::gauge(
        "approval_waiting_since_timestamp",
        "Since when a change waits for a person's approval, where one does",
        |node| at(node.approval_since),
    )
    .in_seconds(),
    Row::gauge(
        "handover_started_timestamp",
        "When the handover in progress began, by its step and reason",
        |node| {
            let moves = node.handover.iter();
            moves
                .map(|(step, reason, began)| {
                    let labels = vec![("step", step.as_str()), ("reason", reason.as_str())];
                    (labels, Value::Whole(seconds(*began)))
                })
                .collect()
        },
    )
    .in_seconds(),
    Row::gauge(
        "last_move_timestamp",
        "When the last handover or failover ended, by its reason",
        |node| {
            let last = node.last_move.iter();
            last.map(|(reason, ended)| {
                let labels = vec![("reason", reason.as_str())];
                (labels, Value::Whole(seconds(*ended)))
            })
            .collect()
        },
    )
    .in_seconds(),
    Row::gauge(
        "last_gap",
        "Time without an active in the last handover or failover, where its begin and end were seen",
        |node| {
            let gap = node.last_gap.map(|gap| one(Value::Seconds(gap)));
            gap.unwrap_or_default()
        },
    )
    .in_seconds(),
    Row::counter(
        "failovers",
        "Moves of the lock that nobody planned",
        |node| one(Value::Count(node.failovers)),
    ),
    Row::gauge(
        "drills_scheduled_since_timestamp",
        "Since when the schedule of drills is as it is, where there is one",
        |node| at(node.drills_since),
    )
    .in_seconds(),
    Row::gauge(
        "last_drill_timestamp",
        "When the last drill ended, by its result: Done, Refused (it was skipped) or Failed",
        |node| {
            let last = node.last_drill.iter();
            last.map(|(result, ended)| {
                (vec![("result", *result)], Value::Whole(seconds(*ended)))
            })
            .collect()
        },
    )
    .in_seconds(),
    Row::gauge(
        "update_first_seen_timestamp",
        "When the newer release that status.update proposes was seen first, where there is one",
        |node| release(node.update.as_ref()),
    )
    .in_seconds(),
    Row::gauge(
        "update_applied_timestamp",
        "When the release was applied that is wanted in place of spec.version, where one is",
        |node| release(node.applied.as_ref()),
    )
    .in_seconds(),
    Row::gauge(
        "looked_timestamp",
        "When the operator last looked at the pods of the resource, and nothing failed",
        |node| at(node.looked),
    )
    .in_seconds(),
    Row::gauge(
        "database_said_timestamp",
        "When the database last said who holds the lock; not there where it was not asked",
        |node| at(node.database_said),
    )
    .in_seconds(),
];

/// The facts of all resources, while this operator leads.
#[derive(Debug, Default)]
pub(super) struct Fleet(Mutex<Option<BTreeMap<(String, String), Resource>>>);

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<(String, String), Resource>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known is another leader's to tell, where this one does not lead any more.
    pub(super) fn leads(&self, leads: bool) {
        let mut fleet = self.lock();
        *fleet = leads.then(|| fleet.take().unwrap_or_default());
    }

    pub(super) fn tell(&self, node: &ChainlinkNode, what: impl FnOnce(&mut Resource)) {
        if let Some(fleet) = self.lock().as_mut() {
            let key = (node.namespace().unwrap_or_default(), node.name_any());
            what(fleet.entry(key).or_default());
        }
    }

    pub(super) fn forget(&self, namespace: &str, name: &str) {
        if let Some(fleet) = self.lock().as_mut() {
            fleet.remove(&(namespace.to_owned(), name.to_owned()));
        }
    }
}

impl Collector for Fleet {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let fleet = self.lock();
        for row in &ROWS {
            let mut metric = encoder.encode_descriptor(row.name, row.help, row.unit, row.kind)?;
            for ((namespace, name), node) in fleet.iter().flatten() {
                for (beside, value) in (row.samples)(node) {
                    let own = [("namespace", namespace.as_str()), ("name", name.as_str())];
                    write(&mut metric.encode_family(&(own, beside))?, &value)?;
                }
            }
        }
        Ok(())
    }
}

fn write(sample: &mut MetricEncoder<'_>, value: &Value) -> Result<(), Error> {
    match value {
        Value::Whole(whole) => sample.encode_gauge(whole),
        Value::Seconds(seconds) => sample.encode_gauge(seconds),
        Value::Count(count) => sample.encode_counter::<[(&str, &str); 0], _, u64>(count, None),
    }
}

/// What is counted over all resources.
#[derive(Debug)]
pub(super) struct Totals(pub(super) Arc<Fleet>);

impl Collector for Totals {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let what = "Resources by each of their conditions and its status";
        let mut metric = encoder.encode_descriptor("conditions", what, None, MetricType::Gauge)?;
        let fleet = self.0.lock();
        let Some(fleet) = fleet.as_ref() else {
            return Ok(());
        };
        for (kind, _) in CONDITIONS {
            for status in ["True", "False", "Unknown"] {
                let all = fleet.values().flat_map(|node| &node.conditions);
                let such = all.filter(|told| told.kind == kind && told.status == status);
                let count = i64::try_from(such.count()).unwrap_or(i64::MAX);
                let labels = [("condition", kind), ("status", status)];
                metric.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        Ok(())
    }
}
