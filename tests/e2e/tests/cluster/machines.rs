//! Machines are lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::machine::{Cordoned, LostNode, NODES};
use e2e::world::{PATIENCE, pods_with_role};
use e2e::{Company, World, install, scenario, until};
use kube::ResourceExt;
use serde_json::json;

/// A new operator would not be started before the machine is known to be lost, after 40 s.
const FOLLOWED: Duration = Duration::from_secs(25);

/// Starts a node whose active runs on the operator's machine, and its standby elsewhere. Returns machine and standby.
async fn beside_the_operator(world: &World) -> Result<(String, String)> {
    let operator = install::leader(&world.client).await?;
    let machine = operator
        .spec
        .and_then(|spec| spec.node_name)
        .context("the operator runs nowhere")?;
    let others: Vec<&str> = NODES.into_iter().filter(|node| *node != machine).collect();
    let cordoned = Cordoned::cordon(&world.cluster, &others)?;
    world.apply(&world.node("node", "2.18.0", 1)).await?;
    world.until_running("node", "2.18.0", 1).await?;
    drop(cordoned);
    world.change("node", json!({"replicas": 2})).await?;
    let status = world.until_running("node", "2.18.0", 2).await?;
    let standby = pods_with_role(&status, "Standby").remove(0);
    let placed = status
        .pods
        .iter()
        .find(|pod| pod.name == standby)
        .and_then(|pod| pod.machine.clone());
    ensure!(
        placed.as_deref() != Some(machine.as_str()),
        "the standby runs on {machine} too"
    );
    Ok((machine, standby))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_machine_of_both_the_active_and_the_operator_is_lost() -> Result<()> {
    scenario("machine-lost", Company::Alone, async |world| {
        let (machine, standby) = beside_the_operator(world).await?;
        let operator = install::leader(&world.client).await?.name_any();
        let begun = Instant::now();
        world.timeline.act(&format!("{machine} loses its network"));
        let lost = LostNode::cut(&world.cluster, &machine)?;
        until("the standby takes over by the lock", PATIENCE, async || {
            let record = world.judged().await?;
            ensure!(
                record.pods().last() == Some(&standby.as_str()),
                "who worked: {:?}",
                record.pods()
            );
            Ok(())
        })
        .await?;
        // The other operator is there, and only has to see that the Lease is left alone.
        world.until_service_leads_to("node", &standby).await?;
        let followed = begun.elapsed();
        println!("machine-lost: the Service followed after {followed:.1?}");
        ensure!(followed < FOLLOWED, "only after {followed:?}");
        install::until_another_leads(&world.client, &operator).await?;
        world
            .until_status("node", "the standby is active", |status| {
                status.active.as_ref() == Some(&standby)
            })
            .await?;
        world
            .until_status("node", "there is a standby again", |status| {
                !pods_with_role(status, "Standby").is_empty()
            })
            .await?;
        world.outlived().await?;
        drop(lost);
        world.until_status_running("node", "2.18.0", 2).await?;
        ensure!(
            world.active("node").await? == standby,
            "the active changed once more"
        );
        Ok(())
    })
    .await
}
