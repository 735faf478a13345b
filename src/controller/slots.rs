//! How many resources of this operator move their lock at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use crate::api::ChainlinkNode;
use crate::mutex::lock;

/// A resource that was called takes its turn within this time, or the next one is called: its passes may fail.
const ANSWERS: Duration = Duration::from_secs(30);

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
    /// Who looks again when there is a turn for it, in the order in which they came.
    waiting: VecDeque<ObjectRef<ChainlinkNode>>,
    /// The uids of those that there is a turn for, and when they were told.
    called: HashMap<String, Instant>,
}

impl Known {
    /// Calls as many as there are turns for. Were all called that wait, each of a thousand would be looked at for each turn.
    fn call(&mut self, limit: usize) -> Vec<ObjectRef<ChainlinkNode>> {
        self.called.retain(|_, at| at.elapsed() < ANSWERS);
        let free = limit.saturating_sub(self.taken.len() + self.called.len());
        let next: Vec<_> = self.waiting.drain(..free.min(self.waiting.len())).collect();
        let uids = next.iter().filter_map(|one| one.extra.uid.clone());
        self.called.extend(uids.map(|uid| (uid, Instant::now())));
        next
    }
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
        let known = &mut *self.known();
        let taken = &mut known.taken;
        let free = self.limit == 0 || taken.len() < self.limit || taken.contains(uid);
        if free {
            taken.insert(uid.to_owned());
            known.called.remove(uid);
        }
        free
    }

    /// Takes a turn whether or not there is one: the lock of this resource moves already, as after a restart
    /// of the operator.
    pub(super) fn note(&self, uid: &str) {
        let known = &mut *self.known();
        known.taken.insert(uid.to_owned());
        known.called.remove(uid);
    }

    /// A resource waits until others have given their turns back. Returns those that there is a turn for by now.
    pub(super) fn wait(
        &self,
        resource: &ObjectRef<ChainlinkNode>,
    ) -> Vec<ObjectRef<ChainlinkNode>> {
        let known = &mut *self.known();
        if !known.waiting.contains(resource) {
            known.waiting.push_back(resource.clone());
        }
        known.call(self.limit)
    }

    /// The lock of this resource does not move any more, and is not about to. Returns those that there is a turn for by now.
    pub(super) fn give_back(&self, uid: &str) -> Vec<ObjectRef<ChainlinkNode>> {
        let known = &mut *self.known();
        let had = known.taken.remove(uid) | known.called.remove(uid).is_some();
        if had {
            return known.call(self.limit);
        }
        Vec::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resource(uid: &str) -> ObjectRef<ChainlinkNode> {
        let mut resource = ObjectRef::new(uid);
        resource.extra.uid = Some(uid.to_owned());
        resource
    }

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
        assert_eq!(turns.wait(&resource("b")), []);
        assert_eq!(turns.give_back("c"), [], "it had none");
        assert_eq!(turns.give_back("a"), [resource("b")]);
        assert!(turns.take("a"));
        assert_eq!(turns.give_back("a"), [], "it was told already");
    }

    /// With all of them called for each turn, an upgrade of a thousand resources is half a million passes.
    #[test]
    fn as_many_are_called_as_there_are_turns_for() {
        let turns = HandoverSlots::new(2);
        assert!(turns.take("a") && turns.take("b"));
        let all: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let mut passes = 0;
        for uid in &all {
            assert_eq!(turns.wait(&resource(uid)), []);
            assert_eq!(turns.wait(&resource(uid)), [], "it waits once");
        }
        let mut called = turns.give_back("a");
        assert_eq!(called, [resource("0")]);
        while let Some(next) = called.pop() {
            passes += 1;
            let uid = next.extra.uid.unwrap();
            assert!(turns.take(&uid));
            called.extend(turns.give_back(&uid));
        }
        assert_eq!(passes, all.len());
    }

    #[test]
    fn who_was_called_and_takes_no_turn_passes_it_on() {
        let turns = HandoverSlots::new(1);
        assert!(turns.take("a"));
        for uid in ["b", "c", "d"] {
            assert_eq!(turns.wait(&resource(uid)), []);
        }
        assert_eq!(turns.give_back("a"), [resource("b")]);
        // Its spec has gone back.
        assert_eq!(turns.give_back("b"), [resource("c")]);
        // Its pass began before the turn was free, and it waits again.
        assert_eq!(turns.give_back("c"), [resource("d")]);
        assert_eq!(turns.wait(&resource("c")), []);
        // The passes of this one fail.
        turns
            .known()
            .called
            .insert("d".to_owned(), Instant::now().checked_sub(ANSWERS).unwrap());
        assert_eq!(turns.wait(&resource("b")), [resource("c")]);
    }

    /// A pass that began while the turns were taken registers when one has been given back already.
    #[test]
    fn who_begins_to_wait_too_late_for_a_turn_that_was_given_back_is_called() {
        let turns = HandoverSlots::new(1);
        assert!(turns.take("a"));
        assert_eq!(turns.give_back("a"), []);
        assert_eq!(turns.wait(&resource("b")), [resource("b")]);
        assert!(turns.take("b"));
    }
}
