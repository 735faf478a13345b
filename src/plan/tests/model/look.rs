//! Between the model and the planner: a cluster as the operator sees it, and its memory in a form in
//! which two that differ in nothing that matters are equal.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::check::{self, Check, TRIES};
use super::cluster::{Cluster, Does, KINDS, Known, NEVER, Nature, Pod, Sight};
use super::not_walked::unset;
use crate::api::{
    Attempt, Coming, Creation, DatabaseDiffers, FailedHow, LastActive, MayHaveHeld, Memory,
    Migrated, Shown, Stop, Trial, Upgrade, Validation, ValidationState, Verification,
    WantedRevision,
};
use crate::domain::{
    self, Answered, Checked, Contact, Container, DatabaseAnswer, DatabaseView, Exit, Holder,
    Intent, Machine, Observation, PodId, Problem, Reason, Revision, Says, Took, Trouble, Wanted,
};
use crate::node::database::SessionOf;
use crate::node::{ExitKind, Verdict};
use crate::plan::moves::pod_name;
use crate::plan::rules::oneshot::validate;

pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-01-01T12:00:00Z".parse().unwrap());

static NODE: LazyLock<PodId> = LazyLock::new(|| PodId {
    name: "cl".to_owned(),
    uid: "7".to_owned(),
});

/// The machine of those pods that are to leave theirs. The others need none.
const LEFT: &str = "left";

static MACHINES: LazyLock<BTreeMap<String, Machine>> = LazyLock::new(|| {
    let left = Machine {
        emptying: Some("cordoned".to_owned()),
        ready: true,
        ..Machine::default()
    };
    BTreeMap::from([(LEFT.to_owned(), left)])
});

/// Names by number. Number 0 is every pod that is gone.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let made = (1..16).map(|no| pod_name(&NODE, no));
    std::iter::once("gone".to_owned()).chain(made).collect()
});

static REVISIONS: LazyLock<Vec<Revision>> =
    LazyLock::new(|| KINDS.iter().map(super::cluster::Kind::revision).collect());

static KEPT: LazyLock<BTreeMap<String, Revision>> = LazyLock::new(|| {
    REVISIONS
        .iter()
        .map(|revision| (revision.name.clone(), revision.clone()))
        .collect()
});

/// The names of the pods that check, by revision and try.
static CHECKS: LazyLock<Vec<(u8, u8, String)>> = LazyLock::new(|| {
    let kinds = (0..).zip(&KINDS).filter(|(_, kind)| kind.valid.is_some());
    kinds
        .flat_map(|(kind, _)| (1..=TRIES).map(move |attempt| (kind, attempt)))
        .map(|(kind, attempt)| {
            let validation = validation(kind, attempt, ValidationState::Pending);
            (kind, attempt, validate::pod_name(&NODE, &validation))
        })
        .collect()
});

fn validation(kind: u8, attempt: u8, state: ValidationState) -> Validation {
    Validation {
        revision: revision(kind).name.clone(),
        attempt: attempt.into(),
        state,
        message: None,
    }
}

/// Revision and try of a pod that checks.
pub fn check_of(name: &str) -> (u8, u8) {
    let found = CHECKS.iter().find(|(_, _, known)| known == name);
    let (kind, attempt, _) = found.expect("a check of the model");
    (*kind, *attempt)
}

pub fn revision(kind: u8) -> &'static Revision {
    &REVISIONS[usize::from(kind)]
}

pub fn name(no: u8) -> &'static str {
    &NAMES[usize::from(no)]
}

pub fn number(name: &str) -> u8 {
    let place = NAMES.iter().position(|known| known == name);
    u8::try_from(place.expect("a pod of the model")).unwrap()
}

pub fn kind_of(revision: &str) -> u8 {
    let place = REVISIONS.iter().position(|known| known.name == revision);
    u8::try_from(place.expect("a revision of the model")).unwrap()
}

/// How long ago, as far as the planner makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ago {
    Moment,
    /// Longer than `settle`.
    Seconds,
    /// Longer than `LOST`, `RESCUE` and `BACKOFF`.
    HalfMinute,
    /// Longer than the standby timeout and `SUSPECTED`.
    TenMinutes,
}

