//! A resource at rest costs the API server nothing. What a pass has read is kept where nothing was left to do, and later passes
//! read it again from memory: the same steps, by the clock and by what the witnesses have seen since. Whatever such a pass
//! would ask or write beyond that ends it unheard, and a pass that reads what is there now takes its place. So a watch wakes,
//! and never permits: nothing is made, stopped or told by what was remembered.
//!
//! What was read is forgotten as soon as a watch, a witness or the resource itself tells of a change, when it is old, and where
//! the watches fail.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cluster::Reads;

/// So often the pods are looked at anew, whatever the watches say, or up to a fifth later: not of all resources at once.
const SAFETY_LOOK: Duration = Duration::from_mins(10);

/// So long all else may be read from memory, or up to a fifth longer.
const WHOLE_LOOK: Duration = Duration::from_hours(2);

/// What is remembered for the passes over one resource.
#[derive(Debug, Default)]
pub(super) struct Rest {
    kept: Option<Kept>,
    stirs: Stirs,
    /// When the first word came of what no pass has begun to look at, and of what one looks at now.
    told: Option<Instant>,
    looked_at: Option<Instant>,
}

/// What the last pass has read, after which nothing was left to do.
#[derive(Debug)]
struct Kept {
    /// The resource as it was read.
    version: Option<String>,
    remembered: Remembered,
    /// Until when it may be read again without a look at the pods, and at all.
    pods_until: Instant,
    until: Instant,
}

/// How often something was told of a resource that may have changed what its passes read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stirs(u64);

/// What a pass may read from memory.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// When it was read, by the wall clock.
    pub(super) at: Timestamp,
    pub(super) reads: Arc<Reads>,
    /// Whether the pods have to be looked at anew before.
    pub(super) looks: bool,
}

impl Rest {
    /// Something has changed, or may have.
    pub(super) fn stir(&mut self) {
        self.stirs.0 += 1;
        self.kept = None;
        self.told.get_or_insert_with(Instant::now);
    }

    /// A pass begins, which looks at all that was told.
    pub(super) fn look(&mut self) {
        self.looked_at = self.looked_at.or(self.told);
        self.told = None;
    }

    /// It has decided what to do. Returns when the first word came of what it is about, if one came since the decision before.
    pub(super) fn decided(&mut self) -> Option<Instant> {
        self.looked_at.take()
    }

    pub(super) fn stirs(&self) -> Stirs {
        self.stirs
    }

    /// What a pass over the resource of this version, which a watch shows, may read from memory.
    pub(super) fn remembered(&mut self, version: Option<&str>) -> Option<Remembered> {
        let holds = |kept: &Kept| kept.version.as_deref() == version && Instant::now() < kept.until;
        self.kept = self.kept.take().filter(holds);
        let kept = self.kept.as_mut()?;
        kept.remembered.looks = Instant::now() >= kept.pods_until;
        Some(kept.remembered.clone())
    }

    /// The pods were looked at anew at that time, and are as they are remembered, unless something was told meanwhile.
    pub(super) fn looked(&mut self, at: Timestamp) {
        if let Some(kept) = &mut self.kept {
            kept.remembered.at = at;
            kept.pods_until = Instant::now() + spread(SAFETY_LOOK);
        }
    }

    /// Keeps what a pass over the resource of this version has read that found nothing to do, unless something was told since
    /// it began.
    pub(super) fn keep(
        &mut self,
        version: Option<String>,
        (at, reads): (Timestamp, Reads),
        since: Stirs,
    ) {
        let now = Instant::now();
        self.kept = (self.stirs == since).then(|| Kept {
            version,
            remembered: Remembered {
                at,
                reads: Arc::new(reads.lean()),
                looks: false,
            },
            pods_until: now + spread(SAFETY_LOOK),
            until: now + spread(WHOLE_LOOK),
        });
    }
}

/// The time, and up to a fifth of it, by chance.
fn spread(time: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1000;
    time + time * u32::try_from(chance).unwrap_or_default() / 5000
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn keep(rest: &mut Rest, since: Stirs) {
        let read = (Timestamp::UNIX_EPOCH, Reads::default());
        rest.keep(Some("1".to_owned()), read, since);
    }

    fn remembers(rest: &mut Rest, version: &str) -> bool {
        rest.remembered(Some(version)).is_some()
    }

    #[test]
    fn what_was_read_is_forgotten_with_the_first_word_of_a_change() {
        let mut rest = Rest::default();
        keep(&mut rest, Stirs::default());
        assert!(remembers(&mut rest, "1"));
        assert!(remembers(&mut rest, "1"));
        rest.stir();
        assert!(!remembers(&mut rest, "1"));

        let since = rest.stirs();
        keep(&mut rest, since);
        assert!(!remembers(&mut rest, "2"), "somebody has edited it");
        assert!(!remembers(&mut rest, "1"), "and what was read is of before");
    }

    /// What a pass has read may be of before the change.
    #[test]
    fn a_change_in_the_middle_of_a_pass_keeps_nothing_of_it() {
        let mut rest = Rest::default();
        let since = rest.stirs();
        rest.stir();
        keep(&mut rest, since);
        assert!(!remembers(&mut rest, "1"));
    }

    #[test]
    fn a_decision_is_about_the_first_word_that_came_before_its_pass_began() {
        let mut rest = Rest::default();
        rest.look();
        assert_eq!(rest.decided(), None, "nothing was told");
        rest.stir();
        let first = rest.told;
        rest.stir();
        rest.look();
        rest.stir();
        let next = rest.told;
        // A pass that ends early decides nothing.
        rest.look();
        assert!(first.is_some() && next > first);
        assert_eq!(rest.decided(), first);
        assert_eq!(rest.decided(), None, "it was counted");
        rest.stir();
        assert!(rest.decided().is_none(), "no pass looks at that yet");
    }

    #[test]
    fn what_is_old_is_read_again() {
        let mut rest = Rest::default();
        keep(&mut rest, Stirs::default());
        let kept = rest.kept.as_mut().unwrap();
        assert!(kept.until > Instant::now() + WHOLE_LOOK / 2);
        kept.until = Instant::now();
        assert!(!remembers(&mut rest, "1"));
    }

    #[test]
    fn the_pods_are_looked_at_now_and_then_whatever_the_watches_say() {
        let mut rest = Rest::default();
        keep(&mut rest, Stirs::default());
        assert!(!rest.remembered(Some("1")).unwrap().looks);
        rest.kept.as_mut().unwrap().pods_until = Instant::now();
        assert!(rest.remembered(Some("1")).unwrap().looks);
        rest.looked(Timestamp::UNIX_EPOCH);
        assert!(!rest.remembered(Some("1")).unwrap().looks);
        rest.stir();
        rest.looked(Timestamp::UNIX_EPOCH);
        assert!(!remembers(&mut rest, "1"));
    }

    #[test]
    fn whole_looks_do_not_come_all_at_once() {
        let times: Vec<Duration> = (0..100).map(|_| spread(WHOLE_LOOK)).collect();
        let least = WHOLE_LOOK..=WHOLE_LOOK * 6 / 5;
        assert!(times.iter().all(|time| least.contains(time)), "{times:?}");
        let shortest = times.iter().min();
        let longest = times.iter().max();
        assert!(longest > shortest, "{times:?}");
    }
}
