//! Machines are lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::machine::LostNode;
use e2e::world::{PATIENCE, pods_with_role};
use e2e::{Company, install, scenario, until};
use kube::ResourceExt;

/// A new operator would not be started before the machine is known to be lost, after 40 s.
const FOLLOWED: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_machine_of_both_the_active_and_the_operator_is_lost() -> Result<()> {
    scenario("machine-lost", Company::Alone, async |world| {
        let (machine, standby) = world.beside_the_leader("2.18.0").await?;
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
