//! How many resources of this operator move their lock at a time.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One turn for each resource that may move its lock now.
#[derive(Debug)]
pub(super) struct Turns {
    /// 0 is no limit.
    limit: usize,
    taken: Mutex<HashSet<String>>,
}

impl Turns {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the resource with this uid has to wait for others.
    pub(super) fn are_taken_for(&self, uid: &str) -> bool {
        let taken = self.taken();
        self.limit > 0 && taken.len() >= self.limit && !taken.contains(uid)
    }

    /// Takes a turn, if there is one left.
    pub(super) fn take(&self, uid: &str) -> bool {
        let mut taken = self.taken();
        let free = self.limit == 0 || taken.len() < self.limit || taken.contains(uid);
        if free {
            taken.insert(uid.to_owned());
        }
        free
    }

    /// Takes a turn whether or not there is one: the lock of this resource moves already, as after a restart
    /// of the operator.
    pub(super) fn note(&self, uid: &str) {
        self.taken().insert(uid.to_owned());
    }

    /// Its lock does not move any more.
    pub(super) fn give_back(&self, uid: &str) {
        self.taken().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_resources_move_their_lock_than_may() {
        let turns = Turns::new(1);
        assert!(turns.take("a"));
        assert!(turns.take("a"), "it has its turn already");
        assert!(turns.are_taken_for("b") && !turns.are_taken_for("a"));
        assert!(!turns.take("b"));
        turns.give_back("a");
        assert!(turns.take("b"));
        assert!(Turns::new(0).take("a"));
    }
}
