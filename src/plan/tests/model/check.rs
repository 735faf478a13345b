//! The short pods that check a configuration before a pod is replaced for it.

use super::cluster::Cluster;
use super::event::Event;
use super::kind::KINDS;

/// Tries of one revision's check, beyond which a walk does not go.
pub const TRIES: u8 = 6;

/// One pod that checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    pub kind: u8,
    pub attempt: u8,
    pub says: Says,
    pub deleted: bool,
    /// Its machine can't be reached.
    pub lost: bool,
    /// Made longer ago than the standby timeout.
    pub late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// It runs.
    Nothing,
    Valid,
    Invalid,
    /// Its container was killed.
    Unknown,
    /// It was evicted.
    Never,
}

impl Cluster {
    fn check_at(&mut self, place: u8) -> Option<&mut Check> {
        self.checks[usize::from(place)].as_mut()
    }

    fn checks_there(&self) -> impl Iterator<Item = (u8, &Check)> {
        (0..)
            .zip(&self.checks)
            .filter_map(|(place, check)| Some((place, check.as_ref()?)))
    }

    pub fn checks_progress(&self, into: &mut Vec<Event>) {
        for (place, check) in self.checks_there().filter(|(_, check)| !check.lost) {
            if check.deleted {
                into.push(Event::CheckGoes(place));
            } else if check.says == Says::Nothing {
                into.push(Event::CheckEnds(place));
            }
        }
    }

    pub fn checks_seen_again(&self, into: &mut Vec<Event>) {
        let lost = self.checks_there().filter(|(_, check)| check.lost);
        into.extend(lost.map(|(place, _)| Event::CheckSeenAgain(place)));
    }

    pub fn checks_faults(&self, into: &mut Vec<Event>) {
        for (place, check) in self.checks_there().filter(|(_, check)| !check.lost) {
            into.push(Event::CheckIsLost(place));
            if check.says == Says::Nothing && !check.deleted {
                into.push(Event::CheckIsEvicted(place));
                // A configuration that could not be checked is tried, whatever it is.
                if KINDS[usize::from(check.kind)].valid == Some(true) {
                    into.push(Event::CheckIsKilled(place));
                }
            }
        }
    }

    pub fn check_happens(&mut self, event: Event) {
        match event {
            Event::CheckEnds(place) => {
                if let Some(check) = self.check_at(place) {
                    check.says = match KINDS[usize::from(check.kind)].valid {
                        Some(true) => Says::Valid,
                        _ => Says::Invalid,
                    };
                }
            }
            Event::CheckGoes(place) => self.checks[usize::from(place)] = None,
            Event::CheckSeenAgain(place) => {
                if let Some(check) = self.check_at(place) {
                    check.lost = false;
                }
            }
            Event::CheckIsEvicted(place) => {
                self.check_fails(place, |check| check.says = Says::Never);
            }
            Event::CheckIsKilled(place) => {
                self.check_fails(place, |check| check.says = Says::Unknown);
            }
            Event::CheckIsLost(place) => self.check_fails(place, |check| check.lost = true),
            _ => {}
        }
        self.checks.sort_unstable_by_key(|check| {
            check.map_or((u8::MAX, 0), |check| (check.kind, check.attempt))
        });
    }

    fn check_fails(&mut self, place: u8, how: impl FnOnce(&mut Check)) {
        self.spend();
        if let Some(check) = self.check_at(place) {
            how(check);
        }
    }

    /// The operator makes one. Twice under one name is once.
    pub fn make_check(&mut self, kind: u8, attempt: u8) {
        if self
            .checks_there()
            .any(|(_, check)| (check.kind, check.attempt) == (kind, attempt))
        {
            return;
        }
        let place = self.checks.iter_mut().find(|place| place.is_none());
        *place.expect("room for another check") = Some(Check {
            kind,
            attempt,
            says: Says::Nothing,
            deleted: false,
            lost: false,
            late: false,
        });
    }

    pub fn end_check(&mut self, kind: u8, attempt: u8) {
        let mut checks = self.checks.iter_mut().flatten();
        if let Some(check) = checks.find(|check| (check.kind, check.attempt) == (kind, attempt)) {
            check.deleted = true;
        }
    }
}
