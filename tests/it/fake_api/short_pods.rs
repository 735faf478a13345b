//! Short pods, where an API server does not take them as they are asked for first.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{World, two_replicas};

type Cpu = Vec<Option<String>>;

/// The check before an upgrade, where the API server refuses one whose containers request this CPU, and what was asked for.
async fn checked(spec: &Value, refused: fn(&Cpu) -> bool) -> (World, Vec<Cpu>) {
    let world = World::new(spec);
    Operator::start(&world).rest().await;
    world.upgrade("2.29.0");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&asked);
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        if !call.is("create", "pods") || !call.name.contains("validate") {
            return Fate::Pass;
        }
        all.lock().unwrap().push(call.cpu.clone());
        if refused(&call.cpu) {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator
        .drive_in_vain("a check is made", |world| !world.checks().is_empty())
        .await;
    let asked = asked.lock().unwrap().clone();
    (world, asked)
}

fn cpu(containers: &[&str]) -> Cpu {
    let requested = containers.iter().map(|cpu| Some((*cpu).to_owned()));
    requested.collect()
}

/// The maximum of a pod, which leaves no room for a container beside the node's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_refused_with_its_tries_is_made_without() {
    let mut spec = two_replicas();
    spec["pod"] = json!({"resources": {"requests": {"cpu": "250m"}}});
    let (world, asked) = checked(&spec, |cpu| cpu.len() > 1).await;
    assert_eq!(asked, [cpu(&["250m", "10m"]), cpu(&["250m"])]);
    assert_eq!(world.checks(), ["make check 1"]);
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The minimum of a container, where there is no room for a surge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_refused_for_its_small_amounts_is_made_as_large_as_the_node() {
    let mut spec = two_replicas();
    spec["handover"]["surge"] = json!(0);
    spec["pod"] = json!({"resources": {"requests": {"cpu": "250m"}}});
    let small = |cpu: &Cpu| cpu.contains(&Some("10m".to_owned()));
    let (world, asked) = checked(&spec, small).await;
    assert_eq!(asked, [cpu(&["10m", "10m"]), cpu(&["250m"])]);
    assert_eq!(world.checks(), ["make check 1"]);
    assert_eq!(world.wrongs(), [""; 0]);
}
