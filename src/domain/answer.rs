//! What the database said of its lock, in the planner's terms. Data only: `observe` asks, and what an answer is worth is
//! worked out by `plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::pod::PodId;
use super::read_only::{Beginnings, ReadOnlySpells};
use super::reason::Reason;
use crate::api::{Migrated, ReadOnlySpell, Verification};
use crate::node::NodeVersion;
use crate::node::database::{SessionOf, is_of_app};

/// What the spec asks for, and the last answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseView {
    pub wanted: Verification,
    pub answer: Option<DatabaseAnswer>,
    /// Who of those that may hold a lock is known to be a node in `dual` mode, by the pods.
    pub duals: Vec<Holder>,
}

/// One answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAnswer {
    /// When the question was put.
    pub at: Timestamp,
    pub said: Result<Says, Silence>,
    /// Beside a silence: the last answer that the same URL gave. A question that is not answered takes nothing back
    /// of what was said against a stop; what was said for one has to be fresh.
    pub before: Option<Heard>,
    /// Pods that the same URL has shown to hold a lock, now or before: they are on this database.
    pub held: BTreeSet<PodId>,
    /// Since when each lock was free whenever the same URL was asked.
    pub free: Free,
    /// The `client_id`s that the same URL has shown to hold the lease, now or before.
    pub leased: BTreeSet<String>,
    /// Those of them of which it showed a session, too, while they held the lease, and when the server that did so was
    /// started: only there does it prove something that the session is gone.
    pub shown: BTreeMap<String, i64>,
    /// When sessions began that can never write.
    pub read_only: ReadOnlySpells,
}

/// An answer, and when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub at: Timestamp,
    pub says: Says,
}

/// The first of the answers on end that found a lock free. `None`: the last one found it taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Free {
    pub lease: Option<Timestamp>,
    pub advisory: Option<Timestamp>,
}

impl DatabaseAnswer {
    /// The answer to the question put `at`, after what the same URL said `before`.
    pub fn after(before: Option<Self>, at: Timestamp, said: Result<Says, Silence>) -> Self {
        Self::after_noted(before, &[], at, said)
    }

    /// The same, where it may be the first one that this process has, and an earlier one has noted when sessions began that
    /// can never write.
    pub fn after_noted(
        before: Option<Self>,
        noted: &[ReadOnlySpell],
        at: Timestamp,
        said: Result<Says, Silence>,
    ) -> Self {
        let mut answer = Self {
            at,
            said,
            before: None,
            held: BTreeSet::new(),
            free: Free::default(),
            leased: BTreeSet::new(),
            shown: BTreeMap::new(),
            read_only: ReadOnlySpells::from(noted.to_vec()),
        };
        if let Some(before) = before {
            answer.before = match before.said {
                Ok(says) => Some(Heard {
                    at: before.at,
                    says,
                }),
                Err(_) => before.before,
            };
            answer.held = before.held;
            answer.free = before.free;
            answer.leased = before.leased;
            answer.shown = before.shown;
            answer.read_only = before.read_only;
        }
        if let Ok(says) = &answer.said {
            answer.before = None;
            for holder in [&says.lease, &says.advisory] {
                if let Holder::Pod(pod) = holder {
                    answer.held.insert(pod.clone());
                }
            }
            let free = |holder: &Holder, since: Option<Timestamp>| {
                (*holder == Holder::Nobody).then(|| since.unwrap_or(at))
            };
            answer.free.lease = free(&says.lease, answer.free.lease);
            answer.free.advisory = free(&says.advisory, answer.free.advisory);
            answer.leased.extend(says.lease_client.clone());
            let holds = says.leaseholder_has_a_session && says.lease != Holder::Nobody;
            let client = says.lease_client.clone().filter(|_| holds);
            answer.shown.extend(client.zip(says.server_start));
            answer.read_only.hear(&says.begun, says.server_start);
        }
        answer
    }

