//! Who is who in one look: the active, the standbys, the suspects, and who can't be told. It says what is, and decides
//! nothing.

mod takers;

use std::time::Duration;

use jiff::Timestamp;

use self::takers::Database;
use super::cause::Denied;
use super::doubts;
use super::evidence::migrated_by;
use super::given::Given;
use super::limits::{BOOT, FRESH, LOST, NOT_RESTARTED, REFUSES, SUSPECTED, before};
use super::safety::{Rule, Rules};
use crate::api::Memory;
use crate::domain::{Answered, Claim, Container, DatabaseView, Observation, Pod};
use crate::node::NodeVersion;

/// Every pod of one look in its part. A pod is in one part only; but one that is deleted, and not over, is in `stopping` as
/// well.
#[derive(Debug)]
pub struct Roles<'a> {
    /// The newest taker of the lock; stopped on purpose or not, it counts until its container ends.
    pub active: Option<&'a Pod>,
    /// Several takers, and neither a record nor the database says who came last: nothing may be stopped.
    pub order_unknown: bool,
    /// Took the lock before the active did, and still runs; every taker, where their order is unknown.
    pub suspects: Vec<&'a Pod>,
    /// Took a lock without having waited while an active of ours was at work: another database (S9).
    pub foreign: Vec<&'a Pod>,
    /// Wait for the lock; not deleted. Lost ones are not among them.
    pub waiting: Vec<&'a Pod>,
    /// Made, and neither waiting nor active yet; not deleted.
    pub starting: Vec<&'a Pod>,
    /// Ended and to be restarted by the kubelet; not deleted.
    pub down: Vec<&'a Pod>,
    /// Not heard of for [`LOST`], not started again, or on a machine that does not report; not deleted.
    pub lost: Vec<&'a Pod>,
    /// Deleted, and not over.
    pub stopping: Vec<&'a Pod>,
    /// The version that migrated the database last, where the database was asked.
    pub migrated_by: Option<&'a NodeVersion>,
    /// How long the lock may stay free after the end of an active: the lease of its pods and [`RESCUE`](super::RESCUE).
    pub rescue: Duration,
    /// What other resources have on the same database (rule S7).
    pub claims: &'a [Claim],
    /// What the database itself has said.
    pub database: &'a DatabaseView,
    now: Timestamp,
    all: &'a [Pod],
}

/// What a deleted pod was to the operator when it stopped it.
enum StoppedAs {
    Active,
    /// A standby, or a suspect.
    Other,
    /// The stop that the memory knows is not this pod's: somebody else deleted it, or it was stopped before that one.
    Unknown,
}

impl StoppedAs {
    fn of(pod: &Pod, memory: &Memory) -> Self {
        match &memory.stopping {
            Some(stop) if stop.uid == pod.id.uid && stop.active => Self::Active,
            Some(stop) if stop.uid == pod.id.uid => Self::Other,
            Some(_) | None => Self::Unknown,
        }
    }
}

impl<'a> Roles<'a> {
    /// Sorts the pods of one look.
    pub fn take(seen: &'a Observation, memory: &'a Memory, now: Timestamp) -> Self {
        Self::of(Given {
            seen,
            memory,
            now,
            rules: Rules::all(),
        })
    }

