//! Conditions, as kstatus reads them: Ready, Reconciling and Stalled; Available, Redundant and `LockVerified` beside.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::basis::{Report, Sharer};
use super::lock_verified::{lock_verified, of_an_outage};
use super::message::message;
use super::said::{Said, said, unknown};
use super::secrets_changed::{SECRETS_CHANGED, secrets_changed};
use super::update::{News, UPDATE_AVAILABLE, update_available};
use crate::domain::{Answered, Pod, Reason};
use crate::node::LockMode;
use crate::plan::{Blocked, Progress, Roles, Step, UNRESPONSIVE, has_its_sidecars, not_taken};

/// All conditions that a resource can have, each with its status where nothing calls for a look. Some are there only where they
/// have something to say.
pub(super) const CONDITIONS: [(&str, &str); 14] = [
    ("Ready", "True"),
    ("Reconciling", "False"),
    ("Stalled", "False"),
    ("Available", "True"),
    ("Redundant", "True"),
    ("LockVerified", "True"),
    ("Paused", "False"),
    ("ApprovalRequired", "False"),
    ("ChangePending", "False"),
    (DATABASE_SHARED, "False"),
    (SECRETS_CHANGED, "False"),
    ("Preferred", "True"),
    ("Drainable", "True"),
    (UPDATE_AVAILABLE, "False"),
];

/// The condition that another resource is on the same database.
pub(super) const DATABASE_SHARED: &str = "DatabaseShared";

/// All conditions; the time of one that has not changed its status is kept from `old`.
pub(super) fn conditions(
    report: &Report<'_>,
    roles: &Roles<'_>,
    news: &News,
    old: &[Condition],
) -> Vec<Condition> {
    let step = report.plan.progress.step;
    let blocked = report.blocked();
    let stalled = report.stalled();
    let text = message(report, roles);
    let reason = match (&blocked, step) {
        (Some(blocked), _) => blocked.reason.to_string(),
        (None, Step::External) => Reason::HolderExternal.to_string(),
        (None, step) => step.to_string(),
    };
    let ready = report.at_rest();
    let outage = not_taken(roles, &report.plan.memory, report.now);
    let contradicted = blocked.filter(|blocked| blocked.reason == Reason::DatabaseContradicts);
    let all = [
        said("Ready", ready, &reason, &text),
        said("Reconciling", !ready && !stalled, &reason, &text),
        said(
            "Stalled",
            stalled,
            if stalled {
                reason.as_str()
            } else {
                Reason::Progressing.as_str()
            },
            if stalled { text.as_str() } else { "" },
        ),
        match &outage {
            Some(outage) => said("Available", false, &outage.reason, &outage.message),
            None => available(roles, &report.plan.progress, contradicted, old, report.now),
        },
        match &outage {
            Some(outage) => said("Redundant", false, &outage.reason, NONE_HAS_WON),
            None => redundant(report, roles, step),
        },
        match &outage {
            Some(_) => of_an_outage(report.seen, roles),
            None => lock_verified(report.seen, roles, step, report.now),
        },
    ];
    let generation = report.node.metadata.generation;
    all.into_iter()
        .chain(paused(report))
        .chain(approval_required(report))
        .chain([change_pending(report)])
        .chain(database_shared(report))
        .chain(secrets_changed(report))
        .chain(preferred(report, roles))
        .chain([drainable(report, roles)])
        .chain(update_available(report, news, old))
        .map(|said| condition(said, generation, old, report.now))
        .collect()
}

/// The conditions where nothing was looked at: those of before, but for what keeps everything from going on.
pub(super) fn stalled_by(
    blocked: &Blocked,
    generation: Option<i64>,
    old: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let Blocked {
        reason, message, ..
    } = blocked;
    let told = [
        said("Ready", false, reason, message),
        said("Reconciling", false, reason, message),
        said("Stalled", true, reason, message),
    ];
    let mut all = told
        .map(|said| condition(said, generation, old, now))
        .to_vec();
    let others = old
        .iter()
        .filter(|old| !all.iter().any(|told| told.type_ == old.type_));
    let others: Vec<Condition> = others.cloned().collect();
    all.extend(others);
    all
}

