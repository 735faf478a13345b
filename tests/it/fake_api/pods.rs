//! Pods that come and go beside the operator's plans, and an API server that refuses to make one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, NAME, Phase, World, two_replicas};

async fn at_work() -> (World, Operator) {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    (world, operator)
}

fn message(world: &World) -> String {
    world.status()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn change_pod(world: &World, called: &str, change: impl FnOnce(&mut Value)) {
    world.with(|all| {
        let name = all.name_of(called);
        all.store.change("pods", &name, change);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_is_adopted() {
    let (world, mut operator) = at_work().await;
    let deeds = world.deeds();
    let owned = world.with(|all| all.pod("pod 2")).unwrap()["metadata"]["ownerReferences"].clone();
    change_pod(&world, "pod 2", |pod| {
        pod["metadata"]["ownerReferences"] = json!([]);
    });
    operator.rest().await;
    let pod = world.with(|all| all.pod("pod 2")).unwrap();
    assert_eq!(pod["metadata"]["ownerReferences"], owned);
    assert_eq!(world.deeds(), deeds);
}

/// What belongs to a resource.
const KINDS: [&str; 5] = [
    "pods",
    "services",
    "configmaps",
    "controllerrevisions",
    "poddisruptionbudgets",
];

/// `kubectl delete --cascade=orphan`, and the same file applied again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_resource_has_left_is_taken_over_and_works_on() {
    let (world, operator) = at_work().await;
    drop(operator);
    let deeds = world.deeds();
    world.orphan(&KINDS);
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            node["metadata"]["uid"] = json!("another");
            node.as_object_mut().unwrap().remove("status");
        });
    });
    let mut operator = Operator::start(&world);
    operator.rest().await;
    for kind in KINDS {
        let objects = world.with(|all| all.store.all(kind));
        assert!(!objects.is_empty(), "no {kind}");
        for (name, object) in objects {
            let owners = &object["metadata"]["ownerReferences"];
            assert_eq!(owners[0]["uid"], "another", "{kind} {name}: {owners}");
        }
    }
    assert_eq!(world.deeds(), deeds);
    assert_eq!(world.wrongs(), [""; 0]);
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    // Also what it took over is tidied away in its time.
    assert_eq!(world.deeds().last().unwrap(), "remove revision 1");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The names of what is there of a kind.
