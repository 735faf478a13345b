//! The second look: a stop that was planned, and whose intent is written, is done only where everything that
//! permitted it still stands (rule S5). What that means is the planner's [`confirm`]; here is who asks and looks. From
//! the look on the answers grow old: nothing below it may take longer than they stay fresh. The return of a lease is looked
//! at again in the same way.

use std::time::{Duration, Instant};

use futures::future::{join, try_join_all};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::time::timeout;

use super::log;
use super::record::{ANSWER, Stands};
use super::scene::Pass;
use super::tried::{FIRST, Failed};
use crate::act::{Actor, Outcome, Recorded, RoleKeeper};
use crate::api::{ChainlinkNode, Memory};
use crate::cluster::{refusal, sentence};
use crate::controller::error::{Doing, Error, LONGEST_PASS};
use crate::controller::failures::ApiFailures;
use crate::domain::{Observation, Pod, PodId, Reason};
use crate::plan::{
    Confirmed, Pending, Permit, Plan, Purpose, SecondLook, Unconfirmed, confirm, is_timed, plan,
};

/// The stop waits no longer than this until the Service leads to the successor.
const LED_WITHIN: Duration = Duration::from_millis(500);

/// What came of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    No,
    Yes,
    /// The API server failed: it may have accepted the delete. The next look shows it.
    Perhaps,
}

/// A second look, and the plan that it leads to.
pub(super) struct LookedAgain<'p> {
    written: &'p Memory,
    plan: Plan,
    pub(super) seen: Observation,
    /// When the pods were asked before it.
    asked: Timestamp,
    /// From when on the answers grow old.
    pub(super) at: Instant,
    now: Timestamp,
}

impl LookedAgain<'_> {
    pub(super) fn look(&self) -> SecondLook<'_> {
        SecondLook {
            written: self.written,
            seen: &self.seen,
            plan: &self.plan,
            asked: self.asked,
            now: self.now,
        }
    }
}

