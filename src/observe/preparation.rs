//! What is started in a pod before the node is: what has to end first, and what goes on beside it. Neither is ever taken for
//! the node.

use k8s_openapi::api::core::v1::{
    Container as ApiContainer, ContainerState, ContainerStateTerminated, ContainerStatus,
    Pod as ApiPod,
};

use super::api_pod::{annotation, condition, created};
use super::image;
use crate::api::names::SIDECARS_ANNOTATION;
use crate::domain::{NotReady, Reason, Trouble};
use crate::node::last_line;

/// Whether the API server has kept that a container goes on beside the node: one of before 1.29 drops the word, and makes
/// of it one that has to end first.
fn goes_on(container: &ApiContainer) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The container of this name that is started before the node.
fn named<'a>(pod: &'a ApiPod, name: &str) -> Option<&'a ApiContainer> {
    let before = pod.spec.as_ref()?.init_containers.as_ref()?;
    before.iter().find(|container| container.name == name)
}

/// The sidecars that the user asks for. A mesh injects others.
fn asked_for(pod: &ApiPod) -> impl Iterator<Item = &str> {
    let names = annotation(pod, SIDECARS_ANNOTATION);
    names.into_iter().flat_map(|names| names.split(','))
}

/// What keeps a container from starting or ending that has to do so before the node is started.
pub(super) fn preparation(pod: &ApiPod) -> Option<Trouble> {
    if let Some(name) = unsupported(pod) {
        return Some(Trouble {
            reason: Reason::SidecarsUnsupported.to_string(),
            message: too_old(name),
        });
    }
    let before = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    before.iter().find_map(|status| trouble(pod, status))
}

/// The sidecar of which the cluster has made something else.
fn unsupported(pod: &ApiPod) -> Option<&str> {
    asked_for(pod).find(|name| named(pod, name).is_some_and(|container| !goes_on(container)))
}

fn too_old(name: &str) -> String {
    format!(
        "this cluster does not know sidecars, and waits for the end of {name} before it starts the node: they need Kubernetes 1.29 or later. Upgrade it, or leave spec.pod.sidecars out"
    )
}

/// What is wrong with one that is started before the node.
fn trouble(pod: &ApiPod, status: &ContainerStatus) -> Option<Trouble> {
    let name = &status.name;
    let state = status.state.as_ref()?;
    let sidecar = named(pod, name).is_some_and(goes_on);
    if sidecar && state.running.is_some() && status.started == Some(true) {
        return None;
    }
    let end = |state: Option<&ContainerState>| {
        let ended = state?.terminated.as_ref()?;
        (sidecar || ended.exit_code != 0).then(|| how(name, ended))
    };
    let words = end(Some(state)).or_else(|| end(status.last_state.as_ref()));
    let waiting = state.waiting.as_ref();
    let reason = waiting
        .and_then(|waiting| waiting.reason.clone())
        .filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"));
    let said = waiting.and_then(|waiting| waiting.message.clone());
    let of_an_image = reason.as_deref();
    let of_an_image =
        of_an_image.and_then(|reason| image::of_an_image(reason, said.as_deref(), None));
    if let Some(trouble) = of_an_image {
        return Some(trouble.about(name));
    }
    match (reason, words) {
        (Some(reason), words) => Some(Trouble {
            message: words.unwrap_or_else(|| {
                let said = said.unwrap_or_else(|| reason.clone());
                format!("{name}: {said}")
            }),
            reason,
        }),
        (None, Some(message)) => Some(Trouble {
            reason: if sidecar {
                Reason::SidecarNotReady.to_string()
            } else {
                "InitFailed".to_owned()
            },
            message,
        }),
        (None, None) if sidecar && state.running.is_some() => Some(Trouble {
            reason: Reason::SidecarNotReady.to_string(),
            message: format!("{name} runs, and its startupProbe has not passed"),
        }),
        (None, None) => None,
    }
}

fn how(name: &str, ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.as_deref();
    let reason = reason.filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let reason = reason.map(|reason| format!(" ({reason})"));
    let words = last_line(ended.message.as_deref().unwrap_or_default());
    let words = words.map(|words| format!(": {words}"));
    format!(
        "{name} ended with code {}{}{}",
        ended.exit_code,
        reason.unwrap_or_default(),
        words.unwrap_or_default()
    )
}

