//! Who worked when, and the judgement on it: one function for both records (the database's and the collector's).

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail, ensure};

/// Microseconds since 1970, on this machine's clock.
pub type Micros = i64;

/// What a simulator recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Waiting,
    LockTaken,
    Listening,
    Tick,
    Stopping,
    LockReleased,
    Deposed,
}

impl Kind {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "waiting" => Self::Waiting,
            "lock-taken" => Self::LockTaken,
            "listening" => Self::Listening,
            "tick" => Self::Tick,
            "stopping" => Self::Stopping,
            "lock-released" => Self::LockReleased,
            "deposed" => Self::Deposed,
            _ => return None,
        })
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Micros,
    pub pod: String,
    /// One start of the program: a restarted container has another.
    pub app: String,
    pub version: String,
    pub kind: Kind,
}

/// One start of the program, from its lock to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    pub pod: String,
    /// [`Event::app`].
    pub app: String,
    pub version: String,
    /// Took the lock.
    pub took: Micros,
    /// From here on it worked; `None` if it never came so far.
    pub listening: Option<Micros>,
    /// Was asked to stop.
    pub stopping: Option<Micros>,
    /// Gave the lock back.
    pub released: Option<Micros>,
    /// The last that was heard of it.
    pub last: Micros,
}

impl Duty {
    /// Until when it may have held the lock. One that was killed is heard of no more.
    fn held_until(&self) -> Micros {
        self.released.unwrap_or(self.last)
    }

    /// When its work ended, or the last tick of one that works.
    pub fn worked_until(&self) -> Micros {
        self.stopping.unwrap_or(self.last)
    }
}

/// Time without an active, between two that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: Duty,
    pub to: Duty,
}

impl Gap {
    /// The whole of it.
    pub fn micros(&self) -> Micros {
        self.to.listening.unwrap_or(self.to.took) - self.from.worked_until()
    }

    /// The old one's own shutdown, where it gave the lock back.
    pub fn shutdown(&self) -> Option<Micros> {
        self.from
            .released
            .map(|released| released - self.from.worked_until())
    }

    /// From the free lock to its next holder.
    pub fn lock(&self) -> Option<Micros> {
        self.from.released.map(|released| self.to.took - released)
    }

    /// The new one's own boot.
    pub fn boot(&self) -> Micros {
        self.to.listening.unwrap_or(self.to.took) - self.to.took
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} ({}) -> {} ({}): {}",
            self.from.pod,
            self.from.version,
            self.to.pod,
            self.to.version,
            seconds(self.micros())
        )
    }
}

/// Microseconds as people read them.
pub fn seconds(micros: Micros) -> String {
    format!(
        "{}.{:03} s",
        micros / 1_000_000,
        (micros % 1_000_000).abs() / 1000
    )
}

/// All duties of one record, in the order in which they took the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub duties: Vec<Duty>,
}

impl Record {
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut by_start: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in events {
            by_start.entry(event.app.clone()).or_default().push(event);
        }
        let mut duties: Vec<Duty> = by_start
            .values()
            .filter_map(|events| duty(events))
            .collect();
        duties.sort_by_key(|duty| duty.took);
        Self { duties }
    }

    /// Refuses a record in which two held the lock, or worked, at the same time.
    pub fn never_two_actives(&self) -> Result<()> {
        for (index, first) in self.duties.iter().enumerate() {
            for second in &self.duties[index + 1..] {
                let common = first.held_until().min(second.held_until()) - second.took;
                if common > 0 {
                    bail!(
                        "two actives for {}: {} ({}) and {} ({})",
                        seconds(common),
                        first.pod,
                        first.version,
                        second.pod,
                        second.version
                    );
                }
            }
        }
        Ok(())
    }

    /// The gaps between those that worked, in order.
    pub fn gaps(&self) -> Vec<Gap> {
        let worked: Vec<&Duty> = self
            .duties
            .iter()
            .filter(|duty| duty.listening.is_some())
            .collect();
        worked
            .windows(2)
            .map(|pair| Gap {
                from: pair[0].clone(),
                to: pair[1].clone(),
            })
            .collect()
    }

    /// The versions of those that worked, in order.
    pub fn versions(&self) -> Vec<&str> {
        self.worked().map(|duty| duty.version.as_str()).collect()
    }

    /// The pods that worked, in order.
    pub fn pods(&self) -> Vec<&str> {
        self.worked().map(|duty| duty.pod.as_str()).collect()
    }

    /// Refuses another record of the same that tells of others at work, or in another order.
    pub fn agrees_with(&self, other: &Self) -> Result<()> {
        let told = |record: &Self| -> Vec<(String, String, String)> {
            let told = |duty: &Duty| (duty.pod.clone(), duty.version.clone(), duty.app.clone());
            record.worked().map(told).collect()
        };
        let (here, there) = (told(self), told(other));
        ensure!(
            here == there,
            "{here:?} worked by one record, {there:?} by the other"
        );
        Ok(())
    }

    fn worked(&self) -> impl Iterator<Item = &Duty> {
        self.duties.iter().filter(|duty| duty.listening.is_some())
    }
}

