//! `spec.updates` and `status.update`: which releases are looked for, and what was found.

use std::time::Duration;

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::parse_duration;
use super::schema;

/// Between two looks, where the spec does not say.
const INTERVAL: Duration = Duration::from_secs(3600);

/// The least that can be between two looks: a registry counts them.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(300);

/// Newer releases are looked for in the registry of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.interval) || self.interval.matches('^([0-9]+[hms])+$')").message("interval is a duration: write a number with a unit, such as 1h or 30m").field_path(".interval"))]
#[x_kube(validation = Rule::new("!has(self.interval) || !self.interval.matches('^(0*[1-2]?[0-9]?[0-9]s|0*[0-4]m(0*[0-5]?[0-9]s)?)$')").message("interval is too short, as a registry counts each look: write 5m or more").field_path(".interval"))]
#[x_kube(validation = Rule::new("!has(self.minimumAge) || self.minimumAge.matches('^([0-9]+[hms])+$')").message("minimumAge is a duration: write a number with a unit, such as 72h").field_path(".minimumAge"))]
#[x_kube(validation = Rule::new("!has(self.range) || self.range.matches('^[-0-9A-Za-z.*^~<>=!|, ]+$')").message("range is one of versions: write comparisons with a space between them, such as \">=2.29.0 <3.0.0\", \"2.x\" or \"~2.29\"").field_path(".range"))]
#[x_kube(validation = Rule::new("!has(self.policy) || self.policy != 'Apply' || has(self.range)").message("policy: Apply needs a range with an upper bound, so that no release is taken that nobody has thought of: write one such as \">=2.29.0 <3.0.0\"").field_path(".range"))]
pub struct Updates {
    /// Which versions are proposed, as the range of a Flux `ImagePolicy`: `>=2.29.0 <3.0.0`, `2.x`, `~2.29`. Betas and release
    /// candidates only where it names one (`>=2.30.0-0`). Default: every release that is newer than `spec.version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub range: Option<String>,
    /// Between two looks at the registry: a number with a unit (s, m or h), 5m or more. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub interval: Option<String>,
    /// How long a release has to have been seen before it is proposed: a number with a unit (s, m or h). Default: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub minimum_age: Option<String>,
    /// What follows. `Tell`: the condition `UpdateAvailable` and `status.update` name the release, and a person or a tool
    /// writes it into the spec. `Apply`: the operator runs it in place of `spec.version`, by its digest and the ordinary rules
    /// of a rollout, and writes nothing into the spec; it needs a `range` with an upper bound. Default: `Tell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<UpdatePolicy>,
}

/// What follows where a newer release is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
pub enum UpdatePolicy {
    /// It is told (default).
    #[default]
    Tell,
    /// It is run in place of `spec.version`.
    Apply,
}

impl Updates {
    /// Whether the operator takes releases by itself.
    #[must_use]
    pub fn are_applied(&self) -> bool {
        self.policy == Some(UpdatePolicy::Apply)
    }

    /// Between two looks. One that can't be read, or is too short, is taken for the default.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let given = self
            .interval
            .as_deref()
            .and_then(|text| parse_duration(text).ok());
        given
            .filter(|given| *given >= SHORTEST_INTERVAL)
            .unwrap_or(INTERVAL)
    }
}

/// A newer release that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Its version, for `spec.version`.
    pub version: String,
    /// What its tag names in the registry, for `spec.image.digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the operator saw it first, under this digest.
    pub first_seen: Timestamp,
    /// Since when it is proposed; absent while it waits for `minimumAge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_at: Option<Timestamp>,
    /// Newer ones that still wait for `minimumAge`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<SeenRelease>,
}

/// A release, and when it was seen first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeenRelease {
    pub version: String,
    pub first_seen: Timestamp,
}

/// The release that the operator runs in place of `spec.version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedUpdate {
    /// Its version.
    pub version: String,
    /// The image that it was found in, as `spec.image.repository` named it.
    pub repository: String,
    /// The tag that it was found by.
    pub tag: String,
    /// What the tag named then: the image that runs.
    pub digest: String,
    /// When it was applied; absent where a restored resource has only its annotation left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
}

impl AppliedUpdate {
    /// The image, as the annotation has it.
    #[must_use]
    pub fn image(&self) -> String {
        let Self {
            repository,
            tag,
            digest,
            ..
        } = self;
        format!("{repository}:{tag}@{digest}")
    }
}