    /// Sorts the pods of what is given.
    pub fn of(given: Given<'a>) -> Self {
        let Given {
            seen,
            memory,
            now,
            rules,
        } = given;
        let takers: Vec<&Pod> = seen
            .pods
            .iter()
            .filter(|pod| pod.running() && pod.took.is_some())
            .collect();
        let named = takers::named(seen, &takers);
        let differs = memory.database_differs.as_ref();
        let differs = differs.is_some_and(|known| known.at > before(now, SUSPECTED))
            && !takers::is_new(given);
        let database = |pod: &Pod| {
            if named == Some(&pod.id) {
                Database::Ours
            } else if rules.on(Rule::SameDatabase) {
                takers::database(pod, &takers, differs, given)
            } else {
                Database::Ours
            }
        };
        let foreign: Vec<&Pod> = takers
            .iter()
            .copied()
            .filter(|pod| database(pod) == Database::Another)
            .collect();
        let in_doubt = takers.iter().any(|pod| database(pod) == Database::InDoubt);
        let mut ours: Vec<&Pod> = takers
            .iter()
            .copied()
            .filter(|pod| !foreign.iter().any(|other| other.id == pod.id))
            .collect();
        ours.sort_by_key(|pod| (named == Some(&pod.id), pod.took.map(|took| took.at)));
        let order_unknown = named.is_none()
            && (in_doubt
                || match ours.as_slice() {
                    [.., second, last] => {
                        second.took.map(|took| took.at) == last.took.map(|took| took.at)
                            || last.took.is_some_and(|took| took.waited.is_none())
                    }
                    _ => false,
                });
        let active = if order_unknown { None } else { ours.pop() };
        let mut roles = Self {
            active,
            order_unknown,
            suspects: ours,
            foreign,
            waiting: Vec::new(),
            starting: Vec::new(),
            down: Vec::new(),
            lost: Vec::new(),
            stopping: Vec::new(),
            migrated_by: migrated_by(&seen.database),
            rescue: takers::rescue(given),
            claims: &seen.claims,
            database: &seen.database,
            now,
            all: &seen.pods,
        };
        // Kubernetes notices the loss of a machine only after 40 to 50 s, and puts pods there until then. One is
        // enough to tell: where only its pods are silent, more of them would follow.
        let mut silent: Vec<&str> = Vec::new();
        for pod in seen
            .pods
            .iter()
            .filter(|pod| pod.running() && roles.unheard(pod))
        {
            silent.extend(pod.machine.as_deref());
        }
        for pod in &seen.pods {
            let machine = pod.machine.as_deref().filter(|_| !pod.deleted);
            let stays_away = matches!(pod.container, Container::NotStarted { .. });
            let on_silent = machine.filter(|machine| stays_away && silent.contains(machine));
            if let Some(machine) = on_silent.filter(|_| pod.created <= before(now, LOST)) {
                silent.retain(|other| *other != machine);
                roles.lost.push(pod);
            } else {
                roles.place(pod, memory);
            }
        }
        roles
    }

    fn place(&mut self, pod: &'a Pod, memory: &Memory) {
        if pod.ended() {
            return;
        }
        if pod.deleted {
            if !self.over(pod, memory) {
                self.stopping.push(pod);
            }
            return;
        }
        if self.holds(pod) {
            return;
        }
        match &pod.container {
            Container::Running { since, .. }
                if pod.silent_since(before(self.now, LOST)) && *since < before(self.now, LOST) =>
            {
                self.lost.push(pod);
            }
            Container::NotStarted { .. }
                if pod.stranded && pod.created <= before(self.now, LOST) =>
            {
                self.lost.push(pod);
            }
            Container::Running { .. } if pod.waits() => self.waiting.push(pod),
            Container::Running { .. } | Container::NotStarted { .. } => self.starting.push(pod),
            Container::Down { exit, .. }
                if exit
                    .at
                    .is_some_and(|at| at <= before(self.now, NOT_RESTARTED)) =>
            {
                self.lost.push(pod);
            }
            Container::Down { .. } => self.down.push(pod),
            Container::Ended { .. } => {}
        }
    }

    /// Whether the stop of a deleted pod is over: its container ended, another pod took the lock
    /// after it, or it was a standby whose machine can't be reached (rule S2).
    fn over(&self, pod: &Pod, memory: &Memory) -> bool {
        match &pod.container {
            Container::Ended { .. } | Container::Down { .. } => true,
            // It ends as soon as its machine hears of it, which a lost machine never does.
            Container::NotStarted { .. } => memory
                .stopping
                .as_ref()
                .is_none_or(|stop| stop.uid != pod.id.uid || stop.at <= before(self.now, LOST)),
            Container::Running { .. } => {
                let succeeded = pod.took.is_some_and(|took| {
                    self.active.is_some_and(|active| {
                        active.id != pod.id && active.took.is_some_and(|newer| newer.at > took.at)
                    })
                });
                let unreachable = self.unheard(pod);
                match StoppedAs::of(pod, memory) {
                    // A suspect had been succeeded before it was stopped.
                    StoppedAs::Other => unreachable,
                    StoppedAs::Active => succeeded,
                    StoppedAs::Unknown => succeeded || (pod.took.is_none() && unreachable),
                }
            }
        }
    }

