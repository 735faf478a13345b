//! The world's truth: what really runs, who really holds the lock, and what can happen next.

use std::fmt;

use super::check::Check;
use super::names::Ago;
use crate::domain::{Lock, Revision};

/// Pods at one time, beyond which a walk does not go.
pub const ROOM: usize = 7;

/// What becomes of a pod of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Good,
    /// Its image does not exist.
    NoImage,
    /// It exits before it asks for the lock.
    CrashesBefore,
    /// It waits like any other, and exits when it has the lock.
    CrashesAfter,
    /// It takes over like any other, serves, and then exits; again and again.
    CrashesServing,
    /// It says that it waits, and can't win (a server that is read-only for it).
    Lies,
    /// The same, and its log does not show it: only the database can tell.
    LiesSilently,
}

impl Nature {
    /// Whether its waiting line is no waiting.
    pub fn lies(self) -> bool {
        matches!(self, Self::Lies | Self::LiesSilently)
    }
}

/// Revisions by index. The version counts up; two that have no lock in common do not see each other.
pub struct Kind {
    pub name: &'static str,
    pub version: u8,
    pub lock: u8,
    pub nature: Nature,
    /// A temporary server answers between its lock and its own server (2.15 and later).
    pub answers_early: bool,
    /// What the node's own check says of its configuration; `None` where there is no check.
    pub valid: Option<bool>,
}

const fn kind(name: &'static str, version: u8, lock: u8, nature: Nature) -> Kind {
    Kind {
        name,
        version,
        lock,
        nature,
        answers_early: false,
        valid: None,
    }
}

impl Kind {
    const fn answers_early(mut self) -> Self {
        self.answers_early = true;
        self
    }

    const fn checked(mut self, valid: bool) -> Self {
        self.valid = Some(valid);
        self
    }
}

pub const OLD: u8 = 0;
pub const OLD_CONFIGURED: u8 = 1;
pub const NEW: u8 = 2;
pub const NEW_NO_IMAGE: u8 = 3;
pub const NEW_CRASHES: u8 = 4;
pub const NEW_CRASHES_LATE: u8 = 5;
pub const CONFIG_CRASHES_LATE: u8 = 6;
pub const NEW_LIES: u8 = 7;
pub const OTHER_LOCK: u8 = 8;
pub const NEWEST: u8 = 9;
pub const NEW_LIES_SILENTLY: u8 = 10;
pub const BOTH_LOCKS: u8 = 11;
pub const NEW_CRASHES_SERVING: u8 = 12;
pub const CONFIG_CRASHES_SERVING: u8 = 13;
pub const NEW_CHECKED: u8 = 14;
pub const NEW_REFUSED: u8 = 15;
pub const NEW_ANSWERS_EARLY: u8 = 16;
pub const CONFIG_ANSWERS_AND_CRASHES: u8 = 17;
pub const NEW_ANSWERS_AND_CRASHES: u8 = 18;

/// The locks that a pod takes, all of them.
pub const LEASE: u8 = 1;
pub const ADVISORY: u8 = 2;

pub const KINDS: [Kind; 19] = [
    kind("old", 1, LEASE, Nature::Good),
    kind("old-configured", 1, LEASE, Nature::Good),
    kind("new", 2, LEASE, Nature::Good),
    kind("new-no-image", 2, LEASE, Nature::NoImage),
    kind("new-crashes", 2, LEASE, Nature::CrashesBefore),
    kind("new-crashes-late", 2, LEASE, Nature::CrashesAfter),
    kind("config-crashes-late", 1, LEASE, Nature::CrashesAfter),
    kind("new-lies", 2, LEASE, Nature::Lies),
    kind("other-lock", 1, ADVISORY, Nature::Good),
    kind("newest", 3, LEASE, Nature::Good),
    kind("new-lies-silently", 2, LEASE, Nature::LiesSilently),
    kind("both-locks", 1, LEASE | ADVISORY, Nature::Good),
    kind("new-crashes-serving", 2, LEASE, Nature::CrashesServing),
    kind("config-crashes-serving", 1, LEASE, Nature::CrashesServing),
    kind("new-checked", 2, LEASE, Nature::Good).checked(true),
    kind("new-refused", 2, LEASE, Nature::Good).checked(false),
    kind("new-answers-early", 2, LEASE, Nature::Good).answers_early(),
    kind("config-answers-and-crashes", 1, LEASE, Nature::CrashesAfter).answers_early(),
    kind("new-answers-and-crashes", 2, LEASE, Nature::CrashesAfter).answers_early(),
];

