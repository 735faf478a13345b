//! What a resource costs at rest, and what ends that rest: what was read is read again from memory until something tells of a
//! change, and never permits an act.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chainlink_operator::controller::Context;

use crate::fake_api::meddler::{Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, World, two_replicas};

const PATIENCE: Duration = Duration::from_secs(30);

/// An operator that hears of changes, after a pass that read everything from memory.
async fn resting(world: &World) -> Operator {
    let mut operator = Operator::start(world);
    operator.context.hears_of_changes();
    operator.rest().await;
    let start = Instant::now();
    loop {
        let calls = operator.post.calls();
        operator.next().await;
        if operator.post.calls() == calls {
            return operator;
        }
        assert!(start.elapsed() < PATIENCE, "{}", world.describe());
    }
}

/// How many calls some passes make.
async fn calls_of_passes(operator: &mut Operator) -> usize {
    let before = operator.post.calls();
    for _ in 0..5 {
        operator.next().await;
    }
    operator.post.calls() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_at_rest_costs_no_request() {
    let world = World::new(&two_replicas());
    let mut operator = resting(&world).await;
    assert_eq!(calls_of_passes(&mut operator).await, 0);
    assert_eq!(world.status()["phase"], "Running");
}

/// The last answer of the pod there is told, and each look counts back to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_stays_out_of_reach_costs_no_write() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.with(|all| {
        all.lose_machine("pod 1");
        all.lease_is_free(HOME);
    });
    // Its successor has booted, too: nothing is under way any more.
    let out_of_reach = |world: &World| {
        let told = world.status().to_string();
        world.status()["phase"] == "OldPodOutOfReach" && told.contains("ActiveServes")
    };
    operator
        .drive("nobody can tell what became of pod 1", out_of_reach)
        .await;
    let status = world.status();
    for _ in 0..20 {
        operator.next().await;
        assert_eq!(world.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_watches_every_pass_reads_what_is_there() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    assert!(calls_of_passes(&mut operator).await >= 5);
}

/// A watch tells that something has changed, and not what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_watch_tells_of_is_read_and_mended() {
    let world = World::new(&two_replicas());
    let mut operator = resting(&world).await;
    let services = |world: &World| world.with(|all| all.store.all("services").len());
    let whole = services(&world);
    world.with(|all| {
        let name = all.store.all("services").keys().next().cloned().unwrap();
        all.store.remove("services", &name);
    });
    assert_eq!(calls_of_passes(&mut operator).await, 0, "nobody has told");
    operator.stir();
    operator.next().await;
    assert_eq!(services(&world), whole);
}

/// The port of the pod tells first: no watch does, where it is slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_ends_the_rest_at_once() {
    let world = World::new(&two_replicas());
    let mut operator = resting(&world).await;
    let before = world.status()["active"].clone();
    world.with(|all| all.kill("pod 1"));
    operator
        .drive("the standby has taken over", |world| {
            let active = &world.status()["active"];
            active.is_string() && *active != before
        })
        .await;
    assert_eq!(world.wrongs(), [""; 0]);
}

/// An edit that the watch has not told yet can't be planned by: the next pass reads the resource as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_followed_and_every_stop_is_judged_by_what_is_there() {
    let world = World::new(&two_replicas());
    let mut operator = resting(&world).await;
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// The Services lead to labels: no move of the lock changes them. Each pod changes a budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_reads_the_services_only_now_and_then() {
    for tells in [Context::stir, Context::stir_budgets] {
        let world = World::new(&two_replicas());
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let post = Post::new(move |call| {
            if call.is("get", "services") {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Pass
        });
        let mut operator = Operator::with(&world, post);
        operator.context.hears_of_changes();
        operator.tells = tells;
        operator.rest().await;
        let (before, start) = (read.load(Ordering::SeqCst), Instant::now());
        world.upgrade("2.29.0");
        operator.rest().await;
        assert_eq!(world.status()["currentVersion"], "2.29.0");
        let (times, looks) = (
            read.load(Ordering::SeqCst) - before,
            start.elapsed().as_secs() / 15 + 2,
        );
        // The one that leads to the active, and the one for peers.
        let bound = 2 * usize::try_from(looks).unwrap();
        assert!(times <= bound, "{times} times in {:?}", start.elapsed());
    }
}
