//! A node that reaches its database through a sidecar, as with the proxy of Cloud SQL.

use anyhow::{Context, Result, ensure};
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

/// Where the sidecar listens.
const PORT: u16 = 5433;

/// The URL of the scenario's database by way of the pod itself, and the server's host and port.
fn through_the_pod(url: &str) -> Result<(String, String)> {
    let (before, rest) = url.split_once('@').context("no user")?;
    let (server, path) = rest.split_once('/').context("no path")?;
    let server = match server.rsplit_once(':') {
        Some(_) => server.to_owned(),
        None => format!("{server}:5432"),
    };
    Ok((format!("{before}@localhost:{PORT}/{path}"), server))
}

/// The sidecar, from the image of the simulated node in this version.
fn proxy(world: &World, version: &str, server: &str) -> Value {
    json!([{
        "name": "proxy",
        "image": format!("{}:{version}", world.cluster.node_repository),
        "args": ["proxy", PORT.to_string(), server],
        "ports": [{"name": "database", "containerPort": PORT}],
        "startupProbe": {"tcpSocket": {"port": "database"}, "periodSeconds": 1, "failureThreshold": 60},
    }])
}

/// How often the sidecar of a pod was started again.
async fn restarts(world: &World, pod: &str) -> Result<i32> {
    let status = world.pods().get(pod).await?.status;
    let before = status.and_then(|status| status.init_container_statuses);
    let mut before = before.into_iter().flatten();
    let proxy = before.find(|one| one.name == "proxy");
    Ok(proxy.context("no proxy")?.restart_count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_node_behind_a_sidecar_is_upgraded_and_outlives_crashes_of_either() -> Result<()> {
    scenario("sidecar", Company::Welcome, async |world| {
        let (url, server) = through_the_pod(world.database_url())?;
        world.secret("proxied", &[("url", &url)]).await?;
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["database"]["url"]["secretKeyRef"]["name"] = "proxied".into();
        node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "30s"});
        node["spec"]["pod"] = json!({"sidecars": proxy(world, "2.18.0", &server)});
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;

        // The node's last act goes through its sidecar, which therefore outlives it.
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;
        let record = world.judged().await?;
        let gaps = record.gaps();
        ensure!(gaps.len() == 1, "{} gaps", gaps.len());
        let gave = gaps.iter().all(|gap| gap.lock().is_some());
        ensure!(gave, "the lock was not given back through the sidecar");

        // The node ends, and its sidecar goes on.
        let active = world.active("node").await?;
        world.kill_process(&active).await?;
        until("the lock has a holder again", PATIENCE, async || {
            let gaps = world.judged().await?.gaps().len();
            ensure!(gaps == 2, "{gaps} gaps");
            Ok(())
        })
        .await?;
        world.until_running("node", "2.19.0", 2).await?;
        if world.pods().get_opt(&active).await?.is_some() {
            let again = restarts(world, &active).await?;
            ensure!(again == 0, "the sidecar was started again, too: {again}");
        }

        // An image that is not there: the active works on, and status tells which container it is.
        let before = world.status("node").await?;
        let missing = proxy(world, "2.200.0", &server);
        world
            .change("node", json!({"pod": {"sidecars": missing}}))
            .await?;
        let told = world
            .until_stalled("node", &["ImagePull", "ErrImage"])
            .await?;
        ensure!(told.contains("proxy: "), "{told}");
        let stuck = world.status("node").await?;
        ensure!(stuck.active == before.active, "the active changed");
        let back = proxy(world, "2.18.0", &server);
        world
            .change("node", json!({"pod": {"sidecars": back}}))
            .await?;
        let after = world.until_running("node", "2.19.0", 2).await?;
        ensure!(after.active == before.active, "the active changed");
        ensure!(condition(&after, "Available") == Some(true));
        let gaps = world.judged().await?.gaps().len();
        ensure!(gaps == 2, "{gaps} gaps");
        Ok(())
    })
    .await
}
