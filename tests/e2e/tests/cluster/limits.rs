//! Namespaces whose owners set limits: what the operator makes beside the nodes has to fit wherever a node fits.

use anyhow::Result;
use e2e::policy::Refusal;
use e2e::{Company, World, scenario};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

/// As they stand in public reports and in the documentation of `OpenShift`.
fn limit_ranges() -> [(&'static str, Value); 3] {
    [
        (
            "a maximum",
            json!([{"type": "Container", "max": {"cpu": "800m"}}]),
        ),
        (
            "amounts of a pod",
            json!([{
                "type": "Pod",
                "min": {"cpu": "100m", "memory": "99Mi"},
                "max": {"cpu": "2", "memory": "6Gi"},
            }]),
        ),
        (
            "a ratio",
            json!([{
                "type": "Container",
                "min": {"cpu": "100m", "memory": "4Mi"},
                "default": {"cpu": "300m", "memory": "200Mi"},
                "defaultRequest": {"cpu": "200m", "memory": "100Mi"},
                "maxLimitRequestRatio": {"cpu": "10"},
            }]),
        ),
    ]
}

async fn upgraded(world: &World, what: &str, version: &str) -> Result<()> {
    world.timeline.act(&format!("with {what}"));
    world.change("node", json!({"version": version})).await?;
    world.until_running("node", version, 2).await.map(drop)
}

/// In each an upgrade is checked, its pod made and handed over to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_upgrade_fits_wherever_labels_amounts_and_quotas_let_the_node_run() -> Result<()> {
    scenario("limits", Company::Welcome, async |world| {
        let team = "example.com/team";
        let unlabelled =
            format!("!has(object.metadata.labels) || !('{team}' in object.metadata.labels)");
        let _policy = Refusal::by_policy(world, &[("", "pods", "CREATE")], &unlabelled).await?;
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["pod"] = json!({
            "labels": {team: "oracles"},
            "resources": {
                "requests": {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
                "limits": {"cpu": "500m", "memory": "4Gi", "ephemeral-storage": "2Gi"},
            },
        });
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;

        let client = || world.client.clone();
        let (name, force) = ("limits", PatchParams::apply("e2e").force());
        let ranges: Api<LimitRange> = Api::namespaced(client(), &world.namespace);
        let versions = ["2.19.0", "2.20.0", "2.21.0"];
        for ((what, limits), version) in limit_ranges().into_iter().zip(versions) {
            let range = json!({
                "apiVersion": "v1", "kind": "LimitRange",
                "metadata": {"name": name}, "spec": {"limits": limits},
            });
            ranges.patch(name, &force, &Patch::Apply(&range)).await?;
            upgraded(world, what, version).await?;
        }
        ranges.delete(name, &DeleteParams::default()).await?;

        let quotas: Api<ResourceQuota> = Api::namespaced(client(), &world.namespace);
        let hard =
            json!({"requests.ephemeral-storage": "20Gi", "limits.ephemeral-storage": "20Gi"});
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": name}, "spec": {"hard": hard},
        });
        quotas.patch(name, &force, &Patch::Apply(&quota)).await?;
        upgraded(world, "a quota of disks", "2.22.0").await
    })
    .await
}