impl Kind {
    pub fn revision(&self) -> Revision {
        Revision {
            name: self.name.into(),
            version: format!("{}.0.0", self.version + 1).parse().unwrap(),
            lock: Lock::read(match self.lock {
                LEASE => "lease db",
                ADVISORY => "advisorylock db",
                _ => "dual db",
            }),
            lock_id_hidden: false,
            lease: None,
            validates: self.valid.is_some(),
        }
    }
}

/// What the container of a pod really does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    NotStarted,
    Boot,
    Wait,
    /// It has the lock and boots: nothing answers yet.
    Take,
    /// It has the lock, and its temporary server answers.
    Migrate,
    /// It has the lock; the temporary server is gone, and its own not up yet.
    Hush,
    /// It has the lock and serves.
    Serve,
    /// It serves, but was cut off from the database and lost the lock.
    Zombie,
    /// It exited, and the kubelet will start it again.
    Down,
    /// The same, after an exit that means nothing.
    DownByDatabase,
    /// The pod is Failed.
    Ended,
    /// Its machine died.
    Dead,
}

/// How well a pod can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    Seen,
    /// Not for some seconds. The API server goes on showing what it knew.
    Dim,
    /// Not for longer than the planner's `LOST`.
    Lost,
}

/// Which records of the memory know of a container's last exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    pub by_attempt: bool,
    pub by_trial: bool,
}

/// The operator was started after the container's last answer.
pub const NEVER: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// In the order of creation.
    pub no: u8,
    pub kind: u8,
    pub does: Does,
    /// What the API server shows while the pod can't be seen.
    pub shown: Does,
    pub sight: Sight,
    /// Its container changed while it could not be seen.
    pub changed: bool,
    pub deleted: bool,
    /// Deleted by the operator.
    pub stopped: bool,
    /// Deleted by the operator as the active.
    pub stopped_as_active: bool,
    /// This container has waited for the lock.
    pub waited: bool,
    /// Its waiting line is recorded.
    pub line: bool,
    /// Its takeover is recorded: the how-manieth that is known. 0: none.
    pub took: u8,
    pub took_waited: bool,
    /// Its takeover was recorded longer ago than a lease lasts.
    pub took_long_ago: bool,
    /// How many takeovers were known when it answered last; while it can't be seen.
    pub contact: u8,
    pub labelled: bool,
    pub gate: bool,
    /// Made longer ago than the standby timeout.
    pub late: bool,
    /// In back-off for long.
    pub long_down: bool,
    /// Its container has run, or been down, for ten minutes.
    pub long_up: bool,
    /// This container uses another database.
    pub elsewhere: bool,
    /// Its machine is being emptied.
    pub leaving: bool,
    /// How long ago its container last exited with a reason of its own.
    pub exit: Option<Ago>,
    /// That exit was before the end of the active that was stopped last.
    pub exited_before: bool,
    /// Who knows of it.
    pub known: Known,
    /// That container had the lock and did not work for long, and every one of its revision does the same.
    pub burnt: bool,
}

impl Pod {
    pub fn new(no: u8, kind: u8) -> Self {
        Self {
            no,
            kind,
            does: Does::NotStarted,
            shown: Does::NotStarted,
            sight: Sight::Seen,
            changed: false,
            deleted: false,
            stopped: false,
            stopped_as_active: false,
            waited: false,
            line: false,
            took: 0,
            took_waited: false,
            took_long_ago: false,
            contact: 0,
            labelled: false,
            gate: false,
            late: false,
            long_down: false,
            long_up: false,
            elsewhere: false,
            leaving: false,
            exit: None,
            exited_before: false,
            known: Known::default(),
            burnt: false,
        }
    }

