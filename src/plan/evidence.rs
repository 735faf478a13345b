//! What the database's own word says for or against what is seen.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::cause::Denied;
use super::limits::{FRESH, before};
use crate::api::Verification;
use crate::domain::{DatabaseView, Holder, Pod, Reason, Says};
use crate::node::database::{SessionOf, names_an_app};
use crate::node::{LockMode, NodeVersion};

const LEASE: &str = "the lease";
const ADVISORY: &str = "the advisory lock";
/// Only both locks of dual mode together name the active.
const HALF_WAY: Reason = Reason::LeaseLost;

/// What an answer of the database is worth, for one pod in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It says the same.
    Agrees,
    /// It says otherwise: what it says.
    Contradicts(String),
    /// It says nothing: why, as a reason and as a sentence.
    Missing(Reason, String),
}

/// The lock that the pods of this one's revision take. `None` where that can't be told.
pub(super) fn mode(pod: &Pod) -> Option<LockMode> {
    pod.revision.as_ref()?.lock.mode()
}

/// Added to what stands against a stop although the last question was not answered.
const NOT_TAKEN_BACK: &str =
    " (so it said when it last answered; the question after that was not answered)";

/// Whether what holds the lock is the active, and another of its kind could have it from there.
pub fn of_active(database: &DatabaseView, active: &Pod) -> Evidence {
    of_server(database, active).or(|| of_holder(database, active))
}

/// Whether a pod that waits has its session where the active has the lock, and could get the lock there.
pub fn of_standby(database: &DatabaseView, active: &Pod, standby: &Pod) -> Evidence {
    of_server(database, standby)
        .or(|| of_migration(database, active, standby))
        .or(|| of_beginning(database, standby))
        .or(|| of_session(database, active, standby))
}

/// The address of a client that holds a lock and is no pod of the resource.
pub fn outside(said: &Says) -> Option<IpAddr> {
    [&said.lease, &said.advisory]
        .into_iter()
        .find_map(|holder| match holder {
            Holder::Elsewhere(address) => Some(*address),
            _ => None,
        })
}

/// The version that migrated the database last, as far as it has said so.
pub fn migrated_by(database: &DatabaseView) -> Option<&NodeVersion> {
    database.answer.as_ref()?.last()?.1.version.as_ref()
}

/// The major version of the server, as far as it has said so.
pub fn postgres(database: &DatabaseView) -> Option<u32> {
    database.answer.as_ref()?.last()?.1.postgres
}

impl Evidence {
    /// What stands against comes first.
    pub(super) fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Contradicts(_) => self,
            Self::Agrees | Self::Missing(..) => other(),
        }
    }
}

/// What the last answer says. Of one before a silence only what it says against counts, and only about what has been
/// as it is for longer than that: `since`.
fn weigh(
    database: &DatabaseView,
    since: Option<Timestamp>,
    judge: impl Fn(&Says) -> Evidence,
) -> Evidence {
    let missing = match answer(database) {
        Ok(said) => return judge(said),
        Err(missing) => missing,
    };
    let answer = database.answer.as_ref();
    let before = answer.and_then(|answer| answer.before.as_ref());
    match before
        .filter(|before| since < Some(before.at))
        .map(|before| judge(&before.says))
    {
        Some(Evidence::Contradicts(message)) => {
            Evidence::Contradicts(format!("{message}{NOT_TAKEN_BACK}"))
        }
        _ => missing,
    }
}

/// Whether this pod could get the lock from there, whoever has it now.
pub fn of_server(database: &DatabaseView, pod: &Pod) -> Evidence {
    weigh(database, None, |said| {
        if let Some(why) = said.read_only {
            return Evidence::Contradicts(format!(
                "the server that the database URL leads to takes no writes ({why}): no node can get the lock and work there. Let the URL lead to the primary, or allow writes"
            ));
        }
        if let Some(right) = said.missing_right
            && mode(pod).is_some_and(LockMode::uses_lease)
        {
            return Evidence::Contradicts(format!(
                "the role in the database URL has no right {right}: a waiting node would never get the lease, and print its waiting line all the same. Grant it to that role"
            ));
        }
        let version = pod.revision.as_ref().map(|revision| &revision.version);
        if said.version.is_some() && version > said.version.as_ref() {
            return may_migrate(said, pod);
        }
        Evidence::Agrees
    })
}

/// Whether a node of a newer version than the database is of could bring it up to its own.
fn may_migrate(said: &Says, newer: &Pod) -> Evidence {
    if !said.may_not_create {
        return Evidence::Agrees;
    }
    Evidence::Contradicts(format!(
        "the role in the database URL has no right to create tables in the schema: {} is of a newer version, and could not migrate the database once it has the lock. Grant it to that role (GRANT CREATE ON SCHEMA)",
        newer.id.name
    ))
}

