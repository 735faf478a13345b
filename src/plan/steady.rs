//! All pods are of one revision: as many as wanted, no more, and who of them works.

use super::UNRESPONSIVE;
use super::census::before;
use super::database::{Evidence, of_active, of_outside};
use super::guard::{self, Cause};
use super::moves::{Board, Decided};
use super::relocate::is_preferred;
use super::situation::{Blocked, Situation, Step};
use crate::api::FailedHow;
use crate::node::LockMode;
use crate::observe::{Answered, Pod, Revision};

impl<'a> Board<'a> {
    /// All pods are of the wanted revision: as many as wanted, no more.
    pub(super) fn keep(&self, target: &Revision) -> Decided {
        let replicas = self.seen.intent.replicas;
        let stop = self.stop_of_active();
        if self.live.len() < replicas {
            if self.one_at_a_time() {
                return self.make(target, Step::Restoring);
            }
            return self.restoring(target);
        }
        if !self.seen.intent.wishes.paused
            && let Some(decided) = self.replace_leaving(target)
        {
            return decided;
        }
        if self.live.len() > replicas {
            return self.trim();
        }
        if stop.is_some() && self.active().is_none() {
            return Decided::nothing(Situation::at(Step::AwaitingTakeover));
        }
        let all_wait = self.live.iter().all(|pod| pod.waits());
        if all_wait && self.census.active.is_none() && self.census.suspects.is_empty() {
            if self.just_lost_active() {
                return Decided::nothing(Situation::at(Step::AwaitingTakeover));
            }
            if let Some(blocked) = self.lock_is_left_behind() {
                return Decided::nothing(Situation::at(Step::AwaitingTakeover).blocked(blocked));
            }
            return self.external();
        }
        if self.active().is_none()
            || self
                .live
                .iter()
                .any(|pod| !pod.waits() && !self.census.is_active(pod))
        {
            return self.restoring(target);
        }
        if let Some(active) = self.active().filter(|active| self.boots(active)) {
            return Decided::nothing(Situation::at(Step::Booting).about(&active.id.name));
        }
        if let Some(suspect) = self.census.suspects.first() {
            return self.held(guard::suspect(suspect));
        }
        if let Some(blocked) = self.active().and_then(|active| self.does_not_serve(active)) {
            return Decided::nothing(Situation::at(Step::Holding).blocked(blocked));
        }
        Decided::nothing(Situation::at(Step::Steady))
    }

    /// Whether the active holds the lock and has not served yet: it boots, dumps or migrates the database.
    pub(super) fn boots(&self, active: &Pod) -> bool {
        self.census.boots(active, self.memory)
    }

    /// What is wrong with an active that holds the lock as far as is known, and does not answer; or is another version
    /// than it was made for.
    fn does_not_serve(&self, active: &Pod) -> Option<Blocked> {
        let name = &active.id.name;
        let answer = active.contact.map(|contact| contact.answer);
        let long = self.last_progress() <= before(self.now, self.seen.intent.standby_timeout);
        // A lease is taken over from who does not refresh it; an advisory lock lasts as long as its connection.
        let keeps = active.revision.as_ref().is_some_and(|revision| {
            LockMode::of(&revision.lock).is_some_and(|mode| mode != LockMode::Lease)
        });
        let served = active.served;
        let silent = served.is_some_and(|served| served <= before(self.now, UNRESPONSIVE));
        let (reason, message, stalled) = if self.census.unheard(active) {
            (
                "ActiveNotSeen",
                format!(
                    "{name} holds the lock as far as is known, and neither it nor its machine answers"
                ),
                keeps || long,
            )
        } else if answer == Some(Answered::Kubelet) && silent {
            (
                "ActiveUnresponsive",
                format!(
                    "{name} holds the lock and its container runs, but its port does not answer any more"
                ),
                keeps || long,
            )
        } else if answer == Some(Answered::Refused) {
            (
                "ActiveRefuses",
                format!("{name} holds the lock, and nothing listens on its port: read its log"),
                true,
            )
        } else {
            let said = active.contradicting_version.as_ref()?;
            (
                "VersionDiffers",
                format!(
                    "{name} says that it is version {said}: set spec.version to what the image holds"
                ),
                true,
            )
        };
        let way = if keeps && reason != "VersionDiffers" {
            ". Its lock is free only once its connection to the database has ended: delete the pod where its machine answers, end its session (pg_terminate_backend) where it does not"
        } else {
            ""
        };
        Some(Blocked {
            reason: reason.to_owned(),
            message: format!("{message}{way}"),
            stalled,
        })
    }

