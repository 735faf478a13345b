//! When a planned stop is sent. The successor tries the lock at intervals: a lock that is given back just before a try is free
//! for a moment, and one that is given back just after it for a whole interval. So a permitted handover waits until the lock
//! will be free just before the next try. Nothing is permitted here, and nothing forbidden: a stop that waits is a later one,
//! and all that permits it is looked at after the wait.

use std::time::Duration;

use super::cause::Purpose;
use super::guard::Permit;
use crate::domain::PodId;

/// Of an interval, in which a try comes earlier or later: `utils.WithJitter` of upstream, ±10 % (read). Measured from one try
/// to the next, 40 of each: 0.92 to 1.10 s on 2.29.0, 1.00 to 1.10 s on 1.13.3.
const JITTER: f64 = 0.1;
/// Two standard deviations of that jitter, which is even. Those of several tries add up by their squares.
const TWO_SIGMA: f64 = 0.115_5;
/// The part of an interval by which the lock may be free after the earliest time of a try: that one comes so early once in ten
/// times.
const LATE: u32 = 50;
/// After so many tries the next one can't be told well enough.
const MOST_TRIES: u8 = 10;
/// The time from the end of the wait until the lock is free, where no move before has told it. Measured on a test cluster of
/// two busy cores, ten handovers of simulated nodes: 0.62 to 0.86 s, 0.56 to 0.73 s of it until the delete was accepted; on two quiet
/// ones 0.57 to 0.63 s.
const UNKNOWN: Duration = Duration::from_millis(700);
/// So much later than the lock is free the end of its pod is seen, at least: 0.16 to 0.24 s in eleven handovers on a quiet test
/// cluster, whose locks were free 0.57 to 0.63 s after the wait.
const SEEN_LATE: Duration = Duration::from_millis(170);

/// How a pod that waits tries the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How long ago it did last.
    pub last: Duration,
    /// From one try to the next.
    pub interval: Duration,
}

/// Of several pods that wait, the one before whose try the others leave the lock alone for longest: a stop that is timed for that
/// one hands over to it, and not to another whose try came in between. `None` where fewer than two are known well enough, or
/// they try at different intervals.
pub fn most_apart(waiting: &[(PodId, Tries)]) -> Option<PodId> {
    let interval = waiting.first()?.1.interval;
    let known = |tries: &Tries| {
        tries.interval == interval && tries.last < interval.saturating_mul(MOST_TRIES.into())
    };
    let known = waiting.iter().filter(|(_, tries)| known(tries));
    let mut phases: Vec<(u128, &PodId)> = known
        .map(|(pod, tries)| (tries.last.as_nanos() % interval.as_nanos(), pod))
        .collect();
    // Who tried longest ago tries next.
    phases.sort();
    let (newest, oldest) = (phases.first()?.0, phases.last()?.0);
    let before = phases.iter().skip(1).map(|(ago, _)| *ago);
    let before = before.chain([newest + interval.as_nanos()]);
    let apart = phases.iter().zip(before);
    let apart = apart.map(|((ago, pod), before)| (before - ago, *pod));
    let (_, most) = apart.max_by_key(|(apart, _)| *apart)?;
    (newest != oldest).then(|| most.clone())
}

/// Whether a stop waits for a try of the successor: that of a failover, of a standby and of an end does not.
pub fn is_timed(permit: &Permit) -> bool {
    permit.successor().is_some() && permit.purpose() != Purpose::Unresponsive
}

/// How long a planned stop waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    pub whole: Duration,
    /// When in it the database is better asked once more how the successor tries: as soon as the try has been that comes before the one
    /// which the stop waits for. From that one on the next is known better. `None` where it waits for the very next.
    pub ask: Option<Duration>,
}

/// How long the stop waits, so that the lock is free just before the next try that it can be free for. The moves before, the
/// last of them first, took so long from the end of the wait until the stopped pod was seen to have ended. Not at all, where
/// it can't be told when a try comes, or when the lock is free. Never longer than an interval.
pub fn wait(tries: Tries, moves: &[Duration]) -> Wait {
    next(tries, moves).unwrap_or_default()
}

fn next(tries: Tries, moves: &[Duration]) -> Option<Wait> {
    let Tries { last, interval } = tries;
    let free = last.checked_add(to_release(moves, interval)?)?;
    let mut waits = (1..=MOST_TRIES).filter_map(|count| {
        let earliest = earliest(count, interval);
        let late = earliest.saturating_add(interval / LATE) < free;
        let whole = (!late).then(|| earliest.saturating_sub(free))?;
        let ask = (count > 1).then(|| latest(count - 1, interval).saturating_sub(last));
        let ask = ask.map(|ask| ask.min(whole));
        Some(Wait { whole, ask })
    });
    waits.next().filter(|wait| wait.whole <= interval)
}