    pub fn kind(&self) -> &'static Kind {
        &KINDS[usize::from(self.kind)]
    }

    pub fn seen(&self) -> bool {
        self.sight == Sight::Seen
    }

    /// What the API server shows.
    pub fn status(&self) -> Does {
        if self.seen() { self.does } else { self.shown }
    }

    pub fn runs(does: Does) -> bool {
        matches!(
            does,
            Does::Boot
                | Does::Wait
                | Does::Take
                | Does::Migrate
                | Does::Hush
                | Does::Serve
                | Does::Zombie
        )
    }

    /// It runs, or will by itself.
    pub fn may_run(&self) -> bool {
        match self.does {
            Does::NotStarted => !self.deleted && self.kind().nature != Nature::NoImage,
            Does::Down | Does::DownByDatabase => !self.deleted,
            Does::Ended | Does::Dead => false,
            _ => true,
        }
    }

    pub fn holds(&self) -> bool {
        matches!(
            self.does,
            Does::Take | Does::Migrate | Does::Hush | Does::Serve
        )
    }

    /// Whether one of the two waits for the other: they have a lock in common, on one database.
    pub fn sees(&self, other: &Self) -> bool {
        self.elsewhere == other.elsewhere && self.kind().lock & other.kind().lock != 0
    }

    /// A container starts: what the one before said counts no more.
    fn forget(&mut self) {
        self.waited = false;
        self.long_down = false;
        if self.seen() {
            self.long_up = false;
            self.line = false;
            self.took = 0;
            self.took_waited = false;
            self.took_long_ago = false;
        } else {
            self.changed = true;
        }
    }

    fn goes_down(&mut self, how: Does) {
        if how == Does::Down {
            let crashes = matches!(
                self.kind().nature,
                Nature::CrashesAfter | Nature::CrashesServing
            );
            let worked = self.does == Does::Serve && self.took_long_ago;
            self.burnt = crashes && self.holds() && !worked;
            self.exit = Some(Ago::Moment);
            self.exited_before = false;
            self.known = Known::default();
        }
        self.forget();
        self.does = how;
    }
}

/// What is left of what may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub edits: u8,
    pub faults: u8,
    pub crashes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    pods: [Pod; ROOM],
    len: u8,
    /// The revision that the spec asks for; `None` where it can't be turned into pods.
    pub wanted: Option<u8>,
    pub replicas: u8,
    /// Somebody outside holds the lock.
    pub outside: bool,
    /// There has been such a one, or a pod that nobody knows to hold it: as its end can't be seen, a
    /// takeover is not expected.
    pub outsider: bool,
    /// The Secret names another database.
    pub secret_changed: bool,
    /// The operator asks the database, which shows what has migrated it.
    pub asked: bool,
    /// The newest version that has held the lock. One that is gone and has migrated nothing counts no more.
    pub newest_held: u8,
    /// The newest version that has migrated the database. Where that is not asked, a version counts from its lock on.
    pub migrated: u8,
    /// The version that the database names as its own, where it is asked: a node writes it after its migrations.
    pub named: u8,
    /// A pod that had taken the lock of one that was cut off ended while that one went on answering:
    /// nobody can know which of them was right.
    pub deceived: bool,
    /// The operator was started, and no pod has answered it yet.
    pub deaf: bool,
    /// A bit for each revision that the lock was handed over to; since the spec changed.
    pub handed: u32,
    /// And of which a pod was seen to have exited with the lock, as all of its pods do.
    pub burnt: u32,
    /// A bit for each revision that exits and has been seen to serve for long; since the spec changed.
    pub proved: u32,
    /// The last revision that served and was good.
    pub good: Option<u8>,
    /// Pods that check a configuration.
    pub checks: [Option<Check>; 3],
    pub budget: Budget,
}