/// The sidecar that the user asks for and that is not ready, where there is one.
pub(super) fn sidecar(pod: &ApiPod) -> Option<NotReady> {
    let why = unsupported(pod)
        .map(too_old)
        .or_else(|| asked_for(pod).find_map(|name| not_ready(pod, name)))?;
    let ready = condition(pod, "ContainersReady").filter(|found| found.status != "True");
    let since = ready.and_then(|found| found.last_transition_time.as_ref());
    Some(NotReady {
        since: since.map_or_else(|| created(pod), |since| since.0),
        why,
    })
}

fn not_ready(pod: &ApiPod, name: &str) -> Option<String> {
    let statuses = pod.status.as_ref();
    let statuses = statuses.and_then(|status| status.init_container_statuses.as_ref());
    let Some(status) = statuses.into_iter().flatten().find(|one| one.name == name) else {
        return Some(format!("{name} has not come up"));
    };
    if status.ready {
        return None;
    }
    let state = status.state.as_ref();
    Some(match trouble(pod, status) {
        Some(trouble) if trouble.reason == Reason::SidecarNotReady.as_str() => trouble.message,
        Some(trouble) => format!("{} ({})", trouble.message, trouble.reason),
        None if state.is_some_and(|state| state.running.is_some()) => {
            format!("{name} runs, and its readinessProbe does not pass")
        }
        None => format!("{name} has not come up"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

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
        assert_eq!(found.message, "session-secret: not found");
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

    /// A pod with the sidecar `proxy`, which the user asks for, as the kubelet tells of it (1.37). `node` is the state of the
    /// node's container.
    fn beside(policy: Option<&str>, proxy: &serde_json::Value, node: &serde_json::Value) -> ApiPod {
        let mut status = serde_json::json!({
            "name": "proxy", "image": "proxy:2", "imageID": "", "ready": false, "started": false,
            "restartCount": 0, "state": {}, "lastState": {},
        });
        for (field, value) in proxy.as_object().unwrap() {
            status[field] = value.clone();
        }
        let ready = if status["ready"] == true {
            "True"
        } else {
            "False"
        };
        let pod = serde_json::json!({
            "metadata": {
                "name": "pod", "creationTimestamp": "2026-11-29T10:00:00Z",
                "annotations": {SIDECARS_ANNOTATION: "proxy"},
            },
            "spec": {"containers": [], "initContainers": [{"name": "proxy", "restartPolicy": policy}]},
            "status": {
                "phase": "Pending",
                "conditions": [{
                    "type": "ContainersReady", "status": ready,
                    "lastTransitionTime": "2026-11-29T10:05:00Z",
                }],
                "containerStatuses": [{
                    "name": CONTAINER, "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": node,
                }],
                "initContainerStatuses": [status],
            },
        });
        serde_json::from_value(pod).unwrap()
    }

    fn running() -> serde_json::Value {
        serde_json::json!({"running": {"startedAt": "2026-11-29T10:00:05Z"}})
    }

    fn killed() -> serde_json::Value {
        serde_json::json!({"terminated": {
            "exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-11-29T10:00:05Z",
            "finishedAt": "2026-11-29T10:04:59Z",
        }})
    }

    fn back_off() -> serde_json::Value {
        serde_json::json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 40s restarting failed container=proxy pod=pod_default",
        }})
    }

    /// (reason, message) of what keeps the node from starting.
    fn keeps(policy: Option<&str>, proxy: &serde_json::Value) -> Option<(String, String)> {
        let node = serde_json::json!({"waiting": {"reason": "PodInitializing"}});
        let Container::NotStarted { trouble } = container(&beside(policy, proxy, &node), None)
        else {
            panic!("it has not started");
        };
        trouble.map(|trouble| (trouble.reason, trouble.message))
    }

    #[test]
    fn a_sidecar_that_does_not_come_up_is_why_the_node_does_not_start() {
        let why = |proxy: &serde_json::Value| keeps(Some("Always"), proxy);
        let said = |reason: &str, message: &str| Some((reason.to_owned(), message.to_owned()));
        let no_image = "Back-off pulling image \"proxy:9\": ErrImagePull: rpc error: code = NotFound desc = proxy:9: not found";
        for (reason, message) in [
            ("ImagePullBackOff", no_image),
            (
                "ErrImagePull",
                "rpc error: code = NotFound desc = proxy:9: not found",
            ),
        ] {
            assert_eq!(
                why(
                    &serde_json::json!({"state": {"waiting": {"reason": reason, "message": message}}})
                ),
                said(
                    "ImagePullBackOff",
                    "proxy: rpc error: code = NotFound desc = proxy:9: not found"
                )
            );
        }
        let missing = "secret \"proxy\" not found";
        assert_eq!(
            why(&serde_json::json!({"state": {"waiting": {
                "reason": "CreateContainerConfigError", "message": missing,
            }}})),
            said("CreateContainerConfigError", &format!("proxy: {missing}"))
        );
        let loops =
            serde_json::json!({"state": back_off(), "lastState": killed(), "restartCount": 3});
        assert_eq!(
            why(&loops),
            said("CrashLoopBackOff", "proxy ended with code 137 (OOMKilled)")
        );
        // A proxy that ends well is none.
        let ended =
            serde_json::json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        assert_eq!(
            why(&ended),
            said("SidecarNotReady", "proxy ended with code 0")
        );
        let comes_up = serde_json::json!({"state": running()});
        assert_eq!(
            why(&comes_up),
            said(
                "SidecarNotReady",
                "proxy runs, and its startupProbe has not passed"
            )
        );
        let up = serde_json::json!({"state": running(), "started": true, "lastState": killed()});
        assert_eq!(why(&up), None, "whatever it ended with before");
    }

    #[test]
    fn a_cluster_that_does_not_know_sidecars_is_told_whatever_the_pod_does() {
        let runs = serde_json::json!({"state": running(), "started": true, "ready": true});
        let (reason, message) = keeps(None, &runs).unwrap();
        assert_eq!(reason, "SidecarsUnsupported");
        assert!(message.contains("Kubernetes 1.29"), "{message}");
        let started = beside(None, &runs, &running());
        assert_eq!(sidecar(&started).unwrap().why, message);
    }

    /// Whatever a sidecar does, it is not the node that did it.
    #[test]
    fn nothing_of_a_sidecar_is_taken_for_the_node() {
        for proxy in [
            serde_json::json!({"state": running(), "started": true, "ready": true}),
            serde_json::json!({"state": running(), "started": true, "lastState": killed(), "restartCount": 7}),
            serde_json::json!({"state": back_off(), "lastState": killed(), "restartCount": 7}),
            serde_json::json!({"state": killed(), "restartCount": 7}),
        ] {
            let runs = container(&beside(Some("Always"), &proxy, &running()), None);
            assert!(
                matches!(runs, Container::Running { last: None, .. }),
                "{proxy}: {runs:?}"
            );
        }
        let up = serde_json::json!({"state": running(), "started": true, "ready": true});
        let down = container(&beside(Some("Always"), &up, &killed()), None);
        let Container::Down { exit, restarts: 0 } = down else {
            panic!("{down:?}");
        };
        assert_eq!((exit.code, exit.number), (137, 1));
    }

    #[test]
    fn a_sidecar_that_was_asked_for_is_told_of_while_it_is_not_ready() {
        let told = |proxy: &serde_json::Value| {
            let not_ready = sidecar(&beside(Some("Always"), proxy, &running()))?;
            assert_eq!(not_ready.since.to_string(), "2026-11-29T10:05:00Z");
            Some(not_ready.why)
        };
        let up = serde_json::json!({"state": running(), "started": true, "ready": true});
        assert_eq!(told(&up), None);
        for (proxy, why) in [
            (
                serde_json::json!({"state": back_off(), "lastState": killed()}),
                "proxy ended with code 137 (OOMKilled) (CrashLoopBackOff)",
            ),
            (
                serde_json::json!({"state": running(), "started": true}),
                "proxy runs, and its readinessProbe does not pass",
            ),
            (
                serde_json::json!({"state": running()}),
                "proxy runs, and its startupProbe has not passed",
            ),
            (
                serde_json::json!({"state": {"waiting": {"reason": "PodInitializing"}}}),
                "proxy has not come up",
            ),
        ] {
            assert_eq!(told(&proxy).as_deref(), Some(why));
        }
    }

    /// Its mesh answers for itself.
    #[test]
    fn nothing_is_asked_of_a_sidecar_that_nobody_asked_for() {
        let mut injected = beside(
            Some("Always"),
            &serde_json::json!({"state": back_off()}),
            &running(),
        );
        injected.metadata.annotations = None;
        assert_eq!(sidecar(&injected), None);
    }

    #[test]
    fn the_last_words_of_a_container_beside_the_node_are_told_without_what_is_secret() {
        let ended = serde_json::json!({"terminated": {
            "exitCode": 1, "reason": "Error",
            "message": "starting\ncan't reach postgresql://chainlink:canary@db/main\n",
        }});
        let (_, message) = keeps(Some("Always"), &serde_json::json!({"state": ended})).unwrap();
        assert!(
            message.starts_with("proxy ended with code 1: can't reach"),
            "{message}"
        );
        assert!(!message.contains("canary"), "{message}");
    }
}
