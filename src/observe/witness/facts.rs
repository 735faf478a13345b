//! What the witnesses know of one container. Times are those of a clock that nobody can set: a step back of
//! the machine's clock would make the last answer of a dead pod a fresh one for as long as the step.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Answered, Contact};
use crate::node::{LogReader, Milestone, NodeVersion, Shows};

/// A port that has not answered for so long is out of sight.
const OUT_OF_SIGHT: Duration = Duration::from_secs(5);
/// How long the log may lag behind the port before it is given up as a witness of what came before.
const LOG_LAG: Duration = Duration::from_secs(5);
/// By then the API server says that a container has ended, of which its kubelet knows it.
const END_TOLD: Duration = Duration::from_secs(10);

fn age(then: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(then)
}

/// What came before a takeover, as far as the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The container had waited for the lock.
    Waited,
    /// It took the lock at once.
    Nothing,
    /// The beginning of the log is gone.
    Unknown,
}

impl Before {
    /// Whether the container had waited; `None` where that is not known.
    pub fn waited(self) -> Option<bool> {
        match self {
            Self::Waited => Some(true),
            Self::Nothing => Some(false),
            Self::Unknown => None,
        }
    }
}

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub steady: Instant,
    pub wall: Timestamp,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// So long before this one.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        let steady = self.steady.checked_sub(by).unwrap_or(self.steady);
        Self {
            steady,
            wall: self.wall_at(steady),
        }
    }

    /// What the wall clock of now would have shown then.
    pub fn wall_at(self, then: Instant) -> Timestamp {
        let signed = |age: Duration| SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let ago = signed(self.steady.saturating_duration_since(then));
        let ahead = signed(then.saturating_duration_since(self.steady));
        self.wall
            .checked_sub(ago)
            .and_then(|wall| wall.checked_add(ahead))
            .unwrap_or(Timestamp::MIN)
    }
}

/// An answer and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    pub at: Instant,
    pub answer: Answered,
}

/// What a pod records of its container, from before the watch began.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a note that is there or not; none excludes another"
)]
pub struct FromBefore {
    pub waiting: bool,
    pub took: bool,
    pub worked: bool,
    /// The node's own id.
    pub named: bool,
}

/// What is known of a container beyond what the API server says.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub recorded: FromBefore,
    /// When it first said that it waits, with nothing that contradicts it; in the kubelet's time.
    pub waiting: Option<Timestamp>,
    /// Why its waiting is no waiting.
    pub doubt: Option<String>,
    /// Its log shows that it took the lock; whether it had waited before, where the log was read
    /// from its beginning.
    pub took_by_log: Option<Before>,
    /// When its port first answered as that of a node which has the lock.
    pub took_by_port: Option<Instant>,
    /// The time of its takeover, once it was chosen: it stays the same should writing it down fail.
    pub took_at: Option<Timestamp>,
    /// When its log said that all of it is up.
    pub booted: Option<Instant>,
    /// When the node's own server first answered.
    pub first_served: Option<Instant>,
    /// The version that its log names.
    pub version: Option<NodeVersion>,
    /// The node's own id, as its log names it: the database knows it by that.
    pub client: Option<String>,
    pub contact: Option<Reply>,
    /// When its port last answered as that of a node which has the lock.
    pub served: Option<Instant>,
    /// When its port last answered in any way, a refusal included.
    pub port: Option<Instant>,
    /// The last try of its port has brought an answer: the next one that brings none wakes the resource.
    pub heard: bool,
    /// Since when the container is watched.
    pub watched: Option<Instant>,
    /// Its log has come to an end: the container has, whatever the API server says.
    pub log_ended: Option<Instant>,
    /// The beginning of its log is gone, and what remains told nothing.
    pub log_exhausted: bool,
    /// Its kubelet was asked beside a refusal and did not answer: a refusal says nothing until it does.
    pub kubelet_silent: bool,
    /// When it said that it could not refresh its lease, in the kubelet's time.
    pub lost_lease: Option<Timestamp>,
}

/// What an answer of the port has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The same as before.
    Same,
    /// Something new: the planner should look.
    News,
    /// No answer: nothing is known.
    Silence,
}

/// What the other containers of the resource tell of how far one can be trusted to be seen.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// A handover or a loss is under way.
    pub alert: bool,
    /// Some node of the resource answered by HTTP a moment ago, so that a refusal is a node's and not a
    /// network policy's.
    pub http: bool,
}

