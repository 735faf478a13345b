//! What is known against a pod that waits for the lock. One of which something is known counts nowhere as a pod that could
//! take over: the guards, the redundancy that is told, the readiness gate and the budgets all ask here.

use super::cause::{Denied, deny};
use super::evidence;
use crate::domain::{DatabaseView, Pod, Reason};

/// What is known against this pod, beside the active where there is one. The database counts where it is asked.
pub fn against(database: &DatabaseView, active: Option<&Pod>, pod: &Pod) -> Result<(), Denied> {
    waiting_line_is_true(pod)?;
    is_the_version_it_should_be(pod)?;
    has_its_sidecars(pod)?;
    match evidence::against_standby(database, active, pod) {
        Some(message) => deny(Reason::DatabaseContradicts, message),
        None => Ok(()),
    }
}

/// The node itself does not contradict its waiting line.
pub fn waiting_line_is_true(pod: &Pod) -> Result<(), Denied> {
    match &pod.doubt {
        Some(doubt) => deny(
            Reason::WaitingDoubtful,
            format!(
                "{} says that it waits, but could not win: {doubt}",
                pod.id.name
            ),
        ),
        None => Ok(()),
    }
}

/// No Service leads to a pod with a container that is not ready, and its node may not do without that one: the way to the
/// database, or to the chains.
pub fn has_its_sidecars(pod: &Pod) -> Result<(), Denied> {
    match &pod.sidecar {
        Some(not_ready) => deny(
            Reason::SidecarNotReady,
            format!(
                "a sidecar of {} is not ready: {}; see its log (kubectl logs {} -c NAME), and correct spec.pod.sidecars or what it depends on",
                pod.id.name, not_ready.why, pod.id.name
            ),
        ),
        None => Ok(()),
    }
}

/// The log does not name another version than the revision.
pub fn is_the_version_it_should_be(pod: &Pod) -> Result<(), Denied> {
    match &pod.contradicting_version {
        Some(version) => deny(
            Reason::VersionDiffers,
            format!(
                "{} says that it is version {version}: set spec.version to what the image holds",
                pod.id.name
            ),
        ),
        None => Ok(()),
    }
}
