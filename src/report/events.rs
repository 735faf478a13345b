//! Events: what is about to be done, before it is done, and what was seen to end.

use std::time::Duration;

use super::basis::Report;
use super::conditions::DATABASE_SHARED;
use super::update::{found, newly_applied};
use crate::api::{ChainlinkNodeStatus, LastHandover, Request, RequestState};
use crate::domain::{Exit, MoveReason, Pod, Reason, Wanted};
use crate::node::lock::{LEASE_DURATION, LEASE_REFRESH_INTERVAL};
use crate::node::{ExitKind, NodeVersion, supported};
use crate::plan::{Act, Cause, Permit, Return};

/// One event, without its addressee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub warning: bool,
    pub reason: Reason,
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

fn note(warning: bool, reason: Reason, action: &'static str, text: String) -> Note {
    Note {
        warning,
        reason,
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
                .map(|text| note(true, Reason::SettingOverridden, "Validate", text.clone())),
        );
        notes.extend(unknown_version(report));
    }
    notes.extend(stalled(old, new));
    notes.extend(shared(old, new));
    notes.extend(secret_changed(old, new));
    let release = found(report, old, new);
    notes.extend(release.map(|text| note(false, Reason::NewerRelease, "Look", text)));
    let applied = newly_applied(report, new);
    notes.extend(applied.map(|text| note(false, Reason::UpdateApplied, "Apply", text)));
    notes.extend(without_backup(report, old, new));
    notes.extend(dump_too_old(report, old, new));
    notes.extend(exits(report, old));
    notes.extend(
        report
            .plan
            .finished
            .as_ref()
            .map(|done| moved(report, done)),
    );
    notes.extend(asked(
        "Switchover",
        [
            Reason::SwitchoverDone,
            Reason::SwitchoverRefused,
            Reason::SwitchoverFailed,
        ],
        old.switchover.as_ref(),
        new.switchover.as_ref(),
    ));
    notes.extend(asked(
        "Drill",
        [Reason::DrillDone, Reason::DrillRefused, Reason::DrillFailed],
        old.drill.as_ref(),
        new.drill.as_ref(),
    ));
    notes.extend(
        report
            .plan
            .acts
            .iter()
            .filter_map(|act| of_act(report, old, act)),
    );
    notes
}

/// The lock has moved. Only an end that was seen is told as one.
fn moved(report: &Report<'_>, done: &LastHandover) -> Note {
    let failover = MoveReason::of(&done.reason) == Some(MoveReason::Failover);
    let gap = done.gap.as_ref().map_or_else(String::new, |gap| {
        let bound = if done.gap_is_upper_bound {
            "at most "
        } else {
            ""
        };
        format!(", {bound}{gap} without an active")
    });
    let left_behind = left_behind(report, done).unwrap_or_default();
    let gap = if done.lease_given_back {
        format!("{gap} (lease given back)")
    } else {
        gap
    };
    let LastHandover { from, to, .. } = done;
    let seen = done.gap.is_some() || done.started_at < done.finished_at;
    let text = if done.gap_is_upper_bound {
        let since = done.started_at;
        format!("{to} took over from {from}, which has not answered since {since}{gap}")
    } else if failover && seen {
        format!("{to} took over after the end of {from}{gap}")
    } else {
        format!("{to} took over from {from}{gap}{left_behind}")
    };
    let reason = if failover {
        Reason::FailedOver
    } else {
        Reason::HandedOver
    };
    note(failover, reason, "Handover", text)
}

