//! What is told of one resource: the facts that its status shows, as far as somebody may be called for them.

use jiff::Timestamp;

use crate::api::{ChainlinkNode, ChainlinkNodeStatus, PodStatus};
use crate::domain::{Reason, Role};
use crate::report::conditions::CONDITIONS;

/// A condition of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: &'static str,
    pub(super) status: String,
    pub(super) reason: String,
}

impl Told {
    /// Whether it is as it is where nothing calls for a look.
    pub(super) fn at_rest(&self) -> bool {
        CONDITIONS.contains(&(self.kind, self.status.as_str()))
    }
}

/// The facts of one resource.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) conditions: Vec<Told>,
    /// How many pods play each part that is played.
    pub(super) pods: Vec<(Role, usize)>,
    pub(super) running: Option<String>,
    /// What is to run and does not, unless nothing is to.
    pub(super) wanted: Option<String>,
    pub(super) active_since: Option<Timestamp>,
    pub(super) standbys_missing: u32,
    pub(super) same_machine: bool,
    pub(super) two_holders: bool,
    pub(super) approval_since: Option<Timestamp>,
    /// Step, reason and begin of the handover in progress.
    pub(super) handover: Option<(String, String, Timestamp)>,
    /// Reason and end of the last one.
    pub(super) last_move: Option<(String, Timestamp)>,
    pub(super) last_gap: Option<f64>,
    /// Since when the schedule of drills holds.
    pub(super) drills_since: Option<Timestamp>,
    /// Result and end of the last one.
    pub(super) last_drill: Option<(&'static str, Timestamp)>,
    /// The release that is proposed, and when it was seen first.
    pub(super) update: Option<(String, Timestamp)>,
    /// The release that is wanted in place of `spec.version`, and since when.
    pub(super) applied: Option<(String, Timestamp)>,
    pub(super) looked: Option<Timestamp>,
    pub(super) database_said: Option<Timestamp>,
    /// Those that this operator has seen.
    pub(super) failovers: u64,
}

impl Resource {
    /// Takes over what a status says; what is not in it stays.
    pub(super) fn take(&mut self, node: &ChainlinkNode, status: &ChainlinkNodeStatus) {
        let played = |role: &Role| {
            let has = |pod: &&PodStatus| pod.role == role.as_str();
            status.pods.iter().filter(has).count()
        };
        let pods = Role::ALL.iter().map(|role| (*role, played(role)));
        let mut active = status.pods.iter();
        let active = active.find(|pod| Some(&pod.name) == status.active.as_ref());
        let last = status.last_handover.as_ref();
        let gap = last.and_then(|last| i32::try_from(last.gap_ms?).ok());
        let told = conditions(status);
        let says = |reason: &Reason, status: &str| {
            let mut told = told.iter();
            told.any(|one| one.status == status && one.reason == *reason)
        };
        let applied = status.applied.as_ref();
        let wanted = applied.map_or(&node.spec.version, |applied| &applied.version);
        *self = Self {
            pods: pods.filter(|(_, count)| *count > 0).collect(),
            running: status.current_version.clone(),
            wanted: Some(wanted.clone()).filter(|wanted| {
                node.spec.replicas > 0 && status.current_version.as_ref() != Some(wanted)
            }),
            active_since: active.and_then(|pod| pod.since),
            standbys_missing: missing(status.standbys.as_deref()),
            same_machine: says(&Reason::SameMachine, "False"),
            two_holders: says(&Reason::TwoHolders, "False"),
            approval_since: waits_for_approval(status),
            handover: status.handover.as_ref().map(|moves| {
                let (step, reason) = (moves.step.clone(), moves.reason.clone());
                (step, reason, moves.started_at)
            }),
            last_move: last.map(|last| (last.reason.clone(), last.finished_at)),
            last_gap: gap.map(|millis| f64::from(millis) / 1000.0),
            drills_since: status.operator.drills_since,
            last_drill: status
                .drill
                .as_ref()
                .and_then(|drill| Some((drill.state.as_str(), drill.ended?))),
            update: status
                .update
                .as_ref()
                .filter(|update| update.proposed_at.is_some())
                .map(|update| (update.version.clone(), update.first_seen)),
            applied: applied
                .and_then(|applied| Some((applied.version.clone(), applied.applied_at?))),
            conditions: told,
            looked: self.looked,
            database_said: self.database_said,
            failovers: self.failovers,
        };
    }
}

fn conditions(status: &ChainlinkNodeStatus) -> Vec<Told> {
    let all = CONDITIONS.iter().filter_map(|(kind, _)| {
        let mut conditions = status.conditions.iter();
        let is = conditions.find(|condition| condition.type_ == *kind)?;
        Some(Told {
            kind,
            status: is.status.clone(),
            reason: is.reason.clone(),
        })
    });
    all.collect()
}

/// How many standbys are missing of those wanted: two of `1/3`.
fn missing(standbys: Option<&str>) -> u32 {
    let numbers = standbys.and_then(|standbys| standbys.split_once('/'));
    let numbers = numbers
        .and_then(|(wait, wanted)| Some((wait.parse::<u32>().ok()?, wanted.parse::<u32>().ok()?)));
    numbers.map_or(0, |(wait, wanted)| wanted.saturating_sub(wait))
}

fn waits_for_approval(status: &ChainlinkNodeStatus) -> Option<Timestamp> {
    let mut all = status.conditions.iter();
    let asked = all.find(|one| one.type_ == "ApprovalRequired" && one.status == "True")?;
    Some(asked.last_transition_time.0)
}
