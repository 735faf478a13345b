//! What this process knows of one resource, beside what is written into it. Nothing here is a promise: after a restart all of
//! it is found anew, and what must outlive the operator stands in the status.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kube::runtime::reflector::ObjectRef;

use super::failing::{Failing, Pauses};
use super::failures::ApiFailures;
use super::rest::Rest;
use super::timing::Timing;
use crate::api::{ChainlinkNode, KeyRef, ReadOnlySpell, RevisionName};
use crate::cluster::RepeatedLines;
use crate::domain::{DatabaseAnswer, EndedNodes, PodId, Refused, Says, Silence};
use crate::node::LockMode;
use crate::observe::Moment;
use crate::observe::database::Target;

/// What is known of one resource.
pub(super) struct Local {
    /// What it is called: others know it by that alone.
    pub(super) reference: ObjectRef<ChainlinkNode>,
    /// When this process began to look at it, as the leader that it is now.
    pub(super) since: Instant,
    /// The name of the pod that was to be made last and turned out to be taken.
    pub(super) taken: Option<String>,
    /// What was last made of its Services and budgets.
    pub(super) around: Around,
    /// How its Services were when they were last looked at, or written, whatever has changed since.
    pub(super) services_were: Option<Kept>,
    /// What did not succeed in its last pass.
    pub(super) failures: ApiFailures,
    /// How long what is refused in its passes is waited with, where something is.
    pub(super) refused: Option<Pauses>,
    /// When its Secrets were looked at, for which generation of the spec.
    pub(super) secrets_at: Option<(Option<i64>, Instant)>,
    /// The term of this operator in which what an earlier one has sent was made void.
    pub(super) fenced: u64,
    /// The stop that the API server did not do when it was last tried.
    pub(super) refused_stop: Option<Refused>,
    /// Pods that the API server did not make when that was last tried, by their revision.
    pub(super) refused_creations: BTreeMap<RevisionName, Refused>,
    /// The same of pods that are no nodes, by their names.
    pub(super) refused_oneshots: BTreeMap<String, Refused>,
    /// The lease of a node that ended which could not be given back when that was last tried.
    pub(super) refused_return: Option<Refused>,
    /// Its nodes whose ends were seen.
    pub(super) ended: EndedNodes,
    /// When its next planned stop is due, and how long those before took.
    pub(super) timing: Timing,
    /// What is known of its passes that end early, if the last one did.
    pub(super) failing: Option<Failing>,
    /// What was logged of it, and would be logged again with each try.
    pub(super) lines: RepeatedLines,
    /// What its passes have read, where nothing is left to do.
    pub(super) rest: Rest,
}

impl Local {
    /// What was read of the resource may be of before a change.
    pub(super) fn stir(&mut self) {
        self.rest.stir();
        self.around.services.stir();
        self.around.budgets.stir();
    }
}

/// What was last made of the Services and of the budgets of a resource.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) services: Known<Kept>,
    pub(super) budgets: Known<Budgets>,
}

/// What is known of something until it is told that it has changed.
#[derive(Debug)]
pub(super) struct Known<T> {
    /// How often that was told.
    changes: u64,
    known: Option<T>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            changes: 0,
            known: None,
        }
    }
}

impl<T: Clone> Known<T> {
    /// It has changed, or may have.
    pub(super) fn stir(&mut self) {
        self.changes += 1;
        self.known = None;
    }

    /// What is known, and after how many changes.
    pub(super) fn get(&self) -> (Option<T>, u64) {
        (self.known.clone(), self.changes)
    }

    /// That is known now, unless it was told of more than so many changes.
    pub(super) fn note(&mut self, known: T, changes: u64) {
        self.known = (self.changes == changes).then_some(known);
    }

    /// Nothing is known.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

/// The Services were as wanted.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// For this generation of the spec, and with or without HTTPS.
    pub(super) of: (Option<i64>, bool),
    /// The pod that they lead to, where that is not whichever is labelled active.
    pub(super) pod: Option<String>,
    pub(super) at: Instant,
}

/// What was last made of the budgets of a resource.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    pub(super) standbys_kept: usize,
    pub(super) active: String,
    pub(super) at: Instant,
    pub(super) refusal: Option<String>,
}

