//! The acts of a plan, in their order. Nothing is decided here, and what is made has first what it needs.

use kube::ResourceExt;

use super::pass::Pass;
use super::{Doing, Error};
use crate::act::{Actor, Keeping, Outcome};
use crate::build::Session;
use crate::observe::{Observation, PodId};
use crate::plan::{Act, Place, Plan};

impl Pass<'_> {
    /// Carries the plan out. Says whether anything was done.
    pub(super) async fn act(
        &self,
        seen: &Observation,
        plan: &Plan,
        version: &str,
    ) -> Result<bool, Error> {
        let actor = Actor::new(&self.context.client, self.node);
        let pod = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        for act in &plan.acts {
            tracing::info!(node = %self.reference, ?act, "acting");
            match act {
                Act::Create {
                    pod,
                    revision,
                    place,
                } => self.create(&actor, pod, revision, place).await?,
                Act::Label { pod: id, active } => {
                    if let Some(pod) = pod(id) {
                        actor.label(pod, *active).await.doing("labelling a pod")?;
                    }
                }
                Act::Gate { pod, ready } => {
                    actor
                        .gate(pod, *ready)
                        .await
                        .doing("setting a readiness gate")?;
                }
                Act::Pull {
                    pod,
                    revision,
                    machine,
                } => self.pull(&actor, pod, revision, machine).await?,
                Act::Validate { pod, revision } => self.validate(&actor, pod, revision).await?,
                Act::EndErrand { pod } => {
                    actor
                        .end_errand(pod)
                        .await
                        .doing("removing a pod that is no node")?;
                }
                Act::Tidy { pod: id } => {
                    if let Some(pod) = pod(id) {
                        actor.tidy(pod).await.doing("removing an ended pod")?;
                    }
                }
                Act::Stop(permit) => self.stop(&actor, permit, &plan.memory, version).await?,
            }
        }
        Ok(!plan.acts.is_empty())
    }

    async fn create(
        &self,
        actor: &Actor<'_>,
        pod: &str,
        revision: &str,
        place: &Place,
    ) -> Result<(), Error> {
        let uid = self.node.uid().unwrap_or_default();
        let known = self
            .kept
            .revisions
            .get(revision)
            .zip(self.kept.contents.get(revision));
        let Some((revision, content)) = known else {
            return Ok(());
        };
        if let Ok(resolved) = &self.resolved
            && resolved.revision == *revision
            && let Keeping::NotOurs(message) = self
                .keeper
                .keep_files(resolved)
                .await
                .doing("restoring the files of a revision")?
        {
            self.context.note_refusal(&uid, Some(message));
            return Ok(());
        }
        if content.session == Some(Session::Generated)
            && let Some(message) = self
                .keeper
                .session_secret()
                .await
                .doing("making the session secret")?
            && !self.has_session_secret()
        {
            let message = format!(
                "its session secret has to be there first, and {message} (grant the operator create on secrets: sessionSecrets.generate=true of its chart; or name a Secret of yours in spec.credentials.sessionSecret.secretKeyRef)"
            );
            self.context.note_refusal(&uid, Some(message));
            return Ok(());
        }
        let outcome = actor
            .create(pod, revision, content, place)
            .await
            .doing("making a pod")?;
        if outcome == Outcome::Taken {
            tracing::warn!(node = %self.reference, pod, "a pod of another owner has this name");
            self.context.note_taken(&uid, pod);
        }
        self.context.note_refusal(&uid, outcome.refusal());
        Ok(())
    }

    /// Whether the session secret was made before: a revision that worked has it. An operator whose right to make
    /// Secrets was taken away still replaces a lost pod.
    fn has_session_secret(&self) -> bool {
        let status = self.node.status.as_ref();
        let worked = status.and_then(|status| status.operator.last_worked.as_ref());
        let content = worked.and_then(|name| self.kept.contents.get(name));
        content.is_some_and(|content| content.session == Some(Session::Generated))
    }

    async fn pull(
        &self,
        actor: &Actor<'_>,
        pod: &str,
        revision: &str,
        machine: &str,
    ) -> Result<(), Error> {
        let Some(content) = self.kept.contents.get(revision) else {
            return Ok(());
        };
        let outcome = actor
            .pull(pod, revision, machine, content)
            .await
            .doing("making a pod that pulls an image")?;
        let uid = self.node.uid().unwrap_or_default();
        self.context.note_refusal(&uid, outcome.refusal());
        Ok(())
    }

    async fn validate(&self, actor: &Actor<'_>, pod: &str, revision: &str) -> Result<(), Error> {
        let kept = &self.kept;
        let known = kept
            .revisions
            .get(revision)
            .zip(kept.contents.get(revision));
        let Some((revision, content)) = known else {
            return Ok(());
        };
        let outcome = actor
            .validate(pod, revision, content)
            .await
            .doing("making a pod that checks a configuration")?;
        let uid = self.node.uid().unwrap_or_default();
        self.context.note_refusal(&uid, outcome.refusal());
        Ok(())
    }
}
