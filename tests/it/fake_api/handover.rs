//! A whole handover, with nothing in its way.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, NAME, World, two_replicas};

/// What an operator makes and removes to bring up two pods of 2.28.0 and upgrade them to 2.29.0.
pub const DEEDS: [&str; 13] = [
    "make revision 1",
    "make files of revision 1",
    "make services mainnet",
    "make pod 1 (2.28.0)",
    "make pod 2 (2.28.0)",
    "make revision 2",
    "make files of revision 2",
    "make pod 3 (2.29.0)",
    "remove pod 2",
    "make pod 4 (2.29.0)",
    "remove pod 1",
    "remove files of revision 1",
    "remove revision 1",
];

/// The same deeds, with the Service at its usual place: where a call fails that was to keep a revision or to apply the
/// Service, the rest goes on, and it comes when it can.
pub fn with_the_service_in_its_place(mut deeds: Vec<String>) -> Vec<String> {
    let service = "make services mainnet";
    let found = deeds.iter().position(|deed| deed == service);
    if let Some(found) = found {
        let deed = deeds.remove(found);
        let usual = DEEDS.iter().position(|deed| *deed == service).unwrap();
        deeds.insert(usual.min(deeds.len()), deed);
    }
    deeds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_makes_and_stops_exactly_these_pods_in_this_order() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.deeds(), DEEDS);
    assert_eq!(world.checks(), ["make check 1", "remove check 1"]);
    assert_eq!(world.wrongs(), [""; 0]);
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 3"));
    assert_eq!(
        world.roles(),
        [
            "pod 3: Active 2.29.0, leads the Service",
            "pod 4: Standby 2.29.0"
        ]
    );
    let last = &world.status()["lastHandover"];
    assert_eq!(last["reason"], "Version");
    assert!(
        last["gapMs"].as_i64().is_some_and(|gap| gap < 2000),
        "{last}"
    );
}

/// No Service leads to a successor that its kubelet does not call ready. It may never: the stop waits for two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_active_is_not_stopped_before_its_successor_is_ready_or_two_seconds_are_over() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    world.behave(|habits| habits.never_ready = true);
    let stopped = Arc::new(Mutex::new(None));
    let (there, sent) = (world.clone(), Arc::clone(&stopped));
    let mut operator = Operator::meddled(&world, move |call: &Call| {
        let active = there.with(|all| all.name_of("pod 1"));
        if call.is("delete", "pods") && call.name == active {
            sent.lock().unwrap().get_or_insert_with(Instant::now);
        }
        Fate::Pass
    });
    world.upgrade("2.29.0");
    let made = |world: &World| world.deeds().contains(&"make pod 4 (2.29.0)".to_owned());
    operator.drive("the last successor is made", made).await;
    let made = Instant::now();
    let is_stopped = |world: &World| world.deeds().contains(&"remove pod 1".to_owned());
    operator.drive("pod 1 is stopped", is_stopped).await;
    let waited = stopped.lock().unwrap().unwrap() - made;
    assert!(waited > Duration::from_secs(2), "{waited:?}");
    assert_eq!(world.wrongs(), [""; 0]);
}

/// An upgrade in which so many deletes of the active are refused, and whom the Service led to when each was sent.
async fn led_to_at_the_stops(refuse: usize) -> (World, Vec<Vec<String>>) {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    let led = Arc::new(Mutex::new(Vec::new()));
    let (there, stops) = (world.clone(), Arc::clone(&led));
    let post = Post::new(move |call: &Call| {
        let active = there.with(|all| all.name_of("pod 1"));
        if !call.is("delete", "pods") || call.name != active {
            return Fate::Pass;
        }
        let mut stops = stops.lock().unwrap();
        stops.push(there.with(|all| all.led_to()));
        let refused = stops.len() <= refuse;
        if refused {
            Fate::Refuse(400)
        } else {
            Fate::Pass
        }
    });
    let mut operator = Operator::with(&world, post);
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.deeds(), DEEDS);
    let led = led.lock().unwrap().clone();
    (world, led)
}

/// The end of the active and the way to its successor are one change for kube-proxy, which makes one a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_leads_to_the_successor_when_the_active_is_stopped() {
    let (world, led) = led_to_at_the_stops(0).await;
    // Two of the new version wait.
    let active = world.with(|all| all.led_to());
    assert!(active == ["pod 3"] || active == ["pod 4"], "{active:?}");
    assert_eq!(led, [active]);
    // At rest it follows the label, which is moved also where Services may not be written.
    let service = world.with(|all| all.store.get("services", NAME)).unwrap();
    let selector = &service["spec"]["selector"];
    assert_eq!(selector["chainlink-operator.dev/role"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_is_led_back_where_the_stop_is_refused_and_not_risked_again() {
    let (world, led) = led_to_at_the_stops(2).await;
    assert_ne!(led[0], ["pod 1"]);
    assert_eq!(led[1..], [["pod 1"], ["pod 1"]]);
    let active = world.with(|all| all.led_to());
    assert!(active == ["pod 3"] || active == ["pod 4"], "{active:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_rest_twenty_passes_write_nothing() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let (version, calls) = (world.with(|all| all.store.version()), operator.post.calls());
    let writes = operator.post.writes();
    for _ in 0..20 {
        operator.pass().await;
    }
    assert!(
        operator.post.calls() >= calls + 20 * 4,
        "the passes have to look at everything"
    );
    assert_eq!(operator.post.writes(), writes);
    assert_eq!(world.with(|all| all.store.version()), version);
}
