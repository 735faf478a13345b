//! What was seen of each resource: which node works since when, which pod its Service leads to since when, and when its active
//! was asked to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// A node that took the lock and has booted.
#[derive(Clone, Debug)]
pub struct Works {
    pub pod: String,
    pub version: String,
    pub since: Instant,
}

/// What was seen of one resource last.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub works: Option<Works>,
    /// How often a node took the lock and booted.
    pub takeovers: usize,
    /// The pod that has the active's label, and since when.
    pub labelled: Option<(String, Instant)>,
    /// The pod that worked and was asked to stop last.
    pub stopped: Option<(String, Instant)>,
}

impl Resource {
    /// Whether the Service leads to the node that works.
    pub fn is_followed(&self) -> bool {
        let works = self.works.as_ref().map(|works| &works.pod);
        works.is_some() && works == self.labelled.as_ref().map(|(pod, _)| pod)
    }

    /// How long after the takeover the Service led to the new one; nothing where it did before.
    pub fn followed_after(&self) -> Option<Duration> {
        let (works, (_, labelled)) = self.works.as_ref().zip(self.labelled.as_ref())?;
        self.is_followed()
            .then(|| labelled.saturating_duration_since(works.since))
    }

    /// When its last move was over: the one that works had booted, and the Service led to it.
    pub fn moved_at(&self) -> Option<Instant> {
        let (works, (_, labelled)) = self.works.as_ref().zip(self.labelled.as_ref())?;
        self.is_followed().then(|| works.since.max(*labelled))
    }

    /// From the stop of the one before until the one that works had booted.
    pub fn gap(&self) -> Option<Duration> {
        let (works, (pod, stopped)) = self.works.as_ref().zip(self.stopped.as_ref())?;
        (works.pod != *pod && works.since >= *stopped).then(|| works.since.duration_since(*stopped))
    }
}

/// What was seen of all resources, by `NAMESPACE/NAME`.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<String, Resource>>>);

impl Seen {
    /// A node works.
    pub fn works(&self, resource: &str, works: Works) {
        self.change(resource, |seen| {
            seen.works = Some(works);
            seen.takeovers += 1;
        });
    }

    /// A pod has the active's label.
    pub fn labelled(&self, resource: &str, pod: &str) {
        self.change(resource, |seen| {
            if seen.labelled.as_ref().is_none_or(|(known, _)| known != pod) {
                seen.labelled = Some((pod.to_owned(), Instant::now()));
            }
        });
    }

    /// A pod is asked to stop.
    pub fn stopped(&self, resource: &str, pod: &str) {
        self.change(resource, |seen| {
            if seen.works.as_ref().is_some_and(|works| works.pod == pod) {
                seen.stopped = Some((pod.to_owned(), Instant::now()));
            }
        });
    }

    /// All of it.
    pub fn all(&self) -> HashMap<String, Resource> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, resource: &str, what: impl FnOnce(&mut Resource)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        what(all.entry(resource.to_owned()).or_default());
    }
}

/// Fails where a resource has not moved exactly once between two moments.
pub(super) fn ensure_moved_once(
    earlier: &HashMap<String, Resource>,
    later: &HashMap<String, Resource>,
) -> Result<()> {
    for (name, one) in later {
        let before = earlier.get(name).map_or(0, |before| before.takeovers);
        let moves = one.takeovers - before;
        ensure!(moves == 1, "{name} has moved {moves} times");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_twice_or_not_at_all_did_not_move_once() {
        let after = |takeovers: usize| {
            let one = Resource {
                takeovers,
                ..Resource::default()
            };
            HashMap::from([("a/b".to_owned(), one)])
        };
        let moved = |times: usize| ensure_moved_once(&after(3), &after(3 + times));
        assert!(moved(1).is_ok());
        assert!(moved(0).is_err() && moved(2).is_err());
    }

    #[test]
    fn a_service_follows_once_the_one_that_works_is_labelled() {
        let (seen, resource) = (Seen::default(), "a/b");
        let works = |pod: &str| Works {
            pod: pod.to_owned(),
            version: "2.29.0".to_owned(),
            since: Instant::now(),
        };
        seen.works(resource, works("one"));
        seen.labelled(resource, "one");
        seen.stopped(resource, "standby");
        assert!(seen.all()[resource].is_followed());
        assert_eq!(seen.all()[resource].gap(), None, "nobody was stopped");

        seen.stopped(resource, "one");
        seen.works(resource, works("two"));
        assert!(!seen.all()[resource].is_followed());
        assert_eq!(seen.all()[resource].followed_after(), None);
        assert_eq!(seen.all()[resource].moved_at(), None);
        assert!(seen.all()[resource].gap().is_some());

        seen.labelled(resource, "two");
        assert!(seen.all()[resource].is_followed());
        assert!(seen.all()[resource].followed_after().is_some());
        let (_, labelled) = seen.all()[resource].labelled.clone().unwrap();
        assert_eq!(seen.all()[resource].moved_at(), Some(labelled));
        assert_eq!(seen.all()[resource].takeovers, 2);
    }
}
