//! Why a pod is not further.

use std::time::Duration;

use super::census::before;
use super::moves::Board;
use super::situation::Blocked;
use super::{CRASH_LOOP, EXITS_OF_A_LOOP, MISSING};
use crate::observe::{Container, Pod, Trouble};

impl Board<'_> {
    /// A pod that is replaced, or started again, has its own time each time; all of them together have theirs.
    pub(super) fn in_vain(&self) -> Option<Blocked> {
        let coming = self.memory.coming.as_ref()?;
        let long_ago = before(self.now, self.seen.intent.standby_timeout);
        let words = coming
            .words
            .as_deref()
            .filter(|_| coming.since <= long_ago)?;
        let reason = if coming.database_away {
            "DatabaseAway"
        } else {
            "StandbyTimeout"
        };
        Some(Blocked {
            reason: reason.to_owned(),
            message: format!(
                "no pod of the wanted revision has come to wait for the lock within handover.standbyTimeout; the last one ended: {words}"
            ),
            stalled: true,
        })
    }

    /// How long a pod may take. A Secret often comes later than what refers to it, and a ConfigMap too.
    pub(super) fn patience(&self, trouble: Option<&Trouble>) -> Duration {
        let timeout = self.seen.intent.standby_timeout;
        match trouble {
            Some(trouble) if trouble.of_a_reference() => MISSING.min(timeout),
            _ => timeout,
        }
    }

    /// Why a pod is not further, and whether that is a matter for a person.
    pub(super) fn lateness(&self, pod: &Pod) -> Option<Blocked> {
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
        let late = begun <= before(self.now, self.patience(trouble));
        let name = &pod.id.name;
        let (reason, message, hopeless) = match &pod.container {
            Container::NotStarted {
                trouble: Some(trouble),
            } => (
                trouble.reason.clone(),
                format!("{name}: {}", trouble.message_and_advice()),
                trouble.of_a_wrong_image(),
            ),
            Container::Down { exit, restarts } if !exit.kind.means_nothing() => (
                "CrashLoop".to_owned(),
                format!("{name}: {}", exit.words_and_advice()),
                *restarts >= EXITS_OF_A_LOOP,
            ),
            Container::Running {
                since,
                last: Some(exit),
            } if !exit.kind.means_nothing()
                && exit.number >= EXITS_OF_A_LOOP
                && *since > before(self.now, CRASH_LOOP) =>
            {
                (
                    "CrashLoop".to_owned(),
                    format!("{name}: {}", exit.words_and_advice()),
                    true,
                )
            }
            _ if self.in_vain().is_some() => return self.in_vain(),
            _ if late => (
                "StandbyTimeout".to_owned(),
                format!(
                    "{name} has not come to wait for the lock within handover.standbyTimeout; a log level above info, also one that stands in a Secret, hides the line by which it says so"
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
}
