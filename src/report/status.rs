//! The status of a resource, from one look and the plan made of it.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::basis::Report;
use super::conditions::{conditions, stalled_by};
use super::message::{message, phase};
use super::update::news;
use crate::api::names::NODE_LABEL;
use crate::api::{
    ChainlinkNode, ChainlinkNodeStatus, HandoverStatus, LockMove, PodStatus, Request,
};
use crate::domain::{Container, Exit, MoveReason, Pod, Revision, Role, Wanted};
use crate::plan::{Blocked, Roles, Step, has_its_sidecars};

/// How long the last words of a container that works again are shown.
const TOLD: Duration = Duration::from_mins(10);

/// Makes the status. `old` is what stands in the resource now: times of unchanged conditions, and the
/// last handover, are kept from it.
pub fn status(report: &Report<'_>, old: &ChainlinkNodeStatus) -> ChainlinkNodeStatus {
    let roles = Roles::take(report.seen, &report.plan.memory, report.now);
    let replicas = report.seen.intent.replicas;
    let active = roles.active;
    let step = report.plan.progress.step;
    let pods: Vec<PodStatus> = report
        .seen
        .pods
        .iter()
        .map(|pod| pod_status(pod, &roles, report.now))
        .collect();
    let external = step == Step::External;
    let news = news(report, old);
    ChainlinkNodeStatus {
        observed_generation: report.node.metadata.generation.unwrap_or(-1),
        phase: Some(phase(report, &roles).to_owned()),
        message: Some(message(report, &roles)),
        conditions: conditions(report, &roles, &news, &old.conditions),
        active: active.map(|pod| pod.id.name.clone()),
        holder: active
            .map(|pod| pod.id.name.as_str())
            .or_else(|| report.plan.progress.booting())
            .or_else(|| external.then_some("external"))
            .map(str::to_owned),
        current_version: active
            .and_then(|pod| pod.revision.as_ref())
            .map(|revision| revision.version.to_string()),
        standbys: Some(format!(
            "{}/{}",
            roles.standbys().count(),
            standbys_wanted(replicas, external)
        )),
        replicas: i32::try_from(report.seen.pods.iter().filter(|pod| !pod.ended()).count())
            .unwrap_or(i32::MAX),
        selector: Some(format!("{NODE_LABEL}={}", report.node.name_any())),
        pods,
        handover: handover(report, &roles),
        last_handover: report
            .plan
            .finished
            .clone()
            .or_else(|| old.last_handover.clone()),
        history: history(report.plan.moved.clone(), &old.history),
        switchover: report.plan.memory.switchover.clone(),
        drill: report.plan.memory.drill.clone(),
        update: news.update,
        applied: news.applied,
        operator: report.plan.memory.clone(),
    }
}

/// The status where nothing could be looked at: that of before, and why.
pub fn not_looked(
    node: &ChainlinkNode,
    old: &ChainlinkNodeStatus,
    blocked: &Blocked,
    now: Timestamp,
) -> ChainlinkNodeStatus {
    let generation = node.metadata.generation;
    ChainlinkNodeStatus {
        observed_generation: generation.unwrap_or(-1),
        phase: Some("Stalled".to_owned()),
        message: Some(blocked.message.clone()),
        conditions: stalled_by(blocked, generation, &old.conditions, now),
        ..old.clone()
    }
}

/// Who had the lock, with the one that this look shows to have taken it.
fn history(moved: Option<LockMove>, earlier: &[LockMove]) -> Vec<LockMove> {
    moved.map_or_else(|| earlier.to_vec(), |moved| moved.before(earlier))
}

fn standbys_wanted(replicas: usize, external: bool) -> usize {
    if external {
        replicas
    } else {
        replicas.saturating_sub(1)
    }
}

/// The part a pod plays.
fn role(pod: &Pod, roles: &Roles<'_>) -> Role {
    let is = |list: &[&Pod]| list.iter().any(|other| other.id == pod.id);
    if pod.ended() {
        Role::Ended
    } else if roles.is_foreign(pod) {
        Role::Foreign
    } else if pod.deleted {
        Role::Stopping
    } else if roles.is_active(pod) {
        Role::Active
    } else if roles.is_suspect(pod) {
        Role::Suspect
    } else if is(&roles.lost) || roles.holds(pod) {
        Role::Unknown
    } else if is(&roles.waiting) && roles.against(pod).is_err() {
        Role::Unfit
    } else if is(&roles.waiting) {
        Role::Standby
    } else {
        match &pod.container {
            Container::Down { .. } => Role::Failing,
            Container::NotStarted { .. } => Role::Pending,
            _ => Role::Starting,
        }
    }
}

