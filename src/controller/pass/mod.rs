//! One pass over one resource: what is read before the pods, the look at them, the plan, and then all that is made of
//! it, in the order that matters: the labels move, the intent is written, what is about to be done is told, and done.
//!
//! This page is the order of the steps, and each step has a file: `dereference` reads what the spec refers to, `scene` looks
//! at the pods, `database` asks the database where that is due, `record` writes the status with the intent in it, `act` does
//! what was planned, `create` makes a pod, `timed` has a planned stop wait for its moment, `confirm` looks again before a stop, and `give_back` before it gives back the lease
//! of a node that has ended. `around` sees to what stands around the pods, `applied` to the annotation of the release that was
//! applied, `tell` to what is told, `log` to what stands in the operator's log, `pace` to when the next pass begins, and
//! `failed` to what is told of a pass that ended early.

mod act;
mod applied;
mod around;
mod confirm;
mod create;
mod database;
mod dereference;
mod failed;
mod give_back;
mod intent;
mod log;
mod pace;
mod record;
mod scene;
mod shared;
mod tell;
mod timed;
mod tried;
mod updates;

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::Api;
use kube::runtime::controller::Action;

use pace::{is_calm, moves};
use record::{Written, outdated};
use scene::{Pass, Seen};
use timed::WITHIN_THE_PASS;

use super::context::Context;
use super::error::Error;
use super::failures::ApiFailures;
use crate::api::{ChainlinkNode, ChainlinkNodeStatus, Memory};
use crate::domain::Releases;
use crate::plan::{Act, Plan, plan};
use crate::report::{self, Report};

pub(super) use failed::tell_failure;

/// After somebody else has written the status.
const OVERTAKEN: Duration = Duration::from_millis(50);

/// How often the database is asked for one plan: the second answer may change what the first one left open.
const MOST_QUESTIONS: u32 = 2;

/// While the CRD is too old to keep what the operator has to remember.
const OUTDATED: Duration = Duration::from_secs(15);

/// What came of a pass that went through.
pub(super) struct Done {
    /// When the next one begins.
    pub(super) again: Action,
    /// Whether nothing is left to do, and another pass would read the same until something changes.
    pub(super) rests: bool,
}

impl Done {
    fn soon(pause: Duration) -> Self {
        Self {
            again: Action::requeue(pause),
            rests: false,
        }
    }
}

/// Makes one pass over a resource that is there and is to stay. All its calls go through this client, which may answer from
/// memory what was read at that time.
pub(super) async fn run(
    context: &Context,
    calls: (&Client, Option<Timestamp>),
    node: &ChainlinkNode,
    api: &Api<ChainlinkNode>,
) -> Result<Done, Error> {
    let pass = Pass::begin(context, calls, node, api).await?;
    Box::pin(pass.finish()).await
}

impl Pass<'_> {
    /// Everything after what was read before the pods.
    async fn finish(mut self) -> Result<Done, Error> {
        let old = self.node.status.clone().unwrap_or_default();
        let (seen, mut plan, now) = Box::pin(self.look_and_plan(&old)).await?;
        if let Some(told) = self.know(|known| known.rest.decided()) {
            self.context.metrics.decided(told.elapsed());
        }
        let mut failures = std::mem::take(&mut self.failures);
        let labels_in_place = self.move_roles(&seen.seen, &plan, &mut failures).await;
        let seen = seen.whole()?;
        let wait = self.stop_waits(&plan, &seen.pods);
        if wait > WITHIN_THE_PASS {
            return Ok(Done::soon(wait.saturating_sub(WITHIN_THE_PASS)));
        }
        plan.stops_later(wait);
        let mut report = Report {
            node: self.node,
            seen: &seen,
            plan: &plan,
            sharers: self.sharers(),
            backup_off: self.resolved.as_ref().ok().and_then(|it| it.backup_off),
            refusal: self.told(&plan),
            // While the lock moves nothing else is looked at.
            releases: if moves(&plan) {
                self.node.spec.updates.as_ref().map(|_| Releases::NotYet)
            } else {
                self.releases(&old, now)
            },
            now,
        };
        let new = report::status(&report, &old);
        // Another resource is about to make a pod that would not see the lock of this one's: it is seen soon.
        if !self.reserve(&plan) {
            return Ok(Done::soon(OVERTAKEN));
        }
        let recorded = match self.write(&plan, &old, &new).await? {
            Written::Whole(recorded) => recorded,
            // This plan is worth nothing any more (rule S4).
            Written::Overtaken => return Ok(Done::soon(OVERTAKEN)),
            Written::StillPruned => {
                self.measure(&old, &seen);
                return Ok(Done::soon(OUTDATED));
            }
            Written::Pruned { field, version } => {
                report.refusal = Some(outdated(&field));
                let told = report::status(&report, &old);
                self.measure(&told, &seen);
                self.write_what_is_kept(&told, &version).await?;
                return Ok(Done::soon(OUTDATED));
            }
        };
        self.count(&old, &new, &seen, &plan);
        self.set_alert(&new, &plan);

        let notes = report::notes(&report, &old, &new, self.warnings());
        self.context.tell(self.client, self.node, notes).await;
        self.keep_services(plan.led_to.as_ref(), &mut failures)
            .await;
        let stopped = self
            .act(&seen, &recorded, labels_in_place, &mut failures)
            .await?;
        self.mind_turn(&seen, &plan, &new, stopped);
        // While the lock moves nothing else is done.
        if !moves(&plan) {
            let active = new.active.as_deref().unwrap_or_default();
            self.keep_budgets(plan.standbys_kept, active, &mut failures)
                .await;
            self.keep_applied(&new, recorded.version(), &mut failures)
                .await;
        }
        let again = self.again(&plan, failures)?;
        if plan.acts.is_empty() && is_calm(&plan) {
            self.tidy_revisions(&seen, &plan.memory).await?;
        }
        Ok(Done {
            again: Action::requeue(again),
            rests: self.rests(&plan),
        })
    }

    async fn look_and_plan(
        &mut self,
        old: &ChainlinkNodeStatus,
    ) -> Result<(Seen, Plan, Timestamp), Error> {
        let memory = Memory {
            secrets: self.secrets.clone(),
            ..old.operator.clone()
        };
        let mut thorough = false;
        let mut questions = 0;
        loop {
            let mut look = self.observe(thorough).await?;
            look.missing = self.unread.take().or(look.missing);
            let now = Timestamp::now();
            let next = plan(&look.seen, &memory, now);
            if look.missing.is_some() {
                return Ok((look, next, now));
            }
            let seen = &look.seen;
            // A database that is slow to answer is not asked for ever.
            let asks = questions < MOST_QUESTIONS && self.is_to_ask(seen, &next, now);
            questions += u32::from(asks);
            let makes = next
                .acts
                .iter()
                .any(|act| matches!(act, Act::Create { .. }));
            if !asks && (thorough || !makes) {
                return Ok((look, next, now));
            }
            if next.moves_a_role() {
                // The Service follows, and waits for nothing that only matters to what is made or stopped. What fails here is
                // tried again, and told, with the plan that is carried out.
                let mut untold = ApiFailures::default();
                self.move_roles(seen, &next, &mut untold).await;
            }
            if asks {
                Box::pin(self.ask_database()).await?;
            }
            // The answer may have taken its time, and what was seen before it is no longer fresh.
            thorough |= makes;
        }
    }
}