/// The last answer, and what it was the answer of.
pub(super) struct LastAnswer {
    /// SHA-256 of the URL: another one may lead to another database.
    url: Option<[u8; 32]>,
    /// What the URL leads to, and the key of the Secret that it was read from.
    pub(super) leads_to: Option<(Target, KeyRef)>,
    answer: DatabaseAnswer,
    /// When it was asked for, by a clock that nobody sets.
    asked: Instant,
    /// When it came, by the same.
    pub(super) came: Instant,
}

/// A wall clock may be off by so much and was not set.
const SLEW: SignedDuration = SignedDuration::from_secs(1);

impl LastAnswer {
    /// The answer to a question, beside what was known. Where the URL could not be read it is taken for the one
    /// before; what another one said says nothing of this one. What was `noted` counts for the first answer of this process.
    pub(super) fn after(
        before: Option<Self>,
        noted: &[ReadOnlySpell],
        url: Option<[u8; 32]>,
        at: Moment,
        said: Result<Says, Silence>,
    ) -> Self {
        let url = url.or(before.as_ref().and_then(|before| before.url));
        let leads_to = before.as_ref().and_then(|before| before.leads_to.clone());
        let before = before.filter(|before| before.url == url);
        let before = before.map(|before| before.as_of(at));
        Self {
            url,
            leads_to,
            answer: DatabaseAnswer::after_noted(before, noted, at.wall, said),
            asked: at.steady,
            came: Instant::now(),
        }
    }

    /// How long ago the node of a pod asked its database last, where the last answer told.
    pub(super) fn asked_ago(&self, pod: &PodId, now: Instant) -> Option<Duration> {
        let says = self.answer.said.as_ref().ok()?;
        let then = says.asked_ago.get(pod)?;
        then.checked_add(now.saturating_duration_since(self.came))
    }

    /// The answer, as old as it is: its age permits stops, and a wall clock that was set back would make it young for as
    /// long.
    pub(super) fn as_of(&self, now: Moment) -> DatabaseAnswer {
        let moved = now.wall_at(self.asked).duration_since(self.answer.at);
        let answer = self.answer.clone();
        if moved.abs() < SLEW {
            answer
        } else {
            answer.moved_by(moved)
        }
    }
}

/// What a resource is about to take a database by, from before that is written until it is seen.
pub(super) struct Reservation {
    pub(super) namespace: Option<String>,
    pub(super) key: Option<KeyRef>,
    pub(super) target: Option<Target>,
    pub(super) mode: Option<LockMode>,
    pub(super) lock_id_hidden: bool,
}

impl Reservation {
    pub(super) fn is_of_one_database(&self, other: &Self) -> bool {
        let targets = self.target.as_ref().zip(other.target.as_ref());
        let same_key = self.namespace == other.namespace && self.key == other.key;
        (same_key && self.key.is_some())
            || targets.is_some_and(|(one, other)| one.is_that_of(other))
    }

