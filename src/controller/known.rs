//! What the operator knows of each resource beside what is written into it. After a restart it is found anew.

use std::sync::PoisonError;
use std::time::Instant;

use kube::runtime::reflector::ObjectRef;

use super::Context;
use super::budgets::Budgets;
use super::troubles::Troubles;
use crate::api::ChainlinkNode;
use crate::domain::RefusedStop;

/// What is known of one resource.
pub(super) struct Known {
    /// What it is called: others know it by that alone.
    reference: ObjectRef<ChainlinkNode>,
    /// The name of the pod that was to be made last and turned out to be taken.
    pub(super) taken: Option<String>,
    /// What was last made of its budgets.
    pub(super) budgets: Option<Budgets>,
    /// What did not succeed in its last pass.
    pub(super) troubles: Troubles,
    /// When its Secrets were looked at, for which generation of the spec.
    pub(super) secrets_at: Option<(Option<i64>, Instant)>,
    /// The stop that the API server did not do when it was last tried.
    pub(super) refused_stop: Option<RefusedStop>,
    /// What ended its last pass, as the API server refuses it, and for which generation of the spec.
    pub(super) refused_look: Option<(&'static str, Option<i64>)>,
}

fn uid(reference: &ObjectRef<ChainlinkNode>) -> String {
    reference.extra.uid.clone().unwrap_or_default()
}

impl Context {
    /// Reads or changes what is known of a resource.
    pub(super) fn know<T>(
        &self,
        reference: &ObjectRef<ChainlinkNode>,
        what: impl FnOnce(&mut Known) -> T,
    ) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(uid(reference)).or_insert_with(|| Known {
            reference: reference.clone(),
            taken: None,
            budgets: None,
            troubles: Troubles::default(),
            secrets_at: None,
            refused_stop: None,
            refused_look: None,
        });
        what(entry)
    }

    /// Forgets a resource that is gone. One of its name may have come since.
    pub(super) fn forget(&self, reference: &ObjectRef<ChainlinkNode>) {
        let uid = uid(reference);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&uid);
        let again = known.values().any(|other| other.reference == *reference);
        drop(known);
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.remove(&uid);
        drop(words);
        self.give_back(&uid);
        if !again {
            self.witnesses.forget(reference);
            self.machines.forget(reference);
            let namespace = reference.namespace.as_deref().unwrap_or_default();
            self.metrics.forget(namespace, &reference.name);
        }
    }

    /// Forgets every resource of a namespace, or of all, that is not there any more. The controller calls nobody for
    /// one that went without a trace: only what was applied wakes it.
    pub(super) fn forget_all_but(&self, namespace: Option<&str>, there: &[String]) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |reference: &ObjectRef<ChainlinkNode>| {
            namespace.is_none() || reference.namespace.as_deref() == namespace
        };
        let gone: Vec<ObjectRef<ChainlinkNode>> = known
            .iter()
            .filter(|(uid, known)| here(&known.reference) && !there.contains(uid))
            .map(|(_, known)| known.reference.clone())
            .collect();
        drop(known);
        for reference in gone {
            self.forget(&reference);
        }
    }

    /// The lock of a resource does not move any more: those that waited for its turn look again.
    pub(super) fn give_back(&self, uid: &str) {
        for waiting in self.turns.give_back(uid) {
            // The receiver only goes away with the controllers.
            let _ = self.wake.send(waiting);
        }
    }
}
