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

    /// The version that a tag of this form names.
    #[must_use]
    pub fn version(&self, tag: &str) -> Option<NodeVersion> {
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