    /// Whether the pod has taken a lock and still runs.
    pub fn holds(&self, pod: &Pod) -> bool {
        pod.running() && pod.took.is_some()
    }

    pub fn is_active(&self, pod: &Pod) -> bool {
        self.active.is_some_and(|active| active.id == pod.id)
    }

    pub fn is_suspect(&self, pod: &Pod) -> bool {
        self.suspects.iter().any(|other| other.id == pod.id)
    }

    pub fn is_foreign(&self, pod: &Pod) -> bool {
        self.foreign.iter().any(|other| other.id == pod.id)
    }

    /// Whether a pod has not answered for [`LOST`].
    pub fn unheard(&self, pod: &Pod) -> bool {
        pod.silent_since(before(self.now, LOST))
    }

    /// Whether nothing has answered on the pod's port for [`REFUSES`], as far as this operator has watched it.
    pub fn refuses_for_long(&self, pod: &Pod) -> bool {
        let long_ago = before(self.now, REFUSES);
        let answered = pod.http_at.max(pod.watched);
        answered.is_none_or(|answered| answered <= long_ago)
    }

    /// Whether the API server has accepted the deletion of the pod with this uid.
    pub fn accepted(&self, uid: &str) -> bool {
        self.all
            .iter()
            .find(|pod| pod.id.uid == uid)
            .is_none_or(|pod| pod.deleted)
    }

    /// The active, if it answered a moment ago and nobody asked it to go.
    pub fn active_at_work(&self) -> Option<&'a Pod> {
        self.active
            .filter(|active| !active.deleted && active.answered_since(before(self.now, FRESH)))
    }

    /// Whether a pod that has the lock works as a node: its own server answers. Where its port is silent, its
    /// kubelet has to answer for it, and its log to have told that it is up, or the time of a boot to be over.
    pub fn works(&self, pod: &Pod) -> bool {
        let fresh = before(self.now, FRESH);
        let runs = pod
            .contact
            .is_some_and(|contact| contact.at >= fresh && contact.answer == Answered::Kubelet);
        let took = pod
            .took
            .is_some_and(|took| took.at <= before(self.now, BOOT));
        let booted = pod.worked_at.is_some() || (pod.http_at.is_none() && took);
        pod.served_since(fresh) || (runs && booted)
    }

    /// Pods that count: not deleted, not ended, not foreign, not lost.
    pub fn live(&self) -> Vec<&'a Pod> {
        let active = self.active.filter(|active| !active.deleted);
        let suspects = self.suspects.iter().filter(|pod| !pod.deleted);
        active
            .into_iter()
            .chain(suspects.copied())
            .chain(self.waiting.iter().copied())
            .chain(self.starting.iter().copied())
            .chain(self.down.iter().copied())
            .collect()
    }

    /// Pods beside the active that count.
    pub fn others(&self) -> Vec<&'a Pod> {
        self.live()
            .into_iter()
            .filter(|pod| !self.is_active(pod))
            .collect()
    }

    /// What is known against a pod that waits.
    pub fn against(&self, pod: &Pod) -> Result<(), Denied> {
        doubts::against(self.database, self.active, pod)
    }

    /// The pods that wait and could take over, as far as is known: the redundancy that there is.
    pub fn standbys(&self) -> impl Iterator<Item = &'a Pod> {
        let waiting = self.waiting.iter().copied();
        waiting.filter(|pod| self.against(pod).is_ok())
    }

    /// Whether the pod is one of [`Self::standbys`].
    pub fn could_take_over(&self, pod: &Pod) -> bool {
        self.standbys().any(|standby| standby.id == pod.id)
    }

    pub fn pods(&self) -> &'a [Pod] {
        self.all
    }
}
