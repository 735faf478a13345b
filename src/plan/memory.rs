//! What the operator must not forget, brought up to date by each look.

use jiff::Timestamp;

use super::census::{Census, before};
use super::guard::{self, Rules};
use super::moves::{self, NewPod};
use super::relocate::Purpose;
use super::{
    Permit, RETRY, asked, failback, failure, held, trial, unresponsive, validate, way_back,
};
use crate::api::{
    Coming, Creation, DatabaseDiffers, LastActive, LastHandover, MayHaveHeld, Memory, SaidVersion,
    Stop, WantedRevision,
};
use crate::node::{ExitKind, NodeVersion};
use crate::observe::{Container, Observation, Pod, Wanted};

/// The memory after this look, and the handover or failover that the look shows to have ended.
pub(super) fn refresh(
    old: &Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) -> (Memory, Option<LastHandover>) {
    let mut memory = old.clone();
    remember_wanted(&mut memory, seen, census, now);
    trial::fails(&mut memory, seen, now);
    remember_versions(&mut memory, seen, census, now);
    remember_restored(&mut memory, seen);
    remember_coming(&mut memory, seen, now);
    // A creation is over when a look shows the pod; before that it is repeated under the same name.
    memory.creating = memory
        .creating
        .filter(|creating| !seen.pods.iter().any(|pod| pod.id.name == creating.pod))
        .filter(|creating| {
            seen.revisions.contains_key(&creating.revision) && seen.intent.replicas > 0
        });
    let finished = remember_active(&mut memory, seen, census, now);
    unresponsive::remember(&mut memory, seen, census, now);
    failback::remember(&mut memory, old, finished.as_ref(), seen, census, now);
    held::remember(&mut memory, seen, now);
    asked::remember(&mut memory, seen, census, now);
    validate::remember(&mut memory, seen);
    failure::remember_crash(&mut memory, seen, census, now);
    forget_stop(&mut memory, seen, census, now);
    failure::forget_attempt(&mut memory, seen, census);
    way_back::remember(&mut memory, seen, census, now);
    remember_foreign(&mut memory, seen, census, now);
    if census.active.is_some() || seen.intent.replicas == 0 {
        memory.unheld_since = None;
    } else {
        memory.unheld_since.get_or_insert(now);
    }
    if seen.intent.replicas == 0 && seen.pods.iter().all(Pod::ended) {
        // What starts after this is a new life, and no handover.
        memory.last_active = None;
        trial::forget_failure(&mut memory);
        memory.trial = None;
        memory.database_differs = None;
    }
    (memory, finished)
}

/// A creation that no look has shown is repeated, unless its name is taken, there is no room for it any
/// more, or its revision is no longer of use or not allowed: the spec may have changed because such pods are refused.
pub(super) fn drop_creation(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
    rules: Rules,
) {
    let Some(creating) = memory.creating.clone() else {
        return;
    };
    let of_use = [
        memory.wanted.as_ref().map(|wanted| &wanted.name),
        memory.last_worked.as_ref(),
    ]
    .contains(&Some(&creating.revision));
    let allowed = seen
        .revisions
        .get(&creating.revision)
        .is_some_and(|revision| guard::create(census, memory, revision, now, rules).is_ok());
    let room = moves::counted(census).len() < seen.intent.replicas + seen.intent.surge;
    let taken = seen.taken.as_ref() == Some(&creating.pod);
    if taken || !of_use || !allowed || !room {
        memory.creating = None;
        forget_start(memory, &creating.pod);
    }
}

/// It never ran. Should it turn up all the same, it is remembered again.
fn forget_start(memory: &mut Memory, pod: &str) {
    let started = memory.may_have_held.take().map(|mut started| {
        started.pods.retain(|name| name != pod);
        started
    });
    memory.may_have_held = started.filter(|started| !started.pods.is_empty());
}

/// A pod that still runs after it was asked to stop says nothing of what the spec asks for now.
fn remember_foreign(memory: &mut Memory, seen: &Observation, census: &Census<'_>, now: Timestamp) {
    let generation = seen.intent.generation;
    memory.database_differs = memory
        .database_differs
        .take()
        .filter(|known| known.at > before(now, RETRY) && known.generation == generation);
    let Some(pod) = census.foreign.iter().find(|pod| !pod.deleted) else {
        return;
    };
    let known = memory.database_differs.as_ref();
    if known.is_none_or(|known| known.pod != pod.id.name) {
        memory.database_differs = Some(DatabaseDiffers {
            pod: pod.id.name.clone(),
            at: now,
            generation,
        });
    }
}

