//! A pod that sits on another database (rule S9): it goes, and nothing else happens before something speaks for another
//! outcome.

use crate::api::{DatabaseDiffers, Memory};
use crate::domain::Reason;
use crate::plan::decision::Decision;
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};
use crate::plan::{guard, moves};

/// What was found stands until another revision is wanted (`intent` forgets it then), the database URL in its Secret was
/// seen to change, or a person says by a new text that it is right now: each try would be a second node at work for some seconds, so no time brings one, and no edit that pods
/// are not made from. A pod that still runs after it was asked to stop says nothing of what the spec asks for now.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let generation = look.seen.intent.generation;
    let url_changed = memory.secrets.as_ref().and_then(|seen| seen.url_changed);
    let corrected = look.seen.intent.policy.corrected.as_ref();
    memory.database_differs.take_if(|known| {
        let asked = corrected.is_some() && corrected != known.corrected.as_ref();
        asked || url_changed > Some(known.at)
    });
    let Some(pod) = look.roles.foreign.iter().find(|pod| !pod.deleted) else {
        return;
    };
    let known = memory.database_differs.as_ref();
    if known.is_none_or(|known| known.pod != pod.id.name) {
        memory.database_differs = Some(DatabaseDiffers {
            pod: pod.id.name.clone(),
            at: look.now,
            generation,
            corrected: corrected.cloned(),
        });
    }
}

/// S9: a pod on another database is stopped before anything else is done.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    match guard::stop_foreign(view) {
        Ok(None) => None,
        Ok(Some(permit)) => {
            let message = view
                .roles
                .foreign
                .first()
                .map(|pod| guard::foreign_message(&pod.id.name));
            let mut decided = Decision::stop(permit, Step::Holding);
            decided.progress.blocked = message.map(|message| Blocked {
                reason: Reason::DatabaseDiffers,
                message,
                stalled: true,
            });
            Some(decided)
        }
        Err(denied) => Some(moves::held(view, denied)),
    }
}

/// S9: after a pod was found on another database, while the active works, nothing is made or stopped. The next pod would
/// read the same Secret.
pub fn lasts(view: &View<'_>) -> Option<Decision> {
    let known = view.memory.database_differs.as_ref()?;
    // An operator that has just started has not heard of the active yet, and stops nothing for that (rule S8).
    view.active().filter(|active| !view.roles.unheard(active))?;
    let progress = Progress::at(Step::Holding).blocked(Blocked {
        reason: Reason::DatabaseDiffers,
        message: guard::foreign_message(&known.pod),
        stalled: true,
    });
    Some(Decision::nothing(progress))
}
