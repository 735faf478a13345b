//! What is told where a pod may not be stopped, as far as more than one place tells it.

use crate::domain::{Pod, Reason};
use crate::plan::cause::Denied;
use crate::plan::view::View;

/// Who is active is not known.
pub fn order_unknown() -> Denied {
    Denied {
        reason: Reason::OrderUnknown,
        message:
            "several pods have taken the lock and nothing says which of them came last, or whether \
                  they use one database"
                .to_owned(),
    }
}

/// A pod that worked before the active took over, and still answers.
pub fn suspect(pod: &Pod) -> Denied {
    Denied {
        reason: Reason::SuspectAnswers,
        message: format!(
            "{} worked before another pod took the lock, and still answers: it is cut off from the database, or sits on another; it gets no traffic",
            pod.id.name
        ),
    }
}

/// S2: no other stop is under way.
pub fn no_other_stop(view: &View<'_>) -> Result<(), Denied> {
    match view.roles.stopping.first() {
        Some(pod) => Err(still_stopping(pod)),
        None => Ok(()),
    }
}

/// S2: another stop is under way.
pub fn still_stopping(pod: &Pod) -> Denied {
    Denied {
        reason: Reason::StopUnderWay,
        message: format!("{} is still stopping", pod.id.name),
    }
}

/// S9: what is wrong with a pod on another database.
pub fn foreign_message(pod: &str) -> String {
    format!(
        "{pod} took a lock without waiting while the active was at work: it sits on another database. \
         If the Secret of spec.database.url was changed, change it back; a new database needs a new Secret name and replicas: 0 first. \
         No new pod is made before another revision is wanted: once the Secret is right, set spec.restartedAt to a new value"
    )
}