fn condition(said: Said, generation: Option<i64>, old: &[Condition], now: Timestamp) -> Condition {
    let status = said.status;
    let since = old
        .iter()
        .find(|condition| condition.type_ == said.kind && condition.status == status)
        .map_or_else(
            || whole_seconds(now),
            |condition| condition.last_transition_time.clone(),
        );
    Condition {
        type_: said.kind.to_owned(),
        status: status.to_owned(),
        reason: said.reason,
        message: said.message,
        observed_generation: generation,
        last_transition_time: since,
    }
}

/// `metav1.Time` has whole seconds: anything finer would differ after the first read.
fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

const NONE_HAS_WON: &str =
    "pods wait for the lock, and none of them has won it since the last active ended";

fn available(
    roles: &Roles<'_>,
    progress: &Progress,
    contradicted: Option<Blocked>,
    old: &[Condition],
    now: Timestamp,
) -> Said {
    let step = progress.step;
    match roles.active {
        Some(active) if roles.unheard(active) => said(
            "Available",
            false,
            Reason::ActiveNotSeen,
            format!(
                "{} is active as far as is known, but does not answer{}",
                active.id.name,
                keeps_the_lock(active)
            ),
        ),
        Some(active) if step == Step::Booting && !serves(active) => boots(&active.id.name),
        Some(active) => with_its_sidecars(active, active_available(active, roles, old, now)),
        None if step == Step::External && contradicted.is_some() => unknown(
            "Available",
            Reason::DatabaseContradicts,
            contradicted.map_or_else(String::new, |blocked| blocked.message),
        ),
        None if step == Step::External => said(
            "Available",
            true,
            Reason::HolderExternal,
            "all pods wait: the lock is held by a node outside this resource",
        ),
        None if roles.order_unknown => unknown(
            "Available",
            Reason::OrderUnknown,
            "several pods have taken a lock, and it is not known yet which of them is the active",
        ),
        // Known from the database alone: it has said nothing yet.
        None => match progress.booting() {
            Some(taker) => boots(taker),
            None => said(
                "Available",
                false,
                Reason::NoActive,
                "no pod holds the lock",
            ),
        },
    }
}

/// A lease ends by itself; an advisory lock is kept for as long as the connection to the database lives
/// (measured on real nodes: for as long as a process is frozen, or until TCP gives up).
fn keeps_the_lock(active: &Pod) -> String {
    match active.revision.as_ref().map(|revision| &revision.lock) {
        None => String::new(),
        Some(lock) if lock.mode() == Some(LockMode::Lease) => String::new(),
        Some(lock) if lock.mode_text().is_empty() => String::new(),
        Some(lock) => format!(
            ". With {} its lock is free only once its connection to the database has ended: no takeover can come before. Deleting the pod frees it where its machine answers, pg_terminate_backend of its session where it does not",
            lock.mode_text()
        ),
    }
}

fn serves(active: &Pod) -> bool {
    let contact = active.contact.map(|contact| contact.answer);
    contact == Some(Answered::Serving)
}

/// What answers before a node's own server knows nothing but that it migrates.
fn boots(taker: &str) -> Said {
    said(
        "Available",
        false,
        Reason::ActiveBoots,
        format!(
            "{taker} holds the lock, and boots, dumps or migrates the database: it does not work yet"
        ),
    )
}

/// A Service leads to no pod with a container that is not ready.
fn with_its_sidecars(active: &Pod, told: Said) -> Said {
    match has_its_sidecars(active) {
        Err(denied) if told.status == "True" => said(
            "Available",
            false,
            denied.reason,
            format!("no Service leads to {}: {}", active.id.name, denied.message),
        ),
        _ => told,
    }
}

