//! The operator's memory in a form in which two that differ in nothing that matters are equal: [`Mind`], made from
//! what the planner remembers and back.

use super::cluster::Cluster;
use super::kind::KINDS;
use super::look::ends_shown;
use super::names::{
    AFTER_WHAT_WAS_BEFORE, Ago, kind_of, name, number, number_of_uid, revision, schema, uid,
    validation, version_number, version_text,
};
use super::not_walked::unset;
use super::pod::{Known, Pod};
use crate::api::{
    Attempt, Coming, Creation, DatabaseDiffers, FailedHow, LastActive, MayHaveHeld, Memory, Shown,
    Stop, Trial, Upgrade, Validation, ValidationState, WantedRevision,
};

/// The operator's memory, with pods and revisions by number and times by [`Ago`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mind {
    pub wanted: Option<(u8, Ago)>,
    pub last_worked: Option<u8>,
    pub newest_held: u8,
    /// Version, and a bit for each pod.
    pub may_have_held: Option<(u8, u16)>,
    pub creating: Option<(u8, u8, Ago)>,
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
        silent,
        again,
    } = validation;
    unset([
        ("validation.silent", *silent == 0),
        ("validation.again", again.is_none()),
    ]);
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
            to: to.as_ref().map(kind_of),
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
            creating: self.creating.map(|(no, kind, ago)| Creation {
                pod: name(no),
                revision: revision(kind),
                at: ago.at(),
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
                corrected: None,
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
            read_only_spells: Vec::new(),
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
            read_only_spells,
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
            ("read_only_spells", read_only_spells.is_empty()),
        ]);
        Self {
            wanted: wanted.as_ref().map(|wanted| {
                let WantedRevision { name, since } = wanted;
                (kind_of(name), Ago::of(*since))
            }),
            last_worked: last_worked.as_ref().map(kind_of),
            newest_held: newest_held.as_deref().map_or(0, version_number),
            may_have_held: may_have_held.as_ref().map(started),
            creating: creating.as_ref().map(|creating| {
                let Creation { pod, revision, at } = creating;
                (number(pod), kind_of(revision), Ago::of(*at))
            }),
            stopping: stopping.as_ref().map(Stopping::of),
            last_active: last_active.as_ref().map(Active::of),
            missing: missing_since.map(Ago::of),
            failed: failed.as_ref().map(kind_of),
            set_aside: set_aside.as_ref().map(kind_of),
            unheld: unheld_since.map(Ago::of),
            differs: database_differs.as_ref().map(|differs| {
                let DatabaseDiffers {
                    pod,
                    at,
                    generation: _,
                    corrected,
                } = differs;
                unset([("database_differs.corrected", corrected.is_none())]);
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
        if let Some((_, _, ago)) = &mut self.creating {
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
        if let Some((no, ..)) = &mut self.creating {
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

/// How often it had ended for the memory.
pub fn ends_known(cluster: &Cluster, no: u8, known: impl Fn(&Pod) -> bool) -> i32 {
    cluster
        .pod(no)
        .filter(|pod| known(pod))
        .map_or(1, |pod| ends_shown(cluster, pod))
}

/// Which ends of containers the memory knows.
pub fn remember_ends(cluster: &mut Cluster, memory: &Memory) {
    let before = *cluster;
    // Of what nobody was told nothing is known.
    for pod in cluster.pods_mut().iter_mut().filter(|pod| !pod.untold) {
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
