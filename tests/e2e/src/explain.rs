//! What a person needs to find out why a scenario failed; in one piece, as another scenario may run beside.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ObjectList;

use crate::duty::{Duty, Micros};
use crate::install;
use crate::world::World;

/// Lines of the operator's log.
const OPERATOR: usize = 80;
/// Lines of each node's log.
const NODE: usize = 20;

/// The failure, what happened, and the state of everything in the namespace.
pub fn explain(world: &World, error: &anyhow::Error) -> String {
    let namespace = world.namespace.as_str();
    [
        format!("\n=== {namespace} failed: {error:#}"),
        section("what happened", &world.timeline.lines().join("\n")),
        section("who worked, in seconds of the same clock", &duties(world)),
        section(
            "ChainlinkNodes",
            &get(world, "chainlinknodes", &["-o", "yaml"]),
        ),
        section(
            "pods",
            &get(world, "pods", &["-o", "wide", "--show-labels"]),
        ),
        section(
            "events",
            &get(
                world,
                "events",
                &["--sort-by", ".metadata.creationTimestamp"],
            ),
        ),
        section("the end of each node's log", &nodes(world)),
        section(
            "the end of the operator's log about it",
            &last(&about(&install::log(&world.cluster), namespace), OPERATOR),
        ),
        format!("=== end of {namespace}\n"),
    ]
    .join("\n")
}

fn section(title: &str, text: &str) -> String {
    format!("--- {title}\n{text}\n")
}

fn kubectl(world: &World, arguments: &[&str]) -> String {
    let mut all = vec!["--namespace", world.namespace.as_str()];
    all.extend(arguments);
    world
        .cluster
        .kubectl(&all)
        .unwrap_or_else(|error| format!("{error:#}"))
}

fn get(world: &World, what: &str, how: &[&str]) -> String {
    let mut all = vec!["get", what];
    all.extend(how);
    kubectl(world, &all)
}

fn duties(world: &World) -> String {
    let record = world.duty_collected().unwrap_or_default();
    let lines: Vec<String> = record.duties.iter().map(|duty| line(world, duty)).collect();
    lines.join("\n")
}

fn line(world: &World, duty: &Duty) -> String {
    let at = |micros: Option<Micros>| {
        micros.map_or_else(
            || "-".to_owned(),
            |micros| format!("{:.3}", world.timeline.seconds_of(micros)),
        )
    };
    format!(
        "{} ({}): took the lock {}, worked from {}, asked to stop {}, gave the lock back {}, last heard of {}",
        duty.pod,
        duty.version,
        at(Some(duty.took)),
        at(duty.listening),
        at(duty.stopping),
        at(duty.released),
        at(Some(duty.last))
    )
}

/// The last words of each node that is still there, and of its container before, where there was one.
fn nodes(world: &World) -> String {
    let listed = get(world, "pods", &["-o", "json"]);
    let Ok(pods) = serde_json::from_str::<ObjectList<Pod>>(&listed) else {
        return listed;
    };
    let tail = NODE.to_string();
    let mut logs = Vec::new();
    for pod in pods {
        let name = pod.name_any();
        let log = ["logs", &name, "--all-containers", "--tail", &tail];
        if restarted(&pod) {
            let before = kubectl(world, &[&log[..], &["--previous"]].concat());
            logs.push(format!("{name}, the container before:\n{before}"));
        }
        logs.push(format!("{name}:\n{}", kubectl(world, &log)));
    }
    logs.join("\n")
}

fn restarted(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum::<i32>() > 0
}

/// The lines of the operator's log that name this namespace, or no scenario's at all.
fn about(log: &str, namespace: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| names(line, namespace) || !line.contains("e2e-"))
        .collect();
    lines.join("\n")
}

/// Whether it is this namespace, and not one whose name only begins so.
fn names(line: &str, namespace: &str) -> bool {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
        .any(|word| word == namespace)
}

fn last(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_log_is_shown_without_the_lines_of_other_scenarios() {
        let log = "\
INFO watching ChainlinkNodes namespaces=[]
INFO reconciling object{object.ref=ChainlinkNode.v1alpha1.chainlink-operator.dev/node.e2e-upgrades-2}: acting
INFO reconciling object{object.ref=ChainlinkNode.v1alpha1.chainlink-operator.dev/node.e2e-upgrades}: acting
INFO reconciling object{object.ref=ChainlinkNode.v1alpha1.chainlink-operator.dev/node.e2e-scale}: acting
WARN will be tried again namespace=\"e2e-upgrades\"
thread 'main' panicked at src/main.rs";
        let kept: Vec<String> = about(log, "e2e-upgrades")
            .lines()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect();

        assert_eq!(kept, ["INFO", "INFO", "WARN", "thread"]);
        assert!(!about(log, "e2e-upgrades").contains("upgrades-2"));
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        assert_eq!(last("1\n2\n3", 2), "2\n3");
        assert_eq!(last("1", 2), "1");
    }
}
