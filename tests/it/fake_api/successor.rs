//! What becomes of the successor between its waiting line and the stop of the active.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::port;
use crate::fake_api::world::{All, HOME, Phase, World, two_replicas};

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

/// An operator that runs by itself, and is held between a stop's written intent and its second look.
struct Held {
    world: World,
    post: Arc<Post>,
    ended: Arc<AtomicBool>,
    runs: JoinHandle<Operator>,
}

async fn held_before_the_second_look() -> Held {
    let (world, _) = one_pod_to_upgrade().await;
    let seen = world.clone();
    // The event of a stop is published when its intent is written, and before anything is done.
    let told = move |call: &Call| {
        let meant = call.is("create", "new-events")
            && seen.status()["operator"]["stopping"]["active"] == true;
        if meant { Fate::Hold } else { Fate::Pass }
    };
    let mut operator = Operator::meddled(&world, told);
    let post = Arc::clone(&operator.post);
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let runs = tokio::spawn(async move {
        operator
            .drive("told to end", move |_| told.load(Ordering::SeqCst))
            .await;
        operator
    });
    post.holds().await;
    Held {
        world,
        post,
        ended,
        runs,
    }
}

impl Held {
    /// Lets the operator go on for a while.
    async fn release_for(self, time: Duration) -> (World, Operator) {
        self.post.release();
        tokio::time::sleep(time).await;
        self.ended.store(true, Ordering::SeqCst);
        (self.world, self.runs.await.unwrap())
    }
}

fn nothing_was_stopped(world: &World) {
    let stopped: Vec<String> = world
        .deeds()
        .into_iter()
        .filter(|deed| deed.starts_with("remove pod"))
        .collect();
    assert_eq!(stopped, [""; 0], "{}", world.describe());
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
}

