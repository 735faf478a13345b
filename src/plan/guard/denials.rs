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
                  they use one database: read their logs, and delete the one that is cut off"
                .to_owned(),
    }
}

/// A pod that worked before the active took over, and still answers; or nothing has reached it since.
pub fn suspect(view: &View<'_>, pod: &Pod) -> Denied {
    let name = &pod.id.name;
    let took = view.roles.active.and_then(|active| active.took);
    let answers = took.is_none_or(|took| pod.answered_since(took.at)) && !view.roles.unheard(pod);
    let since = pod
        .contact
        .map_or_else(String::new, |contact| format!(" since {}", contact.told()));
    if answers {
        return Denied {
            reason: Reason::SuspectAnswers,
            message: format!(
                "{name} worked before another pod took the lock, and still answers: it is cut off from the database, or sits on another; it gets no traffic. Mend its machine's network, or delete it"
            ),
        };
    }
    Denied {
        reason: Reason::OldPodOutOfReach,
        message: format!(
            "{name} worked before another pod took the lock, and has not answered{since}: its machine is out of reach; it gets no traffic. Where that machine is gone for good, remove it (kubectl delete node), or the pod"
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
        "{pod} took a lock without waiting while the active was at work: it sits on another database, or the active was cut off from its own. \
         If the Secret of spec.database.url was changed, change it back; a new database needs a new Secret name and replicas: 0 first. \
         No new pod is made before another revision is wanted, or the operator sees another URL in that Secret: once the Secret and the active are right, annotate the resource with chainlink-operator.dev/database-corrected and a new text, or set spec.restartedAt to a new value"
    )
}