/// A handover whose gap is that of a node that was killed. Neither an end in order nor a failed start of 2.30 and later proves
/// that the lease was given back, and what a node did with it nobody has seen: what may have taken the time is told.
fn left_behind(report: &Report<'_>, done: &LastHandover) -> Option<String> {
    let Wanted::Revision(wanted) = &report.seen.intent.wanted else {
        return None;
    };
    let lease = wanted.lease.unwrap_or(LEASE_DURATION);
    let gap = Duration::from_millis(u64::try_from(done.gap_ms?).ok()?);
    let planned = MoveReason::of(&done.reason) != Some(MoveReason::Failover);
    // It is as old as the last refresh when it is left behind.
    let long = planned && gap + LEASE_REFRESH_INTERVAL >= lease;
    long.then(|| {
        format!(
            ": where no backup and no migration took that time, a node ended without giving back its lease, which then stands for its whole length ({}s)",
            lease.as_secs()
        )
    })
}

/// A version is wanted of which nothing is known: it runs all the same.
fn unknown_version(report: &Report<'_>) -> Option<Note> {
    let Wanted::Revision(wanted) = &report.seen.intent.wanted else {
        return None;
    };
    let text = supported::unknown(&wanted.version)?;
    Some(note(false, Reason::VersionUnknown, "Validate", text))
}

/// Another version is wanted, and the node will not dump its database before it migrates it.
fn without_backup(
    report: &Report<'_>,
    old: &ChainlinkNodeStatus,
    new: &ChainlinkNodeStatus,
) -> Option<Note> {
    let why = report.backup_off?;
    let version = begins_upgrade(old, new)?;
    let text = format!(
        "{version} will migrate the database without a dump before ({why}): from there is no way back to an older version but a backup of your own"
    );
    Some(note(true, Reason::NoBackup, "Handover", text))
}

/// Another version is wanted, and its image's `pg_dump` does not dump a server that is newer than itself: the boot would end
/// with the lock held.
fn dump_too_old(
    report: &Report<'_>,
    old: &ChainlinkNodeStatus,
    new: &ChainlinkNodeStatus,
) -> Option<Note> {
    if report.backup_off.is_some() {
        return None;
    }
    let version = begins_upgrade(old, new)?;
    let runs = report.seen.database.answer.as_ref()?.last()?.1.postgres?;
    let tool = version.newest_dump_tool();
    if runs <= tool {
        return None;
    }
    let text = format!(
        "the image of {version} has pg_dump {tool} as far as is known, which does not dump a PostgreSQL {runs}: where the node is to make a backup before it migrates, its start fails when it has the lock. Set Database.Backup.OnVersionUpgrade to false and make a dump of your own first"
    );
    Some(note(true, Reason::DumpToolTooOld, "Handover", text))
}

/// The newer version to which a handover begins with this status: what migrates the database.
fn begins_upgrade(old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) -> Option<NodeVersion> {
    let to = |status: &ChainlinkNodeStatus| {
        let handover = status.handover.as_ref();
        let handover = handover.filter(|handover| handover.reason == MoveReason::Version.as_str());
        handover.map(|handover| handover.to.clone())
    };
    let now = to(new).filter(|now| to(old).as_ref() != Some(now))?;
    // On the way back, or where it is refused, nothing is migrated.
    let version_of = |text: &str| -> Option<NodeVersion> { text.split(' ').next()?.parse().ok() };
    let from = version_of(&new.handover.as_ref()?.from);
    let newer = |to: &NodeVersion| from.as_ref().is_none_or(|from| to > from);
    version_of(&now).filter(newer)
}

/// Another resource has come to the same database.
fn shared(old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) -> Option<Note> {
    let message = |status: &ChainlinkNodeStatus| {
        let all = status.conditions.iter();
        let shared = all.clone().find(|one| one.type_ == DATABASE_SHARED);
        shared.map(|one| one.message.clone())
    };
    let now = message(new).filter(|_| message(old) != message(new))?;
    Some(note(true, Reason::DatabaseShared, "Validate", now))
}