/// Everything that may happen, apart from the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    // What goes on by itself.
    Starts(u8),
    AsksForLock(u8),
    TakesLock(u8),
    AnswersEarly(u8),
    FallsSilent(u8),
    Migrates(u8),
    Serves(u8),
    GivesOut(u8),
    SaysLine(u8),
    Restarts(u8),
    Goes(u8),
    IsDeposed(u8),
    RegainsLock(u8),
    SeenAgain(u8),
    /// The pods answer an operator that was started.
    Hears,
    CheckEnds(u8),
    CheckGoes(u8),
    CheckSeenAgain(u8),
    Seconds,
    HalfMinute,
    TenMinutes,
    // What goes wrong.
    Crashes(u8),
    LosesDatabase(u8),
    IsKilled(u8),
    Fails(u8),
    IsLost(u8),
    MachineDies(u8),
    IsCutOff(u8),
    IsCordoned(u8),
    CheckIsEvicted(u8),
    CheckIsLost(u8),
    CheckIsKilled(u8),
    OutsiderLeaves,
    SecretChanges,
    // What the user does.
    Wants(Option<u8>),
    Scales(u8),
    // The operator: looks, writes, and does so many of its acts.
    Operator,
    OperatorDies(u8),
    /// Before it has looked.
    OperatorRestarts,
}

impl Event {
    /// The pod that goes on by itself.
    pub fn pod(self) -> Option<u8> {
        match self {
            Self::Starts(no)
            | Self::AsksForLock(no)
            | Self::TakesLock(no)
            | Self::AnswersEarly(no)
            | Self::FallsSilent(no)
            | Self::Migrates(no)
            | Self::Serves(no)
            | Self::GivesOut(no)
            | Self::SaysLine(no)
            | Self::Restarts(no)
            | Self::Goes(no)
            | Self::IsDeposed(no)
            | Self::RegainsLock(no) => Some(no),
            _ => None,
        }
    }
}

/// What may happen in a walk.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    pub kinds: Vec<Option<u8>>,
    pub replicas: Vec<u8>,
    pub faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Crash,
    LoseDatabase,
    Kill,
    Fail,
    Lose,
    Die,
    CutOff,
    Secret,
    /// Not a fault, but as rare: its machine is to be emptied.
    Cordon,
    /// The pod that checks a configuration is evicted, lost with its machine, or its container is killed.
    Check,
}

impl Cluster {
    pub fn new(replicas: u8, wanted: u8, budget: Budget) -> Self {
        Self {
            pods: [Pod::new(0, 0); ROOM],
            len: 0,
            wanted: Some(wanted),
            replicas,
            outside: false,
            outsider: false,
            secret_changed: false,
            asked: false,
            newest_held: 0,
            migrated: 0,
            named: 0,
            deceived: false,
            deaf: false,
            handed: 0,
            burnt: 0,
            proved: 0,
            good: None,
            checks: [None; 3],
            budget,
        }
    }

    pub fn pods(&self) -> &[Pod] {
        &self.pods[..usize::from(self.len)]
    }

    pub fn pods_mut(&mut self) -> &mut [Pod] {
        &mut self.pods[..usize::from(self.len)]
    }

    pub fn pod(&self, no: u8) -> Option<&Pod> {
        self.pods().iter().find(|pod| pod.no == no)
    }

    pub fn pod_mut(&mut self, no: u8) -> Option<&mut Pod> {
        self.pods_mut().iter_mut().find(|pod| pod.no == no)
    }

    /// A walk for which there is no room would pass over what comes after.
    pub fn add(&mut self, pod: Pod) {
        assert!(usize::from(self.len) < ROOM, "no room for {pod}: {self}");
        self.pods[usize::from(self.len)] = pod;
        self.len += 1;
    }

    pub fn remove(&mut self, no: u8) {
        if let Some(place) = self.pods().iter().position(|pod| pod.no == no) {
            let last = usize::from(self.len) - 1;
            self.pods[place..=last].rotate_left(1);
            self.pods[last] = Pod::new(0, 0);
            self.len -= 1;
        }
        let left = |pod: &Pod| pod.kind().version > self.migrated;
        if !self.pods().iter().any(left) {
            self.newest_held = self.migrated;
        }
    }

