//! Containers beside the node: one that is not ready holds a handover, is told, and stops nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, Sidecars, World, two_replicas};

/// A pair of nodes whose database is behind a proxy, and whose files are fetched before each start.
async fn pair_behind_a_proxy() -> (World, Operator) {
    let mut spec = two_replicas();
    spec["pod"] = json!({
        "sidecars": [{
            "name": "proxy", "image": "registry.example.com/proxy:2",
            "readinessProbe": {"tcpSocket": {"port": 5432}},
        }],
        "initContainers": [{
            "name": "fetch", "image": "registry.example.com/fetch:1", "command": ["fetch"],
        }],
    });
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    (world, operator)
}

fn condition(world: &World, kind: &str) -> Value {
    let status = world.status();
    let all = status["conditions"].as_array().unwrap();
    let found = all.iter().find(|condition| condition["type"] == kind);
    found
        .unwrap_or_else(|| panic!("{}", world.describe()))
        .clone()
}

/// What is told of the resource as a whole.
fn is_told(world: &World, words: &str) -> bool {
    let status = world.status();
    let message = status["message"].as_str().unwrap_or_default();
    message.contains(words) && message.contains("kubectl logs")
}

fn stops(world: &World) -> Vec<String> {
    let mut deeds = world.deeds();
    deeds.retain(|deed| deed.starts_with("remove pod"));
    deeds
}

fn holder(world: &World) -> Option<String> {
    world.with(|all| all.holder(HOME))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_whose_sidecar_is_not_ready_holds_the_handover_until_it_is() {
    for (sidecars, words) in [
        (
            Sidecars::Unready,
            "proxy runs, and its readinessProbe does not pass",
        ),
        (Sidecars::Crashing, "proxy ended with code 1"),
    ] {
        let (world, mut operator) = pair_behind_a_proxy().await;
        world.behave(|habits| habits.sidecars = sidecars);
        world.upgrade("2.29.0");
        operator
            .drive("it is told", |world| is_told(world, words))
            .await;
        let waits = condition(&world, "Reconciling");
        assert_eq!(waits["reason"], "SidecarNotReady", "{waits}");
        operator.drive_for(Duration::from_secs(2)).await;
        assert_eq!(stops(&world), [""; 0], "{}", world.describe());
        assert_eq!(holder(&world).as_deref(), Some("pod 1"));

        world.behave(|habits| habits.sidecars = Sidecars::Ready);
        world.with(|all| all.sidecars("pod 3", Sidecars::Ready));
        operator.rest().await;
        assert_eq!(holder(&world).as_deref(), Some("pod 3"));
        assert_eq!(world.wrongs(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_ends_beside_the_active_is_told_and_nothing_is_stopped_for_it() {
    let (world, mut operator) = pair_behind_a_proxy().await;
    let before = world.deeds();
    world.with(|all| all.sidecars("pod 1", Sidecars::Crashing));
    operator
        .drive("it is told", |world| {
            is_told(world, "proxy ended with code 1")
        })
        .await;
    let available = condition(&world, "Available");
    assert_eq!(
        (&available["status"], &available["reason"]),
        (&json!("False"), &json!("SidecarNotReady"))
    );
    operator.drive_for(Duration::from_secs(2)).await;
    assert_eq!(world.deeds(), before);
    assert_eq!(holder(&world).as_deref(), Some("pod 1"));

    world.with(|all| all.sidecars("pod 1", Sidecars::Ready));
    operator.rest().await;
    assert_eq!(condition(&world, "Available")["status"], "True");
    assert_eq!(world.deeds(), before);
}

/// The standby that would have to take over is no redundancy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_ends_beside_the_standby_is_told_and_counts_for_no_redundancy() {
    let (world, mut operator) = pair_behind_a_proxy().await;
    let before = world.deeds();
    world.with(|all| all.sidecars("pod 2", Sidecars::Crashing));
    operator
        .drive("it is told", |world| {
            is_told(world, "proxy ended with code 1")
        })
        .await;
    assert_eq!(condition(&world, "Redundant")["status"], "False");
    assert_eq!(condition(&world, "Available")["status"], "True");
    operator.drive_for(Duration::from_secs(2)).await;
    assert_eq!(world.deeds(), before);
}
