//! An API server that is late, busy or overtaken by others. Watch events can't be lost here: the tests
//! call `reconcile` themselves, and a lost event is no more than a pass that begins later.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use serde_json::json;

use crate::fake_api::handover::{DEEDS, with_the_service_in_its_place};
use crate::fake_api::meddler::{Call, Dice, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{World, two_replicas};

const AT_ONCE: usize = 24;

async fn upgrade(meddler: impl Fn(&Call) -> Fate + Send + Sync + 'static, how: &str) {
    let world = World::new(&two_replicas());
    let mut operator = Operator::meddled(&world, meddler);
    operator.rest().await;
    world.upgrade("2.29.0");
    operator.rest().await;
    let deeds = with_the_service_in_its_place(world.deeds());
    assert_eq!(deeds, DEEDS, "{how}\n{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0], "{how}\n{}", world.describe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_refused_for_a_while_change_nothing_in_the_end() {
    let runs = [429, 500, 504].into_iter().flat_map(|code| {
        (0..6).map(move |seed| {
            tokio::spawn(async move {
                let dice = Dice::new(seed);
                let meddler = move |_: &Call| {
                    if dice.one_in(6 + 2 * seed) {
                        Fate::Refuse(code)
                    } else {
                        Fate::Pass
                    }
                };
                upgrade(meddler, &format!("{code}, seed {seed}")).await;
            })
        })
    });
    let failed = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter(|run| std::future::ready(run.is_err()))
        .count()
        .await;
    assert_eq!(failed, 0, "see above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_call_of_each_kind_may_fail() {
    let kinds = [
        ("get", "chainlinknodes"),
        ("list", "controllerrevisions"),
        ("create", "configmaps"),
        ("create", "controllerrevisions"),
        ("get", "services"),
        ("patch", "services"),
        ("list", "pods"),
        ("replace", "chainlinknodes"),
        ("create", "new-events"),
        ("create", "pods"),
        ("patch", "pods"),
        ("get", "pods"),
        ("delete", "pods"),
        ("delete", "controllerrevisions"),
        ("delete", "configmaps"),
    ];
    let runs = kinds.into_iter().flat_map(|(verb, kind)| {
        [Fate::Refuse(409), Fate::Refuse(500), Fate::Cut]
            .into_iter()
            .map(move |fate| {
                tokio::spawn(async move {
                    let left = std::sync::Mutex::new(3);
                    let meddler = move |call: &Call| {
                        let mut left = left.lock().unwrap();
                        if *left > 0 && call.is(verb, kind) {
                            *left -= 1;
                            return fate;
                        }
                        Fate::Pass
                    };
                    upgrade(meddler, &format!("{fate:?} to {verb} {kind}")).await;
                })
            })
    });
    let failed = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter(|run| std::future::ready(run.is_err()))
        .count()
        .await;
    assert_eq!(failed, 0, "see above");
}

/// The upgrade of one pod by an operator that is held before its first call of this kind, while
/// `happens`; then its pass goes on to its end.
async fn held_before(
    verb: &'static str,
    kind: &'static str,
    happens: impl AsyncFnOnce(&World),
) -> World {
    held_when(move |call, _| call.is(verb, kind), happens).await
}

/// The same, before its first call of which `is_it` says so.
pub async fn held_when(
    is_it: impl Fn(&Call, &World) -> bool + Send + Sync + 'static,
    happens: impl AsyncFnOnce(&World),
) -> World {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    Operator::start(&world).rest().await;
    let there = world.clone();
    let holds = move |call: &Call| {
        if is_it(call, &there) {
            Fate::Hold
        } else {
            Fate::Pass
        }
    };
    let mut operator = Operator::meddled(&world, holds);
    world.upgrade("2.29.0");
    let post: Arc<Post> = Arc::clone(&operator.post);
    let held = tokio::spawn(async move { operator.pass_until_released().await });
    post.holds().await;
    happens(&world).await;
    post.release();
    held.await.unwrap();
    world
}

fn removed(world: &World) -> Vec<String> {
    world
        .deeds()
        .into_iter()
        .filter(|deed| deed.starts_with("remove pod"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_comes_late_does_not_hit_a_pod_that_has_changed() {
    let world = held_before("delete", "pods", async |world: &World| {
        world.with(|all| all.kill("pod 1"));
        // Its successor takes over, and pod 1, started again, is the next to wait.
        world
            .until("pod 2 has the lock", |all| {
                all.holder("home").as_deref() == Some("pod 2")
            })
            .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    })
    .await;
    assert_eq!(removed(&world), [""; 0], "{}", world.describe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_comes_late_does_not_hit_a_pod_of_the_same_name() {
    let world = held_before("delete", "pods", async |world: &World| {
        world.with(|all| {
            let name = all.name_of("pod 1");
            let mut pod = (*all.pod("pod 1").unwrap()).clone();
            pod["spec"]["nodeName"] = json!(null);
            all.store.remove("pods", &name);
            all.store.create("pods", pod).unwrap();
        });
    })
    .await;
    assert_eq!(removed(&world), [""; 0], "{}", world.describe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_comes_late_does_not_hit_an_object_of_the_same_name() {
    for (verb, kind) in [("delete", "controllerrevisions"), ("delete", "configmaps")] {
        let name = std::sync::Mutex::new(String::new());
        let happens = async |world: &World| {
            world.with(|all| {
                let old = all.name_of("revision 1");
                all.store.remove(kind, &old);
                let stranger = json!({"metadata": {"name": old}});
                all.store.create(kind, stranger).unwrap();
                *name.lock().unwrap() = old;
            });
        };
        let world = held_before(verb, kind, happens).await;
        let name = name.into_inner().unwrap();
        let left = world.with(|all| all.store.find(kind, &name));
        assert!(left.is_some(), "{kind}: {}", world.describe());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_operators_upgrade_makes_a_late_delete_worthless() {
    let world = held_before("delete", "pods", async |world: &World| {
        Operator::start(world).rest().await;
    })
    .await;
    assert_eq!(removed(&world), ["remove pod 1"], "{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_comes_late_does_not_overwrite_what_another_operator_remembers() {
    let world = held_before("replace", "chainlinknodes", async |world: &World| {
        Operator::start(world).rest().await;
    })
    .await;
    let memory = &world.status()["operator"];
    assert_eq!(memory["podsMade"], 2, "{}", world.describe());
    assert_eq!(memory["newestHeld"], "2.29.0");
    assert_eq!(removed(&world), ["remove pod 1"], "{}", world.describe());
}

/// The operator asks for no version, so that a quorum answers (the fake server insists on it). Where a
/// LIST lags behind all the same, a stop is refused by the victim's version, or is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_are_one_change_old_lead_to_no_wrong_stop() {
    let world = World::new(&two_replicas());
    let dice = Dice::new(1);
    let old = move |call: &Call| {
        let late = call.is("list", "pods") && dice.one_in(2);
        if late { Fate::Earlier } else { Fate::Pass }
    };
    let mut operator = Operator::meddled(&world, old);
    operator.rest().await;
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(
        removed(&world),
        ["remove pod 2", "remove pod 1"],
        "{}",
        world.describe()
    );
    assert_eq!(world.wrongs(), [""; 0], "{}", world.describe());
}

/// Somebody else writes the status between this operator's look and its write, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_whose_intent_could_not_be_written_is_not_carried_out() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(1);
    let world = World::new(&spec);
    Operator::start(&world).rest().await;
    world.upgrade("2.29.0");
    let conflicts = |call: &Call| {
        if call.is("replace", "chainlinknodes") {
            Fate::Refuse(409)
        } else {
            Fate::Pass
        }
    };
    let before = world.deeds().len();
    Operator::meddled(&world, conflicts)
        .drive_for(Duration::from_secs(2))
        .await;
    assert_eq!(
        world.deeds()[before..],
        ["make revision 2", "make files of revision 2"]
    );
}
