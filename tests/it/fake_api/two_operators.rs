//! Two operators at once, as when a machine that was thought dead comes back. Which of them goes next
//! is chosen at every call, by a seed.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use serde_json::json;

use crate::fake_api::handover::DEEDS;
use crate::fake_api::meddler::{Fate, Post, Turns};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{World, two_replicas};

const SEEDS: u64 = 200;
const AT_ONCE: usize = 24;

/// What the upgrade of a single pod makes and removes.
const DEEDS_OF_ONE: [&str; 10] = [
    "make revision 1",
    "make files of revision 1",
    "make services mainnet",
    "make pod 1 (2.28.0)",
    "make revision 2",
    "make files of revision 2",
    "make pod 2 (2.29.0)",
    "remove pod 1",
    "remove files of revision 1",
    "remove revision 1",
];

/// One operator brings the pods up, two upgrade them.
async fn upgrade_by_two(seed: u64, replicas: u64) -> World {
    let mut spec = two_replicas();
    spec["replicas"] = json!(replicas);
    let world = World::new(&spec);
    Operator::start(&world).rest().await;
    let turns = Turns::new(seed);
    let operator = |number| {
        let post = Post::in_turns(number, Some(Arc::clone(&turns)), |_| Fate::Pass);
        Operator::with(&world, post)
    };
    let (mut one, mut two) = (operator(0), operator(1));
    world.upgrade("2.29.0");
    tokio::join!(one.rest(), two.rest());
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_make_and_stop_what_one_does() {
    let runs = stream::iter(0..SEEDS).map(|seed| {
        tokio::spawn(async move {
            let replicas = if seed % 8 == 0 { 2 } else { 1 };
            let world = upgrade_by_two(seed, replicas).await;
            let how = format!("seed {seed}\n{}", world.describe());
            assert_eq!(world.wrongs(), [""; 0], "{how}");
            if replicas == 2 {
                assert_eq!(world.deeds(), DEEDS, "{how}");
            } else {
                assert_eq!(world.deeds(), DEEDS_OF_ONE, "{how}");
            }
        })
    });
    let failed = runs
        .buffer_unordered(AT_ONCE)
        .filter(|run| std::future::ready(run.is_err()))
        .count()
        .await;
    assert_eq!(failed, 0, "see above");
}
