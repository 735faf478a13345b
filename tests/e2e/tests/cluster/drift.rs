//! Whoever applies a resource again and again, by hand or from Git, finds it as he left it: the operator writes status, and
//! nothing else.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNode;
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// As they name themselves: Flux, Argo CD, and `kubectl apply --server-side`.
const MANAGERS: [&str; 3] = ["kustomize-controller", "argocd-controller", "kubectl"];

/// The resource as the API server has it.
fn objects(world: &World) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ChainlinkNode>(&());
    Api::namespaced_with(world.client.clone(), &world.namespace, &resource)
}

async fn apply_as(world: &World, manager: &str, node: &Value, dry_run: bool) -> Result<Value> {
    let parameters = PatchParams {
        dry_run,
        // A rehearsal that needs force would take a field from somebody.
        force: !dry_run,
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let applied = objects(world)
        .patch("node", &parameters, &Patch::Apply(node))
        .await;
    let applied = applied.with_context(|| manager.to_owned())?;
    Ok(serde_json::to_value(applied)?)
}

async fn apply_as_all(world: &World, node: &Value) -> Result<()> {
    for manager in MANAGERS {
        apply_as(world, manager, node, false).await?;
    }
    Ok(())
}

/// What a tool compares: all but status, and what changes with every write.
fn compared(mut object: Value) -> Value {
    for field in ["managedFields", "resourceVersion"] {
        object["metadata"][field] = Value::Null;
    }
    object["status"] = Value::Null;
    object
}

async fn sees_no_drift(world: &World, node: &Value) -> Result<()> {
    for manager in MANAGERS {
        let rehearsed = compared(apply_as(world, manager, node, true).await?);
        let live = serde_json::to_value(objects(world).get("node").await?)?;
        let live = compared(live);
        ensure!(
            rehearsed == live,
            "{manager}: {rehearsed:#} is not {live:#}"
        );
    }
    // Nor has anybody else a field of what is applied.
    let live = objects(world).get("node").await?;
    for of in live.managed_fields() {
        let manager = of.manager.as_deref().unwrap_or_default();
        let fields = serde_json::to_value(&of.fields_v1)?;
        let applied = !fields["f:spec"].is_null() || !fields["f:metadata"].is_null();
        ensure!(
            !applied || MANAGERS.contains(&manager),
            "{manager} owns {fields}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_tool_that_applies_from_git_sees_no_drift_after_an_upgrade_and_a_failover() -> Result<()>
{
    scenario("drift", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        apply_as_all(world, &node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        sees_no_drift(world, &node).await?;
        node["spec"]["version"] = json!("2.19.0");
        apply_as_all(world, &node).await?;
        let status = world.until_running("node", "2.19.0", 2).await?;
        sees_no_drift(world, &node).await?;
        let active = status.active.context("nobody is active")?;
        world.force_delete(&active).await?;
        world
            .until_status("node", "another works", |status| {
                status.active.as_ref().is_some_and(|now| *now != active)
            })
            .await?;
        world.until_running("node", "2.19.0", 2).await?;
        sees_no_drift(world, &node).await
    })
    .await
}

/// A file for kubectl, which goes with this.
pub struct Manifest(PathBuf);

impl Manifest {
    /// One object, or a list of them.
    pub fn of(world: &World, node: &Value) -> Result<Self> {
        Self::text(world, &node.to_string())
    }

    /// YAML, of which JSON is a part.
    pub fn text(world: &World, text: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{}.yaml", world.namespace));
        std::fs::write(&path, text)?;
        Ok(Self(path))
    }

    /// A verb of kubectl with this file.
    pub fn kubectl(&self, world: &World, verb: &str) -> Result<String> {
        let file = self.0.to_string_lossy();
        let arguments = [verb, "--namespace", &world.namespace, "--filename", &file];
        world.cluster.kubectl(&arguments)
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn every_verb_of_kubectl_ends_well() -> Result<()> {
    scenario("kubectl", Company::Welcome, async |world| {
        let namespace = ["--namespace", world.namespace.as_str()];
        let kubectl = |words: &[&str]| world.cluster.kubectl(&[&namespace, words].concat());
        let mut node = world.node("node", "2.18.0", 2);
        Manifest::of(world, &node)?.kubectl(world, "apply")?;
        world.until_running("node", "2.18.0", 2).await?;
        let said = Manifest::of(world, &node)?.kubectl(world, "apply")?;
        ensure!(said.contains("unchanged"), "{said}");
        // It ends with an error where there is a difference.
        Manifest::of(world, &node)?.kubectl(world, "diff")?;

        node["spec"]["version"] = json!("2.19.0");
        Manifest::of(world, &node)?.kubectl(world, "replace")?;
        world.until_running("node", "2.19.0", 2).await?;

        let editor = "sed -i s/2.19.0/2.20.0/";
        let edited = [&namespace, ["cln", "node"].as_slice()].concat();
        world.cluster.kubectl_edit(editor, &edited)?;
        world.until_running("node", "2.20.0", 2).await?;

        let patch = r#"{"spec":{"version":"2.21.0"}}"#;
        kubectl(&["patch", "cln", "node", "--type=merge", "--patch", patch])?;
        world.until_running("node", "2.21.0", 2).await?;

        kubectl(&["scale", "cln", "node", "--replicas=3"])?;
        world.until_running("node", "2.21.0", 3).await?;
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.18.0", "2.19.0", "2.20.0", "2.21.0"],
            "who worked: {:?}",
            record.versions()
        );
        Ok(())
    })
    .await
}

/// What a backup tool takes along of a resource, in the order in which it brings it back.
const BACKED_UP: &str =
    "configmaps,controllerrevisions.apps,services,poddisruptionbudgets,pods,chainlinknodes";

/// As Velero does it: by name, with labels and annotations, and without uids, owners, machines and status.
fn as_brought_back(mut backup: Value) -> Value {
    for object in backup["items"].as_array_mut().into_iter().flatten() {
        let kept = ["name", "namespace", "labels", "annotations"];
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|field, _| kept.contains(&field.as_str()));
        }
        if let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        if object["kind"] == "Pod" {
            object["spec"]["nodeName"] = Value::Null;
        }
        if object["kind"] == "Service" {
            for own in ["clusterIP", "clusterIPs"] {
                object["spec"][own] = Value::Null;
            }
        }
    }
    backup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn what_a_backup_brings_back_works_on_with_the_same_pods() -> Result<()> {
    scenario("brought-back", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        world
            .annotate("node", "chainlink-operator.dev/switchover", "long ago")
            .await?;
        until("the switchover is made", PATIENCE, async || {
            let status = world.until_running("node", "2.18.0", 2).await?;
            ensure!(status.last_handover.is_some(), "not yet");
            Ok(())
        })
        .await?;
        let ours = "chainlink-operator.dev/node=node";
        let kinds = [
            "get",
            BACKED_UP,
            "--namespace",
            &world.namespace,
            "--output",
            "json",
        ];
        let owned = world
            .cluster
            .kubectl(&[kinds.as_slice(), &["--selector", ours]].concat())?;
        let mut backup: Value = serde_json::from_str(&owned)?;
        let node = world.cluster.kubectl(&[
            "get",
            "cln",
            "node",
            "--namespace",
            &world.namespace,
            "--output",
            "json",
        ])?;
        backup["items"]
            .as_array_mut()
            .context("a list")?
            .push(serde_json::from_str(&node)?);
        let names = |pods: Vec<k8s_openapi::api::core::v1::Pod>| {
            let mut names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
            names.sort();
            names
        };
        let selected = kube::api::ListParams::default().labels(ours);
        let before = names(world.pods().list(&selected).await?.items);

        world.delete("node").await?;
        until("all of it is gone", PATIENCE, async || {
            let left = world.pods().list(&selected).await?.items.len();
            let maps = world.config_maps().list(&selected).await?.items.len();
            ensure!(left + maps == 0, "{left} pods, {maps} ConfigMaps are left");
            Ok(())
        })
        .await?;
        Manifest::of(world, &as_brought_back(backup))?.kubectl(world, "create")?;
        let status = world.until_running("node", "2.18.0", 2).await?;

        let after = names(world.pods().list(&selected).await?.items);
        ensure!(after == before, "{before:?} became {after:?}");
        ensure!(
            status.last_handover.is_none(),
            "the switchover was made again"
        );
        // It is looked after like any other.
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        world.judged().await.map(drop)
    })
    .await
}
