//! The versions that the memory holds as text, read.
//!
//! A text that can't be read counts as no version, as if nothing had been written: a newer operator may write versions in
//! a form that this one does not know, and a memory that nobody could read would stop all repairs. What is then not known
//! is told with each field. The fields are text, and open, because the memory's own room knows no versions: whoever needs a
//! version asks here.

use crate::api::{Memory, RevisionName, Upgrade};
use crate::node::NodeVersion;

/// The newest version that has held the lock (rule S6). Where it can't be read no version is too old by it: only
/// what the database says of its migrations forbids one.
pub fn newest_held(memory: &Memory) -> Option<NodeVersion> {
    memory.newest_held.as_ref()?.parse().ok()
}

/// The newest version that was started and may have held the lock (rule S6). Where it can't be read it forbids nothing.
pub fn may_have_held(memory: &Memory) -> Option<NodeVersion> {
    memory.may_have_held.as_ref()?.version.parse().ok()
}

/// The version that pods of this revision have said they are. Where it can't be read, they are what the spec calls them.
pub fn said_by(memory: &Memory, revision: &RevisionName) -> Option<NodeVersion> {
    let said = memory.said.as_ref();
    let said = said.filter(|said| said.revision == *revision)?;
    said.version.parse().ok()
}

/// The version that an upgrade leads to. Where it can't be read no way back is looked for.
pub fn upgraded_to(upgrade: &Upgrade) -> Option<NodeVersion> {
    upgrade.version.parse().ok()
}

/// The version that had migrated the database before the upgrade. Where it can't be read no way back is looked for.
pub fn migrated_before(upgrade: &Upgrade) -> Option<NodeVersion> {
    upgrade.before.as_ref()?.version.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn memory(version: &str) -> Memory {
        let shown =
            json!({"version": version, "schema": {"highest": 1, "applied": 1, "columns": 1}});
        serde_json::from_value(json!({
            "newestHeld": version,
            "mayHaveHeld": {"version": version, "pods": []},
            "said": {"revision": "cl-1", "version": version},
            "upgrade": {"to": "cl-1", "version": version, "before": shown},
        }))
        .unwrap()
    }

    fn read(memory: &Memory) -> [Option<String>; 5] {
        let upgrade = memory.upgrade.as_ref().unwrap();
        [
            newest_held(memory),
            may_have_held(memory),
            said_by(memory, &"cl-1".into()),
            upgraded_to(upgrade),
            migrated_before(upgrade),
        ]
        .map(|version| version.map(|version| version.to_string()))
    }

    #[test]
    fn a_version_is_read_and_a_text_that_is_none_counts_as_nothing() {
        assert_eq!(
            read(&memory("2.29.0")),
            [const { "2.29.0" }; 5].map(|text| Some(text.to_owned()))
        );
        assert_eq!(read(&memory("two")), [const { None }; 5]);
    }

    #[test]
    fn what_one_revision_said_is_not_said_by_another() {
        assert_eq!(said_by(&memory("2.29.0"), &"cl-2".into()), None);
    }
}
