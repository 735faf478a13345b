//! What is made around the pods: budgets; and where a resource asks for it the secret of its sessions, the
//! Service for its peers.

use std::time::Duration;

use serde_json::json;

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{World, two_replicas};

fn with_sessions() -> World {
    let mut spec = two_replicas();
    spec["credentials"]["sessionSecret"] = json!({"generate": true});
    World::new(&spec)
}

fn signature(world: &World) -> String {
    let secret = world.with(|all| all.store.get("secrets", "mainnet-session"));
    secret.unwrap()["stringData"]["secret"].to_string()
}

fn message(world: &World) -> String {
    world.status()["message"].to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_secret_is_made_before_the_first_pod_and_never_again() {
    let world = with_sessions();
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let made = signature(&world);
    let deeds = world.deeds();
    let place = |deed: &str| deeds.iter().position(|one| one == deed);
    assert!(
        place("make secrets mainnet-session").unwrap() < place("make pod 1 (2.28.0)").unwrap(),
        "{deeds:?}"
    );
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(signature(&world), made);
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_may_make_no_secret_makes_no_pod_and_says_so() {
    let world = with_sessions();
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("create", "secrets") {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator
        .drive("the refusal is told", |world| {
            message(world).contains("grant the operator create on secrets")
        })
        .await;
    operator.drive_for(Duration::from_secs(1)).await;
    assert!(world.with(|all| all.store.all("pods").is_empty()));
    drop(operator);
    Operator::start(&world).rest().await;
    assert_eq!(world.status()["phase"], "Running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_may_make_secrets_no_more_still_replaces_a_lost_pod() {
    let world = with_sessions();
    Operator::start(&world).rest().await;
    world.with(|all| all.fail_pod("pod 2"));
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("create", "secrets") {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator.rest().await;
    assert_eq!(world.deeds().last().unwrap(), "make pod 3 (2.28.0)");
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_for_peers_comes_and_goes_with_its_field() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let peers = |world: &World| world.with(|all| all.store.find("services", "mainnet-p2p"));
    assert!(peers(&world).is_none());
    world.edit(|spec| spec["service"] = json!({"p2p": {"port": 7000}}));
    operator.rest().await;
    assert_eq!(peers(&world).unwrap()["spec"]["ports"][0]["port"], 7000);
    world.edit(|spec| spec["service"] = json!({}));
    operator.rest().await;
    assert!(peers(&world).is_none());
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_for_peers_that_is_not_ours_is_left_alone_and_told() {
    let mut spec = two_replicas();
    spec["service"] = json!({"p2p": {}});
    let world = World::new(&spec);
    let other = json!({"metadata": {"name": "mainnet-p2p"}, "spec": {"ports": [{"port": 1}]}});
    world
        .with(|all| all.store.create("services", other))
        .unwrap();
    let mut operator = Operator::start(&world);
    operator
        .drive("the name is told", |world| {
            message(world).contains("a Service named mainnet-p2p exists")
        })
        .await;
    let there = world.with(|all| all.store.get("services", "mainnet-p2p"));
    assert_eq!(there.unwrap()["spec"]["ports"][0]["port"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotation_that_is_wanted_no_more_leaves_the_service_and_those_of_others_stay() {
    let mut spec = two_replicas();
    spec["service"] = json!({"annotations": {"ours/one": "1", "ours/two": "2"}});
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.with(|all| {
        all.store.change("services", "mainnet", |service| {
            service["metadata"]["annotations"]["theirs"] = json!("3");
        });
    });
    world.edit(|spec| spec["service"] = json!({"annotations": {"ours/one": "1"}}));
    operator.rest().await;
    let service = world
        .with(|all| all.store.get("services", "mainnet"))
        .unwrap();
    let left = json!({"ours/one": "1", "theirs": "3"});
    assert_eq!(service["metadata"]["annotations"], left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_is_no_longer_to_say_from_outside_leaves_it_and_what_others_chose_stays() {
    let outside = |policy: &str| {
        json!({
            "type": "LoadBalancer", "labels": {"team": "oracles"},
            "loadBalancerSourceRanges": ["203.0.113.0/24"], "externalTrafficPolicy": policy,
        })
    };
    let mut spec = two_replicas();
    spec["service"] = outside("Local");
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let service = || {
        let service = world.with(|all| all.store.get("services", "mainnet"));
        service.unwrap()
    };
    assert_eq!(service()["metadata"]["labels"]["team"], "oracles");
    assert_eq!(service()["spec"]["externalTrafficPolicy"], "Local");
    world.edit(|spec| spec["service"] = outside("Cluster"));
    operator.rest().await;
    assert_eq!(service()["spec"]["externalTrafficPolicy"], "Cluster");
    world.with(|all| {
        all.store.change("services", "mainnet", |service| {
            service["spec"]["loadBalancerClass"] = json!("the-clouds.example.com/own");
        });
    });
    world.edit(|spec| spec["service"] = json!({"type": "LoadBalancer"}));
    operator.rest().await;
    let left = service();
    assert_eq!(left["metadata"]["labels"]["team"], json!(null));
    for gone in ["loadBalancerSourceRanges", "externalTrafficPolicy"] {
        assert_eq!(left["spec"][gone], json!(null), "{gone}");
    }
    assert_eq!(
        left["spec"]["loadBalancerClass"],
        "the-clouds.example.com/own"
    );
}

fn budget(world: &World, role: &str) -> Option<(i64, String)> {
    let name = format!("mainnet-{role}");
    let budget = world.with(|all| all.store.find("poddisruptionbudgets", &name))?;
    let unhealthy = budget["spec"]["unhealthyPodEvictionPolicy"].as_str()?;
    let selected = &budget["spec"]["selector"]["matchLabels"]["chainlink-operator.dev/role"];
    assert_eq!(selected, role);
    // It is counted again when another pod becomes the active.
    let counted_for =
        &budget["metadata"]["annotations"]["chainlink-operator.dev/counted-for-active"];
    assert_eq!(*counted_for, world.status()["active"]);
    Some((
        budget["spec"]["minAvailable"].as_i64()?,
        unhealthy.to_owned(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_keep_the_active_and_follow_the_number_of_standbys() {
    let mut spec = two_replicas();
    spec["replicas"] = json!(3);
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let active = Some((1, "IfHealthyBudget".to_owned()));
    assert_eq!(budget(&world, "active"), active);
    // Machines can't be read here: nobody would replace a standby before it is evicted.
    let standbys = |kept: i64| Some((kept, "AlwaysAllow".to_owned()));
    assert_eq!(budget(&world, "standby"), standbys(1));
    world.edit(|spec| spec["replicas"] = json!(2));
    operator.rest().await;
    assert_eq!(budget(&world, "standby"), standbys(0));
    assert_eq!(budget(&world, "active"), active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_may_make_no_budget_says_so_and_goes_on() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("patch", "poddisruptionbudgets") {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator
        .drive("the refusal is told, and both pods are there", |world| {
            message(world).contains("refuses the disruption budgets")
                && world.with(|all| all.store.all("pods").len()) == 2
        })
        .await;
}
