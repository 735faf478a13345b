//! The part that a pod plays, in the word that its status shows.

words! {
    /// The part that a pod plays: `status.pods[].role`, and a label of the metric `pods`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Role {
        /// It holds the lock.
        Active = "Active",
        /// It waits for the lock.
        Standby = "Standby",
        /// It waits for the lock, and could not take over as it should: its message says why.
        Unfit = "Unfit",
        /// Its container runs, and neither waits nor has taken the lock yet.
        Starting = "Starting",
        /// Its container has not run yet.
        Pending = "Pending",
        /// Its container ended, and the kubelet will start it again.
        Failing = "Failing",
        /// It can't run again.
        Ended = "Ended",
        /// Its deletion was accepted, and its container may still run.
        Stopping = "Stopping",
        /// It worked before another pod took over, and still answers.
        Suspect = "Suspect",
        /// It sits on another database (rule S9).
        Foreign = "Foreign",
        /// It does not answer, or the order of those that have taken a lock is not known.
        Unknown = "Unknown",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::PodStatus;

    #[test]
    fn the_words_of_the_roles_are_part_of_the_api() {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        assert_eq!(
            words,
            [
                "Active", "Standby", "Unfit", "Starting", "Pending", "Failing", "Ended",
                "Stopping", "Suspect", "Foreign", "Unknown",
            ]
        );
    }

    #[test]
    fn the_page_of_the_resource_names_every_role() {
        let schema = serde_json::to_value(schemars::schema_for!(PodStatus)).unwrap();
        let words: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        assert_eq!(
            schema["properties"]["role"]["description"],
            format!("{}.", words.join(", "))
        );
    }
}
