//! The rules that every stop and every creation passes. A stop without a [`Permit`] does not compile,
//! and only this module makes one.

use std::fmt;

use jiff::Timestamp;

use super::census::{Census, before};
use super::database::{self, Evidence};
use super::relocate::Purpose;
use super::{BACKOFF, FRESH, TAKEOVER, neighbours};
use crate::api::{Memory, Verification};
use crate::node::lock::see_each_other;
use crate::node::{ExitKind, LockMode, NodeVersion};
use crate::observe::{Answered, Contact, Container, Holder, Pod, PodId, Revision, Verified};

/// The right to stop one pod, as it stood in one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pod: PodId,
    resource_version: String,
    cause: Cause,
    active: bool,
    to: Option<String>,
    purpose: Purpose,
    never_started: bool,
    relies_on: Vec<PodId>,
}

/// What the stop of an active is for.
#[derive(Debug)]
pub(super) struct Goal<'a> {
    /// The revision of its successor.
    pub(super) revision: &'a Revision,
    /// The uids of the pods that may succeed it; any of the revision where there is none.
    pub(super) allowed: Option<&'a [String]>,
    pub(super) purpose: Purpose,
}

impl<'a> Goal<'a> {
    pub(super) fn rollout(revision: &'a Revision) -> Self {
        Self {
            revision,
            allowed: None,
            purpose: Purpose::Rollout,
        }
    }

    fn allows(&self, pod: &Pod) -> bool {
        pod.revision.as_ref() == Some(self.revision)
            && self
                .allowed
                .is_none_or(|allowed| allowed.contains(&pod.id.uid))
    }
}

impl Permit {
    pub fn pod(&self) -> &PodId {
        &self.pod
    }
    /// The version of the pod that the guard saw: the delete carries it.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
    /// Whether the pod was active.
    pub fn active(&self) -> bool {
        self.active
    }
    /// What the handover is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
    /// The revision that the handover is for.
    pub(super) fn to(&self) -> Option<&str> {
        self.to.as_deref()
    }
    /// Whether Kubernetes has said why the pod's container could not start.
    pub(super) fn never_started(&self) -> bool {
        self.never_started
    }
    /// The pods without which the stop would not be permitted: each of them has to answer right before it (rule S5).
    pub fn relies_on(&self) -> &[PodId] {
        &self.relies_on
    }
    /// The standby that is to take over.
    pub fn successor(&self) -> Option<&PodId> {
        match &self.cause {
            Cause::Handover { successor } => Some(successor),
            _ => None,
        }
    }
}

/// Why a pod is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The active, for a standby that waits.
    Handover { successor: PodId },
    /// The user asked for an end (`replicas: 0`).
    End,
    /// A standby of another revision, for the rollout.
    Replaced,
    /// A pod of a version that is no longer wanted, before it can win the lock.
    Abandoned,
    /// More pods than wanted.
    Surplus,
    /// It could take the lock instead of the pod that a move is meant for.
    Aside,
    /// Its machine is being emptied.
    Leaving,
    /// Seen to wait for the lock; the handover to it is held.
    Checked,
    /// It sits on another database (rule S9).
    Foreign,
    /// In back-off after its database was away.
    BackOff,
    /// Of a newer version that took the lock and ended before it migrated anything.
    RolledBack,
}

/// A rule that denies, and why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// CamelCase, for the condition.
    pub reason: &'static str,
    pub message: String,
}

pub(super) fn deny<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Denied> {
    Err(Denied {
        reason,
        message: message.into(),
    })
}

/// The guards, each of which the model can switch off to show that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// S1: another pod of the wanted revision waits.
    SuccessorWaits,
    /// S1: no pod of another revision could win instead.
    NoRival,
    /// S2: one stop at a time.
    OneStop,
    /// S3: a pod that can't be seen permits nothing.
    ActiveSeen,
    /// An active that boots or migrates is not interrupted.
    ActiveServes,
    /// S5: the successor answers now.
    SuccessorAnswers,
    /// S6: no older version after a newer one held the lock.
    NoOlder,
    /// S7: no pod beside one whose lock it can't see.
    SameLock,
    /// S9: a pod on another database is no successor, and not active.
    SameDatabase,
    /// S1, S9: the database does not say otherwise.
    DatabaseAgrees,
    /// A revision whose handover failed is not tried again.
    NotFailed,
}

