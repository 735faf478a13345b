//! What a rule may look at, and the questions to it that more than one rule asks. Only here stands an `impl View`:
//! what is decided stands in free functions, so that the compiler and `use` show who calls whom.

use std::ops::Deref;

use jiff::Timestamp;

use super::given::Given;
use super::limits::{BOOT, LOST, NO_BOOT, REFUSAL, before};
use super::roles::Roles;
use super::safety::{Rule, Rules};
use super::standing::Failure;
use crate::api::{Creation, Memory, Stop};
use crate::domain::{Answered, Observation, Pod, Refused, Revision, Wanted};

/// One look whose pods are sorted, before the memory is brought up to date by it.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub seen: &'a Observation,
    pub roles: &'a Roles<'a>,
    /// The memory of before this look.
    pub before: &'a Memory,
    pub now: Timestamp,
    pub rules: Rules,
}

impl<'a> Look<'a> {
    pub fn of(given: Given<'a>, roles: &'a Roles<'a>) -> Self {
        Self {
            seen: given.seen,
            roles,
            before: given.memory,
            now: given.now,
            rules: given.rules,
        }
    }

    /// What the API server said when a pod of this revision was to be made last, where it made none.
    pub fn refused(&self, revision: &Revision) -> Option<&'a Refused> {
        let refused = self.seen.refused_creations.get(&revision.name)?;
        (refused.again > before(self.now, REFUSAL)).then_some(refused)
    }

    /// The same for a pod that is no node, by its name.
    pub fn refused_oneshot(&self, pod: &str) -> Option<&'a Refused> {
        let refused = self.seen.refused_oneshots.get(pod)?;
        (refused.again > before(self.now, REFUSAL)).then_some(refused)
    }

    /// Whether it is too early to ask for such a pod again.
    pub fn is_too_early_for(&self, pod: &str) -> bool {
        let refused = self.refused_oneshot(pod);
        refused.is_some_and(|refused| self.now < refused.again)
    }

    /// The pod that is intended and that no look has shown: it may come to be yet, unless the API server has said that it
    /// makes none.
    pub fn may_come<'m>(&self, memory: &'m Memory) -> Option<&'m Creation> {
        let creating = memory.creating.as_ref()?;
        let known = self.seen.refused_creations.get(&creating.revision);
        let refused = known.is_some_and(|known| known.pod == creating.pod && !known.perhaps);
        (!refused).then_some(creating)
    }
}

/// Everything that a rule may look at when it decides: a look, and the memory that it has been brought up to date by.
pub struct View<'a> {
    pub look: Look<'a>,
    pub memory: &'a Memory,
    /// The pods that count as one of `replicas`.
    pub live: Vec<&'a Pod>,
}

/// What is in a look is in the view of it.
impl<'a> Deref for View<'a> {
    type Target = Look<'a>;

    fn deref(&self) -> &Look<'a> {
        &self.look
    }
}

/// The pods that count as one of `replicas`.
fn counted<'a>(roles: &Roles<'a>) -> Vec<&'a Pod> {
    let lost = |pod: &Pod| roles.is_active(pod) && roles.unheard(pod);
    roles
        .live()
        .into_iter()
        .filter(|pod| !roles.is_suspect(pod) && !lost(pod))
        .collect()
}

impl<'a> View<'a> {
    pub fn of(look: Look<'a>, memory: &'a Memory) -> Self {
        Self {
            look,
            memory,
            live: counted(look.roles),
        }
    }

