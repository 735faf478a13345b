//! Which of a registry's tags a spec asks for, and since when.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{
    AppliedUpdate, ChainlinkNodeSpec, SHORTEST_INTERVAL, SeenRelease, Update, parse_duration,
};
use crate::node::{NodeVersion, Range, ReleaseTag, TagForm};

/// Releases that wait for their age beside the one that comes first. What is more is noted when one of them has left.
const MOST_WAITING: usize = 16;

/// What a spec asks of the tags of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    range: Option<Range>,
    /// What `spec.version` says, or what was applied in its place.
    above: NodeVersion,
    form: TagForm,
    minimum_age: Duration,
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
        if updates.are_applied() && !range.as_ref().is_some_and(Range::has_upper_bound) {
            return Err(unbounded(&above));
        }
        if above.is_variant() {
            return Err(format!(
                "spec.version {above} has a suffix of its own, and the tags of releases are no newer ones of it: leave spec.updates out"
            ));
        }
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

    /// The same, where this release was applied: what is proposed is newer than it.
    #[must_use]
    pub fn beyond(mut self, applied: Option<&AppliedUpdate>) -> Self {
        let applied = applied.and_then(|applied| applied.version.parse().ok());
        self.above = applied.map_or(self.above.clone(), |applied| self.above.max(applied));
        self
    }

    /// The release that is proposed, or the first that will be once it was seen for `minimumAge`. `before` knows since when
    /// they are seen; those whose tags are `gone` are passed over.
    pub fn choose(
        &self,
        tags: &[ReleaseTag],
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
            .filter(|tag| *tag.version() > self.above && wanted(tag.version()))
            .filter(|tag| self.form.is_of(tag) && !gone.iter().any(|gone| gone == tag.text()))
            .map(|tag| {
                let version = tag.version().clone();
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

/// Without an upper bound the next major release would be taken, whatever it asks of whom.
fn unbounded(above: &NodeVersion) -> String {
    let next = above.major() + 1;
    format!(
        "spec.updates.policy: Apply needs a spec.updates.range with an upper bound, so that no release is taken that nobody has thought of: write one such as `>={above} <{next}.0.0`; or leave the policy out, and releases are told alone"
    )
}