impl Facts {
    pub fn begin(recorded: FromBefore, now: Instant) -> Self {
        Self {
            recorded,
            watched: Some(now),
            ..Self::default()
        }
    }

    fn has_waited(&self) -> bool {
        self.waiting.is_some() || self.recorded.waiting
    }

    /// When it was first known to do a node's work.
    pub fn worked(&self) -> Option<Instant> {
        self.first_served.into_iter().chain(self.booted).min()
    }

    pub fn note_answer(&mut self, shows: Shows, now: Instant) -> Noted {
        self.heard = false;
        if shows == Shows::Nobody && self.kubelet_silent {
            return Noted::Silence;
        }
        let known_to_have_taken = self.recorded.took || self.took_by_port.is_some();
        let answered = match shows {
            Shows::Nobody => Answered::Refused,
            Shows::Starting => Answered::Starting,
            Shows::Serving => Answered::Serving,
            // It says nothing of who took the lock; of who has it, that it is still there.
            Shows::Limited if known_to_have_taken || self.took_by_log.is_some() => {
                Answered::Serving
            }
            Shows::Limited | Shows::Nothing => return Noted::Silence,
        };
        let before = self.contact.replace(Reply {
            at: now,
            answer: answered,
        });
        self.port = Some(now);
        self.heard = true;
        if answered != Answered::Refused {
            self.took_by_port.get_or_insert(now);
            self.served = Some(now);
        }
        if shows == Shows::Serving {
            self.first_served.get_or_insert(now);
        }
        let same = before.is_some_and(|contact| contact.answer == answered);
        if same { Noted::Same } else { Noted::News }
    }

    /// Another pod has its address: nobody can tell who answers there.
    pub fn forget_port(&mut self) {
        self.took_by_port = None;
        self.first_served = None;
        self.served = None;
        self.port = None;
        self.heard = false;
        self.contact = self
            .contact
            .filter(|contact| contact.answer == Answered::Kubelet);
    }

    pub fn note_kubelet(&mut self, now: Instant) {
        self.contact = Some(Reply {
            at: now,
            answer: Answered::Kubelet,
        });
    }

    /// `whole` where the log was read from its beginning.
    pub fn note_milestone(
        &mut self,
        reader: &LogReader,
        milestone: &Milestone,
        whole: bool,
        now: Instant,
    ) {
        let summary = reader.summary();
        self.version.clone_from(&summary.version);
        if summary.app_id.is_some() {
            self.client.clone_from(&summary.app_id);
        }
        self.doubt.clone_from(&summary.doubtful);
        if summary.waited && summary.doubtful.is_none() {
            let since = summary.waiting_since;
            self.waiting
                .get_or_insert_with(|| since.unwrap_or_else(Timestamp::now));
        }
        let up = matches!(milestone, Milestone::Booted | Milestone::Listening { .. });
        if up {
            self.booted.get_or_insert(now);
        }
        let took = summary.took || up || matches!(milestone, Milestone::TookLock { .. });
        if took && self.took_by_log.is_none() {
            self.took_by_log = Some(match (summary.waited, whole) {
                (true, _) => Before::Waited,
                (false, true) => Before::Nothing,
                (false, false) => Before::Unknown,
            });
        }
        if matches!(milestone, Milestone::Waits { .. }) && self.contact.is_none() {
            // The kubelet has just handed on a line of this container.
            self.note_kubelet(now);
        }
    }

    /// The database has shown that it holds the lease under this id. Before it was itself seen to take the lock, that may be what
    /// an earlier container of the pod has left; what its log says of itself counts for more.
    pub fn note_name(&mut self, client: &str) {
        let took = self.recorded.took || self.took_by_log.is_some() || self.took_by_port.is_some();
        if took && !self.recorded.named && self.client.is_none() {
            self.client = Some(client.to_owned());
        }
    }

    /// Of the last lines of a log only a takeover is taken: whatever else they lack stands further up.
    pub fn note_last_lines(&mut self, reader: &LogReader) {
        let summary = reader.summary();
        if summary.took && self.took_by_log.is_none() {
            let waited = summary.waited || self.has_waited();
            self.took_by_log = Some(if waited {
                Before::Waited
            } else {
                Before::Unknown
            });
        }
    }

    pub fn note_answering_kubelet(&mut self) {
        self.kubelet_silent = false;
    }

