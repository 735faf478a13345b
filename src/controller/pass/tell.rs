//! What a pass tells beside its status: what the API server did not do in the pass before, what the spec should not say, and
//! what is counted.

use kube::ResourceExt;

use super::scene::Pass;
use crate::api::ChainlinkNodeStatus;
use crate::domain::Reason;
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

    /// What the metrics show of a status, also where it can't be written.
    pub(super) fn measure(&self, status: &ChainlinkNodeStatus) {
        let namespace = self.node.namespace().unwrap_or_default();
        let metrics = &self.context.metrics;
        metrics.status(&namespace, &self.node.name_any(), status);
    }

    pub(super) fn count(&self, old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus, plan: &Plan) {
        let namespace = self.node.namespace().unwrap_or_default();
        let (name, metrics) = (self.node.name_any(), &self.context.metrics);
        self.measure(new);
        metrics.asked(&namespace, &name, old, new);
        if let Some(done) = &plan.finished {
            metrics.moved(&namespace, &name, done);
        }
    }
}
