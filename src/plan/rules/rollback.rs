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

use crate::api::{Memory, Migrated, RevisionName, Shown, Upgrade, Verification};
use crate::domain::{
    Container, DatabaseView, Holder, Pod, Reason, Revision, Says, Wanted, remembered,
};
use crate::plan::cause::Cause;
use crate::plan::decision::Decision;
use crate::plan::guard;
use crate::plan::guard::Permit;
use crate::plan::limits::{FRESH, GONE, LOST, before};
use crate::plan::standing::Standing;
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};

/// How soon to look again when the database is to answer.
const SOON: Duration = Duration::from_millis(500);

/// How far the way back is, read from what is remembered of the upgrade. The upgrade itself is forgotten, in any stage,
/// once the newer version works or nothing is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage<'m> {
    /// The successor has not been seen to have the lock and end. Its end leads to `Crashed`.
    Watching,
    /// It had the lock and ended: what the database says since then counts, and pods of newer versions that are down are
    /// removed. That all of them were asked to go leads to `Clearing`; what one has migrated, or that one is out of
    /// sight, to `Closed`.
    Crashed { since: Timestamp },
    /// Every pod of a newer version was asked to go. The end of the last one leads to `Cleared`; that one does not go, to
    /// `Closed`; that another one is there, back to `Crashed`.
    Clearing { crashed: Timestamp },
    /// No pod of a newer version is left. A database that shows nothing of it since, and is at peace, opens the way: the
    /// upgrade is forgotten. One that shows something, or says nothing for too long, leads to `Closed`.
    Cleared { since: Timestamp },
    /// There is no way back, for this reason. Only another upgrade leaves it.
    Closed { why: &'m str },
}

impl<'m> Stage<'m> {
    fn of(upgrade: &'m Upgrade) -> Self {
        if let Some(why) = &upgrade.no_way_back {
            return Self::Closed { why };
        }
        let Some(crashed) = upgrade.crashed else {
            return Self::Watching;
        };
        match (upgrade.removed, upgrade.cleared) {
            (None, _) => Self::Crashed { since: crashed },
            (Some(_), None) => Self::Clearing { crashed },
            (Some(_), Some(since)) => Self::Cleared { since },
        }
    }
}

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
    let revision = |name: &RevisionName| look.seen.revisions.get(name);
    let worked = memory.last_worked.as_ref().and_then(revision);
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
fn shown(database: &DatabaseView, since: Timestamp) -> Result<Shown, String> {
    let said = answer(database, since)?;
    let version = said.version.as_ref();
    let (Some(version), Some(schema)) = (version, said.schema) else {
        return Err("it does not show which version and migrations it is of".to_owned());
    };
    Ok(Shown {
        version: version.to_string(),
        schema,
    })
}

fn answer(database: &DatabaseView, since: Timestamp) -> Result<&Says, String> {
    if database.wanted == Verification::Never {
        return Err("spec.database.verification is Never".to_owned());
    }
    let Some(answer) = &database.answer else {
        return Err("it was not asked".to_owned());
    };
    let said = answer
        .said
        .as_ref()
        .map_err(|silence| silence.message.clone())?;
    if answer.at <= since {
        return Err("it has not answered since".to_owned());
    }
    // A replica may be behind.
    match said.read_only {
        Some(why) => Err(format!("the server takes no writes ({why})")),
        None => Ok(said),
    }
}

