//! What a pod refers to changes under it: the Secret with the database URL, a ConfigMap of the user's.

use std::time::Duration;

use serde_json::json;

use crate::fake_api::operator::Operator;
use crate::fake_api::world::{DIGEST_KEY, HOME, Phase, World, two_replicas};

fn message(world: &World) -> String {
    world.status()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Rule S9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_comes_back_on_another_database_is_stopped_and_the_active_is_left_alone() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    world.with(|all| {
        all.database = "elsewhere".to_owned();
        all.kill("pod 2");
    });
    operator
        .drive("the other database is told", |world| {
            message(world).contains("took a lock without waiting")
        })
        .await;
    operator
        .drive("the standby is stopped", |world| {
            world.deeds().contains(&"remove pod 2".to_owned())
        })
        .await;
    let status = world.status();
    assert_eq!(status["phase"], "Stalled", "{}", world.describe());
    operator.drive_for(Duration::from_secs(3)).await;
    let status = world.status();
    assert_eq!(status["phase"], "Stalled", "{}", world.describe());
    let stalled = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "Stalled");
    assert_eq!(stalled.unwrap()["reason"], "DatabaseDiffers");
    assert_eq!(world.with(|all| all.holder(HOME)).as_deref(), Some("pod 1"));
    assert_eq!(
        world.with(|all| all.pod("pod 1")).unwrap()["metadata"]["deletionTimestamp"],
        json!(null)
    );
    assert_eq!(world.wrongs(), [""; 0]);
    // No pod after the other is thrown at a database that is known to differ.
    let made = world
        .deeds()
        .iter()
        .filter(|deed| deed.starts_with("make pod"))
        .count();
    assert!(made <= 3, "{:?}", world.deeds());
}

/// The files of a node are pinned: a broken or deleted ConfigMap hurts no pod that runs, nor one that
/// starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_config_map_replaces_nothing_and_a_killed_active_keeps_its_pinned_files() {
    let mut spec = two_replicas();
    spec["config"] = json!({"files": [
        {"name": "node.toml", "configMapKeyRef": {"name": "shared", "key": "node.toml"}},
    ]});
    let world = World::new(&spec);
    let shared = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"},
        "data": {"node.toml": "[Log]\nLevel = 'info'\n"}});
    world.with(|all| all.store.create("configmaps", shared).unwrap());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let deeds = world.deeds();

    world.with(|all| {
        all.store.change("configmaps", "shared", |map| {
            map["data"] = json!({"node.toml": "[Log"});
        });
    });
    operator
        .drive("the broken text is told", |world| {
            world.status()["phase"] == "Stalled"
        })
        .await;
    world.with(|all| all.store.remove("configmaps", "shared"));
    operator
        .drive("the missing ConfigMap is told", |world| {
            message(world).contains("shared does not exist")
        })
        .await;
    world.with(|all| all.kill("pod 1"));
    world
        .until("pod 1 waits", |all| {
            all.phase("pod 1") == Some(Phase::Waiting)
        })
        .await;
    operator
        .drive("the failover is seen", |world| {
            world
                .roles()
                .contains(&"pod 2: Active 2.28.0, leads the Service".to_owned())
        })
        .await;
    operator.drive_for(Duration::from_secs(1)).await;

    assert_eq!(world.deeds(), deeds);
    let pod = world.with(|all| all.pod("pod 1")).unwrap();
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let pinned = volumes
        .iter()
        .find(|volume| volume["name"] == "config")
        .unwrap();
    let name = pinned["configMap"]["name"].as_str().unwrap();
    let map = world
        .with(|all| all.store.find("configmaps", name))
        .unwrap();
    assert_eq!(map["immutable"], true);
    let texts: Vec<_> = map["data"].as_object().unwrap().values().collect();
    assert!(
        texts.contains(&&json!("[Log]\nLevel = 'info'\n")),
        "{texts:?}"
    );
}

/// What a pod mounts of the user's ConfigMap `ca`: the name of the copy, and the copy.
fn mounted(world: &World, pod: &str) -> (String, std::sync::Arc<serde_json::Value>) {
    let pod = world.with(|all| all.pod(pod)).unwrap();
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let extra = volumes.iter().find(|one| one["name"] == "extra-ca");
    let name = extra.unwrap()["configMap"]["name"].as_str().unwrap();
    let map = world.with(|all| all.store.find("configmaps", name));
    (name.to_owned(), map.unwrap())
}

