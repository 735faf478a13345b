//! When sessions with the database began that can never write.
//!
//! A session keeps the `default_transaction_read_only` of its database or role that it began with (`is_kept_by_sessions`). So
//! a node that has come to wait in such a spell waits in vain, also when the database takes writes again: it prints its
//! waiting line, and can't win.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::pod::PodId;
use crate::api::ReadOnlySpell;

/// What a server said of the sessions with it, all by its own clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginnings {
    /// What the clock said.
    pub clock: Option<Timestamp>,
    /// It takes no writes of the sessions that begin now, and never will: each keeps the setting that it began with.
    pub read_only_is_kept: bool,
    /// When the sessions of each pod's node began.
    pub of: BTreeMap<PodId, BTreeSet<Timestamp>>,
}

/// The spells of one URL, as far as a session of them is left. All times are by the clock of the server, which may be off from
/// the operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOnlySpells {
    spells: Vec<ReadOnlySpell>,
    /// What the clock said when sessions that began could write, and when the server was started that said so.
    could_write: Option<(Timestamp, Option<i64>)>,
}

impl From<Vec<ReadOnlySpell>> for ReadOnlySpells {
    /// What an earlier operator has noted.
    fn from(spells: Vec<ReadOnlySpell>) -> Self {
        Self {
            spells,
            could_write: None,
        }
    }
}

impl ReadOnlySpells {
    /// As they are to be noted.
    pub fn noted(&self) -> &[ReadOnlySpell] {
        &self.spells
    }

    /// Whether a session of the pod's node began in one of them. The last answer said which sessions there are.
    pub fn bind(&self, pod: &PodId, begun: &Beginnings) -> bool {
        let begun = begun.of.get(pod);
        begun.is_some_and(|begun| self.spells.iter().any(|spell| any_in(begun, spell)))
    }

    /// Takes the next answer into account, of a server that was started then.
    pub(super) fn hear(&mut self, begun: &Beginnings, server: Option<i64>) {
        let Some(clock) = begun.clock else {
            return;
        };
        // A session ends with its server, and the clock of another one is another clock.
        self.spells.retain(|spell| spell.server_start == server);
        let from = self
            .could_write
            .filter(|(_, of)| *of == server)
            .map(|(clock, _)| clock);
        let open = self.spells.iter_mut().find(|spell| spell.until.is_none());
        match (open, begun.read_only_is_kept) {
            (None, true) => self.spells.push(ReadOnlySpell {
                from,
                until: None,
                server_start: server,
            }),
            (Some(spell), false) => spell.until = Some(clock),
            (None, false) | (Some(_), true) => {}
        }
        if !begun.read_only_is_kept {
            self.could_write = Some((clock, server));
        }
        let is_left = |spell: &ReadOnlySpell| {
            spell.until.is_none() || begun.of.values().any(|times| any_in(times, spell))
        };
        self.spells.retain(is_left);
    }
}

/// Whether one of these times is in the spell. Its ends count as in it: when the setting was changed between two answers is
/// not known.
fn any_in(times: &BTreeSet<Timestamp>, spell: &ReadOnlySpell) -> bool {
    let is_in = |time: &Timestamp| {
        Some(*time) >= spell.from && spell.until.is_none_or(|until| *time <= until)
    };
    times.iter().any(is_in)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SERVER: i64 = 7;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(name: &str) -> PodId {
        PodId {
            name: name.to_owned(),
            uid: name.to_owned(),
        }
    }

    /// An answer at this time, with sessions that began then.
    fn says(clock: i64, read_only_is_kept: bool, begun: &[(&str, i64)]) -> Beginnings {
        let mut says = Beginnings {
            clock: Some(at(clock)),
            read_only_is_kept,
            of: BTreeMap::new(),
        };
        for (name, second) in begun {
            let of_pod = says.of.entry(pod(name)).or_default();
            of_pod.insert(at(*second));
        }
        says
    }

    /// The pods that are bound after these answers, by the last of them.
    fn bound(spells: &mut ReadOnlySpells, answers: &[Beginnings]) -> Vec<String> {
        for says in answers {
            spells.hear(says, Some(SERVER));
        }
        let last = answers.last().unwrap();
        let pods = last.of.keys();
        pods.filter(|pod| spells.bind(pod, last))
            .map(|pod| pod.name.clone())
            .collect()
    }

    #[test]
    fn who_began_between_the_answers_around_a_spell_is_bound_for_as_long_as_that_session_lasts() {
        let mut spells = ReadOnlySpells::default();
        let all = [
            ("before", 9),
            ("early", 15),
            ("in it", 25),
            ("late", 35),
            ("after", 41),
        ];
        let told = bound(
            &mut spells,
            &[
                says(10, false, &all[..1]),
                says(20, true, &all[..2]),
                says(30, true, &all[..3]),
                says(40, false, &all[..4]),
                says(50, false, &all),
            ],
        );
        assert_eq!(told, ["early", "in it", "late"]);
        // They have come back with new sessions, one after the other.
        let left = [("early", 55), ("in it", 56), ("late", 35)];
        assert_eq!(bound(&mut spells, &[says(60, false, &left)]), ["late"]);
        assert_eq!(bound(&mut spells, &[says(70, false, &left[..2])]), [""; 0]);
        assert_eq!(spells.noted(), [], "nobody is left of it");
    }

    #[test]
    fn of_what_was_before_the_first_answer_nothing_is_known() {
        let answers = [
            says(20, true, &[("a", 5)]),
            says(30, false, &[("a", 5), ("b", 31)]),
        ];
        let mut spells = ReadOnlySpells::default();
        assert_eq!(bound(&mut spells, &answers), ["a"]);
        // An operator that has started since goes by what was noted.
        let mut noted = ReadOnlySpells::from(spells.noted().to_vec());
        let later = [says(40, false, &[("a", 5), ("b", 31)])];
        assert_eq!(bound(&mut noted, &later), ["a"]);
    }

    #[test]
    fn two_spells_bind_each_of_their_own() {
        let mut spells = ReadOnlySpells::default();
        let all = [("a", 15), ("b", 32), ("c", 45)];
        let told = bound(
            &mut spells,
            &[
                says(10, false, &[]),
                says(20, true, &all[..1]),
                says(30, false, &all[..1]),
                says(40, false, &all[..2]),
                says(50, true, &all),
                says(60, false, &all),
            ],
        );
        assert_eq!(told, ["a", "c"]);
    }

    /// After a failover of the database, or its restart.
    #[test]
    fn no_session_outlives_its_server() {
        let mut spells = ReadOnlySpells::default();
        let before = [says(10, false, &[]), says(20, true, &[("a", 15)])];
        assert_eq!(bound(&mut spells, &before), ["a"]);
        // The same times, of a server that was started later.
        let another = says(30, false, &[("a", 15)]);
        spells.hear(&another, Some(SERVER + 1));
        assert!(!spells.bind(&pod("a"), &another));
        assert_eq!(spells.noted(), []);
        // That the one before could be written to says nothing of another one.
        let mut spells = ReadOnlySpells::default();
        spells.hear(&says(10, false, &[]), Some(SERVER));
        spells.hear(&says(30, true, &[("a", 5)]), Some(SERVER + 1));
        assert_eq!(spells.noted()[0].from, None);
    }
}
