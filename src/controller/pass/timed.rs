//! A planned stop of the active waits until its successor is about to try the lock. The wait comes before the second look, and
//! no answer that permits the stop grows old in it. Most of it comes before the intent, too, and between passes: what changes
//! meanwhile is planned anew, and a crash leaves nothing behind.

use std::time::Duration;

use kube::ResourceExt;
use tokio::time::{sleep, sleep_until};

use super::log;
use super::scene::Pass;
use crate::controller::error::Error;
use crate::domain::{Pod, PodId};
use crate::mutex::lock;
use crate::observe::Moment;
use crate::plan::{Act, Permit, Plan, Tries, Wait, is_timed, most_apart};

/// So much of the wait is within the pass that stops: as long as it may take a pass to come to its second look.
pub(super) const WITHIN_THE_PASS: Duration = Duration::from_millis(500);
/// Where tries are further apart, the database is not asked for the last one before the stop: that wait is within the pass, too, and
/// others wait for their passes.
const NOT_FAR_APART: Duration = Duration::from_secs(2);

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
        let Some(pod) = pods.iter().find(|pod| pod.id == *successor) else {
            return Duration::ZERO;
        };
        let unready = self.know(|known| known.timing.until_ready(successor, pod.ready, now.steady));
        if !unready.is_zero() {
            return unready + WITHIN_THE_PASS;
        }
        let tries = self.tries(pod, now);
        let others = lock(&self.context.moves).clone();
        let asks = self.tries_to_ask_for(permit, pod, now).is_some();
        self.know(|known| {
            known
                .timing
                .rest(permit.pod(), successor, now.steady, |timing| {
                    let mut wait =
                        tries.map_or(Wait::default(), |tries| timing.wait(tries, &others));
                    wait.ask = wait.ask.filter(|_| asks);
                    if !wait.whole.is_zero() {
                        let (pod, to) = (&permit.pod().name, &successor.name);
                        let millis = wait.whole.as_millis();
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
        let by_line = || {
            let last = now.wall.duration_since(pod.waiting?).try_into().ok()?;
            let interval = self.tries_each(pod)?;
            Some(Tries { last, interval })
        };
        self.tries_by_session(pod, now).or_else(by_line)
    }

    fn tries_by_session(&self, pod: &Pod, now: Moment) -> Option<Tries> {
        let interval = self.tries_each(pod)?;
        let answers = lock(&self.context.answers);
        let last = answers
            .get(&self.node.uid()?)?
            .asked_ago(&pod.id, now.steady)?;
        Some(Tries { last, interval })
    }

    /// The same, where it is worth to ask for it again right before a stop.
    fn tries_to_ask_for(&self, permit: &Permit, pod: &Pod, now: Moment) -> Option<Tries> {
        let tries = self.tries_by_session(pod, now)?;
        let near = tries.interval <= NOT_FAR_APART;
        (near && permit.asks_database()).then_some(tries)
    }

    fn tries_each(&self, pod: &Pod) -> Option<Duration> {
        let content = self.kept.contents.get(&pod.revision.as_ref()?.name)?;
        content.tries_each()
    }

    /// The end of the wait, right before the second look: of a planned stop that is permitted, and the pods that were seen. It is
    /// worked out once more, as what was written since has taken its time. Where it is for a later try than the next, the database is
    /// asked again how the successor tries.
    pub(super) async fn wait_to_the_end(&self, permit: &Permit, pods: &[Pod]) -> Result<(), Error> {
        let Some((due, mut asks)) = self.know(|known| known.timing.take_due()) else {
            return Ok(());
        };
        sleep_until(due.into()).await;
        let is_successor = |pod: &&Pod| Some(&pod.id) == permit.successor();
        let Some(pod) = pods.iter().find(is_successor) else {
            return Ok(());
        };
        for last in [false, true] {
            if asks {
                self.ask_for_tries().await?;
            }
            let Some(tries) = self.tries_to_ask_for(permit, pod, Moment::now()) else {
                break;
            };
            let others = lock(&self.context.moves).clone();
            let wait = self.know(|known| known.timing.wait(tries, &others));
            let Some(ask) = wait.ask.filter(|_| !last) else {
                sleep(wait.whole).await;
                break;
            };
            sleep(ask).await;
            asks = true;
        }
        Ok(())
    }
}
