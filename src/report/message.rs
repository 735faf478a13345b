//! What is going on with a resource, for people: in one or two words, and in a sentence.

use super::basis::Report;
use crate::domain::{Answered, Pod, Reason, Wanted};
use crate::node::supported;
use crate::plan::{Roles, Step};

/// One or two words for people.
pub(super) fn phase(report: &Report<'_>, roles: &Roles<'_>) -> &'static str {
    let worked = report.plan.memory.last_worked.is_some();
    if report.stalled() {
        return "Stalled";
    }
    if is_served_beside_a_lost_pod(report, roles) {
        return "OldPodOutOfReach";
    }
    match report.plan.progress.step {
        Step::Steady => "Running",
        Step::Hibernating => "Hibernated",
        Step::Ending => "Stopping",
        Step::External => "Standby",
        Step::Pending => pending(report),
        Step::AwaitingTakeover => "HandingOver",
        Step::StoppingActive if !works_on(report, roles) => "HandingOver",
        Step::Booting => "Booting",
        _ if roles.order_unknown => "Waiting",
        _ if roles.active.is_none() && worked => "FailingOver",
        _ if roles.active.is_none() => "Starting",
        Step::Surging | Step::AwaitingStandby | Step::ReplacingStandbys | Step::StoppingActive
            if !rolls(report) =>
        {
            "Moving"
        }
        Step::Settling
        | Step::Validating
        | Step::Surging
        | Step::AwaitingStandby
        | Step::PullingImage
        | Step::ReplacingStandbys
        | Step::StoppingActive => "Upgrading",
        Step::Trimming => "Scaling",
        Step::Restoring => "Restoring",
        Step::Holding => "Waiting",
    }
}

/// The active is to be stopped, and something has to come first: the end of a standby, say, or the resource's turn.
fn works_on(report: &Report<'_>, roles: &Roles<'_>) -> bool {
    let held = report.plan.progress.blocked.is_some();
    held && roles.active.is_some_and(|active| !active.deleted)
}

/// What a change waits for, where that is all.
fn pending(report: &Report<'_>) -> &'static str {
    match report.pending().map(|waits| waits.reason) {
        Some(Reason::ApprovalRequired) => "AwaitingApproval",
        Some(Reason::WaitingForWindow) => "AwaitingWindow",
        Some(Reason::Paused) => "Paused",
        _ => "Waiting",
    }
}

/// Everything works and is redundant, and the pod that worked before is out of reach.
fn is_served_beside_a_lost_pod(report: &Report<'_>, roles: &Roles<'_>) -> bool {
    let blocked = report.blocked();
    let lost = blocked.is_some_and(|blocked| blocked.reason == Reason::OldPodOutOfReach);
    let working = roles.active.map_or(0, |_| 1);
    lost && working == 1 && working + roles.waiting.len() >= report.seen.intent.replicas
}

fn rolls(report: &Report<'_>) -> bool {
    let Wanted::Revision(to) = &report.seen.intent.wanted else {
        return false;
    };
    let mut pods = report.seen.pods.iter().filter(|pod| !pod.ended());
    pods.any(|pod| pod.revision.as_ref() != Some(to))
}

/// Whether nothing speaks against an active: it is heard of, and its port does not refuse.
fn is_at_work(active: &Pod, roles: &Roles<'_>) -> bool {
    let refuses = active
        .contact
        .is_some_and(|contact| contact.answer == Answered::Refused);
    !refuses && !roles.unheard(active)
}

/// What is going on, in a sentence.
pub(super) fn message(report: &Report<'_>, roles: &Roles<'_>) -> String {
    let progress = &report.plan.progress;
    let pod = progress.pod.as_deref().unwrap_or("a pod");
    if let Some(blocked) = report.blocked() {
        let works = match roles.active {
            Some(active)
                if blocked.stalled
                    && blocked.reason != Reason::ActiveBoots
                    && is_at_work(active, roles) =>
            {
                format!(" ({} works on)", active.id.name)
            }
            _ => String::new(),
        };
        if report.at_rest() {
            return format!("{}; {}", calm(report, roles), blocked.message);
        }
        return format!("{}{works}", blocked.message);
    }
    let active = roles.active.map(|active| active.id.name.as_str());
    let doing = doing(report, roles, pod, active);
    // What works is told first, and that nobody has tried this version of it beside.
    match of_version(report) {
        Some(unknown) => format!("{doing}; {unknown}"),
        None => doing,
    }
}

/// What is to be told of the wanted version, where it is none that is known.
fn of_version(report: &Report<'_>) -> Option<String> {
    match &report.seen.intent.wanted {
        Wanted::Revision(wanted) => supported::unknown(&wanted.version),
        Wanted::Unusable(_) => None,
    }
}

/// What is going on where nothing is waited for.
fn doing(report: &Report<'_>, roles: &Roles<'_>, pod: &str, active: Option<&str>) -> String {
    match report.plan.progress.step {
        Step::Steady => calm(report, roles),
        Step::Hibernating => "replicas is 0: all pods are gone".to_owned(),
        Step::Ending => "replicas is 0: pods are being stopped".to_owned(),
        Step::Settling => "a change was seen; it has to be still for handover.settle".to_owned(),
        Step::Validating => {
            format!("{pod} checks the wanted configuration before a pod is replaced for it")
        }
        Step::Surging => format!("{pod} is being made beside the active"),
        Step::AwaitingStandby => {
            format!("{pod} has to wait for the lock before anything is stopped")
        }
        Step::PullingImage => {
            format!(
                "the wanted image is being pulled on {pod}, where a standby is replaced in place"
            )
        }
        Step::ReplacingStandbys => format!("{pod} is being replaced"),
        Step::StoppingActive => format!("{pod} is being stopped: its successor waits for the lock"),
        Step::AwaitingTakeover => "the last active has ended; a standby is taking over".to_owned(),
        Step::Booting => format!("{pod} holds the lock and is booting"),
        Step::Trimming => format!("{pod} is more than replicas asks for and is being stopped"),
        Step::Restoring => match active {
            Some(active) => format!("{active} is active; {pod} is coming up as standby"),
            None => format!("{pod} is coming up"),
        },
        Step::External => {
            "all pods wait: the lock is held by a node outside this resource".to_owned()
        }
        Step::Pending | Step::Holding => "nothing can be done at the moment".to_owned(),
    }
}

/// Who works and who waits, where all is well.
fn calm(report: &Report<'_>, roles: &Roles<'_>) -> String {
    let active = roles.active.map(|active| active.id.name.as_str());
    format!(
        "{} is active, {} of {} standbys wait for the lock",
        active.unwrap_or("no pod"),
        roles.standbys().count(),
        report.seen.intent.replicas.saturating_sub(1)
    )
}
