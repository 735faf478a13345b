//! What stands around the pods: the Services and the disruption budgets are brought up to date, and revisions that nothing
//! needs any more are removed. What fails here is noted, and holds up nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::log;
use super::scene::Pass;
use crate::act::{Services, budgets, services};
use crate::api::{Memory, RevisionName};
use crate::cluster::refusal;
use crate::controller::error::{Doing, Error};
use crate::controller::failures::ApiFailures;
use crate::controller::local::Budgets;
use crate::domain::{Observation, Reason};

/// How often Services and budgets are looked at while they should be as they are, and no watch tells of one of them.
const AROUND: Duration = Duration::from_secs(15);

impl Pass<'_> {
    pub(super) async fn keep_services(&self, failures: &mut ApiFailures) {
        let https = self.kept.contents.values().any(|content| content.https);
        let wanted = (self.node.metadata.generation, https);
        let (known, changes) = self.know(|known| {
            let known = &known.around;
            (known.services, known.changes)
        });
        let as_wanted = known.is_some_and(|(of, at)| of == wanted && at.elapsed() < AROUND);
        if as_wanted && self.context.hears() {
            return;
        }
        match services(self.client, self.node, https).await {
            Ok(Services::AsWanted) => self.know(|known| {
                let known = &mut known.around;
                known.services = (known.changes == changes).then(|| (wanted, Instant::now()));
            }),
            Ok(Services::NotOurs(name)) => failures.refuse(
                Reason::ServiceRefused,
                format!(
                    "a Service named {name} exists and is not this resource's: it does not lead to the active; rename one of the two"
                ),
            ),
            Err(error) => failures.fail(Reason::ServiceRefused, "apply the Service", &error),
        }
    }

    /// Brings the budgets up to date.
    pub(super) async fn keep_budgets(
        &self,
        standbys_kept: usize,
        active: &str,
        failures: &mut ApiFailures,
    ) {
        let (known, changes) = self.know(|known| {
            let known = &known.around;
            (known.budgets.clone(), known.changes)
        });
        let known = known.filter(|known| {
            known.standbys_kept == standbys_kept
                && known.active == active
                && known.at.elapsed() < AROUND
        });
        let refusal = if let Some(known) = known {
            known.refusal
        } else {
            let refusal = match budgets(self.client, self.node, standbys_kept, active).await {
                Ok(None) => None,
                Ok(Some(name)) => Some(format!(
                    "a PodDisruptionBudget named {name} exists and is not this resource's: remove it, or rename the resource"
                )),
                Err(error) => {
                    let Some(said) = refusal(&error) else {
                        self.know(|known| known.around.budgets = None);
                        return failures.fail(
                            Reason::BudgetRefused,
                            "apply the disruption budgets",
                            &error,
                        );
                    };
                    Some(format!(
                        "the API server refuses the disruption budgets, without which a drain stops the active: {said}"
                    ))
                }
            };
            let kept = Budgets {
                standbys_kept,
                active: active.to_owned(),
                at: Instant::now(),
                refusal: refusal.clone(),
            };
            self.know(|known| {
                let known = &mut known.around;
                known.budgets = (known.changes == changes).then_some(kept);
            });
            refusal
        };
        if let Some(message) = refusal {
            failures.refuse(Reason::BudgetRefused, message);
        }
    }

    pub(super) async fn tidy_revisions(
        &self,
        seen: &Observation,
        memory: &Memory,
    ) -> Result<(), Error> {
        let mut needed: BTreeSet<RevisionName> = seen
            .pods
            .iter()
            .filter_map(|pod| pod.revision.as_ref().map(|revision| revision.name.clone()))
            .collect();
        let stopping = memory.stopping.as_ref();
        let named = [
            memory.wanted_name(),
            memory.last_worked.as_ref(),
            memory.last_active.as_ref().map(|last| &last.revision),
            memory.trial.as_ref().map(|trial| &trial.before),
            memory.creating.as_ref().map(|creating| &creating.revision),
            stopping.and_then(|stop| stop.to.as_ref()),
        ];
        needed.extend(named.into_iter().flatten().cloned());
        let removed = self.store.forget_all_but(&needed, &self.kept).await;
        // What may not be removed is in nobody's way: the next pass at rest tries again.
        if let Some(said) = removed.as_ref().err().and_then(refusal) {
            self.know(|known| {
                log::again!(&mut known.lines, &self.reference, &said; "an old revision could not be removed");
            });
            return Ok(());
        }
        removed.doing("removing old revisions")
    }
}
