//! Events: what is about to be done, before it is done, and what was seen to end.

use super::basis::Report;
use super::conditions::DATABASE_SHARED;
use crate::api::{Asked, AskedState, ChainlinkNodeStatus};
use crate::domain::{Exit, Pod};
use crate::node::NodeVersion;
use crate::plan::{Act, Cause, Permit, Purpose};

/// One event, without its addressee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// What the operator does, in a word.
    pub action: &'static str,
    pub text: String,
}

/// What the API server takes of a note, in bytes (`NoteLengthLimit` in `pkg/apis/core/validation/events.go`).
const LONGEST_NOTE: usize = 1024;

impl Note {
    /// As much of the text as an event holds.
    pub fn short_text(&self) -> &str {
        &self.text[..self.text.floor_char_boundary(LONGEST_NOTE)]
    }
}

fn note(warning: bool, reason: &str, action: &'static str, text: String) -> Note {
    Note {
        warning,
        reason: reason.to_owned(),
        action,
        text,
    }
}

/// The events of a plan that is about to be carried out. `old` is the status before it.
pub fn notes(
    report: &Report<'_>,
    old: &ChainlinkNodeStatus,
    new: &ChainlinkNodeStatus,
    warnings: &[String],
) -> Vec<Note> {
    let mut notes = Vec::new();
    // What contradicts may come from a ConfigMap as well: another revision is told again.
    if old.operator.wanted_name() != new.operator.wanted_name() {
        notes.extend(
            warnings
                .iter()
                .map(|text| note(true, "SettingOverridden", "Validate", text.clone())),
        );
    }
    notes.extend(stalled(old, new));
    notes.extend(shared(old, new));
    notes.extend(without_backup(report, old, new));
    notes.extend(exits(report, old));
    if let Some(done) = &report.plan.finished {
        let gap = done
            .gap
            .as_ref()
            .map(|gap| format!(", {gap} without an active"))
            .unwrap_or_default();
        let (reason, verb) = if done.reason == "Failover" {
            ("FailedOver", "took over after the end of")
        } else {
            ("HandedOver", "took over from")
        };
        notes.push(note(
            reason == "FailedOver",
            reason,
            "Handover",
            format!("{} {verb} {}{gap}", done.to, done.from),
        ));
    }
    notes.extend(asked(
        "Switchover",
        old.switchover.as_ref(),
        new.switchover.as_ref(),
    ));
    notes.extend(asked("Drill", old.drill.as_ref(), new.drill.as_ref()));
    notes.extend(
        report
            .plan
            .acts
            .iter()
            .filter_map(|act| of_act(report, old, act)),
    );
    notes
}

/// Another version is wanted, and the node will not dump its database before it migrates it.
fn without_backup(
    report: &Report<'_>,
    old: &ChainlinkNodeStatus,
    new: &ChainlinkNodeStatus,
) -> Option<Note> {
    let why = report.backup_off?;
    let to = |status: &ChainlinkNodeStatus| {
        let handover = status.handover.as_ref();
        let handover = handover.filter(|handover| handover.reason == "Version");
        handover.map(|handover| handover.to.clone())
    };
    let now = to(new).filter(|now| to(old).as_ref() != Some(now))?;
    let version = now.split(' ').next().unwrap_or_default();
    // On the way back, or where it is refused, nothing is migrated.
    let version_of = |text: &str| -> Option<NodeVersion> { text.split(' ').next()?.parse().ok() };
    let from = version_of(&new.handover.as_ref()?.from);
    let newer = |to: NodeVersion| from.as_ref().is_none_or(|from| to > *from);
    if !version_of(version).is_some_and(newer) {
        return None;
    }
    let text = format!(
        "{version} will migrate the database without a dump before ({why}): from there is no way back to an older version but a backup of your own"
    );
    Some(note(true, "NoBackup", "Handover", text))
}

/// Another resource has come to the same database.
fn shared(old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) -> Option<Note> {
    let message = |status: &ChainlinkNodeStatus| {
        let all = status.conditions.iter();
        let shared = all.clone().find(|one| one.type_ == DATABASE_SHARED);
        shared.map(|one| one.message.clone())
    };
    let now = message(new).filter(|_| message(old) != message(new))?;
    Some(note(true, DATABASE_SHARED, "Validate", now))
}

