//! What is logged where it is new, and then rarely: what fails is tried again and again, and a line for each try would hide
//! all others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::says_the_same;

/// What goes on in the same words is logged again after so long.
const LOGGED_AGAIN: Duration = Duration::from_mins(10);

/// What is said again and again, and is worth a line only where it is new, or has gone on for long.
#[derive(Clone, Debug, Default)]
pub struct Repeated {
    last: Option<(Instant, String)>,
    times: u64,
}

impl Repeated {
    /// Takes note of it. Says how often it has happened, where that is worth a line now.
    pub fn again(&mut self, said: &str, now: Instant) -> Option<u64> {
        self.times += 1;
        let stale = |(at, last): &(Instant, String)| {
            !says_the_same(last, said) || now.duration_since(*at) >= LOGGED_AGAIN
        };
        if self.last.as_ref().is_some_and(|last| !stale(last)) {
            return None;
        }
        self.last = Some((now, said.to_owned()));
        Some(self.times)
    }

    /// How often it has happened.
    pub fn times(&self) -> u64 {
        self.times
    }
}

/// Several such lines about one thing, each known by its own text.
#[derive(Debug, Default)]
pub struct RepeatedLines(BTreeMap<&'static str, Repeated>);

impl RepeatedLines {
    /// Takes note of what was `said` beside the text of a line. Says how often it has happened, where that is worth a line now.
    pub fn again(&mut self, text: &'static str, said: &str, now: Instant) -> Option<u64> {
        self.0.entry(text).or_default().again(said, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_worth_a_line_again_only_after_a_while() {
        let start = Instant::now();
        let at = |minutes| start + Duration::from_mins(minutes);
        let mut log = Repeated::default();
        assert_eq!(log.again("no route from port 40212", at(0)), Some(1));
        assert_eq!(log.again("no route from port 40213", at(9)), None);
        assert_eq!(log.again("refused", at(9)), Some(3), "other words");
        assert_eq!(log.again("refused", at(18)), None);
        assert_eq!(log.again("refused", at(19)), Some(5), "it goes on");
    }

    #[test]
    fn two_lines_with_the_same_words_are_two() {
        let now = Instant::now();
        let mut lines = RepeatedLines::default();
        for text in ["a pod could not be made", "a pod could not be stopped"] {
            assert_eq!(lines.again(text, "forbidden", now), Some(1), "{text}");
            assert_eq!(lines.again(text, "forbidden", now), None, "{text}");
        }
    }
}
