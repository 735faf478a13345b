//! The operator dies at each of its writes, and another takes its place: what it makes and stops in
//! all is what one that lives makes and stops.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream;

use crate::fake_api::handover::{DEEDS, with_the_service_in_its_place};
use crate::fake_api::meddler::{Fate, Post};
use crate::fake_api::operator::{End, Operator};
use crate::fake_api::world::{HOME, World, two_replicas};

/// Scenarios that run at the same time: most of their time is waiting.
const AT_ONCE: usize = 40;

/// Two pods are brought up and upgraded; every operator that dies is replaced by the next.
async fn upgrade(mut next: impl FnMut() -> std::sync::Arc<Post>) -> World {
    let world = World::new(&two_replicas());
    let mut operator = Operator::with(&world, next());
    for version in ["2.28.0", "2.29.0"] {
        world.upgrade(version);
        while operator.rest().await == End::Died {
            operator = Operator::with(&world, next());
        }
    }
    world
}

fn as_undisturbed(world: &World, deeds: &[String], how: &str) {
    assert_eq!(deeds, DEEDS, "{how}\n{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0], "{how}\n{}", world.describe());
    assert_eq!(
        world.with(|all| all.holder(HOME)).as_deref(),
        Some("pod 3"),
        "{how}"
    );
    assert_eq!(
        world.roles(),
        [
            "pod 3: Active 2.29.0, leads the Service",
            "pod 4: Standby 2.29.0"
        ],
        "{how}"
    );
}

/// Meddles with the `n`th write of the first operator, for every `n` until there is no such write.
/// Returns how many there were.
async fn at_each_write(fate: Fate) -> usize {
    let runs = stream::iter(1..).map(|n| {
        tokio::spawn(async move {
            let reached = std::sync::Arc::new(AtomicBool::new(false));
            let seen = std::sync::Arc::clone(&reached);
            let mut first = Some(Post::new(move |call| {
                if call.write != Some(n) {
                    return Fate::Pass;
                }
                seen.store(true, Ordering::SeqCst);
                fate
            }));
            let world = upgrade(|| first.take().unwrap_or_else(Post::faithful)).await;
            let mut deeds = world.deeds();
            if matches!(fate, Fate::Lose(_)) {
                deeds = with_the_service_in_its_place(deeds);
            }
            as_undisturbed(&world, &deeds, &format!("{fate:?} at write {n}"));
            reached.load(Ordering::SeqCst)
        })
    });
    let reached = runs.buffered(AT_ONCE).take_while(|run| {
        let reached = match run {
            Ok(reached) => *reached,
            Err(error) => panic!("a run failed, see above: {}", error.is_panic()),
        };
        async move { reached }
    });
    reached.count().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_any_write_changes_nothing_in_what_is_made_and_stopped() {
    let writes = at_each_write(Fate::DieAfter).await;
    assert!(writes > 30, "only {writes} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_any_write_changes_nothing_in_what_is_made_and_stopped() {
    let writes = at_each_write(Fate::DieBefore).await;
    assert!(writes > 30, "only {writes} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_done_and_answered_by_a_timeout_is_not_done_twice() {
    let writes = at_each_write(Fate::Lose(504)).await;
    assert!(writes > 30, "only {writes} writes");
}

/// Each operator lives a little longer than the last, so that they die in all places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_dies_again_and_again_still_upgrades() {
    let mut life = 1;
    let world = upgrade(|| {
        life = life % 7 + 1;
        let last = life;
        Post::new(move |call| {
            if call.write == Some(last) {
                Fate::DieAfter
            } else {
                Fate::Pass
            }
        })
    })
    .await;
    as_undisturbed(&world, &world.deeds(), "dies again and again");
}
