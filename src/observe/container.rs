//! The state of the node's container, as the kubelet reports it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod as ApiPod};

use super::api_pod::{condition, container_status, terminated};
use super::image::of_an_image;
use super::preparation::preparation;
use crate::domain::{Container, Exit, Trouble};
use crate::node::{classify_exit, kept_lines, last_words};

/// `warning` is what Kubernetes last said about a pod that does not start.
pub(super) fn container(pod: &ApiPod, warning: Option<Trouble>) -> Container {
    let status = container_status(pod);
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Failed" | "Succeeded")) {
        return Container::Ended {
            exit: status.and_then(last_exit),
        };
    }
    let Some(status) = status else {
        return Container::NotStarted {
            trouble: preparation(pod).or_else(|| unschedulable(pod)).or(warning),
        };
    };
    if let Some(running) = status
        .state
        .as_ref()
        .and_then(|state| state.running.as_ref())
    {
        let since = running
            .started_at
            .as_ref()
            .map_or(Timestamp::MIN, |time| time.0);
        return Container::Running {
            since,
            last: last_exit(status),
        };
    }
    if let Some(exit) = last_exit(status) {
        return Container::Down {
            exit,
            restarts: status.restart_count,
        };
    }
    let waiting = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let trouble = waiting.and_then(|waiting| {
        let reason = waiting
            .reason
            .clone()
            .filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"))?;
        let said = waiting.message.as_deref();
        let of_an_image = of_an_image(&reason, said, warning.as_ref());
        Some(of_an_image.unwrap_or_else(|| Trouble {
            message: said.map_or_else(|| reason.clone(), str::to_owned),
            reason,
        }))
    });
    Container::NotStarted {
        trouble: trouble
            .or_else(|| preparation(pod))
            .or_else(|| unschedulable(pod))
            .or(warning),
    }
}

fn unschedulable(pod: &ApiPod) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled").filter(|found| found.status == "False")?;
    Some(Trouble {
        reason: scheduled
            .reason
            .clone()
            .unwrap_or_else(|| "Unschedulable".to_owned()),
        message: scheduled
            .message
            .clone()
            .unwrap_or_else(|| "no machine has room".to_owned()),
    })
}

/// How the container last ended. Kubernetes keeps the tail of the log of a container that ended with
/// an error; the last words are in it.
fn last_exit(status: &ContainerStatus) -> Option<Exit> {
    let ended = terminated(status)?;
    let running = status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some());
    let number = status.restart_count + i32::from(!running);
    let tail = kept_lines(ended.message.as_deref().unwrap_or_default());
    let words = last_words(&tail).filter(|words| !words.is_empty());
    let kind = classify_exit(ended.exit_code, ended.reason.as_deref(), words.as_deref());
    Some(Exit {
        number: number.max(1),
        at: ended.finished_at.as_ref().map(|time| time.0),
        words: kind.words().map(str::to_owned).or(words),
        kind,
        code: ended.exit_code,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: &Value) -> Container {
        let pod = json!({"metadata": {"name": "a"}, "status": {"containerStatuses": [status]}});
        container(&serde_json::from_value(pod).unwrap(), None)
    }

    fn ended(code: i32, message: &str) -> Value {
        ended_for("Error", code, message)
    }

    fn ended_for(reason: &str, code: i32, message: &str) -> Value {
        json!({"terminated": {
            "exitCode": code, "reason": reason, "finishedAt": "2026-01-01T12:00:00Z",
            "message": message,
        }})
    }

    fn status(state: &Value, last: &Value, restarts: i32) -> Value {
        json!({
            "name": "node", "image": "", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last,
        })
    }

    #[test]
    fn a_container_that_was_started_again_keeps_its_last_words() {
        let running = json!({"running": {"startedAt": "2026-01-01T12:00:01Z"}});
        let words = "opening db: something new";
        let Container::Running {
            last: Some(exit), ..
        } = seen(&status(&running, &ended(1, words), 2))
        else {
            panic!("it runs, after an exit");
        };
        assert_eq!(exit.words.as_deref(), Some(words));
        assert_eq!(exit.number, 2);
    }

    #[test]
    fn an_image_that_can_not_be_pulled_is_one_trouble_in_the_registrys_words() {
        let told = |reason: &str, message: &str, warning: Option<&str>| {
            let state = json!({"waiting": {"reason": reason, "message": message}});
            let pod = json!({"metadata": {"name": "a"}, "status": {
                "containerStatuses": [status(&state, &json!({}), 0)],
            }});
            let warning = warning.map(|message| Trouble {
                reason: "Failed".to_owned(),
                message: message.to_owned(),
            });
            let Container::NotStarted {
                trouble: Some(trouble),
            } = container(&serde_json::from_value(pod).unwrap(), warning)
            else {
                panic!("it has not started");
            };
            (trouble.reason, trouble.message)
        };
        let words = "rpc error: code = NotFound desc = chainlink:9: not found";
        let one = ("ImagePullBackOff".to_owned(), words.to_owned());
        assert_eq!(told("ErrImagePull", words, None), one);
        let back_off = "Back-off pulling image \"chainlink:9\"";
        let both = format!("{back_off}: ErrImagePull: {words}");
        assert_eq!(told("ImagePullBackOff", &both, None), one);
        let pull = format!("Failed to pull image \"chainlink:9\": {words}");
        assert_eq!(told("ImagePullBackOff", back_off, Some(&pull)).1, pull);
        let other = told(
            "ImagePullBackOff",
            back_off,
            Some("Error: ImagePullBackOff"),
        );
        assert_eq!(other.1, back_off);
    }

    #[test]
    fn a_killed_container_has_no_last_words_of_its_own() {
        let waits = "2026-11-23T18:02:26.433Z [INFO]  Another application is currently holding the \
                     database lease (or a previous instance exited uncleanly), waiting for lease to \
                     expire...  pg/lease_lock.go:117  logger=LeaseLock";
        let words = |reason: &str| {
            let state = ended_for(reason, 137, waits);
            let Container::Down { exit, .. } = seen(&status(&state, &json!({}), 0)) else {
                panic!("it is down");
            };
            exit.words_and_advice()
        };
        assert_eq!(
            words("OOMKilled"),
            "killed (OOMKilled): raise pod.resources.limits.memory"
        );
        let killed = words("Error");
        assert!(killed.starts_with("killed (SIGKILL) ("), "{killed}");
        assert!(
            !killed.contains("limits") && !killed.contains("lease"),
            "{killed}"
        );
    }

    #[test]
    fn an_exit_has_the_same_number_before_and_after_the_next_start() {
        let number =
            |state: &Value, restarts| match seen(&status(state, &ended(1, "oh no"), restarts)) {
                Container::Running { last, .. } => last.unwrap().number,
                Container::Down { exit, .. } => exit.number,
                other => panic!("{other:?}"),
            };
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(number(&ended(1, "oh no"), 1), 2);
        assert_eq!(number(&back_off, 1), 2);
        assert_eq!(number(&json!({"running": {}}), 2), 2);
    }
}
