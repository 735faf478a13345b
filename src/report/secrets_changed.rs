//! `SecretsChanged`: pods run with what a Secret held before. A Secret can't be pinned, so that it is told until no such pod
//! is left.

use super::basis::Report;
use super::said::{Said, said, unknown};
use crate::api::OnSecretChange;
use crate::domain::{Container, Pod, Reason};

/// The condition that pods were started before a Secret has changed.
pub(super) const SECRETS_CHANGED: &str = "SecretsChanged";

/// There only where pods run that were started before a Secret of theirs has changed, or where no change can be seen that
/// is to be rolled out.
pub(super) fn secrets_changed(report: &Report<'_>) -> Option<Said> {
    let handover = report.node.spec.handover.as_ref();
    let on_change = handover.and_then(|handover| handover.on_secret_change);
    let answer = report.seen.database.answer.as_ref();
    let silence = answer.and_then(|answer| answer.said.as_ref().err());
    let is_blind = silence.is_some_and(|silence| silence.reason == Reason::NotAllowed);
    if is_blind && on_change == Some(OnSecretChange::Rollout) {
        return Some(unknown(
            SECRETS_CHANGED,
            Reason::NotAllowed,
            "spec.handover.onSecretChange is Rollout, and the operator was installed without the right to read Secrets, so that it sees no change of one: set databaseVerification.enabled in the values of its chart",
        ));
    }
    let secrets = report.plan.memory.secrets.as_ref()?;
    let changed = secrets.changed?;
    // One that is down reads it anew.
    let is_older = |pod: &&Pod| match pod.container {
        Container::Running { since, .. } => !pod.deleted && since < changed,
        Container::NotStarted { .. } | Container::Down { .. } | Container::Ended { .. } => false,
    };
    let older = report.seen.pods.iter().filter(is_older);
    let older: Vec<&str> = older.map(|pod| pod.id.name.as_str()).collect();
    if older.is_empty() {
        return None;
    }
    let then = if let Some(until) = secrets.held_until {
        format!(
            "It is rolled out by handover from {until} on (spec.handover.onSecretChange): another change was rolled out less than 10 min before, and a Secret that is rotated all the time is not to move the lock as often. For one now set spec.restartedAt to another text"
        )
    } else if secrets.is_rolled_out() {
        "It is rolled out by handover (spec.handover.onSecretChange)".to_owned()
    } else {
        "The next rollout takes it along. For one now set spec.restartedAt to another text; for one after each change set spec.handover.onSecretChange: Rollout".to_owned()
    };
    Some(said(
        SECRETS_CHANGED,
        true,
        Reason::SecretChanged,
        format!(
            "a Secret that pods read was seen to have changed at {changed}, and {} may run with what it held before: a node reads its Secrets when its container starts. {then}",
            older.join(", ")
        ),
    ))
}