fn remember_wanted(memory: &mut Memory, seen: &Observation, census: &Census<'_>, now: Timestamp) {
    match &seen.intent.wanted {
        Wanted::Revision(revision) => {
            memory.missing_since = None;
            if memory
                .wanted
                .as_ref()
                .is_none_or(|wanted| wanted.name != revision.name)
            {
                memory.wanted = Some(WantedRevision {
                    name: revision.name.clone(),
                    since: now,
                });
                trial::forget_failure(memory);
                failure::begin_anew(memory, seen, census, now);
                memory.database_differs = None;
                memory.checked = None;
                memory.set_aside = None;
            }
        }
        Wanted::Unusable(problem) if problem.missing => {
            memory.missing_since.get_or_insert(now);
        }
        Wanted::Unusable(_) => memory.missing_since = None,
    }
}

fn newest(known: Option<&str>, other: &NodeVersion) -> Option<String> {
    let newer = known
        .and_then(|text| text.parse::<NodeVersion>().ok())
        .is_none_or(|known| *other > known);
    if newer {
        Some(other.to_string())
    } else {
        known.map(str::to_owned)
    }
}

fn remember_versions(memory: &mut Memory, seen: &Observation, census: &Census<'_>, now: Timestamp) {
    for pod in &seen.pods {
        let Some(revision) = &pod.revision else {
            continue;
        };
        // While there is doubt about who took which lock, `may_have_held` stands for it.
        if pod.took.is_some() && !census.is_foreign(pod) && !census.order_unknown {
            memory.newest_held = newest(memory.newest_held.as_deref(), &revision.version);
            // What the node itself says migrates the database, whatever the spec calls it.
            if let Some(said) = says(pod) {
                memory.newest_held = newest(memory.newest_held.as_deref(), &said);
                memory.said = Some(SaidVersion {
                    revision: revision.name.clone(),
                    version: said.to_string(),
                });
            }
        }
    }
    for exit in seen.pods.iter().filter_map(Pod::last_exit) {
        if let ExitKind::VersionOlderThanDatabase { database, .. } = &exit.kind
            && let Ok(database) = database.parse()
        {
            memory.newest_held = newest(memory.newest_held.as_deref(), &database);
        }
    }
    for pod in &seen.pods {
        let never_ran = matches!(pod.container, Container::NotStarted { .. }) && pod.deleted;
        if let Some(revision) = pod.revision.as_ref().filter(|_| !never_ran) {
            remember_start(memory, &pod.id.name, &revision.version);
        }
    }
    merge_gone(memory, seen);
    let Some(active) = census.active_at_work() else {
        return;
    };
    let Some(revision) = &active.revision else {
        return;
    };
    if census.works(active) {
        trial::serves(memory, active, revision, now);
    }
    // The active has had the lock all the time, and no newer pod is left that could have had it.
    let newer_left = seen.pods.iter().any(|pod| {
        pod.revision
            .as_ref()
            .is_none_or(|other| other.version > revision.version)
    });
    let creating_newer = memory.creating.as_ref().is_some_and(|creating| {
        seen.revisions
            .get(&creating.revision)
            .is_some_and(|other| other.version > revision.version)
    });
    if !newer_left && !creating_newer {
        memory.may_have_held = None;
    }
}

/// The version that a pod's log names, where that is not the one of its revision.
fn says(pod: &Pod) -> Option<NodeVersion> {
    pod.contradicting_version.as_ref()?.parse().ok()
}

/// Follows how long pods of the wanted revision come up in vain, however often they are replaced.
fn remember_coming(memory: &mut Memory, seen: &Observation, now: Timestamp) {
    let Wanted::Revision(wanted) = &seen.intent.wanted else {
        memory.coming = None;
        return;
    };
    let made = || {
        let of_wanted = |pod: &&Pod| pod.revision.as_ref() == Some(wanted);
        seen.pods.iter().filter(of_wanted)
    };
    let up = made().any(|pod| pod.waits() || pod.took.is_some());
    if up || seen.intent.replicas == 0 {
        memory.coming = None;
        return;
    }
    let known = memory.coming.take();
    let known = known.filter(|coming| coming.revision == wanted.name);
    memory.coming = known.or_else(|| {
        made().next().map(|_| Coming {
            revision: wanted.name.clone(),
            since: now,
            database_away: false,
            words: None,
        })
    });
    if let Some(coming) = &mut memory.coming
        && let Some(exit) = made().filter_map(Pod::last_exit).next_back()
    {
        coming.database_away = exit.kind == ExitKind::DatabaseAway;
        coming.words = Some(exit.words_and_advice());
    }
}

