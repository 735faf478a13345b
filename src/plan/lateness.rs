//! Why a pod is not further.

use super::census::before;
use super::moves::Board;
use super::situation::Blocked;
use super::{CRASH_LOOP, EXITS_OF_A_LOOP, MISSING};
use crate::observe::{Container, Pod};

impl Board<'_> {
    /// Why a pod is not further, and whether that is a matter for a person.
    pub(super) fn lateness(&self, pod: &Pod) -> Option<Blocked> {
        // A container that was started again has its time again: an exit that means nothing is no alarm.
        let begun = match &pod.container {
            Container::Running { since, .. } => pod.created.max(*since),
            Container::Down { exit, .. } => exit.at.map_or(pod.created, |at| pod.created.max(at)),
            Container::NotStarted { .. } | Container::Ended { .. } => pod.created,
        };
        // A Secret often comes later than what refers to it, and a ConfigMap too.
        let patience = match &pod.container {
            Container::NotStarted {
                trouble: Some(trouble),
            } if trouble.of_a_reference() => MISSING.min(self.seen.intent.standby_timeout),
            _ => self.seen.intent.standby_timeout,
        };
        let late = begun <= before(self.now, patience);
        let name = &pod.id.name;
        let (reason, message, hopeless) = match &pod.container {
            Container::NotStarted {
                trouble: Some(trouble),
            } => (
                trouble.reason.clone(),
                format!("{name}: {}", trouble.message),
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
            _ if late => (
                "StandbyTimeout".to_owned(),
                format!("{name} has not come to wait for the lock within handover.standbyTimeout"),
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
