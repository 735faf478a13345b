//! One state of a walk: the world, and the operator's memory. And what the operator makes of it.

use std::hash::{Hash, Hasher};

use super::cluster::Cluster;
use super::event::Event;
use super::look;
use super::mind::{self, Mind};
use super::names::{self, Ago};
use super::pod::{Does, NEVER, Pod, Sight};
use crate::api::Memory;
use crate::domain::Observation;
use crate::plan::given::Given;
use crate::plan::{Act, Permit, Plan, Rules, plan_under};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub cluster: Cluster,
    pub mind: Mind,
}

/// What the operator saw, knew, and planned.
pub struct Thought {
    /// The world with what the look has recorded.
    pub cluster: Cluster,
    pub seen: Observation,
    pub memory: Memory,
    pub plan: Plan,
    rules: Rules,
    /// Who can't be seen any more, and answered within the last two seconds.
    pub lost_lately: Vec<u8>,
}

impl State {
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            cluster: *cluster,
            mind: Mind::default(),
        }
    }

    /// The operator looks and plans. A takeover is recorded at first sight; those of one look bear the
    /// same time.
    pub fn think(&self, surge: usize, rules: Rules) -> Thought {
        self.think_of(surge, rules, None)
    }

    /// The same, a moment after another look.
    pub fn think_after(&self, first: &Thought) -> Thought {
        let lost = |pod: &&Pod| !pod.seen() && first.cluster.pod(pod.no).is_some_and(Pod::seen);
        let lost = self.cluster.pods().iter().filter(lost).map(|pod| pod.no);
        self.think_of(first.seen.intent.surge, first.rules, Some(lost.collect()))
    }

    /// `asked` where the pods have just been asked: who can't be seen any more, and answered a moment before.
    fn think_of(&self, surge: usize, rules: Rules, asked: Option<Vec<u8>>) -> Thought {
        let mut cluster = self.cluster;
        let next = cluster.ranks() + 1;
        let (deaf, mut burnt) = (cluster.deaf, 0);
        for pod in cluster.pods_mut() {
            let answers = matches!(pod.does, Does::Serve | Does::Zombie | Does::Migrate);
            if pod.seen() && !deaf && answers && pod.took == 0 {
                pod.took = next;
                // It is taken for the container that is shown.
                pod.took_waited = if pod.untold { pod.line } else { pod.waited };
            }
            if pod.is_told() && pod.burnt {
                burnt |= 1 << pod.kind;
            }
        }
        cluster.burnt |= burnt & cluster.handed;
        cluster.is_looked_at_for_ends();
        let mut seen = look::look(&cluster, surge);
        let reserved = self.mind.creating.map(|(no, ..)| no);
        seen.refused_creations = cluster.policy.seen(reserved);
        seen.refused_stop = cluster.policy.stop_seen();
        if asked.is_some() {
            look::asked_kubelets(&mut seen, &cluster);
        }
        let lost_lately = asked.unwrap_or_default();
        look::answered_lately(&mut seen, &lost_lately);
        let made = cluster.pods().iter().map(|pod| pod.no).max().unwrap_or(0);
        let made = made.max(self.mind.creating.map_or(0, |(no, ..)| no));
        let memory = self.mind.memory(&cluster, made);
        let plan = plan_under(Given {
            seen: &seen,
            memory: &memory,
            now: *names::NOW,
            rules,
        });
        Thought {
            cluster,
            seen,
            memory,
            plan,
            rules,
            lost_lately,
        }
    }

    /// The state after the first `acts` of what was thought. Before a stop nothing happens that the second look would see.
    pub fn done(thought: &Thought, acts: usize) -> Self {
        let mut state = Self::done_as_named(thought, acts);
        state.simplify();
        state
    }

    /// The same, with every pod under the number that it has.
    pub fn done_as_named(thought: &Thought, acts: usize) -> Self {
        let mut state = Self::begun(thought, acts);
        if let Some(last) = thought.last().filter(|_| acts == thought.plan.acts.len()) {
            let (second, confirmed) = state.looks_again(thought, last);
            state = state.looked(&second);
            if confirmed {
                state.does_last(last);
            }
        }
        state
    }

    /// The memory is written, and the first `acts` are done, but for what needs a second look.
    pub fn begun(thought: &Thought, acts: usize) -> Self {
        let mut state = Self {
            cluster: thought.cluster,
            mind: Mind::of(&thought.plan.memory),
        };
        if let Some(Act::Stop(permit)) = thought.plan.acts.last()
            && let Some(to) = permit.to().filter(|_| permit.active())
        {
            state.cluster.tried |= 1 << names::kind_of(to);
        }
        for act in thought.plan.acts.iter().take(acts) {
            state.obeys(act);
        }
        mind::remember_ends(&mut state.cluster, &thought.plan.memory);
        state
    }

    /// What an act makes of the world, but for one that needs a second look.
    pub fn obeys(&mut self, act: &Act) {
        let cluster = &mut self.cluster;
        match act {
            Act::Create { pod, revision, .. } => {
                let no = names::number(pod);
                let made = cluster.policy.makes(names::kind_of(revision));
                if made && cluster.pod(no).is_none() {
                    cluster.add(Pod::new(no, names::kind_of(revision)));
                }
            }
            Act::Label { pod, active } => {
                if let Some(pod) = cluster.pod_mut(names::number(&pod.name)) {
                    pod.labelled = *active;
                }
            }
            Act::Gate { pod, ready } => {
                if let Some(pod) = cluster.pod_mut(names::number(&pod.name)) {
                    pod.gate = *ready;
                }
            }
            Act::Tidy { pod } => cluster.remove(names::number(&pod.name)),
            // Pods have no machines here: nothing is pulled.
            Act::Pull { .. } | Act::ReleaseLease(_) | Act::Stop(_) => {}
            Act::Validate { pod, .. } => {
                let (kind, attempt) = names::check_of(pod);
                cluster.make_check(kind, attempt);
            }
            Act::EndOneshot { pod } => {
                let (kind, attempt) = names::check_of(&pod.name);
                cluster.end_check(kind, attempt);
            }
        }
    }

    /// The API server accepts the delete.
    pub fn stop(&mut self, permit: &Permit) {
        let cluster = &mut self.cluster;
        cluster.policy.stops();
        if permit.active() {
            // Of the others the memory knows.
            cluster.exits_were_before(|pod| !pod.seen() && pod.changed);
        }
        let successor = permit.successor().map(|to| names::number(&to.name));
        if let Some(to) = successor.and_then(|no| cluster.pod(no)) {
            cluster.handed |= 1 << to.kind;
        }
        if let Some(pod) = cluster.pod_mut(names::number(&permit.pod().name)) {
            pod.deleted = true;
            pod.stopped = true;
            pod.stopped_as_active = permit.active();
        }
    }

    /// The operator has looked, and noted what takes no memory of its own.
    pub fn looked(mut self, thought: &Thought) -> Self {
        self.cluster = thought.cluster;
        self
    }

    /// What comes of an event that is not the operator's.
    pub fn after(&self, event: Event) -> Self {
        let mut state = *self;
        state.cluster.happens(event);
        if matches!(
            event,
            Event::Seconds | Event::HalfMinute | Event::TenMinutes
        ) {
            state.cluster.policy.time_passes();
        }
        match event {
            Event::Seconds => state.mind.ages(Ago::Seconds),
            Event::HalfMinute => state.mind.ages(Ago::HalfMinute),
            Event::TenMinutes => state.mind.ages(Ago::TenMinutes),
            _ => {}
        }
        state.simplify();
        state
    }

    /// The operator is started anew: what it had heard from pods before is gone.
    pub fn restarted(mut self) -> Self {
        self.cluster.budget.crashes -= 1;
        self.cluster.deaf = !self.cluster.pods().is_empty();
        self.cluster.policy.is_forgotten();
        self.cluster.lease.is_forgotten();
        for pod in self.cluster.pods_mut() {
            if !pod.seen() {
                pod.sight = Sight::Dim;
                pod.contact = NEVER;
            }
        }
        self.simplify();
        self
    }

    /// Pods get their numbers in order, all that are gone become one, takeovers are counted anew:
    /// states that differ in nothing else become equal.
    pub fn simplify(&mut self) {
        let mut known: Vec<u8> = self.cluster.pods().iter().map(|pod| pod.no).collect();
        known.extend(self.mind.creating.map(|(no, ..)| no));
        known.sort_unstable();
        known.dedup();
        let new = |no: u8| {
            let place = known.iter().position(|known| *known == no);
            place.map_or(0, |place| u8::try_from(place + 1).unwrap())
        };
        let mut takeovers: Vec<u8> = self
            .cluster
            .pods()
            .iter()
            .map(|pod| pod.took)
            .filter(|took| *took > 0)
            .collect();
        takeovers.sort_unstable();
        takeovers.dedup();
        let count = |upto: u8| {
            u8::try_from(takeovers.iter().filter(|took| **took <= upto).count()).unwrap()
        };
        for pod in self.cluster.pods_mut() {
            pod.no = new(pod.no);
            pod.took = count(pod.took);
            if !pod.seen() && pod.contact != NEVER {
                pod.contact = count(pod.contact);
            }
        }
        self.cluster.policy.renumber(new);
        self.cluster.lease.renumber(new);
        self.mind.renumber(new);
    }

    /// 64 bits are enough to tell some millions of states apart.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Mixer(0);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// A quick hash for small values.
#[derive(Clone, Copy, Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }
}

/// For sets and maps of fingerprints.
#[derive(Clone, Copy, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are kept");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub type Prints = std::collections::HashSet<u64, std::hash::BuildHasherDefault<AsItIs>>;
