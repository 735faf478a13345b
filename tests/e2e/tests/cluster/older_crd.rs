//! The CRD of an older release, as a tool that applies from Git brings it back beside a newer operator.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNode;
use e2e::audit::Call;
use e2e::exec::repository;
use e2e::world::{PATIENCE, condition, pods_with_role};
use e2e::{Cluster, Company, World, scenario, until};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::json;

const CRD: &str = "chainlinknodes.chainlink-operator.dev";
const STATUS: &str = "chainlinknodes/status";
/// What the older one does not know: the operator remembers there which pod it is about to make.
const UNKNOWN: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/operator/properties/creating";

/// The CRD without a field; put back when dropped.
struct Older<'a>(&'a Cluster);

impl<'a> Older<'a> {
    /// Returns once the API server drops that field of `node`.
    async fn apply(world: &'a World, node: &str) -> Result<Self> {
        let crds: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        let older = Self(&world.cluster);
        let patch = serde_json::from_value(json!([{"op": "remove", "path": UNKNOWN}]))?;
        crds.patch(CRD, &PatchParams::default(), &Patch::<()>::Json(patch))
            .await?;
        until("the API server goes by it", PATIENCE, async || {
            is_dropped(world, node).await
        })
        .await?;
        Ok(older)
    }

    /// As docs/upgrade-the-operator.md says.
    fn mend(&self) -> Result<()> {
        let file = repository().join("crds/chainlinknodes.yaml");
        let file = file.to_string_lossy();
        let apply = ["apply", "--server-side", "--force-conflicts"];
        self.0
            .kubectl(&[&apply, ["-f", &file].as_slice()].concat())?;
        let established = "--for=condition=Established";
        self.0
            .kubectl(&["wait", established, &format!("crd/{CRD}")])?;
        Ok(())
    }
}

impl Drop for Older<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.mend() {
            eprintln!("the CRD could not be put back: {error:#}");
        }
    }
}

/// A rehearsal: a CRD that knows the field refuses what is no creation.
async fn is_dropped(world: &World, node: &str) -> Result<()> {
    let resource = ApiResource::erase::<ChainlinkNode>(&());
    let objects: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let rehearsed = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let creating = Patch::Merge(json!({"status": {"operator": {"creating": {}}}}));
    let kept = objects.patch_status(node, &rehearsed, &creating).await?;
    let creating = &kept.data["status"]["operator"]["creating"];
    ensure!(creating.is_null(), "it keeps the field");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_operator_that_finds_an_older_crd_makes_and_stops_nothing_until_it_is_mended()
-> Result<()> {
    scenario("older-crd", Company::Alone, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let active = before.active.as_deref().context("nobody is active")?;
        let standbys = pods_with_role(&before, "Standby");
        let standby = standbys.first().context("nobody waits")?;
        let older = Older::apply(world, "node").await?;
        let audit = world.audit()?;

        world.change("node", json!({"version": "2.19.0"})).await?;
        let said = world.until_stalled("node", &["CrdOutdated"]).await?;
        ensure!(said.contains("status.operator.creating"), "{said}");
        let rehearsals = world.audit()?;
        let what = "it has asked twice whether the API server keeps it now";
        until(what, PATIENCE, async || {
            let writes = rehearsals.writes(&world.namespace)?;
            let of_status = writes.iter().filter(|write| write.resource == STATUS);
            ensure!(of_status.count() > 1, "not yet");
            Ok(())
        })
        .await?;
        // The lock fails over, and the Service follows it.
        world.force_delete(active).await?;
        world.until_service_leads_to("node", standby).await?;
        ensure!(
            audit.stops(&world.namespace)?.is_empty()
                && !audit.writes(&world.namespace)?.iter().any(Call::makes_pod),
            "it stopped or made a pod"
        );
        let status = world.status("node").await?;
        ensure!(condition(&status, "Stalled") == Some(true), "it forgot");

        older.mend()?;
        world.until_running("node", "2.19.0", 2).await?;
        let status = world.status("node").await?;
        ensure!(condition(&status, "Stalled") != Some(true), "it is Stalled");
        Ok(())
    })
    .await
}
