//! Chainlink's version, and what follows from it.

use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};
use serde::{Deserialize, Serialize};

use super::lock::LockMode;

/// Chainlink's version: semver, without a leading `v`.
///
/// Ordered as semver orders it, which is also how the node compares itself with its database
/// (patch releases and pre-releases included).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeVersion(Version);

/// How a node is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConfigStyle {
    /// By environment variables alone: before 2.0.
    Environment,
    /// By TOML files: from 1.11 on, and the only way from 2.0 on.
    Toml,
}

/// Why a text is not a version, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// A leading `v`, as tags and git have it.
    #[error("`{text}` starts with `v`: write `{instead}`")]
    LeadingV { text: String, instead: String },
    /// `latest` and other words.
    #[error(
        "`{0}` is not a version: write the release in full, such as `2.29.0` \
         (a floating tag would change what a pod runs without anyone asking)"
    )]
    NotAVersion(String),
    /// `2.29`: which patch release is not said.
    #[error("`{0}` is not a full version: write all three numbers, such as `{0}.0`")]
    Partial(String),
    /// `2.29.0-root`: a flavour of the image, not a release.
    #[error(
        "`{text}` names a flavour of the image: write `{instead}` and put the tag into spec.image.tag"
    )]
    ImageFlavour { text: String, instead: String },
    /// `2.29.0+build`: semver ignores it, an image tag can't hold it.
    #[error("`{text}` has build metadata: write `{instead}`")]
    BuildMetadata { text: String, instead: String },
}

/// Suffixes of image tags that name how the image was built, not what release is in it.
const IMAGE_FLAVOURS: [&str; 3] = ["root", "nonroot", "plugins"];

impl NodeVersion {
    /// The release that an image's tag names: `2.29.0`, `v2.29.0`, `2.29.0-root`, a beta or a
    /// release candidate. Never inferred from a tag of another shape.
    #[must_use]
    pub fn parse_tag(tag: &str) -> Option<Self> {
        Self::named_by(tag).filter(|version| !version.is_variant())
    }

    /// What an image's tag names, without its flavour: a release, or a variant of one (`2.74.0-ccip`).
    #[must_use]
    pub fn named_by(tag: &str) -> Option<Self> {
        let mut version = Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
        if let Some(flavour) = image_flavour(&version) {
            version.pre = without_flavour(&version, flavour)?;
        }
        version.build.is_empty().then_some(Self(version))
    }

    /// Whether its suffix is another than that of a stage before a release: `2.34.0-ccip`, or a build of somebody's own.
    ///
    /// Such an image may bear the suffix in its own name (`2.17.0-ccip1.5.16` in `package.json` of smartcontractkit/ccip),
    /// or the release's. By semver, and so for the node (`core/services/versioning`, `CheckVersion`), a variant is older
    /// than its release.
    #[must_use]
    pub fn is_variant(&self) -> bool {
        let stages = ["alpha", "beta", "rc"];
        self.is_prerelease() && !stages.iter().any(|stage| self.0.pre.starts_with(stage))
    }

    /// Whether a node of this version may call itself `said`, in its log and in `node_versions`.
    ///
    /// An image of a beta or a release candidate calls itself by the release that it is for: `static.Version` is
    /// that of `package.json`, without the suffix (`v2.23.0:tools/bin/ldflags`; from 2.29 on the suffix is kept apart in
    /// `static.VersionTag`).
    #[must_use]
    pub fn may_call_itself(&self, said: &Self) -> bool {
        said == self || *said == self.release()
    }

    /// Whether a database that names `by` in `node_versions` is too new for a node of this version, which compares by
    /// semver (`core/services/versioning`, `CheckVersion`).
    ///
    /// Of two versions of specs the order stays semver's, a beta before its release: that is never laxer than the
    /// node, for which a release and its betas are one. Only here, where the word is the node's own, a beta stands for
    /// its release, as it has written that itself. A variant stands for itself.
    #[must_use]
    pub fn is_too_old_for(&self, by: &Self) -> bool {
        if self.is_variant() {
            by > self
        } else {
            self.is_too_old_to_return_to(by)
        }
    }

    /// The same for a version that has worked on the database: a variant that calls itself by its release has written that.
    #[must_use]
    pub fn is_too_old_to_return_to(&self, by: &Self) -> bool {
        *by > self.release()
    }