    /// Its kubelet was asked and did not answer: what has refused on this address may be anything on the way.
    pub fn note_silent_kubelet(&mut self) {
        self.kubelet_silent = true;
        self.contact = self
            .contact
            .filter(|contact| contact.answer != Answered::Refused);
    }

    pub fn note_end_of_log(&mut self, now: Instant) {
        self.log_ended = Some(now);
    }

    /// The kubelet says that a container of this name runs. For a while it may be the next one.
    pub fn note_running(&mut self, now: Instant) {
        self.log_ended = self.log_ended.filter(|ended| age(*ended, now) < END_TOLD);
    }

    /// Whether more has to be read of its log: until it works, or waits with its port in sight.
    pub fn needs_log(&self, around: Around, now: Instant) -> bool {
        let lately = |then: Option<Instant>| then.is_some_and(|at| age(at, now) <= OUT_OF_SIGHT);
        let waited = self.has_waited();
        let lagged = |took: Instant| waited || age(took, now) > 2 * LOG_LAG;
        let took = self.recorded.took
            || self.took_by_log.is_some()
            || self.took_by_port.is_some_and(lagged);
        if took {
            let works = self.recorded.worked || self.worked().is_some();
            // One that took the lock at once names itself only as it has booted: without that nothing tells it from another
            // node on a database where no pod of the resource has a session.
            let unnamed = self.client.is_none() && !self.recorded.named && self.booted.is_none();
            return (unnamed || !works && !lately(self.served)) && !self.log_exhausted;
        }
        // A refusal is no proof that it waits on where it may come from a network policy; up to 2.14 it is
        // what a node shows until it has booted.
        !waited || around.alert || !around.http || !lately(self.port) || self.log_ended.is_some()
    }

    /// Whether it has taken the lock, and if so what came before. The port may be ahead of the log for a
    /// moment: then the log is waited for.
    pub fn taken(&self, waited: bool, now: Instant) -> Option<Before> {
        let waited = waited || self.waiting.is_some();
        if waited && (self.took_by_log.is_some() || self.took_by_port.is_some()) {
            return Some(Before::Waited);
        }
        if self.took_by_log.is_some() {
            return self.took_by_log;
        }
        let answered = self.took_by_port?;
        (age(answered, now) >= LOG_LAG).then_some(Before::Unknown)
    }

