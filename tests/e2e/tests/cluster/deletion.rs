//! Nodes that work are not deleted by mistake, and those that are meant are.

use anyhow::{Result, bail, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;

/// A deletion that the API server judges as any other, and does not carry out.
fn rehearsed() -> DeleteParams {
    DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    }
}

/// What the API server says to a deletion that it refuses.
async fn refusal(world: &World, name: &str, how: &DeleteParams) -> Result<String> {
    match world.nodes().delete(name, how).await {
        Ok(_) => bail!("the deletion of {name} was accepted"),
        Err(error) => Ok(error.to_string()),
    }
}

async fn until_gone(world: &World, name: &str) -> Result<()> {
    until(&format!("{name} is gone"), PATIENCE, async || {
        let there = world.nodes().get_opt(name).await?;
        ensure!(there.is_none(), "it is there");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_node_that_works_is_deleted_only_by_somebody_who_says_so() -> Result<()> {
    scenario("deletion-protection", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.apply(&world.node("asleep", "2.18.0", 0)).await?;
        world.until_running("node", "2.18.0", 1).await?;
        // The API server learns of a policy some seconds after it was installed.
        until("the policy is in force", PATIENCE, async || {
            refusal(world, "node", &rehearsed()).await
        })
        .await?;

        let sentence = refusal(world, "node", &DeleteParams::default()).await?;
        for words in [
            format!(
                "kubectl scale --namespace {} chainlinknode/node --replicas 0",
                world.namespace
            ),
            format!(
                "kubectl annotate --namespace {} chainlinknode/node chainlink-operator.dev/allow-deletion=true",
                world.namespace
            ),
        ] {
            ensure!(sentence.contains(&words), "no {words:?} in: {sentence}");
        }
        let all = world.cluster.kubectl(&[
            "delete",
            "chainlinknodes",
            "--all",
            "--namespace",
            &world.namespace,
        ]);
        ensure!(all.is_err(), "deleting all was accepted");
        let crds: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        let crd = crds
            .delete("chainlinknodes.chainlink-operator.dev", &rehearsed())
            .await;
        ensure!(crd.is_err(), "deleting the CRD would be accepted");
        world.until_running("node", "2.18.0", 1).await?;
        ensure!(world.gaps().await?.is_empty(), "there was a gap");

        // Of the two, the one without pods went with "--all".
        until_gone(world, "asleep").await?;
        world
            .annotate("node", "chainlink-operator.dev/allow-deletion", "false")
            .await?;
        refusal(world, "node", &rehearsed()).await?;
        world.delete("node").await?;
        until_gone(world, "node").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_namespace_that_is_deleted_takes_its_nodes_along() -> Result<()> {
    scenario("deletion-namespace", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.until_running("node", "2.18.0", 1).await?;
        until("the policy is in force", PATIENCE, async || {
            refusal(world, "node", &rehearsed()).await
        })
        .await?;
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
        namespaces
            .delete(&world.namespace, &DeleteParams::default())
            .await?;
        until("the namespace is gone", PATIENCE, async || {
            let there = namespaces.get_opt(&world.namespace).await?;
            ensure!(there.is_none(), "it is there");
            Ok(())
        })
        .await
    })
    .await
}
