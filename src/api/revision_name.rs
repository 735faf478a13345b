//! The name of a revision, as a type: a pod's name, its uid and a revision's name are all text, and none stands for another.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Name of a revision, which is that of its `ControllerRevision`: made from its content, so equal names are equal revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionName(String);

impl RevisionName {
    /// Takes a text for the name of a revision: one that was read from an object of the cluster, or has just been made.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RevisionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Written as the text alone.
impl JsonSchema for RevisionName {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        String::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// For brevity in tests.
#[cfg(test)]
impl From<&str> for RevisionName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// For brevity in tests.
#[cfg(test)]
impl PartialEq<&str> for RevisionName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_read_as_the_text_alone() {
        let name = RevisionName::new("mainnet-1a2b3c4d5e");
        let written = serde_json::to_value(&name).unwrap();
        assert_eq!(written, serde_json::json!("mainnet-1a2b3c4d5e"));
        let read: RevisionName = serde_json::from_value(written).unwrap();
        assert_eq!(read, name);
    }
}
