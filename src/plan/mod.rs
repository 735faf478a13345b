//! The plan of a handover. Pure: no client, no clock, no I/O.
//!
//! [`plan`] takes one fresh look and the operator's memory, and says what is to be done now: at most
//! one stop, and never without a [`Permit`] that only the [`guard`] can make. Calling it again after
//! a crash, or with the same look, gives the same plan.

mod asked;
mod census;
mod database;
mod due;
mod errand;
mod failback;
mod failure;
mod guard;
mod held;
mod lateness;
mod memory;
#[cfg(test)]
mod model;
mod moves;
mod neighbours;
mod pull;
mod relocate;
mod rollout;
mod situation;
mod steady;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
mod unresponsive;
mod validate;
mod way_back;

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{GoingBack, LastHandover, Memory};
use crate::observe::{Observation, Pod, PodId};

pub use crate::domain::Place;
pub use census::Census;
pub use database::{Evidence, of_active, of_outside, of_standby, outside};
pub use due::{is_due, is_stale};
#[cfg(test)]
pub use guard::Rule;
pub use guard::{Cause, Denied, Permit, Rules};
pub use neighbours::{TWO_HOLDERS, two_holders};
pub use relocate::Purpose;
pub use situation::{Blocked, Situation, Step};

/// How fresh the answer of a container has to be for a stop (rule S5).
pub const FRESH: Duration = Duration::from_secs(2);
/// A started pod that has not answered for this long does not count as redundancy any more. It is
/// not dead either (rule S3): it only gets a replacement, which is safe, as the lock decides.
pub const LOST: Duration = Duration::from_secs(30);
/// How long the lock may stay free after a stop on purpose before the last revision that worked is
/// started: Chainlink's lease duration and 5 s.
pub const RESCUE: Duration = Duration::from_secs(15);
/// How long something that the spec refers to may be missing before that is reported as stalled.
pub const MISSING: Duration = Duration::from_mins(10);
/// How long after the end of an active a standby may be in the middle of its takeover, unseen: before
/// 2.15 a backup and the migrations run without any server.
pub const TAKEOVER: Duration = Duration::from_mins(10);
/// How long after a pod was found on another database no further one is made.
pub const RETRY: Duration = Duration::from_mins(10);
/// How long after the last progress the database may speak against a handover before that is reported as stalled.
pub const DATABASE_DOUBT: Duration = Duration::from_secs(60);
/// Longer than the kubelet ever waits before it starts a container again: one that is down for so long
/// is on a lost machine.
pub const NOT_RESTARTED: Duration = Duration::from_mins(6);
/// How long an active whose port can't be reached is taken to boot.
pub const BOOT: Duration = Duration::from_mins(1);
/// How long an active whose container runs may stay without an answer before that is told.
pub const UNRESPONSIVE: Duration = Duration::from_secs(10);
/// How long an active may refuse connections and be taken to boot: versions before 2.15 migrate without any server.
pub const NO_BOOT: Duration = Duration::from_hours(1);
/// How long a pod whose database was away is left in back-off before a fresh one replaces it.
pub const BACKOFF: Duration = Duration::from_secs(15);

/// A container that runs for less than this, after some exits that mean something, is in a crash loop: it
/// is between two of its crashes.
pub const CRASH_LOOP: Duration = Duration::from_secs(60);
/// How many exits make a crash loop.
const EXITS_OF_A_LOOP: i32 = 3;

/// What is to be done now.
#[derive(Clone, Debug)]
pub struct Plan {
    /// To be written, with the resource's `resourceVersion`, before the acts (rule S4).
    pub memory: Memory,
    /// In this order. At most one is a stop, and it comes last.
    pub acts: Vec<Act>,
    /// What is going on, for people.
    pub situation: Situation,
    /// A handover or failover that this look shows to have ended.
    pub finished: Option<LastHandover>,
    /// When to look again if nothing happens before.
    pub again: Duration,
    /// How many standbys have to stay while pods are evicted.
    pub standbys_kept: usize,
}

/// One act on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Make the pod that `memory.creating` names.
    Create {
        pod: String,
        revision: String,
        place: Place,
    },
    /// Make a pod that pulls the image of a revision on one machine.
    Pull {
        pod: String,
        revision: String,
        machine: String,
    },
    /// Make a pod that checks the configuration of a revision.
    Validate { pod: String, revision: String },
    /// Remove a pod that pulled an image, or checked a configuration.
    EndErrand { pod: PodId },
    /// Move the active role label.
    Label { pod: PodId, active: bool },
    /// Set the readiness gate.
    Gate { pod: PodId, ready: bool },
    /// Remove a pod that can't run again.
    Tidy { pod: PodId },
    /// Delete a pod that runs, or may.
    Stop(Permit),
}

/// Plans the next step. The same look and memory always give the same plan.
pub fn plan(seen: &Observation, memory: &Memory, now: Timestamp) -> Plan {
    plan_under(seen, memory, now, Rules::all())
}

