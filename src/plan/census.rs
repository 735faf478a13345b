//! Who is who in one look: the active, the standbys, the suspects, and who can't be told.

use std::time::Duration;

use jiff::Timestamp;

use super::database::{Evidence, migrated_by, of_active};
use super::guard::{Rule, Rules};
use super::{BOOT, FRESH, LOST, NO_BOOT, NOT_RESTARTED, RESCUE};
use crate::api::Memory;
use crate::node::NodeVersion;
use crate::node::lock::LEASE_DURATION;
use crate::observe::{Answered, Claim, Container, Observation, Pod, PodId, Verified, Wanted};

/// Every pod of one look in its part. A pod is in one part only.
#[derive(Debug)]
pub struct Census<'a> {
    /// The newest taker of the lock; stopped on purpose or not, it counts until its container ends.
    pub active: Option<&'a Pod>,
    /// Several takers, and neither a record nor the database says who came last: nothing may be stopped.
    pub order_unknown: bool,
    /// Took the lock before the active did, and still runs.
    pub suspects: Vec<&'a Pod>,
    /// Took a lock without having waited while an active of ours was at work: another database (S9).
    pub foreign: Vec<&'a Pod>,
    /// Wait for the lock; not deleted. Lost ones are not among them.
    pub waiting: Vec<&'a Pod>,
    /// Made, and neither waiting nor active yet; not deleted.
    pub starting: Vec<&'a Pod>,
    /// Ended and to be restarted by the kubelet; not deleted.
    pub down: Vec<&'a Pod>,
    /// Started, but not heard of for [`LOST`], or not started again; not deleted.
    pub lost: Vec<&'a Pod>,
    /// Deleted, and not over.
    pub stopping: Vec<&'a Pod>,
    /// The version that migrated the database last, where the database was asked.
    pub(super) migrated_by: Option<&'a NodeVersion>,
    /// How long the lock may stay free after the end of an active: the lease of its pods and [`RESCUE`].
    pub(super) rescue: Duration,
    /// What other resources have on the same database (rule S7).
    pub(super) claims: &'a [Claim],
    /// What the database itself has said.
    pub(super) verified: &'a Verified,
    now: Timestamp,
    all: &'a [Pod],
}

/// `now - age`, for comparisons with a time of contact.
pub(super) fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}

impl<'a> Census<'a> {
    /// Sorts the pods of one look.
    pub fn take(seen: &'a Observation, memory: &Memory, now: Timestamp) -> Self {
        Self::take_under(seen, memory, now, Rules::all())
    }

    pub(super) fn take_under(
        seen: &'a Observation,
        memory: &Memory,
        now: Timestamp,
        rules: Rules,
    ) -> Self {
        let takers: Vec<&Pod> = seen
            .pods
            .iter()
            .filter(|pod| pod.running() && pod.took.is_some())
            .collect();
        let named = named(seen, &takers);
        let differs = memory.database_differs.as_ref();
        let differs = differs.is_some_and(|known| known.generation == seen.intent.generation)
            && !is_new(seen, memory);
        let database = |pod: &Pod| {
            if named == Some(&pod.id) {
                Database::Ours
            } else if rules.on(Rule::SameDatabase) {
                database(pod, &takers, memory, differs, rescue(seen, memory), now)
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
        let mut census = Self {
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
            rescue: rescue(seen, memory),
            claims: &seen.claims,
            verified: &seen.database,
            now,
            all: &seen.pods,
        };
        // Kubernetes notices the loss of a machine only after 40 to 50 s, and puts pods there until then. One is
        // enough to tell: where only its pods are silent, more of them would follow.
        let mut silent: Vec<&str> = Vec::new();
        for pod in seen
            .pods
            .iter()
            .filter(|pod| pod.running() && census.unheard(pod))
        {
            silent.extend(pod.machine.as_deref());
        }
        for pod in &seen.pods {
            let machine = pod.machine.as_deref().filter(|_| !pod.deleted);
            let stays_away = matches!(pod.container, Container::NotStarted { .. });
            let on_silent = machine.filter(|machine| stays_away && silent.contains(machine));
            if let Some(machine) = on_silent.filter(|_| pod.created <= before(now, LOST)) {
                silent.retain(|other| *other != machine);
                census.lost.push(pod);
            } else {
                census.place(pod, memory);
            }
        }
        census
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
                let stopped_as_active = memory
                    .stopping
                    .as_ref()
                    .filter(|stop| stop.uid == pod.id.uid)
                    .map(|stop| stop.active);
                let unreachable = self.unheard(pod);
                match stopped_as_active {
                    // A suspect had been succeeded before it was stopped.
                    Some(false) => unreachable,
                    Some(true) => succeeded,
                    None => succeeded || (pod.took.is_none() && unreachable),
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
        let booted = pod.worked_at.is_some() || (pod.served.is_none() && took);
        pod.served_since(fresh) || (runs && booted)
    }

    /// Whether the active holds the lock and has not served yet: it boots, dumps or migrates the database. One that
    /// refuses for [`NO_BOOT`] does not boot any more: nodes are known that work on without a server (their port was
    /// taken; measured). Of one that has not been heard of for [`LOST`] nothing is known.
    pub fn boots(&self, active: &Pod, memory: &Memory) -> bool {
        if self.unheard(active)
            || memory.knows_as_active(&active.id.uid)
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

    pub fn pods(&self) -> &'a [Pod] {
        self.all
    }
}

/// The pod that the database itself names as the holder, where several have taken a lock: asked after the last of
/// them did, on a server that takes writes. Those that took a lock before it have to be known to be on that
/// database: behind another URL the newer pod would be the holder, too (rule S9).
fn named<'a>(seen: &Observation, takers: &[&'a Pod]) -> Option<&'a PodId> {
    let word = seen.database.word.as_ref()?;
    let took = |pod: &Pod| pod.took.map(|took| took.at);
    let last = takers.iter().filter_map(|pod| took(pod)).max();
    if takers.len() < 2 || Some(word.at) <= last {
        return None;
    }
    let holder = takers
        .iter()
        .find(|pod| of_active(&seen.database, pod) == Evidence::Agrees)?;
    let known = takers
        .iter()
        .filter(|pod| pod.id != holder.id && took(pod) <= took(holder))
        .all(|pod| word.held.contains(&pod.id));
    known.then_some(&holder.id)
}

