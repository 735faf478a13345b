//! What a pass tells beside its status: what the API server did not do in the pass before, what the spec should not say, and
//! what is counted.

use super::log;
use super::scene::Pass;
use crate::api::ChainlinkNodeStatus;
use crate::domain::{Observation, Reason};
use crate::plan::{Act, Blocked, Plan};

impl Pass<'_> {
    /// What did not succeed in the pass before, as far as it would be done again.
    pub(super) fn told(&self, plan: &Plan) -> Option<Blocked> {
        let any = |is: fn(&Act) -> bool| plan.acts.iter().any(is);
        let changes = any(|act| {
            matches!(
                act,
                Act::Label { .. } | Act::Gate { .. } | Act::Tidy { .. } | Act::EndOneshot { .. }
            )
        });
        let before = self.know(|known| known.failures.clone());
        [
            (Reason::PodNotUpdated, changes),
            (Reason::RevisionNotKept, true),
            (Reason::ServiceRefused, true),
            (Reason::BudgetRefused, true),
            (Reason::AppliedUpdateNotKept, true),
        ]
        .into_iter()
        .find_map(|(reason, again)| before.told(&reason).filter(|_| again))
    }

    pub(super) fn warnings(&self) -> &[String] {
        self.resolved
            .as_ref()
            .map(|resolved| resolved.warnings.as_slice())
            .unwrap_or_default()
    }

    /// What the metrics show of a status that a whole look was made for, also where it can't be written.
    pub(super) fn measure(&self, status: &ChainlinkNodeStatus, seen: &Observation) {
        let answer = seen.database.answer.as_ref();
        let said = answer.and_then(|answer| answer.last()).map(|(at, _)| at);
        let metrics = &self.context.metrics;
        metrics.looked(self.node, status, self.read_at.unwrap_or(seen.at), said);
    }

    pub(super) fn count(
        &self,
        old: &ChainlinkNodeStatus,
        new: &ChainlinkNodeStatus,
        seen: &Observation,
        plan: &Plan,
    ) {
        self.measure(new, seen);
        let metrics = &self.context.metrics;
        metrics.asked(old, new);
        if let Some(done) = &plan.finished {
            metrics.moved(self.node, done);
        }
        if let Some(done) = &plan.moved {
            log::moved(&self.reference, done);
        }
    }
}