/// An active counts as available by its own HTTP alone.
fn active_available(active: &Pod, roles: &Roles<'_>, old: &[Condition], now: Timestamp) -> Said {
    let name = &active.id.name;
    let long_ago = now.checked_sub(UNRESPONSIVE).unwrap_or(Timestamp::MIN);
    let lately = active.http_at.is_some_and(|served| served > long_ago);
    let serves = said(
        "Available",
        true,
        Reason::ActiveServes,
        format!("{name} is active"),
    );
    let known = |condition: &Condition| {
        condition.type_ == serves.kind
            && condition.status == serves.status
            && condition.message == serves.message
    };
    match active.contact.map(|contact| contact.answer) {
        Some(Answered::Serving) => serves,
        Some(Answered::Starting) => boots(&active.id.name),
        Some(Answered::Refused) if !roles.refuses_for_long(active) => unknown(
            "Available",
            Reason::ActiveNotReached,
            format!("the port of {name} refuses since a moment ago: its container may have ended"),
        ),
        Some(Answered::Refused) => said(
            "Available",
            false,
            Reason::ActiveRefuses,
            format!("{name} holds the lock, and nothing listens on its port yet"),
        ),
        // One answer that was late says nothing.
        Some(Answered::Kubelet) if lately => serves,
        Some(Answered::Kubelet) if active.http_at.is_some() => said(
            "Available",
            false,
            Reason::ActiveUnresponsive,
            format!(
                "{name} holds the lock and its container runs, but its port does not answer any more{}",
                keeps_the_lock(active)
            ),
        ),
        // As after a restart of the operator: what was known a moment ago is not called into question.
        None if old.iter().any(known) => serves,
        Some(Answered::Kubelet) | None => unknown(
            "Available",
            Reason::ActiveNotReached,
            format!(
                "{name} holds the lock; whether it serves is not known, as its port can't be reached"
            ),
        ),
    }
}

/// There only while the resource is paused.
fn paused(report: &Report<'_>) -> Option<Said> {
    let paused = report.seen.intent.policy.paused;
    paused.then(|| said("Paused", true, Reason::PausedBySpec, "spec.paused is true"))
}

