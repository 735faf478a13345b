//! An API server that will not have something: by a policy, a webhook that denies or is down, a right that is missing, a
//! CRD that is too old. It is told, it holds up nothing else, and it is tried again calmly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kube::runtime::controller::Action;
use serde_json::json;

use crate::fake_api::handover::DEEDS;
use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, NAME, World, two_replicas};

fn refusing(
    world: &World,
    code: u16,
    what: impl Fn(&Call) -> bool + Send + Sync + 'static,
) -> Operator {
    Operator::meddled(world, move |call: &Call| {
        if what(call) {
            Fate::Refuse(code)
        } else {
            Fate::Pass
        }
    })
}

pub fn stalled(world: &World) -> String {
    let status = world.status();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = all
        .iter()
        .find(|one| one["type"] == "Stalled" && one["status"] == "True");
    found.map_or_else(String::new, |one| {
        one["reason"].as_str().unwrap().to_owned()
    })
}

pub fn message(world: &World) -> String {
    world.status()["message"].to_string()
}

fn leads(world: &World, called: &str) -> bool {
    let leads = format!("{called}: Active 2.28.0, leads the Service");
    world.roles().contains(&leads)
}

/// Whether the Service leads to a pod, whatever the status says.
fn is_led_to(world: &World, called: &str) -> bool {
    let pod = world.with(|all| all.pod(called));
    pod.is_some_and(|pod| world.with(|all| all.leads_to(&pod)))
}

/// The standby takes over from a killed active, by an operator for which some calls fail for ever.
async fn fails_over_in_spite_of(code: u16, what: fn(&Call) -> bool, change: fn(&World)) -> World {
    fails_over(code, what, change, leads).await
}

async fn fails_over(
    code: u16,
    what: fn(&Call) -> bool,
    change: fn(&World),
    leads: fn(&World, &str) -> bool,
) -> World {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    change(&world);
    let mut operator = refusing(&world, code, what);
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        while operator.pass().await.is_some() {}
    })
    .await;
    world.with(|all| all.kill("pod 1"));
    let follows = async {
        while !leads(&world, "pod 2") {
            operator.pass().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(20), follows).await;
    assert!(
        done.is_ok(),
        "the Service does not follow\n{}",
        world.describe()
    );
    world
}