fn message(world: &World) -> String {
    world.status()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_whose_machine_is_lost_five_seconds_before_the_stop_permits_none() {
    let held = held_before_the_second_look().await;
    held.world.with(|all| all.lose_machine("pod 2"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (world, _) = held.release_for(Duration::from_secs(4)).await;
    nothing_was_stopped(&world);
    assert!(
        message(&world).contains("waited, but does not answer now"),
        "{}",
        message(&world)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_whose_machine_is_lost_in_the_moment_of_the_stop_permits_none() {
    let held = held_before_the_second_look().await;
    held.world.with(|all| all.lose_machine("pod 2"));
    let (world, _) = held.release_for(Duration::from_secs(4)).await;
    nothing_was_stopped(&world);
    assert!(
        message(&world).contains("waited, but does not answer now"),
        "{}",
        message(&world)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_restarts_after_its_waiting_line_has_to_wait_again_first() {
    let held = held_before_the_second_look().await;
    held.world.behave(|habits| habits.hang_at_start = true);
    held.world.with(|all| all.kill("pod 2"));
    let again = |all: &mut All| all.phase("pod 2") == Some(Phase::Starting);
    held.world.until("the container runs again", again).await;
    let (world, mut operator) = held.release_for(Duration::from_secs(3)).await;
    nothing_was_stopped(&world);
    world.behave(|habits| habits.hang_at_start = false);
    operator.rest().await;
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 2"));
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The address of a container that has ended refuses connections like that of one that waits, for as long as its
/// pod has a network; and the API server hears of the end a little later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_has_ended_permits_no_stop_while_the_api_server_says_that_it_runs() {
    let held = held_before_the_second_look().await;
    held.world.behave(|habits| habits.ends_untold = true);
    held.world.with(|all| all.kill("pod 2"));
    let (world, mut operator) = held.release_for(Duration::from_secs(3)).await;
    nothing_was_stopped(&world);
    assert!(
        message(&world).contains("waited, but its log has ended"),
        "{}",
        message(&world)
    );
    world.behave(|habits| habits.ends_untold = false);
    operator.rest().await;
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_goes_back_in_the_moment_of_the_stop_is_obeyed() {
    let held = held_before_the_second_look().await;
    held.world.upgrade("2.28.0");
    let (world, mut operator) = held.release_for(Duration::from_millis(500)).await;
    operator.rest().await;
    let deeds = world.deeds();
    assert!(deeds.contains(&"remove pod 2".to_owned()), "{deeds:?}");
    assert!(!deeds.contains(&"remove pod 1".to_owned()), "{deeds:?}");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The spec goes back, or a pause is set, when the second look has begun: while it lists the pods.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_goes_back_during_the_second_look_is_obeyed() {
    let (world, _) = one_pod_to_upgrade().await;
    let (seen, gone_back) = (world.clone(), AtomicBool::new(false));
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        let stops = seen.status()["operator"]["stopping"]["active"] == true;
        let looks = call.is("list", "pods");
        if stops && looks && !gone_back.swap(true, Ordering::SeqCst) {
            seen.upgrade("2.28.0");
        }
        Fate::Pass
    });
    operator
        .drive("it has gone back", |world| {
            world.node()["spec"]["version"] == "2.28.0"
        })
        .await;
    operator.rest().await;
    let deeds = world.deeds();
    assert!(!deeds.contains(&"remove pod 1".to_owned()), "{deeds:?}");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// A standby is stopped because the active that covers it is at work: that is asked right before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_not_stopped_where_the_active_is_lost_in_that_moment() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    world.upgrade("2.29.0");
    let seen = world.clone();
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        let stopping = &seen.status()["operator"]["stopping"];
        let meant = call.is("create", "new-events") && stopping["active"] == false;
        if meant { Fate::Hold } else { Fate::Pass }
    });
    let post = Arc::clone(&operator.post);
    let runs = tokio::spawn(async move { operator.passes_for(Duration::from_secs(12)).await });
    post.holds().await;
    world.with(|all| all.lose_machine("pod 1"));
    post.release();
    runs.await.unwrap();
    let deeds = world.deeds();
    assert!(!deeds.contains(&"remove pod 2".to_owned()), "{deeds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_pod_that_names_another_version_goes_and_is_not_made_again() {
    let (world, mut operator) = one_pod_to_upgrade().await;
    world.behave(|habits| habits.says_version = Some("2.27.0".to_owned()));
    operator
        .drive("the pod of the wrong version goes", |world| {
            world.deeds().contains(&"remove pod 2".to_owned())
        })
        .await;
    operator.drive_for(Duration::from_secs(2)).await;
    let pods: Vec<String> = world
        .deeds()
        .into_iter()
        .filter(|deed| deed.contains(" pod "))
        .collect();
    assert_eq!(
        pods,
        ["make pod 1 (2.28.0)", "make pod 2 (2.29.0)", "remove pod 2"]
    );
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
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
    world.behave(|habits| habits.front = Some(port::DROPS));
    let mut operator = Operator::start(&world);
    operator
        .drive("the first pod works", |world| {
            world.status()["active"].is_string()
        })
        .await;
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
    world.behave(|habits| habits.silent_logs = true);
    operator.drive_for(Duration::from_secs(3)).await;
    nothing_was_stopped(&world);
    assert!(
        message(&world).contains("has to wait for the lock before"),
        "{}",
        message(&world)
    );
}

/// Holds one call for good, the first of this kind after the stop of the active was written down.
fn hold_one(world: &World, verb: &'static str, kind: &'static str) -> Operator {
    let (seen, held) = (world.clone(), AtomicBool::new(false));
    Operator::meddled(world, move |call: &Call| {
        let written = || seen.status()["operator"]["stopping"]["active"] == true;
        let meant = call.is(verb, kind) && written() && !held.swap(true, Ordering::SeqCst);
        if meant { Fate::Hold } else { Fate::Pass }
    })
}

/// Whatever the API server takes its time with between the last answer and the delete: the answer grows old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_not_done_once_the_answers_that_permit_it_are_old() {
    for (verb, kind, told) in [
        ("get", "chainlinknodes", "is so slow that the answers"),
        ("delete", "pods", "did not answer within 2 s"),
    ] {
        let (world, _) = one_pod_to_upgrade().await;
        let mut operator = hold_one(&world, verb, kind);
        operator
            .drive_in_vain(told, |world| message(world).contains(told))
            .await;
        nothing_was_stopped(&world);
        // It was only slow once.
        operator.rest().await;
        let deeds = world.deeds();
        assert!(deeds.contains(&"remove pod 1".to_owned()), "{deeds:?}");
    }
}

/// The operator gave up waiting, and the API server does it all the same: nothing is stopped twice, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_is_accepted_after_its_time_is_one_stop() {
    let (world, _) = one_pod_to_upgrade().await;
    let mut operator = hold_one(&world, "delete", "pods");
    operator
        .drive_in_vain("it is told", |world| {
            message(world).contains("did not answer within 2 s")
        })
        .await;
    operator.post.release();
    operator.rest().await;
    let deeds = world.deeds();
    let stops = deeds.iter().filter(|deed| deed.starts_with("remove pod"));
    assert_eq!(stops.collect::<Vec<_>>(), ["remove pod 1"], "{deeds:?}");
    assert_eq!(world.wrongs(), [""; 0]);
}
