//! Why a pod is not further, and for how long pods come up in vain.

use std::time::Duration;

use crate::api::{Coming, Memory};
use crate::domain::{Container, Pod, Reason, Trouble, Wanted};
use crate::node::ExitKind;
use crate::plan::limits::{CRASH_LOOP, EXITS_OF_A_LOOP, MISSING, before};
use crate::plan::step::Blocked;
use crate::plan::view::{Look, View};

/// Follows how long pods of the wanted revision come up in vain, however often they are replaced.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let Wanted::Revision(wanted) = &look.seen.intent.wanted else {
        memory.coming = None;
        return;
    };
    let made = || {
        let of_wanted = |pod: &&Pod| pod.revision.as_ref() == Some(wanted);
        look.seen.pods.iter().filter(of_wanted)
    };
    let up = made().any(|pod| pod.waits() || pod.took.is_some());
    if up || look.seen.intent.replicas == 0 {
        memory.coming = None;
        return;
    }
    let known = memory.coming.take();
    let known = known.filter(|coming| coming.revision == wanted.name);
    memory.coming = known.or_else(|| {
        made().next().map(|_| Coming {
            revision: wanted.name.clone(),
            since: look.now,
            database_away: false,
            words: None,
        })
    });
    if let Some(coming) = &mut memory.coming
        && let Some(exit) = made().filter_map(Pod::last_exit).next_back()
    {
        coming.database_away = exit.kind == ExitKind::DatabaseAway;
        coming.words = Some(exit.words_and_advice());
    }
}

/// A pod that is replaced, or started again, has its own time each time; all of them together have theirs.
pub fn in_vain(view: &View<'_>) -> Option<Blocked> {
    let coming = view.memory.coming.as_ref()?;
    let long_ago = before(view.now, view.seen.intent.standby_timeout);
    let words = coming
        .words
        .as_deref()
        .filter(|_| coming.since <= long_ago)?;
    let reason = if coming.database_away {
        Reason::DatabaseAway
    } else {
        Reason::StandbyTimeout
    };
    Some(Blocked {
        reason,
        message: format!(
            "no pod of the wanted revision has come to wait for the lock within handover.standbyTimeout; the last one ended: {words}"
        ),
        stalled: true,
    })
}

/// How long a pod may take. A Secret often comes later than what refers to it, and a ConfigMap too.
pub fn patience(view: &View<'_>, trouble: Option<&Trouble>) -> Duration {
    let timeout = view.seen.intent.standby_timeout;
    match trouble {
        Some(trouble) if trouble.of_a_reference() => MISSING.min(timeout),
        _ => timeout,
    }
}

/// Why a pod is not further, and whether that is a matter for a person.
pub fn lateness(view: &View<'_>, pod: &Pod) -> Option<Blocked> {
    // A container that was started again has its time again: an exit that means nothing is no alarm.
    let begun = match &pod.container {
        Container::Running { since, .. } => pod.created.max(*since),
        Container::Down { exit, .. } => exit.at.map_or(pod.created, |at| pod.created.max(at)),
        Container::NotStarted { .. } | Container::Ended { .. } => pod.created,
    };
    let trouble = match &pod.container {
        Container::NotStarted { trouble } => trouble.as_ref(),
        _ => None,
    };
    let late = begun <= before(view.now, patience(view, trouble));
    let name = &pod.id.name;
    let (reason, message, hopeless) = match &pod.container {
        Container::NotStarted {
            trouble: Some(trouble),
        } => (
            Reason::of(&trouble.reason),
            format!("{name}: {}", trouble.message_and_advice()),
            trouble.lasts(),
        ),
        Container::Down { exit, restarts } if !exit.kind.means_nothing() => (
            Reason::CrashLoop,
            format!("{name}: {}", exit.words_and_advice()),
            *restarts >= EXITS_OF_A_LOOP,
        ),
        Container::Running {
            since,
            last: Some(exit),
        } if !exit.kind.means_nothing()
            && exit.number >= EXITS_OF_A_LOOP
            && *since > before(view.now, CRASH_LOOP) =>
        {
            (
                Reason::CrashLoop,
                format!("{name}: {}", exit.words_and_advice()),
                true,
            )
        }
        _ if in_vain(view).is_some() => return in_vain(view),
        _ if late => (
            Reason::StandbyTimeout,
            format!(
                "{name} has not come to wait for the lock within handover.standbyTimeout; a log level above info, also one that stands in a Secret, hides the line by which it says so. Read its log (kubectl logs {name} --container node)"
            ),
            false,
        ),
        _ => return None,
    };
    Some(Blocked {
        reason,
        message,
        stalled: hopeless || late,
    })
}
