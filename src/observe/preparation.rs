//! What runs in a pod before the node does.

use k8s_openapi::api::core::v1::{ContainerState, Pod as ApiPod};

use crate::domain::Trouble;

/// What keeps a container from ending that has to run before the node's.
pub(super) fn preparation(pod: &ApiPod) -> Option<Trouble> {
    let before = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    before.iter().find_map(|status| {
        let state = status.state.as_ref()?;
        let ended = |state: Option<&ContainerState>| {
            let ended = state?
                .terminated
                .as_ref()
                .filter(|end| end.exit_code != 0)?;
            let words = ended.message.as_deref().unwrap_or_default().trim();
            let code = ended.exit_code;
            Some(format!("{} ended with code {code}: {words}", status.name))
        };
        let waiting = state.waiting.as_ref();
        let reason = waiting
            .and_then(|waiting| waiting.reason.clone())
            .filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"));
        let words = ended(Some(state)).or_else(|| ended(status.last_state.as_ref()));
        match (reason, words) {
            (reason, Some(message)) => Some(Trouble {
                reason: reason.unwrap_or_else(|| "InitFailed".to_owned()),
                message,
            }),
            (Some(reason), None) => Some(Trouble {
                message: waiting
                    .and_then(|waiting| waiting.message.clone())
                    .unwrap_or_else(|| reason.clone()),
                reason,
            }),
            (None, None) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::api::names::CONTAINER;
    use crate::domain::Container;
    use crate::observe::container::container;

    fn trouble(before: &serde_json::Value) -> Option<Trouble> {
        let pod = serde_json::json!({
            "metadata": {"name": "pod"},
            "status": {
                "phase": "Pending",
                "containerStatuses": [{
                    "name": CONTAINER, "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"waiting": {"reason": "PodInitializing"}},
                }],
                "initContainerStatuses": [{
                    "name": "session-secret", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": before["state"], "lastState": before["lastState"],
                }],
            },
        });
        match container(&serde_json::from_value(pod).unwrap(), None) {
            Container::NotStarted { trouble } => trouble,
            _ => None,
        }
    }

    #[test]
    fn what_fails_before_the_node_is_told_in_its_own_words() {
        let ended =
            serde_json::json!({"terminated": {"exitCode": 1, "message": "it is not base64\n"}});
        let again = serde_json::json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": ended,
        });
        let words = "session-secret ended with code 1: it is not base64";

        for (before, reason) in [
            (serde_json::json!({"state": ended}), "InitFailed"),
            (again, "CrashLoopBackOff"),
        ] {
            let found = trouble(&before).unwrap();
            assert_eq!(
                (found.reason.as_str(), found.message.as_str()),
                (reason, words)
            );
        }
    }

    #[test]
    fn an_image_that_is_not_there_is_told_also_before_the_node() {
        let state =
            serde_json::json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});

        let found = trouble(&serde_json::json!({"state": state})).unwrap();

        assert_eq!(found.reason, "ImagePullBackOff");
        assert_eq!(found.message, "not found");
    }

    #[test]
    fn what_is_on_its_way_before_the_node_is_no_trouble() {
        for state in [
            serde_json::json!({"waiting": {"reason": "PodInitializing"}}),
            serde_json::json!({"running": {}}),
            serde_json::json!({"terminated": {"exitCode": 0}}),
        ] {
            assert_eq!(trouble(&serde_json::json!({"state": state})), None);
        }
    }
}
