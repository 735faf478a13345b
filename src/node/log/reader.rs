//! Following one container's log from its start.

use jiff::{SignedDuration, Timestamp};

use super::{LogEvent, LogLine, TakeoverSign, WaitingFor, read_line};
use crate::node::lock::LockMode;
use crate::node::version::NodeVersion;

/// A node tries for the lock once a second (±10 %). A waiting line that comes later than this
/// after an error belongs to another try than the error.
const ONE_TRY: SignedDuration = SignedDuration::from_millis(900);

/// Rolling state over the log of one container.
///
/// Feed it every line from the container's start: the waiting line is printed at tries 0, 1, 2,
/// 4 … 512, then about every 17 minutes, so a recent tail may hold none. A new container needs a
/// new reader.
#[derive(Clone, Debug, Default)]
pub struct LogReader {
    summary: LogSummary,
    /// What it said it would lock with (DEBUG only).
    lock: Option<LockMode>,
    /// A failed try that no waiting line has followed yet.
    failed_try: Option<FailedTry>,
    /// What it waits, or waited, for.
    waiting_for: Option<WaitingFor>,
    /// The port that its web server listens on.
    listening: Option<u16>,
    /// It was asked to stop, or another node took the lock from it: it is about to exit.
    stopping: bool,
}

/// A try for the lock that the database refused.
#[derive(Clone, Copy, Debug)]
struct FailedTry {
    at: Option<Timestamp>,
}

impl FailedTry {
    /// Whether a waiting line of this time came of the same try. The error is printed right
    /// before it; if times are unknown it is taken for the same.
    fn made_the_line_of(self, time: Option<Timestamp>) -> bool {
        match (self.at, time) {
            (Some(failed), Some(line)) => line.duration_since(failed) < ONE_TRY,
            _ => true,
        }
    }
}

/// What changed with a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Milestone {
    /// The process is up; nothing is known about the lock.
    Started {
        /// The version it names.
        version: Option<NodeVersion>,
    },
    /// It waits for the lock, and nothing speaks against it.
    Waits {
        /// What it waits for.
        lock: WaitingFor,
    },
    /// It says that it waits, but the database refuses it: it would not win a free lock.
    WaitsInVain {
        /// What the database said.
        reason: String,
    },
    /// It has the lock.
    TookLock {
        /// How the line shows it.
        via: TakeoverSign,
    },
    /// Every service is up.
    Booted,
    /// Its web server listens.
    Listening {
        /// The port.
        port: u16,
    },
    /// Another node took the lock from it.
    Deposed,
    /// It was asked to stop.
    ShuttingDown,
}

/// What is known of a container from its log so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogSummary {
    /// It said that it waits for the lock. Stays true after it took it.
    pub waited: bool,
    /// When it first said so, if lines carry times.
    pub waiting_since: Option<Timestamp>,
    /// Why its waiting is no waiting, while that is so.
    pub doubtful: Option<String>,
    /// It has taken the lock.
    pub took: bool,
    /// Its version, as it says itself.
    pub version: Option<NodeVersion>,
    /// Its id: `lease_lock.client_id`, and part of its `application_name` in the database.
    pub app_id: Option<String>,
}

impl LogReader {
    /// A reader for a container whose log starts now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one more line; says what it changed, if anything.
    pub fn feed(&mut self, raw: &str) -> Option<Milestone> {
        let line = read_line(raw);
        if self.summary.version.is_none() {
            self.summary.version.clone_from(&line.version);
        }
        if self.summary.app_id.is_none() {
            self.summary.app_id.clone_from(&line.app_id);
        }
        self.apply(line)
    }

    /// What is known so far.
    #[must_use]
    pub fn summary(&self) -> &LogSummary {
        &self.summary
    }

    fn apply(&mut self, line: LogLine) -> Option<Milestone> {
        let LogLine { time, event, .. } = line;
        match event {
            LogEvent::Starting { version } => Some(Milestone::Started { version }),
            LogEvent::UsesLock(lock) => {
                self.lock = Some(lock);
                None
            }
            LogEvent::Waiting { lock } => self.waiting(lock, time),
            LogEvent::WaitingDoubtful { reason } => self.doubt(reason, time),
            LogEvent::TookLock { via } => self.took(via),
            LogEvent::Booted => {
                self.took(TakeoverSign::Boot);
                Some(Milestone::Booted)
            }
            LogEvent::Listening { port } => {
                self.took(TakeoverSign::Boot);
                let first = self.listening.replace(port).is_none();
                first.then_some(Milestone::Listening { port })
            }
            LogEvent::Deposed => {
                self.stopping = true;
                Some(Milestone::Deposed)
            }
            LogEvent::ShuttingDown => {
                let before = std::mem::replace(&mut self.stopping, true);
                (!before).then_some(Milestone::ShuttingDown)
            }
            LogEvent::ConnectionLost | LogEvent::LeaseRefreshFailed | LogEvent::Other => None,
        }
    }

    /// A node never goes back to waiting: whoever loses the lock exits. A later line that reads
    /// like it is something else.
    fn waiting(&mut self, lock: WaitingFor, time: Option<Timestamp>) -> Option<Milestone> {
        if self.summary.took {
            return None;
        }
        let failed = self.failed_try.take();
        let honest = !failed.is_some_and(|failed| failed.made_the_line_of(time));
        let cleared = honest && self.summary.doubtful.take().is_some();
        let first = !std::mem::replace(&mut self.summary.waited, true);
        if first {
            self.summary.waiting_since = time;
        }
        let other = self.waiting_for.replace(lock) != Some(lock);
        match &self.summary.doubtful {
            Some(reason) if first => Some(Milestone::WaitsInVain {
                reason: reason.clone(),
            }),
            None if first || other || cleared => Some(Milestone::Waits { lock }),
            _ => None,
        }
    }

    fn doubt(&mut self, reason: String, time: Option<Timestamp>) -> Option<Milestone> {
        if self.summary.took {
            return None;
        }
        self.failed_try = Some(FailedTry { at: time });
        let before = self.summary.doubtful.replace(reason.clone());
        (self.summary.waited && before.is_none()).then_some(Milestone::WaitsInVain { reason })
    }

    fn took(&mut self, via: TakeoverSign) -> Option<Milestone> {
        // In `dual` mode the lease is only half of it. Which mode it is was said a line before,
        // at the same level; if it was not, the boot that follows in a moment tells.
        let half = via == TakeoverSign::GotLease && self.lock.is_none_or(LockMode::uses_advisory);
        if half || self.summary.took {
            return None;
        }
        self.summary.took = true;
        self.summary.doubtful = None;
        Some(Milestone::TookLock { via })
    }
}
