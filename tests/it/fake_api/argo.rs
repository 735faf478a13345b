//! The objects on which the scripts for Argo CD are tried, and of which kstatus says what it makes of them (`tests/manifests`):
//! as the operator writes them, not as somebody thinks that it does. What differs from run to run (times, random names,
//! gaps) is made the same.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fake_api::operator::Operator;
use crate::fake_api::world::{NAME, World, two_replicas};
use crate::golden;

const FOLDER: &str = "examples/argocd/resource_customizations/chainlink-operator.dev/ChainlinkNode";
const ADVICE: &str = "What the operator writes has changed, and with it what Argo CD's scripts read. Look whether they still \
say the right thing (make manifests), and accept the new objects with: UPDATE_GOLDEN=1 cargo test --test it argo";

/// A condition of the resource, by its type: its status and reason.
fn condition(world: &World, kind: &str) -> (String, String) {
    let status = world.status();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|one| one["type"] == kind);
    let text = |field: &str| found.and_then(|one| one[field].as_str()).unwrap_or("");
    (text("status").to_owned(), text("reason").to_owned())
}

fn is(world: &World, kind: &str, reason: &str) -> bool {
    let seen = world.status()["observedGeneration"] == world.node()["metadata"]["generation"];
    seen && condition(world, kind) == ("True".to_owned(), reason.to_owned())
}

fn waits(world: &World, reason: &str) -> bool {
    let seen = world.status()["observedGeneration"] == world.node()["metadata"]["generation"];
    seen && condition(world, "Ready") == ("False".to_owned(), reason.to_owned())
}

/// What `kubectl get` and a progress bar would show.
fn is_in(world: &World, phase: &str) -> bool {
    let seen = world.status()["observedGeneration"] == world.node()["metadata"]["generation"];
    seen && world.status()["phase"] == phase
}

/// How many pods play this part.
fn with_role(world: &World, role: &str) -> usize {
    let status = world.status();
    let pods = status["pods"].as_array().cloned().unwrap_or_default();
    pods.iter().filter(|pod| pod["role"] == role).count()
}

/// Two replicas at rest, of this spec.
async fn at_rest(spec: &Value) -> (World, Operator) {
    let world = World::new(spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    (world, operator)
}

/// Holds the resource against the file by which Argo CD's scripts are tried.
fn assert_written(world: &World, file: &str) {
    let mut node = world.node();
    steady(&mut node, "");
    node["metadata"]["resourceVersion"] = json!("1000");
    let mut text = serde_saphyr::to_string(&node).unwrap();
    for (name, called) in world.with(|all| all.names().clone()) {
        if called.starts_with("pod ") {
            text = text.replace(&name, &format!("{NAME}-{}", called.replace(' ', "-")));
        }
    }
    golden::assert_golden(&format!("{FOLDER}/testdata/{file}"), &text, ADVICE);
}

/// What differs from run to run.
fn steady(value: &mut Value, field: &str) {
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(field, value)| steady(value, field)),
        Value::Array(items) => items.iter_mut().for_each(|item| steady(item, field)),
        Value::Number(_) if field == "gapMs" => *value = json!(1700),
        Value::String(text) if field == "gap" => "1.7s".clone_into(text),
        Value::String(text) => *text = without_times(text),
        _ => {}
    }
}

