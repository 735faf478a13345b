//! When the planned stop of a resource's active is due, and how long those before it took. A process that starts again has
//! forgotten it: the next stop goes by what is usual.

use std::time::{Duration, Instant};

use crate::domain::{Pod, PodId};
use crate::plan::{Tries, Wait, wait};

/// So many moves tell how long a stop takes.
const KEPT: usize = 3;

/// What is known of the planned stops of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing {
    due: Option<Due>,
    /// The pod that the planned stop is for. The second look has to be for the same.
    successor: Option<PodId>,
    /// The uid of the active that was stopped last and is not seen to have ended, and when its wait was over.
    stopped: Option<(String, Instant)>,
    /// How long the last ones took from then until they were seen to have ended, the last of them first.
    moves: Vec<Duration>,
    /// A successor that no Service can lead to yet, and since when.
    unready: Option<(PodId, Instant)>,
}

/// No stop waits longer for a successor that its kubelet does not call ready: it may never.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// When the stop of one pod for another is due.
#[derive(Clone, Debug)]
struct Due {
    active: PodId,
    successor: PodId,
    at: Instant,
    /// The database is to be asked once more then.
    asks: bool,
}

impl Timing {
    /// How long the stop waits yet. Once it was said to wait, it waits until then and no longer.
    pub(super) fn rest(
        &mut self,
        active: &PodId,
        successor: &PodId,
        now: Instant,
        wait: impl FnOnce(&Self) -> Wait,
    ) -> Duration {
        let known = self.due.take();
        let known = known.filter(|due| due.active == *active && due.successor == *successor);
        let due = known.unwrap_or_else(|| {
            let wait = wait(self);
            Due {
                active: active.clone(),
                successor: successor.clone(),
                at: now + wait.ask.unwrap_or(wait.whole),
                asks: wait.ask.is_some(),
            }
        });
        let at = due.at;
        self.successor = Some(due.successor.clone());
        self.due = Some(due);
        at.saturating_duration_since(now)
    }

    /// How long a stop waits, by the moves before of this resource, or of others where it has had none.
    pub(super) fn wait(&self, tries: Tries, others: &[Duration]) -> Wait {
        let moves = if self.moves.is_empty() {
            others
        } else {
            &self.moves
        };
        wait(tries, moves)
    }

    /// How long a stop waits yet, at most, for its successor to be ready: no Service leads to it before.
    pub(super) fn until_ready(&mut self, successor: &PodId, ready: bool, now: Instant) -> Duration {
        self.unready.take_if(|(pod, _)| ready || pod != successor);
        if ready {
            return Duration::ZERO;
        }
        let (_, since) = self.unready.get_or_insert_with(|| (successor.clone(), now));
        READY_WITHIN.saturating_sub(now.saturating_duration_since(*since))
    }

    /// No stop is planned.
    pub(super) fn none_planned(&mut self) {
        self.due = None;
        self.successor = None;
    }

    /// Whom the planned stop is for.
    pub(super) fn successor(&self) -> Option<&PodId> {
        self.successor.as_ref()
    }

    /// No stop waits any more; when the last one was due, and whether the database is to be asked then.
    pub(super) fn take_due(&mut self) -> Option<(Instant, bool)> {
        self.due.take().map(|due| (due.at, due.asks))
    }

    /// The API server has accepted the stop of this pod, whose wait was over at `since`.
    pub(super) fn stopped(&mut self, pod: &PodId, since: Instant) {
        self.stopped = Some((pod.uid.clone(), since));
    }

    /// Notes the end of the pod that was stopped, where a look shows it, and returns how long it took.
    pub(super) fn note(&mut self, pods: &[Pod], now: Instant) -> Option<Duration> {
        let runs = |uid: &str| pods.iter().any(|pod| pod.id.uid == uid && pod.running());
        let (_, since) = self.stopped.take_if(|(uid, _)| !runs(uid))?;
        let took = now.saturating_duration_since(since);
        keep(&mut self.moves, took);
        Some(took)
    }
}