    /// Whether nobody holds the lock that the pod takes.
    fn free(&self, pod: &Pod) -> bool {
        let outside = self.outside && !pod.elsewhere && pod.kind().lock & LEASE != 0;
        !outside
            && !self
                .pods()
                .iter()
                .any(|other| other.holds() && other.sees(pod))
    }

    pub fn ranks(&self) -> u8 {
        self.pods().iter().map(|pod| pod.took).max().unwrap_or(0)
    }

    /// Every event that can happen now.
    pub fn events(&self, menu: &Menu, into: &mut Vec<Event>) {
        self.progress(into);
        for pod in self.pods() {
            if !pod.seen() {
                into.push(Event::SeenAgain(pod.no));
            }
        }
        self.checks_seen_again(into);
        into.push(Event::Seconds);
        if !self.deaf {
            into.push(Event::HalfMinute);
        }
        if self.is_quiet(into) {
            into.push(Event::TenMinutes);
        }
        if self.outside {
            into.push(Event::OutsiderLeaves);
        }
        if self.budget.faults > 0 {
            self.faults(menu, into);
        }
        if self.budget.edits > 0 {
            let kinds = menu.kinds.iter().filter(|kind| **kind != self.wanted);
            into.extend(kinds.map(|kind| Event::Wants(*kind)));
            let scales = menu.replicas.iter().filter(|to| **to != self.replicas);
            into.extend(scales.map(|to| Event::Scales(*to)));
        }
    }

    /// What goes on by itself in pods.
    pub fn progress(&self, into: &mut Vec<Event>) {
        if self.deaf {
            into.push(Event::Hears);
        }
        self.checks_progress(into);
        for pod in self.pods() {
            let no = pod.no;
            match pod.does {
                Does::NotStarted if pod.may_run() => into.push(Event::Starts(no)),
                Does::Boot => into.push(Event::AsksForLock(no)),
                Does::Wait if self.free(pod) && !pod.kind().nature.lies() => {
                    into.push(Event::TakesLock(no));
                }
                Does::Take if self.may_migrate(pod) => {
                    into.push(Event::Migrates(no));
                    // It may end right before, each time that it has the lock.
                    if pod.kind().nature == Nature::CrashesAfter {
                        into.push(Event::Serves(no));
                    }
                }
                Does::Take if pod.kind().answers_early => into.push(Event::AnswersEarly(no)),
                Does::Migrate => into.push(Event::FallsSilent(no)),
                Does::Take | Does::Hush => into.push(Event::Serves(no)),
                Does::Serve if pod.kind().nature == Nature::CrashesServing => {
                    into.push(Event::GivesOut(no));
                }
                Does::Zombie => {
                    into.push(Event::IsDeposed(no));
                    if self.free(pod) {
                        into.push(Event::RegainsLock(no));
                    }
                }
                Does::Down | Does::DownByDatabase if !pod.deleted => {
                    into.push(Event::Restarts(no));
                }
                _ => {}
            }
            if pod.seen() && pod.waited && !pod.line && Pod::runs(pod.does) {
                into.push(Event::SaysLine(no));
            }
            if pod.seen() && pod.deleted {
                into.push(Event::Goes(no));
            }
        }
    }

    /// Whether the pod has the lock and the database is not as it needs it yet.
    fn may_migrate(&self, pod: &Pod) -> bool {
        self.asked && !pod.elsewhere && pod.kind().version > self.migrated
    }

    /// Whether nothing is going on that takes less than ten minutes.
    pub fn is_quiet(&self, events: &[Event]) -> bool {
        events.iter().all(|event| {
            let pod = event.pod().and_then(|no| self.pod(no));
            let out_of_sight = pod.is_some_and(|pod| !pod.seen());
            let loops = pod.is_some_and(|pod| self.fails_for_good(pod) && !pod.deleted);
            match event {
                Event::TakesLock(_)
                | Event::AnswersEarly(_)
                | Event::FallsSilent(_)
                | Event::Migrates(_)
                | Event::Serves(_) => false,
                Event::Restarts(_) | Event::AsksForLock(_) | Event::GivesOut(_) => {
                    loops || out_of_sight
                }
                Event::IsDeposed(_) | Event::RegainsLock(_) => true,
                _ => out_of_sight,
            }
        })
    }

