//! What an operator can tell of a node from its port, its log and its kubelet, and what of it is recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chainlink_operator::api::ChainlinkNode;
use chainlink_operator::domain::{Answered, Pod};
use chainlink_operator::observe::{Looker, Witnesses};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::Operator;
use crate::fake_api::port;
use crate::fake_api::server::client;
use crate::fake_api::world::{HOME, Phase, World, two_replicas};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
const TAKEN: &str = "chainlink-operator.dev/lock-taken";

/// Somebody who looks at the pods as an operator does, and does nothing.
struct Observer {
    world: World,
    client: Client,
    witnesses: Witnesses,
    node: ChainlinkNode,
}

impl Observer {
    fn of(world: &World) -> Self {
        let client = client(world, &Post::faithful());
        let (wake, woken) = tokio::sync::mpsc::unbounded_channel();
        std::mem::forget(woken);
        Self {
            world: world.clone(),
            witnesses: Witnesses::new(client.clone(), wake),
            client,
            node: serde_json::from_value(world.node()).unwrap(),
        }
    }

    fn looker(&self) -> Looker<'_> {
        Looker::new(&self.client, &self.witnesses, &self.node)
    }

    async fn look(&self, called: &str) -> Pod {
        let seen = self.looker().look(&BTreeMap::new(), Timestamp::now()).await;
        let name = self.world.with(|all| all.name_of(called));
        let pod = seen
            .unwrap()
            .pods
            .into_iter()
            .find(|pod| pod.id.name == name);
        pod.unwrap()
    }

    async fn look_until(&self, called: &str, is: impl Fn(&Pod) -> bool) -> Pod {
        let start = Instant::now();
        loop {
            let pod = self.look(called).await;
            if is(&pod) {
                return pod;
            }
            let world = self.world.describe();
            assert!(
                start.elapsed() < Duration::from_secs(15),
                "{pod:#?}\n{world}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask(&self, called: &str) {
        let name = self.world.with(|all| all.name_of(called));
        self.looker().ask(&name).await.unwrap();
    }

    fn alert(&self) {
        let node = ObjectRef::from_obj(&self.node);
        self.witnesses.set_alert(&node, true);
    }
}

/// The record of a pod's takeover.
fn taken(world: &World, called: &str) -> Option<String> {
    let pod = world.with(|all| all.pod(called))?;
    let conditions = pod["status"]["conditions"].as_array()?;
    let taken = conditions.iter().find(|one| one["type"] == TAKEN)?;
    Some(taken["message"].as_str()?.to_owned())
}

async fn at_rest() -> (World, Operator) {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    (world, operator)
}

async fn behind(front: u16) -> (World, Operator) {
    let world = World::new(&two_replicas());
    world.behave(|habits| habits.front = Some(front));
    let mut operator = Operator::start(&world);
    operator
        .drive("one works and one waits", |world| {
            world.status()["active"].is_string()
                && world.with(|all| all.phase_of("pod 2")) == Some(Phase::Waiting)
        })
        .await;
    (world, operator)
}

/// Pod 1 dies for good, and pod 2 takes over.
fn lose_the_active(world: &World) {
    world.behave(|habits| habits.no_restarts = true);
    world.with(|all| all.kill("pod 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_engine_answers_in_a_nodes_place_is_no_takeover() {
    for status in [403, 429, 404] {
        let (world, mut operator) = behind(status).await;
        operator.drive_for(Duration::from_secs(2)).await;
        assert_eq!(taken(&world, "pod 2"), None, "{status}");
        assert!(taken(&world, "pod 1").is_some());
        lose_the_active(&world);
        operator
            .drive("the takeover is seen in the log", |world| {
                taken(world, "pod 2").is_some()
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_is_seen_in_the_log_where_nothing_is_served_before_the_boot_is_over() {
    let (world, mut operator) = at_rest().await;
    // The log of a pod that waits is not read any more.
    operator.drive_for(Duration::from_secs(2)).await;
    world.behave(|habits| {
        habits.late_http = true;
        habits.boot = Some(20_000);
    });
    lose_the_active(&world);
    operator
        .drive("the takeover is seen", |world| {
            taken(world, "pod 2").is_some()
        })
        .await;
    let phase = world.with(|all| all.phase("pod 2"));
    assert_eq!(phase, Some(Phase::Booting));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_policy_refuses_connections_to_every_node_a_takeover_is_seen_in_the_log() {
    let (world, mut operator) = behind(port::REFUSES).await;
    operator.drive_for(Duration::from_secs(2)).await;
    world.with(|all| all.cut_off("pod 1"));
    operator
        .drive("the takeover is seen", |world| {
            taken(world, "pod 2").is_some()
        })
        .await;
}

/// What refuses may be a policy on the way: without an answer by HTTP from any node, only the kubelet is a witness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_sign_of_life_only_where_a_node_has_answered_by_http() {
    let (world, _) = behind(port::REFUSES).await;
    let observer = Observer::of(&world);
    let pod = observer
        .look_until("pod 2", |pod| pod.contact.is_some())
        .await;
    assert_eq!(pod.contact.unwrap().answer, Answered::Kubelet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_policy_was_put_before_the_ports_a_takeover_is_seen_in_the_log() {
    for front in [port::DROPS, port::REFUSES] {
        let (world, mut operator) = at_rest().await;
        operator.drive_for(Duration::from_secs(1)).await;
        world.with(|all| all.put_before_ports(front));
        // No loss that the API server could tell of: the log has to be open again by itself.
        operator.drive_for(Duration::from_secs(12)).await;
        world.with(|all| all.cut_off("pod 1"));
        operator
            .drive("the takeover is seen", |world| {
                taken(world, "pod 2").is_some()
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_log_is_known_before_the_api_server_tells_of_it() {
    for asks in [true, false] {
        let (world, _) = at_rest().await;
        let observer = Observer::of(&world);
        let waits = |pod: &Pod| pod.contact.is_some_and(|it| it.answer == Answered::Refused);
        observer.look_until("pod 2", waits).await;
        observer.ask("pod 2").await;
        assert!(!observer.look("pod 2").await.log_ended);
        if !asks {
            observer.alert();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        world.behave(|habits| habits.ends_untold = true);
        world.with(|all| all.kill("pod 2"));
        if asks {
            observer.ask("pod 2").await;
            assert!(observer.look("pod 2").await.log_ended);
        }
        let pod = observer.look_until("pod 2", |pod| pod.log_ended).await;
        assert!(pod.waits() && waits(&pod), "{pod:#?}");
    }
}

/// Before 2.15 a node that has taken the lock refuses until it has booted, and the log of one that waits is not read while
/// its port can be seen: only the end of its log tells the holder from one that waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_pod_that_is_asked_is_read_to_its_end() {
    let (world, _) = at_rest().await;
    let observer = Observer::of(&world);
    let waits = |pod: &Pod| pod.contact.is_some_and(|it| it.answer == Answered::Refused);
    observer.look_until("pod 2", waits).await;
    observer.ask("pod 2").await;
    let asked = observer.look("pod 2").await;
    assert!(asked.took.is_none() && asked.waits(), "{asked:#?}");
    world.behave(|habits| {
        habits.late_http = true;
        habits.boot = Some(20_000);
    });
    lose_the_active(&world);
    let start = Instant::now();
    while world.with(|all| all.phase_of("pod 2")) != Some(Phase::Booting) {
        assert!(start.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    observer.ask("pod 2").await;
    let asked = observer.look("pod 2").await;
    assert!(asked.took.is_some(), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_mesh_the_log_tells_that_a_node_works_and_another_operator_finds_it_recorded() {
    let world = World::new(&two_replicas());
    world.behave(|habits| {
        habits.front = Some(port::DROPS);
        habits.boot = Some(1500);
    });
    let mut operator = Operator::start(&world);
    let told = |world: &World| taken(world, "pod 1").unwrap_or_default();
    operator
        .drive("the takeover is seen", |world| !told(world).is_empty())
        .await;
    assert!(!told(&world).contains("worked="), "{}", told(&world));
    operator
        .drive("it works", |world| told(world).contains(" worked="))
        .await;
    operator
        .drive("a standby", |world| {
            world.with(|all| all.phase_of("pod 2")) == Some(Phase::Waiting)
        })
        .await;
    let observer = Observer::of(&world);
    let pod = observer.look("pod 1").await;
    assert!(pod.worked_at.is_some() && pod.serving_since.is_none());
    assert_eq!(observer.look("pod 2").await.worked_at, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_of_a_nodes_own_server_is_kept() {
    let (world, _) = at_rest().await;
    let observer = Observer::of(&world);
    let serves = |pod: &Pod| pod.serving_since.is_some();
    let first = observer.look_until("pod 1", serves).await;
    let later = observer
        .look_until("pod 1", |pod| {
            pod.contact
                .is_some_and(|it| it.at > first.contact.unwrap().at)
        })
        .await;
    let moved = later
        .serving_since
        .unwrap()
        .duration_since(first.serving_since.unwrap());
    assert!(moved.abs().as_millis() < 5, "{moved}");
    assert!(first.worked_at.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_that_lost_its_lease_says_so_once_another_has_taken_over() {
    let (world, _) = at_rest().await;
    let observer = Observer::of(&world);
    observer.look("pod 1").await;
    world.with(|all| all.cut_off("pod 1"));
    let took = |pod: &Pod| pod.took.is_some();
    let newer = observer.look_until("pod 2", took).await;
    assert_eq!(newer.lost_lease_at, None);
    let lost = |pod: &Pod| pod.lost_lease_at.is_some();
    let older = observer.look_until("pod 1", lost).await;
    assert!(older.took.unwrap().at < newer.took.unwrap().at);
    assert_eq!(observer.look("pod 2").await.lost_lease_at, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_that_keeps_its_lease_is_not_said_to_have_lost_it() {
    let (world, _) = at_rest().await;
    let observer = Observer::of(&world);
    world.with(|all| {
        all.database = "elsewhere".to_owned();
        all.kill("pod 2");
    });
    observer.look_until("pod 2", |pod| pod.took.is_some()).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(observer.look("pod 1").await.lost_lease_at, None);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The addresses of a machine that was lost are given out again while its pods are still listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_at_an_address_of_two_pods_is_nobodys() {
    let (world, _) = at_rest().await;
    world.with(|all| {
        let address = all.pod("pod 1").unwrap()["status"]["podIP"].clone();
        let name = all.name_of("pod 2");
        all.store
            .change("pods", &name, |pod| pod["status"]["podIP"] = address);
    });
    let observer = Observer::of(&world);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        for called in ["pod 1", "pod 2"] {
            let pod = observer.look(called).await;
            let port = pod.contact.filter(|it| it.answer != Answered::Kubelet);
            assert_eq!((port, pod.http_at, pod.serving_since), (None, None, None));
        }
        assert_eq!(taken(&world, "pod 2"), None);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_is_later_than_the_last_one_also_where_that_was_timed_by_a_clock_ahead() {
    let (world, _) = at_rest().await;
    let observer = Observer::of(&world);
    let ahead = "2100-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    world.with(|all| {
        let name = all.name_of("pod 1");
        all.store.change("pods", &name, |pod| {
            let conditions = pod["status"]["conditions"].as_array_mut().unwrap();
            let taken = conditions.iter_mut().find(|one| one["type"] == TAKEN);
            let taken = taken.unwrap();
            let text = taken["message"].as_str().unwrap();
            let old = text.split_once(" at=").unwrap().1;
            let old = old.split(' ').next().unwrap();
            taken["message"] = json!(text.replacen(old, &ahead.to_string(), 1));
        });
    });
    assert_eq!(observer.look("pod 1").await.took.unwrap().at, ahead);
    world.with(|all| all.cut_off("pod 1"));
    let took = |pod: &Pod| pod.took.is_some();
    let newer = observer.look_until("pod 2", took).await;
    assert_eq!(newer.took.unwrap().at, ahead + Duration::from_millis(1));
}

/// What is only for the pod that is made in its place, another look at all that others have on the database, comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_follows_before_anything_else_is_looked_at() {
    let world = World::new(&two_replicas());
    let calls = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&calls);
    let post = Post::new(move |call| {
        heard.lock().unwrap().push(call.clone());
        Fate::Pass
    });
    let mut operator = Operator::with(&world, post);
    operator.rest().await;
    world.with(|all| {
        all.lose_machine("pod 1");
        all.lease_is_free(HOME);
    });
    let start = Instant::now();
    let pass = || calls.lock().unwrap();
    while world.with(|all| all.led_to()) != ["pod 2"] {
        assert!(start.elapsed() < PATIENCE, "{}", world.describe());
        pass().clear();
        operator.pass().await;
    }
    let pass = pass();
    let place = |of: fn(&Call) -> bool| pass.iter().position(of);
    let led = place(|call| call.is("patch", "pods") && !call.status).unwrap();
    let made = place(|call| call.is("create", "pods")).expect("the same pass makes another pod");
    let lists = |calls: &[Call]| calls.iter().filter(|call| call.is("list", "pods")).count();
    assert_eq!(
        lists(&pass[..led]),
        2,
        "its pods, and those that are no nodes: {pass:?}"
    );
    assert_eq!(
        lists(&pass[led..made]),
        3,
        "these, and the pods of others: {pass:?}"
    );
}
