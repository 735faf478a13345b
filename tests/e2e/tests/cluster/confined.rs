//! A team's own operator, for its own namespace, with no right to the cluster as a whole.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNode;
use e2e::install::{Absent, Confined, RELEASE};
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, install, scenario, until};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

/// What a release has that belongs to no namespace.
fn cluster_wide(world: &World, namespace: &str) -> Result<String> {
    let of_release = format!("app.kubernetes.io/instance={RELEASE}");
    let kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    let all = ["get", kinds, "--selector", &of_release, "--output", "name"];
    let found = world.cluster.kubectl(&all)?;
    let own = |line: &&str| line.contains(&format!("/{namespace}"));
    Ok(found.lines().filter(own).collect::<Vec<_>>().join(", "))
}

/// The operator of all namespaces is away meanwhile. Beside it, two would write one status: each of them would wait for
/// the other's writes (rule S4), and which of the two made or stopped a pod could not be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_operator_of_one_namespace_upgrades_there_with_no_right_to_the_cluster() -> Result<()> {
    scenario("confined", Company::Alone, async |world| {
        let image = install::image(&world.client).await?;
        let absent = Absent::now(&world.cluster)?;
        let confined = Confined::install(&world.cluster, &image, &world.namespace).await?;
        let theirs = cluster_wide(world, confined.namespace())?;
        ensure!(theirs.is_empty(), "it has rights to the cluster: {theirs}");

        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        ensure!(
            condition(&status, "Drainable") == Some(false),
            "it can't know the machines: {}",
            e2e::world::brief(&status)
        );
        // Beside its own pod, in a namespace that it does not watch.
        let elsewhere: Api<ChainlinkNode> =
            Api::namespaced(world.client.clone(), confined.namespace());
        elsewhere
            .patch(
                "stray",
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&world.node("stray", "2.18.0", 0)),
            )
            .await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let status = world.until_running("node", "2.19.0", 2).await?;
        let stray = elsewhere.get("stray").await?.status;
        ensure!(
            stray.is_none_or(|status| status.phase.is_none()),
            "it looked after a resource that is not its own"
        );
        // Nor the database's word, which the chart does not ask for unless told so.
        let killed = status.active.clone().context("nobody is active")?;
        let verified = condition(&status, "LockVerified");
        ensure!(verified != Some(true), "it may not ask the database");
        world.force_delete(&killed).await?;
        let what = "a standby has taken over";
        let status = world
            .until_status("node", what, |status| {
                let active = status.active.as_ref();
                active.is_some_and(|active| *active != killed)
                    && condition(status, "Ready") == Some(true)
            })
            .await?;
        let active = status.active.context("nobody is active")?;
        world.until_service_leads_to("node", &active).await?;
        let log = confined.log();
        ensure!(
            !log.to_lowercase().contains("forbidden"),
            "it asked for more than it may: {log}"
        );

        drop(confined);
        until("its pod is gone", PATIENCE, async || {
            let namespace = format!("{}-operator", world.namespace);
            let pods: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
            let left = pods.list(&ListParams::default()).await?.items.len();
            ensure!(left == 0, "{left} are there");
            Ok(())
        })
        .await?;
        drop(absent);
        install::leader(&world.client).await?;
        world.until_running("node", "2.19.0", 2).await?;
        ensure!(
            world.active("node").await? == active,
            "the change of operators changed the active"
        );
        Ok(())
    })
    .await
}
