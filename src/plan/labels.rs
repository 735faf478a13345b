//! Role labels and readiness gates: whom the Service leads to, and who is ready.

use super::acts::Act;
use super::view::View;
use crate::domain::{Pod, PodId};

/// Role labels and readiness gates as they should be now.
///
/// The label of the active is taken before it is given. Kubernetes counts the pods behind a budget again when one of
/// them changes, not when one has left: a budget that saw two actives would go on permitting the eviction of one of
/// them (`pkg/controller/disruption`, `updatePod`, read in 1.37.2; a drain was seen to evict an active by it).
pub fn acts(view: &View<'_>) -> Vec<Act> {
    let target = service_target(view);
    let (mut losses, mut gains, mut gates) = (Vec::new(), Vec::new(), Vec::new());
    for pod in view.seen.pods.iter().filter(|pod| !pod.ended()) {
        let active = target.is_some_and(|target| target.id == pod.id);
        if pod.labelled_active != active && (target.is_some() || !view.roles.holds(pod)) {
            let act = Act::Label {
                pod: pod.id.clone(),
                active,
            };
            if active {
                gains.push(act);
            } else {
                losses.push(act);
            }
        }
        // Who of several holders is right is not known: they stay as they are.
        if view.roles.order_unknown && view.roles.holds(pod) {
            continue;
        }
        let ready = !pod.deleted
            && !view.roles.is_foreign(pod)
            && !view.roles.is_suspect(pod)
            && (view.roles.is_active(pod) || (pod.waits() && view.roles.against(pod).is_ok()));
        if pod.gate != ready && !pod.deleted {
            gates.push(Act::Gate {
                pod: pod.id.clone(),
                ready,
            });
        }
    }
    [losses, gains, gates].concat()
}

/// The pod that the Services should lead to by its own label, while an active is stopped on purpose: with one write, so that
/// kube-proxy learns of one change, where two labels are two. At any other time they follow the labels, so that they follow the
/// lock also where somebody keeps them from being written.
pub fn led_to(view: &View<'_>) -> Option<PodId> {
    let stop = view.memory.stop_of_active()?;
    let target = service_target(view).filter(|pod| pod.has_own_label)?;
    view.roles.accepted(&stop.uid).then(|| target.id.clone())
}

/// Who the Service should lead to: the active, or its successor as soon as the stop of the active was
/// accepted, so that neither the operator nor kube-proxy stands between the lock and the first request.
fn service_target<'a>(view: &View<'a>) -> Option<&'a Pod> {
    let successor = view
        .memory
        .stop_of_active()
        .filter(|stop| view.roles.accepted(&stop.uid))
        .and_then(|stop| stop.successor.as_deref())
        .and_then(|name| view.roles.waiting.iter().find(|pod| pod.id.name == name));
    // After the end of an active the only one that waits is the one that takes over.
    let lost = view.seen.intent.replicas > 0
        && view
            .memory
            .last_active
            .as_ref()
            .is_some_and(|last| last.ended.is_some());
    let only = match view.roles.waiting.as_slice() {
        [only] if lost && !view.roles.order_unknown && view.roles.starting.is_empty() => {
            Some(*only)
        }
        _ => None,
    };
    match (successor.copied().or(only), view.roles.active) {
        (Some(successor), Some(active)) if active.deleted => Some(successor),
        (Some(successor), None) => Some(successor),
        (_, active) => active,
    }
}
