//! What has to hold before a pod is made (rules S6, S7).

use super::check::{Check, run};
use crate::api::names::{APPLIED_ANNOTATION, NODE_LABEL, NONE_APPLIED};
use crate::api::{Memory, Verification};
use crate::domain::{Container, Holder, Pod, Reason, Revision, remembered};
use crate::node::NodeVersion;
use crate::plan::cause::{Denied, deny};
use crate::plan::evidence::{self, Evidence};
use crate::plan::limits::{FRESH, before};
use crate::plan::neighbours;
use crate::plan::safety::Rule;
use crate::plan::view::View;

/// A pod of a revision, about to be made.
struct Creation<'v> {
    view: &'v View<'v>,
    revision: &'v Revision,
    /// That its pods are of.
    version: NodeVersion,
}

impl<'v> Creation<'v> {
    /// What no waiting heals.
    const FOR_GOOD: [Check<Self>; 6] = [
        Check::of(Rule::SameLock, sees_all_locks),
        Check::of(Rule::SameLock, has_the_same_lock_id),
        Check::of(Rule::SameLock, sees_the_locks_of_others),
        Check::of(Rule::NoOlder, no_newer_has_held),
        Check::of(Rule::NoOlder, no_newer_has_migrated),
        Check::always(starts_on_the_server),
    ];
    /// What may soon be otherwise.
    const FOR_NOW: [Check<Self>; 3] = [
        Check::of(Rule::NoOlder, what_was_applied_is_known),
        Check::of(Rule::SameLock, nobody_else_holds_the_lock),
        Check::of(Rule::NoOlder, no_newer_may_have_held),
    ];

    fn of(view: &'v View<'v>, revision: &'v Revision) -> Self {
        Self {
            view,
            revision,
            version: version_of(view.memory, revision),
        }
    }

    /// Whether it was the last to work, or works now: what a node asks of its database it has found there.
    fn works(&self) -> bool {
        let active = self.view.active();
        self.view.memory.last_worked.as_ref() == Some(&self.revision.name)
            || active.is_some_and(|active| active.revision.as_ref() == Some(self.revision))
    }
}

/// S6, S7: a pod of `revision` may be made.
pub fn create(view: &View<'_>, revision: &Revision) -> Result<(), Denied> {
    let creation = Creation::of(view, revision);
    let all = Creation::FOR_GOOD.iter().chain(&Creation::FOR_NOW);
    run(all, &creation, view.rules)
}

/// S6, S7: what no waiting heals. Nothing may be touched for a revision that is refused.
pub fn refuse(view: &View<'_>, revision: &Revision) -> Result<(), Denied> {
    let creation = Creation::of(view, revision);
    run(&Creation::FOR_GOOD, &creation, view.rules)
}

/// S7: no pod takes a lock that a new one would not see.
fn sees_all_locks(of: &Creation<'_>) -> Result<(), Denied> {
    match unseen_lock(of.view, of.revision) {
        Some(other) => deny(Reason::LockDiffers, lock_message(other, of.revision)),
        None => Ok(()),
    }
}

/// S6: no newer version has held the lock.
fn no_newer_has_held(of: &Creation<'_>) -> Result<(), Denied> {
    match remembered::newest_held(of.view.memory).filter(|held| *held > of.version) {
        Some(held) => went_back(&held, of.revision),
        None => Ok(()),
    }
}

/// S6: the database does not name a newer version that has migrated it.
fn no_newer_has_migrated(of: &Creation<'_>) -> Result<(), Denied> {
    let too_old = |by: &&NodeVersion| {
        if of.works() {
            of.version.is_too_old_to_return_to(by)
        } else {
            of.version.is_too_old_for(by)
        }
    };
    let Some(newer) = of.view.roles.migrated_by.filter(too_old) else {
        return Ok(());
    };
    let wanted = &of.revision.version;
    let suffix = if wanted.is_variant() && !wanted.is_too_old_to_return_to(newer) {
        format!(
            " (a suffix ranks below its release; if the image calls itself {newer}, set version to {newer} and image.tag to {wanted})"
        )
    } else {
        String::new()
    };
    deny(
        Reason::VersionWentBack,
        format!(
            "the database says that version {newer} has migrated it, on which {wanted} could not start any more: set version to {newer} or newer{suffix}; or set replicas: 0 and restore a backup"
        ),
    )
}

