//! Whether the loops still turn: what the operator's own probes answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::mutex::lock;

/// A resource is looked at several times a minute, and a pass is given up after one: a loop that has not
/// ended a pass for so long hangs.
const STUCK: Duration = Duration::from_mins(3);

/// What is known of the loop of one namespace, or of all (`None`).
#[derive(Debug)]
struct Loop {
    progress: Instant,
    /// Its resources have been listed once.
    listed: bool,
}

/// Sees to all loops of this operator.
#[derive(Debug, Default)]
pub struct Watchdog {
    loops: Mutex<HashMap<Option<String>, Loop>>,
}

impl Watchdog {
    fn loops(&self) -> MutexGuard<'_, HashMap<Option<String>, Loop>> {
        lock(&self.loops)
    }

    /// A loop is about to begin.
    pub(super) fn begins(&self, namespace: Option<&str>, now: Instant) {
        let begun = Loop {
            progress: now,
            listed: false,
        };
        self.loops().insert(namespace.map(str::to_owned), begun);
    }

    /// A loop knows its resources.
    pub(super) fn listed(&self, namespace: Option<&str>) {
        if let Some(known) = self.loops().get_mut(&namespace.map(str::to_owned)) {
            known.listed = true;
        }
    }

    /// A pass over a resource of this namespace has begun or ended, however; or the loop turns and has
    /// nothing to look at.
    pub(super) fn progress(&self, namespace: Option<&str>, now: Instant) {
        let mut loops = self.loops();
        let own = namespace.map(str::to_owned);
        let key = if loops.contains_key(&own) { own } else { None };
        if let Some(known) = loops.get_mut(&key) {
            known.progress = now;
        }
    }

    /// Whether every loop knows its resources.
    pub fn is_ready(&self) -> bool {
        let loops = self.loops();
        !loops.is_empty() && loops.values().all(|known| known.listed)
    }

    /// Whether a loop hangs.
    pub fn is_stuck(&self, now: Instant) -> bool {
        self.loops()
            .values()
            .any(|known| now.saturating_duration_since(known.progress) > STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_makes_no_progress_for_minutes_hangs() {
        let (dog, start) = (Watchdog::default(), Instant::now());
        dog.begins(None, start);
        assert!(!dog.is_stuck(start + STUCK));
        assert!(dog.is_stuck(start + STUCK + Duration::from_secs(1)));
        dog.progress(Some("any"), start + STUCK);
        assert!(!dog.is_stuck(start + 2 * STUCK));
    }

    #[test]
    fn a_loop_that_turns_does_not_speak_for_one_that_hangs() {
        let (dog, start) = (Watchdog::default(), Instant::now());
        dog.begins(Some("one"), start);
        dog.begins(Some("two"), start);
        dog.progress(Some("one"), start + STUCK);
        assert!(dog.is_stuck(start + 2 * STUCK));
        dog.progress(Some("two"), start + STUCK);
        assert!(!dog.is_stuck(start + 2 * STUCK));
    }

    #[test]
    fn the_operator_is_ready_when_every_loop_knows_its_resources() {
        let (dog, start) = (Watchdog::default(), Instant::now());
        assert!(!dog.is_ready());
        dog.begins(Some("one"), start);
        dog.begins(Some("two"), start);
        dog.listed(Some("one"));
        assert!(!dog.is_ready());
        dog.listed(Some("two"));
        assert!(dog.is_ready());
    }
}
