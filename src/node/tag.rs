//! How a tag of the image is written around its version.

use super::version::NodeVersion;

/// What stands around the version: `v2.29.0-root`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagForm {
    leading_v: bool,
    /// With its hyphen.
    flavour: String,
}

impl TagForm {
    /// The form of a tag of this version, or that of the version alone; `None` for a tag that names no version, or another.
    #[must_use]
    pub fn of(tag: Option<&str>, version: &NodeVersion) -> Option<Self> {
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

    /// The tag of this form for a version.
    #[must_use]
    pub fn tag(&self, version: &str) -> String {
        let v = if self.leading_v { "v" } else { "" };
        format!("{v}{version}{}", self.flavour)
    }

    /// Whether a tag is of this form: `2.29.0-root` is another tag than that of 2.29.0.
    #[must_use]
    pub fn is_of(&self, tag: &ReleaseTag) -> bool {
        self.tag(&tag.version.to_string()) == tag.text
    }
}

/// A tag that names a release, read once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseTag {
    version: NodeVersion,
    text: String,
}

impl ReleaseTag {
    /// `None` for a tag that names no release.
    #[must_use]
    pub fn read(text: String) -> Option<Self> {
        let version = NodeVersion::parse_tag(&text)?;
        Some(Self { version, text })
    }

    #[must_use]
    pub fn version(&self) -> &NodeVersion {
        &self.version
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
