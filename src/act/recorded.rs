//! The proof that the intent of a plan stands in the status (rule S4).

use kube::ResourceExt;

use crate::api::ChainlinkNode;
use crate::plan::Plan;

/// A plan whose memory is in the status, as the API server gave that back. Only such a plan can be acted on: an
/// [`Actor`](super::Actor) is made from nothing else.
#[derive(Clone, Debug)]
pub struct Recorded<'p> {
    plan: &'p Plan,
    version: String,
}

impl<'p> Recorded<'p> {
    /// None where what the API server gave back holds another memory than the plan's, or none: an older CRD drops fields
    /// without a word.
    pub fn of(plan: &'p Plan, written: &ChainlinkNode) -> Option<Self> {
        let status = written.status.as_ref()?;
        (status.operator == plan.memory).then(|| Self {
            plan,
            version: written.resource_version().unwrap_or_default(),
        })
    }

    pub fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// The version of the resource with the intent in it.
    pub fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::act::tests::node;
    use crate::api::ChainlinkNodeStatus;
    use crate::plan::tests::world::World;

    #[test]
    fn only_a_status_that_holds_the_memory_of_a_plan_records_it() {
        let plan = World::with(1).plan();
        let mut status = ChainlinkNodeStatus {
            operator: plan.memory.clone(),
            ..ChainlinkNodeStatus::default()
        };
        let recorded = Recorded::of(&plan, &node(Some(&status))).unwrap();
        assert_eq!(recorded.version(), "7");

        status.operator.creating = None;
        assert!(plan.memory.creating.is_some(), "a pod is to be made");
        assert!(Recorded::of(&plan, &node(Some(&status))).is_none());
        assert!(Recorded::of(&plan, &node(None)).is_none());
    }
}
