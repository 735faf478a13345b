//! The acts of a plan, in their order. Nothing is decided here, and what is made has first what it needs. An act that
//! fails is noted, and keeps no other from being done but one that depends on it.

use super::confirm::{Stopped, not_stopped};
use super::log;
use super::scene::Pass;
use crate::act::{Actor, Outcome, Recorded, RoleKeeper};
use crate::api::RevisionName;
use crate::controller::error::Error;
use crate::controller::failures::ApiFailures;
use crate::domain::{Observation, PodId, Reason};
use crate::plan::{Act, Plan, pending};

impl Pass<'_> {
    /// Leads the Services, moves the role labels, and sets the readiness gates. Nothing is waited for, also not for the status to
    /// be written: the Service follows the lock. Says whether all labels are where they should be.
    pub(super) async fn move_roles(
        &self,
        seen: &Observation,
        plan: &Plan,
        failures: &mut ApiFailures,
    ) -> bool {
        if let Some(pod) = &plan.led_to
            && let Err(error) = self.lead(&pod.name).await
        {
            let to = format!("lead the Service to {}", pod.name);
            failures.fail(Reason::ServiceRefused, &to, &error);
        }
        let roles = RoleKeeper::new(self.client, self.node, &self.context.leadership);
        let mut in_place = true;
        for act in &plan.acts {
            match act {
                Act::Label { pod, active } => {
                    // Two that are labelled active could both be evicted: one is taken before the next is given.
                    if *active && !in_place {
                        continue;
                    }
                    let Some(pod) = find(seen, pod) else { continue };
                    log::act(&self.reference, act);
                    match roles.label(pod, *active).await {
                        Ok(Outcome::Done) => {}
                        // It has changed since: what it bears is not known before the next look.
                        Ok(_) => in_place = false,
                        Err(error) => {
                            let to = format!("label pod {}", pod.id.name);
                            failures.fail(Reason::PodNotUpdated, &to, &error);
                            in_place = false;
                        }
                    }
                }
                Act::Gate { pod, ready } => {
                    log::act(&self.reference, act);
                    if let Err(error) = roles.gate(pod, *ready).await {
                        let to = format!("set the readiness gate of pod {}", pod.name);
                        failures.fail(Reason::PodNotUpdated, &to, &error);
                    }
                }
                _ => {}
            }
        }
        in_place
    }

    /// Carries out what makes and stops pods. Says what came of the stop.
    pub(super) async fn act(
        &self,
        seen: &Observation,
        recorded: &Recorded<'_>,
        labels_in_place: bool,
        failures: &mut ApiFailures,
    ) -> Result<Stopped, Error> {
        let actor = Actor::new(self.client, self.node, &self.context.leadership, recorded);
        let mut stopped = Stopped::No;
        for act in &recorded.plan().acts {
            if !matches!(act, Act::Label { .. } | Act::Gate { .. }) {
                log::act(&self.reference, act);
            }
            match act {
                Act::Create {
                    pod,
                    revision,
                    place,
                } => {
                    let creation = (pod.as_str(), revision, place);
                    self.create(&actor, recorded, creation).await?;
                }
                Act::Pull {
                    pod,
                    revision,
                    machine,
                } => self.pull(&actor, pod, revision, machine).await,
                Act::Validate { pod, revision } => self.validate(&actor, pod, revision).await,
                Act::EndOneshot { pod } => {
                    if let Err(error) = actor.end_oneshot(pod).await {
                        let to = format!("remove pod {}, which is no node", pod.name);
                        failures.fail(Reason::PodNotUpdated, &to, &error);
                    }
                }
                Act::Tidy { pod } => {
                    if let Some(pod) = find(seen, pod)
                        && let Err(error) = actor.tidy(pod).await
                    {
                        let to = format!("remove pod {}, which has ended", pod.id.name);
                        failures.fail(Reason::PodNotUpdated, &to, &error);
                    }
                }
                Act::ReleaseLease(given_back) => self.give_back(given_back, recorded).await?,
                Act::Stop(permit) => match pending(permit, labels_in_place) {
                    Ok(pending) => {
                        let known = (recorded, &*seen.pods);
                        stopped = self.stop(&actor, &pending, known, failures).await?;
                    }
                    Err(why) => not_stopped(&self.reference, permit, &why),
                },
                // Done before.
                Act::Label { .. } | Act::Gate { .. } => {}
            }
        }
        Ok(stopped)
    }

    async fn pull(&self, actor: &Actor<'_>, pod: &str, of: &RevisionName, machine: &str) {
        if let Some(content) = self.kept.contents.get(of) {
            let made = actor.pull(pod, of, machine, content).await;
            self.note_oneshot(pod, made);
        }
    }

    async fn validate(&self, actor: &Actor<'_>, pod: &str, of: &RevisionName) {
        let known = self.kept.revisions.get(of);
        if let Some((revision, content)) = known.zip(self.kept.contents.get(of)) {
            let made = actor.validate(pod, revision, content).await;
            self.note_oneshot(pod, made);
        }
    }
}

fn find<'a>(seen: &'a Observation, id: &PodId) -> Option<&'a crate::domain::Pod> {
    seen.pods.iter().find(|pod| pod.id == *id)
}