    /// Whether an image whose tag names `tagged` may be run as this version: it is the same release, and where both have
    /// a suffix, the tag's is this one, or this one and more behind a hyphen.
    #[must_use]
    pub fn fits_tag(&self, tagged: &Self) -> bool {
        let (wanted, tag) = (self.0.pre.as_str(), tagged.0.pre.as_str());
        let more = tag.strip_prefix(wanted);
        self.release() == tagged.release()
            && (wanted.is_empty()
                || tag.is_empty()
                || more.is_some_and(|more| more.is_empty() || more.starts_with('-')))
    }

    /// Without its suffix.
    fn release(&self) -> Self {
        let mut version = self.0.clone();
        version.pre = Prerelease::EMPTY;
        Self(version)
    }

    /// Whether the node can be configured by TOML: from 1.11 on (1.10 had it in parts).
    #[must_use]
    pub fn supports_toml(&self) -> bool {
        self.at_least(1, 11)
    }

    /// Whether the node can be configured by environment variables alone: before 2.0.
    #[must_use]
    pub fn supports_environment(&self) -> bool {
        !self.at_least(2, 0)
    }

    /// Whether the node reads TOML from `CL_CONFIG`, applied after every file: from 1.13 on.
    /// 1.11 and 1.12 need a last file instead.
    #[must_use]
    pub fn reads_cl_config(&self) -> bool {
        self.at_least(1, 13)
    }

    /// Whether `DATABASE_LOCKING_MODE` is known: from 1.1 on (`v1.1.0:core/config/schema.go`).
    #[must_use]
    pub fn knows_locking_mode(&self) -> bool {
        self.at_least(1, 1)
    }

    /// Whether the `application_name` of its sessions is known to be `Chainlink <version> |App|<id>`: from 1.1 on.
    #[must_use]
    pub fn names_its_sessions(&self) -> bool {
        self.at_least(1, 1)
    }

    /// Whether `LOG_FILE_MAX_SIZE` turns the log file off (1.3 on) and not `LOG_TO_DISK`
    /// (`CHANGELOG.md` of 1.3.0).
    #[must_use]
    pub fn limits_log_file(&self) -> bool {
        self.at_least(1, 3)
    }

    /// Whether it keeps values in its user's home folder (`OCR2.KeyValueStoreRootDir = '~/.chainlink-data'`): from 2.30 on
    /// (read; 2.29.0 does not know the key).
    #[must_use]
    pub fn keeps_values_at_home(&self) -> bool {
        self.at_least(2, 30)
    }

    /// Whether `WebServer.ListenIP` is known: from 2.3 on (upstream pull request 9621, merged in
    /// June 2023; read, not run).
    #[must_use]
    pub fn knows_listen_ip(&self) -> bool {
        self.at_least(2, 3)
    }

    /// Whether `-s` may be given more than once: from 2.4 on (its release notes; read, not run).
    #[must_use]
    pub fn reads_several_secrets_files(&self) -> bool {
        self.at_least(2, 4)
    }

    /// Whether the command line starts with `node` (2.0 on) and not with files or `local`.
    #[must_use]
    pub fn has_node_command(&self) -> bool {
        self.at_least(2, 0)
    }

    /// The lock that the node takes when nothing is said.
    ///
    /// `advisorylock` up to 1.2, `dual` from 1.3 on (`v1.1.0:core/config/schema.go`,
    /// `v1.13.3:core/config/envvar/schema.go`); with TOML always `lease`.
    #[must_use]
    pub fn default_lock(&self, style: ConfigStyle) -> LockMode {
        match style {
            ConfigStyle::Toml => LockMode::Lease,
            ConfigStyle::Environment if self.at_least(1, 3) => LockMode::Dual,
            ConfigStyle::Environment => LockMode::Advisory,
        }
    }