/// Every time in a text is one and the same.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(' ').map(|word| {
        let time = word.trim_end_matches([' ', ',', '.', ';']);
        if time.parse::<jiff::Timestamp>().is_ok() {
            word.replace(time, "2026-01-01T00:00:00Z")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_resource_that_no_operator_has_looked_at() {
    let world = World::new(&two_replicas());
    world.with(|all| {
        // As the CRD's default has it.
        all.store.change("chainlinknodes", NAME, |node| {
            node["status"] = json!({"observedGeneration": -1});
        });
    });
    assert_written(&world, "not-seen.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_one_that_works_one_that_was_changed_and_one_that_goes() {
    let (world, _) = at_rest(&two_replicas()).await;
    assert_written(&world, "running.yaml");
    world.upgrade("2.29.0");
    assert_written(&world, "changed.yaml");
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            node["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        });
    });
    assert_written(&world, "deleting.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_an_upgrade_under_way() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    world.behave(|habits| habits.hang_at_start = true);
    world.upgrade("2.29.0");
    let waits = |world: &World| waits(world, "AwaitingStandby");
    operator.drive("a successor that starts", waits).await;
    assert_written(&world, "upgrading.yaml");
}

/// The successor was checked, and removed again.
fn is_checked(world: &World) -> bool {
    let status = world.status();
    let pods = status["pods"].as_array();
    !status["operator"]["checked"].is_null() && pods.is_some_and(|pods| pods.len() == 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_change_that_waits_for_approval() {
    let mut spec = two_replicas();
    spec["handover"]["approval"] = json!("Manual");
    let (world, mut operator) = at_rest(&spec).await;
    world.upgrade("2.29.0");
    let asks = |world: &World| is_checked(world) && is_in(world, "AwaitingApproval");
    operator.drive("a successor that was checked", asks).await;
    assert_written(&world, "approval-required.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_change_that_will_wait_for_approval_and_is_checked_first() {
    let mut spec = two_replicas();
    spec["handover"]["approval"] = json!("Manual");
    let (world, mut operator) = at_rest(&spec).await;
    world.behave(|habits| habits.hang_at_start = true);
    world.upgrade("2.29.0");
    let checks = |world: &World| {
        with_role(world, "Starting") == 1 && is(world, "ApprovalRequired", "ApprovalRequired")
    };
    operator.drive("a successor that starts", checks).await;
    assert_written(&world, "checked-before-approval.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_change_that_waits_for_its_window() {
    let mut spec = two_replicas();
    // Open for a minute every four years.
    spec["handover"]["windows"] = json!([{"schedule": "0 2 29 2 *", "duration": "1m"}]);
    let (world, mut operator) = at_rest(&spec).await;
    world.upgrade("2.29.0");
    let asks = |world: &World| is_checked(world) && is_in(world, "AwaitingWindow");
    operator.drive("a successor that was checked", asks).await;
    assert_written(&world, "waiting-for-window.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_pause_with_and_without_a_change_that_waits() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    world.edit(|spec| spec["paused"] = json!(true));
    let paused =
        |world: &World| is(world, "Paused", "PausedBySpec") && is(world, "Ready", "Steady");
    operator.drive("a pause", paused).await;
    assert_written(&world, "paused.yaml");

    world.upgrade("2.29.0");
    let waits = |world: &World| is_in(world, "Paused");
    operator.drive("a change that waits", waits).await;
    assert_written(&world, "paused-with-a-change.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_change_that_can_not_work() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    world.edit(|spec| spec["database"]["lock"] = json!({"mode": "dual"}));
    let stalled = |world: &World| condition(world, "Stalled").0 == "True";
    operator.drive("stalled", stalled).await;
    assert_written(&world, "stalled.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_one_that_sleeps() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    world.edit(|spec| spec["replicas"] = json!(0));
    let sleeps = |world: &World| is(world, "Ready", "Hibernating");
    operator.drive("hibernated", sleeps).await;
    assert_written(&world, "hibernated.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_failover_to_nobody() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let (world, mut operator) = at_rest(&spec).await;
    world.behave(|habits| habits.hang_at_start = true);
    world.with(|all| all.kill("pod 1"));
    let lost = |world: &World| world.status()["phase"] == "FailingOver";
    operator.drive("nobody that works", lost).await;
    assert_written(&world, "failing-over.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_first_start_and_one_that_is_paused_before_it() {
    let mut spec = two_replicas();
    spec["paused"] = json!(true);
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    let waits = |world: &World| waits(world, "Paused");
    operator.drive("a pause", waits).await;
    assert_written(&world, "paused-before-the-first-start.yaml");

    world.behave(|habits| habits.hang_at_start = true);
    world.edit(|spec| spec["paused"] = json!(false));
    let starts = |world: &World| is_in(world, "Starting") && with_role(world, "Starting") == 1;
    operator.drive("a pod that starts", starts).await;
    assert_written(&world, "starting.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_boot_after_a_handover() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let (world, mut operator) = at_rest(&spec).await;
    world.behave(|habits| habits.boot = Some(600_000));
    world.upgrade("2.29.0");
    let boots = |world: &World| is_in(world, "Booting");
    operator.drive("an active that boots", boots).await;
    assert_written(&world, "booting.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_sees_a_standby_that_is_made_again() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    world.behave(|habits| habits.hang_at_start = true);
    world.with(|all| all.kill("pod 2"));
    let lost = |world: &World| is_in(world, "Restoring") && with_role(world, "Starting") == 1;
    operator.drive("a standby that starts", lost).await;
    assert_written(&world, "restoring.yaml");
}

/// Whoever waits for a deployment ends at the first failure that he is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_and_a_handover_are_no_failure_at_any_time() {
    let (world, mut operator) = at_rest(&two_replicas()).await;
    let phases = RefCell::new(BTreeSet::new());
    let watched = |world: &World| {
        assert_ne!(
            condition(world, "Stalled").0,
            "True",
            "{}",
            world.describe()
        );
        let phase = world.status()["phase"].as_str().unwrap().to_owned();
        phases.borrow_mut().insert(phase);
        let active = world.status()["active"].clone();
        is_in(world, "Running") && active.as_str().is_some()
    };
    let moved = |to: &'static str| {
        move |world: &World| {
            watched(world) && world.status()["active"] == world.with(|all| all.name_of(to))
        }
    };
    world.with(|all| all.kill("pod 1"));
    operator.drive_in_vain("a failover", moved("pod 2")).await;
    world.upgrade("2.29.0");
    operator
        .drive_in_vain("an upgrade", |world| {
            watched(world) && world.status()["currentVersion"] == "2.29.0"
        })
        .await;
    let phases = phases.into_inner();
    for phase in ["Upgrading", "HandingOver", "Running"] {
        assert!(phases.contains(phase), "{phases:?}");
    }
}