/// Which guards are on. All of them, but in the model's mutation runs.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    #[cfg(test)]
    off: Option<Rule>,
}

impl Rules {
    pub const fn all() -> Self {
        Self {
            #[cfg(test)]
            off: None,
        }
    }

    #[cfg(test)]
    pub const fn without(rule: Rule) -> Self {
        Self { off: Some(rule) }
    }

    #[cfg(test)]
    pub(super) fn on(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    pub(super) const fn on(self, _: Rule) -> bool {
        true
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handover { successor } => write!(out, "handover to {}", successor.name),
            Self::End => out.write_str("replicas is 0"),
            Self::Replaced => out.write_str("replaced by a pod of the wanted revision"),
            Self::Abandoned => out.write_str("its version is no longer wanted"),
            Self::Surplus => out.write_str("more pods than wanted"),
            Self::Aside => {
                out.write_str("it could take the lock instead of the pod that is meant to")
            }
            Self::Leaving => out.write_str("its machine is being emptied"),
            Self::Checked => {
                out.write_str("it was seen to wait for the lock, and the handover is held")
            }
            Self::Foreign => out.write_str("it sits on another database"),
            Self::BackOff => out.write_str("it is in back-off and its database was away"),
            Self::RolledBack => out.write_str(
                "its version took the lock and ended before it migrated anything, and is rolled back",
            ),
        }
    }
}

fn permit(pod: &Pod, cause: Cause, active: bool) -> Permit {
    Permit {
        pod: pod.id.clone(),
        resource_version: pod.resource_version.clone(),
        cause,
        active,
        to: None,
        purpose: Purpose::Rollout,
        relies_on: Vec::new(),
        never_started: matches!(pod.container, Container::NotStarted { trouble: Some(_) }),
    }
}

pub(super) fn order_unknown() -> Denied {
    Denied {
        reason: "OrderUnknown",
        message:
            "several pods have taken the lock and nothing says which of them came last, or whether \
                  they use one database"
                .to_owned(),
    }
}

/// A pod that worked before the active took over, and still answers.
pub(super) fn suspect(pod: &Pod) -> Denied {
    Denied {
        reason: "SuspectAnswers",
        message: format!(
            "{} worked before another pod took the lock, and still answers: it is cut off from the database, or sits on another; it gets no traffic",
            pod.id.name
        ),
    }
}

/// S2: no other stop is under way.
fn one_stop(census: &Census<'_>, rules: Rules) -> Result<(), Denied> {
    match census.stopping.first() {
        Some(pod) if rules.on(Rule::OneStop) => Err(still_stopping(pod)),
        _ => Ok(()),
    }
}

pub(super) fn still_stopping(pod: &Pod) -> Denied {
    Denied {
        reason: "StopUnderWay",
        message: format!("{} is still stopping", pod.id.name),
    }
}

/// S2, S3, S9: the active of which nothing of its own forbids that it is stopped.
fn stoppable<'a>(
    census: &Census<'a>,
    memory: &Memory,
    goal: &Goal<'_>,
    now: Timestamp,
    rules: Rules,
) -> Result<&'a Pod, Denied> {
    if census.order_unknown {
        return Err(order_unknown());
    }
    let to = goal.revision;
    let Some(active) = census.active.filter(|pod| !pod.deleted) else {
        return deny("NoActive", "no active pod of ours is known");
    };
    one_stop(census, rules)?;
    if rules.on(Rule::ActiveSeen) && !active.answered_since(before(now, FRESH)) {
        return deny(
            "ActiveNotSeen",
            format!(
                "{} does not answer: what can't be seen is not stopped",
                active.id.name
            ),
        );
    }
    if rules.on(Rule::ActiveServes) && census.boots(active, memory) {
        return deny(
            "ActiveBoots",
            format!(
                "{} has the lock, and boots, dumps or migrates the database: it is not stopped before it serves (deleting it by hand overrules that)",
                active.id.name
            ),
        );
    }
    // Another of its own revision in the place of an active that does not answer is a failover, and none that is tried again.
    let again = goal.purpose != Purpose::Unresponsive;
    if rules.on(Rule::NotFailed) && again && memory.failed.as_deref() == Some(&to.name) {
        return deny(
            "HandoverFailed",
            format!(
                "a handover to revision {} has failed before; change the spec to try again",
                to.name
            ),
        );
    }
    if rules.on(Rule::SameDatabase)
        && let Some(pod) = census.foreign.first()
    {
        return deny("DatabaseDiffers", foreign_message(&pod.id.name));
    }
    Ok(active)
}

