//! The lease of a node that ended, or was cut off, without giving it back: it keeps everybody else out until it runs out or is
//! given back for that node (rule S10). On the other walks a lease ends with its node.

use super::cluster::Cluster;
use super::event::Event;
use super::kind::LEASE;
use super::pod::{Does, Pod};
use super::second::Last;
use super::state::State;
use super::walk::Walk;
use super::walks::{broken_without, needed};
use super::{Fault, NEW, from_asked};
use crate::plan::{Rule, Rules};

/// The lease of the database, as far as it outlives nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Whether it does on this walk.
    pub stays: bool,
    /// Whether the database has shown the operator the session of the node that works by it.
    shown: bool,
    /// What the row says while no node works by it.
    left: Option<Left>,
    /// The last start of a node that left a lease and of which the operator has seen the end.
    ended: Option<Ended>,
}

/// A lease that a node left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub no: u8,
    pub kind: u8,
    pub end: End,
    shown: bool,
    /// It is that of [`Lease::ended`].
    pub noted: bool,
    /// It has run out, and the row names the node still.
    over: bool,
}

/// What became of the container of a node that left its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It goes on, cut off from the database.
    NotYet,
    /// It has ended, and its kubelet tells so as long as it shows that end.
    Told,
    /// It has ended, and no kubelet will tell.
    Untold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    pub no: u8,
    pub kind: u8,
    pub shown: bool,
    /// In this very look.
    pub now: bool,
}

impl Lease {
    /// The row, as the database shows it.
    pub fn row(&self) -> Option<&Left> {
        self.left.as_ref()
    }

    /// Who is kept out by what was left.
    pub fn left(&self) -> Option<&Left> {
        self.row().filter(|left| !left.over)
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Whether this pod waits for it in vain. A node that was cut off has it still once it is back.
    pub fn keeps_out(&self, pod: &Pod) -> bool {
        let others = |left: &&Left| left.no != pod.no || left.end != End::NotYet;
        pod.kind().lock & LEASE != 0 && self.left().is_some_and(|left| others(&left))
    }

    /// Somebody has it.
    pub fn is_taken(&mut self) {
        self.left = None;
        self.shown = false;
    }

    pub fn runs_out(&mut self) {
        self.left = self.left.filter(|left| left.noted);
        if let Some(left) = &mut self.left {
            left.over = true;
        }
    }

    /// Longer than a lease lasts, and than the end of a node matters.
    pub fn is_long_over(&mut self) {
        self.left = None;
        self.ended = None;
    }

    /// Done by one statement, which finds nothing to give back unless the row is that node's.
    pub fn is_given_back(&mut self) {
        if self.left().is_some_and(|left| left.noted) {
            self.left = None;
            self.ended = None;
        }
    }

    /// The operator is started anew: which sessions and ends it was shown is gone.
    pub fn is_forgotten(&mut self) {
        self.shown = false;
        self.ended = None;
        if let Some(left) = &mut self.left {
            left.shown = false;
            left.noted = false;
        }
        self.left = self.left.filter(|left| !left.over);
    }

    /// Pods get other numbers; 0 is what is gone.
    pub fn renumber(&mut self, new: impl Fn(u8) -> u8) {
        if let Some(left) = &mut self.left {
            left.no = new(left.no);
        }
        if let Some(ended) = &mut self.ended {
            ended.no = new(ended.no);
        }
    }
}

impl Cluster {
    pub fn lease_runs_out(&self, into: &mut Vec<Event>) {
        if self.lease.left().is_some() {
            into.push(Event::LeaseRunsOut);
        }
    }

    /// A pod is about to end, or is cut off: what becomes of the lease that it has.
    pub fn leaves_its_lease(&mut self, no: u8, end: End) {
        self.note_untold_end(no);
        let Some(pod) = self.pod(no).copied() else {
            return;
        };
        if let Some(left) = self.lease.left.as_mut().filter(|left| left.no == no) {
            left.end = match left.end {
                End::NotYet => end,
                // An end that was seen stays seen.
                End::Told if left.noted => End::Told,
                // Of two ends in one pod its kubelet shows the second.
                End::Told | End::Untold => End::Untold,
            };
        }
        let has_one = pod.holds() && !pod.elsewhere && pod.kind().lock & LEASE != 0;
        if self.lease.stays && has_one {
            self.lease.left = Some(Left {
                no,
                kind: pod.kind,
                end,
                shown: self.lease.shown,
                noted: false,
                over: false,
            });
            self.lease.shown = false;
        }
    }

