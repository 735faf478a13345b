//! A planned stop waits until its successor is about to try the lock. The tries are queries of the test's own, in a real
//! `PostgreSQL`: a long interval makes the moment sure on a busy machine.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chainlink_operator::controller::{DatabaseAccess, Settings};
use serde_json::json;

use crate::fake_api::lease::Sessions;
use crate::fake_api::meddler::{Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, World, two_replicas};

/// From one try to the next.
const INTERVAL: Duration = Duration::from_secs(8);
const EACH: &str = "8s";
/// A stop that does not wait comes sooner after a try, and no later than so long before the next one.
const AT_LEAST: Duration = Duration::from_secs(4);

/// An answer of the database that is older is asked for again before a stop.
const OLD: Duration = Duration::from_millis(1100);

/// Two nodes whose database an operator asks: `pod 1` has the lease, and `pod 2` waits for it.
struct Pair {
    world: World,
    operator: Operator,
    sent: Sent,
    sessions: Sessions,
}

/// When an operator sent the first delete of a pod.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Option<Instant>>>);

impl Sent {
    fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap()
    }
}

/// Two pods of a node that tries the lock so often.
async fn waiting(interval: &str) -> World {
    let mut spec = two_replicas();
    spec["database"]["lock"] = json!({"leaseDuration": "20s", "refreshInterval": interval});
    let world = World::new(&spec);
    Operator::start(&world).rest().await;
    world
}

/// An operator that has seen those pods, and is watched.
async fn watched(world: &World, database: DatabaseAccess) -> (Operator, Sent) {
    let sent = Sent::default();
    let last = sent.clone();
    let post = Post::new(move |call| {
        if call.is("delete", "pods") {
            last.0.lock().unwrap().get_or_insert_with(Instant::now);
        }
        Fate::Pass
    });
    let settings = Settings {
        database,
        ..Settings::default()
    };
    let mut operator = Operator::with_settings(world, post, settings);
    operator.rest().await;
    (operator, sent)
}

async fn pair() -> Pair {
    pair_that_tries(EACH).await
}

async fn pair_that_tries(interval: &str) -> Pair {
    let world = waiting(interval).await;
    let sessions = Sessions::of(&world).await;
    let (operator, sent) = watched(&world, DatabaseAccess::Yes).await;
    Pair {
        world,
        operator,
        sent,
        sessions,
    }
}

/// A person asks for a handover.
fn ask_to_move(world: &World) {
    let asked = json!({"chainlink-operator.dev/switchover": "now"});
    world.with(|all| {
        all.store.change("chainlinknodes", "mainnet", |node| {
            node["metadata"]["annotations"] = asked;
        });
    });
}

fn is_stopped(world: &World) -> bool {
    world.deeds().contains(&"remove pod 1".to_owned())
}

impl Pair {
    /// The standby tries the lock. Returns when that was.
    async fn tries(&self) -> Instant {
        self.sessions.standby.simple_query("commit").await.unwrap();
        Instant::now()
    }

    /// The standby tries the lock; and once the operator's last answer is so old that it asks again before a stop, a person
    /// asks for a handover. Returns when the try was.
    async fn tries_and_is_asked_for(&mut self) -> Instant {
        let tried = self.tries().await;
        self.operator.passes_for(OLD).await;
        ask_to_move(&self.world);
        tried
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_stop_is_sent_just_before_its_successor_tries_the_lock() {
    let mut pair = pair().await;
    let tried = pair.tries_and_is_asked_for().await;
    pair.operator.drive("pod 1 is stopped", is_stopped).await;
    let after = pair.sent.at().unwrap().saturating_duration_since(tried);
    assert!(
        (AT_LEAST..INTERVAL).contains(&after),
        "{after:?}\n{}",
        pair.world.describe()
    );
    assert_eq!(pair.world.wrongs(), [""; 0]);
}

/// A stop that was asked for too late for the next try waits for the one after it, of which less is known when it comes. The next
/// one tells more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_that_comes_while_a_stop_waits_tells_when_the_one_comes_that_it_waits_for() {
    /// After the first try: too late to be ready for the one after it; and that one.
    const ASKED: Duration = Duration::from_millis(1500);
    const NEXT: Duration = Duration::from_millis(2150);
    /// By the first try alone the stop is sent sooner after the second.
    const HELD: Duration = Duration::from_millis(1450);
    let mut pair = pair_that_tries("2s").await;
    let first = pair.tries().await;
    pair.operator.passes_for(ASKED).await;
    ask_to_move(&pair.world);
    let second = async {
        tokio::time::sleep_until((first + NEXT).into()).await;
        pair.sessions.standby.simple_query("commit").await.unwrap();
        Instant::now()
    };
    let stopped = pair.operator.drive("pod 1 is stopped", is_stopped);
    let (tried, _) = tokio::join!(second, stopped);
    let after = pair.sent.at().unwrap().saturating_duration_since(tried);
    assert!(after >= HELD, "{after:?}\n{}", pair.world.describe());
    assert_eq!(pair.world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_database_is_asked_the_waiting_line_tells_when_the_successor_tries() {
    let before = Instant::now();
    let world = waiting(EACH).await;
    let after = Instant::now();
    let (mut operator, sent) = watched(&world, DatabaseAccess::No).await;
    ask_to_move(&world);
    operator.drive("pod 1 is stopped", is_stopped).await;
    let sent = sent.at().unwrap();
    let in_time = before + AT_LEAST..after + INTERVAL;
    let said = world.describe();
    assert!(in_time.contains(&sent), "{:?}\n{said}", sent - before);
    assert_eq!(world.wrongs(), [""; 0]);
}

/// Nothing of it is written before its time, and what permits it is looked at after the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_changes_in_the_wait_is_followed_and_nothing_is_stopped_for_the_one_before() {
    let mut pair = pair().await;
    let tried = pair.tries_and_is_asked_for().await;
    while tried.elapsed() < AT_LEAST {
        pair.operator.pass().await;
        let intent = &pair.world.status()["operator"]["stopping"];
        assert!(intent.is_null(), "{intent}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pair.world.edit(|spec| spec["paused"] = json!(true));
    pair.operator.passes_for(INTERVAL).await;
    assert_eq!(pair.sent.at(), None, "{}", pair.world.describe());
    assert_eq!(
        pair.world.with(|all| all.holder(HOME)).as_deref(),
        Some("pod 1")
    );
}
