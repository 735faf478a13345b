//! `UpdateAvailable`, `status.update` and `status.applied`: which release is proposed, since when, which is applied, and how
//! that is told.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::basis::Report;
use super::said::{Said, said, unknown};
use crate::api::{AppliedUpdate, ChainlinkNodeStatus, Update, Updates};
use crate::domain::{Applied, Reason, Releases};
use crate::node::{NodeVersion, TagForm, supported};

/// The condition that a newer release is there.
pub(super) const UPDATE_AVAILABLE: &str = "UpdateAvailable";

/// What the status holds of releases.
pub(super) struct News {
    pub(super) update: Option<Update>,
    pub(super) applied: Option<AppliedUpdate>,
}

/// What is to stand in the status. A release that is applied by this pass is wanted from the next one on.
pub(super) fn news(report: &Report<'_>, old: &ChainlinkNodeStatus) -> News {
    let kept = Applied::of(report.node).release().cloned();
    let update = update(report, kept.as_ref(), old.update.as_ref());
    let taken = update.as_ref().and_then(|update| taken(report, update));
    let newest = newest(report, taken.as_ref());
    News {
        update: update.and_then(|update| left_of(update, newest.as_ref())),
        applied: taken.or(kept),
    }
}

/// The newer of `spec.version` and what was applied: what is proposed lies above.
fn newest(report: &Report<'_>, applied: Option<&AppliedUpdate>) -> Option<NodeVersion> {
    let asked = report.node.spec.version.parse().ok();
    asked.max(applied.and_then(|applied| applied.version.parse().ok()))
}

/// What was found in this pass, or what is still true of what was found before.
fn update(
    report: &Report<'_>,
    applied: Option<&AppliedUpdate>,
    before: Option<&Update>,
) -> Option<Update> {
    match report.releases.as_ref()? {
        Releases::Known(update) => update.as_deref().cloned(),
        Releases::Unknown(Reason::UpdatesInvalid, _) => None,
        Releases::NotYet | Releases::Unknown(..) => {
            left_of(before?.clone(), newest(report, applied).as_ref())
        }
    }
}

/// What is left of an update where all up to a version has been taken. Since when newer ones are seen is not forgotten.
fn left_of(update: Update, taken: Option<&NodeVersion>) -> Option<Update> {
    let is_newer = |version: &str| version.parse::<NodeVersion>().ok().as_ref() > taken;
    if is_newer(&update.version) {
        return Some(update);
    }
    let newer = update.newer.into_iter();
    let mut newer = newer.filter(|seen| is_newer(&seen.version));
    let first = newer.next()?;
    Some(Update {
        version: first.version,
        digest: None,
        first_seen: first.first_seen,
        proposed_at: None,
        newer: newer.collect(),
    })
}

/// The release that is applied by this pass. It begins with a node that works: the first pods are of the spec's own version,
/// and so are those after `replicas: 0` of a resource that had applied none.
fn taken(report: &Report<'_>, update: &Update) -> Option<AppliedUpdate> {
    let works = report.plan.memory.last_worked.is_some() && report.seen.intent.replicas > 0;
    let is_fresh = matches!(report.releases, Some(Releases::Known(_)));
    if !are_applied(report) || !works || !is_fresh {
        return None;
    }
    update.proposed_at?;
    let spec = &report.node.spec;
    let image = spec.image.clone().unwrap_or_default();
    let form = TagForm::of(image.tag.as_deref(), &spec.version.parse().ok()?)?;
    Some(AppliedUpdate {
        tag: form.tag(&update.version),
        version: update.version.clone(),
        repository: image.repository().to_owned(),
        digest: update.digest.clone()?,
        applied_at: Some(report.now),
    })
}

fn are_applied(report: &Report<'_>) -> bool {
    let updates = report.node.spec.updates.as_ref();
    updates.is_some_and(Updates::are_applied)
}

/// There only where the spec asks for updates, or has asked for one that runs.
pub(super) fn update_available(
    report: &Report<'_>,
    news: &News,
    old: &[Condition],
) -> Option<Said> {
    let found = news.update.as_ref().map(|update| of_update(report, update));
    let applied = news.applied.as_ref().map(|applied| {
        let message = instead(report, applied);
        said(UPDATE_AVAILABLE, false, Reason::UpdateApplied, message)
    });
    Some(match (report.releases.as_ref(), found) {
        (None, _) => applied?,
        (Some(Releases::Unknown(reason, message)), found) => {
            let before = found.map_or_else(String::new, |found| {
                format!(". Seen before: {}", found.message)
            });
            let applied = applied.map_or_else(String::new, |said| format!(". {}", said.message));
            unknown(
                UPDATE_AVAILABLE,
                reason,
                format!("{message}{before}{applied}"),
            )
        }
        (_, Some(found)) => found,
        (_, None) if applied.is_some() => applied?,
        (Some(Releases::Known(None)), None) => up_to_date(report),
        (Some(Releases::Known(Some(_)) | Releases::NotYet), None) => {
            let known = old.iter().find(|one| one.type_ == UPDATE_AVAILABLE);
            if known.is_some_and(|known| known.reason == Reason::UpToDate) {
                up_to_date(report)
            } else {
                unknown(
                    UPDATE_AVAILABLE,
                    Reason::RegistryNotAsked,
                    "the registry has not answered yet",
                )
            }
        }
    })
}