/// [`plan`] with a choice of rules, so that the model can show what each of them is for.
pub(crate) fn plan_under(
    seen: &Observation,
    memory: &Memory,
    now: Timestamp,
    rules: Rules,
) -> Plan {
    let census = Census::take_under(seen, memory, now, rules);
    let (mut memory, finished) = memory::refresh(memory, seen, &census, now);
    memory::drop_creation(&mut memory, seen, &census, now, rules);
    let mut acts: Vec<Act> = Vec::new();

    for pod in seen.pods.iter().filter(|pod| pod.ended() && !pod.deleted) {
        acts.push(Act::Tidy {
            pod: pod.id.clone(),
        });
    }
    acts.extend(roles(seen, &census, &memory));

    let mut decided = moves::next(seen, &census, &memory, now, rules);
    failure::refused_stop(&mut decided, seen, now);
    if let Some(create) = decided.create {
        memory::intend_creation(&mut memory, &create, now);
        acts.push(Act::Create {
            pod: create.pod,
            revision: create.revision.name,
            place: relocate::place(seen, &census),
        });
    } else if let Some(creating) = &memory.creating {
        // The intent was written, and no look has shown the pod: the create may not have happened.
        acts.push(Act::Create {
            pod: creating.pod.clone(),
            revision: creating.revision.clone(),
            place: relocate::place(seen, &census),
        });
    }
    let needed = decided.image.as_ref();
    if let Some(validation) = decided.validation {
        let pod = validate::pod_name(&seen.intent.node, &validation);
        if !seen.validations.iter().any(|there| there.id.name == pod) {
            acts.push(Act::Validate {
                pod,
                revision: validation.revision.clone(),
            });
        }
        memory.validation = Some(validation);
    }
    let pulls = pull::over(seen, needed, now).map(|pull| &pull.id);
    let validations = validate::over(seen, &memory).map(|pod| &pod.id);
    acts.extend(
        pulls
            .chain(validations)
            .map(|pod| Act::EndErrand { pod: pod.clone() }),
    );
    if let Some(needed) = needed.filter(|needed| needed.found(seen).is_none()) {
        acts.push(Act::Pull {
            pod: needed.pod(&seen.intent.node),
            revision: needed.revision.clone(),
            machine: needed.machine.clone(),
        });
    }
    if let Some(permit) = decided.stop {
        failure::note_attempt(&mut memory, seen, &permit, now);
        way_back::note(&mut memory, seen, &permit, now);
        memory::intend_stop(&mut memory, &permit, now);
        acts.push(Act::Stop(permit));
    }
    if let Some((how, because)) = decided.failed {
        failure::remember(&mut memory, how, because, now);
    }
    if decided.checked {
        memory.checked = memory.wanted.as_ref().map(|wanted| wanted.name.clone());
    }
    if decided.set_aside {
        memory.set_aside = memory.wanted.as_ref().map(|wanted| wanted.name.clone());
    }
    if let Some(failed) = decided.check_failed {
        held::note_failed_check(&mut memory, failed, now);
    }
    if decided.goes_back {
        let generation = seen.intent.generation;
        let going = memory.going_back.get_or_insert_with(|| GoingBack {
            generation,
            ..GoingBack::default()
        });
        going.since.get_or_insert(now);
    }
    if let Some((purpose, why)) = &decided.refused {
        asked::refuse(&mut memory, *purpose, why, now);
    }
    let late = decided
        .situation
        .blocked
        .as_ref()
        .is_some_and(|blocked| blocked.stalled);
    Plan {
        standbys_kept: relocate::standbys_kept(seen, &census, late),
        again: way_back::again(&memory, seen).unwrap_or_else(|| decided.situation.again(now)),
        memory,
        acts,
        situation: decided.situation,
        finished,
    }
}

/// Role labels and readiness gates as they should be now.
///
/// The label of the active is taken before it is given. Kubernetes counts the pods behind a budget again when one of
/// them changes, not when one has left: a budget that saw two actives would go on permitting the eviction of one of
/// them (`pkg/controller/disruption`, `updatePod`, read in 1.37.2; a drain was seen to evict an active by it).
fn roles(seen: &Observation, census: &Census<'_>, memory: &Memory) -> Vec<Act> {
    let heir = heir(seen, census, memory);
    let (mut losses, mut gains, mut gates) = (Vec::new(), Vec::new(), Vec::new());
    for pod in seen.pods.iter().filter(|pod| !pod.ended()) {
        let active = heir.is_some_and(|heir| heir.id == pod.id);
        if pod.labelled_active != active && (heir.is_some() || !census.holds(pod)) {
            let act = Act::Label {
                pod: pod.id.clone(),
                active,
            };
            if active {
                gains.push(act);
            } else {
                losses.push(act);
            }
        }
        // Who of several holders is right is not known: they stay as they are.
        if census.order_unknown && census.holds(pod) {
            continue;
        }
        let ready = !pod.deleted
            && !census.is_foreign(pod)
            && !census.is_suspect(pod)
            && (census.is_active(pod) || pod.waits());
        if pod.gate != ready && !pod.deleted {
            gates.push(Act::Gate {
                pod: pod.id.clone(),
                ready,
            });
        }
    }
    [losses, gains, gates].concat()
}

/// Who the Service should lead to: the active, or its successor as soon as the stop of the active was
/// accepted, so that neither the operator nor kube-proxy stands between the lock and the first request.
fn heir<'a>(seen: &Observation, census: &Census<'a>, memory: &Memory) -> Option<&'a Pod> {
    let successor = memory
        .stopping
        .as_ref()
        .filter(|stop| stop.active)
        .filter(|stop| census.accepted(&stop.uid))
        .and_then(|stop| stop.successor.as_deref())
        .and_then(|name| census.waiting.iter().find(|pod| pod.id.name == name));
    // After the end of an active the only one that waits is the one that takes over.
    let lost = seen.intent.replicas > 0
        && memory
            .last_active
            .as_ref()
            .is_some_and(|last| last.ended.is_some());
    let only = match census.waiting.as_slice() {
        [only] if lost && !census.order_unknown && census.starting.is_empty() => Some(*only),
        _ => None,
    };
    match (successor.copied().or(only), census.active) {
        (Some(successor), Some(active)) if active.deleted => Some(successor),
        (Some(successor), None) => Some(successor),
        (_, active) => active,
    }
}
