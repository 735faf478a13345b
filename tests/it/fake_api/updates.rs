//! Newer releases in the registry of the image: told in the status, and in nobody's way.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fake_api::operator::Operator;
use crate::fake_api::world::{World, two_replicas};

/// A registry on this machine.
#[derive(Clone, Default)]
struct Registry {
    tags: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn has(&self, tags: &[&str]) {
        *self.tags.lock().unwrap() = tags.iter().map(|tag| (*tag).to_owned()).collect();
    }

    fn answer(&self, path: &str) -> Response {
        if path.ends_with("/tags/list") {
            json!({"name": "chainlink", "tags": *self.tags.lock().unwrap()})
                .to_string()
                .into_response()
        } else if path.contains("/manifests/") {
            "{}".into_response()
        } else {
            StatusCode::NOT_FOUND.into_response()
        }
    }

    /// Its address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let registry = self.clone();
        let router = Router::new().fallback(move |request: Request| {
            let answer = registry.answer(request.uri().path());
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        at
    }
}

fn asking(host: &str) -> World {
    let mut spec = two_replicas();
    spec["image"] = json!({"repository": format!("{host}/chainlink")});
    spec["updates"] = json!({"range": "2.x"});
    World::new(&spec)
}

pub fn condition(world: &World, kind: &str) -> Value {
    let status = world.status();
    let mut all = status["conditions"].as_array().unwrap().iter();
    let found = all.find(|one| one["type"] == kind);
    found.map_or(Value::Null, |found| {
        json!([found["status"], found["reason"]])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_release_is_told_with_its_digest_and_nothing_is_done_about_it() {
    let registry = Registry::default();
    registry.has(&["2.28.0", "2.29.0", "2.29.1-beta.0", "3.0.0", "latest"]);
    let world = asking(&registry.serve().await);
    let mut operator = Operator::start(&world);
    operator
        .drive("the release is told", |world| {
            condition(world, "UpdateAvailable") == json!(["True", "NewerRelease"])
        })
        .await;
    operator.rest().await;
    let update = world.status()["update"].clone();
    assert_eq!(update["version"], "2.29.0");
    assert_eq!(
        update["digest"],
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
    assert!(update["firstSeen"].is_string() && update["proposedAt"].is_string());
    assert_eq!(condition(&world, "Ready"), json!(["True", "Steady"]));
    let pods = world.with(|all| all.store.all("pods").len());
    assert_eq!(pods, 2);
    assert_eq!(world.status()["currentVersion"], "2.28.0");
    assert_eq!(world.node()["spec"]["version"], "2.28.0");

    // Another operator finds it told, and keeps when it was seen first.
    drop(operator);
    let mut operator = Operator::start(&world);
    operator
        .drive("it looks at the resource", |world| {
            condition(world, "UpdateAvailable") != Value::Null
        })
        .await;
    operator.rest().await;
    assert_eq!(world.status()["update"], update);

    // Another range is no change of any pod.
    let pods = || world.with(|all| all.store.all("pods").len());
    world.edit(|spec| spec["updates"] = json!({"range": "~2.28", "interval": "5m"}));
    operator
        .drive("the range is told", |world| {
            condition(world, "UpdateAvailable") == json!(["False", "UpToDate"])
        })
        .await;
    operator.rest().await;
    assert_eq!(pods(), 2);
    let kinds = world.deeds();
    assert!(
        kinds.iter().all(|deed| !deed.contains("revision 2")),
        "{kinds:?}"
    );
    world.edit(|spec| spec["updates"] = json!({"range": "2.x"}));
    operator
        .drive("the release is told again", |world| {
            condition(world, "UpdateAvailable") == json!(["True", "NewerRelease"])
        })
        .await;

    world.upgrade("2.29.0");
    operator
        .drive("the release is taken", |world| {
            condition(world, "UpdateAvailable") == json!(["False", "UpToDate"])
        })
        .await;
    operator.rest().await;
    assert_eq!(world.status()["update"], Value::Null);
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_accepts_and_never_answers_is_in_the_way_of_no_handover() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = asking(&listener.local_addr().unwrap().to_string());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(condition(&world, "Ready"), json!(["True", "Steady"]));
    assert_eq!(
        condition(&world, "UpdateAvailable"),
        json!(["Unknown", "RegistryNotAsked"])
    );
    assert_eq!(world.wrongs(), [""; 0]);
}