    /// The operator looks, and asks the database.
    pub fn is_looked_at_for_ends(&mut self) {
        if !self.lease.stays {
            return;
        }
        self.lease.shown |= self.pods().iter().any(Pod::holds);
        if let Some(ended) = &mut self.lease.ended {
            ended.now = false;
        }
        let told = |left: &&Left| {
            let pod = self.pod(left.no);
            let shows = pod.is_some_and(|pod| pod.is_told() && pod.does != Does::Ended);
            left.end == End::Told && !left.noted && shows
        };
        let Some(left) = self.lease.left.filter(|left| told(&left)) else {
            return;
        };
        self.lease.ended = Some(Ended {
            no: left.no,
            kind: left.kind,
            shown: left.shown,
            now: true,
        });
        self.lease.left = Some(Left {
            noted: true,
            ..left
        });
    }
}

impl Walk {
    /// A lease outlives a node that does not give it back.
    pub fn with_lease(mut self) -> Self {
        self.start.cluster.lease.stays = true;
        self.start.cluster.lease.shown = true;
        self
    }
}

/// Ends of a node that keep it from giving its lease back.
pub const ENDS: [Fault; 3] = [Fault::Crash, Fault::Untold, Fault::Fail];

/// A walk on which a node that another version is to follow may leave its lease.
pub fn upgrade_with_lease(replicas: u8) -> Walk {
    from_asked("lease and upgrade", replicas)
        .with_lease()
        .edits(1, &[NEW])
        .faults(1, &ENDS)
}

#[test]
fn leases_that_outlive_their_nodes_keep_every_rule() {
    for replicas in 1..=2 {
        from_asked("lease", replicas)
            .with_lease()
            .faults(1, &ENDS)
            .crashes(1)
            .holds();
    }
}

/// The walks above would keep every rule as well if no lease were ever given back on them.
#[test]
fn a_lease_that_was_left_is_given_back_and_the_pod_that_waits_takes_it() {
    let walk = from_asked("given back", 2).with_lease();
    let mut start = walk.start;
    start.cluster.budget.faults = 1;
    let serves = |pod: &&Pod| pod.does == Does::Serve;
    let active = start.cluster.pods().iter().find(serves).unwrap().no;
    let killed = start.after(Event::Crashes(active));
    let takes = |state: &State| {
        let mut events = Vec::new();
        state.cluster.progress(&mut events);
        events
            .into_iter()
            .find(|event| matches!(event, Event::TakesLock(_)))
    };
    assert_eq!(takes(&killed), None, "{}", killed.cluster);

    let thought = killed.think(walk.surge, walk.rules);
    assert!(
        matches!(thought.last(), Some(Last::Return(_))),
        "{:?}",
        thought.plan
    );
    let given_back = State::done(&thought, thought.plan.acts.len());
    assert!(takes(&given_back).is_some(), "{}", given_back.cluster);
}

#[test]
fn without_the_end_of_the_holder_s10_is_broken() {
    let walk = from_asked("holder", 2)
        .with_lease()
        .faults(1, &[Fault::Crash]);
    needed(Rule::HolderEnded, "S10", walk);
}

/// With all guards it holds, as `make model` shows: that takes longer.
#[test]
fn with_a_rival_s10_is_broken() {
    let mut walk = upgrade_with_lease(1);
    walk.to_the_end = false;
    assert_eq!(broken_without(Rule::NoRival, walk), Some("S10"));
}

/// The guard against rivals holds this as well: an active, which waits for nothing, is one.
#[test]
fn beside_an_active_s10_is_broken() {
    let mut walk = from_asked("active", 2)
        .with_lease()
        .faults(2, &[Fault::CutOff, Fault::Crash]);
    walk.to_the_end = false;
    walk.rules = Rules::all()
        .without(Rule::NoRival)
        .without(Rule::NobodyActive);
    let (broken, story) = walk.walk().broken.unwrap();
    assert_eq!(broken.rule, "S10");
    assert!(
        broken.how.starts_with("a lease is given back while"),
        "{}\n{story}",
        broken.how
    );
}
