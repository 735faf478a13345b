//! An API server that makes no pod of some revisions, and what the operator knows of that.

use std::collections::BTreeMap;

use super::event::Event;
use super::kind::KINDS;
use super::names::{Ago, NOW, kind_of, name, revision, uid};
use super::state::State;
use super::{Fault, NEW, NEW_NO_IMAGE, from_rest};
use crate::api::RevisionName;
use crate::domain::Refused;
use crate::plan::Act;

/// A bit for each revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Of which no pod is made.
    refuses: u32,
    /// Of which the operator has seen that.
    known: u32,
    /// Of which it is to be tried again.
    due: u32,
    /// The pod of which the operator knows that its stop was refused, and whether it is to be tried again.
    stop: Option<(u8, bool)>,
}

impl Policy {
    pub fn refuses(&self, kind: u8) -> bool {
        self.refuses & (1 << kind) != 0
    }

    pub fn begins_to_refuse(&mut self, kind: u8) {
        self.refuses |= 1 << kind;
    }

    /// A pod is to be made. Whether the API server makes it.
    pub fn makes(&mut self, kind: u8) -> bool {
        let bit = 1 << kind;
        self.due &= !bit;
        if self.refuses(kind) {
            self.known |= bit;
        } else {
            self.known &= !bit;
        }
        !self.refuses(kind)
    }

    pub fn time_passes(&mut self) {
        self.due = self.known;
        if let Some((_, due)) = &mut self.stop {
            *due = true;
        }
    }

    pub fn refuses_stop(&mut self, no: u8) {
        self.stop = Some((no, false));
    }

    pub fn stops(&mut self) {
        self.stop = None;
    }

    /// Whether it is too early to ask for the stop of this pod again.
    pub fn is_too_early_to_stop(&self, no: u8) -> bool {
        self.stop == Some((no, false))
    }

    /// What the operator knows of the stop that was refused.
    pub fn stop_seen(&self) -> Option<Refused> {
        let (no, due) = self.stop?;
        Some(Refused {
            pod: uid(no),
            ..refused(due)
        })
    }

    /// Pods get other numbers; what is gone is no pod.
    pub fn renumber(&mut self, new: impl Fn(u8) -> u8) {
        let numbered = self.stop.map(|(no, due)| (new(no), due));
        self.stop = numbered.filter(|(no, _)| *no > 0);
    }

    /// An operator that starts knows of no refusal.
    pub fn is_forgotten(&mut self) {
        self.known = 0;
        self.due = 0;
        self.stop = None;
    }

    /// What the operator knows of it, with the name that it has reserved.
    pub fn seen(&self, reserved: Option<u8>) -> BTreeMap<RevisionName, Refused> {
        let kinds = (0..).zip(&KINDS).map(|(kind, _)| kind);
        let known = kinds.filter(|kind: &u8| self.known & (1 << kind) != 0);
        known
            .map(|kind| {
                let due = self.due & (1 << kind) != 0;
                let refused = Refused {
                    pod: name(reserved.unwrap_or(0)).to_owned(),
                    ..refused(due)
                };
                (revision(kind).name.clone(), refused)
            })
            .collect()
    }
}

/// What was refused and may be asked for again, or not yet.
fn refused(due: bool) -> Refused {
    Refused {
        pod: String::new(),
        message: String::new(),
        lasting: true,
        perhaps: false,
        tries: 1,
        again: if due {
            Ago::Moment.at()
        } else {
            *NOW + std::time::Duration::from_secs(2)
        },
    }
}

#[test]
fn an_api_server_that_refuses_a_revision_keeps_every_rule() {
    for replicas in 1..=2 {
        from_rest("refused", replicas)
            .edits(1, &[NEW])
            .faults(1, &[Fault::Refuse])
            .crashes(1)
            .holds();
    }
    from_rest("refused without room", 2)
        .without_room()
        .edits(1, &[NEW, NEW_NO_IMAGE])
        .faults(1, &[Fault::Refuse])
        .holds();
}

/// The walks above would keep every rule as well if nothing were ever refused on them, or nothing made again.
#[test]
fn what_worked_is_made_again_while_the_next_is_refused() {
    let walk = from_rest("made again", 1).edits(1, &[NEW]).faults(2, &[]);
    let mut state = walk.start.after(Event::Wants(Some(NEW)));
    state = state.after(Event::Refuses(NEW)).after(Event::Seconds);
    let goes_on = |state: &State| {
        let thought = state.think(walk.surge, walk.rules);
        let of_new =
            |act: &Act| matches!(act, Act::Create { revision, .. } if kind_of(revision) == NEW);
        let creates = thought.plan.acts.iter().any(of_new);
        (State::done(&thought, thought.plan.acts.len()), creates)
    };
    let mut tried = false;
    for _ in 0..4 {
        let (next, again) = goes_on(&state);
        tried |= again;
        state = next.after(Event::Seconds);
    }
    assert!(tried, "{}", state.cluster);
    state.cluster.remove(1);
    state.simplify();
    let mut end = walk.clone();
    end.start = state;
    let end = end.rest().start.cluster;
    let serves = |pod: &super::pod::Pod| pod.does == super::pod::Does::Serve;
    assert!(end.pods().iter().any(serves), "{end}");
}