/// Keeps how long one more move took, before the earlier ones.
pub(super) fn keep(moves: &mut Vec<Duration>, took: Duration) {
    moves.insert(0, took);
    moves.truncate(KEPT);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::tests::world::pair;

    const SECOND: Duration = Duration::from_secs(1);

    fn pod(name: &str) -> PodId {
        PodId {
            name: name.to_owned(),
            uid: format!("uid of {name}"),
        }
    }

    #[test]
    fn a_stop_that_waits_is_due_once_whatever_is_known_later() {
        let (mut timing, now) = (Timing::default(), Instant::now());
        let rest = |timing: &mut Timing, to: &str, now, wait| {
            timing.rest(&pod("a"), &pod(to), now, |_| Wait {
                whole: wait,
                ask: None,
            })
        };
        assert_eq!(rest(&mut timing, "b", now, SECOND), SECOND);
        let later = now + SECOND / 4;
        assert_eq!(rest(&mut timing, "b", later, SECOND), SECOND * 3 / 4);
        assert_eq!(
            rest(&mut timing, "b", now + SECOND * 2, SECOND),
            Duration::ZERO
        );
        assert_eq!(rest(&mut timing, "c", later, SECOND), SECOND, "another one");
        assert_eq!(timing.take_due(), Some((later + SECOND, false)));
        assert_eq!(timing.take_due(), None);
        assert_eq!(timing.successor(), Some(&pod("c")), "until none is planned");
        timing.none_planned();
        assert_eq!(timing.successor(), None);
    }

    #[test]
    fn a_stop_is_due_when_the_database_is_to_be_asked_once_more() {
        let (mut timing, now) = (Timing::default(), Instant::now());
        let wait = Wait {
            whole: SECOND,
            ask: Some(SECOND / 2),
        };
        let rest = timing.rest(&pod("a"), &pod("b"), now, |_| wait);
        assert_eq!(rest, SECOND / 2);
        assert_eq!(timing.take_due(), Some((now + SECOND / 2, true)));
    }

    #[test]
    fn a_successor_is_given_two_seconds_to_be_ready() {
        let (mut timing, now) = (Timing::default(), Instant::now());
        let (b, c) = (pod("b"), pod("c"));
        assert_eq!(timing.until_ready(&b, false, now), READY_WITHIN);
        let later = now + SECOND;
        assert_eq!(timing.until_ready(&b, false, later), SECOND);
        assert_eq!(
            timing.until_ready(&b, false, now + SECOND * 3),
            Duration::ZERO
        );
        assert_eq!(
            timing.until_ready(&c, false, later),
            READY_WITHIN,
            "another one"
        );
        assert_eq!(timing.until_ready(&c, true, later), Duration::ZERO);
        assert_eq!(
            timing.until_ready(&c, false, now + SECOND * 2),
            READY_WITHIN
        );
    }

    #[test]
    fn the_last_three_moves_tell_how_long_a_stop_took_until_its_pod_was_seen_to_have_ended() {
        let (mut timing, now) = (Timing::default(), Instant::now());
        let pods = pair().look().pods;
        let active = &pods.iter().find(|pod| pod.id.name == "a").unwrap().id;
        let gone = &pods[1..];
        assert!(!gone.iter().any(|pod| pod.id == *active));
        assert_eq!(timing.note(gone, now), None, "nobody was stopped");
        let tries = Tries {
            last: Duration::ZERO,
            interval: SECOND * 10,
        };
        let by_another = timing.wait(tries, &[SECOND]);
        assert_eq!(by_another, wait(tries, &[SECOND]));
        for seconds in 1..=4 {
            timing.stopped(active, now);
            assert_eq!(timing.note(&pods, now + SECOND / 2), None);
            let took = SECOND * seconds;
            assert_eq!(timing.note(gone, now + took), Some(took));
            assert_eq!(timing.note(gone, now + SECOND * 60), None);
        }
        assert_ne!(timing.wait(tries, &[SECOND]), by_another, "its own count");
        assert_eq!(timing.moves, [SECOND * 4, SECOND * 3, SECOND * 2]);
    }
}