/// All that a handover needs, but for the end of those that could win instead: they are not set aside for
/// a handover that would then be denied.
pub(super) fn ready(
    census: &Census<'_>,
    memory: &Memory,
    verified: &Verified,
    goal: &Goal<'_>,
    now: Timestamp,
    rules: Rules,
) -> Result<(), Denied> {
    let active = stoppable(census, memory, goal, now, rules)?;
    successor(census, active, verified, goal, now, rules).map(|_| ())
}

/// S1, S2, S3, S5, S9: the active may be stopped for a handover to a pod that the goal allows.
pub(super) fn stop_active(
    census: &Census<'_>,
    memory: &Memory,
    verified: &Verified,
    goal: &Goal<'_>,
    now: Timestamp,
    rules: Rules,
) -> Result<Permit, Denied> {
    let active = stoppable(census, memory, goal, now, rules)?;
    if rules.on(Rule::NoRival)
        && let Some(rival) = rival(census, memory, active, goal)
    {
        return deny(
            "RivalStandby",
            format!(
                "{rival} is not one that the handover is meant for and could take the lock instead: its end is waited for. If its machine is gone for good, delete the Node object of that machine, or taint it node.kubernetes.io/out-of-service"
            ),
        );
    }
    let successor = successor(census, active, verified, goal, now, rules)?;
    let cause = Cause::Handover {
        successor: successor.id.clone(),
    };
    Ok(Permit {
        to: Some(goal.revision.name.clone()),
        purpose: goal.purpose,
        relies_on: vec![successor.id.clone()],
        ..permit(active, cause, true)
    })
}

/// S1: a pod of another revision, or one that the goal does not allow, that runs, or may, or is being made,
/// and could win the lock.
fn rival<'a>(
    census: &Census<'a>,
    memory: &'a Memory,
    active: &Pod,
    goal: &Goal<'_>,
) -> Option<&'a str> {
    let pod = census.pods().iter().find(|pod| {
        // A deleted one that is down is gone in a moment; on a machine that was lost it may have started again.
        let over = pod.ended();
        // One of the same revision is not feared, only to be avoided: a lost one is not waited for.
        let given_up = pod.revision.as_ref() == Some(goal.revision) && census.unheard(pod);
        let rival = !over && !given_up && !goal.allows(pod);
        rival && pod.id != active.id
    });
    let making = memory.creating.as_ref();
    pod.map(|pod| pod.id.name.as_str()).or_else(|| {
        making
            .filter(|creating| creating.revision != goal.revision.name || goal.allowed.is_some())
            .map(|creating| creating.pod.as_str())
    })
}

/// S1, S5, S9: the pod that a handover is meant for.
fn successor<'a>(
    census: &Census<'a>,
    active: &Pod,
    verified: &Verified,
    goal: &Goal<'_>,
    now: Timestamp,
    rules: Rules,
) -> Result<&'a Pod, Denied> {
    let mut why = Denied {
        reason: "NoSuccessor",
        message: format!(
            "no pod of revision {} waits for the lock",
            goal.revision.name
        ),
    };
    let candidates = census
        .pods()
        .iter()
        .filter(|pod| pod.id != active.id && !pod.deleted && goal.allows(pod));
    for pod in candidates {
        let fits = fit(pod, now, rules).and_then(|()| {
            if goal.purpose == Purpose::Unresponsive {
                in_sight(pod)?;
            }
            if rules.on(Rule::DatabaseAgrees) {
                database::permits(verified, active, pod, now)
            } else {
                Ok(())
            }
        });
        match fits {
            Ok(()) => return Ok(pod),
            Err(denied) => why = denied,
        }
    }
    Err(why)
}

