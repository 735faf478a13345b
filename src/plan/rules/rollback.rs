//! The way back from a newer version whose node took the lock and ended before it migrated anything.
//!
//! An older node does not start on what a newer one has migrated (rule S6). Whether that has happened only the
//! database can tell: what it showed right before the old active was stopped is kept, and compared with what it shows
//! once no pod of a newer version is left that could still migrate. The order in a node's boot is lock, version check,
//! backup, migrations, `node_versions` (`core/cmd/shell.go`, `handleNodeVersioning`, read): the migrations tell
//! earlier than the version does; and where that is the newer one the older node refuses. Any difference ends the way
//! back, so that it does not depend on this order.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Memory, Migrated, Shown, Upgrade, Verification};
use crate::domain::{Container, Holder, Pod, Revision, Says, Verified, Wanted};
use crate::node::NodeVersion;
use crate::plan::cause::Cause;
use crate::plan::decision::Decision;
use crate::plan::guard;
use crate::plan::guard::Permit;
use crate::plan::limits::{FRESH, GONE, LOST, before};
use crate::plan::step::{Progress, Step};
use crate::plan::view::{Look, View, distrusted};

/// How long to look again when the database is to answer.
const SOON: Duration = Duration::from_millis(500);

/// What the database says about the newer version.
enum Found {
    /// It has migrated nothing.
    Nothing,
    /// It has: what shows it.
    Something(String),
    /// Not known: why.
    Unknown(String),
}

/// The active is about to be stopped for a handover: what the database shows before it is kept, where the successor is
/// of a newer version.
pub fn note(memory: &mut Memory, look: &Look<'_>, permit: &Permit) {
    if !permit.active() {
        return;
    }
    let revision = |name: &str| look.seen.revisions.get(name);
    let worked = memory.last_worked.as_deref().and_then(revision);
    let newer = permit.to().and_then(revision).filter(|to| {
        worked.is_some_and(|worked| to.version > worked.version) // else there is no way back to be looked for
    });
    // How it ended nobody knows: on a lost machine it may go on.
    let gone = memory
        .may_have_held
        .as_ref()
        .is_some_and(|started| started.pods.iter().any(|name| name == GONE));
    memory.upgrade = newer.map(|to| {
        let shown = shown(&look.seen.database, before(look.now, FRESH));
        let unseen = shown
            .as_ref()
            .err()
            .map(|why| format!("what had been migrated before the handover was not seen: {why}"));
        let left =
            || gone.then(|| "a pod of a newer version was gone before the handover".to_owned());
        Upgrade {
            to: to.name.clone(),
            version: to.version.to_string(),
            held: memory.newest_held.clone(),
            no_way_back: unseen.or_else(left),
            before: shown.ok(),
            ..Upgrade::default()
        }
    });
}

/// What an answer to a question put after `since` shows, or why there is none.
fn shown(verified: &Verified, since: Timestamp) -> Result<Shown, String> {
    let said = answer(verified, since)?;
    let version = said.version.as_ref();
    let (Some(version), Some(schema)) = (version, said.schema) else {
        return Err("it does not show which version and migrations it is of".to_owned());
    };
    Ok(Shown {
        version: version.to_string(),
        schema,
    })
}

fn answer(verified: &Verified, since: Timestamp) -> Result<&Says, String> {
    if verified.wanted == Verification::Never {
        return Err("spec.database.verification is Never".to_owned());
    }
    let Some(word) = &verified.word else {
        return Err("it was not asked".to_owned());
    };
    let said = word
        .said
        .as_ref()
        .map_err(|silence| silence.message.clone())?;
    if word.at <= since {
        return Err("it has not answered since".to_owned());
    }
    // A replica may be behind.
    match said.read_only {
        Some(why) => Err(format!("the server takes no writes ({why})")),
        None => Ok(said),
    }
}

/// What an answer to a question put after `since` says.
fn found(upgrade: &Upgrade, verified: &Verified, since: Timestamp) -> Found {
    let Some(before) = &upgrade.before else {
        return Found::Unknown("it was not asked".to_owned());
    };
    let now = match shown(verified, since) {
        Ok(now) => now,
        Err(why) => return Found::Unknown(why),
    };
    if now.version != before.version {
        return Found::Something(format!(
            "node_versions names {}, which was {}",
            now.version, before.version
        ));
    }
    if now.schema != before.schema {
        let text = |of: Migrated| {
            let Migrated {
                highest,
                applied,
                columns,
            } = of;
            format!("migration {highest}, {applied} in all, {columns} columns")
        };
        return Found::Something(format!(
            "goose_migrations and the tables are at {}; they were at {}",
            text(now.schema),
            text(before.schema)
        ));
    }
    Found::Nothing
}

