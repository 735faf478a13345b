//! What the operator counts, for Prometheus.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::api::{ChainlinkNodeStatus, LastHandover};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Node {
    namespace: String,
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PodRole {
    namespace: String,
    node: String,
    role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Move {
    namespace: String,
    node: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeCondition {
    namespace: String,
    node: String,
    condition: String,
}

/// Roles that a pod can have in status: a role that no pod has any more counts zero.
const ROLES: [&str; 10] = [
    "Active", "Standby", "Starting", "Pending", "Stopping", "Suspect", "Failing", "Unknown",
    "Foreign", "Ended",
];

/// All metrics of this operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    moves: Family<Move, Counter>,
    gap: Family<Node, Gauge<f64, AtomicU64>>,
    pods: Family<PodRole, Gauge>,
    conditions: Family<NodeCondition, Gauge>,
    errors: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("chainlink_operator");
        let moves = Family::default();
        let gap = Family::default();
        let pods = Family::default();
        let conditions = Family::default();
        let errors = Counter::default();
        registry.register(
            "lock_moves",
            "Handovers and failovers that ended, by reason",
            moves.clone(),
        );
        registry.register_with_unit(
            "last_gap",
            "Time without an active in the last handover or failover",
            Unit::Seconds,
            gap.clone(),
        );
        registry.register("pods", "Pods of each ChainlinkNode by role", pods.clone());
        registry.register(
            "condition",
            "Conditions of each ChainlinkNode: 1 where True, else 0",
            conditions.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Passes that ended with an error",
            errors.clone(),
        );
        Self {
            registry,
            moves,
            gap,
            pods,
            conditions,
            errors,
        }
    }
}

impl Metrics {
    /// Takes over what a status says.
    pub fn status(&self, namespace: &str, node: &str, status: &ChainlinkNodeStatus) {
        for role in ROLES {
            let count = status.pods.iter().filter(|pod| pod.role == role).count();
            let labels = PodRole {
                namespace: namespace.to_owned(),
                node: node.to_owned(),
                role: role.to_owned(),
            };
            self.pods
                .get_or_create(&labels)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for condition in &status.conditions {
            let labels = NodeCondition {
                namespace: namespace.to_owned(),
                node: node.to_owned(),
                condition: condition.type_.clone(),
            };
            self.conditions
                .get_or_create(&labels)
                .set(i64::from(condition.status == "True"));
        }
    }

    /// Counts a handover or failover that ended.
    pub fn moved(&self, namespace: &str, node: &str, done: &LastHandover) {
        let (namespace, node) = (namespace.to_owned(), node.to_owned());
        let labels = Move {
            namespace: namespace.clone(),
            node: node.clone(),
            reason: done.reason.clone(),
        };
        self.moves.get_or_create(&labels).inc();
        if let Some(millis) = done.gap_ms.and_then(|millis| i32::try_from(millis).ok()) {
            self.gap
                .get_or_create(&Node { namespace, node })
                .set(f64::from(millis) / 1000.0);
        }
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, namespace: &str, node: &str) {
        let (namespace, node) = (namespace.to_owned(), node.to_owned());
        for role in ROLES {
            let labels = PodRole {
                namespace: namespace.clone(),
                node: node.clone(),
                role: role.to_owned(),
            };
            self.pods.remove(&labels);
        }
        for condition in ["Ready", "Reconciling", "Stalled", "Available", "Redundant"] {
            self.conditions.remove(&NodeCondition {
                namespace: namespace.clone(),
                node: node.clone(),
                condition: condition.to_owned(),
            });
        }
        self.gap.remove(&Node { namespace, node });
    }

    /// Counts a pass that ended with an error.
    pub fn failed(&self) {
        self.errors.inc();
    }

    /// The metrics as Prometheus reads them.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_handover_is_counted_with_its_gap() {
        let metrics = Metrics::default();
        let done = LastHandover {
            from: "a".to_owned(),
            to: "b".to_owned(),
            reason: "Version".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            gap_ms: Some(1750),
            gap: None,
        };
        metrics.moved("chain", "mainnet", &done);
        let text = metrics.text().unwrap();
        let labels = r#"{namespace="chain",node="mainnet""#;
        assert!(
            text.contains(&format!(
                "chainlink_operator_lock_moves_total{labels},reason=\"Version\"}} 1"
            )),
            "{text}"
        );
        assert!(
            text.contains(&format!(
                "chainlink_operator_last_gap_seconds{labels}}} 1.75"
            )),
            "{text}"
        );
    }

    #[test]
    fn a_resource_that_is_gone_leaves_no_series() {
        let metrics = Metrics::default();
        metrics.status("chain", "mainnet", &ChainlinkNodeStatus::default());
        assert!(metrics.text().unwrap().contains("mainnet"));
        metrics.forget("chain", "mainnet");
        assert!(!metrics.text().unwrap().contains("mainnet"));
    }
}