    /// Whether nothing is going on but pods that crash again and again.
    pub fn only_loops(&self, events: &[Event]) -> bool {
        events.iter().all(|event| {
            let pod = event.pod().and_then(|no| self.pod(no));
            pod.is_some_and(|pod| self.fails_for_good(pod) && !pod.deleted)
        })
    }

    /// Whether it will never serve.
    pub fn fails_for_good(&self, pod: &Pod) -> bool {
        pod.kind().nature != Nature::Good || pod.kind().version < self.migrated
    }

    fn faults(&self, menu: &Menu, into: &mut Vec<Event>) {
        let has = |fault| menu.faults.contains(&fault);
        for pod in self.pods() {
            let no = pod.no;
            let runs = Pod::runs(pod.does);
            let mut push = |fault, when: bool, event| {
                if when && has(fault) {
                    into.push(event);
                }
            };
            push(
                Fault::Crash,
                runs && pod.does != Does::Boot,
                Event::Crashes(no),
            );
            push(
                Fault::LoseDatabase,
                pod.does == Does::Wait,
                Event::LosesDatabase(no),
            );
            push(Fault::Kill, pod.seen() && !pod.deleted, Event::IsKilled(no));
            push(
                Fault::Fail,
                pod.seen() && !pod.deleted && pod.does != Does::Ended,
                Event::Fails(no),
            );
            let there = pod.seen() && pod.does != Does::Ended;
            push(Fault::Lose, there, Event::IsLost(no));
            push(Fault::Die, there, Event::MachineDies(no));
            push(Fault::CutOff, pod.does == Does::Serve, Event::IsCutOff(no));
            let placed = there && !pod.leaving && pod.does != Does::NotStarted;
            push(Fault::Cordon, placed, Event::IsCordoned(no));
        }
        if has(Fault::Secret) && !self.secret_changed {
            into.push(Event::SecretChanges);
        }
        if has(Fault::Check) {
            self.checks_faults(into);
        }
    }

    /// What an event makes of the world. Time and the operator are not for it to tell.
    pub fn happens(&mut self, event: Event) {
        match event {
            Event::Starts(no) => {
                let secret_changed = self.secret_changed;
                self.change(no, |pod| {
                    pod.forget();
                    pod.does = Does::Boot;
                    pod.elsewhere = secret_changed;
                });
            }
            Event::Restarts(no) => {
                let secret_changed = self.secret_changed;
                self.change(no, |pod| {
                    pod.forget();
                    pod.does = Does::Boot;
                    pod.elsewhere = secret_changed;
                });
            }
            Event::AsksForLock(no) => self.asks(no),
            Event::TakesLock(no) => self.takes(no),
            Event::AnswersEarly(no) => self.change(no, |pod| pod.does = Does::Migrate),
            Event::FallsSilent(no) => self.change(no, |pod| pod.does = Does::Hush),
            Event::Migrates(no) => self.migrates(no),
            Event::Serves(no) => self.serves(no),
            Event::GivesOut(no) => self.goes_down(no, Does::Down),
            Event::SaysLine(no) => self.change(no, |pod| pod.line = true),
            Event::Goes(no) => self.leaves(no),
            Event::IsDeposed(no) => self.goes_down(no, Does::DownByDatabase),
            Event::RegainsLock(no) => self.change(no, |pod| pod.does = Does::Serve),
            Event::SeenAgain(no) => self.seen_again(no),
            Event::Hears => self.deaf = false,
            _ => self.is_done_to(event),
        }
    }