    /// The locks that the node can be told to take.
    #[must_use]
    pub fn lock_modes(&self, style: ConfigStyle) -> &'static [LockMode] {
        match style {
            ConfigStyle::Toml => &[LockMode::Lease],
            ConfigStyle::Environment if self.knows_locking_mode() => &LockMode::ALL,
            ConfigStyle::Environment => &[LockMode::Advisory],
        }
    }

    /// Whether the waiting line may be printed for another reason than a held lock (a read-only
    /// server, a missing right): from 1.3 on every error but a closed connection is swallowed.
    #[must_use]
    pub fn waiting_line_may_lie(&self) -> bool {
        self.at_least(1, 3)
    }

    /// Whether a lie is told silently. Up to 2.1.1 each failed try also logs an ERROR (measured
    /// on 1.11.0 to 2.1.1); from 2.15 nothing is logged (measured). What lies between was not
    /// measured and is taken for silent.
    #[must_use]
    pub fn lies_silently(&self) -> bool {
        self.waiting_line_may_lie() && (self.0.major, self.0.minor, self.0.patch) > (2, 1, 1)
    }

    /// Whether the configuration is checked only **after** the lock is taken: from 2.30 on (read,
    /// not run). A standby with an invalid one looks healthy and fails when it wins.
    #[must_use]
    pub fn validates_after_lock(&self) -> bool {
        self.at_least(2, 30)
    }

    /// The oldest `PostgreSQL` that the node starts on, where the operator goes by one: 15 from 2.66 on (its release notes).
    /// Before it is 12 in effect (read), which nobody runs any more.
    #[must_use]
    pub fn oldest_postgres(&self) -> Option<u32> {
        self.at_least(2, 66).then_some(15)
    }

    /// The `pg_dump` in upstream's images, at most: 16 until the middle of 2026, which is 2.53, then 17 (read in the image's
    /// recipe; between which two releases it changed was not seen).
    #[must_use]
    pub fn newest_dump_tool(&self) -> u32 {
        if self.at_least(2, 54) { 17 } else { 16 }
    }

    /// The first of its numbers.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.major
    }

    pub(super) fn semver(&self) -> &Version {
        &self.0
    }

    /// Whether it is a beta, a release candidate or the like.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The first two numbers.
    #[must_use]
    pub fn major_and_minor(&self) -> (u64, u64) {
        (self.0.major, self.0.minor)
    }

    fn at_least(&self, major: u64, minor: u64) -> bool {
        (self.0.major, self.0.minor) >= (major, minor)
    }
}

/// The flavour that a tag's last part names.
fn image_flavour(version: &Version) -> Option<&'static str> {
    let last = version.pre.rsplit('-').next()?;
    IMAGE_FLAVOURS.into_iter().find(|flavour| *flavour == last)
}

fn without_flavour(version: &Version, flavour: &str) -> Option<Prerelease> {
    let rest = version.pre.strip_suffix(flavour)?;
    Prerelease::new(rest.trim_end_matches('-')).ok()
}