/// There only where another resource is on the same database.
fn database_shared(report: &Report<'_>) -> Option<Said> {
    let names = |such: fn(&&Sharer) -> bool| {
        let names = report.sharers.iter().filter(such);
        let names: Vec<&str> = names.map(|sharer| sharer.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let blind = names(|sharer| !sharer.sees).map(|names| {
        format!(
            "{names} asks for the same database by a lock that the pods of this resource do not see, and they not its: two nodes would work at once. The operator makes no pod of the one beside a pod of the other (rule S7). Make them one resource, go by way of spec.database.lock.mode: dual, or give each its own database"
        )
    });
    let beside = names(|sharer| sharer.sees).map(|names| {
        format!(
            "{names} runs pods on the same database, too: neither sees the other's versions and redundancy. When this is no move from the one to the other, make them one resource with more replicas; or give each its own database"
        )
    });
    let told: Vec<String> = blind.into_iter().chain(beside).collect();
    (!told.is_empty()).then(|| {
        said(
            DATABASE_SHARED,
            true,
            Reason::AnotherResource,
            told.join(". "),
        )
    })
}

/// There only where rollouts wait for a person.
fn approval_required(report: &Report<'_>) -> Option<Said> {
    report.seen.intent.policy.approval.as_ref()?;
    let blocked = report.blocked();
    let asked = blocked.filter(|blocked| blocked.reason == Reason::ApprovalRequired);
    let is = asked.is_some();
    let message = asked.map(|blocked| blocked.message).unwrap_or_default();
    let reason = if is {
        Reason::ApprovalRequired
    } else {
        Reason::NothingToApprove
    };
    Some(said("ApprovalRequired", is, reason, message))
}

/// A change of the spec waits for a person or for its time. It is no matter of Ready: what waits for a review or for Saturday
/// would be taken for a failed deployment, and be reverted.
fn change_pending(report: &Report<'_>) -> Said {
    match report.pending() {
        Some(waits) => said("ChangePending", true, waits.reason, waits.message),
        None => said("ChangePending", false, Reason::NothingPending, ""),
    }
}

/// There only where the spec prefers machines.
fn preferred(report: &Report<'_>, roles: &Roles<'_>) -> Option<Said> {
    let preferred = report.seen.intent.policy.preferred.as_ref()?;
    let Some(machines) = &report.seen.machines else {
        return Some(unknown(
            "Preferred",
            Reason::MachinesNotRead,
            MACHINES_NOT_READ,
        ));
    };
    let Some((active, name)) = roles
        .active
        .and_then(|active| Some((active, active.machine.as_ref()?)))
    else {
        return Some(unknown(
            "Preferred",
            Reason::NoActive,
            "no pod holds the lock",
        ));
    };
    let home = machines
        .get(name)
        .is_some_and(|machine| machine.carries(&preferred.labels));
    let pod = &active.id.name;
    let going_back = report.plan.memory.going_back.as_ref();
    let held = going_back.and_then(|going| Some((going.until?, going.because.as_ref()?)));
    let held = held.filter(|(until, _)| *until > report.now);
    Some(if let Some((until, because)) = held.filter(|_| !home) {
        said(
            "Preferred",
            false,
            Reason::FailbackHeld,
            format!(
                "{pod} is active on {name}, which is none of the preferred machines; it does not go back by itself before {until}: {because}. A switchover, or a change of the spec, ends the wait"
            ),
        )
    } else if home {
        said(
            "Preferred",
            true,
            Reason::OnPreferredMachine,
            format!("{pod} is active on {name}"),
        )
    } else {
        said(
            "Preferred",
            false,
            Reason::Elsewhere,
            format!("{pod} is active on {name}, which is none of the preferred machines"),
        )
    })
}

const MACHINES_NOT_READ: &str = "this operator may not read machines (Nodes): before a drain, move the active by a switchover (annotation chainlink-operator.dev/switchover)";

/// Whether a drain of a machine of its pods is answered by a handover.
fn drainable(report: &Report<'_>, roles: &Roles<'_>) -> Said {
    let intent = &report.seen.intent;
    let policy = &intent.policy;
    if report.seen.machines.is_none() {
        return said(
            "Drainable",
            false,
            Reason::MachinesNotRead,
            MACHINES_NOT_READ,
        );
    }
    if policy.paused {
        return said(
            "Drainable",
            false,
            Reason::Paused,
            "spec.paused is true: the active stays where it is",
        );
    }
    if intent.surge == 0 && intent.replicas == 1 {
        return said(
            "Drainable",
            false,
            Reason::NoRoom,
            "handover.surge: 0 leaves no room for a pod elsewhere: set handover.surge to 1 or replicas to 2 or more",
        );
    }
    // One is drained, and its active can't leave it.
    let machine = roles.active.and_then(|active| active.machine.as_ref());
    let machine = machine.and_then(|name| report.seen.machines.as_ref()?.get(name));
    let emptying = machine.is_some_and(|machine| machine.emptying.is_some());
    if let Some(blocked) = report.blocked().filter(|_| emptying && report.stalled()) {
        return said("Drainable", false, blocked.reason, blocked.message);
    }
    said(
        "Drainable",
        true,
        Reason::ByHandover,
        "a machine that is cordoned or drained is left by handover",
    )
}

/// Those that wait, and do not count: what is known against each.
fn unfit(roles: &Roles<'_>) -> String {
    let waiting = roles.waiting.iter();
    let against = waiting.filter_map(|pod| roles.against(pod).err());
    against.fold(String::new(), |told, denied| {
        format!("{told}; {}", denied.message)
    })
}

fn redundant(report: &Report<'_>, roles: &Roles<'_>, step: Step) -> Said {
    let replicas = report.seen.intent.replicas;
    let wanted = if step == Step::External {
        replicas
    } else {
        replicas.saturating_sub(1)
    };
    let standbys: Vec<&Pod> = roles.standbys().collect();
    let waiting = standbys.len();
    if wanted == 0 {
        return said(
            "Redundant",
            false,
            Reason::NoStandbyWanted,
            "replicas asks for no standby",
        );
    }
    if waiting < wanted {
        return said(
            "Redundant",
            false,
            Reason::StandbyMissing,
            format!(
                "{waiting} of {wanted} standbys wait for the lock{}",
                unfit(roles)
            ),
        );
    }
    let machines: BTreeSet<_> = roles
        .active
        .into_iter()
        .chain(standbys)
        .filter_map(|pod: &Pod| pod.machine.as_deref())
        .collect();
    if machines.len() < 2 {
        let machine = machines.first().copied().unwrap_or("one machine");
        return said(
            "Redundant",
            false,
            Reason::SameMachine,
            format!("all pods run on {machine}: its loss stops them all"),
        );
    }
    said(
        "Redundant",
        true,
        Reason::StandbysWait,
        format!("{waiting} of {wanted} standbys wait for the lock"),
    )
}