fn of_act(report: &Report<'_>, old: &ChainlinkNodeStatus, act: &Act) -> Option<Note> {
    let refusal = report.refusal.as_ref();
    let refused = refusal.is_some_and(|refusal| refusal.reason == "PodRefused");
    match act {
        // Told when it was tried first.
        Act::Pull { .. } | Act::Validate { .. } if refused => None,
        Act::Create { pod, revision, .. } => {
            let again = old
                .operator
                .creating
                .as_ref()
                .is_some_and(|made| made.pod == *pod);
            let version = report
                .seen
                .revisions
                .get(revision)
                .map(|revision| revision.version.to_string())
                .unwrap_or_default();
            (!again).then(|| {
                note(
                    false,
                    "CreatingPod",
                    "Create",
                    format!("making {pod} ({version}, revision {revision})"),
                )
            })
        }
        Act::Stop(permit) => of_stop(report, old, permit),
        Act::Tidy { pod } => Some(note(
            false,
            "RemovingPod",
            "Delete",
            format!("removing {}: it has ended", pod.name),
        )),
        Act::Pull {
            revision, machine, ..
        } => Some(note(
            false,
            "PullingImage",
            "Create",
            format!(
                "pulling the image of revision {revision} on {machine}, before a standby is replaced there"
            ),
        )),
        Act::Validate { pod, revision } => {
            let known = old.operator.validation.as_ref();
            let again = known.is_some() && known == report.plan.memory.validation.as_ref();
            let text = format!(
                "{pod} checks the configuration of revision {revision}, before a pod is replaced for it"
            );
            (!again).then(|| note(false, "ValidatingConfiguration", "Create", text))
        }
        Act::Label { .. } | Act::Gate { .. } | Act::EndErrand { .. } => None,
    }
}

/// A stop is told once, however often the second look does not permit it: the intent of the pass before
/// is still in the status.
fn of_stop(report: &Report<'_>, old: &ChainlinkNodeStatus, permit: &Permit) -> Option<Note> {
    let (pod, cause) = (permit.pod(), permit.cause());
    let again = old
        .operator
        .stopping
        .as_ref()
        .is_some_and(|stop| stop.uid == pod.uid && stop.reason == cause.to_string());
    let refused = report.seen.refused_stop.as_ref();
    if again || refused.is_some_and(|refused| refused.pod == pod.uid) {
        return None;
    }
    let pod = &pod.name;
    Some(match cause {
        Cause::Handover { successor } => note(
            false,
            "HandingOver",
            "Stop",
            format!(
                "stopping the active {pod}{}: {} waits for the lock",
                purpose(permit),
                successor.name
            ),
        ),
        Cause::Foreign => note(
            true,
            "DatabaseDiffers",
            "Stop",
            format!("stopping {pod}: it took a lock without waiting while the active was at work"),
        ),
        cause => note(
            false,
            "StoppingPod",
            "Stop",
            format!("stopping {pod}: {cause}"),
        ),
    })
}

fn purpose(permit: &Permit) -> String {
    match permit.purpose() {
        Purpose::Rollout => String::new(),
        purpose => format!(" ({purpose})"),
    }
}

/// A switchover or drill that was asked for has ended.
fn asked(what: &'static str, old: Option<&Asked>, new: Option<&Asked>) -> Option<Note> {
    let new = new.filter(|asked| asked.ended.is_some())?;
    if old == Some(new) {
        return None;
    }
    let reason = format!("{what}{:?}", new.state);
    let message = new.message.as_deref().unwrap_or_default();
    Some(note(
        new.state != AskedState::Done,
        &reason,
        what,
        format!("{} {}: {message}", what.to_lowercase(), new.token),
    ))
}

fn stalled_reason(status: &ChainlinkNodeStatus) -> Option<(&str, &str)> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled" && condition.status == "True")
        .map(|condition| (condition.reason.as_str(), condition.message.as_str()))
}

/// That it is for a person now, where it was not before, or for another reason.
pub fn stalled(old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) -> Option<Note> {
    let (reason, message) = stalled_reason(new)?;
    let known = stalled_reason(old).is_some_and(|(before, _)| before == reason);
    (!known).then(|| note(true, reason, "Wait", message.to_owned()))
}

/// The last words of containers that failed: they are what a person needs. Each end is told once,
/// whether or not the kubelet has started the container again since.
fn exits(report: &Report<'_>, old: &ChainlinkNodeStatus) -> Vec<Note> {
    let told = |pod: &Pod, exit: &Exit| {
        old.pods
            .iter()
            .any(|before| before.uid == pod.id.uid && before.exits >= exit.number)
    };
    report
        .seen
        .pods
        .iter()
        .filter_map(|pod| {
            let exit = pod.last_exit().filter(|exit| !exit.kind.means_nothing())?;
            let text = format!("{} ended: {}", pod.id.name, exit.said());
            (!told(pod, exit)).then(|| note(true, "NodeExited", "Watch", text))
        })
        .collect()
}