impl FromStr for NodeVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.to_owned();
        if let Some(rest) = text.strip_prefix('v')
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(VersionError::LeadingV {
                text: owned(),
                instead: rest.to_owned(),
            });
        }
        let numbers: Vec<_> = text.split('.').collect();
        if numbers.len() < 3 && numbers.iter().all(|part| part.parse::<u64>().is_ok()) {
            return Err(VersionError::Partial(owned()));
        }
        let mut version = Version::parse(text).map_err(|_| VersionError::NotAVersion(owned()))?;
        if !version.build.is_empty() {
            version.build = BuildMetadata::EMPTY;
            return Err(VersionError::BuildMetadata {
                text: owned(),
                instead: version.to_string(),
            });
        }
        if let Some(flavour) = image_flavour(&version) {
            version.pre = without_flavour(&version, flavour).unwrap_or(Prerelease::EMPTY);
            return Err(VersionError::ImageFlavour {
                text: owned(),
                instead: version.to_string(),
            });
        }
        Ok(Self(version))
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for NodeVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NodeVersion> for String {
    fn from(version: NodeVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> NodeVersion {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<NodeVersion>().unwrap_err().to_string()
    }

    #[test]
    fn a_release_is_written_in_full() {
        for text in ["0.10.15", "1.13.3", "2.29.0", "2.30.1-beta.2", "2.10.0-rc0"] {
            assert_eq!(version(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_release_is_refused_with_what_to_write() {
        assert_eq!(
            refusal("v2.29.0"),
            "`v2.29.0` starts with `v`: write `2.29.0`"
        );
        assert_eq!(refusal("v2.1"), "`v2.1` starts with `v`: write `2.1`");
        assert_eq!(
            refusal("2.1"),
            "`2.1` is not a full version: write all three numbers, such as `2.1.0`"
        );
        assert_eq!(
            refusal("2.29.0-root"),
            "`2.29.0-root` names a flavour of the image: write `2.29.0` and put the tag into \
             spec.image.tag"
        );
        assert_eq!(
            refusal("2.29.0+abc"),
            "`2.29.0+abc` has build metadata: write `2.29.0`"
        );
        for text in [
            "latest",
            "",
            "2.29.x",
            "2.29.0.1",
            " 2.29.0",
            "sha256:abc",
            "v",
        ] {
            assert!(
                refusal(text).contains("write the release in full, such as `2.29.0`"),
                "{text}: {}",
                refusal(text)
            );
        }
    }

    #[test]
    fn a_tag_names_a_version_only_in_known_shapes() {
        let read = |tag| NodeVersion::parse_tag(tag).map(|version| version.to_string());

        assert_eq!(read("2.29.0").as_deref(), Some("2.29.0"));
        assert_eq!(read("v2.29.0").as_deref(), Some("2.29.0"));
        assert_eq!(read("2.29.0-root").as_deref(), Some("2.29.0"));
        assert_eq!(read("2.29.0-beta.1-root").as_deref(), Some("2.29.0-beta.1"));
        assert_eq!(read("2.29.0-rc0").as_deref(), Some("2.29.0-rc0"));
        for tag in [
            "latest",
            "2.29",
            "2",
            "",
            "develop",
            "2.29.0-mybuild",
            "2.29.0+x",
            "vv1.2.3",
        ] {
            assert_eq!(read(tag), None, "{tag}");
        }
    }

    #[test]
    fn order_is_that_of_semver_patches_and_betas_included() {
        let mut versions = ["2.10.0", "2.9.1", "2.10.0-beta.1", "1.13.3", "2.9.0"].map(version);
        versions.sort();

        assert_eq!(
            versions.map(|version| version.to_string()),
            ["1.13.3", "2.9.0", "2.9.1", "2.10.0-beta.1", "2.10.0"]
        );
    }

    #[test]
    fn a_beta_calls_itself_by_its_release_and_nothing_else_does() {
        let may = |one: &str, said: &str| version(one).may_call_itself(&version(said));
        assert!(may("2.29.0-beta.1", "2.29.0"));
        assert!(may("2.29.0-beta.1", "2.29.0-beta.1"));
        assert!(may("2.29.0", "2.29.0"));
        assert!(!may("2.29.0", "2.29.0-beta.1"));
        assert!(!may("2.29.0-beta.1", "2.29.0-beta.2"));
        assert!(!may("2.29.0-beta.1", "2.29.1"));

        let fits = |one: &str, tag: &str| version(one).fits_tag(&version(tag));
        assert!(fits("2.29.0", "2.29.0-rc0") && fits("2.29.0-rc0", "2.29.0"));
        assert!(!fits("2.29.0-beta.2", "2.29.0-beta.1") && !fits("2.29.0", "2.28.0"));
        assert!(!fits("2.29.0-beta.1", "2.29.0-beta.10"));
    }

    #[test]
    fn a_database_of_a_betas_own_release_is_not_too_new_for_it() {
        let too_old = |one: &str, by: &str| version(one).is_too_old_for(&version(by));
        assert!(!too_old("2.29.0-beta.1", "2.29.0"));
        assert!(!too_old("2.29.0", "2.29.0"));
        assert!(!too_old("2.29.0", "2.29.0-beta.1"));
        assert!(too_old("2.29.0-beta.1", "2.29.1"));
        assert!(too_old("2.28.1", "2.29.0-beta.1"));
        assert!(too_old("2.28.1", "2.28.2"));
    }

    #[test]
    fn a_variant_is_older_than_its_release_in_the_tag_as_in_the_version() {
        let named = |tag: &str| NodeVersion::named_by(tag).map(|version| version.to_string());
        for (tag, version) in [
            ("2.74.0-ccip", "2.74.0-ccip"),
            ("v2.74.0-ccip", "2.74.0-ccip"),
            ("2.74.0-ccip-root", "2.74.0-ccip"),
            ("2.17.0-ccip1.5.16", "2.17.0-ccip1.5.16"),
            ("2.29.0-mybuild", "2.29.0-mybuild"),
            ("2.29.0-root", "2.29.0"),
        ] {
            assert_eq!(named(tag).as_deref(), Some(version), "{tag}");
        }
        assert!(version("2.74.0-ccip") < version("2.74.0"));
        assert!(version("2.73.0") < version("2.74.0-ccip"));

        let fits = |one: &str, tag: &str| version(one).fits_tag(&version(tag));
        assert!(fits("2.74.0-ccip", "2.74.0-ccip") && fits("2.74.0", "2.74.0-ccip"));
        assert!(fits("2.74.0-ccip", "2.74.0-ccip-amd64") && fits("2.74.0", "2.74.0-mybuild"));
        assert!(!fits("2.73.0", "2.74.0-ccip") && !fits("2.73.0-ccip", "2.74.0-ccip"));
        assert!(!fits("2.17.0-ccip1.5", "2.17.0-ccip1.5.16"));
        assert!(!fits("2.74.0-ccip", "2.74.0-beta.1"));

        let ccip = version("2.74.0-ccip");
        assert!(ccip.is_variant() && !version("2.74.0-rc.1").is_variant());
        assert!(ccip.may_call_itself(&version("2.74.0")) && ccip.may_call_itself(&ccip));
        assert!(ccip.is_too_old_for(&version("2.74.0")) && !ccip.is_too_old_for(&ccip));
        assert!(!ccip.is_too_old_for(&version("2.73.0")));
        assert!(!ccip.is_too_old_to_return_to(&version("2.74.0")));
        assert!(ccip.is_too_old_to_return_to(&version("2.74.1")));
        assert!(!version("2.74.0").is_too_old_for(&ccip));
    }

    #[test]
    fn locks_follow_version_and_configuration() {
        use ConfigStyle::{Environment, Toml};
        use LockMode::{Advisory, Dual, Lease};
        let all: &[LockMode] = &[Dual, Lease, Advisory];

        for (text, style, default, offered) in [
            ("0.10.15", Environment, Advisory, &[Advisory][..]),
            ("1.0.1", Environment, Advisory, &[Advisory][..]),
            ("1.1.0", Environment, Advisory, all),
            ("1.2.1", Environment, Advisory, all),
            ("1.3.0", Environment, Dual, all),
            ("1.13.3", Environment, Dual, all),
            ("1.13.3", Toml, Lease, &[Lease][..]),
            ("2.29.0", Toml, Lease, &[Lease][..]),
        ] {
            assert_eq!(version(text).default_lock(style), default, "{text}");
            assert_eq!(version(text).lock_modes(style), offered, "{text}");
        }
    }

    #[test]
    fn configuration_follows_the_version() {
        let read = |text| {
            let version = version(text);
            (
                version.supports_environment(),
                version.supports_toml(),
                version.reads_cl_config(),
            )
        };

        assert_eq!(read("1.10.0"), (true, false, false));
        assert_eq!(read("1.11.0"), (true, true, false));
        assert_eq!(read("1.12.0"), (true, true, false));
        assert_eq!(read("1.13.0"), (true, true, true));
        assert_eq!(read("2.0.0-beta.1"), (false, true, true));
        assert_eq!(read("2.30.0"), (false, true, true));
    }

    #[test]
    fn the_waiting_line_is_honest_noisy_or_silent_by_version() {
        let read = |text| {
            let version = version(text);
            (version.waiting_line_may_lie(), version.lies_silently())
        };

        assert_eq!(read("1.2.1"), (false, false));
        assert_eq!(read("1.11.0"), (true, false));
        assert_eq!(read("2.1.1"), (true, false));
        assert_eq!(read("2.2.0"), (true, true));
        assert_eq!(read("2.15.0"), (true, true));
    }

    #[test]
    fn a_version_is_a_string_in_json() {
        let json = serde_json::to_string(&version("2.29.0")).unwrap();

        assert_eq!(json, "\"2.29.0\"");
        assert_eq!(
            serde_json::from_str::<NodeVersion>(&json).unwrap(),
            version("2.29.0")
        );
        assert!(serde_json::from_str::<NodeVersion>("\"latest\"").is_err());
    }
}
