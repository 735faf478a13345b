//! Which versions have held the lock, or may have, and what of that the user takes back (rule S6).

use crate::api::{MayHaveHeld, Memory, SaidVersion};
use crate::domain::{Container, Pod, remembered};
use crate::node::{ExitKind, NodeVersion};
use crate::plan::limits::GONE;
use crate::plan::rules::verdict;
use crate::plan::view::Look;

/// What each pod may have done to the database: those that took a lock, those that only started, and what an exit says.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    for pod in &look.seen.pods {
        let Some(revision) = &pod.revision else {
            continue;
        };
        // While there is doubt about who took which lock, `may_have_held` stands for it.
        if pod.took.is_some() && !look.roles.is_foreign(pod) && !look.roles.order_unknown {
            held(memory, &revision.version);
            // What the node itself says migrates the database, whatever the spec calls it.
            if let Some(said) = pod.says_version() {
                held(memory, &said);
                memory.said = Some(SaidVersion {
                    revision: revision.name.clone(),
                    version: said.to_string(),
                });
            }
        }
    }
    for exit in look.seen.pods.iter().filter_map(Pod::last_exit) {
        if let ExitKind::VersionOlderThanDatabase { database, .. } = &exit.kind
            && let Ok(database) = database.parse()
        {
            held(memory, &database);
        }
    }
    for pod in &look.seen.pods {
        let never_ran = matches!(pod.container, Container::NotStarted { .. }) && pod.deleted;
        if let Some(revision) = pod.revision.as_ref().filter(|_| !never_ran) {
            remember_start(memory, &pod.id.name, &revision.version);
        }
    }
    merge_gone(memory, look);
    let Some(active) = look.roles.active_at_work() else {
        return;
    };
    let Some(revision) = &active.revision else {
        return;
    };
    if look.roles.works(active) {
        verdict::serves(memory, active, revision, look);
    }
    // The active has had the lock all the time, and no newer pod is left that could have had it.
    let newer_left = look.seen.pods.iter().any(|pod| {
        pod.revision
            .as_ref()
            .is_none_or(|other| other.version > revision.version)
    });
    let creating_newer = memory.creating.as_ref().is_some_and(|creating| {
        look.seen
            .revisions
            .get(&creating.revision)
            .is_some_and(|other| other.version > revision.version)
    });
    if !newer_left && !creating_newer {
        memory.may_have_held = None;
    }
}

/// Whether nothing as new is known.
fn is_newer(version: &NodeVersion, known: Option<NodeVersion>) -> bool {
    known.is_none_or(|known| *version > known)
}

/// S6: a version has held the lock.
fn held(memory: &mut Memory, version: &NodeVersion) {
    if is_newer(version, remembered::newest_held(memory)) {
        memory.newest_held = Some(version.to_string());
    }
}

/// S6: from its creation on, a pod of a newer version may have held the lock.
pub fn remember_start(memory: &mut Memory, pod: &str, version: &NodeVersion) {
    if !is_newer(version, remembered::newest_held(memory)) {
        return;
    }
    let newest = is_newer(version, remembered::may_have_held(memory));
    let started = memory.may_have_held.get_or_insert_with(|| MayHaveHeld {
        version: version.to_string(),
        pods: Vec::new(),
    });
    if newest {
        started.version = version.to_string();
    }
    if !started.pods.iter().any(|name| name == pod) {
        started.pods.push(pod.to_owned());
    }
}

/// It never ran. Should it turn up all the same, it is remembered again.
pub fn forget_start(memory: &mut Memory, pod: &str) {
    let started = memory.may_have_held.take().map(|mut started| {
        started.pods.retain(|name| name != pod);
        started
    });
    memory.may_have_held = started.filter(|started| !started.pods.is_empty());
}

/// Pods that are gone keep one name together.
fn merge_gone(memory: &mut Memory, look: &Look<'_>) {
    let creating = memory
        .creating
        .as_ref()
        .map(|creating| creating.pod.clone());
    let Some(started) = &mut memory.may_have_held else {
        return;
    };
    let before = started.pods.len();
    started.pods.retain(|name| {
        let there = look.seen.pods.iter().any(|pod| pod.id.name == *name);
        there || creating.as_ref() == Some(name) || name == GONE
    });
    if started.pods.len() < before && !started.pods.iter().any(|name| name == GONE) {
        started.pods.push(GONE.to_owned());
    }
}

/// S6: the way out. The user says, once, that the database is that of a backup. As long as a pod is there it may still be
/// another; and so it may after an active that was lost, where nobody has asked for an end: `replicas: 0` begins a new life.
pub fn remember_restored(memory: &mut Memory, look: &Look<'_>) {
    let Some((version, word)) = &look.seen.intent.policy.restored else {
        return;
    };
    let new_life = look.seen.intent.replicas == 0 || memory.last_active.is_none();
    if !look.seen.pods.is_empty()
        || !new_life
        || memory.creating.is_some()
        || memory.restored.as_ref() == Some(word)
    {
        return;
    }
    memory.restored = Some(word.clone());
    memory.may_have_held = None;
    memory.newest_held = Some(version.to_string());
    // What worked last may be newer than the database now.
    memory.last_worked = None;
}