/// Whether the node itself contradicts its waiting line.
pub(super) fn doubtful(pod: &Pod) -> Result<(), Denied> {
    match &pod.doubt {
        Some(doubt) => deny(
            "WaitingDoubtful",
            format!(
                "{} says that it waits, but could not win: {doubt}",
                pod.id.name
            ),
        ),
        None => Ok(()),
    }
}

/// Whether a pod waits, without contradiction, and answers now.
pub(super) fn fit(pod: &Pod, now: Timestamp, rules: Rules) -> Result<(), Denied> {
    let name = &pod.id.name;
    if rules.on(Rule::SuccessorWaits) && !pod.waits() {
        return deny("NoSuccessor", format!("{name} does not wait for the lock"));
    }
    if rules.on(Rule::SuccessorWaits) {
        doubtful(pod)?;
    }
    if let Some(version) = &pod.contradicting_version {
        return deny(
            "VersionDiffers",
            format!(
                "{name} says that it is version {version}: set spec.version to what the image holds"
            ),
        );
    }
    // Who answers at the address of a machine that was lost may be somebody else, and a container that has
    // ended refuses connections for as long as its network is there.
    let gone = if pod.stranded {
        Some("its machine does not report")
    } else {
        pod.log_ended
            .then_some("its log has ended, and its container with it")
    };
    if rules.on(Rule::SuccessorAnswers)
        && let Some(why) = gone
    {
        return deny("SuccessorNotSeen", format!("{name} waited, but {why}"));
    }
    let answers = pod.contact.is_some_and(|contact| {
        contact.at >= before(now, FRESH)
            && matches!(contact.answer, Answered::Refused | Answered::Kubelet)
    });
    if rules.on(Rule::SuccessorAnswers) && !answers {
        return deny(
            "SuccessorNotSeen",
            format!("{name} waited, but does not answer now"),
        );
    }
    Ok(())
}

/// An operator that is cut off from the ports of all pods would find every active silent: the successor's own
/// port has to be in sight.
fn in_sight(pod: &Pod) -> Result<(), Denied> {
    let refused = |contact: Contact| contact.answer == Answered::Refused;
    if pod.contact.is_some_and(refused) {
        return Ok(());
    }
    deny(
        "SuccessorPortNotSeen",
        format!(
            "the active does not answer, and the port of {} can't be reached either: the operator may be cut off from port 6688 of all pods, so nothing is stopped for it; look at network policies between the operator and the pods",
            pod.id.name
        ),
    )
}

pub(super) fn foreign_message(pod: &str) -> String {
    format!(
        "{pod} took a lock without waiting while the active was at work: it sits on another database. \
         If the Secret of spec.database.url was changed, change it back; a new database needs a new Secret name and replicas: 0 first. \
         A new pod is made after ten minutes, or with the next change of the spec"
    )
}

