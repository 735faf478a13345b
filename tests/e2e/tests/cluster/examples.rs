//! examples/ run as they are; only the database's URL is put in.

use anyhow::{Result, ensure};
use e2e::{Company, scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_examples_run_as_they_are() -> Result<()> {
    scenario("examples", Company::Welcome, async |world| {
        let cases = [
            ("mainnet", &["mainnet-secrets.yaml", "mainnet.yaml"][..]),
            ("sepolia", &["v1-environment.yaml"][..]),
            ("arbitrum", &["json-logs-three-replicas.yaml"][..]),
        ];
        for (name, files) in cases {
            let url = world.other_database(name).await?;
            for file in files {
                world.apply_example(file, &url)?;
            }
        }
        for (name, _) in cases {
            let spec = world.nodes().get(name).await?.spec;
            let replicas = usize::try_from(spec.replicas)?;
            let status = world
                .until_status_running(name, &spec.version, replicas)
                .await?;
            ensure!(
                e2e::world::condition(&status, "Redundant") == Some(true),
                "{name}: {}",
                e2e::world::brief(&status)
            );
        }
        Ok(())
    })
    .await
}
