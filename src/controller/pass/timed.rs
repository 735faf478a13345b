//! A planned stop of the active waits until its successor is about to try the lock. The wait comes before the second look, and
//! no answer that permits the stop grows old in it. Most of it comes before the intent, too, and between passes: what changes
//! meanwhile is planned anew, and a crash leaves nothing behind.

use std::time::Duration;

use kube::ResourceExt;
use tokio::time::sleep_until;

use super::log;
use super::scene::Pass;
use crate::domain::{Pod, PodId};
use crate::mutex::lock;
use crate::observe::Moment;
use crate::plan::{Act, Plan, Tries, is_timed, most_apart, wait};

/// So much of the wait is within the pass that stops: as long as it may take a pass to come to its second look.
pub(super) const WITHIN_THE_PASS: Duration = Duration::from_millis(500);

impl Pass<'_> {
    /// How long the stop in a plan waits yet.
    pub(super) fn stop_waits(&self, plan: &Plan, pods: &[Pod]) -> Duration {
        let stop = plan.acts.iter().find_map(|act| match act {
            Act::Stop(permit) if is_timed(permit) => Some((permit, permit.successor()?)),
            _ => None,
        });
        let Some((permit, successor)) = stop else {
            self.know(|known| known.timing.none_planned());
            return Duration::ZERO;
        };
        let now = Moment::now();
        let pod = pods.iter().find(|pod| pod.id == *successor);
        let tries = pod.and_then(|pod| self.tries(pod, now));
        let now = now.steady;
        self.know(|known| {
            known.timing.rest(permit.pod(), successor, now, |moves| {
                let wait = tries.map_or(Duration::ZERO, |tries| wait(tries, moves));
                if !wait.is_zero() {
                    let (pod, to) = (&permit.pod().name, &successor.name);
                    let millis = wait.as_millis();
                    log::line!(
                        info,
                        &self.reference,
                        pod,
                        to,
                        waitMs = millis,
                        "waits, to stop the active just before its successor tries the lock"
                    );
                }
                wait
            })
        })
    }

    /// Of the pods that wait, the one that a stop is best timed for; or the one that it is planned for already.
    pub(super) fn best_timed(&self, pods: &[Pod]) -> Option<PodId> {
        let now = Moment::now();
        let planned = self.know(|known| known.timing.successor().cloned());
        let waiting = pods.iter().filter(|pod| pod.waits() && !pod.deleted);
        if let Some(planned) = planned
            && waiting.clone().any(|pod| pod.id == planned)
        {
            return Some(planned);
        }
        let tries = waiting.filter_map(|pod| Some((pod.id.clone(), self.tries(pod, now)?)));
        most_apart(&tries.collect::<Vec<_>>())
    }

    /// How a pod that waits tries the lock: by its session, where the database has told that, else by its waiting line, which a
    /// node writes at its first try. The clock of its machine may be another one: a stop is sent at a wrong moment then, and
    /// no later than an interval.
    fn tries(&self, pod: &Pod, now: Moment) -> Option<Tries> {
        let content = self.kept.contents.get(&pod.revision.as_ref()?.name)?;
        let by_session = || {
            let answers = lock(&self.context.answers);
            let answer = answers.get(&self.node.uid()?)?;
            answer.asked_ago(&pod.id, now.steady)
        };
        let by_line = || now.wall.duration_since(pod.waiting?).try_into().ok();
        Some(Tries {
            last: by_session().or_else(by_line)?,
            interval: content.tries_each()?,
        })
    }

    /// The end of the wait, right before the second look.
    pub(super) async fn wait_to_the_end(&self) {
        if let Some(due) = self.know(|known| known.timing.take_due()) {
            sleep_until(due.into()).await;
        }
    }
}