/// The server is one that the version starts on. A revision that works has shown that it does.
fn starts_on_the_server(of: &Creation<'_>) -> Result<(), Denied> {
    let (view, revision) = (of.view, of.revision);
    let runs = evidence::postgres(view.roles.database);
    let oldest = of.version.oldest_postgres().zip(runs);
    let Some((oldest, runs)) = oldest.filter(|(oldest, runs)| runs < oldest) else {
        return Ok(());
    };
    if of.works() || revision.any_postgres {
        return Ok(());
    }
    deny(
        Reason::PostgresTooOld,
        format!(
            "the database is PostgreSQL {runs}, and {} starts on {oldest} or later only: upgrade the server first, or set version to one before 2.66; if you know that it works, set SKIP_PG_VERSION_CHECK to \"true\" in spec.config.env",
            revision.version
        ),
    )
}

/// S6: where releases are applied by themselves, the spec's version is not the newest that may have run. A memory that was
/// lost, with what was applied, says nothing of it: the database has to.
fn what_was_applied_is_known(of: &Creation<'_>) -> Result<(), Denied> {
    let remembers = of.view.memory.newest_held.is_some();
    let answer = of.view.roles.database.answer.as_ref();
    let answered = answer.is_some_and(|answer| answer.last().is_some());
    if !of.view.seen.intent.policy.applied_lost || remembers || answered {
        return Ok(());
    }
    let why = answer.and_then(|answer| answer.said.as_ref().err());
    let why = why.map_or_else(
        || "it was not asked yet".to_owned(),
        |silence| silence.message.clone(),
    );
    deny(
        Reason::AppliedUpdateUnknown,
        format!(
            "spec.updates.policy is Apply, and neither the status nor the annotation {APPLIED_ANNOTATION} says which release ran last; the database, which knows the version that migrated it, has not told it ({why}). If the resource is new, or no release newer than {} has run: kubectl annotate chainlinknode {} {APPLIED_ANNOTATION}={NONE_APPLIED}; else write the version that ran last into spec.version",
            of.revision.version, of.view.seen.intent.node.name
        ),
    )
}

/// S6: no newer version was started that may have held the lock.
fn no_newer_may_have_held(of: &Creation<'_>) -> Result<(), Denied> {
    match newer_may_have_held(of.view, &of.version) {
        Some(newer) => went_back(&newer, of.revision),
        None => Ok(()),
    }
}

/// Whether a revision can be made again once the pods of a newer version are gone: an active is at work,
/// so that none of them has the lock.
pub fn stays_possible(view: &View<'_>, proven: &Revision) -> bool {
    view.roles.active_at_work().is_some() && refuse(view, proven).is_ok()
}

fn went_back(newer: &NodeVersion, revision: &Revision) -> Result<(), Denied> {
    deny(
        Reason::VersionWentBack,
        format!(
            "version {newer} has, or may have, held the lock and migrated the database, on which {} could not start any more: set version to {newer} or newer; or set replicas: 0, restore a backup, and say so with the annotation chainlink-operator.dev/database-restored-to=VERSION",
            revision.version
        ),
    )
}

/// The version that pods of a revision are: what they have said, where it is not what the spec calls it.
fn version_of(memory: &Memory, revision: &Revision) -> NodeVersion {
    remembered::said_by(memory, &revision.name).unwrap_or_else(|| revision.version.clone())
}

fn lock_message(other: &Pod, revision: &Revision) -> String {
    let name = &other.id.name;
    let Some(lock) = other.revision.as_ref().map(|revision| &revision.lock) else {
        return format!(
            "{name} has the label of this resource, and no revision that the operator knows: it can't be told which lock it takes, and no pod is made beside it. If it is no node of this resource, take the label away (kubectl label pod {name} {NODE_LABEL}-) or delete it; if it is one, delete it once another node may take over"
        );
    };
    let dual = lock.as_dual();
    if lock.sees(&dual) && dual.sees(&revision.lock) {
        return format!(
            "{name} runs with another lock ({lock}) than the spec asks for ({}), and the two do not see each other. Without downtime: set spec.database.lock.mode to dual first, on a version that knows it (1.1 to 1.13 with environment configuration), wait until that is rolled out, and then set what you want. Or set replicas: 0, wait until all pods are gone, then set it back",
            revision.lock
        );
    }
    format!(
        "{name} runs with another lock or database ({lock}) than the spec asks for ({}): set replicas: 0, wait until all pods are gone, then set it back",
        revision.lock
    )
}

