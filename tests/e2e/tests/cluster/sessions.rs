//! People and API clients stay logged in when another pod takes over.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

/// What the pods of now sign sessions with.
async fn signatures(world: &World) -> Result<BTreeSet<String>> {
    let status = world.status("node").await?;
    let mut found = BTreeSet::new();
    for pod in status.pods {
        found.insert(world.cluster.kubectl(&[
            "exec",
            &pod.name,
            "--namespace",
            &world.namespace,
            "--container",
            "node",
            "--",
            "cat",
            "/chainlink/root/secret",
        ])?);
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn every_pod_signs_sessions_with_the_same_secret_over_a_handover() -> Result<()> {
    scenario("sessions", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["credentials"]["sessionSecret"] = json!({"generate": true});
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        let before = signatures(world).await?;
        ensure!(before.len() == 1, "the pods have {} secrets", before.len());

        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        ensure!(
            signatures(world).await? == before,
            "another secret after the handover"
        );

        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
        let kept = secrets.get("node-session").await?.data.context("no data")?;
        let text = String::from_utf8(kept["secret"].0.clone())?;
        ensure!(
            before.contains(&text),
            "the pods have another one than the Secret"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_session_secret_that_no_node_could_read_never_gets_as_far_as_the_lock() -> Result<()> {
    scenario("sessions-bad", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?.active;
        world
            .secret("own", &[("signature", "not base64, and short")])
            .await?;
        let own = json!({"secretKeyRef": {"name": "own", "key": "signature"}});
        world
            .change("node", json!({"credentials": {"sessionSecret": own}}))
            .await?;
        until("status says what to write", PATIENCE, async || {
            let told = format!("{:?}", world.status("node").await?);
            ensure!(told.contains("openssl rand -base64 32"), "{told}");
            Ok(())
        })
        .await?;
        let now = world.status("node").await?.active;
        ensure!(now == before, "the active changed");

        let good = "c2l4dHktZm91ciBjaGFyYWN0ZXJzIG9yIHNvLCB0byBzaWduIHdpdGg=";
        world.secret("own", &[("signature", good)]).await?;
        // The pod that is refused is tried again with what the Secret holds by then.
        until("a pod signs with it", PATIENCE, async || {
            let found = signatures(world).await?;
            ensure!(
                found == BTreeSet::from([good.to_owned()]),
                "they sign with {found:?}"
            );
            Ok(())
        })
        .await?;
        Ok(())
    })
    .await
}