/// What an answer to a question put after `since` says.
fn found(upgrade: &Upgrade, database: &DatabaseView, since: Timestamp) -> Found {
    let Some(before) = &upgrade.before else {
        return Found::Unknown("it was not asked".to_owned());
    };
    let now = match shown(database, since) {
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
fn at_peace(database: &DatabaseView, since: Timestamp) -> Result<(), String> {
    let said = answer(database, since)?;
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
    let open = match Stage::of(upgrade) {
        Stage::Watching | Stage::Closed { .. } => false,
        // A pause stops no pod, and keeps nothing that is lost from coming back.
        Stage::Crashed { .. } => !look.seen.intent.policy.paused,
        Stage::Clearing { .. } | Stage::Cleared { .. } => true,
    };
    if !open || look.seen.intent.replicas == 0 {
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
    let newer = remembered::upgraded_to(upgrade)?;
    let migrated_by = remembered::migrated_before(upgrade)?;
    goal.filter(|goal| {
        let too_old = if memory.last_worked.as_ref() == Some(&goal.name) {
            goal.version.is_too_old_to_return_to(&migrated_by)
        } else {
            goal.version.is_too_old_for(&migrated_by)
        };
        goal.version < newer && !too_old
    })
}

/// Whether the newer version is still wanted, and its successor had the lock and ended.
fn has_failed(memory: &Memory, upgrade: &Upgrade) -> bool {
    let wanted = memory.wanted_name();
    wanted == Some(&upgrade.to) && matches!(Standing::of(memory, &upgrade.to), Standing::Crashed(_))
}

/// Whether a pod is, or may be, of a newer version than the goal.
fn is_newer(pod: &Pod, goal: &Revision) -> bool {
    let says = pod.says_version().is_some_and(|said| said > goal.version);
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
    if let Stage::Cleared { since: cleared } = Stage::of(&upgrade) {
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
    let worked = memory.last_worked.as_ref();
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
    let making = look.may_come(memory).is_some_and(|creating| {
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
    let Some(upgrade) = upgrade.filter(|_| goal(memory, look).is_some()) else {
        return false;
    };
    match Stage::of(upgrade) {
        Stage::Watching | Stage::Closed { .. } => false,
        Stage::Crashed { since } | Stage::Clearing { crashed: since } => {
            answer(&look.seen.database, since).is_err()
        }
        Stage::Cleared { .. } => true,
    }
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
    let goes_on = match Stage::of(upgrade) {
        Stage::Watching | Stage::Closed { .. } => false,
        Stage::Crashed { since } => {
            matches!(found(upgrade, &view.seen.database, since), Found::Nothing)
        }
        Stage::Clearing { .. } | Stage::Cleared { .. } => true,
    };
    if !goes_on {
        return None;
    }
    let mut newer = view.seen.pods.iter().filter(|pod| is_newer(pod, goal));
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
        None => waits(view, upgrade, goal),
    })
}

/// Nothing can be done but to wait, which after the time of a standby a person is told. That the handover has failed is
/// told from the beginning.
fn waits(view: &View<'_>, upgrade: &Upgrade, goal: &Revision) -> Decision {
    let progress = Progress::at(Step::Restoring);
    let long_ago = before(view.now, view.seen.intent.standby_timeout);
    if view.has_failed() || upgrade.crashed.is_none_or(|crashed| crashed > long_ago) {
        return Decision::nothing(progress);
    }
    let newer = view.seen.pods.iter().find(|pod| is_newer(pod, goal));
    let what = newer.map_or_else(
        || {
            format!(
                "for the database's word that nothing is migrated: LockVerified says why it can't be asked; or set version to {} or newer",
                upgrade.version
            )
        },
        |pod| {
            format!(
                "for the end of {}, which is newer and may still take the lock: delete it, or set the version back to its own",
                pod.id.name
            )
        },
    );
    Decision::nothing(progress.blocked(Blocked {
        reason: Reason::WayBackAwaited,
        message: format!(
            "a pod of {} had the lock and ended, and the way back to {} waits {what}",
            upgrade.version, goal.version
        ),
        stalled: true,
    }))
}

/// Why the version before is not started again, and what to do, where the newer one had the lock and ended.
pub fn no_way_back(view: &View<'_>) -> Option<String> {
    let upgrade = view.memory.upgrade.as_ref()?;
    let Stage::Closed { why } = Stage::of(upgrade) else {
        return None;
    };
    if !has_failed(view.memory, upgrade) {
        return None;
    }
    let worked = view.last_worked()?;
    Some(format!(
        "{} is not started again, as {} may have migrated the database ({why}): correct the cause and change the spec; or set replicas: 0, restore a backup, and say so with the annotation chainlink-operator.dev/database-restored-to=VERSION",
        worked.version, upgrade.version
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form in which an operator may have written it.
    #[test]
    fn the_stage_is_read_from_what_was_written() {
        let (crashed, removed, cleared) = (
            Timestamp::constant(1, 0),
            Timestamp::constant(2, 0),
            Timestamp::constant(3, 0),
        );
        let times = |bits: u8| Upgrade {
            crashed: (bits & 1 > 0).then_some(crashed),
            removed: (bits & 2 > 0).then_some(removed),
            cleared: (bits & 4 > 0).then_some(cleared),
            ..Upgrade::default()
        };
        for (bits, stage) in [
            (0b000, Stage::Watching),
            (0b001, Stage::Crashed { since: crashed }),
            (0b011, Stage::Clearing { crashed }),
            (0b101, Stage::Crashed { since: crashed }),
            (0b111, Stage::Cleared { since: cleared }),
            // No operator writes these.
            (0b010, Stage::Watching),
            (0b100, Stage::Watching),
            (0b110, Stage::Watching),
        ] {
            assert_eq!(Stage::of(&times(bits)), stage, "{bits:03b}");
            let closed = Upgrade {
                no_way_back: Some("it has migrated".to_owned()),
                ..times(bits)
            };
            let why = "it has migrated";
            assert_eq!(Stage::of(&closed), Stage::Closed { why }, "{bits:03b}");
        }
    }
}
