//! Calls of the operator that fail, or are done and answered with a failure.

use super::mind::{self, Mind};
use super::names;
use super::state::{State, Thought};
use crate::plan::Act;

/// What fails in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Somebody else has written the resource: the plan is thrown away (409), and the labels have moved.
    Overtaken,
    /// The status is written and nobody knows it (504): the pass ends there.
    Status,
    /// No pod is made: a policy refuses it, or the call did not arrive.
    Create,
    /// The stop is refused. One that is done and answered with a failure is the same as one that is done.
    Stop,
}

const ALL: [Call; 4] = [Call::Overtaken, Call::Status, Call::Create, Call::Stop];

impl Call {
    fn is_of(self, act: &Act) -> bool {
        match self {
            Self::Overtaken | Self::Status => true,
            Self::Create => matches!(act, Act::Create { .. }),
            Self::Stop => matches!(act, Act::Stop(_)),
        }
    }

    /// Whether the act is done in a pass in which this fails.
    fn lets(self, act: &Act) -> bool {
        match self {
            Self::Overtaken | Self::Status => {
                matches!(act, Act::Label { .. } | Act::Gate { .. })
            }
            Self::Create | Self::Stop => !self.is_of(act),
        }
    }
}

impl State {
    /// The passes from this state in which a call fails.
    pub fn calls_that_fail(&self, thought: &Thought) -> Vec<Call> {
        let acts = &thought.plan.acts;
        let fails = |call: &Call| acts.iter().any(|act| call.is_of(act));
        let calls = ALL.into_iter().filter(fails);
        let left = self.cluster.budget.calls > 0;
        calls.filter(|_| left).collect()
    }

    pub fn after_a_failure(&self, thought: &Thought, call: Call) -> Self {
        let mut state = self.looked(thought);
        let acts = thought.plan.acts.iter();
        for act in acts.filter(|act| call.lets(act)) {
            state.obeys(act);
        }
        if call != Call::Overtaken {
            mind::remember_ends(&mut state.cluster, &thought.plan.memory);
            state.mind = Mind::of(&thought.plan.memory);
        }
        if let (Call::Stop, Some(permit)) = (call, thought.stop()) {
            let refused = names::number(&permit.pod().name);
            state.cluster.policy.refuses_stop(refused);
        }
        state.cluster.budget.calls -= 1;
        state.simplify();
        state
    }
}