/// Whether nobody works on the database, nor could still do so after its pod is gone: no lock is held, and no session is
/// there of a node that is no pod of ours.
fn at_peace(verified: &Verified, since: Timestamp) -> Result<(), String> {
    let said = answer(verified, since)?;
    if said.lease != Holder::Nobody || said.advisory != Holder::Nobody {
        return Err("the lock is not free".to_owned());
    }
    if said.nodes_elsewhere > 0 {
        return Err("a node that is no pod of this resource has a session there".to_owned());
    }
    Ok(())
}

/// The older revision that is to work again: the last that worked, or what the spec has gone back to.
fn goal<'a>(memory: &Memory, look: &Look<'a>) -> Option<&'a Revision> {
    let upgrade = memory.upgrade.as_ref()?;
    let open = upgrade.no_way_back.is_none() && upgrade.crashed.is_some();
    // A pause stops no pod, and keeps nothing that is lost from coming back.
    let held = look.seen.intent.wishes.paused && upgrade.removed.is_none();
    if !open || held || look.seen.intent.replicas == 0 {
        return None;
    }
    let goal = if has_failed(memory, upgrade) {
        look.seen.revisions.get(memory.last_worked.as_ref()?)
    } else {
        match &look.seen.intent.wanted {
            Wanted::Revision(wanted) => Some(wanted),
            Wanted::Unusable(_) => None,
        }
    };
    let newer = upgrade.version.parse::<NodeVersion>().ok()?;
    let migrated_by = upgrade.before.as_ref()?.version.parse().ok()?;
    goal.filter(|goal| goal.version < newer && !goal.version.is_too_old_for(&migrated_by))
}

/// Whether the newer version is still wanted, and its successor had the lock and ended.
fn has_failed(memory: &Memory, upgrade: &Upgrade) -> bool {
    let wanted = memory.wanted_name();
    wanted == Some(&upgrade.to) && distrusted(memory, &upgrade.to)
}

/// Whether a pod is, or may be, of a newer version than the goal.
fn is_newer(pod: &Pod, goal: &Revision) -> bool {
    let says = pod.contradicting_version.as_ref().is_some_and(|said| {
        said.parse()
            .is_ok_and(|said: NodeVersion| said > goal.version)
    });
    says || pod
        .revision
        .as_ref()
        .is_none_or(|other| other.version > goal.version)
}

/// Its successor has had the lock and ended: what the database says from now on tells what that has left behind.
pub fn note_crash(memory: &mut Memory, look: &Look<'_>) {
    let failed = memory.upgrade.clone();
    if let Some(mut upgrade) = failed.filter(|upgrade| has_failed(memory, upgrade)) {
        upgrade.crashed = Some(look.now);
        memory.upgrade = Some(upgrade);
    }
}

/// A pod of a newer version that does not answer, or whose machine does not report.
fn out_of_sight<'a>(look: &Look<'a>, worked: &Revision) -> Option<&'a Pod> {
    let out_of_sight = |pod: &&Pod| {
        let lost = look.roles.lost.iter().any(|lost| lost.id == pod.id);
        let silent = pod.running() && look.roles.unheard(pod);
        is_newer(pod, worked) && (lost || silent || pod.stranded)
    };
    look.seen.pods.iter().find(out_of_sight)
}

fn lost(pod: &Pod) -> String {
    format!(
        "the machine of {} does not answer, and the pod may still take the lock there",
        pod.id.name
    )
}

/// Brings up to date what is known of the way back. Where it is found open, what the newer version may have held is
/// forgotten: it has migrated nothing, and no pod of it is left (rule S6).
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let Some(mut upgrade) = memory.upgrade.clone() else {
        return;
    };
    look_for_pods(&mut upgrade, memory, look);
    if let (Some(_), Some(crashed)) = (goal(memory, look), upgrade.crashed)
        && let Found::Something(what) = found(&upgrade, &look.seen.database, crashed)
    {
        upgrade.no_way_back = Some(what);
    }
    if let (Some(cleared), None) = (upgrade.cleared, &upgrade.no_way_back) {
        let peace = at_peace(&look.seen.database, cleared);
        match (found(&upgrade, &look.seen.database, cleared), peace) {
            (Found::Nothing, Ok(())) => {
                memory.newest_held = upgrade.held;
                memory.may_have_held = None;
                memory.upgrade = None;
                return;
            }
            (Found::Unknown(why), _) | (_, Err(why)) if cleared <= patience(look) => {
                upgrade.no_way_back = Some(format!("after its pods were gone: {why}"));
            }
            _ => {}
        }
    }
    memory.upgrade = Some(upgrade);
}

