//! Newer releases that the operator takes by itself (`spec.updates.policy: Apply`), from a real registry on loopback.

use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::updates::condition;
use crate::fake_api::world::{NAME, World, two_replicas};
use crate::registry::Registry;

/// What a backup holds beside the pods.
const KEPT: [&str; 4] = [
    "configmaps",
    "controllerrevisions",
    "poddisruptionbudgets",
    "services",
];

const ANNOTATION: &str = "chainlink-operator.dev/applied-update";

fn applying(registry: &Registry) -> World {
    let mut spec = two_replicas();
    let repository = format!("{}/smartcontract/chainlink", registry.host);
    spec["image"] = json!({"repository": repository});
    spec["updates"] = json!({"range": ">=2.0.0 <3.0.0", "policy": "Apply"});
    World::new(&spec)
}

fn annotate(world: &World, name: &str, value: &Value) {
    world.with(|all| {
        all.store.change("chainlinknodes", NAME, |node| {
            let annotations = &mut node["metadata"]["annotations"];
            if annotations.is_null() {
                *annotations = json!({});
            }
            annotations[name] = value.clone();
            let annotations = annotations.as_object_mut().unwrap();
            annotations.retain(|_, value| !value.is_null());
        });
    });
}

fn annotation(world: &World) -> Value {
    world.node()["metadata"]["annotations"][ANNOTATION].clone()
}

fn images(world: &World) -> Vec<String> {
    let pods = world.with(|all| all.store.all("pods"));
    let image = |pod: &Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .map(str::to_owned)
    };
    pods.values().filter_map(|pod| image(pod)).collect()
}

/// A person's word that nothing was applied so far, which stands for a database that can't be asked here.
fn nothing_was_applied(world: &World) {
    annotate(world, ANNOTATION, &json!("none"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_applied_by_the_rules_of_every_change_and_the_spec_stays_as_it_is() {
    let registry = Registry::with(&["2.29.0", "3.0.0"]);
    let world = applying(&registry);
    world.edit(|spec| spec["handover"]["approval"] = json!("Manual"));
    let spec = world.node()["spec"].clone();
    let mut operator = Operator::start(&world);
    operator
        .drive("it waits for a word", |world| {
            condition(world, "Ready") == json!(["False", "AppliedUpdateUnknown"])
        })
        .await;
    assert_eq!(images(&world), [""; 0], "nothing is made before it");

    nothing_was_applied(&world);
    operator
        .drive(
            "the release is applied, and waits for its approval",
            |world| condition(world, "ChangePending") == json!(["True", "ApprovalRequired"]),
        )
        .await;
    let digest = &registry.digests["2.29.0"].clone();
    let repository = format!("{}/smartcontract/chainlink", registry.host);
    let applied = world.status()["applied"].clone();
    assert_eq!(applied["version"], "2.29.0");
    assert_eq!(applied["digest"], *digest);
    assert_eq!(annotation(&world), format!("{repository}:2.29.0@{digest}"));
    assert_eq!(world.status()["currentVersion"], "2.28.0");
    assert_eq!(
        condition(&world, "UpdateAvailable"),
        json!(["False", "UpdateApplied"])
    );

    annotate(&world, "chainlink-operator.dev/approved", &json!("2.29.0"));
    operator
        .drive("it is rolled out", |world| {
            world.status()["currentVersion"] == "2.29.0" && world.status()["standbys"] == "1/1"
        })
        .await;
    operator.rest().await;
    assert_eq!(images(&world), vec![format!("{repository}@{digest}"); 2]);
    assert_eq!(world.node()["spec"], spec, "no tool sees a drift");

    // Neither another operator nor a registry that is away, nor another policy changes anything.
    drop(operator);
    drop(registry);
    let deeds = world.deeds();
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.edit(|spec| spec["updates"] = json!({"range": "~2.28"}));
    operator.rest().await;
    world.edit(|spec| spec["updates"] = Value::Null);
    operator.rest().await;
    assert_eq!(world.deeds(), deeds);
    assert_eq!(world.status()["applied"], applied);
    assert_eq!(
        condition(&world, "UpdateAvailable"),
        json!(["False", "UpdateApplied"])
    );

    // What a person writes is told, and written anew.
    annotate(&world, ANNOTATION, &Value::Null);
    operator.rest().await;
    assert_eq!(annotation(&world), format!("{repository}:2.29.0@{digest}"));
    let other = format!("{repository}:2.30.0@{digest}");
    annotate(&world, ANNOTATION, &json!(other));
    operator.rest().await;
    assert_eq!(annotation(&world), format!("{repository}:2.29.0@{digest}"));
    let events = world.with(|all| all.store.all("new-events"));
    let told = events
        .values()
        .filter(|event| event["reason"] == "AppliedUpdateDiffers");
    assert_eq!(told.count(), 1);

    // Once the spec says the same there is nothing to remember.
    world.edit(|spec| {
        spec["version"] = json!("2.29.0");
        spec["image"]["digest"] = json!(digest);
    });
    operator.rest().await;
    assert_eq!(world.deeds(), deeds);
    assert_eq!(world.status()["applied"], Value::Null);
    assert_eq!(annotation(&world), Value::Null);
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_resource_goes_on_with_what_was_applied_and_none_of_an_older_version_is_made() {
    let registry = Registry::with(&["2.29.0"]);
    let world = applying(&registry);
    nothing_was_applied(&world);
    let mut operator = Operator::start(&world);
    operator
        .drive("it is rolled out", |world| {
            world.status()["currentVersion"] == "2.29.0" && world.status()["standbys"] == "1/1"
        })
        .await;
    operator.rest().await;
    drop(operator);
    let said = annotation(&world);
    let older = |world: &World| {
        let deeds = world.deeds().into_iter();
        deeds.filter(|deed| deed.contains("2.28.0")).count()
    };
    let before = older(&world);

    world.restore(&[KEPT.as_slice(), &["pods"]].concat());
    assert_eq!(world.status()["applied"], Value::Null);
    let mut operator = Operator::start(&world);
    operator.rest().await;
    assert_eq!(world.status()["applied"]["version"], "2.29.0");
    assert_eq!(annotation(&world), said);
    assert_eq!(world.status()["currentVersion"], "2.29.0");
    assert_eq!(older(&world), before);
    drop(operator);

    // Without any of it nobody knows.
    annotate(&world, ANNOTATION, &Value::Null);
    world.restore(&KEPT);
    world.with(|all| {
        for name in all.store.all("pods").into_keys() {
            all.store.remove("pods", &name);
        }
    });
    let mut operator = Operator::start(&world);
    operator
        .drive("it waits for a word", |world| {
            condition(world, "Ready") == json!(["False", "AppliedUpdateUnknown"])
        })
        .await;
    assert_eq!(images(&world), [""; 0]);
    assert_eq!(older(&world), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotation_that_may_not_be_written_is_told_and_holds_up_nothing() {
    let registry = Registry::with(&["2.29.0"]);
    let world = applying(&registry);
    nothing_was_applied(&world);
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("patch", "chainlinknodes") {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator
        .drive("it is rolled out, and told", |world| {
            world.status()["currentVersion"] == "2.29.0"
                && condition(world, "Stalled") == json!(["True", "AppliedUpdateNotKept"])
        })
        .await;
    let message = world.status()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("updates.apply=true"), "{message}");
    assert_eq!(annotation(&world), "none");
    assert_eq!(world.wrongs(), [""; 0]);
}