fn made(world: &World, kind: &str) -> Vec<String> {
    world.with(|all| all.store.all(kind)).into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backup_brings_back_works_on_and_is_asked_for_nothing_anew() {
    let (world, mut operator) = at_work().await;
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            let asked = json!({"chainlink-operator.dev/switchover": "long ago"});
            node["metadata"]["annotations"] = asked;
        });
    });
    operator.rest().await;
    drop(operator);
    let (deeds, before) = (world.deeds(), KINDS.map(|kind| made(&world, kind)));
    world.restore(&KINDS);
    let mut operator = Operator::start(&world);
    operator.rest().await;

    assert_eq!(world.deeds(), deeds, "{}", world.describe());
    let uid = world.node()["metadata"]["uid"].clone();
    for (kind, before) in KINDS.into_iter().zip(before) {
        assert_eq!(made(&world, kind), before, "{kind}");
        for (name, object) in world.with(|all| all.store.all(kind)) {
            let owners = &object["metadata"]["ownerReferences"];
            assert_eq!(owners[0]["uid"], uid, "{kind} {name}: {owners}");
        }
    }
    assert_eq!(world.status()["switchover"]["state"], "Refused");
    assert_eq!(world.wrongs(), [""; 0]);
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The garbage collector takes the owner references away, then the resource is gone: what got one back in between would be
/// deleted with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_orphaned_in_the_middle_of_a_pass_is_not_taken_back() {
    let (world, operator) = at_work().await;
    drop(operator);
    let (seen, orphaned) = (world.clone(), AtomicBool::new(false));
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        if call.is("list", "controllerrevisions") && !orphaned.swap(true, Ordering::SeqCst) {
            seen.orphan(&KINDS);
            seen.with(|all| {
                all.store.change("chainlinknodes", NAME, |node| {
                    node["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                    node["metadata"]["finalizers"] = json!(["orphan"]);
                });
            });
        }
        Fate::Pass
    });
    operator.passes_for(Duration::from_secs(3)).await;
    for kind in KINDS {
        for (name, object) in world.with(|all| all.store.all(kind)) {
            let owners = &object["metadata"]["ownerReferences"];
            assert_eq!(*owners, json!([]), "{kind} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_that_name_that_is_nobodys_is_left_alone() {
    let world = World::new(&two_replicas());
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 6688}]},
    });
    world
        .with(|all| all.store.create("services", theirs))
        .unwrap();
    let before = world.with(|all| all.store.find("services", NAME)).unwrap();
    Operator::start(&world)
        .drive_in_vain("it is told", |world| message(world).contains("Service"))
        .await;
    assert_eq!(
        world.with(|all| all.store.find("services", NAME)).unwrap(),
        before
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_of_another_owner_is_neither_counted_nor_touched() {
    let (world, mut operator) = at_work().await;
    let other = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "y",
        "controller": true}]);
    change_pod(&world, "pod 2", |pod| {
        pod["metadata"]["ownerReferences"] = other;
    });
    let before = world.with(|all| all.pod("pod 2")).unwrap();
    operator
        .drive("another standby", |world| {
            world.with(|all| all.phase_of("pod 3")) == Some(Phase::Waiting)
        })
        .await;
    operator.drive_for(Duration::from_secs(1)).await;
    assert_eq!(world.deeds().last().unwrap(), "make pod 3 (2.28.0)");
    assert_eq!(world.with(|all| all.pod("pod 2")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_bears_the_intended_name_and_is_not_ours_is_passed_over_and_not_touched() {
    let world = World::new(&two_replicas());
    let name = {
        // Names are made from the uid of the resource and a number: the second is taken by a stranger.
        let twin = World::new(&two_replicas());
        Operator::start(&twin).rest().await;
        twin.with(|all| all.name_of("pod 2"))
    };
    let stranger = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": "far-away", "containers": []}});
    world.with(|all| {
        all.store.create("pods", stranger).unwrap();
        all.leave_alone("far-away");
    });
    let before = world.with(|all| all.store.find("pods", &name));
    let mut operator = Operator::start(&world);
    operator
        .drive("two pods of ours", |world| {
            world.status()["phase"] == "Running" && world.roles().len() == 2
        })
        .await;
    assert_eq!(world.with(|all| all.store.find("pods", &name)), before);
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
}

/// The name that the first object of a kind gets from the operator.
async fn first_name(kind: &str) -> String {
    let twin = World::new(&two_replicas());
    Operator::start(&twin).rest().await;
    let all = twin.with(|all| all.store.all(kind));
    all.keys().next().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_object_of_somebody_else_is_not_taken_for_ours() {
    for kind in ["configmaps", "controllerrevisions"] {
        let name = first_name(kind).await;
        let world = World::new(&two_replicas());
        let stranger = json!({"metadata": {"name": name, "ownerReferences": [{
            "apiVersion": "v1", "kind": "x", "name": "x", "uid": "y", "controller": true,
        }]}});
        world.with(|all| all.store.create(kind, stranger).unwrap());
        let mut operator = Operator::start(&world);
        let told = format!("named {name} exists and is not this resource's");
        operator
            .drive("it is told", |world| message(world).contains(&told))
            .await;
        let pods = world.with(|all| all.store.all("pods").len());
        assert_eq!(pods, 0, "{kind}");
        world.with(|all| all.store.remove(kind, &name));
        operator.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_standby_is_tidied_and_replaced() {
    let (world, mut operator) = at_work().await;
    world.with(|all| all.fail_pod("pod 2"));
    operator.rest().await;
    let deeds = world.deeds();
    assert!(
        deeds.ends_with(&["make pod 3 (2.28.0)".to_owned()]),
        "{deeds:?}"
    );
    assert!(world.with(|all| all.pod("pod 2")).is_none());
    assert_eq!(
        world.roles(),
        [
            "pod 1: Active 2.28.0, leads the Service",
            "pod 3: Standby 2.28.0"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_active_is_tidied_and_the_standby_takes_over_behind_the_service() {
    let (world, mut operator) = at_work().await;
    world.with(|all| all.fail_pod("pod 1"));
    operator.rest().await;
    assert_eq!(
        world.roles(),
        [
            "pod 2: Active 2.28.0, leads the Service",
            "pod 3: Standby 2.28.0"
        ]
    );
    assert_eq!(world.status()["lastHandover"]["reason"], "Failover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_active_comes_back_as_standby_and_no_pod_is_made() {
    let (world, mut operator) = at_work().await;
    let deeds = world.deeds();
    world.with(|all| all.kill("pod 1"));
    world
        .until("pod 1 waits", |all| {
            all.phase("pod 1") == Some(Phase::Waiting)
        })
        .await;
    operator.rest().await;
    assert_eq!(world.deeds(), deeds);
    assert_eq!(
        world.roles(),
        [
            "pod 1: Standby 2.28.0",
            "pod 2: Active 2.28.0, leads the Service"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_refuses_the_new_pod_is_told_and_the_active_works_on() {
    let (world, mut operator) = at_work().await;
    drop(std::mem::replace(
        &mut operator,
        Operator::meddled(&world, |call: &Call| {
            if call.is("create", "pods") {
                Fate::Refuse(403)
            } else {
                Fate::Pass
            }
        }),
    ));
    world.upgrade("2.29.0");
    operator
        .drive("the refusal is told", |world| {
            message(world).contains("exceeded quota")
        })
        .await;
    operator.drive_for(Duration::from_secs(1)).await;
    assert_eq!(world.status()["phase"], "Stalled");
    assert!(message(&world).contains("works on"), "{}", message(&world));
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
    // The quota is raised.
    let mut operator = Operator::start(&world);
    operator.rest().await;
    assert_eq!(world.deeds(), crate::fake_api::handover::DEEDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_replicas_0_all_pods_go_standbys_first() {
    let (world, mut operator) = at_work().await;
    world.edit(|spec| spec["replicas"] = json!(0));
    operator
        .drive("hibernated", |world| {
            world.status()["phase"] == "Hibernated"
        })
        .await;
    let deeds = world.deeds();
    assert!(
        deeds.ends_with(&["remove pod 2".to_owned(), "remove pod 1".to_owned()]),
        "{deeds:?}"
    );
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_the_node_refuses_replaces_nothing_and_its_words_are_told() {
    let (world, mut operator) = at_work().await;
    world.behave(|habits| {
        let words = "Invalid configuration: EVM.0.Nodes: missing: must have at least one node";
        habits.refuses_configuration = Some(words.to_owned());
    });
    world.upgrade("2.29.0");
    operator
        .drive("the refusal is told", |world| {
            message(world).contains("EVM.0.Nodes: missing")
        })
        .await;
    assert_eq!(world.status()["phase"], "Stalled");
    assert_eq!(world.checks(), ["make check 1"]);
    // A Secret was corrected: the kubelet has tried again.
    world.behave(|habits| habits.refuses_configuration = None);
    operator.rest().await;
    assert_eq!(world.deeds(), crate::fake_api::handover::DEEDS);
    assert_eq!(world.wrongs(), [""; 0]);
}