/// A Secret was seen to have changed under pods that run.
fn secret_changed(old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus) -> Option<Note> {
    let changed = |status: &ChainlinkNodeStatus| status.operator.secrets.as_ref()?.changed;
    changed(new).filter(|now| Some(*now) != changed(old))?;
    let told = new.conditions.iter();
    let told = told.filter(|one| one.reason == Reason::SecretChanged.as_str());
    let text = told.map(|one| one.message.clone()).next()?;
    Some(note(false, Reason::SecretChanged, "Look", text))
}

fn of_act(report: &Report<'_>, old: &ChainlinkNodeStatus, act: &Act) -> Option<Note> {
    let refused = &report.seen.refused_oneshots;
    match act {
        // Told when it was tried first.
        Act::Pull { pod, .. } | Act::Validate { pod, .. } if refused.contains_key(pod) => None,
        Act::Create { pod, revision, .. } => {
            let again = old
                .operator
                .creating
                .as_ref()
                .is_some_and(|made| made.pod == *pod && made.revision == *revision);
            let version = report
                .seen
                .revisions
                .get(revision)
                .map(|revision| revision.version.to_string())
                .unwrap_or_default();
            (!again).then(|| {
                note(
                    false,
                    Reason::CreatingPod,
                    "Create",
                    format!("making {pod} ({version}, revision {revision})"),
                )
            })
        }
        Act::Stop(permit) => of_stop(report, old, permit),
        Act::Tidy { pod } => Some(note(
            false,
            Reason::RemovingPod,
            "Delete",
            format!("removing {}: it has ended", pod.name),
        )),
        Act::Pull {
            revision, machine, ..
        } => Some(note(
            false,
            Reason::PullingImage,
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
            (!again).then(|| note(false, Reason::ValidatingConfiguration, "Create", text))
        }
        // A lease that is given back is told when that is done.
        Act::ReleaseLease(_) | Act::Label { .. } | Act::Gate { .. } | Act::EndOneshot { .. } => {
            None
        }
    }
}

/// The lease of a node that has ended was given back for it.
pub fn lease_given_back(given_back: &Return) -> Note {
    let (pod, successor) = (&given_back.pod().name, &given_back.successor().name);
    let text = format!(
        "the lease of {pod} is given back: its container has ended, and the database shows no session of its node any more; {successor} waits for it"
    );
    note(false, Reason::LeaseGivenBack, "Release", text)
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
            Reason::HandingOver,
            "Stop",
            format!(
                "stopping the active {pod}{}: {} waits for the lock",
                purpose(permit),
                successor.name
            ),
        ),
        Cause::Foreign => note(
            true,
            Reason::DatabaseDiffers,
            "Stop",
            format!("stopping {pod}: it took a lock without waiting while the active was at work"),
        ),
        cause => note(
            false,
            Reason::StoppingPod,
            "Stop",
            format!("stopping {pod}: {cause}"),
        ),
    })
}

fn purpose(permit: &Permit) -> String {
    let reason = permit.purpose().move_reason();
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

/// A switchover or drill that was asked for has ended: done, refused, or failed, in this order of its reasons.
fn asked(
    what: &'static str,
    reasons: [Reason; 3],
    old: Option<&Request>,
    new: Option<&Request>,
) -> Option<Note> {
    let new = new.filter(|asked| asked.ended.is_some())?;
    if old == Some(new) {
        return None;
    }
    let [done, refused, failed] = reasons;
    let reason = match new.state {
        RequestState::Done => done,
        RequestState::Refused => refused,
        RequestState::Failed => failed,
        RequestState::Pending => return None,
    };
    let message = new.message.as_deref().unwrap_or_default();
    Some(note(
        new.state != RequestState::Done,
        reason,
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
    (!known).then(|| note(true, Reason::of(reason), "Wait", message.to_owned()))
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
            // An end from outside leaves no words of the node; that the lock has moved for it is told by the failover.
            let warning = !matches!(exit.kind, ExitKind::Killed | ExitKind::Unseen);
            (!told(pod, exit)).then(|| note(warning, Reason::NodeExited, "Watch", text))
        })
        .collect()
}