/// S2, S3: a pod that is not the active may be stopped.
pub(super) fn stop_other(
    census: &Census<'_>,
    memory: &Memory,
    pod: &Pod,
    cause: Cause,
    now: Timestamp,
    rules: Rules,
) -> Result<Permit, Denied> {
    one_stop(census, rules)?;
    if census.order_unknown {
        return Err(order_unknown());
    }
    if census.is_active(pod) {
        return deny("IsActive", format!("{} holds the lock", pod.id.name));
    }
    // That takeover has failed, which is known: nothing depends on its stop any more.
    let failed = cause == Cause::RolledBack;
    if !failed && takeover_awaited(census, memory, before(now, census.rescue)) {
        return deny(
            "TakeoverAwaited",
            "the active was stopped and its successor has not taken over yet",
        );
    }
    let harmless = match &pod.container {
        // Not even started, or not running: nothing is lost by its end. S6 still counts it.
        Container::NotStarted { .. } | Container::Down { .. } => true,
        Container::Running { .. } | Container::Ended { .. } => false,
    };
    if cause == Cause::RolledBack && !harmless {
        return deny(
            "ActiveNotSeen",
            format!("{} runs: it may have the lock", pod.id.name),
        );
    }
    let covers = census
        .active_at_work()
        .or_else(|| another_waits(census, memory, pod, now))
        .filter(|_| !harmless);
    if rules.on(Rule::ActiveSeen) && !harmless && covers.is_none() {
        return deny(
            "ActiveNotSeen",
            format!(
                "{} is not stopped while no active is seen at work: it may be the one that takes over",
                pod.id.name
            ),
        );
    }
    if cause == Cause::BackOff && !backed_off(census, pod, now) {
        return deny(
            "NotInBackOff",
            format!("{} is not in back-off", pod.id.name),
        );
    }
    Ok(Permit {
        relies_on: covers.iter().map(|pod| pod.id.clone()).collect(),
        ..permit(pod, cause, false)
    })
}

/// A handover has begun since `since`, and nobody has taken over: it is not to be forgotten for another
/// stop, as the rescue depends on it.
fn takeover_awaited(census: &Census<'_>, memory: &Memory, since: Timestamp) -> bool {
    census.active.is_none()
        && memory
            .stopping
            .as_ref()
            .is_some_and(|stop| stop.successor.is_some() && stop.at > since)
}

/// With an external holder there is no active of ours: a standby may go if another one stays. Not
/// before it is sure that it is not in the middle of its own takeover.
fn another_waits<'a>(
    census: &Census<'a>,
    memory: &Memory,
    pod: &Pod,
    now: Timestamp,
) -> Option<&'a Pod> {
    let long_ago = before(now, TAKEOVER);
    let outside = memory.unheld_since.is_some_and(|since| since <= long_ago);
    let there_before =
        matches!(pod.container, Container::Running { since, .. } if since <= long_ago);
    let may_go = outside
        && there_before
        && pod.waits()
        && pod.answered_since(before(now, FRESH))
        && census.active.is_none()
        && census.suspects.is_empty();
    let mut others = census.waiting.iter().copied();
    others
        .find(|other| other.id != pod.id && other.answered_since(before(now, FRESH)))
        .filter(|_| may_go)
}

/// In back-off after its database was away or it lost the lock, for long enough; or the database is back, as seen by
/// another pod that has come to wait since.
pub(super) fn backed_off(census: &Census<'_>, pod: &Pod, now: Timestamp) -> bool {
    let Container::Down { exit, restarts } = &pod.container else {
        return false;
    };
    let by_database = matches!(exit.kind, ExitKind::DatabaseAway | ExitKind::Deposed);
    let (true, true, Some(at)) = (*restarts > 0, by_database, exit.at) else {
        return false;
    };
    let back = |other: &Pod| {
        let waits = other.waiting.is_some_and(|since| since > at);
        other.id != pod.id && other.running() && waits
    };
    at <= before(now, BACKOFF) || census.pods().iter().any(back)
}

/// The user asked for an end: standbys first, then the active, one at a time.
pub(super) fn stop_for_end(census: &Census<'_>, rules: Rules) -> Result<Option<Permit>, Denied> {
    one_stop(census, rules)?;
    let next = census
        .pods()
        .iter()
        .filter(|pod| !pod.deleted && !pod.ended())
        .min_by_key(|pod| census.is_active(pod));
    Ok(next.map(|pod| permit(pod, Cause::End, census.is_active(pod))))
}

/// S9: a pod that sits on another database is stopped.
pub(super) fn stop_foreign(census: &Census<'_>, rules: Rules) -> Result<Option<Permit>, Denied> {
    let Some(pod) = census.foreign.iter().find(|pod| !pod.deleted) else {
        return Ok(None);
    };
    one_stop(census, rules)?;
    Ok(Some(permit(pod, Cause::Foreign, false)))
}

