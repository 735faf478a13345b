//! The active dies.

use anyhow::{Context, Result, ensure};
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, scenario, until};
use serde_json::json;

/// Waits until somebody else works by the record of duty, and returns who.
async fn taken_over(world: &World, gaps: usize) -> Result<String> {
    until("somebody took over", PATIENCE, async || {
        let record = world.judged().await?;
        ensure!(record.gaps().len() == gaps, "{} gaps", record.gaps().len());
        Ok(record.pods().last().copied().unwrap_or_default().to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_standby_of_a_dead_active_takes_over_and_redundancy_is_restored() -> Result<()> {
    scenario("active-killed", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let active = status.active.clone().unwrap_or_default();
        let audit = world.audit()?;

        world.kill_process(&active).await?;
        world.force_delete(&active).await?;
        let successor = taken_over(world, 1).await?;
        // The standby, or the pod that was made in the place of the dead one: both wait for the lease.
        ensure!(successor != active, "the dead active works");
        world
            .until_status("node", "the successor is active", |status| {
                status.active.as_ref() == Some(&successor)
            })
            .await?;
        world.until_service_leads_to("node", &successor).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let last = status.last_handover.map(|last| last.reason);
        ensure!(
            last.as_deref() == Some("Failover"),
            "the last handover is {last:?}"
        );
        ensure!(
            audit.stops(&world.namespace)?.is_empty(),
            "the operator stopped {:?}",
            audit.stops(&world.namespace)?
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_active_whose_process_dies_is_replaced_by_whoever_gets_the_lock() -> Result<()> {
    scenario("process-killed", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = world
            .until_running("node", "2.18.0", 2)
            .await?
            .active
            .unwrap_or_default();
        let audit = world.audit()?;
        // The kubelet starts it again, and both wait for the lease to expire.
        world.kill_process(&active).await?;
        let successor = taken_over(world, 1).await?;
        world
            .until_status("node", "who works is active", |status| {
                status.active.as_ref() == Some(&successor)
            })
            .await?;
        world.until_service_leads_to("node", &successor).await?;
        world.until_running("node", "2.18.0", 2).await?;
        ensure!(
            audit.stops(&world.namespace)?.is_empty(),
            "the operator stopped {:?}",
            audit.stops(&world.namespace)?
        );
        Ok(())
    })
    .await
}

/// Kills the active's process, and returns for how long nobody worked, in seconds.
async fn gap_of_a_kill(world: &World, node: &serde_json::Value) -> Result<f64> {
    world.apply(node).await?;
    let active = world.until_running("node", "2.18.0", 2).await?.active;
    let active = active.unwrap_or_default();
    // The operator has asked the database since the active took the lock.
    world
        .until_status("node", "the database names the holder", |status| {
            condition(status, "LockVerified") == Some(true)
        })
        .await?;
    world.kill_process(&active).await?;
    taken_over(world, 1).await?;
    let gaps = world.gaps().await?;
    let gap = gaps.first().context("no gap")?.micros();
    Ok(std::time::Duration::from_micros(u64::try_from(gap)?).as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_of_a_killed_active_is_given_back_for_it() -> Result<()> {
    scenario("lease-given-back", Company::Welcome, async |world| {
        let gap = gap_of_a_kill(world, &world.node("node", "2.18.0", 2)).await?;
        // A lease lasts 10 s from its last refresh, which is 1 s ago at most.
        ensure!(gap < 7.0, "nobody worked for {gap} s");
        world
            .until_status("node", "the gap says so", |status| {
                let last = status.last_handover.as_ref();
                last.is_some_and(|last| last.lease_given_back)
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn where_leases_are_not_to_be_given_back_they_expire() -> Result<()> {
    scenario("lease-kept", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["failover"] = json!({"releaseLease": "Never"});
        let gap = gap_of_a_kill(world, &node).await?;
        ensure!(gap > 8.0, "nobody worked for {gap} s only");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_lasts_as_long_as_the_spec_says_and_another_time_costs_one_handover() -> Result<()>
{
    scenario("lease-times", Company::Welcome, async |world| {
        let refreshed = async |at_least: f64, at_most: f64| {
            until("the lease has its length", PATIENCE, async || {
                let left = world.lease_left().await?;
                ensure!(left > at_least && left <= at_most, "{left} s are left");
                Ok(())
            })
            .await
        };
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["database"]["lock"] = json!({"leaseDuration": "4s", "refreshInterval": "1s"});
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        refreshed(3.0, 4.0).await?;

        node["spec"]["database"]["lock"] = json!({"leaseDuration": "20s"});
        world.apply(&node).await?;
        refreshed(18.0, 20.0).await?;
        world
            .until_status("node", "all is as the spec asks", |status| {
                status.handover.is_none() && condition(status, "Ready") == Some(true)
            })
            .await?;
        let gaps = world.gaps().await?.len();
        ensure!(gaps == 1, "{gaps} gaps");
        Ok(())
    })
    .await
}

/// Its lease expires, whatever its connection does. Thawed, it ends by itself: somebody else has the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_frozen_active_with_a_lease_is_outlived_and_under_suspicion_until_it_ends() -> Result<()>
{
    scenario("frozen-lease", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let frozen = before.active.unwrap_or_default();
        let audit = world.audit()?;
        world.freeze(&frozen)?;
        let successor = taken_over(world, 1).await?;
        world
            .until_status("node", "the frozen one is under suspicion", |status| {
                let mut pods = status.pods.iter();
                status.active.as_ref() == Some(&successor)
                    && pods.any(|pod| pod.name == frozen && pod.role == "Suspect")
            })
            .await?;
        world.until_service_leads_to("node", &successor).await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "the operator stopped {stops:?}");
        world.outlived().await?;
        world.thaw(&frozen)?;
        world.until_status_running("node", "2.18.0", 2).await?;
        let active = world.active("node").await?;
        ensure!(active == successor, "{active} took over once more");
        Ok(())
    })
    .await
}

/// A temporary server answers meanwhile: that is no node at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_boot_without_an_end_calls_a_person_and_counts_as_no_service() -> Result<()> {
    scenario("long-boot", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"] = json!({"settle": "1s", "standbyTimeout": "10s"});
        world.apply(&node).await?;
        let status = world.until_running("node", "2.18.0", 2).await?;
        let active = status.active.context("nobody is active")?;
        let audit = world.audit()?;

        world.simulate("fault:slow-boot", "40s").await?;
        world.kill_process(&active).await?;
        world.force_delete(&active).await?;
        world.until_stalled("node", &["ActiveBoots"]).await?;
        let status = world.status("node").await?;
        for name in ["Available", "Ready"] {
            let told = condition(&status, name);
            ensure!(told == Some(false), "{name} is {told:?} in a boot");
        }
        world.until_running("node", "2.18.0", 2).await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "the operator stopped {stops:?}");
        Ok(())
    })
    .await
}