    /// What goes wrong, what the user does, and time.
    fn is_done_to(&mut self, event: Event) {
        match event {
            Event::Crashes(no) => {
                self.spend();
                self.note_deception(no);
                self.goes_down(no, Does::Down);
            }
            Event::LosesDatabase(no) => {
                self.spend();
                self.goes_down(no, Does::DownByDatabase);
            }
            Event::IsKilled(no) => {
                self.spend();
                self.change(no, |pod| pod.deleted = true);
            }
            Event::Fails(no) => {
                self.spend();
                self.note_deception(no);
                self.change(no, |pod| {
                    pod.does = Does::Ended;
                    pod.gate = false;
                });
            }
            Event::IsLost(no) => {
                self.spend();
                self.lose(no);
            }
            Event::MachineDies(no) => {
                self.spend();
                self.note_deception(no);
                self.lose(no);
                self.change(no, |pod| {
                    pod.does = Does::Dead;
                    pod.changed = true;
                });
            }
            Event::IsCutOff(no) => {
                self.spend();
                self.change(no, |pod| pod.does = Does::Zombie);
            }
            Event::IsCordoned(no) => {
                self.spend();
                self.change(no, |pod| pod.leaving = true);
            }
            Event::OutsiderLeaves => self.outside = false,
            Event::SecretChanges => {
                self.spend();
                self.secret_changed = true;
            }
            Event::Wants(kind) => {
                self.budget.edits -= 1;
                self.handed = 0;
                self.burnt = 0;
                self.proved = 0;
                self.wanted = kind;
            }
            Event::Scales(to) => {
                self.budget.edits -= 1;
                self.replicas = to;
            }
            Event::Seconds => self.exits_age(Ago::Seconds),
            Event::HalfMinute => self.half_minute(),
            Event::TenMinutes => {
                self.half_minute();
                let unknown = |pod: &Pod| pod.holds() && !pod.seen() && pod.took == 0;
                self.outsider |= self.pods().iter().any(unknown);
                self.exits_age(Ago::TenMinutes);
                for check in self.checks.iter_mut().flatten() {
                    check.late = true;
                }
                for pod in self.pods_mut() {
                    pod.late = true;
                    pod.long_up = !matches!(pod.status(), Does::NotStarted);
                }
            }
            _ => self.check_happens(event),
        }
    }

    fn exits_age(&mut self, to: Ago) {
        for exit in self
            .pods_mut()
            .iter_mut()
            .filter_map(|pod| pod.exit.as_mut())
        {
            *exit = (*exit).max(to);
        }
    }

    /// An active is stopped, or has ended: what exited so far did so before.
    pub fn exits_were_before(&mut self, of: impl Fn(&Pod) -> bool) {
        for pod in self.pods_mut() {
            pod.exited_before |= pod.exit.is_some() && of(pod);
        }
    }

    fn serves(&mut self, no: u8) {
        let Some(pod) = self.pod(no).copied() else {
            return;
        };
        if pod.kind().nature == Nature::CrashesAfter {
            return self.goes_down(no, Does::Down);
        }
        if pod.kind().nature == Nature::Good && !pod.elsewhere {
            self.good = Some(pod.kind);
        }
        if self.asked && !pod.elsewhere {
            self.named = pod.kind().version;
        }
        self.change(no, |pod| pod.does = Does::Serve);
    }

    fn goes_down(&mut self, no: u8, how: Does) {
        if self.pod(no).is_some_and(|pod| pod.stopped_as_active) {
            self.exits_were_before(|pod| pod.no != no);
        }
        self.change(no, |pod| pod.goes_down(how));
    }

    fn half_minute(&mut self) {
        self.exits_age(Ago::HalfMinute);
        let long = |pod: &&Pod| pod.seen() && pod.does == Does::Serve && !pod.elsewhere;
        let exits = |pod: &&Pod| pod.kind().nature == Nature::CrashesServing;
        if let Some(pod) = self.pods().iter().filter(exits).find(long) {
            self.proved |= 1 << pod.kind;
        }
        for pod in self.pods_mut() {
            if !pod.seen() {
                pod.sight = Sight::Lost;
            }
            pod.took_long_ago = pod.took > 0;
            pod.long_down |= pod.does == Does::DownByDatabase;
        }
    }

    pub fn spend(&mut self) {
        self.budget.faults -= 1;
    }

