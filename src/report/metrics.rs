//! What the operator counts, for Prometheus.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::conditions::CONDITIONS;
use crate::api::{ChainlinkNodeStatus, LastHandover, PodStatus, Request, RequestState};
use crate::domain::{MoveReason, Reason, Role};

/// Labels of what is told of a resource in all.
type Whole = [(&'static str, String); 2];
/// Labels of what is told of each part of a resource: of a role, a reason, a result or a condition.
type Part = [(&'static str, String); 3];

/// All metrics of this operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    moves: Family<Part, Counter>,
    switchovers: Family<Part, Counter>,
    drills: Family<Part, Counter>,
    gap: Family<Whole, Gauge<f64, AtomicU64>>,
    pods: Family<Part, Gauge>,
    conditions: Family<Part, Gauge>,
    two_holders: Family<Whole, Gauge>,
    update: Family<Whole, Gauge>,
    applied: Family<Whole, Gauge>,
    crd_outdated: Family<Whole, Gauge>,
    errors: Counter,
    leading: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("chainlink_operator");
        let moves = Family::default();
        let switchovers = Family::default();
        let drills = Family::default();
        let gap = Family::default();
        let pods = Family::default();
        let conditions = Family::default();
        let two_holders = Family::default();
        let update = Family::default();
        let applied = Family::default();
        let crd_outdated = Family::default();
        let errors = Counter::default();
        let leading = Gauge::default();
        registry.register(
            "lock_moves",
            "Handovers and failovers that ended, by reason",
            moves.clone(),
        );
        registry.register(
            "switchovers",
            "Switchovers that were asked for, by how they ended",
            switchovers.clone(),
        );
        registry.register(
            "drills",
            "Drills that were due, by how they ended: a skipped one was Refused",
            drills.clone(),
        );
        registry.register_with_unit(
            "last_gap",
            "Time without an active in the last handover or failover, where its begin and end were seen",
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
            "two_holders",
            "1 where another node works on the database beside the active, by a lock that neither sees, else 0",
            two_holders.clone(),
        );
        registry.register_with_unit(
            "update_first_seen_timestamp",
            "When the newer release that status.update proposes was seen first, where there is one",
            Unit::Seconds,
            update.clone(),
        );
        registry.register_with_unit(
            "update_applied_timestamp",
            "When the release was applied that runs in place of spec.version, where one does",
            Unit::Seconds,
            applied.clone(),
        );
        registry.register(
            "crd_outdated",
            "1 where the cluster's CRD is older than the operator, which does nothing that it could not remember, else 0",
            crd_outdated.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Passes that ended with an error",
            errors.clone(),
        );
        registry.register(
            "leading",
            "1 where this operator is the one that acts, 0 where it waits to",
            leading.clone(),
        );
        Self {
            registry,
            moves,
            switchovers,
            drills,
            gap,
            pods,
            conditions,
            two_holders,
            update,
            applied,
            crd_outdated,
            errors,
            leading,
        }
    }
}

fn whole(namespace: &str, node: &str) -> Whole {
    [
        ("namespace", namespace.to_owned()),
        ("node", node.to_owned()),
    ]
}

fn part(namespace: &str, node: &str, label: &'static str, value: &str) -> Part {
    let [of, at] = whole(namespace, node);
    [of, at, (label, value.to_owned())]
}

fn role(namespace: &str, node: &str, role: &str) -> Part {
    part(namespace, node, "role", role)
}

fn condition(namespace: &str, node: &str, kind: &str) -> Part {
    part(namespace, node, "condition", kind)
}

fn moved(namespace: &str, node: &str, reason: &str) -> Part {
    part(namespace, node, "reason", reason)
}

fn ended(namespace: &str, node: &str, state: RequestState) -> Part {
    part(namespace, node, "result", state.as_str())
}

impl Metrics {
    /// Takes over what a status says.
    pub fn status(&self, namespace: &str, node: &str, status: &ChainlinkNodeStatus) {
        // A role that no pod has any more counts zero.
        for one in Role::ALL {
            let has = |pod: &&PodStatus| pod.role == one.as_str();
            let count = status.pods.iter().filter(has).count();
            self.pods
                .get_or_create(&role(namespace, node, one.as_str()))
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        // One that is not there is not so: it must not stay at what it was when it was there last.
        for kind in CONDITIONS {
            let mut all = status.conditions.iter();
            let is = all.any(|condition| condition.type_ == kind && condition.status == "True");
            let labels = condition(namespace, node, kind);
            self.conditions.get_or_create(&labels).set(i64::from(is));
        }
        let mut all = status.conditions.iter();
        let two = all.any(|one| one.status == "False" && one.reason == Reason::TwoHolders);
        let labels = whole(namespace, node);
        self.two_holders.get_or_create(&labels).set(i64::from(two));
        let mut all = status.conditions.iter();
        let outdated = all.any(|one| one.status == "True" && one.reason == Reason::CrdOutdated);
        let outdated = i64::from(outdated);
        self.crd_outdated.get_or_create(&labels).set(outdated);
        let update = status.update.as_ref();
        let update = update.filter(|update| update.proposed_at.is_some());
        match update {
            Some(update) => {
                let seen = update.first_seen.as_second();
                self.update.get_or_create(&labels).set(seen);
            }
            None => drop(self.update.remove(&labels)),
        }
        let applied = status.applied.as_ref();
        match applied.and_then(|applied| applied.applied_at) {
            Some(at) => {
                let applied = self.applied.get_or_create(&labels);
                applied.set(at.as_second());
            }
            None => drop(self.applied.remove(&labels)),
        }
        // A counter that begins with its first event shows no increase by it.
        for result in RequestState::ends() {
            let labels = ended(namespace, node, result);
            drop(self.switchovers.get_or_create(&labels));
            drop(self.drills.get_or_create(&labels));
        }
        for reason in MoveReason::ALL {
            let labels = moved(namespace, node, reason.as_str());
            drop(self.moves.get_or_create(&labels));
        }
        // It stands in the status, and is not to be gone with a restart of the operator.
        let last = status.last_handover.as_ref();
        let gap = last.and_then(|last| i32::try_from(last.gap_ms?).ok());
        match gap {
            Some(millis) => drop(
                self.gap
                    .get_or_create(&labels)
                    .set(f64::from(millis) / 1000.0),
            ),
            None => drop(self.gap.remove(&labels)),
        }
    }

    /// Counts a switchover and a drill that ended between two statuses.
    pub fn asked(
        &self,
        namespace: &str,
        node: &str,
        old: &ChainlinkNodeStatus,
        new: &ChainlinkNodeStatus,
    ) {
        let count = |all: &Family<Part, Counter>, old: Option<&Request>, new: Option<&Request>| {
            let new = new.filter(|asked| asked.ended.is_some() && old != Some(asked));
            if let Some(asked) = new {
                let labels = ended(namespace, node, asked.state);
                all.get_or_create(&labels).inc();
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
    pub fn moved(&self, namespace: &str, node: &str, done: &LastHandover) {
        self.moves
            .get_or_create(&moved(namespace, node, &done.reason))
            .inc();
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, namespace: &str, node: &str) {
        for one in Role::ALL {
            self.pods.remove(&role(namespace, node, one.as_str()));
        }
        for kind in CONDITIONS {
            self.conditions.remove(&condition(namespace, node, kind));
        }
        for result in RequestState::ends() {
            let labels = ended(namespace, node, result);
            self.switchovers.remove(&labels);
            self.drills.remove(&labels);
        }
        for reason in MoveReason::ALL {
            self.moves.remove(&moved(namespace, node, reason.as_str()));
        }
        let labels = whole(namespace, node);
        self.gap.remove(&labels);
        self.two_holders.remove(&labels);
        self.update.remove(&labels);
        self.applied.remove(&labels);
        self.crd_outdated.remove(&labels);
    }

    /// Whether this operator is the one that acts.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
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
    fn every_series_names_its_resource_and_its_part() {
        let metrics = Metrics::default();
        let status = serde_json::json!({
            "lastHandover": {
                "from": "a (2.28.0)", "to": "b (2.28.0)", "reason": "Failover", "gapMs": 500,
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:10Z",
            },
        });
        metrics.status("chain", "mainnet", &serde_json::from_value(status).unwrap());
        let text = metrics.text().unwrap();
        let of = r#"{namespace="chain",node="mainnet""#;
        for line in [
            format!("pods{of},role=\"Active\"}} 0"),
            format!("condition{of},condition=\"Paused\"}} 0"),
            format!("two_holders{of}}} 0"),
            format!("crd_outdated{of}}} 0"),
            format!("switchovers_total{of},result=\"Done\"}} 0"),
            format!("drills_total{of},result=\"Done\"}} 0"),
            format!("lock_moves_total{of},reason=\"Failover\"}} 0"),
            format!("last_gap_seconds{of}}} 0.5"),
            "reconcile_errors_total 0".to_owned(),
        ] {
            let line = format!("chainlink_operator_{line}");
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }

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
            gap_is_upper_bound: false,
        };
        let status = ChainlinkNodeStatus {
            last_handover: Some(done.clone()),
            ..ChainlinkNodeStatus::default()
        };
        metrics.status("chain", "mainnet", &status);
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
    fn every_reason_of_a_move_counts_from_zero_and_the_gap_outlives_a_restart() {
        let metrics = Metrics::default();
        metrics.status("chain", "mainnet", &ChainlinkNodeStatus::default());
        let text = metrics.text().unwrap();
        let labels = r#"{namespace="chain",node="mainnet""#;
        for reason in MoveReason::ALL {
            let line =
                format!("chainlink_operator_lock_moves_total{labels},reason=\"{reason}\"}} 0");
            assert!(text.contains(&line), "{reason}: {text}");
        }
        let gap = format!("chainlink_operator_last_gap_seconds{labels}}}");
        assert!(!text.contains(&gap), "nothing has moved: {text}");

        let mut status: ChainlinkNodeStatus = serde_json::from_value(serde_json::json!({
            "lastHandover": {
                "from": "a (2.28.0)", "to": "b (2.28.0)", "reason": "Failover", "gapMs": 10_600,
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:10Z",
            },
        }))
        .unwrap();
        let restarted = Metrics::default();
        restarted.status("chain", "mainnet", &status);
        let text = restarted.text().unwrap();
        assert!(text.contains(&format!("{gap} 10.6")), "{text}");
        assert!(!text.contains("reason=\"Failover\"} 1"), "{text}");

        // The gap of the last one is not known: that of the one before it is not shown for it.
        status.last_handover.as_mut().unwrap().gap_ms = None;
        restarted.status("chain", "mainnet", &status);
        let text = restarted.text().unwrap();
        assert!(!text.contains(&gap), "{text}");
    }

    fn asked(state: RequestState, ended: Option<Timestamp>) -> Request {
        Request {
            token: "t".to_owned(),
            to: None,
            state,
            message: None,
            since: Timestamp::UNIX_EPOCH,
            from: None,
            ended,
        }
    }

    #[test]
    fn a_condition_that_is_not_there_any_more_counts_as_not_true() {
        let metrics = Metrics::default();
        let conditions = serde_json::json!([{
            "type": "Paused", "status": "True", "reason": "PausedBySpec", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        let status = ChainlinkNodeStatus {
            conditions: serde_json::from_value(conditions).unwrap(),
            ..ChainlinkNodeStatus::default()
        };
        let paused = |metrics: &Metrics| {
            let text = metrics.text().unwrap();
            let mut lines = text.lines();
            let line = lines.find(|line| line.contains("condition=\"Paused\""));
            line.map(|line| line.ends_with(" 1"))
        };
        metrics.status("chain", "mainnet", &status);
        assert_eq!(paused(&metrics), Some(true));
        metrics.status("chain", "mainnet", &ChainlinkNodeStatus::default());
        assert_eq!(paused(&metrics), Some(false));
    }

    #[test]
    fn a_drill_is_counted_once_by_how_it_ended_and_what_goes_on_is_not() {
        let metrics = Metrics::default();
        let with = |drill| ChainlinkNodeStatus {
            drill: Some(drill),
            ..ChainlinkNodeStatus::default()
        };
        let pending = with(asked(RequestState::Pending, None));
        let skipped = with(asked(RequestState::Refused, Some(Timestamp::UNIX_EPOCH)));
        let nothing = ChainlinkNodeStatus::default();
        for (old, new) in [
            (&nothing, &pending),
            (&pending, &skipped),
            (&skipped, &skipped),
        ] {
            metrics.status("chain", "mainnet", new);
            metrics.asked("chain", "mainnet", old, new);
        }
        let text = metrics.text().unwrap();
        let drills = r#"chainlink_operator_drills_total{namespace="chain",node="mainnet""#;
        for (result, count) in [("Refused", 1), ("Done", 0)] {
            let line = format!("{drills},result=\"{result}\"}} {count}");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn a_resource_that_is_gone_leaves_no_series() {
        let metrics = Metrics::default();
        metrics.status("chain", "mainnet", &ChainlinkNodeStatus::default());
        let done = LastHandover {
            from: "a".to_owned(),
            to: "b".to_owned(),
            reason: "Failover".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            gap_ms: Some(1),
            gap: None,
            gap_is_upper_bound: false,
        };
        metrics.moved("chain", "mainnet", &done);
        assert!(metrics.text().unwrap().contains("mainnet"));
        metrics.forget("chain", "mainnet");
        assert!(!metrics.text().unwrap().contains("mainnet"));
    }
}
