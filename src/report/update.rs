//! `UpdateAvailable` and `status.update`: which of a registry's tags is proposed, since when, and how that is told.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::basis::Report;
use super::said::{Said, said, unknown};
use crate::api::{
    ChainlinkNodeSpec, ChainlinkNodeStatus, SHORTEST_INTERVAL, SeenRelease, Update, parse_duration,
};
use crate::domain::{Reason, Releases};
use crate::node::{NodeVersion, Range, supported};

/// The condition that a newer release is there.
pub(super) const UPDATE_AVAILABLE: &str = "UpdateAvailable";

/// Releases that wait for their age beside the one that comes first. What is more is noted when one of them has left.
const MOST_WAITING: usize = 16;

/// What a spec asks of the tags of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    range: Option<Range>,
    /// What `spec.version` says.
    above: NodeVersion,
    form: TagForm,
    minimum_age: Duration,
}

/// How the tags of the image are written around their version: `v2.29.0-root`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TagForm {
    leading_v: bool,
    /// With its hyphen.
    flavour: String,
}

impl TagForm {
    fn of(tag: Option<&str>, version: &NodeVersion) -> Option<Self> {
        let Some(tag) = tag else {
            return Some(Self::default());
        };
        let rest = tag.strip_prefix('v').unwrap_or(tag);
        let flavour = rest.strip_prefix(&version.to_string())?;
        (NodeVersion::parse_tag(tag)? == *version).then(|| Self {
            leading_v: rest != tag,
            flavour: flavour.to_owned(),
        })
    }

    fn tag(&self, version: &str) -> String {
        let v = if self.leading_v { "v" } else { "" };
        format!("{v}{version}{}", self.flavour)
    }

    /// The version that a tag of this form names.
    fn version(&self, tag: &str) -> Option<NodeVersion> {
        let rest = if self.leading_v {
            tag.strip_prefix('v')?
        } else {
            tag
        };
        let version = rest.strip_suffix(self.flavour.as_str())?;
        let named = NodeVersion::parse_tag(version)?;
        // `2.29.0-root` is another tag than that of 2.29.0.
        (self.tag(&named.to_string()) == tag).then_some(named)
    }
}

/// A release that comes into question, before its digest is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub tag: String,
    version: NodeVersion,
    first_seen: Timestamp,
    newer: Vec<SeenRelease>,
}

impl Wish {
    /// What `spec.updates` asks for; or why nothing can be made of it, and what to write instead. It holds no pod up: what
    /// only tells must be in nobody's way.
    pub fn read(spec: &ChainlinkNodeSpec) -> Result<Self, String> {
        let updates = spec.updates.clone().unwrap_or_default();
        let time = |field: &str, text: Option<&str>| {
            let read = text.map(parse_duration).transpose();
            read.map_err(|error| format!("spec.updates.{field}: {error}"))
        };
        let interval = time("interval", updates.interval.as_deref())?;
        if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
            return Err("spec.updates.interval is too short, as a registry counts each look: write 5m or more".to_owned());
        }
        let minimum_age = time("minimumAge", updates.minimum_age.as_deref())?;
        let range = updates
            .range
            .as_deref()
            .map(str::parse::<Range>)
            .transpose();
        let range = range.map_err(|error| format!("spec.updates.range: {error}"))?;
        let above: NodeVersion = spec
            .version
            .parse()
            .map_err(|error| format!("spec.version: {error}"))?;
        let tag = spec.image.as_ref().and_then(|image| image.tag.as_deref());
        let form = TagForm::of(tag, &above).ok_or_else(|| {
            format!(
                "spec.image.tag {} is not the version with a leading v or one of the flavours -root, -nonroot and -plugins, so that no tag of a newer release can be told from it: leave spec.image.tag or spec.updates out",
                tag.unwrap_or_default()
            )
        })?;
        Ok(Self {
            range,
            above,
            form,
            minimum_age: minimum_age.unwrap_or_default(),
        })
    }

    /// The release that is proposed, or the first that will be once it was seen for `minimumAge`. `before` knows since when
    /// they are seen; those whose tags are `gone` are passed over.
    pub fn choose(
        &self,
        tags: &[String],
        gone: &[String],
        before: Option<&Update>,
        now: Timestamp,
    ) -> Option<Candidate> {
        let wanted = |version: &NodeVersion| match &self.range {
            Some(range) => range.contains(version),
            None => !version.is_prerelease(),
        };
        let mut all: Vec<(NodeVersion, Timestamp)> = tags
            .iter()
            .filter(|tag| !gone.contains(tag))
            .filter_map(|tag| self.form.version(tag))
            .filter(|version| *version > self.above && wanted(version))
            .map(|version| {
                let seen = first_seen(&version, before).unwrap_or(now);
                (version, seen)
            })
            .collect();
        all.sort();
        all.dedup_by(|one, other| one.0 == other.0);
        let aged = all.iter().filter(|(_, seen)| self.is_aged(*seen, now));
        // Of those that all are too young, the one that was seen first is the first to be proposed.
        let next = aged.max_by(|one, other| one.0.cmp(&other.0)).or_else(|| {
            all.iter()
                .min_by(|one, other| one.1.cmp(&other.1).then(other.0.cmp(&one.0)))
        });
        let (version, seen) = next?.clone();
        let newer = all.into_iter().filter(|(other, _)| *other > version);
        Some(Candidate {
            tag: self.form.tag(&version.to_string()),
            newer: newer
                .take(MOST_WAITING)
                .map(|(version, first_seen)| SeenRelease {
                    version: version.to_string(),
                    first_seen,
                })
                .collect(),
            first_seen: seen,
            version,
        })
    }

    /// A candidate, now that its digest is known. A tag that leads to another image than before is a release that nobody has
    /// seen yet.
    #[must_use]
    pub fn with_digest(
        &self,
        candidate: Candidate,
        digest: String,
        before: Option<&Update>,
        now: Timestamp,
    ) -> Update {
        let version = candidate.version.to_string();
        let same = before.filter(|before| before.version == version);
        let moved = same
            .and_then(|same| same.digest.as_ref())
            .is_some_and(|known| *known != digest);
        let first_seen = if moved { now } else { candidate.first_seen };
        let proposed = same.filter(|_| !moved).and_then(|same| same.proposed_at);
        Update {
            proposed_at: self
                .is_aged(first_seen, now)
                .then(|| proposed.unwrap_or(now)),
            version,
            digest: Some(digest),
            first_seen,
            newer: candidate.newer,
        }
    }

    fn is_aged(&self, seen: Timestamp, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(seen)).unwrap_or_default() >= self.minimum_age
    }
}

