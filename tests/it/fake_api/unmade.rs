//! Pods that an API server does not make, or an operator that was frozen before it asked for them: what works is kept, the
//! try is made again ever more calmly, and nothing is made that nobody plans any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::fake_api::hostile::held_when;
use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::refusals::{message, stalled};
use crate::fake_api::world::{World, two_replicas};

/// An operator whose API server makes no pod with an image of this tag, and how often it was asked to.
fn with_a_policy(world: &World, tag: &'static str) -> (Operator, Arc<AtomicUsize>) {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let operator = Operator::meddled(world, move |call: &Call| {
        let image = call.image.as_ref();
        let of_node = call.is("create", "pods") && !call.name.contains("validate");
        if of_node && image.is_some_and(|image| image.ends_with(tag)) {
            count.fetch_add(1, Ordering::SeqCst);
            return Fate::Refuse(403);
        }
        Fate::Pass
    });
    (operator, tries)
}

fn images(world: &World) -> Vec<String> {
    let pods = world.with(|all| all.store.all("pods")).into_values();
    let image = |pod: &serde_json::Value| pod["spec"]["containers"][0]["image"].to_string();
    pods.map(|pod| image(&pod)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_works_is_made_again_while_a_policy_refuses_the_new_image() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    Operator::start(&world).rest().await;
    world.upgrade("2.29.0");
    let (mut operator, tries) = with_a_policy(&world, "2.29.0");
    operator
        .drive_in_vain("it is told", |world| stalled(world) == "PodRefused")
        .await;
    assert!(
        message(&world).contains("refuses to make a pod"),
        "{}",
        message(&world)
    );
    operator.passes_for(Duration::from_secs(12)).await;
    let calls = tries.load(Ordering::SeqCst);
    assert!((2..=4).contains(&calls), "{calls} tries");
    // The one that works is gone with its pod.
    world.with(|all| {
        let name = all.name_of("pod 1");
        all.store.remove("pods", &name);
    });
    operator
        .drive_in_vain("it is made again", |world| {
            let images = images(world);
            images.len() == 1 && images[0].contains("2.28.0")
        })
        .await;
    assert_eq!(stalled(&world), "PodRefused");
    world.edit(|spec| spec["version"] = json!("2.28.0"));
    operator
        .drive_in_vain("nothing is told any more", |world| {
            stalled(world).is_empty()
        })
        .await;
}

/// The last question before the pod is asked for.
fn is_the_last_question(call: &Call, world: &World) -> bool {
    let intended = world.status()["operator"]["creating"].is_object();
    intended && call.is("get", "chainlinknodes")
}

fn makes_the_second(world: &World) -> bool {
    let deeds = world.deeds();
    deeds.iter().any(|deed| deed.starts_with("make pod 2"))
}

/// It thaws, and what it had planned is not wanted any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_was_frozen_before_a_creation_makes_no_pod_that_is_not_planned_any_more() {
    let world = held_when(is_the_last_question, async |world: &World| {
        world.edit(|spec| spec["version"] = json!("2.28.0"));
    })
    .await;
    assert!(!makes_the_second(&world), "{}", world.describe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_is_not_asked_for_long_after_it_was_seen_to_be_planned() {
    let world = held_when(is_the_last_question, async |_: &World| {
        tokio::time::sleep(Duration::from_millis(2500)).await;
    })
    .await;
    assert!(!makes_the_second(&world), "{}", world.describe());
}

/// The pass comes to its end, and the pod is not made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_does_not_say_whether_a_creation_is_still_planned_is_not_waited_for() {
    let world = World::new(&two_replicas());
    let (seen, held) = (world.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&held);
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        let question = is_the_last_question(call, &seen);
        if question && count.fetch_add(1, Ordering::SeqCst) == 0 {
            Fate::Hold
        } else {
            Fate::Pass
        }
    });
    let pass = tokio::time::timeout(Duration::from_secs(15), operator.pass()).await;
    assert_eq!(pass, Ok(Some(true)));
    assert_eq!(held.load(Ordering::SeqCst), 1);
    assert_eq!(images(&world), [""; 0]);
}
