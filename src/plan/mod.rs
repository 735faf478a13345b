//! The plan of a handover. Pure: no client, no clock, no I/O.
//!
//! [`plan`] takes one fresh look and the operator's memory, and says what is to be done now: at most one stop, and
//! never without a [`Permit`] that only the [`guard`] can make. Calling it again after a crash, or with the same look,
//! gives the same plan.
//!
//! The floors, from the ground: words (`limits`, `safety`, `cause`, `step`, `standing`, `given`); `evidence`; `doubts`; `roles`; `view`;
//! `neighbours`; `guard`; `acts`, `decision`; `places`, `labels`, `moves`; `rules`; `decide`, `remember`, `ask`, `confirm`, `timed`;
//! and this page.
//! What stands on a floor calls what is below it, and nothing above. All that the rest of the operator uses is named
//! here.

mod acts;
mod ask;
mod cause;
mod confirm;
mod decide;
mod decision;
mod doubts;
mod evidence;
mod given;
mod guard;
mod labels;
mod limits;
mod moves;
mod neighbours;
mod places;
mod remember;
mod roles;
mod rules;
mod safety;
mod standing;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod timed;
mod view;

use std::time::Duration;

use jiff::Timestamp;

use self::decision::Move;
use self::given::Given;
use self::rules::oneshot::{pull, validate};
use self::rules::{lease, rollback};
use self::view::{Look, View};
use crate::api::{LockMove, Memory};
use crate::domain::{Observation, Pod};

pub use acts::{Act, Plan};
pub use ask::{is_due, is_stale};
pub use cause::{Cause, Denied, Purpose};
pub use confirm::{
    Confirmed, ConfirmedReturn, Pending, SecondLook, Unconfirmed, confirm, confirm_return, pending,
};
pub use doubts::has_its_sidecars;
pub use evidence::{Evidence, of_active, of_standby, outside};
pub use guard::{Permit, Return};
pub use limits::{
    BACKOFF, BOOT, CRASH_LOOP, DATABASE_DOUBT, FRESH, LOST, MISSING, NO_BOOT, NOT_RESTARTED,
    REFUSES, RESCUE, SUSPECTED, TAKEOVER, UNRESPONSIVE,
};
pub use neighbours::two_holders;
pub use roles::Roles;
pub use rules::external::{not_taken, of_outside};
#[cfg(test)]
pub use safety::Rule;
pub use safety::Rules;
pub use step::{Blocked, CALM, Progress, Step};
pub use timed::{Tries, Wait, is_timed, most_apart, wait};

/// While the lease of a node that has ended may be given back, and something is missing for it.
const SOON: Duration = Duration::from_millis(100);

/// Plans the next step. The same look and memory always give the same plan.
pub fn plan(seen: &Observation, memory: &Memory, now: Timestamp) -> Plan {
    plan_under(Given {
        seen,
        memory,
        now,
        rules: Rules::all(),
    })
}

/// [`plan`] with a choice of rules, so that the model can show what each of them is for.
pub(crate) fn plan_under(given: Given<'_>) -> Plan {
    let roles = roles::Roles::of(given);
    let look = Look::of(given, &roles);
    let (mut memory, moved) = remember::look(&look);
    let view = View::of(look, &memory);
    let labels = labels::acts(&view);
    let led_to = labels::led_to(&view);
    let decided = decide::decide(&view);
    let idle = Duration::try_from(look.now.duration_since(view.last_progress()));
    let idle = idle.unwrap_or_default();
    remember::decision(&mut memory, &look, &decided);

    let mut acts = tidy(&look);
    acts.extend(labels);
    if let Move::Create(new) = &decided.next {
        acts.push(Act::Create {
            pod: new.pod.clone(),
            revision: new.revision.name.clone(),
            place: places::place(&look),
        });
    }
    let image = decided.image.as_ref();
    acts.extend(validate::make(&look, decided.validates()));
    acts.extend(pull::end(&look, image));
    acts.extend(validate::end(&memory, &look));
    acts.extend(pull::make(&look, image));
    match decided.next {
        Move::Stop(permit) => acts.push(Act::Stop(permit)),
        // Beside nothing else that could change who wins the lease.
        Move::Wait => acts.extend(lease::decide(&View::of(look, &memory)).map(Act::ReleaseLease)),
        Move::Create(_) => {}
    }
    let soon = lease::asks(&look).then_some(SOON);
    let blocked = decided.progress.blocked.as_ref();
    let late = blocked.is_some_and(|blocked| blocked.stalled);
    let works = roles.active_at_work().is_some();
    Plan {
        standbys_kept: places::standbys_kept(&look, late),
        again: rollback::again(&memory, &look)
            .unwrap_or_else(|| decided.progress.again(look.now, idle, works))
            .min(soon.unwrap_or(Duration::MAX)),
        memory,
        acts,
        led_to,
        progress: decided.progress,
        finished: moved.as_ref().and_then(LockMove::handover),
        moved,
    }
}

/// Pods that can't run again are removed.
fn tidy(look: &Look<'_>) -> Vec<Act> {
    let ended = |pod: &&Pod| pod.ended() && !pod.deleted;
    let ended = look.seen.pods.iter().filter(ended);
    let tidy = |pod: &Pod| Act::Tidy {
        pod: pod.id.clone(),
    };
    ended.map(tidy).collect()
}