/// The time from the end of the wait until the lock is free. A try that is missed costs a whole interval, and a lock that is
/// free too early only that much: so the longest of the moves before counts, unless they agree so well that the one in the middle
/// tells as much. `None` where they differ by more than half an interval: what can't be told better than that gains nothing.
fn to_release(moves: &[Duration], interval: Duration) -> Option<Duration> {
    let mut moves = moves.to_vec();
    moves.sort_unstable();
    let (Some(shortest), Some(longest)) = (moves.first(), moves.last()) else {
        return Some(UNKNOWN);
    };
    let differ = longest.saturating_sub(*shortest);
    let agree = differ <= interval.mul_f64(JITTER);
    let counts = if agree {
        &moves[moves.len() / 2]
    } else {
        longest
    };
    (differ <= interval / 2).then(|| counts.saturating_sub(SEEN_LATE))
}

/// When the try of this number after the last one comes, at the earliest that is worth to be waited for.
fn earliest(count: u8, interval: Duration) -> Duration {
    interval.mul_f64(f64::from(count) - jitter(count))
}

/// When it comes, at the latest that is worth to be waited for.
fn latest(count: u8, interval: Duration) -> Duration {
    interval.mul_f64(f64::from(count) + jitter(count))
}

/// Of an interval, by how much so many tries come early or late.
fn jitter(count: u8) -> f64 {
    let count = f64::from(count);
    (JITTER * count).min(TWO_SIGMA * count.sqrt())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::Act;
    use crate::plan::tests::world::{World, alone, pair, v2};

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn tries(last: u64) -> Tries {
        Tries {
            last: millis(last),
            interval: SECOND,
        }
    }

    /// The wait in milliseconds, where the last try was so long ago, and the lock is free so long after the wait.
    fn waits(last: u64, to_release: u64) -> u128 {
        let moves = [millis(to_release) + SEEN_LATE];
        wait(tries(last), &moves).whole.as_millis()
    }

    #[test]
    fn the_lock_is_free_just_before_the_next_try_that_can_take_it() {
        assert_eq!(waits(0, 250), 650);
        assert_eq!(waits(100, 300), 500);
        assert_eq!(waits(600, 300), 0);
        assert_eq!(waits(615, 300), 0, "it may come later");
        // Too late for the next one: the one after it, of which it is less known when it comes.
        assert_eq!(waits(650, 300), 886);
        assert_eq!(waits(900, 300), 636);
    }

    /// By then the try is over that comes before the one which the stop waits for.
    #[test]
    fn what_the_next_try_tells_is_asked_for_where_the_stop_waits_for_one_after_it() {
        let asks = |last, to_release| {
            let wait = wait(tries(last), &[millis(to_release) + SEEN_LATE]);
            wait.ask.map(|ask| ask.as_millis())
        };
        assert_eq!(asks(100, 300), None, "it waits for the next one");
        assert_eq!(asks(650, 300), Some(450));
        assert_eq!(asks(900, 600), Some(200));
        assert_eq!(asks(600, 900), Some(336), "no later than the stop");
        assert_eq!(asks(9500, 250), None, "nothing is known");
    }

    #[test]
    fn a_node_that_takes_longer_to_stop_than_an_interval_is_stopped_for_a_later_try() {
        assert_eq!(waits(0, 2000), 799);
        assert_eq!(waits(500, 2000), 299);
    }

    #[test]
    fn the_moves_before_tell_how_long_a_stop_takes_where_they_agree() {
        let wait = |moves: &[u64]| {
            let moves: Vec<Duration> = moves.iter().map(|took| millis(*took)).collect();
            wait(tries(0), &moves).whole.as_millis()
        };
        assert_eq!(wait(&[]), 200, "none is known");
        assert_eq!(wait(&[10]), 900, "it was over before it was seen");
        assert_eq!(wait(&[550, 650, 450]), 420, "the longest counts");
        assert_eq!(wait(&[560, 640, 550]), 510, "they agree");
        assert_eq!(wait(&[550, 1051]), 0, "they differ by too much");
    }

    #[test]
    fn what_is_not_known_well_enough_is_not_waited_for() {
        assert_eq!(waits(9400, 250), 0, "ten tries ago");
        assert_eq!(waits(100, 9600), 0, "it takes ten tries to stop");
        assert_eq!(waits(u64::MAX, 250), 0);
        let none = Tries {
            last: Duration::MAX,
            interval: Duration::ZERO,
        };
        assert_eq!(wait(none, &[Duration::MAX]), Wait::default());
    }

    #[test]
    fn no_wait_is_longer_than_an_interval_and_each_ends_before_the_try_that_it_is_for() {
        let a_little = Duration::from_micros(1);
        for interval in [millis(500), SECOND, SECOND * 30] {
            for (last, took) in (0..120).flat_map(|last| (0..120).map(move |took| (last, took))) {
                let tries = Tries {
                    last: interval * last / 10,
                    interval,
                };
                let took = interval * took / 10;
                let Wait { whole: wait, ask } = wait(tries, &[took]);
                assert!(ask.is_none_or(|ask| ask <= wait), "{tries:?}, {took:?}");
                assert!(wait <= interval, "{tries:?}, {took:?}: {wait:?}");
                if wait.is_zero() {
                    continue;
                }
                let free = tries.last + wait + to_release(&[took], interval).unwrap();
                let mut ahead = (1..=MOST_TRIES).map(|count| earliest(count, interval));
                let meets = ahead.any(|earliest| earliest.abs_diff(free) < a_little);
                assert!(meets, "{tries:?}, {took:?}: {wait:?}");
            }
        }
    }

    /// Of pods that tried so many milliseconds ago, and try every second.
    fn apart(last: &[u64]) -> Option<String> {
        let pod = |name: usize| PodId {
            name: name.to_string(),
            uid: String::new(),
        };
        let pods = last.iter().enumerate();
        let waiting: Vec<_> = pods.map(|(name, ago)| (pod(name), tries(*ago))).collect();
        most_apart(&waiting).map(|pod| pod.name)
    }

    #[test]
    fn a_stop_is_timed_for_the_pod_before_whose_try_the_others_leave_the_lock_alone_for_longest() {
        let named = |pod: &str| Some(pod.to_owned());
        // The first one tries 0.2 s after the second, and that one 0.8 s after the first.
        assert_eq!(apart(&[100, 300]), named("1"));
        assert_eq!(apart(&[300, 100]), named("0"));
        assert_eq!(apart(&[100, 900]), named("0"));
        assert_eq!(apart(&[1100, 2300]), named("1"), "some tries later");
        assert_eq!(apart(&[0, 200, 500]), named("2"));
        assert_eq!(apart(&[]), None);
        assert_eq!(apart(&[100]), None, "nobody else waits");
        assert_eq!(apart(&[100, 100]), None, "which is first is not known");
        assert_eq!(apart(&[100, 10_000]), None, "ten tries ago");
    }

    #[test]
    fn pods_that_try_at_different_intervals_or_without_one_are_not_compared() {
        let pod = |name: &str| PodId {
            name: name.to_owned(),
            uid: String::new(),
        };
        for interval in [Duration::ZERO, SECOND * 2] {
            let other = Tries {
                last: millis(10),
                interval,
            };
            let waiting = [(pod("a"), tries(100)), (pod("b"), other)];
            assert_eq!(most_apart(&waiting), None);
            let [one, other] = waiting;
            assert_eq!(most_apart(&[other, one]), None);
        }
    }

    /// The stop that is planned, and whether it is timed.
    fn stop(world: &World) -> (String, bool) {
        let acts = world.plan().acts;
        let stop = acts.iter().find_map(|act| match act {
            Act::Stop(permit) => Some((permit.cause().to_string(), is_timed(permit))),
            _ => None,
        });
        stop.unwrap()
    }

    #[test]
    fn only_the_stop_of_an_active_that_works_for_its_successor_is_timed() {
        let mut rollout = alone();
        rollout.want_settled(&v2());
        let rollout = rollout.standby("b", &v2());
        assert_eq!(stop(&rollout), ("handover to b".to_owned(), true));

        let mut silent = pair();
        silent.intent.policy.unresponsive_after = Some(Duration::from_mins(1));
        silent.goes_dumb("a", 3600);
        assert_eq!(stop(&silent), ("handover to b".to_owned(), false));

        let mut end = pair();
        end.intent.replicas = 0;
        assert!(!stop(&end).1, "{:?}", stop(&end));

        let mut surplus = pair();
        surplus.intent.replicas = 1;
        assert_eq!(stop(&surplus), ("more pods than wanted".to_owned(), false));
    }

    #[test]
    fn the_stop_is_for_the_pod_that_it_is_best_timed_for() {
        let mut world = alone();
        world.intent.replicas = 2;
        world.want_settled(&v2());
        let mut world = world.standby("b", &v2()).standby("c", &v2());
        assert_eq!(stop(&world).0, "handover to b");
        for name in ["c", "b"] {
            let pods = world.look().pods;
            let pod = pods.into_iter().find(|pod| pod.id.name == name);
            world.best_timed = pod.map(|pod| pod.id);
            assert_eq!(stop(&world).0, format!("handover to {name}"));
        }
    }
}
