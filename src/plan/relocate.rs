//! Moves of place: the active goes to another pod of its own revision, because its machine is being
//! emptied, somebody asked for it, it belongs elsewhere, it does not answer, or the handover is rehearsed.

use std::fmt;

use super::Place;
use super::census::Census;
use super::guard::{self, Cause, Goal};
use super::moves::{Board, Decided};
use super::situation::{Blocked, Situation, Step};
use crate::api::names::PREFERRED;
use crate::api::{Asked, AskedState};
use crate::observe::{Machine, Observation, Pod, Revision};

/// Machines that a new pod is told to avoid: more would make a pod of a large cluster long, and Kubernetes
/// itself keeps pods from most of them.
const MOST_AVOIDED: usize = 50;

/// What a handover is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Another revision.
    Rollout,
    /// The machine of the active is being emptied.
    Maintenance,
    /// Somebody asked for it.
    Switchover,
    /// The active goes back to a preferred machine.
    Failback,
    /// For its own sake.
    Drill,
    /// The active runs, and its port does not answer.
    Unresponsive,
}

impl fmt::Display for Purpose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Rollout => "Rollout",
            Self::Maintenance => "Maintenance",
            Self::Switchover => "Switchover",
            Self::Failback => "Failback",
            Self::Drill => "Drill",
            Self::Unresponsive => "Unresponsive",
        })
    }
}

/// Why the machine of a pod is being emptied, if it is.
pub(super) fn emptying<'a>(seen: &'a Observation, pod: &Pod) -> Option<&'a str> {
    machine(seen, pod)?.emptying.as_deref()
}

fn machine<'a>(seen: &'a Observation, pod: &Pod) -> Option<&'a Machine> {
    seen.machines.as_ref()?.get(pod.machine.as_ref()?)
}

pub(super) fn is_preferred(seen: &Observation, pod: &Pod) -> bool {
    let preferred = seen.intent.wishes.preferred.as_ref();
    preferred
        .zip(machine(seen, pod))
        .is_some_and(|(preferred, machine)| machine.carries(&preferred.labels))
}

/// Whether a pod is where a switchover to `to` is to lead: it has that name, or is on that machine.
pub(super) fn is_at(seen: &Observation, pod: &Pod, to: Option<&str>) -> bool {
    match to {
        None => true,
        Some(PREFERRED) => is_preferred(seen, pod),
        Some(name) => pod.id.name == name || pod.machine.as_deref() == Some(name),
    }
}

/// A move that is due.
pub(super) struct Wish<'a> {
    pub(super) purpose: Purpose,
    /// Where to, if not just elsewhere.
    pub(super) to: Option<&'a str>,
}

impl<'a> Board<'a> {
    /// The next step of a move of place, where one is due.
    pub(super) fn relocate(&self) -> Option<Decided> {
        // A migration is not interrupted, and one that has not served yet has not shown that it works.
        let active = self.active()?;
        if self.boots(active) {
            return None;
        }
        let wish = self.wish(active)?;
        let mut decided = self.go(active, active.revision.as_ref()?, &wish)?;
        decided.goes_back = wish.purpose == Purpose::Failback;
        Some(decided)
    }

    /// The next step of a move of this active. Nothing is stopped for it before all but those that could win
    /// instead is as the handover needs it.
    pub(super) fn go(&self, active: &Pod, revision: &Revision, wish: &Wish<'_>) -> Option<Decided> {
        let goes = |pod: &Pod| {
            pod.id != active.id
                && pod.revision.as_ref() == Some(revision)
                && emptying(self.seen, pod).is_none()
                && is_at(self.seen, pod, wish.to)
        };
        if !self.live.iter().any(|pod| pod.waits() && goes(pod)) {
            return self.without_successor(wish, revision);
        }
        let allowed: Vec<String> = self
            .live
            .iter()
            .filter(|pod| goes(pod))
            .map(|pod| pod.id.uid.clone())
            .collect();
        let goal = Goal {
            revision,
            allowed: Some(&allowed),
            purpose: wish.purpose,
        };
        if let Some(waits) = self.awaits_turn(wish.purpose) {
            return Some(self.meanwhile(waits, revision));
        }
        let ready = guard::ready(
            self.census,
            self.memory,
            &self.seen.database,
            &goal,
            self.now,
            self.rules,
        );
        if let Err(denied) = ready {
            let soon = matches!(denied.reason, "StopUnderWay" | "SuccessorNotSeen")
                || (denied.reason == "ActiveNotSeen" && !self.census.unheard(active));
            let mut decided = self.held(denied);
            decided.situation.step = Step::StoppingActive;
            return Some(if soon {
                decided
            } else {
                self.meanwhile(decided, revision)
            });
        }
        // Who could win instead goes first, and comes back after.
        let others = self
            .seen
            .pods
            .iter()
            .filter(|pod| pod.id != active.id && !pod.ended() && !goes(pod));
        if let Some(other) = others.into_iter().find(|pod| !pod.deleted) {
            return Some(self.set_aside(other, revision));
        }
        let decided = self.hand_over(&goal);
        // A pod made now is one of those that may succeed, unless a certain one is to.
        Some(if decided.stop.is_none() && wish.to.is_none() {
            self.meanwhile(decided, revision)
        } else {
            decided
        })
    }

