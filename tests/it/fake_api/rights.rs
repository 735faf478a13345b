//! The rights that the chart grants beside those that the operator asks for. The server refuses what the chart does not
//! grant, in every test here; this one looks for what it grants in vain.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{NAME, World, two_replicas};
use crate::granted;

/// What this server can't see the need of. Watches are held against the code in `tests/it/rights.rs`.
const UNSEEN: [&str; 11] = [
    // The first half of a watch: passes are begun by hand here.
    "list chainlink-operator.dev/chainlinknodes",
    "list configmaps",
    "list policy/poddisruptionbudgets",
    "list services",
    // Asked for by an admission plugin (OwnerReferencesPermissionEnforcement), for owner references that block.
    "update chainlink-operator.dev/chainlinknodes/finalizers",
    "watch apps/controllerrevisions",
    "watch chainlink-operator.dev/chainlinknodes",
    "watch configmaps",
    "watch pods",
    "watch policy/poddisruptionbudgets",
    "watch services",
];

async fn until_asked_for(operator: &mut Operator, right: &str) {
    operator
        .drive(right, |world| world.asked().contains(right))
        .await;
}

/// Lets the pod that checks the configuration end well: it is no node, and no kubelet here starts it.
async fn configuration_is_valid(world: &World, operator: &mut Operator) {
    let checks = |pod: &Value| {
        let labels = &pod["metadata"]["labels"];
        labels["chainlink-operator.dev/validation"] == NAME
    };
    let find = |world: &World| {
        let pods = world.with(|all| all.store.all("pods"));
        let found = pods.iter().find(|(_, pod)| checks(pod));
        found.map(|(name, _)| name.clone())
    };
    operator
        .drive("it is checked", |world| find(world).is_some())
        .await;
    let name = find(world).unwrap();
    world.with(|all| {
        all.store.change("pods", &name, |pod| {
            let ended = json!({"exitCode": 0, "reason": "Completed"});
            pod["status"]["phase"] = json!("Succeeded");
            pod["status"]["containerStatuses"] = json!([{
                "name": "node", "image": "chainlink", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": ended},
            }]);
        });
    });
}

/// A pod of ours that its machine has not started for a long time.
fn slow_pod(world: &World) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "slow", "labels": {"chainlink-operator.dev/node": NAME}},
        "spec": {"nodeName": "far-away", "containers": []},
    });
    world.with(|all| {
        all.leave_alone("far-away");
        all.store.create("pods", pod).unwrap();
        all.store.change("pods", "slow", |pod| {
            pod["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_grants_no_right_that_nothing_asks_for() {
    let mut spec = two_replicas();
    spec["credentials"]["sessionSecret"] = json!({"generate": true});
    spec["service"] = json!({"p2p": {}});
    let world = World::new(&spec);
    world.keep_a_digest_key();
    let lists = AtomicUsize::new(0);
    // The revision was kept in the first pass, and the second is told that it was not.
    let mut forgetful = Operator::meddled(&world, move |call: &Call| {
        let revisions = call.is("list", "controllerrevisions");
        if revisions && lists.fetch_add(1, Ordering::Relaxed) == 1 {
            Fate::Earlier
        } else {
            Fate::Pass
        }
    });
    forgetful.rest().await;
    drop(forgetful);

    let mut operator = Operator::that_asks(&world);
    until_asked_for(&mut operator, "get secrets").await;
    world.behave(|habits| habits.no_room = true);
    world.edit(|spec| {
        spec["service"] = json!({});
        spec["restartedAt"] = json!("today");
    });
    configuration_is_valid(&world, &mut operator).await;
    world.behave(|habits| habits.no_room = false);
    operator.rest().await;
    until_asked_for(&mut operator, "delete apps/controllerrevisions").await;
    assert_eq!(world.wrongs(), [""; 0]);

    // No release was applied: what names one is taken away.
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            let applied = json!({"chainlink-operator.dev/applied-update": "some image"});
            node["metadata"]["annotations"] = applied;
        });
    });
    until_asked_for(&mut operator, "patch chainlink-operator.dev/chainlinknodes").await;

    world.orphan(&["configmaps", "controllerrevisions"]);
    until_asked_for(&mut operator, "patch apps/controllerrevisions").await;

    let (_, candidate) = Operator::that_shares(&world, "one", Post::faithful());
    until_asked_for(&mut operator, "update coordination.k8s.io/leases").await;
    candidate.gives_up();

    slow_pod(&world);
    until_asked_for(&mut operator, "list events").await;
    let asked = world.asked();
    let vain: BTreeSet<String> = granted::all().difference(&asked).cloned().collect();
    assert_eq!(vain, UNSEEN.map(str::to_owned).into());
}
