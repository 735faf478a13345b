//! What `diff` says of edits.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::manifests::{digest, running, with_an_applied_release};
use super::server::Server;
use super::{Ran, run};
use crate::End;

/// Two files of a test's own, removed at its end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, before: &Value, after: &Value) -> Self {
        let folder =
            std::env::temp_dir().join(format!("kubectl-chainlink-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, node) in [("before.yaml", before), ("after.yaml", after)] {
            let mut node = node.clone();
            node.as_object_mut().unwrap().remove("status");
            std::fs::write(folder.join(file), node.to_string()).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The edit as a pipeline sees it: two files, and no cluster.
async fn edited(name: &str, change: fn(&mut Value)) -> Ran {
    let before = running("mainnet");
    let mut after = before.clone();
    change(&mut after);
    let files = Files::new(name, &before, &after);
    let folder = files.0.display();
    let line = format!("diff -f {folder}/after.yaml --against {folder}/before.yaml");
    run(Server::default().client(), &line).await
}

#[tokio::test]
async fn a_new_version_rolls_pods_and_says_from_which_to_which() {
    let ran = edited("version", |node| node["spec"]["version"] = json!("2.30.0")).await;
    assert_eq!(ran.end(), End::Done);
    ran.says("rolls pods");
    ran.says("version 2.29.0 → 2.30.0");
}

#[tokio::test]
async fn what_no_pod_is_made_from_rolls_none() {
    let ran = edited("settle", |node| {
        node["spec"]["handover"] = json!({"settle": "10s"});
    })
    .await;
    assert_eq!(ran.end(), End::Done);
    ran.says("rolls no pods");
    ran.says("no pod is replaced");
}

#[tokio::test]
async fn with_approval_a_change_waits_for_a_person_unless_it_brings_the_approval() {
    let ran = edited("approval", |node| {
        node["spec"]["version"] = json!("2.30.0");
        node["spec"]["handover"] = json!({"approval": "Manual"});
    })
    .await;
    ran.says("it waits for approval: kubectl chainlink approve mainnet");

    let ran = edited("approved", |node| {
        node["spec"]["version"] = json!("2.30.0");
        node["spec"]["handover"] = json!({"approval": "Manual"});
        node["metadata"]["annotations"] = json!({"chainlink-operator.dev/approved": "2.30.0"});
    })
    .await;
    assert!(!ran.text.contains("approval"), "{}", ran.text);
}

#[tokio::test]
async fn an_older_version_and_another_database_are_refused() {
    let ran = edited("back", |node| node["spec"]["version"] = json!("2.28.0")).await;
    assert_eq!(ran.end(), End::No);
    ran.says("the operator refuses it (VersionWentBack)");

    let ran = edited("database", |node| {
        node["spec"]["database"]["url"]["secretKeyRef"]["name"] = json!("another");
    })
    .await;
    assert_eq!(ran.end(), End::No);
    ran.says("the operator refuses it (LockDiffers)");
}

#[tokio::test]
async fn replicas_zero_says_that_the_node_works_no_more() {
    let ran = edited("zero", |node| node["spec"]["replicas"] = json!(0)).await;
    assert_eq!(ran.end(), End::Done);
    ran.says("the node works no more");
}

#[tokio::test]
async fn no_value_of_a_variable_is_shown() {
    let ran = edited("value", |node| {
        node["spec"]["config"] =
            json!({"env": [{"name": "HTTPS_PROXY", "value": "http://user:in-the-open@proxy"}]});
    })
    .await;
    ran.says("rolls pods");
    ran.says("env");
    assert!(!ran.text.contains("in-the-open"), "{}", ran.text);
}

#[tokio::test]
async fn without_a_file_before_it_the_cluster_is_asked_and_knows_the_newest_version_that_worked() {
    let mut live = running("mainnet");
    live["status"]["operator"]["newestHeld"] = json!("2.31.0");
    let mut after = running("mainnet");
    after["spec"]["version"] = json!("2.30.0");
    let files = Files::new("live", &live, &after);
    let folder = files.0.display();
    let ran = run(
        Server::with([live]).client(),
        &format!("diff -f {folder}/after.yaml"),
    )
    .await;
    assert_eq!(ran.end(), End::No);
    ran.says("VersionWentBack");
}

/// An edit of a resource in the cluster that runs an applied release.
async fn edited_beside_an_applied_release(name: &str, change: fn(&mut Value)) -> Ran {
    let live = with_an_applied_release("mainnet");
    let mut after = live.clone();
    change(&mut after);
    let files = Files::new(name, &live, &after);
    let folder = files.0.display();
    let asked = format!("diff -f {folder}/after.yaml");
    run(Server::with([live]).client(), &asked).await
}

#[tokio::test]
async fn beside_an_applied_release_an_edit_goes_on_with_it() {
    let ran = edited_beside_an_applied_release("applied", |node| {
        node["spec"]["config"] = json!({"env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}]});
    })
    .await;
    assert_eq!(ran.end(), End::Done, "{}", ran.text);
    ran.says("rolls pods");
    ran.says("env");
    assert!(!ran.text.contains("version"), "{}", ran.text);

    let ran = edited_beside_an_applied_release("taken-over", |node| {
        node["spec"]["version"] = json!("2.30.0");
        node["spec"]["image"] = json!({"digest": digest()});
    })
    .await;
    assert_eq!(ran.end(), End::Done, "{}", ran.text);
    ran.says("rolls no pods");

    let ran = edited_beside_an_applied_release("on", |node| {
        node["spec"]["version"] = json!("2.31.0");
    })
    .await;
    ran.says("version 2.30.0 → 2.31.0");

    let ran = edited_beside_an_applied_release("elsewhere", |node| {
        node["spec"]["image"] = json!({"repository": "registry.example/chainlink"});
    })
    .await;
    assert_eq!(ran.end(), End::No);
    ran.says("the operator refuses it (AppliedUpdateUnfit)");
}
