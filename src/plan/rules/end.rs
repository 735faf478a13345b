//! `replicas: 0`: the user asked for an end.

use crate::plan::decision::Decision;
use crate::plan::step::{Progress, Step};
use crate::plan::view::View;
use crate::plan::{guard, moves};

/// One pod after the other is stopped. Under a pause none is.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let intent = &view.seen.intent;
    let left = || view.seen.pods.iter().any(|pod| !pod.ended());
    if intent.replicas > 0 || (intent.policy.paused && left()) {
        return None;
    }
    Some(match guard::stop_for_end(view) {
        Ok(Some(permit)) => Decision::stop(permit, Step::Ending),
        // What people are told to wait for: a restored backup is believed from then on.
        Ok(None) if view.seen.pods.is_empty() => Decision::nothing(Progress::at(Step::Hibernating)),
        Ok(None) => moves::still_stopping(view, Step::Ending),
        Err(denied) => {
            let mut decided = moves::held(view, denied);
            decided.progress.step = Step::Ending;
            decided
        }
    })
}