/// Whether a pod of a newer version than the active could migrate the database, where that does not say of which it is.
fn of_migration(database: &DatabaseView, active: &Pod, standby: &Pod) -> Evidence {
    let version = |pod: &Pod| Some(pod.revision.as_ref()?.version.clone());
    weigh(database, None, |said| {
        if said.version.is_none() && version(standby) > version(active) {
            return may_migrate(said, standby);
        }
        Evidence::Agrees
    })
}

/// Whether what holds the lock is the active, and nobody works beside it by a lock that it does not see (rule S7).
pub(super) fn of_holder(database: &DatabaseView, active: &Pod) -> Evidence {
    let took = active.took.map(|took| took.at);
    weigh(database, took, |said| {
        let beside = mode(active).and_then(|mode| unseen(database, said, mode));
        match beside {
            Some(other) => Evidence::Contradicts(format!(
                "{other}, which {} does not see: two nodes may be at work",
                active.id.name
            )),
            None => holds(said, active),
        }
    })
}

/// Who holds a lock that a node in this mode does not see, as far as the database has said: in words, for people. Not
/// meant is a node in `dual` mode, which waits for either lock, and for which either waits.
pub(super) fn unseen_holder(database: &DatabaseView, mode: LockMode) -> Option<String> {
    if database.wanted == Verification::Never {
        return None;
    }
    let (_, said) = database.answer.as_ref()?.last()?;
    unseen(database, said, mode)
}

fn unseen(database: &DatabaseView, said: &Says, mode: LockMode) -> Option<String> {
    let answer = database.answer.as_ref()?;
    let (holder, lock, is_dual) = match mode {
        LockMode::Dual => return None,
        LockMode::Lease => (
            &said.advisory,
            ADVISORY,
            answer.advisory_is_of_a_leaseholder(said),
        ),
        // Who may not read the row does not know whether anybody has the lease.
        LockMode::Advisory if said.lease_client.is_none() => return None,
        LockMode::Advisory => (&said.lease, LEASE, said.one_client_has_both()),
    };
    if is_dual || database.duals.contains(holder) {
        return None;
    }
    if *holder == Holder::Nobody {
        return None;
    }
    let who = client(holder);
    Some(format!("in the database {who} holds {lock}"))
}

/// Who holds a lock, in words.
fn client(holder: &Holder) -> String {
    match holder {
        Holder::Nobody => "nobody".to_owned(),
        Holder::Pod(pod) => pod.name.clone(),
        Holder::Elsewhere(address) => format!("a client at {address}"),
        Holder::Unseen => "a client that is not shown".to_owned(),
    }
}

/// Whether the id of whoever holds a lock is known, and that of the active, too: were they the same, the active would have
/// been named as the holder, wherever its sessions come from.
fn is_anothers(said: &Says, active: &Pod, lock: &str) -> bool {
    let names_its_holder = if lock == LEASE {
        said.lease_client.is_some()
    } else {
        said.advisory_session.as_deref().is_some_and(names_an_app)
    };
    names_its_holder && said.identified.contains(&active.id)
}

/// Whether the database was asked after the pod had taken its lock, and answered.
pub(super) fn has_spoken_since(database: &DatabaseView, active: &Pod) -> bool {
    let answered = asked(database);
    let took = active.took.map(|took| took.at);
    answered.is_some() && answered > took
}