/// What began before this time has been waited for too long: a pod that crashes is better than none.
fn patience(look: &Look<'_>) -> Timestamp {
    before(look.now, look.roles.rescue + LOST)
}

/// Which pods of a newer version are left.
fn look_for_pods(upgrade: &mut Upgrade, memory: &Memory, look: &Look<'_>) {
    let (removed, cleared) = (upgrade.removed.take(), upgrade.cleared.take());
    let worked = memory.last_worked.as_deref();
    if let Some(worked) = worked.and_then(|worked| look.seen.revisions.get(worked))
        && let Some(pod) = out_of_sight(look, worked)
    {
        // Its object may be removed while its container goes on.
        upgrade.no_way_back.get_or_insert_with(|| lost(pod));
        return;
    }
    let Some(goal) = goal(memory, look) else {
        return;
    };
    let newer = || look.seen.pods.iter().filter(|pod| is_newer(pod, goal));
    let making = memory.creating.as_ref().is_some_and(|creating| {
        let revision = look.seen.revisions.get(&creating.revision);
        revision.is_none_or(|revision| revision.version > goal.version)
    });
    if making || newer().any(|pod| !pod.deleted) {
        return;
    }
    let removed = removed.unwrap_or(look.now);
    upgrade.removed = Some(removed);
    match newer().next() {
        None => upgrade.cleared = cleared.or(Some(look.now)),
        Some(pod) if removed <= patience(look) => {
            upgrade.no_way_back =
                Some(format!("{} was asked to stop and does not go", pod.id.name));
        }
        Some(_) => {}
    }
}

/// Whether the last answer of the database is of no use yet: it is older than what it has to tell of, or says that the
/// pods that are gone have left something behind.
pub fn asks(memory: &Memory, look: &Look<'_>) -> bool {
    let upgrade = memory.upgrade.as_ref();
    let upgrade = upgrade.filter(|_| goal(memory, look).is_some());
    let since = upgrade.and_then(|upgrade| upgrade.cleared.or(upgrade.crashed));
    let verified = &look.seen.database;
    since.is_some_and(|since| {
        answer(verified, since).is_err() || upgrade.is_some_and(|upgrade| upgrade.cleared.is_some())
    })
}

/// When to look again, where the way back is being looked for.
pub fn again(memory: &Memory, look: &Look<'_>) -> Option<Duration> {
    goal(memory, look).map(|_| SOON)
}

/// The newer version has taken the lock and ended, and the database shows nothing of it: its pods are removed, so
/// that none of them migrates after all, and the database is asked once more before an older one is made.
pub fn decide(view: &View<'_>) -> Option<Decision> {
    let goal = goal(view.memory, &view.look)?;
    let upgrade = view.memory.upgrade.as_ref()?;
    let nothing = matches!(
        found(upgrade, &view.seen.database, upgrade.crashed?),
        Found::Nothing
    );
    let mut newer = view.seen.pods.iter().filter(|pod| is_newer(pod, goal));
    if !nothing && upgrade.removed.is_none() {
        return None;
    }
    // One that runs may have the lock, and be the one that comes up after all: only what is down is removed.
    let down = newer.find(|pod| {
        let down = matches!(
            pod.container,
            Container::Down { .. } | Container::NotStarted { .. }
        );
        down && !pod.deleted && !view.roles.is_active(pod)
    });
    let permit = down.and_then(|pod| guard::stop_other(view, pod, Cause::RolledBack).ok());
    Some(match permit {
        Some(permit) => Decision::stop(permit, Step::Restoring),
        None => Decision::nothing(Progress::at(Step::Restoring)),
    })
}

/// Why the version before is not started again, and what to do, where the newer one had the lock and ended.
pub fn no_way_back(view: &View<'_>) -> Option<String> {
    let upgrade = view.memory.upgrade.as_ref()?;
    let why = upgrade.no_way_back.as_ref()?;
    if !has_failed(view.memory, upgrade) {
        return None;
    }
    let worked = view.last_worked()?;
    Some(format!(
        "{} is not started again, as {} may have migrated the database ({why}): correct the cause and change the spec; or set replicas: 0, restore a backup, and say so with the annotation chainlink-operator.dev/database-restored-to=VERSION",
        worked.version, upgrade.version
    ))
}
