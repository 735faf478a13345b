//! From the spec and the annotations of a resource to what the planner needs to know of them.

use std::time::Duration;

use kube::ResourceExt;

use crate::api::names::{
    APPROVED_ANNOTATION, CORRECTED_ANNOTATION, SWITCHOVER_ANNOTATION, SWITCHOVER_TO_ANNOTATION,
    UNCHECKED_ANNOTATION,
};
use crate::api::{
    Approval, ChainlinkNode, Failback, Handover, InvalidSchedule, OpenTime, RevisionName,
    SHORTEST_SILENCE, Schedule, parse_duration,
};
use crate::domain::{
    Applied, Approved, HandoverPolicy, Intent, PodId, Preferred, Problem, Reason, Switchover,
    Wanted, restored,
};

const SETTLE: Duration = Duration::from_secs(5);
const STANDBY_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a standby has to have waited on a preferred machine before an automatic fail-back.
const STEADY: Duration = Duration::from_secs(300);

fn duration(text: Option<&String>, default: Duration) -> Duration {
    text.and_then(|text| parse_duration(text).ok())
        .unwrap_or(default)
}

/// The intent of a resource whose spec came to `wanted`. `others_move` says that no lock of another resource
/// may be moved at the moment.
pub(super) fn intent(node: &ChainlinkNode, wanted: Wanted, others_move: bool) -> Intent {
    let handover = node.spec.handover.clone().unwrap_or_default();
    let policy = policy(node, &handover);
    let (policy, wanted) = match times(node, &handover) {
        Ok((windows, drill)) => {
            let policy = HandoverPolicy {
                drill,
                windows,
                ..policy
            };
            (policy, wanted)
        }
        // When the lock may be moved is not known: nothing that goes by the clock is done.
        Err(error) => (without_times(policy), unusable(wanted, &error)),
    };
    Intent {
        namespace: node.namespace().unwrap_or_default(),
        node: PodId {
            name: node.name_any(),
            uid: node.uid().unwrap_or_default(),
        },
        generation: node.metadata.generation.unwrap_or_default(),
        replicas: usize::try_from(node.spec.replicas).unwrap_or(0),
        surge: usize::try_from(handover.surge.unwrap_or(1)).unwrap_or(1),
        settle: duration(handover.settle.as_ref(), SETTLE),
        standby_timeout: duration(handover.standby_timeout.as_ref(), STANDBY_TIMEOUT),
        wanted,
        policy: HandoverPolicy {
            paused: node.spec.paused,
            others_move,
            ..policy
        },
    }
}

fn unusable(wanted: Wanted, error: &InvalidSchedule) -> Wanted {
    match wanted {
        Wanted::Revision(_) => Wanted::Unusable(Problem {
            reason: Reason::ScheduleInvalid,
            message: error.to_string(),
            missing: false,
        }),
        Wanted::Unusable(problem) => Wanted::Unusable(problem),
    }
}

/// What a person asks for stays asked for.
fn without_times(policy: HandoverPolicy) -> HandoverPolicy {
    let preferred = policy.preferred.map(|preferred| Preferred {
        automatic_after: None,
        ..preferred
    });
    HandoverPolicy {
        preferred,
        ..policy
    }
}

/// The windows, and when to rehearse.
fn times(
    node: &ChainlinkNode,
    handover: &Handover,
) -> Result<(Vec<OpenTime>, Option<Schedule>), InvalidSchedule> {
    let windows = handover
        .windows
        .iter()
        .map(|window| {
            Ok(OpenTime {
                opens: Schedule::parse(&window.schedule, window.time_zone.as_deref())?,
                length: parse_duration(&window.duration).unwrap_or_default(),
            })
        })
        .collect::<Result<_, _>>()?;
    let drill = node
        .spec
        .drill
        .as_ref()
        .map(|drill| Schedule::parse(&drill.schedule, drill.time_zone.as_deref()))
        .transpose()?;
    Ok((windows, drill))
}