/// S6, S7: a pod of `revision` may be made.
pub(super) fn create(
    census: &Census<'_>,
    memory: &Memory,
    revision: &Revision,
    now: Timestamp,
    rules: Rules,
) -> Result<(), Denied> {
    refuse(census, memory, revision, rules)?;
    if rules.on(Rule::SameLock)
        && let Some(message) = other_holder(census)
    {
        return deny("DatabaseContradicts", message);
    }
    if rules.on(Rule::NoOlder)
        && let Some(newer) = newer_may_have_held(census, memory, &version_of(memory, revision), now)
    {
        return went_back(&newer, revision);
    }
    Ok(())
}

/// S6, S7: what no waiting heals. Nothing may be touched for a revision that is refused.
pub(super) fn refuse(
    census: &Census<'_>,
    memory: &Memory,
    revision: &Revision,
    rules: Rules,
) -> Result<(), Denied> {
    if rules.on(Rule::SameLock)
        && let Some(other) = unseen_lock(census, revision)
    {
        return deny("LockDiffers", lock_message(other, revision));
    }
    if rules.on(Rule::SameLock) {
        same_lock_id(census, revision)?;
        neighbours::refuse(census, memory, revision)?;
    }
    let version = version_of(memory, revision);
    if rules.on(Rule::NoOlder)
        && let Some(held) = newer_than(&version, memory.newest_held.as_deref())
    {
        return went_back(&held, revision);
    }
    if rules.on(Rule::NoOlder)
        && let Some(newer) = census.migrated_by.filter(|by| version.is_too_old_for(by))
    {
        return deny(
            "VersionWentBack",
            format!(
                "the database says that version {newer} has migrated it, on which {} could not start any more: set version to {newer} or newer; or set replicas: 0 and restore a backup",
                revision.version
            ),
        );
    }
    Ok(())
}

fn went_back(newer: &NodeVersion, revision: &Revision) -> Result<(), Denied> {
    deny(
        "VersionWentBack",
        format!(
            "version {newer} has, or may have, held the lock and migrated the database, on which {} could not start any more: set version to {newer} or newer; or set replicas: 0, restore a backup, and say so with the annotation chainlink-operator.dev/database-restored-to=VERSION",
            revision.version
        ),
    )
}

/// The version that pods of a revision are: what they have said, where it is not what the spec calls it.
fn version_of(memory: &Memory, revision: &Revision) -> NodeVersion {
    let said = memory.said.as_ref();
    said.filter(|said| said.revision == revision.name)
        .and_then(|said| said.version.parse().ok())
        .unwrap_or_else(|| revision.version.clone())
}

fn newer_than(version: &NodeVersion, text: Option<&str>) -> Option<NodeVersion> {
    text.and_then(|text| text.parse::<NodeVersion>().ok())
        .filter(|other| other > version)
}

fn lock_message(other: &Pod, revision: &Revision) -> String {
    let name = &other.id.name;
    let runs = other
        .revision
        .as_ref()
        .map_or("unknown", |revision| revision.lock.as_str());
    let both = format!("dual{}", runs.find(' ').map_or("", |end| &runs[end..]));
    if see_each_other(runs, &both) && see_each_other(&both, &revision.lock) {
        return format!(
            "{name} runs with another lock ({runs}) than the spec asks for ({}), and the two do not see each other. Without downtime: set spec.database.lock.mode to dual first, on a version that knows it (1.1 to 1.13 with environment configuration), wait until that is rolled out, and then set what you want. Or set replicas: 0, wait until all pods are gone, then set it back",
            revision.lock
        );
    }
    format!(
        "{name} runs with another lock or database ({runs}) than the spec asks for ({}): set replicas: 0, wait until all pods are gone, then set it back",
        revision.lock
    )
}