/// What a pod mounts from a ConfigMap is a file of the node's like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mounted_config_map_is_pinned_and_a_change_of_it_is_rolled_out_by_handover() {
    let mut spec = two_replicas();
    spec["pod"] = json!({"volumes": [{"name": "ca", "mountPath": "/ca", "configMapName": "ca"}]});
    let world = World::new(&spec);
    let mut operator = Operator::start(&world);
    operator
        .drive("the missing ConfigMap is told", |world| {
            message(world).contains("spec.pod.volumes (ca): ConfigMap ca does not exist yet")
        })
        .await;
    let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"},
        "data": {"ca.crt": "old"}, "binaryData": {"ca.der": "AAH/"}});
    world.with(|all| all.store.create("configmaps", ca).unwrap());
    operator.rest().await;
    let (before, copy) = mounted(&world, "pod 1");
    assert_ne!(before, "ca");
    assert_eq!(copy["immutable"], true);
    assert_eq!(copy["data"], json!({"ca.crt": "old"}));
    assert_eq!(copy["binaryData"], json!({"ca.der": "AAH/"}));

    world.with(|all| {
        all.store.change("configmaps", "ca", |map| {
            map["data"] = json!({"ca.crt": "new"});
        });
    });
    operator.rest().await;
    let deeds = world.deeds();
    assert!(deeds.contains(&"remove pod 1".to_owned()), "{deeds:?}");
    let (after, copy) = mounted(&world, "pod 3");
    assert_ne!(after, before);
    assert_eq!(copy["data"], json!({"ca.crt": "new"}));
    operator
        .drive("the copy of the old revision is removed", |world| {
            let left = world.with(|all| all.store.find("configmaps", &before));
            left.is_none()
        })
        .await;
    let deeds = world.deeds();

    world.with(|all| all.store.remove("configmaps", "ca"));
    operator
        .drive("the missing ConfigMap is told", |world| {
            message(world).contains("ConfigMap ca does not exist yet")
        })
        .await;
    operator.drive_for(Duration::from_secs(1)).await;
    assert_eq!(world.deeds(), deeds);
    assert_eq!(world.wrongs(), [""; 0]);
}

fn lock_verified(world: &World) -> (String, String) {
    let status = world.status();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let verified = all.iter().find(|one| one["type"] == "LockVerified");
    let text = |key: &str| {
        verified
            .and_then(|one| one[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    (text("status"), text("reason"))
}

pub fn url(world: &World, url: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "mainnet", "namespace": "default"},
        "data": {"url": k8s_openapi::ByteString(url.as_bytes().to_vec())},
    });
    world.with(|all| {
        all.store.remove("secrets", "mainnet");
        all.store.create("secrets", secret).unwrap();
    });
}

fn password(world: &World, password: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "mainnet", "namespace": "default"},
        "data": {"keystore-password": k8s_openapi::ByteString(password.as_bytes().to_vec())},
    });
    world.with(|all| all.store.create("secrets", secret).unwrap());
}

/// A resource whose pods read a Secret, and an installation that keeps the key of its digests.
fn with_a_secret(spec: &serde_json::Value) -> World {
    let world = World::new(spec);
    world.keep_a_digest_key();
    password(&world, "old");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_deleted_and_made_again_rolls_where_its_content_changed_and_only_there() {
    let mut spec = two_replicas();
    spec["database"]["verification"] = json!("Never");
    spec["handover"]["onSecretChange"] = json!("Rollout");
    let world = with_a_secret(&spec);
    Operator::that_asks(&world).rest().await;
    let deeds = world.deeds();
    // An operator that has just started looks at Secrets at once.
    world.with(|all| all.store.remove("secrets", "mainnet"));
    Operator::that_asks(&world).rest().await;
    password(&world, "old");
    Operator::that_asks(&world).rest().await;
    assert_eq!(world.deeds(), deeds, "{}", world.describe());

    world.with(|all| all.store.remove("secrets", "mainnet"));
    Operator::that_asks(&world).rest().await;
    assert_eq!(world.deeds(), deeds, "{}", world.describe());
    password(&world, "new");
    Operator::that_asks(&world).rest().await;
    let removed = world.deeds().contains(&"remove pod 1".to_owned());
    assert!(removed, "{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0]);
}

fn condition(world: &World, kind: &str) -> Option<serde_json::Value> {
    let status = world.status();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|one| one["type"] == kind)
}

/// Nothing tells whether the new content is meant for now: a password that is rotated by the hour would move the lock by
/// the hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_is_told_and_stops_no_pod_until_a_rollout_takes_it_along() {
    let mut spec = two_replicas();
    // The time of a container's start has whole seconds.
    spec["handover"]["settle"] = json!("1s");
    let world = with_a_secret(&spec);
    Operator::that_asks(&world).rest().await;
    let deeds = world.deeds();
    world.with(|all| all.store.remove("secrets", "mainnet"));
    password(&world, "new");
    let mut operator = Operator::that_asks(&world);
    operator.rest().await;
    assert_eq!(world.deeds(), deeds, "{}", world.describe());
    let told = condition(&world, "SecretsChanged").expect("it is told");
    let message = told["message"].as_str().unwrap();
    let pods = world.status()["pods"].as_array().cloned().unwrap();
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let name = pod["name"].as_str().unwrap().to_owned();
        assert!(message.contains(&name), "{message}");
    }

    world.edit(|spec| spec["restartedAt"] = json!("now"));
    operator
        .drive("both pods are new", |world| {
            let deeds = world.deeds();
            ["remove pod 1", "remove pod 2"]
                .iter()
                .all(|deed| deeds.contains(&(*deed).to_owned()))
        })
        .await;
    operator.rest().await;
    assert_eq!(condition(&world, "SecretsChanged"), None);
    assert_eq!(world.wrongs(), [""; 0]);
}