fn holds(said: &Says, active: &Pod) -> Evidence {
    let name = &active.id.name;
    let mode = mode(active);
    let held = match mode {
        Some(LockMode::Advisory) => vec![(&said.advisory, ADVISORY)],
        Some(LockMode::Dual) => vec![(&said.lease, LEASE), (&said.advisory, ADVISORY)],
        Some(LockMode::Lease) | None => vec![(&said.lease, LEASE)],
    };
    let has_advisory = said.advisory == Holder::Pod(active.id.clone());
    let mut unseen = None;
    for (holder, lock) in held {
        match holder {
            Holder::Pod(pod) if *pod == active.id => {}
            // A standby takes the lease of an active that is frozen or cut off, and then waits for the advisory
            // lock: the stop of the active frees that (measured).
            Holder::Pod(_) | Holder::Nobody
                if mode == Some(LockMode::Dual) && lock == LEASE && has_advisory =>
            {
                unseen = Some(Evidence::Missing(
                    HALF_WAY,
                    format!(
                        "{name} has the advisory lock and no longer the lease: it is frozen, or cut off from the database"
                    ),
                ));
            }
            Holder::Pod(pod) => {
                return Evidence::Contradicts(format!(
                    "in the database {} holds {lock}, not {name}",
                    pod.name
                ));
            }
            Holder::Nobody => {
                return Evidence::Contradicts(format!(
                    "in the database that the URL leads to nobody holds {lock}: {name} has lost it, or works on another server or database. A node that has lost its lock ends by itself: delete the pod where it does not"
                ));
            }
            Holder::Elsewhere(_) | Holder::Unseen if is_anothers(said, active, lock) => {
                let who = client(holder);
                return Evidence::Contradicts(format!(
                    "in the database that the URL leads to {who} holds {lock}, whose id is not that of {name}: {name} has lost it, or works on another server or database"
                ));
            }
            Holder::Elsewhere(_) if said.sessions.is_empty() => unseen = Some(addresses_hidden()),
            Holder::Elsewhere(address) => {
                return Evidence::Contradicts(format!(
                    "in the database a client at {address}, which is no pod of this resource, holds {lock}, not {name}: find out what it is, and stop it"
                ));
            }
            Holder::Unseen => {
                unseen = Some(Evidence::Missing(
                    Reason::HolderUnknown,
                    format!("the database does not show which client holds {lock}"),
                ));
            }
        }
    }
    unseen.unwrap_or(Evidence::Agrees)
}

/// A client of such a pooler has a session of the server's for the time of a transaction only. What it says of its waiting is
/// worth nothing there: every error of a try, but for a connection that is closed, prints the same line.
const OR_POOLED: &str = ", or a pooler in transaction mode is between, behind which no node works: set it to session mode (PgBouncer: pool_mode = session)";

/// Whether a pod that waits has its session where the active has its own.
fn of_session(database: &DatabaseView, active: &Pod, standby: &Pod) -> Evidence {
    weigh(database, standby.waiting, |said| {
        let (waits, works) = (&standby.id.name, &active.id.name);
        has_session(
            said,
            standby,
            said.sessions.contains_key(&active.id),
            || {
                format!(
                    "{waits} says that it waits, but has no session in the database in which {works} holds the lock: it sits on another server or database{OR_POOLED}"
                )
            },
        )
    })
}

/// Whether a session of the pod that waits began when sessions could write.
pub fn of_beginning(database: &DatabaseView, standby: &Pod) -> Evidence {
    // One that waits for the advisory lock alone gets that without a write (measured).
    if mode(standby).is_some_and(|mode| !mode.uses_lease()) {
        return Evidence::Agrees;
    }
    let spells = database.answer.as_ref().map(|answer| &answer.read_only);
    weigh(database, standby.waiting, |said| {
        match spells.filter(|spells| spells.bind(&standby.id, &said.begun)) {
            Some(_) => Evidence::Contradicts(format!(
                "{} began its session with the database while default_transaction_read_only was on for the database or the role, and keeps that setting: it can't get the lease. Delete the pod, and it is made anew",
                standby.id.name
            )),
            None => Evidence::Agrees,
        }
    })
}

/// What the database says against a pod that waits, where it is asked: it could not get the lock there, or has no session
/// there.
pub(super) fn against_standby(
    database: &DatabaseView,
    active: Option<&Pod>,
    standby: &Pod,
) -> Option<String> {
    if database.wanted == Verification::Never {
        return None;
    }
    let by_session = || match active {
        Some(active) if standby.waiting < asked(database) => of_session(database, active, standby),
        // One that came to wait after the question is not in the answer.
        Some(_) => Evidence::Agrees,
        None => of_session_beside(database, standby),
    };
    match of_server(database, standby)
        .or(|| of_beginning(database, standby))
        .or(by_session)
    {
        Evidence::Contradicts(message) => Some(message),
        Evidence::Agrees | Evidence::Missing(..) => None,
    }
}

/// Whether a pod that waits has its session where another pod has its own.
pub fn of_session_beside(database: &DatabaseView, standby: &Pod) -> Evidence {
    // One that came to wait after the question is not in the answer.
    if standby.waiting >= asked(database) {
        return Evidence::Agrees;
    }
    weigh(database, standby.waiting, |said| {
        has_session(said, standby, !said.sessions.is_empty(), || {
            format!(
                "{} says that it waits, but has no session in the database that the URL leads to: it sits on another server or database{OR_POOLED}",
                standby.id.name
            )
        })
    })
}