/// S7: a pod that runs or may start, and takes a lock which one of the revision does not see.
fn unseen_lock<'a>(view: &View<'a>, revision: &Revision) -> Option<&'a Pod> {
    view.roles.pods().iter().find(|pod| {
        !pod.ended()
            && pod
                .revision
                .as_ref()
                .is_none_or(|other| !other.lock.sees(&revision.lock))
    })
}

/// S7: a pod that runs or may start, and whose `ADVISORY_LOCK_ID` may be another than that of a pod of the revision.
/// Of one whose id a Secret may set only the database can show that it is the node's own: that session has the lock of
/// that id. One that waits has the id of the one that it waits for.
fn has_the_same_lock_id(of: &Creation<'_>) -> Result<(), Denied> {
    let (roles, revision) = (of.view.roles, of.revision);
    let shown = |pod: &Pod| neighbours::has_the_known_lock(roles, &Holder::Pod(pod.id.clone()));
    let hides = |pod: &&Pod| pod.lock_id_hidden != revision.lock_id_hidden && !pod.ended();
    let relies = |pod: &&Pod| {
        let modes = evidence::mode(pod).zip(revision.lock.mode());
        modes.is_none_or(|(one, other)| one.sees_by_the_advisory_lock_alone(other))
    };
    let known = |pod: &Pod| {
        let same = |other: &Pod| other.lock_id_hidden == pod.lock_id_hidden && shown(other);
        shown(pod) || (pod.waits() && roles.pods().iter().any(same))
    };
    let mut others = roles.pods().iter().filter(hides).filter(relies);
    match others.find(|pod| !known(pod)) {
        Some(pod) => deny(
            Reason::LockDiffers,
            neighbours::hidden_message(&pod.id.name),
        ),
        None => Ok(()),
    }
}

/// S7, S9: the database names another holder than the active that works: a pod made now would read the same URL.
fn nobody_else_holds_the_lock(of: &Creation<'_>) -> Result<(), Denied> {
    let database = of.view.roles.database;
    let asked = |active: &&Pod| {
        let wanted = database.wanted != Verification::Never;
        wanted && evidence::has_spoken_since(database, active)
    };
    let active = of.view.roles.active_at_work().filter(asked);
    match active.map(|active| evidence::of_holder(database, active)) {
        Some(Evidence::Contradicts(message)) => deny(Reason::DatabaseContradicts, message),
        Some(Evidence::Agrees | Evidence::Missing(..)) | None => Ok(()),
    }
}

/// S7: nobody outside of the resource takes the database by a lock that the pod would not see.
fn sees_the_locks_of_others(of: &Creation<'_>) -> Result<(), Denied> {
    neighbours::refuse(of.view, of.revision)
}

/// S6: a version newer than `version` that was started, and may have held the lock.
fn newer_may_have_held(view: &View<'_>, version: &NodeVersion) -> Option<NodeVersion> {
    let started = view.memory.may_have_held.as_ref()?;
    let newest = remembered::may_have_held(view.memory).filter(|newest| newest > version)?;
    let reserved = view.memory.creating.as_ref();
    let never_ran = started.pods.iter().all(|name| {
        // The pod that is about to be made takes its name: one of the two comes to be, and it is seen which.
        let gives_way = reserved.is_some_and(|reserved| reserved.pod == *name);
        gives_way
            || view.roles.pods().iter().any(|pod| {
                pod.id.name == *name && matches!(pod.container, Container::NotStarted { .. })
            })
    });
    // A newer version was started. It has not held the lock if the active has had it all the time:
    // it answers now, and every newer pod waits, or has never run.
    let active_kept_it = view.roles.active_at_work().is_some()
        && view
            .roles
            .pods()
            .iter()
            .filter(|pod| !pod.ended())
            .all(|pod| {
                let older = pod
                    .revision
                    .as_ref()
                    .is_some_and(|other| other.version <= *version);
                older
                    || view.roles.is_active(pod)
                    || matches!(pod.container, Container::NotStarted { .. })
                    || (pod.waits() && !pod.deleted && pod.answered_since(before(view.now, FRESH)))
            });
    (!never_ran && !active_kept_it).then_some(newest)
}