    /// The same, as if all of it had been so much later: the wall clock was set since.
    #[must_use]
    pub fn moved_by(mut self, by: SignedDuration) -> Self {
        let before = self.before.as_mut().map(|before| &mut before.at);
        let free = [self.free.lease.as_mut(), self.free.advisory.as_mut()];
        let times = free.into_iter().chain([before, Some(&mut self.at)]);
        for time in times.flatten() {
            *time = time.checked_add(by).unwrap_or(*time);
        }
        self
    }

    /// Whether the session that holds the advisory lock is of a node that has, or had, the lease, too: one in `dual`
    /// mode takes both.
    pub fn advisory_is_of_a_leaseholder(&self, says: &Says) -> bool {
        let session = says.advisory_session.as_deref();
        session.is_some_and(|name| self.leased.iter().any(|client| is_of_app(name, client)))
    }

    /// The last answer, and when it was asked for: this one, or the one before a silence.
    pub fn last(&self) -> Option<(Timestamp, &Says)> {
        match (&self.said, &self.before) {
            (Ok(says), _) => Some((self.at, says)),
            (Err(_), Some(before)) => Some((before.at, &before.says)),
            (Err(_), None) => None,
        }
    }
}

/// What the server said that the database URL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Why it takes no writes, if it takes none.
    pub read_only: Option<&'static str>,
    /// Which right on the lease the role lacks, if it lacks one.
    pub missing_right: Option<&'static str>,
    /// The role may create no tables, and the one of the lease is there: only a node that has to migrate needs more.
    pub may_not_create: bool,
    /// Who holds the row in `lease_lock`.
    pub lease: Holder,
    /// Who holds the advisory lock.
    pub advisory: Holder,
    /// The `client_id` in `lease_lock`, whether or not its lease has run out.
    pub lease_client: Option<String>,
    /// Whether a session bears that `client_id`.
    pub leaseholder_has_a_session: bool,
    /// The `application_name` of the session that holds the advisory lock.
    pub advisory_session: Option<String>,
    /// The version that migrated it last, where that can be read (rule S6).
    pub version: Option<NodeVersion>,
    /// The major version of the server.
    pub postgres: Option<u32>,
    /// When the server was started, in microseconds: one that was started anew, or another that has taken its place, shows
    /// no session that it had before.
    pub server_start: Option<i64>,
    /// How far it is migrated, where that can be read.
    pub schema: Option<Migrated>,
    /// The pods of the resource that have a session, and whose that is by its name.
    pub sessions: BTreeMap<PodId, SessionOf>,
    /// The pods whose `client_id` was known from their logs: a session of theirs is found wherever it comes from.
    pub identified: BTreeSet<PodId>,
    /// How long before this answer came the pod last asked its database, where one session alone is its node's: a node that
    /// waits asks for the lock and for nothing else (measured on 1.13.3 and 2.29.0). Half a round trip is the error.
    pub asked_ago: BTreeMap<PodId, Duration>,
    /// When sessions began, and whether those that begin now can ever write.
    pub begun: Beginnings,
    /// How many sessions bear a node's name and are of no pod of the resource, as far as ids and addresses tell.
    pub nodes_elsewhere: usize,
}

impl Says {
    /// Whether one session bears the `client_id` of the lease and holds the advisory lock.
    pub fn one_client_has_both(&self) -> bool {
        let both = self
            .advisory_session
            .as_ref()
            .zip(self.lease_client.as_ref());
        both.is_some_and(|(session, client)| is_of_app(session, client))
    }

    /// A database that takes writes, whose locks nobody holds and on which nobody has a session: where a test begins.
    #[cfg(test)]
    pub(crate) fn quiet() -> Self {
        Self {
            read_only: None,
            missing_right: None,
            may_not_create: false,
            lease: Holder::Nobody,
            advisory: Holder::Nobody,
            lease_client: None,
            leaseholder_has_a_session: false,
            advisory_session: None,
            version: None,
            postgres: None,
            server_start: None,
            schema: None,
            sessions: BTreeMap::new(),
            identified: BTreeSet::new(),
            asked_ago: BTreeMap::new(),
            begun: Beginnings::default(),
            nodes_elsewhere: 0,
        }
    }
}

