//! `paused: true`: what was lost is repaired, and nothing else is done.

use crate::domain::Reason;
use crate::plan::decision::Decision;
use crate::plan::rules::{repair, steady};
use crate::plan::step::Blocked;
use crate::plan::view::View;

/// Says what waits.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let wanted = view.wanted().filter(|_| view.seen.intent.policy.paused)?;
    if view.has_failed() {
        return Some(repair::rescue(view));
    }
    let pods = view.seen.pods.iter().filter(|pod| !pod.ended());
    let worked = view.memory.last_worked.as_ref();
    // What is gone is made again as it was.
    let outdated = worked.is_some_and(|worked| *worked != wanted.name)
        || pods
            .clone()
            .any(|pod| pod.revision.as_ref() != Some(wanted));
    let new = pods.count() == 0 && worked.is_none();
    if !outdated && !new && view.live.len() <= view.seen.intent.replicas {
        return Some(steady::keep(view, wanted));
    }
    let what = if outdated {
        format!("the rollout to {} waits", wanted.version)
    } else if new {
        "no pod is made".to_owned()
    } else {
        "nothing is scaled down".to_owned()
    };
    let mut decided = steady::beside_a_change(view, repair::hold_quietly(view));
    // What is wrong with a pod comes first.
    decided.progress.blocked.get_or_insert(Blocked {
        reason: Reason::Paused,
        message: format!("spec.paused is true: {what} until it is false"),
        stalled: false,
    });
    Some(decided)
}
