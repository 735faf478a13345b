//! Two resources of one operator that lets one of them move its lock at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chainlink_operator::controller::Settings;
use serde_json::json;

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, NAME, World, two_replicas};

const SECOND: &str = "second";

fn status(world: &World, name: &str) -> serde_json::Value {
    let node = world.with(|all| all.store.get("chainlinknodes", name));
    node.unwrap()["status"].clone()
}

async fn passes_until(world: &World, operator: &Operator, name: &str, is: impl Fn() -> bool) {
    for _ in 0..400 {
        if is() {
            return;
        }
        operator.pass_over(name).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("it never came to this: {name}\n{}", status(world, name));
}

/// Each resource has one pod at work, the second on a database of its own.
async fn two_resources(post: &Arc<Post>) -> (World, Operator) {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    let settings = Settings {
        max_handovers: 1,
        ..Settings::default()
    };
    let operator = Operator::with_settings(&world, Arc::clone(post), settings);
    let runs = |name: &'static str| {
        let world = world.clone();
        move || status(&world, name)["phase"] == "Running"
    };
    passes_until(&world, &operator, NAME, runs(NAME)).await;
    world.with(|all| {
        "elsewhere".clone_into(&mut all.database);
        let node = json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": SECOND, "namespace": "default"}, "spec": spec,
        });
        all.store.create("chainlinknodes", node).unwrap();
    });
    passes_until(&world, &operator, SECOND, runs(SECOND)).await;
    (world, operator)
}

/// Whether it has written that it stops its active.
fn stops(world: &World, name: &str) -> bool {
    status(world, name)["operator"]["stopping"]["active"] == true
}

fn upgrade(world: &World, name: &str) {
    world.with(|all| {
        all.store.change("chainlinknodes", name, |node| {
            node["spec"]["version"] = json!("2.29.0");
        });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_found_no_turn_left_takes_none() {
    // The second resource is held in its second look: what it has written says that it stops its active.
    let known = Arc::new(OnceLock::<World>::new());
    let (there, once) = (Arc::clone(&known), AtomicBool::new(false));
    let holds = move |call: &Call| {
        let intends = there.get().is_some_and(|world| stops(world, SECOND));
        if call.is("list", "pods") && intends && !once.swap(true, Ordering::SeqCst) {
            return Fate::Hold;
        }
        Fate::Pass
    };
    let post = Post::new(holds);
    let (world, mut operator) = two_resources(&post).await;
    drop(known.set(world.clone()));
    upgrade(&world, SECOND);
    let waits = || {
        let pods = world.with(|all| all.phase_of("pod 3"));
        pods == Some(crate::fake_api::world::Phase::Waiting)
    };
    passes_until(&world, &operator, SECOND, waits).await;
    let mut held = None;
    for _ in 0..400 {
        let mut pass = tokio::spawn(operator.pass_over(SECOND));
        tokio::select! {
            ended = &mut pass => drop(ended.unwrap()),
            () = post.is_holding() => {
                held = Some(pass);
                break;
            }
        }
    }
    // Meanwhile the first takes the turn, and its takeover is not seen yet.
    world.with(|all| all.database = HOME.to_owned());
    upgrade(&world, NAME);
    let stopped = |deed: &str| world.deeds().contains(&deed.to_owned());
    passes_until(&world, &operator, NAME, || stopped("remove pod 1")).await;
    post.release();
    held.expect("the second never came to its stop")
        .await
        .unwrap();
    for _ in 0..10 {
        operator.pass_over(SECOND).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(!stopped("remove pod 2"), "{}", world.describe());
    let told = status(&world, SECOND)["message"].to_string();
    assert!(told.contains("as many resources as"), "{told}");

    // The first is done: the second is told, and goes.
    operator.was_woken(SECOND);
    let runs = || status(&world, NAME)["phase"] == "Running";
    passes_until(&world, &operator, NAME, runs).await;
    for _ in 0..3 {
        operator.pass_over(NAME).await;
    }
    assert!(operator.was_woken(SECOND));
    passes_until(&world, &operator, SECOND, || stopped("remove pod 2")).await;
}