/// [`RESCUE`], or the longest lease of a pod, or of the last active, and as much beyond it.
fn rescue(seen: &Observation, memory: &Memory) -> Duration {
    let last = memory.last_active.as_ref();
    let gone = last.and_then(|last| seen.revisions.get(&last.revision)?.lease);
    let leases = seen
        .pods
        .iter()
        .filter_map(|pod| pod.revision.as_ref()?.lease)
        .chain(gone);
    let beyond = RESCUE.saturating_sub(LEASE_DURATION);
    leases
        .map(|lease| lease + beyond)
        .fold(RESCUE, Duration::max)
}

/// Whether the spec asks for another revision than at the last look: what was known of its database is of no use.
fn is_new(seen: &Observation, memory: &Memory) -> bool {
    let Wanted::Revision(wanted) = &seen.intent.wanted else {
        return false;
    };
    let known = memory.wanted.as_ref();
    known.is_none_or(|known| known.name != wanted.name)
}

/// Which database a taker's lock is on, as far as can be told (rule S9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    Ours,
    Another,
    InDoubt,
}

/// A pod that takes a lock without having waited, while an older taker is seen at work after it, sits
/// on another database. So does, once such a pod was seen, one that has waited: it may have waited there.
///
/// Assumed is that the older one is where we want to be: that it kept its lock, and did not move. An active that was
/// started again behind a changed Secret, and answers before a pod that had taken the lock on the first database, is
/// taken for right, and that other one is stopped. Without a word from the database the two can't be told apart (the
/// model's walk of a Secret that changes while pods end, which is marked as known).
fn database(
    pod: &Pod,
    takers: &[&Pod],
    memory: &Memory,
    differs: bool,
    rescue: Duration,
    now: Timestamp,
) -> Database {
    let Some(took) = pod.took else {
        return Database::Ours;
    };
    if took.waited != Some(false) && !differs {
        return Database::Ours;
    }
    // One that says itself that it can't refresh its lease is cut off from the database: that it goes on answering says
    // nothing of the other.
    let lately_lost = before(took.at, rescue + LOST);
    let cut_off = |older: &Pod| older.lost_lease_at.is_some_and(|at| at >= lately_lost);
    let mut older = takers.iter().filter(|older| {
        older.id != pod.id
            && !older.deleted
            && !cut_off(older)
            && older.took.is_some_and(|first| first.at < took.at)
    });
    let accepted = memory.knows_as_active(&pod.id.uid);
    // An active that lost its lease while the database was away goes on answering until it is told:
    // only one that has outlived the lease works elsewhere.
    let outlived = took.at.checked_add(rescue).unwrap_or(Timestamp::MAX);
    // Where no port is in sight, that its kubelet answers for its container has to do: an active that is deposed ends.
    let at_work = |older: &Pod, since: Timestamp| {
        let unseen = older
            .contact
            .is_some_and(|contact| contact.answer == Answered::Kubelet);
        older.served_since(since) || (unseen && older.answered_since(since))
    };
    let works = |older: &Pod| at_work(older, before(now, FRESH));
    if !accepted
        && older
            .clone()
            .any(|older| at_work(older, outlived) && works(older))
    {
        return Database::Another;
    }
    // Active while the older one could not be seen, which is back now: either that one is cut off from
    // the database, or this one sits on another. Or the older one has not answered since: it soon does,
    // or has not for too long.
    let lately = |older: &Pod| at_work(older, took.at) && !older.silent_since(before(now, LOST));
    // An operator that has just started has not heard of the older one yet (rule S8).
    let awaited = |older: &Pod| older.contact.is_none() && !older.silent_since(before(now, LOST));
    if older.any(|older| lately(older) || (!accepted && (works(older) || awaited(older)))) {
        return Database::InDoubt;
    }
    Database::Ours
}