fn secrets_seen(world: &World) -> serde_json::Value {
    world.status()["operator"]["secrets"].clone()
}

/// Who may read the status could try passwords against a digest without a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_made_once_for_what_is_told_of_secrets_and_one_that_is_lost_rolls_nothing() {
    let mut spec = two_replicas();
    spec["handover"]["onSecretChange"] = json!("Rollout");
    let world = with_a_secret(&spec);
    Operator::that_asks(&world).rest().await;
    let (deeds, first) = (world.deeds(), secrets_seen(&world));
    let kept = || world.with(|all| all.store.get("secrets", DIGEST_KEY));
    let key = kept().unwrap()["data"]["key"].clone();
    assert!(key.is_string());
    Operator::that_asks(&world).rest().await;
    assert_eq!(secrets_seen(&world), first);
    assert_eq!(kept().unwrap()["data"]["key"], key, "once");

    world.with(|all| all.store.remove("secrets", DIGEST_KEY));
    Operator::that_asks(&world).rest().await;
    let without = secrets_seen(&world);
    assert_ne!(without, first);
    Operator::that_asks(&world).rest().await;
    assert_ne!(secrets_seen(&world), without, "each process has its own");
    assert_eq!(world.deeds(), deeds, "{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0]);
}

/// Rule S8: the chart's new default gives an operator the right to read Secrets, and the databases' word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_comes_by_the_right_to_read_secrets_makes_and_stops_no_pod() {
    for on_change in ["Tell", "Rollout"] {
        let mut spec = two_replicas();
        spec["handover"]["onSecretChange"] = json!(on_change);
        let world = with_a_secret(&spec);
        Operator::start(&world).rest().await;
        let deeds = world.deeds();
        world.with(|all| all.store.remove("secrets", "mainnet"));
        password(&world, "new");
        Operator::that_asks(&world).rest().await;
        Operator::start(&world).rest().await;
        Operator::that_asks(&world).rest().await;
        assert_eq!(world.deeds(), deeds, "{}", world.describe());
        assert_eq!(world.wrongs(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_has_to_agree_and_cannot_be_asked_the_active_is_not_stopped() {
    let mut spec = two_replicas();
    spec["database"]["verification"] = json!("Required");
    let world = World::new(&spec);
    let mut operator = Operator::that_asks(&world);
    operator.rest().await;
    let unreadable = ("Unknown".to_owned(), "ReferenceUnreadable".to_owned());
    assert_eq!(lock_verified(&world), unreadable);
    world.upgrade("2.29.0");
    operator
        .drive("what is missing is told", |world| {
            message(world).contains("there is no Secret mainnet with a key url")
        })
        .await;
    operator.drive_for(Duration::from_secs(2)).await;
    assert!(
        !world.deeds().contains(&"remove pod 1".to_owned()),
        "{}",
        world.describe()
    );

    world.edit(|spec| spec["database"]["verification"] = json!("Auto"));
    operator.rest().await;
    assert!(world.deeds().contains(&"remove pod 1".to_owned()));
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_is_not_waited_for_and_its_url_is_never_told() {
    let world = World::new(&two_replicas());
    // A port of this machine's own would be the pod itself; an address for documentation is nobody's.
    url(&world, "postgresql://anton:geheim@192.0.2.1:5432/verborgen");
    let mut operator = Operator::that_asks(&world);
    operator.rest().await;
    world.upgrade("2.29.0");
    operator.rest().await;
    assert_eq!(world.wrongs(), [""; 0]);
    assert_eq!(lock_verified(&world).0, "Unknown");
    let kinds = [
        "chainlinknodes",
        "pods",
        "events",
        "configmaps",
        "controllerrevisions",
    ];
    for kind in kinds {
        let all = world.with(|all| all.store.all(kind));
        let text = format!("{all:?}");
        for part in ["anton", "geheim", "192.0.2.1", "verborgen"] {
            assert!(!text.contains(part), "{part} in {kind}: {text}");
        }
    }
}

/// Rule L2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_asked_causes_no_writes_at_rest() {
    let world = World::new(&two_replicas());
    url(&world, "mysql://anton:geheim@db/verborgen");
    let mut operator = Operator::that_asks(&world);
    operator.rest().await;
    assert_eq!(lock_verified(&world).1, "UrlUnreadable");
    let writes = operator.post.writes();
    for _ in 0..20 {
        operator.pass().await;
    }
    assert_eq!(operator.post.writes(), writes);
}
