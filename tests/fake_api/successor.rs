//! What becomes of the successor between its waiting line and the stop of the active.

use std::time::Duration;

use serde_json::{Value, json};

use crate::operator::Operator;
use crate::world::{HOME, Phase, World, two_replicas};

/// One pod of 2.28.0 works, and an operator that has 2.29.0 to roll in.
async fn one_pod_to_upgrade() -> (World, Operator) {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.upgrade("2.29.0");
    (world, operator)
}

fn condition(pod: &Value, kind: &str) -> bool {
    let none = vec![];
    let conditions = pod["status"]["conditions"].as_array().unwrap_or(&none);
    conditions.iter().any(|condition| condition["type"] == kind)
}

/// Whether the operator has recorded that pod 2 waits for the lock.
fn recorded(world: &World) -> bool {
    world.with(|all| {
        let pods = all.store.all("pods");
        pods.len() == 2
            && all.pod("pod 2").is_some_and(|pod| {
                condition(&pod, "chainlink-operator.dev/waiting-for-lock")
            })
    })
}

/// Passes until pod 2 is recorded as waiting; not one more.
async fn until_recorded(operator: &mut Operator, world: &World) {
    while !recorded(world) {
        operator.pass().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn nothing_was_stopped(world: &World) {
    let stopped: Vec<String> =
        world.deeds().into_iter().filter(|deed| deed.starts_with("remove pod")).collect();
    assert_eq!(stopped, [""; 0], "{}", world.describe());
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
}

fn message(world: &World) -> String {
    world.status()["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_whose_machine_is_lost_five_seconds_before_the_stop_permits_none() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    until_recorded(&mut operator, &world).await;
    world.with(|all| all.lose_machine("pod 2"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    operator.drive_for(Duration::from_secs(4)).await;
    nothing_was_stopped(&world);
    assert!(message(&world).contains("waited, but does not answer now"), "{}", message(&world));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_whose_machine_is_lost_in_the_moment_of_the_stop_permits_none() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    until_recorded(&mut operator, &world).await;
    // Its last answer is fresh enough for the first look.
    world.with(|all| all.lose_machine("pod 2"));
    operator.drive_for(Duration::from_secs(5)).await;
    nothing_was_stopped(&world);
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_restarts_after_its_waiting_line_has_to_wait_again_first() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    until_recorded(&mut operator, &world).await;
    world.with(|all| {
        all.habits.hang_at_start = true;
        all.kill("pod 2");
    });
    world.until("the container runs again", |all| all.phase("pod 2") == Some(Phase::Starting)).await;
    operator.drive_for(Duration::from_secs(3)).await;
    nothing_was_stopped(&world);
    world.with(|all| all.set_habits(|habits| habits.hang_at_start = false));
    operator.rest().await;
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 2"));
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_pod_that_names_another_version_is_no_successor() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    world.with(|all| all.habits.says_version = Some("2.27.0".to_owned()));
    operator.drive("the wrong version is told", |world| message(world).contains("2.27.0")).await;
    operator.drive_for(Duration::from_secs(1)).await;
    nothing_was_stopped(&world);
    assert!(
        message(&world).contains("says that it is version 2.27.0: set spec.version to what"),
        "{}",
        message(&world)
    );
    assert_eq!(world.status()["phase"], "Stalled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_mesh_that_drops_connections_the_log_alone_suffices() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    world.with(|all| all.habits.mesh = true);
    let mut operator = Operator::start(&world);
    operator.drive("the first pod works", |world| world.status()["active"].is_string()).await;
    world.upgrade("2.29.0");
    operator
        .drive("the upgrade", |world| {
            world.status()["currentVersion"] == "2.29.0"
                && world.with(|all| all.store.all("pods").len()) == 1
        })
        .await;
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_hangs_permits_no_stop_until_it_speaks() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    world.with(|all| all.habits.silent_logs = true);
    operator.drive_for(Duration::from_secs(3)).await;
    nothing_was_stopped(&world);
    assert!(message(&world).contains("has to wait for the lock before"), "{}", message(&world));
}
