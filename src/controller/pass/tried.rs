//! How calmly is tried again what the API server did not do. Each try writes its intent, so it comes ever later.

use jiff::{SignedDuration, Timestamp};

use crate::cluster::says_the_same;
use crate::domain::Refused;

/// After so long without a try, another one begins to count anew.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// So many tries may fail for a moment.
const A_FEW: u32 = 3;

/// What the API server has just not done.
pub(super) struct Failed {
    pub(super) pod: String,
    pub(super) said: String,
    /// It would be refused again, as far as can be told.
    pub(super) refused: bool,
    /// It may be done yet.
    pub(super) perhaps: bool,
    /// After so long it is tried again; each time after twice as long, up to a minute.
    pub(super) first: SignedDuration,
}

/// The first pause of what writes an intent with each try.
pub(super) const FIRST: SignedDuration = SignedDuration::from_secs(2);

impl Failed {
    /// What the planner is to know of it, after what it knew of the same before. That is told, and tried again ever later.
    pub(super) fn after(self, before: Option<Refused>, now: Timestamp) -> Refused {
        let known = before.as_ref().filter(|before| counts(before, now));
        let tries = known.map_or(1, |before| before.tries.saturating_add(1));
        // Times, ports and counts in it are no news: each would be written into the status anew.
        let same = before.filter(|before| says_the_same(&before.message, &self.said));
        Refused {
            pod: self.pod,
            message: same.map_or(self.said, |before| before.message),
            lasting: self.refused || tries > A_FEW,
            perhaps: self.perhaps,
            tries,
            again: later(now, self.first, tries),
        }
    }
}

/// Whether what failed before still counts.
pub(super) fn counts(before: &Refused, now: Timestamp) -> bool {
    now.duration_since(before.again) < FORGOTTEN
}

/// Twice as long with each try, up to a minute.
fn later(now: Timestamp, first: SignedDuration, tries: u32) -> Timestamp {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).min(10));
    now.checked_add(doubled.min(LONGEST)).unwrap_or(now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_soon_comes_ever_later_too() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let soon = SignedDuration::from_millis(500);
        let pause = |tries| later(now, soon, tries).duration_since(now).as_millis();
        let pauses = [1, 2, 3, 8, 100].map(pause);
        assert_eq!(pauses, [500, 1000, 2000, 60_000, 60_000]);
    }

    #[test]
    fn tries_come_ever_later_and_after_a_while_without_any_they_begin_anew() {
        let mut now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let fails = |before: Option<Refused>, now| {
            let failed = Failed {
                pod: "a".to_owned(),
                said: format!("no answer at {now}"),
                refused: false,
                perhaps: true,
                first: FIRST,
            };
            failed.after(before, now)
        };
        let first = fails(None, now);
        let (mut known, mut pauses, mut lasting) = (None, Vec::new(), Vec::new());
        for _ in 0..8 {
            let refused = fails(known, now);
            assert_eq!(refused.message, first.message, "a time in it is no news");
            pauses.push(refused.again.duration_since(now).as_secs());
            lasting.push(refused.lasting);
            now = refused.again;
            known = Some(refused);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(lasting.iter().position(|lasting| *lasting), Some(3));
        let long_after = now + FORGOTTEN;
        assert_eq!(fails(known, long_after).tries, 1);
    }
}
