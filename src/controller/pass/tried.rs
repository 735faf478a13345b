//! How calmly is tried again what the API server did not do. Each try writes its intent, so it comes ever later.

use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::cluster::says_the_same;
use crate::domain::Refused;

/// After so long without a try, another one begins to count anew.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

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
}

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
            again: later(now, tries),
        }
    }
}

/// Whether what failed before still counts.
pub(super) fn counts(before: &Refused, now: Timestamp) -> bool {
    now.duration_since(before.again) < FORGOTTEN
}

/// 2 s, 4 s, … a minute.
fn later(now: Timestamp, tries: u32) -> Timestamp {
    let seconds = 2_i64.saturating_pow(tries.min(6)).min(60);
    now.checked_add(seconds.seconds()).unwrap_or(now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_ever_later_and_after_a_while_without_any_they_begin_anew() {
        let mut now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let fails = |before: Option<Refused>, now| {
            let failed = Failed {
                pod: "a".to_owned(),
                said: format!("no answer at {now}"),
                refused: false,
                perhaps: true,
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
