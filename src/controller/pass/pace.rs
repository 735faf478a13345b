//! How fast a resource is looked at, and whether its lock may move now: the alert of its witnesses, its slot among the
//! handovers of this operator, and the time of the next pass.

use std::time::Duration;

use super::confirm::Stopped;
use super::dereference::between_looks;
use super::scene::Pass;
use crate::api::ChainlinkNodeStatus;
use crate::controller::error::Error;
use crate::controller::failing::Pauses;
use crate::controller::failures::ApiFailures;
use crate::controller::retry::short_while_the_lock_moves;
use crate::domain::{Observation, Reason};
use crate::plan::{CALM, Plan, Step};

/// After an act: what came of it.
const ACTED: Duration = Duration::from_millis(200);

impl Pass<'_> {
    /// Ports are tried more often while the lock moves, or may: not for as long as a rollout is stuck.
    pub(super) fn set_alert(&self, new: &ChainlinkNodeStatus, plan: &Plan) {
        let moving = new.active.is_none()
            || matches!(plan.progress.step, Step::StoppingActive | Step::Booting);
        self.context
            .witnesses
            .set_alert(&self.reference, is_busy(plan) && moving);
    }

    /// Keeps the turn of this resource, or gives it back. It has one from the moment in which the API server accepts the
    /// stop of its active until somebody serves again.
    pub(super) fn mind_turn(
        &self,
        seen: &Observation,
        plan: &Plan,
        new: &ChainlinkNodeStatus,
        stopped: Stopped,
    ) {
        let uid = &seen.intent.node.uid;
        let there = |uid: &str| {
            let mut pods = seen.pods.iter();
            pods.any(|pod| pod.id.uid == uid && !pod.deleted)
        };
        let stop = plan.memory.stop_of_active();
        let accepted = stop.is_some_and(|stop| !there(&stop.uid));
        let failed = plan.memory.failed.is_some() && new.active.is_none();
        let refused = seen.refused_stop.as_ref();
        let perhaps = refused.is_some_and(|stop| stop.perhaps && seen.at < stop.again);
        if accepted || failed {
            // Also where another operator, or this one before a restart, began it.
            self.context.slots.note(uid);
        } else if stopped == Stopped::No && !perhaps && plan.progress.step != Step::Booting {
            self.context.give_back(uid);
        }
        if plan.progress.waits_for_turn() {
            self.context.wait_for_turn(&self.reference);
        }
    }

    /// How soon to look again. What the API server refuses is tried again ever later.
    pub(super) fn again(&self, plan: &Plan, failures: ApiFailures) -> Result<Duration, Error> {
        let generation = self.node.metadata.generation;
        let (failures, pause) = self.know(|known| {
            known.failures = failures.after(&known.failures, &self.reference);
            if known.failures.is_empty() {
                known.refused = None;
                return (ApiFailures::default(), Duration::ZERO);
            }
            let begin = || Pauses::begin(generation);
            let pause = known.refused.get_or_insert_with(begin).next(generation);
            (known.failures.clone(), pause)
        });
        let pause = short_while_the_lock_moves(self.node, pause);
        let again = plan.again.min(self.at_most(plan));
        let of_pods = [Reason::PodNotUpdated];
        if let Some(failure) = failures.failure()
            && (plan.acts.is_empty() || failures.are(&of_pods))
        {
            return Err(Error::Unfinished(failure.to_owned()));
        }
        let again = if failures.are_refused(&of_pods) {
            again.max(pause)
        } else if !plan.acts.is_empty() {
            ACTED
        } else if failures.is_empty() {
            again
        } else {
            again.min(pause)
        };
        Ok(self.context.beside.share(&self.uid(), again))
    }
}

impl Pass<'_> {
    /// How late the next pass may come. A pod whose port was heard tells when it falls silent, and watches tell of all that
    /// matters to a resource that rests; of a Secret that changes nothing tells.
    fn at_most(&self, plan: &Plan) -> Duration {
        let secrets = between_looks(self.context.resources());
        let heard = self.context.witnesses.hear_all(&self.reference);
        if heard && self.context.hears() && self.rests(plan) {
            secrets
        } else {
            secrets.min(CALM)
        }
    }

    /// Whether nothing is left to do, and nothing matters of which no watch tells: what keeps a person from what he wants may
    /// be a Secret, and a neighbour on the database has pods of its own.
    pub(super) fn rests(&self, plan: &Plan) -> bool {
        let blocked = plan.progress.blocked.as_ref();
        plan.progress.step.at_rest()
            && plan.acts.is_empty()
            && blocked.is_none_or(|blocked| !blocked.stalled)
            && self.know(|known| known.failures.is_empty())
            && self.neighbours().is_empty()
    }
}

pub(super) fn is_busy(plan: &Plan) -> bool {
    !plan.progress.step.at_rest()
}

/// Whether nothing is under way that another pass would go on with at once. What nothing needs is tidied away then, also
/// where a spec can't be followed, and the next one neither.
pub(super) fn is_calm(plan: &Plan) -> bool {
    !is_busy(plan) || plan.progress.step == Step::Holding && !moves(plan)
}

/// Whether the lock moves, or is about to.
pub(super) fn moves(plan: &Plan) -> bool {
    plan.memory.stop_of_active().is_some() || plan.progress.step == Step::Booting
}