    /// While a move has to wait, what is lost is made again all the same.
    fn meanwhile(&self, waits: Decided, revision: &Revision) -> Decided {
        let missing = self.live.len() < self.seen.intent.replicas;
        if !missing || !self.one_at_a_time() {
            return waits;
        }
        let mut repair = self.make(revision, Step::Restoring);
        if repair.create.is_none() {
            return waits;
        }
        repair.situation.blocked = waits.situation.blocked;
        repair
    }

    /// What asks for a move of the active, the most urgent first.
    fn wish(&self, active: &Pod) -> Option<Wish<'a>> {
        let wish = |purpose, to| Some(Wish { purpose, to });
        if emptying(self.seen, active).is_some() {
            return wish(Purpose::Maintenance, None);
        }
        let pending = |asked: &'a Option<Asked>| {
            asked
                .as_ref()
                .filter(|asked| asked.state == AskedState::Pending)
        };
        if let Some(asked) = pending(&self.memory.switchover) {
            return wish(Purpose::Switchover, asked.to.as_deref());
        }
        if pending(&self.memory.drill).is_some() {
            return wish(Purpose::Drill, None);
        }
        if self.goes_back(active) {
            return wish(Purpose::Failback, Some(PREFERRED));
        }
        None
    }

    /// Nobody waits where the move is to lead. For a machine that is being emptied a pod is made; what
    /// somebody asked for is refused, and nothing was stopped for it.
    fn without_successor(&self, wish: &Wish<'_>, revision: &Revision) -> Option<Decided> {
        match wish.purpose {
            Purpose::Maintenance => Some(self.surge_elsewhere(revision)),
            Purpose::Switchover => {
                let place = wish.to.map(|to| format!(" at {to}")).unwrap_or_default();
                let waiting: Vec<String> = self
                    .census
                    .waiting
                    .iter()
                    .map(|pod| self.whereabouts(pod, revision))
                    .collect();
                let known = if waiting.is_empty() {
                    "none waits anywhere".to_owned()
                } else {
                    format!("there wait {}", waiting.join(", "))
                };
                Some(self.refuse(
                    wish.purpose,
                    format!("no standby waits for the lock{place}: {known}"),
                ))
            }
            Purpose::Drill => {
                Some(self.refuse(wish.purpose, "no standby waits for the lock".to_owned()))
            }
            Purpose::Failback | Purpose::Rollout | Purpose::Unresponsive => None,
        }
    }

    /// A standby, where it is, and what makes it none to go to.
    fn whereabouts(&self, pod: &Pod, revision: &Revision) -> String {
        let machine = pod.machine.as_deref().unwrap_or("no machine");
        let emptied = emptying(self.seen, pod)
            .map(|why| format!(", which is being emptied ({why})"))
            .unwrap_or_default();
        let other = if pod.revision.as_ref() == Some(revision) {
            ""
        } else {
            ", of another revision than the active"
        };
        format!("{} on {machine}{emptied}{other}", pod.id.name)
    }

    /// What was asked for while it can't be done: a rollout goes on, or a pause lasts.
    pub(super) fn refuse_asked(&self) -> Option<Decided> {
        let moving = self
            .memory
            .stopping
            .as_ref()
            .is_some_and(|stop| stop.active);
        if moving || self.active().is_none() {
            return None;
        }
        let pending = |asked: &Option<Asked>| {
            let state = asked.as_ref().map(|asked| asked.state);
            state == Some(AskedState::Pending)
        };
        let purpose = if pending(&self.memory.switchover) {
            Purpose::Switchover
        } else if pending(&self.memory.drill) {
            Purpose::Drill
        } else {
            return None;
        };
        let why = if self.seen.intent.wishes.paused {
            "spec.paused is true"
        } else {
            "a rollout is under way, which moves the lock itself"
        };
        Some(self.refuse(purpose, why.to_owned()))
    }

    fn refuse(&self, purpose: Purpose, why: String) -> Decided {
        let mut decided = Decided::nothing(Situation::at(Step::Steady));
        decided.refused = Some((purpose, why));
        decided.situation.until = Some(self.now);
        decided
    }

    /// The active is to leave its machine, and no pod waits elsewhere.
    fn surge_elsewhere(&self, revision: &Revision) -> Decided {
        let coming = self.live.iter().find(|pod| {
            !pod.waits()
                && !self.census.is_active(pod)
                && pod.revision.as_ref() == Some(revision)
                && emptying(self.seen, pod).is_none()
        });
        if let Some(coming) = coming {
            let situation = Situation::at(Step::AwaitingStandby).about(&coming.id.name);
            let mut decided = Decided::nothing(situation);
            decided.situation.blocked = self.lateness(coming);
            return decided;
        }
        let intent = &self.seen.intent;
        if self.live.len() < intent.replicas + intent.surge && self.one_at_a_time() {
            return self.make(revision, Step::Surging);
        }
        // A rollout that is stuck takes the room.
        let stuck = self
            .live
            .iter()
            .find(|pod| !self.census.is_active(pod) && pod.revision.as_ref() != Some(revision));
        if let Some(pod) = stuck {
            return self.set_aside(pod, revision);
        }
        // Without room for a surge a standby on such a machine gives its place.
        let leaving = self.leaving();
        match leaving.first() {
            Some(pod) => self.stop_other(pod, Cause::Leaving),
            None if intent.surge > 0 => Decided::nothing(Situation::at(Step::Surging)),
            None => Decided::nothing(Situation::at(Step::Holding).blocked(Blocked {
                reason: "NoRoom".to_owned(),
                message: "the machine of the active is being emptied, and handover.surge: 0 leaves no room for a pod elsewhere: set handover.surge to 1 or replicas to 2 or more".to_owned(),
                stalled: false,
            })),
        }
    }

    /// Stops a pod for a move to another one. The rollout that it may be of waits for the move.
    fn set_aside(&self, pod: &Pod, revision: &Revision) -> Decided {
        let mut decided = self.stop_other(pod, Cause::Aside);
        decided.set_aside = decided.stop.is_some() && pod.revision.as_ref() != Some(revision);
        decided
    }

    /// Pods beside the active whose machines are being emptied.
    pub(super) fn leaving(&self) -> Vec<&'a Pod> {
        self.live
            .iter()
            .copied()
            .filter(|pod| !self.census.is_active(pod) && emptying(self.seen, pod).is_some())
            .collect()
    }

    /// Standbys whose machines are being emptied are replaced, a new one first.
    pub(super) fn replace_leaving(&self, target: &Revision) -> Option<Decided> {
        let leaving = self.leaving();
        let pod = leaving.first()?;
        let intent = &self.seen.intent;
        let staying = self.live.len() - leaving.len();
        if intent.surge == 0 && pod.waits() {
            return Some(self.stop_other(pod, Cause::Leaving));
        }
        let coming = self.live.iter().any(|pod| {
            !pod.waits() && !self.census.is_active(pod) && emptying(self.seen, pod).is_none()
        });
        if coming {
            return Some(self.restoring(target));
        }
        if staying < intent.replicas && self.live.len() < intent.replicas + intent.surge {
            return Some(self.make(target, Step::Surging));
        }
        Some(self.stop_other(pod, Cause::Leaving))
    }
}