    fn change(&mut self, no: u8, how: impl FnOnce(&mut Pod)) {
        if let Some(pod) = self.pod_mut(no) {
            how(pod);
        }
    }

    fn asks(&mut self, no: u8) {
        let Some(pod) = self.pod(no).copied() else {
            return;
        };
        match pod.kind().nature {
            Nature::CrashesBefore => self.goes_down(no, Does::Down),
            Nature::Good | Nature::CrashesAfter | Nature::CrashesServing if self.free(&pod) => {
                self.takes(no);
            }
            _ => self.change(no, |pod| {
                pod.does = Does::Wait;
                pod.waited = true;
            }),
        }
    }

    /// It wins the lock. On a database that a newer version has migrated it exits at once.
    fn takes(&mut self, no: u8) {
        let migrated = self.migrated;
        let mut version = 0;
        self.change(no, |pod| {
            if pod.elsewhere {
                pod.does = Does::Take;
            } else if pod.kind().version < migrated {
                pod.goes_down(Does::Down);
            } else {
                pod.does = Does::Take;
                version = pod.kind().version;
            }
        });
        self.newest_held = self.newest_held.max(version);
        if !self.asked {
            self.migrated = self.newest_held;
        }
    }

    fn migrates(&mut self, no: u8) {
        if let Some(pod) = self.pod(no) {
            self.migrated = pod.kind().version;
        }
        self.change(no, |pod| pod.does = Does::Hush);
    }

    fn leaves(&mut self, no: u8) {
        self.note_deception(no);
        self.remove(no);
    }

    fn note_deception(&mut self, no: u8) {
        let unknown = self
            .pod(no)
            .is_some_and(|pod| pod.holds() && !pod.elsewhere);
        let cut_off = self.pods().iter().any(|pod| pod.does == Does::Zombie);
        self.deceived |= unknown && cut_off;
    }

    fn lose(&mut self, no: u8) {
        let known = self.ranks();
        self.change(no, |pod| {
            pod.shown = pod.does;
            pod.sight = Sight::Dim;
            pod.contact = if Pod::runs(pod.does) { known } else { NEVER };
        });
    }

    fn seen_again(&mut self, no: u8) {
        let Some(pod) = self.pod(no).copied() else {
            return;
        };
        if pod.does == Does::Dead && pod.deleted {
            self.remove(no);
            return;
        }
        self.change(no, |pod| {
            pod.sight = Sight::Seen;
            pod.contact = 0;
            pod.shown = Does::NotStarted;
            if pod.changed {
                pod.changed = false;
                pod.long_up = false;
                pod.line = false;
                pod.took = 0;
                pod.took_waited = false;
                pod.took_long_ago = false;
            }
            if pod.does == Does::Dead {
                pod.does = Does::Down;
            }
        });
    }
}

impl fmt::Display for Pod {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{} {:?}", self.no, self.kind().name, self.does)?;
        if !self.seen() {
            write!(out, " ({:?}, shown {:?})", self.sight, self.shown)?;
        }
        let words = [
            (self.deleted, "deleted"),
            (self.stopped, "stopped"),
            (self.line, "line"),
            (self.labelled, "labelled"),
            (self.late, "late"),
            (self.elsewhere, "elsewhere"),
            (self.burnt, "burnt"),
            (self.leaving, "leaving"),
        ];
        for (_, word) in words.iter().filter(|(is, _)| *is) {
            write!(out, " {word}")?;
        }
        if self.took > 0 {
            let waited = if self.took_waited { "" } else { " unwaited" };
            write!(out, " took#{}{waited}", self.took)?;
        }
        Ok(())
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted.map(|kind| KINDS[usize::from(kind)].name);
        write!(out, "{} of {}", self.replicas, wanted.unwrap_or("unusable"))?;
        if self.deaf {
            write!(out, " (nobody answered yet)")?;
        }
        for check in self.checks.iter().flatten() {
            write!(out, " {check:?}")?;
        }
        for pod in self.pods() {
            write!(out, " [{pod}]")?;
        }
        Ok(())
    }
}