/// What became of a lease that was to be given back for a node that has ended (rule S10). All but the first change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    Yes,
    /// The server was started anew, or another has taken its place: that it shows no session proves nothing.
    ServerChanged,
    /// A session is, or may be, the node's.
    SessionLeft,
    /// The row is another's, has run out, or is not there.
    NotHeld,
    /// The row was written while the statement waited for it.
    Overtaken,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    Pod(PodId),
    /// A client at an address that is no pod's of the resource.
    Elsewhere(IpAddr),
    /// Somebody whose session or address can't be seen.
    Unseen,
}

/// Why the database could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    pub reason: Reason,
    /// A sentence for people, without a word of the URL.
    pub message: String,
}

impl Silence {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The operator was installed without the right to read Secrets.
    pub fn not_allowed() -> Self {
        Self::new(
            Reason::NotAllowed,
            "the operator was installed without the right to read the Secret of the database URL: set databaseVerification.enabled in the values of its chart",
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn says(lease: Holder) -> Says {
        Says {
            lease,
            ..Says::quiet()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod() -> PodId {
        PodId {
            name: "a".to_owned(),
            uid: "1".to_owned(),
        }
    }

    #[test]
    fn a_silence_keeps_the_last_answer_and_the_next_answer_takes_its_place() {
        let first = DatabaseAnswer::after(None, at(1), Ok(says(Holder::Pod(pod()))));
        assert_eq!(first.last(), Some((at(1), &says(Holder::Pod(pod())))));
        let mut answer = first;
        for second in [2, 3] {
            let silence = Silence::new(Reason::Unreachable, "it can't be reached");
            answer = DatabaseAnswer::after(Some(answer), at(second), Err(silence));
            assert_eq!(answer.at, at(second));
            assert_eq!(answer.last(), Some((at(1), &says(Holder::Pod(pod())))));
        }
        let answer = DatabaseAnswer::after(Some(answer), at(4), Ok(says(Holder::Nobody)));
        assert_eq!(answer.before, None);
        assert_eq!(answer.last(), Some((at(4), &says(Holder::Nobody))));
        assert_eq!(answer.held, [pod()].into(), "it is on this database");
    }

    #[test]
    fn a_leaseholder_was_shown_by_the_server_that_had_its_session_while_it_held_the_lease() {
        let shown = |change: fn(&mut Says)| {
            let mut said = Says {
                lease_client: Some("5f0cd4de".to_owned()),
                leaseholder_has_a_session: true,
                server_start: Some(7),
                ..says(Holder::Pod(pod()))
            };
            change(&mut said);
            DatabaseAnswer::after(None, at(1), Ok(said))
        };
        let first = shown(|_| {});
        assert_eq!(first.shown, [("5f0cd4de".to_owned(), 7)].into());
        let not: [fn(&mut Says); 4] = [
            |said| said.lease = Holder::Nobody,
            |said| said.lease_client = None,
            |said| said.leaseholder_has_a_session = false,
            |said| said.server_start = None,
        ];
        for not in not {
            assert_eq!(shown(not).shown, BTreeMap::new());
        }
        // Neither a silence nor another server that shows no session takes it back, or moves it.
        let silence = Silence::new(Reason::Unreachable, "it can't be reached");
        let silent = DatabaseAnswer::after(Some(first.clone()), at(2), Err(silence));
        assert_eq!(silent.shown, first.shown);
        let other = Says {
            server_start: Some(8),
            lease_client: Some("5f0cd4de".to_owned()),
            ..says(Holder::Unseen)
        };
        let other = DatabaseAnswer::after(Some(silent), at(3), Ok(other));
        assert_eq!(other.shown, first.shown);
    }

    #[test]
    fn a_lock_is_free_since_the_first_of_the_answers_on_end_that_found_it_so() {
        let mut answer = None;
        let mut since = Vec::new();
        for (second, lease) in [
            (1, Holder::Nobody),
            (2, Holder::Nobody),
            (3, Holder::Unseen),
            (4, Holder::Nobody),
        ] {
            let next = DatabaseAnswer::after(answer, at(second), Ok(says(lease)));
            since.push(next.free.lease);
            answer = Some(next);
        }
        assert_eq!(since, [Some(at(1)), Some(at(1)), None, Some(at(4))]);
    }
}