impl Ago {
    fn at(self) -> Timestamp {
        *NOW - SignedDuration::from_secs(match self {
            Self::Moment => 1,
            Self::Seconds => 8,
            Self::HalfMinute => 60,
            Self::TenMinutes => 7200,
        })
    }

    fn of(at: Timestamp) -> Self {
        match NOW.duration_since(at).as_secs() {
            ..5 => Self::Moment,
            5..15 => Self::Seconds,
            15..600 => Self::HalfMinute,
            _ => Self::TenMinutes,
        }
    }
}

/// Between what was before something and what was after it.
const AFTER_WHAT_WAS_BEFORE: Duration = Duration::from_millis(2500);

/// The operator's memory, with pods and revisions by number and times by [`Ago`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mind {
    pub wanted: Option<(u8, Ago)>,
    pub last_worked: Option<u8>,
    pub newest_held: u8,
    /// Version, and a bit for each pod.
    pub may_have_held: Option<(u8, u16)>,
    pub creating: Option<(u8, u8)>,
    pub stopping: Option<Stopping>,
    pub last_active: Option<Active>,
    pub missing: Option<Ago>,
    pub failed: Option<u8>,
    pub set_aside: Option<u8>,
    pub unheld: Option<Ago>,
    pub differs: Option<(u8, Ago)>,
    /// Revision and try.
    pub validation: Option<(u8, u8, ValidationState)>,
    pub failed_how: Option<FailedHow>,
    pub trial: Option<OnTrial>,
    pub attempt: Option<Tried>,
    pub upgrade: Option<Upgrading>,
    /// Revision, since when, and whether its database was away.
    pub coming: Option<(u8, Ago, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OnTrial {
    pub kind: u8,
    pub before: u8,
    pub no: u8,
    pub since: Ago,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stopping {
    pub no: u8,
    pub active: bool,
    pub successor: Option<u8>,
    pub to: Option<u8>,
    pub ago: Ago,
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tried {
    pub to: u8,
    pub stopped: u8,
    pub since: Ago,
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upgrading {
    pub to: u8,
    pub held: u8,
    /// What the database showed before.
    pub before: Option<u8>,
    pub crashed: Option<Ago>,
    pub removed: Option<Ago>,
    pub cleared: Option<Ago>,
    pub no_way_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Active {
    pub no: u8,
    pub kind: u8,
    pub ended: Option<Ago>,
    pub planned: bool,
}

fn started(held: &MayHaveHeld) -> (u8, u16) {
    let MayHaveHeld { version, pods } = held;
    let pods = pods.iter().map(|pod| 1 << number(pod));
    (
        version_number(version),
        pods.fold(0, |all, pod: u16| all | pod),
    )
}

fn checking(validation: &Validation) -> (u8, u8, ValidationState) {
    let Validation {
        revision,
        attempt,
        state,
        message: _,
    } = validation;
    (kind_of(revision), u8::try_from(*attempt).unwrap(), *state)
}

fn coming_up(coming: &Coming) -> (u8, Ago, bool) {
    let Coming {
        revision,
        since,
        database_away,
        words: _,
    } = coming;
    (kind_of(revision), Ago::of(*since), *database_away)
}

impl OnTrial {
    fn of(trial: &Trial) -> Self {
        let Trial {
            revision,
            before,
            pod,
            since,
            // The pod carries it: `Known::by_trial`.
            ends: _,
        } = trial;
        Self {
            kind: kind_of(revision),
            before: kind_of(before),
            no: number_of_uid(pod),
            since: Ago::of(*since),
        }
    }
}

impl Stopping {
    fn of(stop: &Stop) -> Self {
        let Stop {
            pod,
            // Follows from the pod's name.
            uid: _,
            active,
            successor,
            to,
            reason: _,
            purpose: _,
            at,
            over,
        } = stop;
        Self {
            no: number(pod),
            active: *active,
            successor: successor.as_deref().map(number),
            to: to.as_deref().map(kind_of),
            ago: Ago::of(*at),
            over: *over,
        }
    }
}

impl Tried {
    fn of(attempt: &Attempt) -> Self {
        let Attempt {
            to,
            stopped,
            since,
            over,
            // The pods carry it: `Known::by_attempt`.
            ends: _,
        } = attempt;
        Self {
            to: kind_of(to),
            stopped: number_of_uid(stopped),
            since: Ago::of(*since),
            over: *over,
        }
    }
}

impl Upgrading {
    fn memory(self) -> Upgrade {
        let held = |version: u8| (version > 0).then(|| version_text(version));
        Upgrade {
            to: revision(self.to).name.clone(),
            version: version_text(KINDS[usize::from(self.to)].version),
            held: held(self.held),
            before: self.before.map(|version| Shown {
                version: version_text(version),
                schema: schema(version),
            }),
            crashed: self.crashed.map(Ago::at),
            removed: self.removed.map(Ago::at),
            cleared: self.cleared.map(Ago::at),
            no_way_back: self.no_way_back.then(String::new),
        }
    }

    fn of(upgrade: &Upgrade) -> Self {
        let Upgrade {
            to,
            // Follows from the revision.
            version: _,
            held,
            before,
            crashed,
            removed,
            cleared,
            no_way_back,
        } = upgrade;
        Self {
            to: kind_of(to),
            held: held.as_deref().map_or(0, version_number),
            before: before.as_ref().map(|shown| {
                // Follows from the version.
                let Shown { version, schema: _ } = shown;
                version_number(version)
            }),
            crashed: crashed.map(Ago::of),
            removed: removed.map(Ago::of),
            cleared: cleared.map(Ago::of),
            no_way_back: no_way_back.is_some(),
        }
    }
}

/// How far a version migrates the database.
fn schema(version: u8) -> Migrated {
    Migrated {
        highest: version.into(),
        applied: version.into(),
        columns: version.into(),
    }
}

impl Active {
    fn of(last: &LastActive) -> Self {
        let LastActive {
            // Follows from the uid.
            pod: _,
            uid,
            // Follows from the revision.
            version: _,
            revision,
            ended,
            planned,
            purpose: _,
        } = last;
        Self {
            no: number_of_uid(uid),
            kind: kind_of(revision),
            ended: ended.map(Ago::of),
            planned: *planned,
        }
    }
}

fn version_text(version: u8) -> String {
    format!("{}.0.0", version + 1)
}

pub fn version_number(text: &str) -> u8 {
    let (major, _) = text.split_once('.').unwrap();
    major.parse::<u8>().unwrap() - 1
}

fn uid(no: u8) -> String {
    format!("uid-{}", name(no))
}

fn number_of_uid(uid: &str) -> u8 {
    number(uid.strip_prefix("uid-").unwrap())
}

impl Mind {
    /// What the planner is given. `made` pods have been made so far. Every field is named, here and in
    /// [`Mind::of`]: a new one of the memory compiles once it is carried or stands in `NOT_WALKED`.
    pub fn memory(&self, cluster: &Cluster, made: u8) -> Memory {
        let name = |no: u8| name(no).to_owned();
        let revision = |kind: u8| revision(kind).name.clone();
        Memory {
            wanted: self.wanted.map(|(kind, ago)| WantedRevision {
                name: revision(kind),
                since: ago.at(),
            }),
            last_worked: self.last_worked.map(revision),
            newest_held: (self.newest_held > 0).then(|| version_text(self.newest_held)),
            may_have_held: self.may_have_held.map(|(version, pods)| MayHaveHeld {
                version: version_text(version),
                pods: (0..16)
                    .filter(|no| pods & (1 << no) != 0)
                    .map(name)
                    .collect(),
            }),
            pods_made: u32::from(made),
            creating: self.creating.map(|(no, kind)| Creation {
                pod: name(no),
                revision: revision(kind),
                at: Ago::Moment.at(),
            }),
            stopping: self.stopping.map(|stop| Stop {
                pod: name(stop.no),
                uid: uid(stop.no),
                active: stop.active,
                successor: stop.successor.map(name),
                to: stop.to.map(revision),
                reason: String::new(),
                purpose: None,
                at: stop.ago.at() - AFTER_WHAT_WAS_BEFORE,
                over: stop.over,
            }),
            last_active: self.last_active.map(|last| LastActive {
                pod: name(last.no),
                uid: uid(last.no),
                version: version_text(KINDS[usize::from(last.kind)].version),
                revision: revision(last.kind),
                ended: last.ended.map(Ago::at),
                planned: last.planned,
                purpose: None,
            }),
            missing_since: self.missing.map(Ago::at),
            failed: self.failed.map(revision),
            set_aside: self.set_aside.map(revision),
            unheld_since: self.unheld.map(Ago::at),
            database_differs: self.differs.map(|(no, ago)| DatabaseDiffers {
                pod: name(no),
                at: ago.at(),
                generation: 1,
            }),
            validation: self
                .validation
                .map(|(kind, attempt, state)| validation(kind, attempt, state)),
            failed_how: self.failed_how,
            trial: self.trial.map(|trial| Trial {
                revision: revision(trial.kind),
                before: revision(trial.before),
                pod: uid(trial.no),
                since: trial.since.at(),
                ends: Some(ends_known(cluster, trial.no, |pod| pod.known.by_trial)),
            }),
            attempt: self.attempt.map(|attempt| Attempt {
                to: revision(attempt.to),
                stopped: uid(attempt.stopped),
                since: attempt.since.at() - AFTER_WHAT_WAS_BEFORE,
                over: attempt.over,
                ends: cluster
                    .pods()
                    .iter()
                    .map(|pod| {
                        let known = ends_known(cluster, pod.no, |pod| pod.known.by_attempt);
                        (uid(pod.no), known)
                    })
                    .collect(),
            }),
            coming: self.coming.map(|(kind, since, database_away)| Coming {
                revision: revision(kind),
                since: since.at(),
                database_away,
                words: None,
            }),
            said: None,
            restored: None,
            failed_because: None,
            upgrade: self.upgrade.map(Upgrading::memory),
            switchover: None,
            earlier_switchovers: Vec::new(),
            drill: None,
            drills_since: None,
            drill_schedule: None,
            going_back: None,
            unresponsive: None,
            secrets: None,
            checked: None,
            check_failed: None,
        }
    }

    pub fn of(memory: &Memory) -> Self {
        let Memory {
            wanted,
            last_worked,
            newest_held,
            may_have_held,
            creating,
            stopping,
            last_active,
            missing_since,
            failed,
            failed_how,
            trial,
            attempt,
            coming,
            unheld_since,
            database_differs,
            set_aside,
            validation,
            // Follows from the numbers of the pods.
            pods_made: _,
            upgrade,
            // Set on walks, and lost.
            failed_because: _,
            said,
            restored,
            switchover,
            earlier_switchovers,
            drill,
            drills_since,
            drill_schedule,
            going_back,
            unresponsive,
            secrets,
            checked,
            check_failed,
        } = memory;
        unset([
            ("said", said.is_none()),
            ("restored", restored.is_none()),
            ("switchover", switchover.is_none()),
            ("earlier_switchovers", earlier_switchovers.is_empty()),
            ("drill", drill.is_none()),
            ("drills_since", drills_since.is_none()),
            ("drill_schedule", drill_schedule.is_none()),
            ("going_back", going_back.is_none()),
            ("unresponsive", unresponsive.is_none()),
            ("secrets", secrets.is_none()),
            ("checked", checked.is_none()),
            ("check_failed", check_failed.is_none()),
        ]);
        Self {
            wanted: wanted.as_ref().map(|wanted| {
                let WantedRevision { name, since } = wanted;
                (kind_of(name), Ago::of(*since))
            }),
            last_worked: last_worked.as_deref().map(kind_of),
            newest_held: newest_held.as_deref().map_or(0, version_number),
            may_have_held: may_have_held.as_ref().map(started),
            creating: creating.as_ref().map(|creating| {
                let Creation {
                    pod,
                    revision,
                    at: _,
                } = creating;
                (number(pod), kind_of(revision))
            }),
            stopping: stopping.as_ref().map(Stopping::of),
            last_active: last_active.as_ref().map(Active::of),
            missing: missing_since.map(Ago::of),
            failed: failed.as_deref().map(kind_of),
            set_aside: set_aside.as_deref().map(kind_of),
            unheld: unheld_since.map(Ago::of),
            differs: database_differs.as_ref().map(|differs| {
                let DatabaseDiffers {
                    pod,
                    at,
                    generation: _,
                } = differs;
                (number(pod), Ago::of(*at))
            }),
            validation: validation.as_ref().map(checking),
            failed_how: *failed_how,
            trial: trial.as_ref().map(OnTrial::of),
            attempt: attempt.as_ref().map(Tried::of),
            upgrade: upgrade.as_ref().map(Upgrading::of),
            coming: coming.as_ref().map(coming_up),
        }
    }

    /// Time passes.
    pub fn ages(&mut self, to: Ago) {
        let age = |ago: &mut Ago| *ago = (*ago).max(to);
        if let Some((_, ago)) = &mut self.wanted {
            age(ago);
        }
        if let Some(stop) = &mut self.stopping {
            age(&mut stop.ago);
        }
        if let Some(last) = &mut self.last_active
            && let Some(ended) = &mut last.ended
        {
            age(ended);
        }
        for ago in [&mut self.missing, &mut self.unheld].into_iter().flatten() {
            age(ago);
        }
        if let Some((_, ago)) = &mut self.differs {
            age(ago);
        }
        if let Some(trial) = &mut self.trial {
            age(&mut trial.since);
        }
        if let Some(attempt) = &mut self.attempt {
            age(&mut attempt.since);
        }
        if let Some(upgrade) = &mut self.upgrade {
            let times = [
                &mut upgrade.crashed,
                &mut upgrade.removed,
                &mut upgrade.cleared,
            ];
            times.into_iter().flatten().for_each(age);
        }
        if let Some((_, since, _)) = &mut self.coming {
            age(since);
        }
    }

    /// Gives every pod that is mentioned its new number.
    pub fn renumber(&mut self, new: impl Fn(u8) -> u8) {
        if let Some((_, pods)) = &mut self.may_have_held {
            *pods = (0..16u8)
                .filter(|no| *pods & (1 << no) != 0)
                .fold(0, |all, no| all | 1 << new(no));
        }
        if let Some((no, _)) = &mut self.creating {
            *no = new(*no);
        }
        if let Some(stop) = &mut self.stopping {
            stop.no = new(stop.no);
            stop.successor = stop.successor.map(&new);
        }
        if let Some(last) = &mut self.last_active {
            last.no = new(last.no);
        }
        if let Some((no, _)) = &mut self.differs {
            *no = new(*no);
        }
        if let Some(trial) = &mut self.trial {
            trial.no = new(trial.no);
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.stopped = new(attempt.stopped);
        }
    }
}

/// One look at the cluster.
pub fn look(cluster: &Cluster, surge: usize) -> Observation {
    Observation {
        taken: None,
        refused_stop: None,
        database: asked(cluster),
        at: *NOW,
        intent: Intent {
            namespace: String::new(),
            node: NODE.clone(),
            replicas: usize::from(cluster.replicas),
            surge,
            settle: Duration::from_secs(5),
            standby_timeout: Duration::from_mins(10),
            generation: 1,
            wanted: cluster.wanted.map_or_else(
                || {
                    Wanted::Unusable(Problem {
                        reason: Reason::InvalidSpec,
                        message: String::new(),
                        missing: false,
                    })
                },
                |kind| Wanted::Revision(revision(kind).clone()),
            ),
            policy: domain::HandoverPolicy::default(),
        },
        claims: Vec::new(),
        revisions: KEPT.clone(),
        pods: cluster
            .pods()
            .iter()
            .map(|pod| seen(pod, cluster))
            .collect(),
        pulls: Vec::new(),
        validations: cluster.checks.into_iter().flatten().map(checked).collect(),
        machines: Some(MACHINES.clone()),
    }
}

fn checked(check: Check) -> domain::Validation {
    let known = |known: &&(u8, u8, String)| (known.0, known.1) == (check.kind, check.attempt);
    let (_, _, name) = CHECKS.iter().find(known).expect("a check of the model");
    domain::Validation {
        id: PodId {
            name: name.clone(),
            uid: format!("uid-{name}"),
        },
        resource_version: "1".to_owned(),
        created: if check.late {
            Ago::TenMinutes
        } else {
            Ago::HalfMinute
        }
        .at(),
        deleted: check.deleted,
        checked: match check.says {
            check::Says::Nothing => Checked::NotYet(None),
            check::Says::Valid => Checked::Said(Verdict::Valid),
            check::Says::Invalid => Checked::Said(Verdict::Invalid(String::new())),
            check::Says::Unknown => Checked::Said(Verdict::Unknown(String::new())),
            check::Says::Never => Checked::Never,
        },
    }
}

/// What the database says, on a walk that asks it, and where a pod lies of which the log tells nothing: elsewhere the
/// rules hold without it.
fn asked(cluster: &Cluster) -> DatabaseView {
    let id = |pod: &Pod| PodId {
        name: name(pod.no).to_owned(),
        uid: uid(pod.no),
    };
    let silent = |pod: &&Pod| pod.kind().nature == Nature::LiesSilently;
    if !cluster.asked && !cluster.pods().iter().any(|pod| silent(&pod)) {
        return DatabaseView::default();
    }
    let holder = cluster.pods().iter().find(|pod| pod.holds()).map(id);
    let there = |pod: &&Pod| Pod::runs(pod.does) && !silent(pod);
    let sessions = cluster.pods().iter().filter(there);
    let sessions = sessions.map(|pod| (id(pod), SessionOf::Node));
    let says = Says {
        read_only: None,
        missing_right: None,
        lease: holder.map_or(Holder::Nobody, Holder::Pod),
        advisory: Holder::Nobody,
        version: cluster
            .asked
            .then(|| version_text(cluster.named).parse().unwrap()),
        schema: cluster.asked.then(|| schema(cluster.migrated)),
        lease_client: None,
        advisory_session: None,
        nodes_elsewhere: 0,
        sessions: sessions.collect(),
    };
    // Where nothing has changed for long, it said the same then.
    let before = (cluster.pods().iter().all(|pod| pod.long_up))
        .then(|| DatabaseAnswer::after(None, Ago::HalfMinute.at(), Ok(says.clone())));
    DatabaseView {
        wanted: Verification::Auto,
        duals: Vec::new(),
        answer: Some(DatabaseAnswer::after(before, *NOW, Ok(says))),
    }
}

/// Moments of takeovers and last answers, such that each is after what it was after.
struct Moments {
    /// The newest takeover known when a pod was lost for long, and for some seconds.
    lost: u8,
    dim: u8,
}

impl Moments {
    fn of(cluster: &Cluster) -> Self {
        let newest = |sight| {
            cluster
                .pods()
                .iter()
                .filter(|pod| pod.sight == sight && pod.contact != NEVER)
                .map(|pod| pod.contact)
                .max()
                .unwrap_or(0)
        };
        Self {
            lost: newest(Sight::Lost),
            dim: newest(Sight::Dim),
        }
    }

    fn takeover(&self, rank: u8, long_ago: bool) -> Timestamp {
        let rank_seconds = i64::from(rank);
        *NOW - if rank <= self.lost {
            SignedDuration::from_secs(100 - rank_seconds)
        } else if long_ago {
            SignedDuration::from_secs(60 - rank_seconds)
        } else if rank <= self.dim {
            SignedDuration::from_millis(20_000 - rank_seconds * 500)
        } else {
            SignedDuration::from_millis(1800 - rank_seconds * 100)
        }
    }

    fn contact(&self, pod: &Pod) -> Option<Timestamp> {
        let after = i64::from(pod.contact);
        match pod.sight {
            Sight::Seen => Some(*NOW),
            _ if pod.contact == NEVER => None,
            Sight::Lost => Some(*NOW - SignedDuration::from_millis(99_900 - after * 1000)),
            Sight::Dim => Some(*NOW - SignedDuration::from_millis(19_900 - after * 500)),
        }
    }
}

fn seen(pod: &Pod, cluster: &Cluster) -> domain::Pod {
    let moments = Moments::of(cluster);
    let status = pod.status();
    let runs = Pod::runs(status);
    let answer = match status {
        Does::Serve | Does::Zombie => Answered::Serving,
        Does::Migrate => Answered::Starting,
        _ => Answered::Refused,
    };
    let unheard = cluster.deaf && pod.seen();
    let contact = (runs && !unheard).then(|| moments.contact(pod)).flatten();
    domain::Pod {
        id: PodId {
            name: name(pod.no).to_owned(),
            uid: uid(pod.no),
        },
        resource_version: "1".to_owned(),
        revision: Some(revision(pod.kind).clone()),
        created: if pod.late {
            Ago::TenMinutes
        } else {
            Ago::HalfMinute
        }
        .at()
            + Duration::from_secs(pod.no.into()),
        machine: pod.leaving.then(|| LEFT.to_owned()),
        labelled_active: pod.labelled,
        gate: pod.gate,
        deleted: pod.deleted,
        container: container(pod, status, cluster),
        waiting: (runs && pod.line).then(|| *NOW - SignedDuration::from_secs(40)),
        doubt: (pod.kind().nature == Nature::Lies && pod.line).then(|| "read-only".to_owned()),
        took: (runs && pod.took > 0).then(|| Took {
            at: moments.takeover(pod.took, pod.took_long_ago),
            waited: Some(pod.took_waited),
        }),
        contact: contact.map(|at| Contact { at, answer }),
        watched: Some(if unheard {
            Ago::Moment.at()
        } else if pod.sight == Sight::Dim && pod.contact == NEVER {
            Ago::Seconds.at()
        } else {
            Ago::TenMinutes.at()
        }),
        served: None,
        contradicting_version: None,
        stranded: false,
        worked_at: None,
        lost_lease_at: None,
        serving_since: None,
        log_ended: false,
        lock_id_hidden: false,
    }
}

/// How often the API server says that a pod's container has ended: which end is the last is known by [`Known`].
fn ends_shown(cluster: &Cluster, pod: &Pod) -> i32 {
    if cluster.fails_for_good(pod) { 5 } else { 2 }
}

/// How often it had ended for the memory.
fn ends_known(cluster: &Cluster, no: u8, known: impl Fn(&Pod) -> bool) -> i32 {
    cluster
        .pod(no)
        .filter(|pod| known(pod))
        .map_or(1, |pod| ends_shown(cluster, pod))
}

/// Which ends of containers the memory knows.
pub fn remember_ends(cluster: &mut Cluster, memory: &Memory) {
    let before = *cluster;
    for pod in cluster.pods_mut() {
        let shown = ends_shown(&before, pod);
        let uid = uid(pod.no);
        let attempt = memory.attempt.as_ref();
        pod.known = Known {
            by_attempt: attempt.is_some_and(|attempt| attempt.ends.get(&uid) == Some(&shown)),
            by_trial: memory
                .trial
                .as_ref()
                .is_some_and(|trial| trial.pod == uid && trial.ends == Some(shown)),
        };
    }
}

fn container(pod: &Pod, status: Does, cluster: &Cluster) -> Container {
    let exits = ends_shown(cluster, pod);
    let exit = |kind, long: bool| Exit {
        number: exits,
        at: Some(
            match (pod.long_up, long) {
                (true, _) => Ago::TenMinutes,
                (false, true) => Ago::HalfMinute,
                (false, false) => Ago::Seconds,
            }
            .at(),
        ),
        kind,
        code: 1,
        words: None,
    };
    // What exited with a reason of its own; the API server knows no more than it is told.
    let told = pod.exit.filter(|_| pod.seen() || !pod.changed);
    let last = told.map(|ago| Exit {
        // Exits are told in whole seconds: one that was before is so by more than one.
        at: Some(ago.at() - Duration::from_secs(if pod.exited_before { 4 } else { 0 })),
        ..exit(ExitKind::Unknown, false)
    });
    match status {
        Does::NotStarted => Container::NotStarted {
            trouble: (pod.kind().nature == Nature::NoImage).then(|| Trouble {
                reason: "ImagePullBackOff".to_owned(),
                message: "not found".to_owned(),
            }),
        },
        Does::Down => Container::Down {
            exit: last.unwrap_or_else(|| exit(ExitKind::Unknown, false)),
            restarts: exits,
        },
        Does::DownByDatabase => Container::Down {
            exit: exit(ExitKind::DatabaseAway, pod.long_down),
            restarts: exits,
        },
        Does::Ended => Container::Ended { exit: None },
        _ => Container::Running {
            since: if pod.long_up {
                Ago::TenMinutes.at()
            } else if pod.sight == Sight::Lost {
                Ago::HalfMinute.at() - Duration::from_mins(1)
            } else {
                Ago::Seconds.at()
            },
            last,
        },
    }
}
