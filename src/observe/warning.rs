//! What Kubernetes complains about in its events, for a pod that does not start: that a volume can't be
//! mounted stands nowhere else.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod as ApiPod};

use super::api_pod::{condition, container_status};
use crate::domain::Trouble;

/// A pod that has not started by then is asked about.
const SLOW_START: Duration = Duration::from_secs(5);
/// A complaint that goes on is repeated within this time: a kubelet tries a mount every two minutes at
/// least (`pkg/util/goroutinemap/exponentialbackoff`), and tells the same of a pod every five
/// (`client-go/tools/record/events_cache.go`).
const STALE: Duration = Duration::from_mins(10);

/// Whether the pod takes long to start, so that its events are worth a look.
pub(super) fn is_slow(pod: &ApiPod, at: Timestamp) -> bool {
    let Some(created) = &pod.metadata.creation_timestamp else {
        return false;
    };
    let young = Duration::try_from(at.duration_since(created.0)).is_ok_and(|age| age < SLOW_START);
    let started = container_status(pod).is_some_and(|status| {
        let state = status.state.as_ref();
        state.is_some_and(|state| state.waiting.is_none())
    });
    !young && !started
}

/// The last complaint of a pod's events that still holds.
pub(super) fn warning(pod: &ApiPod, events: Vec<Event>, at: Timestamp) -> Option<Trouble> {
    let scheduled =
        condition(pod, "PodScheduled").is_some_and(|condition| condition.status == "True");
    let mounted = events.iter().filter(|event| is_of_the_image(event));
    let mounted = mounted.filter_map(last_seen).max();
    let holds = |event: &Event| {
        let Some(seen) = last_seen(event) else {
            return false;
        };
        let recent = Duration::try_from(at.duration_since(seen)).map_or(true, |age| age <= STALE);
        let over = match event.reason.as_deref() {
            Some("FailedScheduling") => scheduled,
            Some("FailedMount" | "FailedAttachVolume") => mounted.is_some_and(|since| since > seen),
            _ => false,
        };
        event.type_.as_deref() == Some("Warning") && recent && !over
    };
    let last = events.into_iter().filter(holds).max_by_key(last_seen)?;
    Some(Trouble {
        reason: last.reason?,
        message: last.message.unwrap_or_default(),
    })
}

/// A kubelet sees to the image when the volumes are there.
fn is_of_the_image(event: &Event) -> bool {
    matches!(
        event.reason.as_deref(),
        Some("Pulling" | "Pulled" | "Created" | "Started")
    )
}

/// An event that is repeated is kept once, with the time of its repetition.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let series = series.and_then(|series| series.last_observed_time.as_ref());
    let single = event.event_time.as_ref();
    let last = event.last_timestamp.as_ref();
    [
        series.map(|time| time.0),
        single.map(|time| time.0),
        last.map(|time| time.0),
    ]
    .into_iter()
    .flatten()
    .max()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(scheduled: &str) -> ApiPod {
        let pod = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T12:00:00Z"},
            "status": {"conditions": [{"type": "PodScheduled", "status": scheduled}]}});
        serde_json::from_value(pod).unwrap()
    }

    fn event(kind: &str, reason: &str, last: &str) -> Value {
        json!({"metadata": {"name": reason}, "involvedObject": {}, "type": kind, "reason": reason,
            "message": "m", "lastTimestamp": format!("2026-01-01T{last}Z")})
    }

    fn told(pod: &ApiPod, events: &[Value]) -> Option<String> {
        let events = events
            .iter()
            .map(|event| serde_json::from_value(event.clone()).unwrap());
        let at = "2026-01-01T12:05:00Z".parse().unwrap();
        warning(pod, events.collect(), at).map(|trouble| trouble.reason)
    }

    #[test]
    fn a_pod_that_was_placed_is_no_longer_told_to_have_no_room() {
        let events = [
            event("Warning", "FailedScheduling", "12:00:10"),
            event("Normal", "Scheduled", "12:01:00"),
        ];
        assert_eq!(
            told(&pod("False"), &events).as_deref(),
            Some("FailedScheduling")
        );
        assert_eq!(told(&pod("True"), &events), None);
        let mount = [
            event("Warning", "FailedMount", "12:00:05"),
            events[0].clone(),
        ];
        assert_eq!(told(&pod("True"), &mount).as_deref(), Some("FailedMount"));
    }

    #[test]
    fn a_volume_that_could_not_be_mounted_is_no_matter_once_the_image_is_pulled() {
        let failed = event("Warning", "FailedMount", "12:00:10");
        let before = event("Normal", "Pulling", "12:00:09");
        let after = event("Normal", "Pulling", "12:00:11");
        let scheduled = pod("True");
        assert_eq!(
            told(&scheduled, &[failed.clone(), before]).as_deref(),
            Some("FailedMount")
        );
        assert_eq!(told(&scheduled, &[failed, after]), None);
    }

    #[test]
    fn what_was_not_repeated_for_long_is_over() {
        let old = event("Warning", "FailedMount", "11:54:59");
        assert_eq!(told(&pod("True"), std::slice::from_ref(&old)), None);
        let mut repeated = old;
        repeated["series"] = json!({"count": 7, "lastObservedTime": "2026-01-01T12:04:00.000000Z"});
        assert_eq!(
            told(&pod("True"), &[repeated]).as_deref(),
            Some("FailedMount")
        );
    }

    #[test]
    fn only_a_pod_that_takes_long_is_asked_about() {
        let at = |text: &str| text.parse().unwrap();
        assert!(!is_slow(&pod("True"), at("2026-01-01T12:00:04Z")));
        assert!(is_slow(&pod("True"), at("2026-01-01T12:00:05Z")));
    }
}