/// Where a new pod is to go: not to a machine of which a pod is not heard (Kubernetes notices its loss only after 40
/// to 50 s), nor to those that are being emptied or do not report; and to a preferred one where no pod is yet.
pub(super) fn place(seen: &Observation, census: &Census<'_>) -> Place {
    let silent = seen
        .pods
        .iter()
        .filter(|pod| pod.running() && census.unheard(pod));
    let silent = silent.filter_map(|pod| pod.machine.clone());
    let machines = seen.machines.iter().flatten();
    let left = machines
        .filter(|(_, machine)| machine.emptying.is_some() || !machine.ready)
        .map(|(name, _)| name.clone());
    let mut avoid: Vec<String> = Vec::new();
    for machine in silent.chain(left) {
        if avoid.len() < MOST_AVOIDED && !avoid.contains(&machine) {
            avoid.push(machine);
        }
    }
    let taken = seen
        .pods
        .iter()
        .any(|pod| !pod.deleted && !pod.ended() && is_preferred(seen, pod));
    let preferred = seen.intent.wishes.preferred.as_ref().filter(|_| !taken);
    Place {
        avoid,
        prefer: preferred
            .map(|preferred| preferred.labels.clone())
            .unwrap_or_default(),
    }
}

/// How many standbys have to stay while others are evicted: all, but for those whose machine is being
/// emptied and whose replacement finds no place, and one where machines can't be read.
pub(super) fn standbys_kept(seen: &Observation, census: &Census<'_>, late: bool) -> usize {
    let wanted = seen.intent.replicas.saturating_sub(1);
    let leaving = census
        .waiting
        .iter()
        .any(|pod| emptying(seen, pod).is_some());
    if seen.machines.is_none() || (late && leaving) {
        wanted.saturating_sub(1)
    } else {
        wanted
    }
}