/// Why a pod is not further, or its last words: those of a container that was started again for as
/// long as it is not up, and a while longer.
fn pod_message(pod: &Pod, roles: &Roles<'_>, now: Timestamp) -> Option<String> {
    if let Container::NotStarted {
        trouble: Some(trouble),
    } = &pod.container
    {
        return Some(format!("{}: {}", trouble.reason, trouble.message));
    }
    // One that is down is told whatever it ended with: it is no alarm, and the only words there are.
    let down = matches!(pod.container, Container::Down { .. });
    let exit = pod
        .last_exit()
        .filter(|exit| down || !exit.kind.means_nothing());
    match (exit, &pod.container) {
        (Some(exit), Container::Running { .. }) if !is_up(pod) || is_recent(exit, now) => {
            Some(format!("started again after: {}", exit.said()))
        }
        (Some(exit), Container::Down { .. } | Container::Ended { .. }) => Some(exit.said()),
        _ if roles.is_active(pod) && pod.sidecar.is_some() => {
            has_its_sidecars(pod).err().map(|denied| denied.message)
        }
        _ if pod.waits() => roles.against(pod).err().map(|denied| denied.message),
        _ => pod.doubt.clone(),
    }
}

fn is_up(pod: &Pod) -> bool {
    pod.waits() || pod.took.is_some()
}

fn is_recent(exit: &Exit, now: Timestamp) -> bool {
    exit.at
        .is_some_and(|at| at > now.checked_sub(TOLD).unwrap_or(Timestamp::MIN))
}

fn pod_status(pod: &Pod, roles: &Roles<'_>, now: Timestamp) -> PodStatus {
    PodStatus {
        name: pod.id.name.clone(),
        uid: pod.id.uid.clone(),
        role: role(pod, roles).as_str().to_owned(),
        version: pod
            .revision
            .as_ref()
            .map(|revision| revision.version.to_string()),
        revision: pod.revision.as_ref().map_or_else(
            || "unknown".to_owned(),
            |revision| revision.name.to_string(),
        ),
        machine: pod.machine.clone(),
        since: Some(
            pod.took
                .map(|took| took.at)
                .or(pod.waiting)
                .unwrap_or(pod.created),
        ),
        message: pod_message(pod, roles, now),
        exits: pod.last_exit().map_or(0, |exit| exit.number),
    }
}

/// The handover in progress, to another revision or only to another place.
fn handover(report: &Report<'_>, roles: &Roles<'_>) -> Option<HandoverStatus> {
    rollout(report, roles).or_else(|| relocation(report, roles))
}

/// The active is asked to go elsewhere, or has been.
fn relocation(report: &Report<'_>, roles: &Roles<'_>) -> Option<HandoverStatus> {
    let memory = &report.plan.memory;
    let pending = |asked: &Option<Request>| asked.clone().filter(Request::is_pending);
    let step = report.plan.progress.step.as_str();
    let status = |from: &str, to: Option<&str>, reason: &str, started_at| HandoverStatus {
        from: from.to_owned(),
        to: to.unwrap_or("another pod").to_owned(),
        reason: reason.to_owned(),
        step: step.to_owned(),
        started_at,
    };
    if let Some(stop) = memory.stop_of_active()
        && let Some(purpose) = &stop.purpose
    {
        return Some(status(
            &stop.pod,
            stop.successor.as_deref(),
            purpose,
            stop.at,
        ));
    }
    let active = roles.active?;
    let name = &active.id.name;
    let asked = [
        (pending(&memory.switchover), MoveReason::Switchover),
        (pending(&memory.drill), MoveReason::Drill),
    ];
    for (asked, reason) in asked {
        if let Some(asked) = asked {
            return Some(status(
                name,
                asked.to.as_deref(),
                reason.as_str(),
                asked.since,
            ));
        }
    }
    None
}

/// Pods of another revision than the wanted one are there.
fn rollout(report: &Report<'_>, roles: &Roles<'_>) -> Option<HandoverStatus> {
    let Wanted::Revision(to) = &report.seen.intent.wanted else {
        return None;
    };
    let wanted = report.plan.memory.wanted.as_ref()?;
    let outdated = |pod: &&Pod| pod.revision.as_ref() != Some(to) && !pod.ended();
    let first = roles
        .active
        .filter(|pod| outdated(pod))
        .or_else(|| report.seen.pods.iter().find(outdated))?;
    if report.seen.intent.replicas == 0 {
        return None;
    }
    let from = first.revision.as_ref();
    Some(HandoverStatus {
        from: from.map_or_else(|| "unknown".to_owned(), described),
        to: described(to),
        reason: if from.is_some_and(|from| from.version != to.version) {
            MoveReason::Version.as_str().to_owned()
        } else {
            MoveReason::Configuration.as_str().to_owned()
        },
        step: report.plan.progress.step.as_str().to_owned(),
        started_at: wanted.since,
    })
}

fn described(revision: &Revision) -> String {
    format!("{} ({})", revision.version, revision.name)
}