/// S6: the way out. The user says, once, that the database is that of a backup; as long as a pod is there it
/// may still be another.
fn remember_restored(memory: &mut Memory, seen: &Observation) {
    let Some((version, word)) = &seen.intent.wishes.restored else {
        return;
    };
    if !seen.pods.is_empty() || memory.creating.is_some() || memory.restored.as_ref() == Some(word)
    {
        return;
    }
    memory.restored = Some(word.clone());
    memory.may_have_held = None;
    if newest(Some(&version.to_string()), version) != memory.newest_held {
        memory.newest_held = Some(version.to_string());
    }
    // What worked last may be newer than the database now.
    memory.last_worked = None;
}

/// Follows the active from look to look; a new one ends a handover or failover.
fn remember_active(
    memory: &mut Memory,
    seen: &Observation,
    census: &Census<'_>,
    now: Timestamp,
) -> Option<LastHandover> {
    if let Some(last) = memory.last_active.as_mut() {
        note_end(last, seen, memory.stopping.as_ref(), now);
    }
    let active = census.active?;
    let last = memory.last_active.clone();
    if memory.knows_as_active(&active.id.uid) {
        return None;
    }
    if active.deleted && last.as_ref().is_some_and(|last| last.uid == active.id.uid) {
        return None;
    }
    // The new active counts from its first answer as a node, or its own word that it is up, which is the end of the
    // gap. Where its port can't be reached and its log is gone, nothing tells that moment.
    let first = [active.serving_since, active.worked_at]
        .into_iter()
        .flatten()
        .min();
    let served = first.is_some() || active.served_since(active.took.map_or(now, |took| took.at));
    if !served && !census.works(active) {
        return None;
    }
    let version = active
        .revision
        .as_ref()
        .map(|revision| revision.version.to_string())
        .unwrap_or_default();
    let revision = active
        .revision
        .as_ref()
        .map(|revision| revision.name.clone())
        .unwrap_or_default();
    memory.last_active = Some(LastActive {
        pod: active.id.name.clone(),
        uid: active.id.uid.clone(),
        version: version.clone(),
        revision: revision.clone(),
        ended: None,
        planned: false,
        purpose: None,
    });
    let last = last?;
    let answered = active.contact.map_or(now, |contact| contact.at);
    let finished_at = first.unwrap_or(answered);
    let gap_ms = last
        .ended
        .filter(|_| served)
        .map(|ended| finished_at.duration_since(ended).as_millis())
        .and_then(|millis| i64::try_from(millis).ok())
        .map(|millis| millis.max(0));
    let reason = match (
        last.planned,
        last.version == version,
        last.revision == revision,
    ) {
        (false, ..) => "Failover",
        (true, false, _) => "Version",
        (true, true, false) => "Configuration",
        (true, true, true) => last.purpose.as_deref().unwrap_or("Move"),
    };
    Some(LastHandover {
        from: format!("{} ({})", last.pod, last.version),
        to: format!("{} ({version})", active.id.name),
        reason: reason.to_owned(),
        started_at: last.ended.unwrap_or(finished_at),
        finished_at,
        gap_ms,
        gap: gap_ms.map(people_seconds),
    })
}

/// Milliseconds as people read them: `1.8s`.
fn people_seconds(millis: i64) -> String {
    format!("{}.{}s", millis / 1000, (millis % 1000) / 100)
}

/// When the duty of the last active ended: with the stop that was decided, once the API server has accepted
/// it, or at the end of its container.
fn note_end(last: &mut LastActive, seen: &Observation, stopping: Option<&Stop>, now: Timestamp) {
    if last.ended.is_some() {
        return;
    }
    let pod = seen.pods.iter().find(|pod| pod.id.uid == last.uid);
    let planned = stopping.filter(|stop| stop.uid == last.uid);
    if let Some(stop) = planned.filter(|_| pod.is_none_or(|pod| pod.deleted)) {
        last.ended = Some(stop.at);
        last.planned = true;
        last.purpose.clone_from(&stop.purpose);
        return;
    }
    let ended = match pod.map(|pod| &pod.container) {
        None => Some(now),
        Some(Container::Down { exit, .. }) => Some(exit.at.unwrap_or(now)),
        Some(Container::Ended { exit }) => {
            Some(exit.as_ref().and_then(|exit| exit.at).unwrap_or(now))
        }
        // Restarted between two looks: its takeover is no longer that of this container.
        Some(Container::Running { since, last }) if pod.is_some_and(|pod| pod.took.is_none()) => {
            let exit = last.as_ref().and_then(|exit| exit.at);
            Some(exit.unwrap_or(*since))
        }
        Some(Container::Running { .. } | Container::NotStarted { .. }) => None,
    };
    last.ended = ended;
}

