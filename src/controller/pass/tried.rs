//! How calmly is tried again what the API server did not do. Each try writes its intent, so it comes ever later.

use jiff::{SignedDuration, Timestamp, ToSpan};

/// After so long without a try, another one begins to count anew.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

/// So many tries may fail for a moment.
const A_FEW: u32 = 3;

/// The try that has just failed.
pub(super) struct Tried {
    /// Which one it was, from 1.
    pub(super) tries: u32,
    /// When the next one is due.
    pub(super) again: Timestamp,
}

impl Tried {
    /// The next after one of before, of which is known which it was and when this one was due.
    pub(super) fn after(before: Option<(u32, Timestamp)>, now: Timestamp) -> Self {
        let before = before.filter(|(_, due)| now.duration_since(*due) < FORGOTTEN);
        let tries = before.map_or(1, |(tries, _)| tries.saturating_add(1));
        Self {
            tries,
            again: later(now, tries),
        }
    }

    /// Whether what is due since then still counts.
    pub(super) fn was_due_lately(due: Timestamp) -> bool {
        Timestamp::now().duration_since(due) < FORGOTTEN
    }

    pub(super) fn is_no_moment(&self) -> bool {
        self.tries > A_FEW
    }
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
        let (mut known, mut pauses) = (None, Vec::new());
        for _ in 0..8 {
            let tried = Tried::after(known, now);
            pauses.push(tried.again.duration_since(now).as_secs());
            now = tried.again;
            known = Some((tried.tries, tried.again));
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        let long_after = now + FORGOTTEN;
        assert_eq!(Tried::after(known, long_after).tries, 1);
    }
}
