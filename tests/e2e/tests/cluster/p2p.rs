//! Peers reach the active on an address that stays.

use anyhow::{Context, Result, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use serde_json::json;

async fn until_peers_reach(world: &World, pod: &str) -> Result<()> {
    until(&format!("peers reach {pod}"), PATIENCE, async || {
        let targets = world.targets("node-p2p").await?;
        ensure!(targets == [pod], "they reach {targets:?}");
        Ok(())
    })
    .await
}

/// What does not change while the active does: the address that peers know.
async fn address(world: &World) -> Result<(Option<String>, i32, Option<i32>)> {
    let spec = world.services().get("node-p2p").await?.spec;
    let spec = spec.context("a Service has a spec")?;
    let port = spec.ports.iter().flatten().next().context("and a port")?;
    Ok((spec.cluster_ip.clone(), port.port, port.node_port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn peers_reach_whoever_is_active_on_one_address() -> Result<()> {
    scenario("p2p", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        let p2p = json!({"type": "NodePort", "announceAddress": "node.example.com:6690"});
        node["spec"]["service"] = json!({"p2p": p2p});
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?.active;
        let before = before.unwrap_or_default();
        until_peers_reach(world, &before).await?;
        let known = address(world).await?;
        ensure!(known.1 == 6690, "the port is {}", known.1);

        world.change("node", json!({"version": "2.19.0"})).await?;
        let after = world.until_running("node", "2.19.0", 2).await?.active;
        let after = after.unwrap_or_default();
        until_peers_reach(world, &after).await?;
        ensure!(before != after, "the active did not change");
        ensure!(address(world).await? == known, "the address changed");

        world.change("node", json!({"service": null})).await?;
        until("the Service is gone", PATIENCE, async || {
            let there = world.services().get_opt("node-p2p").await?;
            ensure!(there.is_none(), "it is there");
            Ok(())
        })
        .await?;
        world.until_running("node", "2.19.0", 2).await?;
        Ok(())
    })
    .await
}