fn duty(events: &[Event]) -> Option<Duty> {
    let at = |kind: Kind| {
        events
            .iter()
            .filter(|event| event.kind == kind)
            .map(|event| event.at)
            .min()
    };
    // A datagram can be lost, most likely the first: its duty began at the latest with what is known next.
    let working = |event: &&Event| event.kind != Kind::Waiting;
    let first_known = events.iter().filter(working).map(|event| event.at).min();
    let took = at(Kind::LockTaken).or(first_known)?;
    let first = events.first()?;
    Some(Duty {
        pod: first.pod.clone(),
        app: first.app.clone(),
        version: first.version.clone(),
        took,
        listening: at(Kind::Listening),
        stopping: at(Kind::Stopping),
        released: at(Kind::LockReleased),
        last: events.iter().map(|event| event.at).max().unwrap_or(took),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pod: &str, kinds: &[(Micros, Kind)]) -> Vec<Event> {
        let event = |(at, kind): &(Micros, Kind)| Event {
            at: *at,
            pod: pod.to_owned(),
            app: format!("start of {pod}"),
            version: "2.18.0".to_owned(),
            kind: *kind,
        };
        kinds.iter().map(event).collect()
    }

    fn record(of: &[Vec<Event>]) -> Record {
        Record::of(of.concat())
    }

    #[test]
    fn a_handover_is_a_gap_and_its_parts() {
        let seen = record(&[
            events(
                "b",
                &[
                    (5, Kind::Waiting),
                    (210, Kind::LockTaken),
                    (300, Kind::Listening),
                    (400, Kind::Tick),
                ],
            ),
            events(
                "a",
                &[
                    (1, Kind::LockTaken),
                    (2, Kind::Listening),
                    (99, Kind::Tick),
                    (100, Kind::Stopping),
                    (130, Kind::LockReleased),
                ],
            ),
        ]);
        seen.never_two_actives().unwrap();
        let gaps = seen.gaps();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].micros(), 200);
        assert_eq!(gaps[0].shutdown(), Some(30));
        assert_eq!(gaps[0].lock(), Some(80));
        assert_eq!(gaps[0].boot(), 90);
        assert_eq!(seen.pods(), ["a", "b"]);
    }

    #[test]
    fn one_that_was_killed_worked_until_its_last_tick() {
        let seen = record(&[
            events(
                "a",
                &[(1, Kind::LockTaken), (2, Kind::Listening), (50, Kind::Tick)],
            ),
            events("b", &[(150, Kind::LockTaken), (160, Kind::Listening)]),
        ]);
        seen.never_two_actives().unwrap();
        assert_eq!(seen.gaps()[0].micros(), 110);
        assert_eq!(seen.gaps()[0].lock(), None);
    }

    #[test]
    fn two_at_once_are_refused_also_while_one_boots() {
        let working = events(
            "a",
            &[
                (1, Kind::LockTaken),
                (2, Kind::Listening),
                (500, Kind::Tick),
            ],
        );
        let booting = events("b", &[(400, Kind::LockTaken), (450, Kind::Deposed)]);
        let error = record(&[working.clone(), booting])
            .never_two_actives()
            .unwrap_err();
        assert!(
            error.to_string().contains("a (2.18.0) and b (2.18.0)"),
            "{error}"
        );
        let inside = events(
            "c",
            &[
                (100, Kind::LockTaken),
                (110, Kind::Listening),
                (120, Kind::Tick),
            ],
        );
        assert!(record(&[working, inside]).never_two_actives().is_err());
    }

    #[test]
    fn records_that_tell_of_different_work_do_not_agree() {
        let first = events("a", &[(1, Kind::LockTaken), (2, Kind::Listening)]);
        let second = events("b", &[(9, Kind::LockTaken), (10, Kind::Listening)]);
        // Each by a clock of its own, and one that never worked is no difference.
        let later = events("a", &[(3, Kind::LockTaken), (5, Kind::Listening)]);
        let waits = events("c", &[(4, Kind::Waiting), (20, Kind::LockTaken)]);
        let both = record(&[first.clone(), second.clone()]);
        both.agrees_with(&record(&[second.clone(), later, waits]))
            .unwrap();
        let error = both.agrees_with(&record(&[first])).unwrap_err();
        assert!(error.to_string().contains("start of b"), "{error}");
        let turned = events("a", &[(30, Kind::LockTaken), (31, Kind::Listening)]);
        assert!(both.agrees_with(&record(&[turned, second])).is_err());
    }

    #[test]
    fn a_lost_first_datagram_loses_no_duty() {
        let seen = record(&[events("a", &[(5, Kind::Listening), (9, Kind::Tick)])]);
        assert_eq!(seen.duties[0].took, 5);
        assert_eq!(seen.pods(), ["a"]);
    }

    #[test]
    fn one_that_only_waited_has_no_duty() {
        assert_eq!(
            record(&[events("a", &[(1, Kind::Waiting)])]),
            Record::default()
        );
    }
}
