//! How many resources of this operator move their lock at a time.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use kube::runtime::reflector::ObjectRef;

use crate::api::ChainlinkNode;
use crate::mutex::lock;

/// One turn for each resource that may move its lock now.
#[derive(Debug)]
pub(super) struct HandoverSlots {
    /// 0 is no limit.
    limit: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The uids of those that have a turn.
    taken: HashSet<String>,
    /// Who looks again when a turn is given back.
    waiting: HashSet<ObjectRef<ChainlinkNode>>,
}

impl HandoverSlots {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Whether the resource with this uid has to wait for others.
    pub(super) fn are_taken_for(&self, uid: &str) -> bool {
        let taken = &self.known().taken;
        self.limit > 0 && taken.len() >= self.limit && !taken.contains(uid)
    }

    /// Takes a turn, if there is one left.
    pub(super) fn take(&self, uid: &str) -> bool {
        let taken = &mut self.known().taken;
        let free = self.limit == 0 || taken.len() < self.limit || taken.contains(uid);
        if free {
            taken.insert(uid.to_owned());
        }
        free
    }

    /// Takes a turn whether or not there is one: the lock of this resource moves already, as after a restart
    /// of the operator.
    pub(super) fn note(&self, uid: &str) {
        self.known().taken.insert(uid.to_owned());
    }

    /// A resource waits until others have given their turns back.
    pub(super) fn wait(&self, resource: &ObjectRef<ChainlinkNode>) {
        self.known().waiting.insert(resource.clone());
    }

    /// Its lock does not move any more. Returns those that waited for that.
    pub(super) fn give_back(&self, uid: &str) -> HashSet<ObjectRef<ChainlinkNode>> {
        let mut known = self.known();
        if known.taken.remove(uid) {
            return std::mem::take(&mut known.waiting);
        }
        HashSet::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_resources_move_their_lock_than_may() {
        let turns = HandoverSlots::new(1);
        assert!(turns.take("a"));
        assert!(turns.take("a"), "it has its turn already");
        assert!(turns.are_taken_for("b") && !turns.are_taken_for("a"));
        assert!(!turns.take("b"));
        turns.give_back("a");
        assert!(turns.take("b"));
        assert!(HandoverSlots::new(0).take("a"));
    }

    #[test]
    fn those_that_wait_hear_of_a_turn_that_is_given_back_and_of_nothing_else() {
        let turns = HandoverSlots::new(1);
        assert!(turns.take("a"));
        turns.wait(&ObjectRef::new("b"));
        assert!(turns.give_back("c").is_empty(), "it had none");
        let woken = turns.give_back("a");
        assert_eq!(woken, HashSet::from([ObjectRef::new("b")]));
        assert!(turns.take("a"));
        assert!(turns.give_back("a").is_empty(), "it was told already");
    }
}
