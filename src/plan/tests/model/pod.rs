//! One pod in truth: what its container does, what of it can be seen, and what is recorded of it.

use std::fmt;

use super::kind::{KINDS, Kind, Nature};
use super::names::Ago;

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
    /// What the API server shows while the pod can't be seen, or it has not been told.
    pub shown: Does,
    pub sight: Sight,
    /// Its container has ended, and the API server has not been told of it yet.
    pub untold: bool,
    /// Its container changed while it could not be seen, or untold.
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
            untold: false,
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
        if self.is_told() {
            self.does
        } else {
            self.shown
        }
    }

    /// Whether the API server knows what the container does.
    pub fn is_told(&self) -> bool {
        self.seen() && !self.untold
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
    pub fn forget(&mut self) {
        self.waited = false;
        self.long_down = false;
        if self.is_told() {
            self.forget_records();
        } else {
            self.changed = true;
        }
    }

    /// What is recorded is of another container.
    fn forget_records(&mut self) {
        self.long_up = false;
        self.line = false;
        self.took = 0;
        self.took_waited = false;
        self.took_long_ago = false;
    }

    /// The API server shows what the container does now.
    pub fn is_shown(&mut self) {
        self.untold = false;
        self.shown = Does::NotStarted;
        if self.changed {
            self.changed = false;
            self.forget_records();
        }
    }

    pub fn goes_down(&mut self, how: Does) {
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

impl fmt::Display for Pod {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{} {:?}", self.no, self.kind().name, self.does)?;
        if !self.seen() {
            write!(out, " ({:?}, shown {:?})", self.sight, self.shown)?;
        }
        let words = [
            (self.untold, "untold"),
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