fn up_to_date(report: &Report<'_>) -> Said {
    let message = format!(
        "the registry has no release newer than {} in the range of spec.updates",
        report.node.spec.version
    );
    said(UPDATE_AVAILABLE, false, Reason::UpToDate, message)
}

/// What runs in place of the spec's version, and how the spec comes to say the same.
fn instead(report: &Report<'_>, applied: &AppliedUpdate) -> String {
    let AppliedUpdate {
        version, digest, ..
    } = applied;
    let since = applied
        .applied_at
        .map_or_else(String::new, |at| format!(" since {at}"));
    let spec = &report.node.spec;
    let left = if are_applied(report) {
        ""
    } else {
        ". Releases are not applied any more, and nothing goes back by itself"
    };
    format!(
        "{version} ({}) is applied in place of spec.version {}{since}{left}. For the spec to say the same, which changes no pod, write spec.version: {version}{}, spec.image.digest: {digest}",
        applied.image(),
        spec.version,
        tag_to_write(report, version)
    )
}

fn of_update(report: &Report<'_>, update: &Update) -> Said {
    let Update {
        version,
        first_seen,
        ..
    } = update;
    if update.proposed_at.is_none() {
        let age = report.node.spec.updates.as_ref();
        let age = age.and_then(|updates| updates.minimum_age.as_deref());
        let follows = if are_applied(report) {
            "applied"
        } else {
            "proposed"
        };
        let message = format!(
            "{version} is there, first seen at {first_seen}: it is {follows} once it was seen for {}",
            age.unwrap_or("a look at the registry")
        );
        return said(UPDATE_AVAILABLE, false, Reason::UpdateTooYoung, message);
    }
    said(
        UPDATE_AVAILABLE,
        true,
        Reason::NewerRelease,
        proposal(report, update),
    )
}

/// What to write of the tag, where the spec has one.
fn tag_to_write(report: &Report<'_>, version: &str) -> String {
    let spec = &report.node.spec;
    let tag = spec.image.as_ref().and_then(|image| image.tag.as_deref());
    let asked: Option<NodeVersion> = spec.version.parse().ok();
    let form = asked.and_then(|asked| TagForm::of(tag, &asked));
    tag.and(form).map_or_else(String::new, |form| {
        format!(", spec.image.tag: {}", form.tag(version))
    })
}

/// What to write.
fn proposal(report: &Report<'_>, update: &Update) -> String {
    let spec = &report.node.spec;
    let Update {
        version,
        first_seen,
        ..
    } = update;
    let image = spec.image.clone().unwrap_or_default();
    let tag = tag_to_write(report, version);
    let digest = match &update.digest {
        Some(digest) if image.digest.is_some() => format!(", spec.image.digest: {digest}"),
        Some(digest) => format!(" (its digest is {digest})"),
        None => String::new(),
    };
    let known = version.parse().ok().as_ref().and_then(supported::unknown);
    let known = known.map_or_else(String::new, |unknown| format!(". {unknown}"));
    let by_itself = if are_applied(report) {
        "It is applied once a pod has worked. "
    } else {
        ""
    };
    format!(
        "{version} is there, first seen at {first_seen}, and spec.version is {}. {by_itself}To take it write spec.version: {version}{tag}{digest}, after its release notes were read{known}",
        spec.version
    )
}

/// What to tell once: a release is proposed that was not before, or its tag leads to another image than it did.
pub(super) fn found(
    report: &Report<'_>,
    old: &ChainlinkNodeStatus,
    new: &ChainlinkNodeStatus,
) -> Option<String> {
    let update = new.update.as_ref()?;
    let proposed = update.proposed_at?;
    let known = old.update.as_ref().and_then(|old| old.proposed_at);
    (known != Some(proposed)).then(|| proposal(report, update))
}

/// What to tell once: a release is applied. That of a restored resource was before.
pub(super) fn newly_applied(report: &Report<'_>, new: &ChainlinkNodeStatus) -> Option<String> {
    let applied = new.applied.as_ref()?;
    let known = Applied::of(report.node);
    (known.release() != Some(applied)).then(|| {
        format!(
            "{}. It is rolled out by the rules of every change: spec.handover says when",
            instead(report, applied)
        )
    })
}
