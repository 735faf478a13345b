//! When the database is asked: the planner's own question of whether its last answer is still good.

use std::time::Duration;

use jiff::Timestamp;

use super::acts::{Act, Plan};
use super::evidence::migrated_by;
use super::given::Given;
use super::limits::{BOOT, before};
use super::roles::Roles;
use super::rules::{lease, rollback};
use super::safety::Rules;
use super::step::Step;
use super::view::Look;
use crate::domain::{DatabaseAnswer, DatabaseView, Observation, Reason};

/// Between two questions when none is urgent, also while a rollout is stuck.
const NOW_AND_THEN: Duration = Duration::from_secs(60);
/// An answer that is older is asked for again right before a stop, for which it has to be fresh (rule S5).
const BEFORE_A_STOP: Duration = Duration::from_secs(1);
/// While several pods have taken a lock, and while one boots that has taken it and was not shown to have it.
const IN_DOUBT: Duration = Duration::from_secs(5);
/// A database that did not answer is not asked again for so long: a stop does not wait twice. Nor is one that is
/// too new for the spec: it may have been restored.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the last answer is too old for a stop.
pub fn is_stale(database: &DatabaseView, now: Timestamp) -> bool {
    let answer = database.answer.as_ref();
    let patience = match answer.map(|answer| &answer.said) {
        Some(Err(_)) => PATIENCE,
        Some(Ok(_)) | None => BEFORE_A_STOP,
    };
    is_older(answer, patience, now)
}

/// Whether the database is to be asked before this plan is carried out.
pub fn is_due(seen: &Observation, plan: &Plan, now: Timestamp) -> bool {
    if seen.intent.replicas == 0 {
        return false;
    }
    let answer = seen.database.answer.as_ref();
    let asks = |act: &Act| matches!(act, Act::Stop(permit) if permit.asks_database());
    let given = Given {
        seen,
        memory: &plan.memory,
        now,
        rules: Rules::all(),
    };
    let roles = Roles::of(given);
    let look = Look::of(given, &roles);
    // A repair while the lock moves is not held up: its revision has held the lock.
    let moves = lock_moves(plan, &look);
    let worked = plan.memory.last_worked.as_ref();
    let makes = |act: &Act| matches!(act, Act::Create { revision, .. } if !moves || worked != Some(revision));
    let reason = plan.progress.blocked.as_ref();
    let reason = reason.map(|blocked| &blocked.reason);
    // A version that the database is too new for would take the lock, and end; beside a lock that it does not see a pod
    // would work at once (rule S7).
    let makes = plan.acts.iter().any(makes);
    if lease::asks(&look) {
        return is_stale(&seen.database, now);
    }
    if makes || plan.acts.iter().any(asks) || reason.is_some_and(Reason::is_of_database) {
        return is_stale(&seen.database, now);
    }
    if matches!(
        reason,
        Some(Reason::LockDiffers | Reason::TwoHolders | Reason::PostgresTooOld)
    ) {
        return is_older(answer, PATIENCE, now);
    }
    if reason == Some(&Reason::VersionWentBack) && migrated_by(&seen.database).is_some() {
        return is_older(answer, PATIENCE, now);
    }
    if rollback::asks(&plan.memory, &look) {
        return is_stale(&seen.database, now);
    }
    // Several have taken a lock: only the database can tell at once which of them has it now.
    let takers = seen.pods.iter().filter(|pod| roles.holds(pod)).count();
    if takers > 1 {
        let sure = roles.foreign.is_empty() && !roles.order_unknown;
        let booting = plan.progress.step == Step::Booting;
        return !(sure && booting) && is_older(answer, IN_DOUBT, now);
    }
    if moves {
        let leads = |act: &Act| matches!(act, Act::Label { .. });
        return lease::is_to_be_shown(&look, IN_DOUBT) && !plan.acts.iter().any(leads);
    }
    let took = roles.active.and_then(|active| active.took);
    let of_before = took.is_some_and(|took| answer.is_some_and(|answer| answer.at <= took.at));
    of_before || answer.is_none_or(|answer| age(answer, now) >= NOW_AND_THEN)
}

/// Whether the operator is to be quick: the lock was lost or given a moment ago, or its taker does not serve yet, or
/// the Service does not lead to it.
fn lock_moves(plan: &Plan, look: &Look<'_>) -> bool {
    let lately = |at: Timestamp| at > before(look.now, BOOT);
    let last = plan.memory.last_active.as_ref();
    let Some(active) = look.roles.active.filter(|active| !active.deleted) else {
        let stop = plan.memory.stop_of_active();
        let ended = last.and_then(|last| last.ended);
        // Nobody has been seen to take over in time: versions before 2.15 may migrate without a word.
        let lately = |at: Timestamp| at > before(look.now, look.roles.rescue);
        return stop.is_some_and(|stop| lately(stop.at)) || ended.is_some_and(lately);
    };
    let took = active.took.is_some_and(|took| lately(took.at));
    let served = plan.memory.knows_as_active(&active.id.uid);
    let boots = !served || plan.progress.step == Step::Booting;
    let leads = |act: &Act| matches!(act, Act::Label { .. });
    plan.acts.iter().any(leads) || (took && boots)
}

fn is_older(answer: Option<&DatabaseAnswer>, than: Duration, now: Timestamp) -> bool {
    answer.is_none_or(|answer| age(answer, now) > than)
}

fn age(answer: &DatabaseAnswer, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(answer.at)).unwrap_or_default()
}