/// A stop is forgotten when it is over; the stop of an active only when somebody took over, so that
/// the rescue knows what it waits for.
fn forget_stop(memory: &mut Memory, seen: &Observation, census: &Census<'_>, now: Timestamp) {
    let Some(stop) = &mut memory.stopping else {
        return;
    };
    let pod = seen.pods.iter().find(|pod| pod.id.uid == stop.uid);
    let not_done = pod.is_some_and(|pod| !pod.deleted);
    let over = pod.is_none_or(|pod| !census.stopping.iter().any(|other| other.id == pod.id));
    // The temporary server of a node that boots is no success yet.
    let last = memory.last_active.as_ref();
    let succeeded = last.is_some_and(|last| last.ended.is_none() && last.uid != stop.uid)
        && census
            .active
            .is_some_and(|active| active.id.uid != stop.uid);
    // Written, but never done: planned anew from this look.
    if not_done || (over && (!stop.active || succeeded || seen.intent.replicas == 0)) {
        memory.stopping = None;
    } else if over && !stop.over {
        // From now on the lock can be taken: a node may need its whole grace period to end.
        stop.over = true;
        stop.at = pod
            .and_then(|pod| ended_at(pod, stop.at, now))
            .unwrap_or(now);
    }
}

/// When the container of a stopped pod ended, if Kubernetes says so: after the stop was decided and before it was seen
/// to be over, whatever the clock of its machine is.
pub(super) fn ended_at(pod: &Pod, decided: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ended = match &pod.container {
        Container::Down { exit, .. } => exit.at,
        Container::Ended { exit } => exit.as_ref().and_then(|exit| exit.at),
        Container::NotStarted { .. } | Container::Running { .. } => None,
    };
    ended.map(|at| at.max(decided).min(now))
}

/// Writes a creation into the memory before it happens (rule S4).
pub(super) fn intend_creation(memory: &mut Memory, new: &NewPod, now: Timestamp) {
    memory.pods_made = new.number;
    memory.creating = Some(Creation {
        pod: new.pod.clone(),
        revision: new.revision.name.clone(),
        at: now,
    });
    remember_start(memory, &new.pod, &new.revision.version);
}

/// Stands in for every pod that is gone: their names would only make the status longer and longer.
pub(super) const GONE: &str = "gone";

/// Pods that are gone keep one name together.
fn merge_gone(memory: &mut Memory, seen: &Observation) {
    let creating = memory
        .creating
        .as_ref()
        .map(|creating| creating.pod.clone());
    let Some(started) = &mut memory.may_have_held else {
        return;
    };
    let before = started.pods.len();
    started.pods.retain(|name| {
        let there = seen.pods.iter().any(|pod| pod.id.name == *name);
        there || creating.as_ref() == Some(name) || name == GONE
    });
    if started.pods.len() < before && !started.pods.iter().any(|name| name == GONE) {
        started.pods.push(GONE.to_owned());
    }
}

/// S6: from its creation on, a pod of a newer version may have held the lock.
fn remember_start(memory: &mut Memory, pod: &str, version: &NodeVersion) {
    let known = memory
        .may_have_held
        .as_ref()
        .is_some_and(|started| started.pods.iter().any(|name| name == pod));
    if known {
        return;
    }
    if newest(memory.newest_held.as_deref(), version).as_deref() == memory.newest_held.as_deref() {
        return;
    }
    let mut started = memory.may_have_held.take().unwrap_or_else(|| MayHaveHeld {
        version: version.to_string(),
        pods: Vec::new(),
    });
    started.version =
        newest(Some(&started.version), version).unwrap_or_else(|| version.to_string());
    started.pods.push(pod.to_owned());
    memory.may_have_held = Some(started);
}

/// Writes a stop into the memory before it happens (rule S4).
pub(super) fn intend_stop(memory: &mut Memory, permit: &Permit, now: Timestamp) {
    if permit.never_started() {
        // Kubernetes said why it could not start, and the delete carries the pod's version.
        forget_start(memory, &permit.pod().name);
    }
    memory.stopping = Some(Stop {
        pod: permit.pod().name.clone(),
        uid: permit.pod().uid.clone(),
        active: permit.active(),
        successor: permit.successor().map(|pod| pod.name.clone()),
        to: permit.to().map(str::to_owned),
        reason: permit.cause().to_string(),
        purpose: (permit.purpose() != Purpose::Rollout).then(|| permit.purpose().to_string()),
        at: now,
        over: false,
    });
}