/// When a release was seen first, as far as is known.
fn first_seen(version: &NodeVersion, before: Option<&Update>) -> Option<Timestamp> {
    let before = before?;
    let version = version.to_string();
    let newer = before.newer.iter().find(|seen| seen.version == version);
    let first = (before.version == version).then_some(before.first_seen);
    first.or_else(|| newer.map(|seen| seen.first_seen))
}

/// `status.update`: what was found in this pass, or what is still true of what was found before.
pub(super) fn update(report: &Report<'_>, before: Option<&Update>) -> Option<Update> {
    match report.releases.as_ref()? {
        Releases::Known(update) => update.as_deref().cloned(),
        Releases::Unknown(Reason::UpdatesInvalid, _) => None,
        Releases::NotYet | Releases::Unknown(..) => {
            let above: Option<NodeVersion> = report.node.spec.version.parse().ok();
            let is_newer = |update: &&Update| {
                let version: Option<NodeVersion> = update.version.parse().ok();
                version > above
            };
            before.filter(is_newer).cloned()
        }
    }
}

/// There only where the spec asks for updates.
pub(super) fn update_available(
    report: &Report<'_>,
    update: Option<&Update>,
    old: &[Condition],
) -> Option<Said> {
    let found = update.map(|update| of_update(report, update));
    Some(match (report.releases.as_ref()?, found) {
        (Releases::Unknown(reason, message), found) => {
            let found = found.map_or_else(String::new, |found| {
                format!(". Seen before: {}", found.message)
            });
            unknown(UPDATE_AVAILABLE, reason, format!("{message}{found}"))
        }
        (_, Some(found)) => found,
        (Releases::Known(None), None) => up_to_date(report),
        (Releases::Known(Some(_)) | Releases::NotYet, None) => {
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

fn of_update(report: &Report<'_>, update: &Update) -> Said {
    let Update {
        version,
        first_seen,
        ..
    } = update;
    if update.proposed_at.is_none() {
        let age = report.node.spec.updates.as_ref();
        let age = age.and_then(|updates| updates.minimum_age.as_deref());
        let message = format!(
            "{version} is there, first seen at {first_seen}: it is proposed once it was seen for {}",
            age.unwrap_or_default()
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

/// What to write.
fn proposal(report: &Report<'_>, update: &Update) -> String {
    let spec = &report.node.spec;
    let Update {
        version,
        first_seen,
        ..
    } = update;
    let image = spec.image.clone().unwrap_or_default();
    let above: Option<NodeVersion> = spec.version.parse().ok();
    let form = above.and_then(|above| TagForm::of(image.tag.as_deref(), &above));
    let tag = image.tag.and(form).map(|form| form.tag(version));
    let tag = tag.map_or_else(String::new, |tag| format!(", spec.image.tag: {tag}"));
    let digest = match &update.digest {
        Some(digest) if image.digest.is_some() => format!(", spec.image.digest: {digest}"),
        Some(digest) => format!(" (its digest is {digest})"),
        None => String::new(),
    };
    let known = version.parse().ok().as_ref().and_then(supported::unknown);
    let known = known.map_or_else(String::new, |unknown| format!(". {unknown}"));
    format!(
        "{version} is there, first seen at {first_seen}, and spec.version is {}. To take it write spec.version: {version}{tag}{digest}, after its release notes were read{known}",
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