fn policy(node: &ChainlinkNode, handover: &Handover) -> HandoverPolicy {
    let annotation = |name: &str| {
        node.annotations()
            .get(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    HandoverPolicy {
        switchover: annotation(SWITCHOVER_ANNOTATION).map(|token| Switchover {
            token,
            to: annotation(SWITCHOVER_TO_ANNOTATION),
        }),
        preferred: handover.preferred.as_ref().map(|preferred| Preferred {
            labels: preferred.node_selector.clone(),
            // What can't be read is refused with the whole spec, and does nothing by itself meanwhile.
            automatic_after: (preferred.failback == Some(Failback::Automatic))
                .then(|| match &preferred.steady_for {
                    Some(text) => parse_duration(text).ok(),
                    None => Some(STEADY),
                })
                .flatten(),
        }),
        approval: (handover.approval == Some(Approval::Manual)).then(|| Approved {
            revision: annotation(APPROVED_ANNOTATION).map(RevisionName::new),
        }),
        unchecked: annotation(UNCHECKED_ANNOTATION).map(RevisionName::new),
        unresponsive_after: node
            .spec
            .failover
            .as_ref()
            .and_then(|failover| failover.unresponsive_after.as_ref())
            .and_then(|text| parse_duration(text).ok())
            .map(|after| after.max(SHORTEST_SILENCE)),
        release_lease: node
            .spec
            .failover
            .as_ref()
            .and_then(|failover| failover.release_lease)
            .unwrap_or_default(),
        restored: restored(node),
        applied_lost: Applied::of(node) == Applied::Lost,
        corrected: annotation(CORRECTED_ANNOTATION),
        ..HandoverPolicy::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Lock, Revision};

    fn read(annotations: &Value, handover: &Value, drill: &Value) -> Intent {
        let node: ChainlinkNode = serde_json::from_value(json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": "cl", "annotations": annotations},
            "spec": {
                "version": "2.28.0",
                "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
                "credentials": {
                    "keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}},
                },
                "handover": handover,
                "drill": drill,
            },
        }))
        .unwrap();
        let wanted = Revision {
            name: "cl-1".into(),
            version: "2.28.0".parse().unwrap(),
            lock: Lock::read("lease"),
            lock_id_hidden: false,
            lease: None,
            validates: false,
            any_postgres: false,
        };
        intent(&node, Wanted::Revision(wanted), false)
    }

    #[test]
    fn a_revision_that_a_person_lets_go_on_unchecked_is_read() {
        let annotations = json!({"chainlink-operator.dev/accept-unchecked": " cl-7 "});
        let policy = read(&annotations, &Value::Null, &Value::Null).policy;
        assert_eq!(policy.unchecked, Some("cl-7".into()));
        let policy = read(&json!({}), &Value::Null, &Value::Null).policy;
        assert_eq!(policy.unchecked, None);
    }

    #[test]
    fn a_schedule_that_can_not_be_read_holds_all_that_is_planned() {
        let window = |schedule: &str, zone: Value| {
            let window = json!({"schedule": schedule, "duration": "1h", "timeZone": zone});
            read(&json!({}), &json!({"windows": [window]}), &Value::Null)
        };
        for intent in [
            window("0 25 * * *", Value::Null),
            window("0 2 31 2 *", Value::Null),
            window("0 2 * * *", json!("Europe/Atlantis")),
            read(&json!({}), &Value::Null, &json!({"schedule": "0 25 * * *"})),
        ] {
            let Wanted::Unusable(problem) = intent.wanted else {
                panic!("it was taken");
            };
            assert_eq!(problem.reason, Reason::ScheduleInvalid);
        }
        assert!(matches!(
            window("0 2 * * *", json!("Europe/Berlin")).wanted,
            Wanted::Revision(_)
        ));
    }

    #[test]
    fn what_a_person_asks_for_stays_asked_for_where_a_schedule_can_not_be_read() {
        let annotations = json!({SWITCHOVER_ANNOTATION: "monday"});
        let preferred = json!({"nodeSelector": {"zone": "b"}, "failback": "Automatic"});
        let window = json!({"schedule": "0 25 * * *", "duration": "1h"});
        let handover = json!({"windows": [window], "preferred": preferred});
        let policy = read(&annotations, &handover, &Value::Null).policy;
        assert_eq!(policy.switchover.unwrap().token, "monday");
        assert_eq!(
            policy.preferred.unwrap().automatic_after,
            None,
            "when the lock may be moved by itself is not known"
        );
    }

    #[test]
    fn what_a_person_asks_for_is_read_from_annotations() {
        let annotations = json!({
            SWITCHOVER_ANNOTATION: " monday ",
            SWITCHOVER_TO_ANNOTATION: "node-2",
            APPROVED_ANNOTATION: "cl-2",
        });
        let manual = read(&annotations, &json!({"approval": "Manual"}), &Value::Null);
        let asked = manual.policy.switchover.unwrap();
        assert_eq!(
            (asked.token.as_str(), asked.to.as_deref()),
            ("monday", Some("node-2"))
        );
        assert_eq!(
            manual.policy.approval.unwrap().revision,
            Some("cl-2".into())
        );
        let empty = json!({SWITCHOVER_ANNOTATION: ""});
        let automatic = read(&empty, &Value::Null, &Value::Null);
        assert_eq!(
            automatic.policy.switchover, None,
            "an empty text asks for nothing"
        );
        assert_eq!(automatic.policy.approval, None);
    }
}