/// S7: a pod that runs or may start, and takes a lock which one of the revision does not see.
fn unseen_lock<'a>(census: &Census<'a>, revision: &Revision) -> Option<&'a Pod> {
    census.pods().iter().find(|pod| {
        !pod.ended()
            && pod
                .revision
                .as_ref()
                .is_none_or(|other| !see_each_other(&other.lock, &revision.lock))
    })
}

/// S7: a pod that runs or may start, and whose `ADVISORY_LOCK_ID` may be another than that of a pod of the revision.
/// Of one whose id a Secret may set only the database can show that it is the node's own: that session has the lock of
/// that id. One that waits has the id of the one that it waits for.
fn same_lock_id(census: &Census<'_>, revision: &Revision) -> Result<(), Denied> {
    let shown = |pod: &Pod| neighbours::has_the_known_lock(census, &Holder::Pod(pod.id.clone()));
    let hides = |pod: &&Pod| pod.lock_id_hidden != revision.lock_id_hidden && !pod.ended();
    let relies = |pod: &&Pod| {
        let modes = database::mode(pod).zip(LockMode::of(&revision.lock));
        modes.is_none_or(|(one, other)| one.sees_by_the_advisory_lock_alone(other))
    };
    let known = |pod: &Pod| {
        let same = |other: &Pod| other.lock_id_hidden == pod.lock_id_hidden && shown(other);
        shown(pod) || (pod.waits() && census.pods().iter().any(same))
    };
    let mut others = census.pods().iter().filter(hides).filter(relies);
    match others.find(|pod| !known(pod)) {
        Some(pod) => deny("LockDiffers", neighbours::hidden_message(&pod.id.name)),
        None => Ok(()),
    }
}

/// S7, S9: the database names another holder than the active that works: a pod made now would read the same URL.
fn other_holder(census: &Census<'_>) -> Option<String> {
    let active = census.active_at_work()?;
    let verified = census.verified;
    if verified.wanted == Verification::Never || !database::has_spoken_since(verified, active) {
        return None;
    }
    match database::of_holder(verified, active) {
        Evidence::Contradicts(message) => Some(message),
        Evidence::Agrees | Evidence::Missing(..) => None,
    }
}

/// S6: a version newer than `version` that was started, and may have held the lock.
fn newer_may_have_held(
    census: &Census<'_>,
    memory: &Memory,
    version: &NodeVersion,
    now: Timestamp,
) -> Option<NodeVersion> {
    let started = memory.may_have_held.as_ref()?;
    let newest = newer_than(version, Some(&started.version))?;
    let never_ran = started.pods.iter().all(|name| {
        census.pods().iter().any(|pod| {
            pod.id.name == *name && matches!(pod.container, Container::NotStarted { .. })
        })
    });
    // A newer version was started. It has not held the lock if the active has had it all the time:
    // it answers now, and every newer pod waits, or has never run.
    let active_kept_it = census.active_at_work().is_some()
        && census.pods().iter().filter(|pod| !pod.ended()).all(|pod| {
            let older = pod
                .revision
                .as_ref()
                .is_some_and(|other| other.version <= *version);
            older
                || census.is_active(pod)
                || matches!(pod.container, Container::NotStarted { .. })
                || (pod.waits() && !pod.deleted && pod.answered_since(before(now, FRESH)))
        });
    (!never_ran && !active_kept_it).then_some(newest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::tests::world::{World, v1};

    #[test]
    fn a_refusal_is_no_life_where_the_machine_does_not_report_or_the_log_has_ended() {
        let world = World::with(2).active("a", &v1()).standby("b", &v1());
        let waiting = |change: fn(&mut Pod)| {
            let mut look = world.look();
            let pod = look.pods.iter_mut().find(|pod| pod.id.name == "b");
            let pod = pod.unwrap();
            change(pod);
            fit(pod, world.now, Rules::all())
        };
        assert_eq!(waiting(|_| {}), Ok(()));
        let gone: [fn(&mut Pod); 2] = [|pod| pod.stranded = true, |pod| pod.log_ended = true];
        for gone in gone {
            assert_eq!(waiting(gone).unwrap_err().reason, "SuccessorNotSeen");
        }
    }
}
