//! Who is who in one look: the active, the standbys, the suspects, and who can't be told.

use std::time::Duration;

use jiff::Timestamp;

use super::{FRESH, LOST};
use crate::api::Memory;
use crate::observe::{Container, Observation, Pod};

/// Every pod of one look in its part. A pod is in one part only.
#[derive(Debug)]
pub struct Census<'a> {
    /// The newest taker of the lock; stopped on purpose or not, it counts until its container ends.
    pub active: Option<&'a Pod>,
    /// Several takers, and nothing says who came last: nothing may be stopped.
    pub order_unknown: bool,
    /// Took the lock before the active did, and still runs.
    pub suspects: Vec<&'a Pod>,
    /// Took a lock without having waited while an active of ours was at work: another database (S9).
    pub foreign: Vec<&'a Pod>,
    /// Wait for the lock; not deleted. Lost ones are not among them.
    pub waiting: Vec<&'a Pod>,
    /// Made, and neither waiting nor active yet; not deleted.
    pub starting: Vec<&'a Pod>,
    /// Ended and to be restarted by the kubelet; not deleted.
    pub down: Vec<&'a Pod>,
    /// Started, but not heard of for [`LOST`]; not deleted.
    pub lost: Vec<&'a Pod>,
    /// Deleted, and not over.
    pub stopping: Vec<&'a Pod>,
    now: Timestamp,
    all: &'a [Pod],
}

/// `now - age`, for comparisons with a time of contact.
pub(super) fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}

impl<'a> Census<'a> {
    /// Sorts the pods of one look.
    pub fn take(seen: &'a Observation, memory: &Memory, now: Timestamp) -> Self {
        let takers: Vec<&Pod> = seen
            .pods
            .iter()
            .filter(|pod| pod.running() && pod.took.is_some())
            .collect();
        let foreign: Vec<&Pod> = takers
            .iter()
            .copied()
            .filter(|pod| is_foreign(pod, &takers))
            .collect();
        let mut ours: Vec<&Pod> = takers
            .iter()
            .copied()
            .filter(|pod| !foreign.iter().any(|other| other.id == pod.id))
            .collect();
        ours.sort_by_key(|pod| pod.took.map(|took| took.at));
        let order_unknown = match ours.as_slice() {
            [.., second, last] => {
                second.took.map(|took| took.at) == last.took.map(|took| took.at)
                    || last.took.is_some_and(|took| took.waited.is_none())
            }
            _ => false,
        };
        let active = if order_unknown { None } else { ours.pop() };
        let mut census = Self {
            active,
            order_unknown,
            suspects: ours,
            foreign,
            waiting: Vec::new(),
            starting: Vec::new(),
            down: Vec::new(),
            lost: Vec::new(),
            stopping: Vec::new(),
            now,
            all: &seen.pods,
        };
        for pod in &seen.pods {
            census.place(pod, memory);
        }
        census
    }

    fn place(&mut self, pod: &'a Pod, memory: &Memory) {
        if pod.ended() {
            return;
        }
        if pod.deleted {
            if !self.over(pod, memory) {
                self.stopping.push(pod);
            }
            return;
        }
        if self.holds(pod) {
            return;
        }
        match &pod.container {
            Container::Running { since }
                if !pod.answered_since(before(self.now, LOST))
                    && *since < before(self.now, LOST) =>
            {
                self.lost.push(pod);
            }
            Container::Running { .. } if pod.waits() => self.waiting.push(pod),
            Container::Running { .. } | Container::NotStarted { .. } => self.starting.push(pod),
            Container::Down { .. } => self.down.push(pod),
            Container::Ended { .. } => {}
        }
    }

    /// Whether the stop of a deleted pod is over: its container ended, another pod took the lock
    /// after it, or it was a standby whose machine can't be reached (rule S2).
    fn over(&self, pod: &Pod, memory: &Memory) -> bool {
        match &pod.container {
            Container::Ended { .. } | Container::Down { .. } => true,
            Container::NotStarted { .. } => false,
            Container::Running { .. } => {
                let succeeded = pod.took.is_some_and(|took| {
                    self.active.is_some_and(|active| {
                        active.id != pod.id && active.took.is_some_and(|newer| newer.at > took.at)
                    })
                });
                let was_standby = pod.took.is_none()
                    && memory
                        .stopping
                        .as_ref()
                        .is_none_or(|stop| stop.uid != pod.id.uid || !stop.active);
                let unreachable = !pod.answered_since(before(self.now, LOST));
                succeeded || (was_standby && unreachable)
            }
        }
    }

    /// Whether the pod has taken a lock and still runs.
    pub fn holds(&self, pod: &Pod) -> bool {
        pod.running() && pod.took.is_some()
    }

    pub fn is_active(&self, pod: &Pod) -> bool {
        self.active.is_some_and(|active| active.id == pod.id)
    }

    pub fn is_suspect(&self, pod: &Pod) -> bool {
        self.suspects.iter().any(|other| other.id == pod.id)
    }

    pub fn is_foreign(&self, pod: &Pod) -> bool {
        self.foreign.iter().any(|other| other.id == pod.id)
    }

    /// Whether a pod has not answered for [`LOST`].
    pub fn unheard(&self, pod: &Pod) -> bool {
        !pod.answered_since(before(self.now, LOST))
    }

    /// Whether the API server has accepted the deletion of the pod with this uid.
    pub fn accepted(&self, uid: &str) -> bool {
        self.all
            .iter()
            .find(|pod| pod.id.uid == uid)
            .is_none_or(|pod| pod.deleted)
    }

    /// The active, if it answered a moment ago and nobody asked it to go.
    pub fn active_at_work(&self) -> Option<&'a Pod> {
        self.active
            .filter(|active| !active.deleted && active.answered_since(before(self.now, FRESH)))
    }

    /// Pods that count: not deleted, not ended, not foreign, not lost.
    pub fn live(&self) -> Vec<&'a Pod> {
        let active = self.active.filter(|active| !active.deleted);
        let suspects = self.suspects.iter().filter(|pod| !pod.deleted);
        active
            .into_iter()
            .chain(suspects.copied())
            .chain(self.waiting.iter().copied())
            .chain(self.starting.iter().copied())
            .chain(self.down.iter().copied())
            .collect()
    }

    /// Pods beside the active that count.
    pub fn others(&self) -> Vec<&'a Pod> {
        self.live()
            .into_iter()
            .filter(|pod| !self.is_active(pod))
            .collect()
    }

    pub fn pods(&self) -> &'a [Pod] {
        self.all
    }
}

/// A pod that took a lock without having waited, while an older taker was seen at work after it.
fn is_foreign(pod: &Pod, takers: &[&Pod]) -> bool {
    let Some(took) = pod.took.filter(|took| took.waited == Some(false)) else {
        return false;
    };
    takers.iter().any(|older| {
        older.id != pod.id
            && !older.deleted
            && older.took.is_some_and(|first| first.at < took.at)
            && older.served_since(took.at)
    })
}
