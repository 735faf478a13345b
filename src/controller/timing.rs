//! When the planned stop of a resource's active is due, and how long those before it took. A process that starts again has
//! forgotten it: the next stop goes by what is usual.

use std::time::{Duration, Instant};

use crate::domain::{Pod, PodId};

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
}

/// When the stop of one pod for another is due.
#[derive(Clone, Debug)]
struct Due {
    active: PodId,
    successor: PodId,
    at: Instant,
}

impl Timing {
    /// How long the stop waits yet. Once it was said to wait, it waits until then and no longer.
    pub(super) fn rest(
        &mut self,
        active: &PodId,
        successor: &PodId,
        now: Instant,
        wait: impl FnOnce(&[Duration]) -> Duration,
    ) -> Duration {
        let known = self.due.take();
        let known = known.filter(|due| due.active == *active && due.successor == *successor);
        let due = known.unwrap_or_else(|| Due {
            active: active.clone(),
            successor: successor.clone(),
            at: now + wait(&self.moves),
        });
        let at = due.at;
        self.successor = Some(due.successor.clone());
        self.due = Some(due);
        at.saturating_duration_since(now)
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

    /// No stop waits any more, and when the last one was due.
    pub(super) fn take_due(&mut self) -> Option<Instant> {
        self.due.take().map(|due| due.at)
    }

    /// The API server has accepted the stop of this pod, whose wait was over at `since`.
    pub(super) fn stopped(&mut self, pod: &PodId, since: Instant) {
        self.stopped = Some((pod.uid.clone(), since));
    }

    /// Notes the end of the pod that was stopped, where a look shows it.
    pub(super) fn note(&mut self, pods: &[Pod], now: Instant) {
        let runs = |uid: &str| pods.iter().any(|pod| pod.id.uid == uid && pod.running());
        if let Some((_, since)) = self.stopped.take_if(|(uid, _)| !runs(uid)) {
            self.moves.insert(0, now.saturating_duration_since(since));
            self.moves.truncate(KEPT);
        }
    }
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
            timing.rest(&pod("a"), &pod(to), now, |_| wait)
        };
        assert_eq!(rest(&mut timing, "b", now, SECOND), SECOND);
        let later = now + SECOND / 4;
        assert_eq!(rest(&mut timing, "b", later, SECOND), SECOND * 3 / 4);
        assert_eq!(
            rest(&mut timing, "b", now + SECOND * 2, SECOND),
            Duration::ZERO
        );
        assert_eq!(rest(&mut timing, "c", later, SECOND), SECOND, "another one");
        assert_eq!(timing.take_due(), Some(later + SECOND));
        assert_eq!(timing.take_due(), None);
        assert_eq!(timing.successor(), Some(&pod("c")), "until none is planned");
        timing.none_planned();
        assert_eq!(timing.successor(), None);
    }

    #[test]
    fn the_last_three_moves_tell_how_long_a_stop_took_until_its_pod_was_seen_to_have_ended() {
        let (mut timing, now) = (Timing::default(), Instant::now());
        let pods = pair().look().pods;
        let active = &pods.iter().find(|pod| pod.id.name == "a").unwrap().id;
        let gone = &pods[1..];
        assert!(!gone.iter().any(|pod| pod.id == *active));
        timing.note(gone, now);
        assert!(timing.moves.is_empty(), "nobody was stopped");
        for seconds in 1..=4 {
            timing.stopped(active, now);
            timing.note(&pods, now + SECOND / 2);
            timing.note(gone, now + SECOND * seconds);
            timing.note(gone, now + SECOND * 60);
        }
        assert_eq!(timing.moves, [SECOND * 4, SECOND * 3, SECOND * 2]);
    }
}
