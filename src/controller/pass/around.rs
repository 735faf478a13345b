//! What stands around the pods: the Services and the disruption budgets are brought up to date, and revisions that nothing
//! needs any more are removed. What fails here is noted, and holds up nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::log;
use super::scene::Pass;
use crate::act::{Services, budgets, lead_services, services};
use crate::api::{Memory, RevisionName};
use crate::cluster::refusal;
use crate::controller::error::{Doing, Error};
use crate::controller::failures::ApiFailures;
use crate::controller::local::{Budgets, Kept};
use crate::domain::{Observation, PodId, Reason};

/// How often Services and budgets are looked at while they should be as they are, and no watch tells of one of them.
const AROUND: Duration = Duration::from_secs(15);

impl Pass<'_> {
    pub(super) async fn keep_services(&self, led_to: Option<&PodId>, failures: &mut ApiFailures) {
        let of = self.services_wanted();
        let (known, changes) = self.know(|known| known.around.services.get());
        let pod = led_to.map(|pod| pod.name.clone());
        let is_wanted =
            |kept: &Kept| kept.of == of && kept.pod == pod && kept.at.elapsed() < AROUND;
        if known.as_ref().is_some_and(is_wanted) && self.context.hears() {
            return;
        }
        match services(self.client, self.node, of.1, pod.as_deref()).await {
            Ok(Services::AsWanted) => self.note_services(of, pod, changes),
            Ok(Services::NotOurs(name)) => failures.refuse(
                Reason::ServiceRefused,
                format!(
                    "a Service named {name} exists and is not this resource's: it does not lead to the active; rename one of the two"
                ),
            ),
            Err(error) => failures.fail(Reason::ServiceRefused, "apply the Service", &error),
        }
    }

    /// The generation of the spec that they are of, and whether they lead to HTTPS, too.
    fn services_wanted(&self) -> (Option<i64>, bool) {
        let https = self.kept.contents.values().any(|content| content.https);
        (self.node.metadata.generation, https)
    }

    /// They are as wanted, unless one of them has changed since so many changes.
    fn note_services(&self, of: (Option<i64>, bool), pod: Option<String>, changes: u64) {
        self.know(|known| {
            let at = Instant::now();
            let kept = Kept { of, pod, at };
            known.services_were = Some(kept.clone());
            known.around.services.note(kept, changes);
        });
    }

    /// Leads the Services to another pod, where nothing else of them is to be changed: with one write. Says whether they lead
    /// there.
    pub(super) async fn lead(&self, pod: &str) -> Result<bool, kube::Error> {
        let of = self.services_wanted();
        // What is known of them is forgotten whenever one changes, as after each write: so it counts what they were. Where that is
        // not so any more, the next look at them shows it.
        let (were, (_, changes)) = self.know(|known| {
            let were = known.services_were.clone();
            (were, known.around.services.get())
        });
        let were = were.filter(|kept| kept.of == of && kept.at.elapsed() < 2 * AROUND);
        match were {
            Some(kept) if kept.pod.as_deref() == Some(pod) => return Ok(true),
            Some(_) if self.context.leadership.leads() => {}
            Some(_) | None => return Ok(false),
        }
        lead_services(self.client, self.node, of.1, pod).await?;
        self.note_services(of, Some(pod.to_owned()), changes);
        Ok(true)
    }

    /// Brings the budgets up to date.
    pub(super) async fn keep_budgets(
        &self,
        standbys_kept: usize,
        active: &str,
        failures: &mut ApiFailures,
    ) {
        let (known, changes) = self.know(|known| known.around.budgets.get());
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
                        self.know(|known| known.around.budgets.forget());
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
            self.know(|known| known.around.budgets.note(kept, changes));
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