    pub(super) fn sees(&self, other: &Self) -> bool {
        let modes = self.mode.zip(other.mode);
        modes.is_some_and(|(one, two)| {
            one.surely_sees(two, self.lock_id_hidden || other.lock_id_hidden)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::Reason;

    #[test]
    fn what_a_url_has_said_stands_through_silences_and_is_nothing_for_another_url() {
        let start = Instant::now();
        let wall = |second| Timestamp::from_second(second).unwrap();
        let at = |second: i64| Moment {
            steady: start + Duration::from_secs(second.unsigned_abs()),
            wall: wall(second),
        };
        let silence = || {
            Err(Silence::new(
                Reason::ReferenceUnreadable,
                "there is no Secret",
            ))
        };
        let first = || LastAnswer::after(None, &[], Some([1; 32]), at(1), Ok(Says::quiet()));
        let last = |known: &LastAnswer| known.answer.last().map(|(at, _)| at);

        let same = LastAnswer::after(Some(first()), &[], Some([1; 32]), at(2), silence());
        assert_eq!(last(&same), Some(wall(1)));
        let unread = LastAnswer::after(Some(first()), &[], None, at(2), silence());
        assert_eq!((unread.url, last(&unread)), (Some([1; 32]), Some(wall(1))));
        let other = LastAnswer::after(Some(first()), &[], Some([2; 32]), at(2), silence());
        assert_eq!((other.url, last(&other)), (Some([2; 32]), None));
        let back = LastAnswer::after(Some(other), &[], Some([1; 32]), at(3), silence());
        assert_eq!(last(&back), None);
    }

    #[test]
    fn what_an_earlier_operator_has_noted_counts_for_the_first_answer_alone() {
        let at = Moment {
            steady: Instant::now(),
            wall: Timestamp::UNIX_EPOCH,
        };
        let silence = || Err(Silence::not_allowed());
        let spell = ReadOnlySpell {
            from: None,
            until: None,
            server_start: Some(1),
        };
        let noted = [spell];
        let known = |last: &LastAnswer| last.answer.read_only.noted().to_vec();
        let first = LastAnswer::after(None, &noted, Some([1; 32]), at, silence());
        assert_eq!(known(&first), noted);
        let other = LastAnswer::after(None, &[], Some([1; 32]), at, silence());
        let later = LastAnswer::after(Some(other), &noted, Some([1; 32]), at, silence());
        assert_eq!(known(&later), []);
    }

    /// What permits a stop by its age.
    #[test]
    fn an_answer_is_as_old_as_it_is_whatever_the_wall_clock_is_set_to() {
        let (start, wall) = (Instant::now(), Timestamp::from_second(100_000).unwrap());
        let asked = Moment {
            steady: start,
            wall,
        };
        let age = |known: &LastAnswer, seconds: u64, set_by: i64| {
            let later = i64::try_from(seconds).unwrap() + set_by;
            let now = Moment {
                steady: start + Duration::from_secs(seconds),
                wall: wall + SignedDuration::from_secs(later),
            };
            let answer = known.as_of(now);
            let since = |at: Timestamp| now.wall.duration_since(at).as_secs();
            (since(answer.at), answer.free.lease.map(since))
        };
        let known = LastAnswer::after(None, &[], Some([1; 32]), asked, Ok(Says::quiet()));
        for set_by in [0, 3600, -3600] {
            assert_eq!(age(&known, 5, set_by), (5, Some(5)), "set by {set_by} s");
        }
        // The clock was set back between two answers: the lock is free for as long as it was seen to be.
        let again = Moment {
            steady: start + Duration::from_secs(20),
            wall: wall - SignedDuration::from_secs(3600),
        };
        let known = LastAnswer::after(Some(known), &[], Some([1; 32]), again, Ok(Says::quiet()));
        assert_eq!(age(&known, 30, -3620), (10, Some(30)));
    }

    fn reservation(key: &str, mode: LockMode) -> Reservation {
        Reservation {
            namespace: Some("chain".to_owned()),
            key: Some(KeyRef {
                name: key.to_owned(),
                key: "url".to_owned(),
            }),
            target: None,
            mode: Some(mode),
            lock_id_hidden: false,
        }
    }

    #[test]
    fn two_resources_reserve_one_database_only_by_locks_that_see_each_other() {
        let lease = reservation("db", LockMode::Lease);
        let advisory = reservation("db", LockMode::Advisory);
        assert!(lease.is_of_one_database(&advisory) && !lease.sees(&advisory));
        assert!(lease.sees(&reservation("db", LockMode::Dual)));
        assert!(!lease.is_of_one_database(&reservation("other", LockMode::Lease)));
        let unknown = Reservation {
            mode: None,
            ..reservation("db", LockMode::Lease)
        };
        assert!(!lease.sees(&unknown), "a lock that can't be told");
        let hidden = Reservation {
            lock_id_hidden: true,
            ..reservation("db", LockMode::Advisory)
        };
        assert!(!advisory.sees(&hidden), "a Secret may set another id");

        let target = |namespace| Target::of("postgres://cl@db.chain/node", namespace);
        let there = Reservation {
            namespace: Some("elsewhere".to_owned()),
            target: target("elsewhere"),
            ..reservation("mine", LockMode::Lease)
        };
        assert!(!there.is_of_one_database(&lease));
        let here = Reservation {
            target: target("chain"),
            ..lease
        };
        assert!(there.is_of_one_database(&here));
    }
}