/// Labels move before anything is written, and by what was seen alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_follows_the_lock_where_nothing_can_be_written_down() {
    let status = |call: &Call| call.is("replace", "chainlinknodes");
    let notes = |call: &Call| call.is("patch", "pods") && call.status;
    let maps = |call: &Call| call.is("get", "configmaps") && call.name == "settings";
    let with_a_map = |world: &World| {
        let map = json!({"metadata": {"name": "settings"}, "data": {"settings.toml": ""}});
        let made = world.with(|all| all.store.create("configmaps", map));
        assert!(made.is_ok());
        let reference = json!({"name": "settings", "key": "settings.toml"});
        world.edit(|spec| {
            spec["config"] = json!({"files": [{"name": "a", "configMapKeyRef": reference}]});
        });
    };
    for what in [status as fn(&Call) -> bool, notes, maps] {
        for code in [403, 500] {
            fails_over(code, what, with_a_map, is_led_to).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_follows_the_lock_where_the_crd_drops_what_is_to_be_remembered() {
    let outdate = |world: &World| {
        world.with(|all| all.store.unknown = vec!["/operator/wanted"]);
        world.upgrade("2.29.0");
    };
    let world = fails_over(500, |_| false, outdate, is_led_to).await;
    assert_eq!(stalled(&world), "CrdOutdated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_that_keep_failing_are_told_and_no_calm_status_stands() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    let lists = |call: &Call| call.is("list", "pods");
    let mut operator = refusing(&world, 503, lists);
    operator.passes_for(Duration::from_secs(2)).await;
    assert_eq!(
        stalled(&world),
        "",
        "what fails for a moment is only tried again"
    );
    operator
        .drive_in_vain("it is told", |world| stalled(world) == "LookFailed")
        .await;
    let told = message(&world);
    assert!(
        told.contains("looking at the pods: that keeps failing"),
        "{told}"
    );
    Operator::start(&world).rest().await;
    assert_eq!(stalled(&world), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_follows_the_lock_where_a_new_revision_can_not_be_kept() {
    for code in [400, 500] {
        let world = fails_over_in_spite_of(
            code,
            |call| call.is("create", "controllerrevisions"),
            |world| world.upgrade("2.29.0"),
        )
        .await;
        assert!(message(&world).contains("the revision"), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_follows_the_lock_where_it_can_not_be_applied_anew() {
    for code in [400, 500] {
        fails_over_in_spite_of(
            code,
            |call| call.is("patch", "services"),
            |world| {
                world.edit(|spec| spec["service"] = json!({"annotations": {"a": "b"}}));
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_refused_at_rest_is_tried_ever_later_and_soon_for_another_spec() {
    let world = World::new(&two_replicas());
    let mut operator = refusing(&world, 403, |call| call.is("patch", "services"));
    operator
        .drive_in_vain("both pods work, and the Service is refused", |world| {
            stalled(world) == "ServiceRefused"
                && world.roles().len() == 2
                && is_led_to(world, "pod 1")
        })
        .await;
    for _ in 0..8 {
        operator.pass().await;
    }
    let at_rest = Action::requeue(Duration::from_secs(15));
    assert_eq!(operator.next().await, at_rest);
    world.edit(|spec| spec["service"] = json!({"annotations": {"a": "b"}}));
    assert_ne!(operator.next().await, at_rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_denies_without_a_code_is_told_and_one_that_is_down_as_soon_as_it_lasts() {
    for code in [400, 500] {
        let world = World::new(&two_replicas());
        refusing(&world, code, |call| call.is("patch", "services"))
            .drive_in_vain("the Service is told", |world| {
                stalled(world) == "ServiceRefused"
                    && world.with(|all| all.store.all("pods").len()) == 2
            })
            .await;
        let world = World::new(&two_replicas());
        refusing(&world, code, |call| call.is("create", "pods"))
            .drive_in_vain("the pod is told", |world| stalled(world) == "PodRefused")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_may_not_be_labelled_keeps_no_other_from_being_made() {
    let world = World::new(&two_replicas());
    let gate = |call: &Call| call.is("patch", "pods") && !call.status;
    let mut operator = refusing(&world, 403, gate);
    operator
        .drive_in_vain("it is told, and both pods are there", |world| {
            stalled(world) == "PodNotUpdated" && world.with(|all| all.store.all("pods").len()) == 2
        })
        .await;
    // A handover that the Service could not follow is not begun.
    world.upgrade("2.29.0");
    operator.passes_for(Duration::from_secs(4)).await;
    let holder = world.with(|all| all.holder(HOME));
    assert_eq!(holder.as_deref(), Some("pod 1"), "{}", world.describe());
    Operator::start(&world).rest().await;
    assert_eq!(world.deeds(), DEEDS);
}

/// What events say of looks that were refused.
fn refused_looks(world: &World) -> Vec<String> {
    let events = world.with(|all| all.store.all("new-events")).into_values();
    let told = events.filter(|event| event["reason"] == "LookRefused");
    told.map(|event| event["note"].to_string()).collect()
}

/// What was seen of a pod is noted in its status: where that is refused, or the pods may not be read at all, nothing goes
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_is_refused_is_told_once_and_nothing_is_done_before_it_is_allowed() {
    let notes = |call: &Call| call.is("patch", "pods") && call.status;
    let lists = |call: &Call| call.is("list", "pods");
    for refused in [notes as fn(&Call) -> bool, lists] {
        let world = World::new(&two_replicas());
        Operator::start(&world).rest().await;
        world.upgrade("2.29.0");
        let mut operator = refusing(&world, 403, refused);
        operator
            .drive_in_vain("it is told", |world| stalled(world) == "LookRefused")
            .await;
        let told = message(&world);
        assert!(
            told.contains("looking at the pods: the API server refuses it"),
            "{told}"
        );
        let told = |world: &World| {
            let events = world.with(|all| all.store.all("new-events")).into_values();
            events
                .filter(|event| event["reason"] == "LookRefused")
                .count()
        };
        assert_eq!(told(&world), 1, "{}", world.describe());
        let before = world.with(|all| all.store.version());
        operator.passes_for(Duration::from_secs(5)).await;
        assert_eq!(world.with(|all| all.store.version()), before);
        let stopped = world
            .deeds()
            .into_iter()
            .any(|deed| deed.starts_with("remove pod"));
        assert!(!stopped, "{}", world.describe());
        Operator::start(&world).rest().await;
        assert_eq!(world.deeds(), DEEDS);
        assert_eq!(stalled(&world), "");
    }
}

/// Whoever reads the status for hours must not depend on the one moment in which the failure began to be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_could_not_be_told_at_once_is_told_in_the_status_later() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    let tries = AtomicUsize::new(0);
    let mut operator = refusing(&world, 403, move |call: &Call| {
        let tells = call.is("replace", "chainlinknodes");
        call.is("list", "pods") || (tells && tries.fetch_add(1, Ordering::SeqCst) < 3)
    });
    operator
        .drive_in_vain("it is told", |world| stalled(world) == "LookRefused")
        .await;
    assert_eq!(refused_looks(&world).len(), 1, "{}", world.describe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_may_not_be_written_is_told_by_one_event() {
    let world = World::new(&two_replicas());
    let status = |call: &Call| call.is("replace", "chainlinknodes");
    let mut operator = refusing(&world, 403, status);
    operator
        .drive_in_vain("it is told", |world| !refused_looks(world).is_empty())
        .await;
    operator.passes_for(Duration::from_secs(5)).await;
    let notes = refused_looks(&world);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("writing the status"), "{notes:?}");
    // What could not be remembered is not done.
    assert!(world.with(|all| all.store.all("pods").is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_is_denied_is_told_once_and_tried_again_calmly() {
    for code in [400, 500] {
        let world = World::new(&two_replicas());
        Operator::start(&world).rest().await;
        world.upgrade("2.29.0");
        let allowed = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&allowed);
        let mut operator = refusing(&world, code, move |call| {
            call.is("delete", "pods")
                && !call.name.contains("validate")
                && !now.load(Ordering::SeqCst)
        });
        operator
            .drive_in_vain("it is told", |world| stalled(world) == "StopRefused")
            .await;
        assert!(message(&world).contains("works on"), "{}", message(&world));
        let before = world.with(|all| all.store.version());
        operator.passes_for(Duration::from_secs(8)).await;
        let writes = world.with(|all| all.store.version()) - before;
        // A try writes its intent and takes it back: at most one falls into this time, after those of before.
        assert!(writes <= 6, "{code}: {writes} writes\n{}", world.describe());
        allowed.store(true, Ordering::SeqCst);
        operator.rest().await;
        assert_eq!(world.deeds(), DEEDS, "{code}");
        assert_eq!(world.wrongs(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_crd_that_drops_what_is_to_be_remembered_is_told_and_nothing_is_done() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    world.with(|all| all.store.unknown = vec!["/operator/wanted"]);
    let before = world.deeds();
    world.upgrade("2.29.0");
    let mut operator = Operator::start(&world);
    operator
        .drive_in_vain("it is told", |world| stalled(world) == "CrdOutdated")
        .await;
    assert!(
        message(&world).contains("does not keep status.operator.wanted"),
        "{}",
        message(&world)
    );
    let version = world.with(|all| all.store.version());
    operator.passes_for(Duration::from_secs(2)).await;
    assert_eq!(world.with(|all| all.store.version()), version);
    let pods = |deeds: Vec<String>| -> Vec<String> {
        let of_pods = deeds.into_iter().filter(|deed| deed.contains(" pod "));
        of_pods.collect()
    };
    assert_eq!(pods(world.deeds()), pods(before));
    // The CRD is applied.
    world.with(|all| all.store.unknown.clear());
    operator.rest().await;
    assert_eq!(world.deeds(), DEEDS);
}

/// Back to an older operator, whose status is a newer one's: what it does not know it neither follows nor stumbles over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_crd_has_in_store_holds_an_older_operator_up_in_nothing() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            for part in ["/spec", "/status", "/status/operator"] {
                node.pointer_mut(part).unwrap()["ofTomorrow"] = json!({"is": "not known yet"});
            }
        });
    });
    world.upgrade("2.29.0");
    Operator::start(&world).rest().await;
    assert_eq!(world.deeds(), DEEDS);
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(world.node()["spec"]["ofTomorrow"]["is"], "not known yet");
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_not_taken_do_not_keep_the_service_from_following() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    world.with(|all| all.kill("pod 1"));
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("create", "new-events") {
            Fate::Hold
        } else {
            Fate::Pass
        }
    });
    let post = Arc::clone(&operator.post);
    let passes = tokio::spawn(async move {
        operator.passes_for(Duration::from_secs(5)).await;
    });
    post.holds().await;
    let label = "chainlink-operator.dev/role";
    world
        .until("the label has moved", |all| {
            let pod = all.pod("pod 2").unwrap();
            pod["metadata"]["labels"][label] == "active"
        })
        .await;
    post.release();
    passes.await.unwrap();
}

/// A label that somebody else's write came before has not moved: the next one is not given before it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pod_is_labelled_active_while_the_label_of_another_has_met_a_conflict() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    let first = world.with(|all| all.name_of("pod 1"));
    let labels = move |call: &Call| call.is("patch", "pods") && !call.status && call.name == first;
    let mut operator = refusing(&world, 409, labels);
    world.with(|all| all.cut_off("pod 1"));
    operator
        .drive_in_vain("the takeover is seen", |world| {
            world.roles().contains(&"pod 2: Active 2.28.0".to_owned())
        })
        .await;
    operator.passes_for(Duration::from_secs(2)).await;
    assert!(is_led_to(&world, "pod 1") && !is_led_to(&world, "pod 2"));
    // Nothing comes between any more.
    Operator::start(&world)
        .drive_in_vain("the label has moved", |world| is_led_to(world, "pod 2"))
        .await;
    assert!(!is_led_to(&world, "pod 1"));
}
