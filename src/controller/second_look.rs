//! The second look: a stop that was planned, and whose intent is written, is done only where everything that
//! permitted it still stands (rule S5).

use jiff::Timestamp;
use kube::ResourceExt;

use super::pass::Pass;
use super::{Doing, Error};
use crate::act::{Actor, Outcome};
use crate::api::Memory;
use crate::observe::PodId;
use crate::plan::{Act, Permit, plan};

impl Pass<'_> {
    /// Looks again, plans again, and stops the pod only if both say the same (rule S5).
    pub(super) async fn stop(
        &self,
        actor: &Actor<'_>,
        planned: &Permit,
        memory: &Memory,
        version: &str,
    ) -> Result<(), Error> {
        let asked = Timestamp::now();
        self.looker
            .ask(&planned.pod().name)
            .await
            .doing("asking a pod")?;
        if let Some(successor) = planned.successor() {
            self.looker
                .ask(&successor.name)
                .await
                .doing("asking the successor")?;
            self.ask_again(Timestamp::now()).await?;
        }
        let fresh = self
            .api
            .get_opt(&self.node.name_any())
            .await
            .doing("reading the resource")?;
        if fresh.and_then(|node| node.resource_version()).as_deref() != Some(version) {
            return Ok(());
        }
        let seen = self.observe().await?;
        let again = plan(&seen, memory, Timestamp::now());
        let permit = again.acts.iter().find_map(|act| match act {
            Act::Stop(permit)
                if permit.pod() == planned.pod() && permit.cause() == planned.cause() =>
            {
                Some(permit)
            }
            _ => None,
        });
        let Some(permit) = permit else {
            tracing::info!(
                pod = planned.pod().name,
                "a second look does not permit the stop"
            );
            return Ok(());
        };
        let answered = |id: &PodId| {
            let pod = seen.pods.iter().find(|pod| pod.id == *id);
            pod.is_some_and(|pod| pod.answered_since(asked))
        };
        if !permit.successor().is_none_or(answered) {
            tracing::info!(
                pod = planned.pod().name,
                "its successor does not answer now"
            );
            return Ok(());
        }
        if permit.successor().is_some() && !self.context.turns.take(&seen.intent.node.uid) {
            return Ok(());
        }
        let outcome = actor.stop(permit).await.doing("stopping a pod")?;
        if outcome != Outcome::Done {
            return Ok(());
        }
        // The Service follows now: neither the operator nor kube-proxy is to stand between the lock
        // and the first request.
        let find = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        if let Some(successor) = permit.successor().and_then(find) {
            actor
                .label(successor, true)
                .await
                .doing("labelling the successor")?;
        }
        Ok(())
    }
}