    /// The active, whether or not it can be seen, unless it was asked to go.
    pub fn active(&self) -> Option<&'a Pod> {
        self.roles.active.filter(|active| !active.deleted)
    }

    /// The wanted revision, where there is one that can be had.
    pub fn wanted(&self) -> Option<&'a Revision> {
        match &self.seen.intent.wanted {
            Wanted::Revision(wanted) => Some(wanted),
            Wanted::Unusable(_) => None,
        }
    }

    /// The last revision that worked, where it is still kept.
    pub fn last_worked(&self) -> Option<&'a Revision> {
        self.memory
            .last_worked
            .as_ref()
            .and_then(|name| self.seen.revisions.get(name))
    }

    /// How the handover to the wanted revision has failed, where it has.
    pub fn failure(&self) -> Option<Failure<'a>> {
        let wanted = self.memory.wanted.as_ref()?;
        let failure = Failure::of(self.memory, &wanted.name);
        failure.filter(|_| self.rules.on(Rule::NotFailed))
    }

    /// The handover to the wanted revision has failed: it is not tried again.
    pub fn has_failed(&self) -> bool {
        self.failure().is_some()
    }

    /// Whether the active holds the lock and has not served yet: it boots, dumps or migrates the database. One that
    /// refuses for [`NO_BOOT`] does not boot any more: nodes are known that work on without a server (their port was
    /// taken; measured). Of one that has not been heard of for [`LOST`] nothing is known.
    pub fn boots(&self, active: &Pod) -> bool {
        if self.roles.unheard(active)
            || self.memory.knows_as_active(&active.id.uid)
            || active.worked_at.is_some()
        {
            return false;
        }
        let took = |age| {
            active
                .took
                .is_some_and(|took| took.at > before(self.now, age))
        };
        match active.contact.map(|contact| contact.answer) {
            Some(Answered::Starting) => true,
            Some(Answered::Refused) => took(NO_BOOT),
            Some(Answered::Kubelet) | None => took(BOOT),
            Some(Answered::Serving) => false,
        }
    }

    /// The stop of the active that is under way, or over for less time than a takeover needs.
    pub fn recent_stop_of_active(&self) -> Option<&'a Stop> {
        let stop = self.memory.stop_of_active()?;
        (stop.at > before(self.now, self.roles.rescue)).then_some(stop)
    }

    /// The active was stopped for a standby that waits, and the lock is free for it. A pod made now tries
    /// for the lock as soon as it starts, and may come before the next try of the standby that was chosen.
    pub fn successor_is_taking_over(&self) -> bool {
        let Some(stop) = self.recent_stop_of_active() else {
            return false;
        };
        let waits = |name: &String| {
            let waiting = &self.roles.waiting;
            waiting.iter().any(|pod| pod.id.name == *name)
        };
        let holder = self.roles.active.filter(|pod| pod.id.uid != stop.uid);
        holder.is_none() && !self.has_failed() && stop.successor.as_ref().is_some_and(waits)
    }

    /// A pod that took a lock so short a time ago that who is active soon shows by itself.
    pub fn took_lately(&self) -> Option<&Pod> {
        let soon = before(self.now, LOST + self.roles.rescue);
        let took = |pod: &&Pod| pod.took.is_some_and(|took| took.at > soon);
        self.seen.pods.iter().find(took)
    }

    /// When something has last got on: what has to be waited for since then takes its time.
    pub fn last_progress(&self) -> Timestamp {
        let memory = self.memory;
        [
            memory.wanted.as_ref().map(|wanted| wanted.since),
            memory.stopping.as_ref().map(|stop| stop.at),
            memory.last_active.as_ref().and_then(|last| last.ended),
            self.seen.pods.iter().map(|pod| pod.created).max(),
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(self.now)
    }

    /// Pods come up one at a time.
    pub fn one_at_a_time(&self) -> bool {
        self.roles.starting.is_empty()
    }

    /// One that may be lost, which shows in a moment. An operator that has just started counts it, and would find no room
    /// for what was made in its place (rule S8).
    pub fn not_heard_yet(&self) -> Option<&'a Pod> {
        let unheard = |pod: &&Pod| {
            let running = pod.running() && !pod.deleted;
            running && pod.contact.is_none() && !self.roles.unheard(pod)
        };
        self.seen.pods.iter().find(unheard)
    }
}