    /// A pod that looks as if it still waited, and of which the database says that it has the lock: before 2.15 a node
    /// may dump and migrate without a server, and from 2.2 on without a line.
    pub(super) fn silent_taker(&self) -> Option<&'a Pod> {
        let verified = &self.seen.database;
        let asked = verified.word.as_ref()?.at;
        let stop = self.memory.stopping.as_ref().map(|stop| stop.at);
        let ended = self.memory.last_active.as_ref().and_then(|last| last.ended);
        let since = stop.max(ended)?;
        if self.census.active.is_some() || self.census.order_unknown || asked <= since {
            return None;
        }
        let holds = |pod: &&&Pod| of_active(verified, pod) == Evidence::Agrees;
        self.census.waiting.iter().find(holds).copied()
    }

    /// Whether an active of ours ended so short a time ago that its lease may still be there.
    pub(super) fn just_lost_active(&self) -> bool {
        self.memory
            .last_active
            .as_ref()
            .and_then(|last| last.ended)
            .is_some_and(|ended| ended > before(self.now, 2 * self.census.rescue))
    }

    /// An active of ours has ended and no pod has taken its lock. A lease would have run out, so that somebody outside has
    /// it; an advisory lock may still be that of its connection, which nobody but the database can tell.
    fn lock_is_left_behind(&self) -> Option<Blocked> {
        let last = self.memory.last_active.as_ref()?;
        let ended = last.ended?;
        let revision = self.live.first()?.revision.as_ref()?;
        let mode = LockMode::of(&revision.lock)?;
        (mode != LockMode::Lease).then(|| Blocked {
            reason: "LockNotTaken".to_owned(),
            message: format!(
                "{} ended at {ended}, and no pod has taken the lock since: with {mode} the database keeps it for as long as it takes that connection to live. End its session (pg_terminate_backend), unless a node outside has the lock",
                last.pod
            ),
            stalled: true,
        })
    }

    /// Somebody outside holds the lock, unless the waiting lines lie.
    pub(super) fn external(&self) -> Decided {
        let mut situation = Situation::at(Step::External);
        situation.blocked = self.live.iter().find_map(|pod| {
            guard::doubtful(pod).err().map(|denied| Blocked {
                reason: denied.reason.to_owned(),
                message: denied.message,
                stalled: true,
            })
        });
        if let Evidence::Contradicts(message) = of_outside(&self.seen.database, self.census) {
            situation.blocked.get_or_insert(Blocked {
                reason: "DatabaseContradicts".to_owned(),
                message,
                stalled: true,
            });
        }
        Decided::nothing(situation)
    }

    /// Pods are coming up; what keeps the first of them is said.
    pub(super) fn restoring(&self, target: &Revision) -> Decided {
        let coming = || self.census.starting.iter().chain(&self.census.down);
        let late = coming().find(|pod| self.lateness(pod).is_some());
        let mut situation = Situation::at(Step::Restoring);
        if let Some(pod) = late.or_else(|| coming().next()) {
            situation = situation.about(&pod.id.name);
            situation.blocked = self.lateness(pod);
            // The last pod of the revision that worked was lost, and this one does not come up.
            if let Some(mut repair) = self.repair(target, pod) {
                repair.situation = situation;
                return repair;
            }
            if self.gives_up(target, pod) {
                let why = situation.blocked.as_ref().map(|late| late.message.clone());
                return Decided {
                    failed: Some((FailedHow::Late, why)),
                    ..Decided::nothing(situation)
                };
            }
        } else if !self.census.stopping.is_empty() {
            return self.still_stopping(Step::AwaitingTakeover);
        }
        Decided::nothing(situation)
    }

    /// Pods beyond `replicas`: those that do not wait first, then those on the machine of another, then the youngest. The
    /// only one where the active should live stays.
    pub(super) fn trim(&self) -> Decided {
        let others = |pod: &Pod, fits: &dyn Fn(&Pod) -> bool| {
            let mut others = self.live.iter().filter(|other| other.id != pod.id);
            others.any(|other| fits(other))
        };
        let shares =
            |pod: &Pod| pod.machine.is_some() && others(pod, &|other| other.machine == pod.machine);
        let preferred = |pod: &Pod| is_preferred(self.seen, pod);
        let only_there = |pod: &Pod| preferred(pod) && !others(pod, &preferred);
        let surplus = self
            .live
            .iter()
            .filter(|pod| !self.census.is_active(pod))
            .max_by_key(|pod| {
                let dispensable = (!pod.waits(), !only_there(pod), shares(pod));
                (dispensable, pod.created, &pod.id.name)
            });
        match surplus {
            Some(pod) => self.stop_other(pod, Cause::Surplus),
            None => Decided::nothing(Situation::at(Step::Steady)),
        }
    }
}
