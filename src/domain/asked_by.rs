//! Who wanted the lock to move, in the word that the status shows.

words! {
    /// Who wanted a move of the lock: `status.history[].askedBy`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AskedBy {
        /// A change of the spec, or of what it refers to; or that the resource is there at all.
        Spec = "Spec",
        /// The same, after a person had approved it.
        Approval = "Approval",
        /// A person, by the annotation for a switchover.
        Annotation = "Annotation",
        /// The schedule of drills.
        Schedule = "Schedule",
        /// Whoever empties the machine of the active.
        Drain = "Drain",
        /// The operator itself.
        Operator = "Operator",
        /// The old active ended, or was cut off, unasked.
        Nobody = "Nobody",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::LockMove;

    #[test]
    fn the_page_of_the_resource_names_everybody_who_may_ask() {
        let schema = serde_json::to_value(schemars::schema_for!(LockMove)).unwrap();
        let page = schema["properties"]["askedBy"]["description"]
            .as_str()
            .unwrap();
        for asked_by in AskedBy::ALL {
            assert!(
                page.contains(&format!("{asked_by}: ")),
                "{asked_by}: {page}"
            );
        }
    }
}
