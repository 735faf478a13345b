//! Why the lock moved, in the word that the status shows.

words! {
    /// Why the lock moved: `status.lastHandover.reason`, and a label of the metrics `lock_moves` and `last_move`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum MoveReason {
        /// The old active was not stopped on purpose.
        Failover = "Failover",
        /// To another version.
        Version = "Version",
        /// To another revision of the same version.
        Configuration = "Configuration",
        /// To a pod of the same revision, for a purpose that was not noted.
        Move = "Move",
        /// The machine of the active was being emptied.
        Maintenance = "Maintenance",
        /// Somebody asked for it.
        Switchover = "Switchover",
        /// The active went back to a preferred machine.
        Failback = "Failback",
        /// For its own sake.
        Drill = "Drill",
        /// The active ran, and its port did not answer.
        Unresponsive = "Unresponsive",
    }
}

impl MoveReason {
    /// What the history says of a pod that became active with none before it: that is no move, and no metric counts it.
    pub const START: &str = "Start";

    /// The reason that a status names. `None` where another operator wrote a word that this one does not know.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::{LastHandover, LockMove};

    #[test]
    fn the_reasons_of_a_move_are_part_of_the_api() {
        let words: Vec<_> = MoveReason::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(
            words,
            [
                "Failover",
                "Version",
                "Configuration",
                "Move",
                "Maintenance",
                "Switchover",
                "Failback",
                "Drill",
                "Unresponsive",
            ]
        );
    }

    #[test]
    fn the_page_of_the_resource_names_every_reason_of_a_move() {
        let schema = serde_json::to_value(schemars::schema_for!(LastHandover)).unwrap();
        assert_eq!(named_in(&schema), MoveReason::ALL);
        let schema = serde_json::to_value(schemars::schema_for!(LockMove)).unwrap();
        assert_eq!(named_in(&schema), MoveReason::ALL);
    }

    fn named_in(schema: &serde_json::Value) -> Vec<MoveReason> {
        let page = schema["properties"]["reason"]["description"]
            .as_str()
            .unwrap();
        let named = page.split(|letter: char| !letter.is_alphabetic());
        let mut named: Vec<_> = named.filter_map(MoveReason::of).collect();
        named.sort_by_key(|reason| MoveReason::ALL.iter().position(|one| one == reason));
        named
    }

    #[test]
    fn a_reason_is_read_from_its_word_and_from_no_other() {
        for reason in MoveReason::ALL {
            assert_eq!(MoveReason::of(reason.as_str()), Some(*reason));
        }
        assert_eq!(MoveReason::of("Rollout"), None);
    }
}