fn has_session(
    said: &Says,
    standby: &Pod,
    others_are_seen: bool,
    otherwise: impl FnOnce() -> String,
) -> Evidence {
    let named = standby
        .revision
        .as_ref()
        .is_none_or(|revision| revision.version.names_its_sessions());
    match said.sessions.get(&standby.id) {
        Some(SessionOf::Node) => Evidence::Agrees,
        // All that there is to know of one before 1.1.
        Some(SessionOf::Unclear) if !named => Evidence::Agrees,
        Some(SessionOf::Unclear) => Evidence::Missing(
            Reason::SessionUnnamed,
            format!(
                "the database shows a session from the address of {}, but not that it is the node's",
                standby.id.name
            ),
        ),
        _ if !others_are_seen => Evidence::Missing(
            Reason::AddressesHidden,
            "the active's own session is not seen at the database by its address".to_owned(),
        ),
        // Only where its id is known it would have been found wherever it comes from.
        Some(SessionOf::Stranger) | None
            if said.nodes_elsewhere > 0 && !said.identified.contains(&standby.id) =>
        {
            Evidence::Missing(
                Reason::AddressesHidden,
                format!(
                    "the database shows sessions of nodes from addresses that are no pod's, and one of them may be that of {}",
                    standby.id.name
                ),
            )
        }
        Some(SessionOf::Stranger) | None => Evidence::Contradicts(otherwise()),
    }
}

/// Whether the lock that a pod waits for was free for longer than a takeover needs.
pub fn of_free_lock(database: &DatabaseView, standby: &Pod, rescue: Duration) -> Evidence {
    let Some(answer) = &database.answer else {
        return Evidence::Agrees;
    };
    let (free, lock) = match mode(standby) {
        Some(LockMode::Lease) => (answer.free.lease, LEASE),
        Some(LockMode::Advisory) => (answer.free.advisory, ADVISORY),
        // One of the two may wait for the other.
        Some(LockMode::Dual) => (
            answer
                .free
                .lease
                .zip(answer.free.advisory)
                .map(|(lease, advisory)| lease.max(advisory)),
            "either lock",
        ),
        None => (None, LEASE),
    };
    let long_ago = asked(database).map(|asked| before(asked, rescue));
    if free.is_none() || free > long_ago || standby.waiting > long_ago {
        return Evidence::Agrees;
    }
    Evidence::Contradicts(format!(
        "{} says that it waits, but in the database that the URL leads to nobody holds {lock}: it could not get the lock, or sits on another server or database",
        standby.id.name
    ))
}

/// When the last answer was asked for.
fn asked(database: &DatabaseView) -> Option<Timestamp> {
    Some(database.answer.as_ref()?.last()?.0)
}

pub fn addresses_hidden() -> Evidence {
    Evidence::Missing(
        Reason::AddressesHidden,
        "no address of a pod is seen at the database: a pooler or a translation of addresses stands between"
            .to_owned(),
    )
}

pub fn answer(database: &DatabaseView) -> Result<&Says, Evidence> {
    match &database.answer {
        None => Err(Evidence::Missing(
            Reason::NotAskedYet,
            "the database was not asked yet".to_owned(),
        )),
        Some(answer) => answer
            .said
            .as_ref()
            .map_err(|silence| Evidence::Missing(silence.reason.clone(), silence.message.clone())),
    }
}

/// The active may be stopped for this successor, as far as the database is concerned. What it says against it
/// counts until it says otherwise; that it agrees has to be fresh.
pub fn permits(
    database: &DatabaseView,
    active: &Pod,
    successor: &Pod,
    now: Timestamp,
) -> Result<(), Denied> {
    if database.wanted == Verification::Never {
        return Ok(());
    }
    // Rights are those that the successor needs: the active may have another lock.
    let evidence = [
        of_holder(database, active),
        of_standby(database, active, successor),
    ];
    let against = evidence.iter().find_map(|evidence| match evidence {
        Evidence::Contradicts(message) => Some(message),
        Evidence::Agrees | Evidence::Missing(..) => None,
    });
    if let Some(message) = against {
        return Err(Denied {
            reason: Reason::DatabaseContradicts,
            message: message.clone(),
        });
    }
    if database.wanted != Verification::Required {
        return Ok(());
    }
    for evidence in evidence {
        match evidence {
            // With HALF_WAY the database was asked; it says what makes a takeover wait for this stop.
            Evidence::Missing(reason, message) if reason != HALF_WAY => {
                return Err(not_asked(&message));
            }
            Evidence::Missing(..) | Evidence::Agrees | Evidence::Contradicts(_) => {}
        }
    }
    let fresh = database
        .answer
        .as_ref()
        .is_some_and(|answer| answer.at >= before(now, FRESH));
    if fresh {
        Ok(())
    } else {
        Err(not_asked("the last answer is too old"))
    }
}

fn not_asked(why: &str) -> Denied {
    Denied {
        reason: Reason::DatabaseNotAsked,
        message: format!("spec.database.verification is Required, and {why}"),
    }
}
