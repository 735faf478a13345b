//! The world's truth: what really runs, who really holds the lock, and what can happen next.

use std::fmt;

use super::check::Check;
use super::database::Database;
use super::event::{Event, Menu};
use super::kind::{KINDS, LEASE, Nature};
use super::lease::{End, Lease};
use super::names::Ago;
use super::pod::{Does, Pod, Sight};
use super::refusal::Policy;

/// Pods at one time, beyond which a walk does not go.
pub const ROOM: usize = 7;

/// What is left of what may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub edits: u8,
    pub faults: u8,
    pub crashes: u8,
    /// Of the operator, that fail.
    pub calls: u8,
    /// Passes of a second operator that is frozen in the middle.
    pub others: u8,
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
    /// A pod has ended that had the lock without a word, and nobody has served since: that the lock is free shows nowhere but
    /// in the database.
    pub untold_end: bool,
    /// The Secret names another database.
    pub secret_changed: bool,
    /// The operator asks the database, which shows what has migrated it.
    pub asked: bool,
    /// How it is with the database.
    pub database: Database,
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
    /// And to which it was to be: the intent is written before the stop is asked for, which may be refused.
    pub tried: u32,
    /// And of which a pod has ended in truth while nobody worked but those that were to go.
    pub fell: u32,
    /// And of which a pod was seen to have exited with the lock, as all of its pods do.
    pub burnt: u32,
    /// A bit for each revision that exits and has been seen to serve for long; since the spec changed.
    pub proved: u32,
    /// The last revision that served and was good.
    pub good: Option<u8>,
    /// Pods that check a configuration.
    pub checks: [Option<Check>; 3],
    pub policy: Policy,
    pub lease: Lease,
    pub budget: Budget,
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
            untold_end: false,
            secret_changed: false,
            asked: false,
            database: Database::Right,
            newest_held: 0,
            migrated: 0,
            named: 0,
            deceived: false,
            deaf: false,
            handed: 0,
            tried: 0,
            fell: 0,
            burnt: 0,
            proved: 0,
            good: None,
            checks: [None; 3],
            policy: Policy::default(),
            lease: Lease::default(),
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
        let kept_out = self.database == Database::ReadOnly || self.lease.keeps_out(pod);
        let taken = outside || (kept_out && !pod.elsewhere);
        !taken
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
        self.database_recovers(into);
        self.lease_runs_out(into);
        into.push(Event::Seconds);
        // The API server is told within some seconds.
        if !self.deaf && !self.pods().iter().any(|pod| pod.untold) {
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
            if pod.untold {
                into.push(Event::IsTold(no));
            }
            if pod.is_told() && pod.waited && !pod.line && Pod::runs(pod.does) {
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
            Event::IsTold(no) => {
                // It looks as if it had ended now.
                self.note_fall(no);
                self.change(no, Pod::is_shown);
            }
            Event::Goes(no) => self.leaves(no),
            Event::IsDeposed(no) => self.goes_down(no, Does::DownByDatabase),
            Event::RegainsLock(no) => {
                self.lease.is_taken();
                self.change(no, |pod| pod.does = Does::Serve);
            }
            Event::SeenAgain(no) => self.seen_again(no),
            Event::Hears => self.deaf = false,
            _ => self.is_done_to(event),
        }
    }

    /// What the user does, and time.
    fn is_done_to(&mut self, event: Event) {
        match event {
            Event::OutsiderLeaves => self.outside = false,
            Event::LeaseRunsOut => self.lease.runs_out(),
            Event::DatabaseTurns(to) => self.database_turns(to),
            Event::Wants(kind) => {
                self.budget.edits -= 1;
                self.handed = 0;
                self.tried = 0;
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
            _ => self.goes_wrong(event),
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
        self.untold_end = false;
        self.change(no, |pod| pod.does = Does::Serve);
    }

    pub fn goes_down(&mut self, no: u8, how: Does) {
        if self.pod(no).is_some_and(|pod| pod.stopped_as_active) {
            self.exits_were_before(|pod| pod.no != no);
        }
        self.note_fall(no);
        self.leaves_its_lease(no, End::Told);
        self.change(no, |pod| pod.goes_down(how));
    }

    /// The end of a pod beside an active that is to stay says nothing of its revision, before the lock is to be handed over
    /// to it. One that has not said yet that it holds the lock is no active to anybody.
    pub fn note_fall(&mut self, no: u8) {
        let stays = |pod: &&Pod| pod.no != no && pod.holds() && pod.took > 0 && !pod.deleted;
        let handed = |pod: &Pod| (self.handed | self.tried) & (1 << pod.kind) != 0;
        let beside = self.pods().iter().find(stays);
        if let Some(pod) = self.pod(no)
            && (handed(pod)
                || beside.is_none_or(|other| !other.sees(pod) || pod.does == Does::Zombie))
        {
            self.fell |= 1 << pod.kind;
        }
    }

    pub fn note_untold_end(&mut self, no: u8) {
        let untold = |pod: &Pod| pod.holds() && pod.took == 0;
        self.untold_end |= self.pod(no).is_some_and(untold);
    }

    fn half_minute(&mut self) {
        self.exits_age(Ago::HalfMinute);
        self.lease.is_long_over();
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

    pub fn change(&mut self, no: u8, how: impl FnOnce(&mut Pod)) {
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
        if self.pod(no).is_some_and(|pod| !pod.elsewhere) {
            self.lease.is_taken();
            if self
                .pod(no)
                .is_some_and(|pod| pod.kind().version < migrated)
            {
                self.note_fall(no);
            }
        }
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
        self.note_untold_end(no);
        // Who has the lock ends in order, and gives it back.
        if self.pod(no).is_some_and(|pod| pod.does == Does::Zombie) {
            self.leaves_its_lease(no, End::Untold);
        }
        self.remove(no);
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
            pod.is_shown();
            if pod.does == Does::Dead {
                pod.does = Does::Down;
            }
        });
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
        if let Some(left) = self.lease.row() {
            write!(out, " {left:?}")?;
        }
        for pod in self.pods() {
            write!(out, " [{pod}]")?;
        }
        Ok(())
    }
}
