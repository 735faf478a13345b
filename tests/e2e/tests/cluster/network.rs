//! The chart's policies for the network, held by it: what they let through, and what they keep out.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;
use e2e::machine::{Firewall, reaches};
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, install, scenario, until};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::json;

const STRANGER: &str = "stranger";
const HTTP: u16 = 6688;
/// Of the machine, beside the API server's.
const ETCD: u16 = 2379;
const API_SERVER: u16 = 6443;

/// A pod that nobody knows, and that does nothing.
async fn stranger(world: &World) -> Result<()> {
    let image = format!("{}:2.18.0", world.cluster.node_repository);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": STRANGER},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 14933, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "waits", "image": image, "imagePullPolicy": "Never", "command": ["cat"], "stdin": true,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }))?;
    world.pods().create(&PostParams::default(), &pod).await?;
    until("the stranger runs", PATIENCE, async || {
        let pod = world.pods().get(STRANGER).await?;
        let phase = pod.status.and_then(|status| status.phase);
        ensure!(phase.as_deref() == Some("Running"), "it is {phase:?}");
        Ok(())
    })
    .await
}

async fn address_of(world: &World, pod: &str) -> Result<String> {
    let pod = world.pods().get(pod).await?;
    let status = pod.status.context("no status yet")?;
    status.pod_ip.context("no address yet")
}

fn verified(status: &ChainlinkNodeStatus) -> bool {
    condition(status, "LockVerified") == Some(true)
}

/// Who gets where, of those who are asked: the stranger and the operator to the active, the active and the operator to the machine.
async fn ways(world: &World) -> Result<[bool; 4]> {
    let machine = world.cluster.collector_address.as_deref();
    let machine = machine.context("no address of this machine is known")?;
    let active = world.active("node").await?;
    let to = address_of(world, &active).await?;
    let leader = install::leader(&world.client).await?.name_any();
    Ok([
        reaches(STRANGER, "cat", &to, HTTP)?,
        reaches(&leader, "chainlink-operator", &to, HTTP)?,
        reaches(&active, "chainlink", machine, API_SERVER)?,
        reaches(&leader, "chainlink-operator", machine, ETCD)?,
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_policies_of_the_chart_keep_others_out_and_hold_up_no_upgrade() -> Result<()> {
    scenario("network", Company::Alone, async |world| {
        let _enforced = Firewall::start(&world.cluster)?;
        stranger(world).await?;
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        let open = ways(world).await?;
        ensure!(open == [true; 4], "without policies: {open:?}");

        let database: tokio_postgres::Config = world.database_url().parse()?;
        let port = database.get_ports().first().context("no port")?;
        let settings = [
            "networkPolicy.enabled=true".to_owned(),
            format!("networkPolicy.databasePorts={{{port}}}"),
            "nodeNetworkPolicy.enabled=true".to_owned(),
            format!("nodeNetworkPolicy.namespaces={{{}}}", world.namespace),
            format!("nodeNetworkPolicy.databasePorts={{{port}}}"),
            // The record of duty that needs no database.
            "nodeNetworkPolicy.extraEgress[0].ports[0].protocol=UDP".to_owned(),
        ];
        let image = install::image(&world.client).await?;
        let settings = settings.join(",");
        let changed = install::Changed::to(&world.cluster, &image, &settings).await?;
        until("the policies are in force", PATIENCE, async || {
            let left = ways(world).await?;
            ensure!(left == [false, true, false, false], "open are {left:?}");
            Ok(())
        })
        .await?;

        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        world
            .until_status("node", "the database is asked", verified)
            .await?;
        let left = ways(world).await?;
        ensure!(
            left == [false, true, false, false],
            "of the new pods: {left:?}"
        );
        changed.back().await
    })
    .await
}