    /// The last answer, in the time of the wall clock.
    pub fn contact(&self, now: Moment) -> Option<Contact> {
        self.contact.map(|heard| Contact {
            at: now.wall_at(heard.at),
            answer: heard.answer,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CALM: Around = Around {
        alert: false,
        http: true,
    };

    fn waiting() -> (Facts, Instant) {
        let now = Instant::now();
        let facts = Facts {
            waiting: Some(Timestamp::UNIX_EPOCH),
            ..Facts::begin(FromBefore::default(), now)
        };
        (facts, now)
    }

    #[test]
    fn an_answer_is_as_old_as_it_is_whatever_was_done_to_the_clock() {
        let (mut facts, now) = waiting();
        facts.note_answer(Shows::Nobody, now);
        let wall: Timestamp = "2026-01-01T11:00:00Z".parse().unwrap();
        let later = Moment {
            steady: now + Duration::from_secs(30),
            wall,
        };
        let heard = facts.contact(later).unwrap();
        assert_eq!(heard.at, wall - Duration::from_secs(30));
    }

    #[test]
    fn a_limit_of_requests_is_no_takeover_and_keeps_up_one_that_is_known() {
        let (mut facts, now) = waiting();
        assert_eq!(facts.note_answer(Shows::Limited, now), Noted::Silence);
        assert!(facts.contact.is_none() && facts.taken(true, now).is_none());
        assert!(!facts.heard);
        facts.note_answer(Shows::Starting, now);
        assert_eq!(facts.taken(true, now), Some(Before::Waited));
        assert_eq!(facts.note_answer(Shows::Limited, now), Noted::News);
        assert_eq!(facts.contact.unwrap().answer, Answered::Serving);
        assert!(facts.heard);
        assert_eq!(facts.note_answer(Shows::Nothing, now), Noted::Silence);
        assert!(!facts.heard);
        // Only its own server tells that it works.
        assert_eq!(facts.worked(), None);
    }

    #[test]
    fn the_log_of_one_that_waits_is_closed_only_while_its_port_can_tell_of_a_takeover() {
        let (mut facts, now) = waiting();
        assert!(facts.needs_log(CALM, now));
        facts.note_answer(Shows::Nobody, now);
        assert!(!facts.needs_log(CALM, now));
        let alert = Around {
            alert: true,
            ..CALM
        };
        assert!(facts.needs_log(alert, now));
        let policy = Around {
            http: false,
            ..CALM
        };
        assert!(facts.needs_log(policy, now));
        let now = now + OUT_OF_SIGHT + Duration::from_secs(1);
        assert!(facts.needs_log(CALM, now));
    }

    #[test]
    fn the_log_of_a_taker_is_read_until_it_names_itself_or_has_booted() {
        let (mut facts, now) = waiting();
        facts.took_by_log = Some(Before::Nothing);
        facts.note_answer(Shows::Serving, now);
        assert!(facts.needs_log(CALM, now), "its id is not known yet");
        let named = Facts {
            client: Some("5f0cd4de".to_owned()),
            ..facts.clone()
        };
        let booted = Facts {
            booted: Some(now),
            ..facts.clone()
        };
        let recorded = Facts {
            recorded: FromBefore {
                named: true,
                ..FromBefore::default()
            },
            ..facts.clone()
        };
        let rotated = Facts {
            log_exhausted: true,
            ..facts
        };
        for known in [named, booted, recorded, rotated] {
            assert!(!known.needs_log(CALM, now), "{known:?}");
        }
    }

    #[test]
    fn the_database_names_one_that_has_taken_the_lock_and_does_not_name_itself() {
        let (waits, now) = waiting();
        let named = |change: &dyn Fn(&mut Facts)| {
            let mut facts = Facts {
                took_by_log: Some(Before::Nothing),
                ..waits.clone()
            };
            change(&mut facts);
            facts.note_name("5f0cd4de");
            facts.client
        };
        let its = Some("5f0cd4de".to_owned());
        assert_eq!(named(&|_| {}), its);
        let by_record = named(&|facts| {
            facts.took_by_log = None;
            facts.recorded.took = true;
        });
        assert_eq!(by_record, its);
        let by_port = named(&|facts| {
            facts.took_by_log = None;
            facts.note_answer(Shows::Starting, now);
        });
        assert_eq!(by_port, its);
        assert_eq!(named(&|facts| facts.took_by_log = None), None, "it waits");
        assert_eq!(named(&|facts| facts.recorded.named = true), None);
        let other = Some("00000000".to_owned());
        assert_eq!(named(&|facts| facts.client.clone_from(&other)), other);
    }

    #[test]
    fn the_log_of_a_taker_is_read_until_it_works_or_its_port_tells() {
        let (mut facts, now) = waiting();
        facts.client = Some("5f0cd4de".to_owned());
        facts.took_by_log = Some(Before::Waited);
        facts.note_answer(Shows::Nobody, now);
        assert!(facts.needs_log(CALM, now));
        facts.note_answer(Shows::Starting, now);
        assert!(!facts.needs_log(CALM, now));
        let now = now + OUT_OF_SIGHT + Duration::from_secs(1);
        assert!(facts.needs_log(CALM, now));
        facts.booted = Some(now);
        assert!(!facts.needs_log(CALM, now));
    }

    #[test]
    fn a_refusal_counts_only_beside_a_kubelet_that_answers() {
        let (mut facts, now) = waiting();
        facts.note_answer(Shows::Nobody, now);
        facts.note_silent_kubelet();
        assert!(facts.contact.is_none());
        assert_eq!(facts.note_answer(Shows::Nobody, now), Noted::Silence);
        assert!(facts.contact.is_none());
        // A node that answers needs no kubelet beside it.
        assert_eq!(facts.note_answer(Shows::Serving, now), Noted::News);
        facts.note_silent_kubelet();
        assert_eq!(facts.contact.unwrap().answer, Answered::Serving);
        facts.note_answering_kubelet();
        assert_eq!(facts.note_answer(Shows::Nobody, now), Noted::News);
    }

    #[test]
    fn an_ended_log_is_believed_until_the_api_server_would_know_better() {
        let (mut facts, now) = waiting();
        facts.note_answer(Shows::Nobody, now);
        facts.note_end_of_log(now);
        assert!(facts.needs_log(CALM, now));
        facts.note_running(now);
        assert!(facts.log_ended.is_some());
        let now = now + END_TOLD;
        facts.note_running(now);
        assert!(facts.log_ended.is_none());
    }
}
