//! What the operator counts, for Prometheus.
//!
//! Two kinds of metrics. `chainlink_operator_…` is what this process counts of itself and of the whole fleet; its counters last as
//! long as the process. `chainlinknode_…` is told of each resource, by its `namespace` and `name`, and by the leader alone: an
//! operator that waits for its turn would tell what is long over. That is kept as a few facts for each resource
//! (`resource`), and written out with each scrape (`series`), so that a resource that is gone leaves nothing behind. `format`
//! has the two forms in which Prometheus reads all of it.

mod format;
mod resource;
mod series;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use format::Format;

use crate::api::{ChainlinkNode, ChainlinkNodeStatus, LastHandover, Request, RequestState};
use crate::domain::MoveReason;
use series::Fleet;

/// One label, with its value.
type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// All metrics of this operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    fleet: Arc<Fleet>,
    leading: Gauge,
    passes: Histogram,
    decisions: Histogram,
    errors: Counter,
    gaps: Histograms,
    moves: Family<Label, Counter>,
    switchovers: Family<Label, Counter>,
    drills: Family<Label, Counter>,
    leases: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::beside(|_| {})
    }
}

/// From half a second, which a handover takes at its best, to a quarter of an hour.
fn gaps() -> Histogram {
    Histogram::new([
        0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0,
    ])
}

/// A pass that takes a minute is given up.
fn seconds_to_a_minute() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ])
}

const fn planned(is: bool) -> Label {
    [("planned", if is { "true" } else { "false" })]
}

impl Metrics {
    /// The metrics, beside what others count of this operator.
    pub fn beside(others: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::default();
        let fleet = Arc::new(Fleet::default());
        let own = registry.sub_registry_with_prefix("chainlink_operator");
        own.register_collector(Box::new(series::Totals(Arc::clone(&fleet))));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        own.register("build", "The version of this operator", build);
        let leading = Gauge::default();
        let what = "1 where this operator is the one that acts, 0 where it waits to";
        own.register("leading", what, leading.clone());
        let passes = seconds_to_a_minute();
        let what = "How long passes over a resource took";
        own.register_with_unit("reconcile", what, Unit::Seconds, passes.clone());
        let decisions = seconds_to_a_minute();
        let what = "From the first word of a change until a pass had decided what to do";
        own.register_with_unit("decision", what, Unit::Seconds, decisions.clone());
        let errors = Counter::default();
        let what = "Passes that ended with an error";
        own.register("reconcile_errors", what, errors.clone());
        let gaps = Histograms::new_with_constructor(gaps);
        let what = "Times without an active, of handovers (planned) and failovers";
        own.register_with_unit("gap", what, Unit::Seconds, gaps.clone());
        let moves = Family::default();
        let what = "Handovers and failovers that ended, by reason";
        own.register("lock_moves", what, moves.clone());
        let switchovers = Family::default();
        let what = "Switchovers that were asked for, by how they ended";
        own.register("switchovers", what, switchovers.clone());
        let drills = Family::default();
        let what = "Drills that were due, by how they ended: a skipped one was Refused";
        own.register("drills", what, drills.clone());
        let leases = Counter::default();
        let what = "Leases that were given back for a node that had ended without doing so";
        own.register("leases_given_back", what, leases.clone());
        others(own);
        let nodes = registry.sub_registry_with_prefix("chainlinknode");
        nodes.register_collector(Box::new(Arc::clone(&fleet)));
        let metrics = Self {
            registry,
            fleet,
            leading,
            passes,
            decisions,
            errors,
            gaps,
            moves,
            switchovers,
            drills,
            leases,
        };
        metrics.begin();
        metrics
    }

    /// A counter that begins with its first event shows no increase by it.
    fn begin(&self) {
        for is in [true, false] {
            drop(self.gaps.get_or_create(&planned(is)));
        }
        for reason in MoveReason::ALL {
            drop(self.moves.get_or_create(&[("reason", reason.as_str())]));
        }
        for result in RequestState::ends() {
            let labels = [("result", result.as_str())];
            drop(self.switchovers.get_or_create(&labels));
            drop(self.drills.get_or_create(&labels));
        }
    }

    /// Takes over what a status says, where nobody has looked: why not stands in it.
    pub fn status(&self, node: &ChainlinkNode, status: &ChainlinkNodeStatus) {
        self.fleet.tell(node, |known| known.take(node, status));
    }

    /// Takes over what a status says that a whole look was made for: when, and when the database last said who holds the lock.
    pub fn looked(
        &self,
        node: &ChainlinkNode,
        status: &ChainlinkNodeStatus,
        at: Timestamp,
        database_said: Option<Timestamp>,
    ) {
        self.fleet.tell(node, |known| {
            known.take(node, status);
            known.looked = Some(at);
            known.database_said = database_said;
        });
    }

    /// Counts a switchover and a drill that ended between two statuses.
    pub fn asked(&self, old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) {
        let count = |all: &Family<Label, Counter>, old: Option<&Request>, new: Option<&Request>| {
            let new = new.filter(|asked| asked.ended.is_some() && old != Some(asked));
            if let Some(asked) = new {
                all.get_or_create(&[("result", asked.state.as_str())]).inc();
            }
        };
        count(
            &self.switchovers,
            old.switchover.as_ref(),
            new.switchover.as_ref(),
        );
        count(&self.drills, old.drill.as_ref(), new.drill.as_ref());
    }

    /// Counts a handover or failover that ended.
    pub fn moved(&self, node: &ChainlinkNode, done: &LastHandover) {
        // A word of another operator's is none of the reasons that are counted.
        let reason = MoveReason::of(&done.reason);
        let word = reason.map_or("Other", MoveReason::as_str);
        self.moves.get_or_create(&[("reason", word)]).inc();
        let failover = reason == Some(MoveReason::Failover);
        if let Some(millis) = done.gap_ms {
            let gap = Duration::from_millis(millis.unsigned_abs());
            let gaps = self.gaps.get_or_create(&planned(!failover));
            gaps.observe(gap.as_secs_f64());
        }
        if failover {
            self.fleet.tell(node, |known| known.failovers += 1);
        }
    }

    /// Counts a lease that was given back.
    pub fn gave_back(&self) {
        self.leases.inc();
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.fleet.forget(namespace, name);
    }

    /// Whether this operator is the one that acts. One that does not tells of no resource.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
        self.fleet.leads(leads);
    }

    /// Counts a pass, and how long it took.
    pub fn passed(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    /// Counts a decision, and how long ago the first word came of the change that it is about.
    pub fn decided(&self, after: Duration) {
        self.decisions.observe(after.as_secs_f64());
    }

    /// Counts a pass that ended with an error.
    pub fn failed(&self) {
        self.errors.inc();
    }

    /// The metrics as Prometheus reads them.
    pub fn text(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(format.of(text))
    }
}