impl Pass<'_> {
    /// Looks again, plans again, and stops the pod only if both say the same.
    pub(super) async fn stop(
        &self,
        actor: &Actor<'_>,
        pending: &Pending<'_>,
        (recorded, pods): (&Recorded<'_>, &[Pod]),
        failures: &mut ApiFailures,
    ) -> Result<Stopped, Error> {
        let planned = pending.permit();
        self.wait_to_the_end(planned, pods).await?;
        let began = Instant::now();
        let asked = planned.relies_on().iter().chain([planned.pod()]);
        let again = self
            .look_again(asked, planned.asks_database(), recorded)
            .await?;
        let confirmed = match confirm(pending, &again.look()) {
            Ok(confirmed) => confirmed,
            Err(why) => {
                not_stopped(&self.reference, planned, &why);
                return Ok(Stopped::No);
            }
        };
        let seen = &again.seen;
        let permit = confirmed.permit();
        let hands_over = permit.successor().is_some();
        if permit.purpose() == Purpose::Unresponsive {
            // A failover waits for nobody.
            self.context.slots.note(&seen.intent.node.uid);
        } else if hands_over && !self.context.slots.take(&seen.intent.node.uid) {
            self.context.wait_for_turn(&self.reference);
            return Ok(Stopped::No);
        }
        // The spec may have gone back, or a pause been set, at any time before.
        // What needs no answer grows no older: the pass has its own limit.
        let ages = confirmed.good_for() < Duration::MAX;
        let limit = if ages { ANSWER } else { LONGEST_PASS };
        let left = confirmed.good_for().min(limit);
        match self.stands(recorded, left).await? {
            Stands::Yes => {}
            Stands::No => return Ok(Stopped::No),
            Stands::NotSaid => {
                self.came_too_late(permit);
                return Ok(Stopped::No);
            }
        }
        let led = self.lead_ahead(permit, seen).await;
        let stopped = self.carry_out(actor, (&confirmed, again.at), limit).await;
        if stopped != Stopped::Yes {
            // Of one that is perhaps done the next look decides.
            if led && stopped == Stopped::No {
                self.keep_services(None, failures).await;
            }
            return Ok(stopped);
        }
        log::stopped(&self.reference, permit);
        self.know(|known| {
            known.refused_stop = None;
            if is_timed(permit) {
                known.timing.stopped(permit.pod(), began);
            }
        });
        self.lead_to_successor(permit, seen, failures).await;
        Ok(Stopped::Yes)
    }

    /// Asks these pods, and the database where that is wanted and its last answer is old: all at once, as what one of them takes to
    /// answer is not to make the answer of another old. Then it looks and plans again.
    pub(super) async fn look_again<'p>(
        &self,
        pods: impl Iterator<Item = &'p PodId>,
        asks_database: bool,
        recorded: &Recorded<'p>,
    ) -> Result<LookedAgain<'p>, Error> {
        let asked = Timestamp::now();
        let pods = try_join_all(pods.map(|pod| self.looker.ask(&pod.name)));
        let database = async {
            if asks_database {
                self.ask_again(asked).await?;
            }
            Ok(())
        };
        let (pods, database) = join(pods, database).await;
        pods.doing("asking the pods that an act relies on")?;
        database?;
        let seen = self.observe(false).await?.whole()?;
        let (at, now) = (Instant::now(), Timestamp::now());
        let written = &recorded.plan().memory;
        Ok(LookedAgain {
            written,
            plan: plan(&seen, written, now),
            seen,
            asked,
            at,
            now,
        })
    }

    /// Sends what stops the pod, and waits for the answer for so long.
    async fn carry_out(
        &self,
        actor: &Actor<'_>,
        (confirmed, looked): (&Confirmed, Instant),
        limit: Duration,
    ) -> Stopped {
        let permit = confirmed.permit();
        match timeout(limit, actor.stop(confirmed, looked)).await {
            Ok(Ok(Outcome::Done)) => Stopped::Yes,
            Ok(Ok(Outcome::Late)) => {
                self.came_too_late(permit);
                Stopped::No
            }
            Ok(Ok(_)) => Stopped::No,
            Ok(Err(error)) => self.not_done(permit, &error),
            // It may be done yet; the next look shows it.
            Err(_) => {
                let said = format!("it did not answer within {} s", limit.as_secs());
                self.refused(permit, &said, Stopped::Perhaps, false);
                Stopped::Perhaps
            }
        }
    }

    /// Leads the Service to the successor right before the stop. After it, kube-proxy would learn of the end of the one and of
    /// the way to the other by two changes, and it makes at most one a second (`iptables.minSyncPeriod`).
    ///
    /// The stop may be refused after that, and the Service be led back: so that is risked once, and not at each try.
    async fn lead_ahead(&self, permit: &Permit, seen: &Observation) -> bool {
        if self.know(|known| known.refused_stop.is_some()) {
            return false;
        }
        let find = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        let successor = permit.successor().and_then(find);
        match successor.filter(|pod| pod.has_own_label) {
            // What does not succeed here, or is not known to, is done after the stop.
            Some(successor) => {
                let led = timeout(LED_WITHIN, self.lead(&successor.id.name)).await;
                led.is_ok_and(|led| led.unwrap_or(true))
            }
            None => false,
        }
    }

    /// The Service follows now: neither the operator nor kube-proxy is to stand between the lock and the first
    /// request.
    async fn lead_to_successor(
        &self,
        permit: &Permit,
        seen: &Observation,
        failures: &mut ApiFailures,
    ) {
        let find = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        if let Some(successor) = permit.successor().and_then(find)
            && let Err(error) = RoleKeeper::new(self.client, self.node, &self.context.leadership)
                .label(successor, true)
                .await
        {
            let to = format!("label pod {}, the successor", successor.id.name);
            failures.fail(Reason::PodNotUpdated, &to, &error);
        }
    }

    /// The API server did not do it. That is told, and tried again ever later: each try writes its intent.
    fn not_done(&self, permit: &Permit, error: &kube::Error) -> Stopped {
        let refusal = refusal(error);
        let refused = refusal.is_some();
        let said = refusal.unwrap_or_else(|| sentence(error));
        let stopped = if refused {
            Stopped::No
        } else {
            Stopped::Perhaps
        };
        self.refused(permit, &said, stopped, refused);
        stopped
    }

    /// The API server is so slow that what permits the stop is old before the delete can be sent.
    fn came_too_late(&self, permit: &Permit) {
        let said = "it is so slow that the answers which permit the stop are older than 2 s when it is asked to";
        self.refused(permit, said, Stopped::No, false);
    }

    /// The stop was not done, or is not known to be: that is told, and it is tried again ever later.
    fn refused(&self, permit: &Permit, said: &str, stopped: Stopped, refused: bool) {
        let pod = permit.pod();
        let message = format!(
            "{} is to be stopped ({}), and the API server does not delete it: {said}. It is tried again by itself",
            pod.name,
            permit.cause()
        );
        let failed = Failed {
            pod: pod.uid.clone(),
            said: message,
            refused,
            perhaps: stopped == Stopped::Perhaps,
            first: FIRST,
        };
        self.know(|known| {
            let before = known.refused_stop.take();
            let pod = &pod.name;
            log::again!(&mut known.lines, &self.reference, said, pod; "a pod could not be stopped");
            let before = before.filter(|before| before.pod == failed.pod);
            known.refused_stop = Some(failed.after(before, Timestamp::now()));
        });
    }
}

/// Says in the log why a planned stop is not carried out.
pub(super) fn not_stopped(of: &ObjectRef<ChainlinkNode>, planned: &Permit, why: &Unconfirmed) {
    log::line!(info, of, pod = planned.pod().name, %why, "does not stop a pod now");
}
