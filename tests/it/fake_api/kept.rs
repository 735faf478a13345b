//! Kept revisions and their files: none is left behind, whatever the API server refuses and whoever made them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{NAME, Phase, World, two_replicas};

/// An operator to which some creations are refused until it is said otherwise.
fn refused_at_first(world: &World, what: fn(&Call) -> bool) -> (Operator, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&refuses);
    let operator = Operator::meddled(world, move |call: &Call| {
        if call.verb == "create" && what(call) && still.load(Ordering::SeqCst) {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    (operator, refuses)
}

/// Two replicas that also mount a copy of a ConfigMap.
fn with_a_mounted_map() -> World {
    let mut spec = two_replicas();
    spec["pod"] = json!({"volumes": [{"name": "ca", "mountPath": "/ca", "configMapName": "ca"}]});
    let world = World::new(&spec);
    let map = json!({"metadata": {"name": "ca"}, "data": {"ca.crt": "certificate"}});
    world
        .with(|all| all.store.create("configmaps", map))
        .unwrap();
    world
}

/// The names of kept revisions, and those that files are kept for; one entry for each.
fn kept(world: &World) -> (Vec<String>, Vec<String>) {
    world.with(|all| {
        let revisions = all.store.all("controllerrevisions").into_keys().collect();
        let maps = all.store.all("configmaps").into_values();
        let files = maps.filter_map(|map| {
            let of = &map["metadata"]["labels"]["chainlink-operator.dev/revision"];
            of.as_str().map(str::to_owned)
        });
        (revisions, files.collect())
    })
}

fn is_told(world: &World) -> bool {
    let status = world.status();
    status["observedGeneration"] == world.node()["metadata"]["generation"]
        && status["conditions"].to_string().contains("RevisionNotKept")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_files_are_left_of_revisions_that_the_api_server_refuses_to_keep() {
    let world = with_a_mounted_map();
    let (mut operator, refuses) =
        refused_at_first(&world, |call| call.kind == "controllerrevisions");
    for change in ["one", "two", "three"] {
        world.edit(|spec| spec["restartedAt"] = json!(change));
        operator.drive("the refusal is told", is_told).await;
        assert_eq!(kept(&world), (vec![], vec![]), "{change}");
    }
    refuses.store(false, Ordering::SeqCst);
    operator.rest().await;
    let (revisions, files) = kept(&world);
    assert_eq!(revisions.len(), 1);
    assert_eq!(files, [revisions[0].clone(), revisions[0].clone()]);
}

/// The other way round: a revision is kept, and its files are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_without_its_files_makes_no_pod_and_goes_with_the_spec_that_asked_for_it() {
    let world = with_a_mounted_map();
    Operator::start(&world).rest().await;
    let before = kept(&world);
    let copy = |call: &Call| call.kind == "configmaps" && call.name.ends_with("-0");
    let (mut operator, refuses) = refused_at_first(&world, copy);
    for change in ["one", "two", "three"] {
        world.edit(|spec| spec["restartedAt"] = json!(change));
        operator.drive("the refusal is told", is_told).await;
        operator.drive_for(Duration::from_secs(2)).await;
        let (revisions, files) = kept(&world);
        assert!(revisions.len() <= 2, "{change}: {revisions:?}");
        assert!(files.len() <= 3, "{change}: {files:?}");
        let of_before = files.iter().filter(|name| **name == before.0[0]);
        assert_eq!(of_before.count(), 2, "{change}: {files:?}");
    }
    // Nothing comes and goes while it is refused (rule L2).
    let version = world.with(|all| all.store.version());
    operator.drive_for(Duration::from_secs(2)).await;
    assert_eq!(world.with(|all| all.store.version()), version);
    let made = world.deeds();
    let pods = made.iter().filter(|deed| deed.starts_with("make pod"));
    assert_eq!(pods.count(), 2, "{made:?}");

    refuses.store(false, Ordering::SeqCst);
    operator.rest().await;
    let (revisions, files) = kept(&world);
    assert_eq!(revisions.len(), 1);
    assert_eq!(files, [revisions[0].clone(), revisions[0].clone()]);
    assert_eq!(world.wrongs(), [""; 0]);
}

/// As `kubectl delete --cascade=orphan` does, and the same file applied again.
fn replace_the_resource(world: &World) {
    world.orphan(&[
        "pods",
        "services",
        "configmaps",
        "controllerrevisions",
        "poddisruptionbudgets",
    ]);
    world.with(|all| {
        all.store.change("configmaps", "ca", |map| {
            map["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("ownerReferences");
        });
        all.store.change("chainlinknodes", NAME, |node| {
            node["metadata"]["uid"] = json!("another");
            node.as_object_mut().unwrap().remove("status");
        });
    });
}

fn owner(object: &Value) -> &Value {
    &object["metadata"]["ownerReferences"][0]["uid"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_orphaned_rollout_every_revision_is_taken_over_with_its_files() {
    let world = with_a_mounted_map();
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.behave(|habits| habits.hang_at_start = true);
    world.upgrade("2.29.0");
    operator
        .drive("the successor starts", |world| {
            world.with(|all| all.phase_of("pod 3")) == Some(Phase::Starting)
        })
        .await;
    drop(operator);
    replace_the_resource(&world);

    let mut operator = Operator::start(&world);
    operator
        .drive("its pods are known", |world| world.roles().len() == 3)
        .await;
    let (revisions, files) = kept(&world);
    assert_eq!((revisions.len(), files.len()), (2, 4));
    for name in &revisions {
        let kept = world.with(|all| all.store.get("controllerrevisions", name));
        assert_eq!(owner(&kept.unwrap()), "another", "{name}");
    }
    for (name, map) in world.with(|all| all.store.all("configmaps")) {
        let ours = if name == "ca" {
            Value::Null
        } else {
            json!("another")
        };
        assert_eq!(owner(&map), &ours, "{name}");
    }
    // Also what nothing needs any more goes in its time, with its files.
    world.behave(|habits| habits.hang_at_start = false);
    world.with(|all| all.kill("pod 3"));
    operator.rest().await;
    let (revisions, files) = kept(&world);
    assert_eq!(revisions.len(), 1, "{revisions:?}");
    assert_eq!(files, [revisions[0].clone(), revisions[0].clone()]);
    assert_eq!(world.wrongs(), [""; 0]);
}
