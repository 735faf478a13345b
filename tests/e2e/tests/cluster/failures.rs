//! The active dies.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::machine::StillKubelet;
use e2e::world::{PATIENCE, condition};
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

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

/// The active, once the operator has asked the database since it took the lock.
async fn seen_by_the_database(world: &World) -> Result<String> {
    let active = world.until_running("node", "2.18.0", 2).await?.active;
    world
        .until_status("node", "the database names the holder", |status| {
            condition(status, "LockVerified") == Some(true)
        })
        .await?;
    active.context("nobody is active")
}

/// For how long nobody worked at the `nth` move of the lock, in seconds.
async fn gap(world: &World, nth: usize) -> Result<f64> {
    taken_over(world, nth).await?;
    let gaps = world.gaps().await?;
    let gap = gaps.last().context("no gap")?.micros();
    Ok(Duration::from_micros(u64::try_from(gap)?).as_secs_f64())
}

/// Whether the first move that is told says that the lease was given back.
async fn is_told_as_given_back(world: &World) -> Result<bool> {
    let told = world.until_status("node", "the move is told", |status| {
        status.last_handover.is_some()
    });
    let last = told.await?.last_handover;
    Ok(last.is_some_and(|last| last.lease_given_back))
}

async fn until_told_that_it_was_given_back(world: &World) -> Result<()> {
    world
        .until_status("node", "the last move says so", |status| {
            let last = status.last_handover.as_ref();
            last.is_some_and(|last| last.lease_given_back)
        })
        .await
        .map(drop)
}

/// Kills the active's process, and returns for how long nobody worked, in seconds.
async fn gap_of_a_kill(world: &World, node: &Value) -> Result<f64> {
    world.apply(node).await?;
    let active = seen_by_the_database(world).await?;
    world.kill_process(&active).await?;
    gap(world, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_of_a_killed_active_is_given_back_for_it() -> Result<()> {
    scenario("lease-given-back", Company::Welcome, async |world| {
        let gap = gap_of_a_kill(world, &world.node("node", "2.18.0", 2)).await?;
        // A lease lasts 10 s from its last refresh, which is 1 s ago at most.
        ensure!(gap < 7.0, "nobody worked for {gap} s");
        until_told_that_it_was_given_back(world).await
    })
    .await
}

/// A node that ends itself, and one that the kernel ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_is_given_back_whatever_the_active_ended_of() -> Result<()> {
    scenario("lease-ends", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["pod"] = json!({"resources": {"limits": {"memory": "128Mi"}}});
        world.apply(&node).await?;
        for (fault, nth, ended) in [("crash", 1, "Error"), ("take-memory", 2, "OOMKilled")] {
            let active = seen_by_the_database(world).await?;
            let fault = format!("fault:{fault}:{active}");
            // A second end would hide the first before the operator has seen it.
            world.simulate(&fault, "once").await?;
            let gap = gap(world, nth).await?;
            // Where it is not given back, it lasts for nine at least.
            ensure!(gap < 7.0, "nobody worked for {gap} s after {fault}");
            until_told_that_it_was_given_back(world).await?;
            let reason = world.last_end(&active).await?;
            ensure!(reason == ended, "{active} ended of {reason}");
        }
        Ok(())
    })
    .await
}

/// Whoever takes over ends before it serves: its lease is given back as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_of_a_node_that_ends_in_its_boot_is_given_back() -> Result<()> {
    scenario("lease-boot", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = seen_by_the_database(world).await?;
        let pods = world.until_running("node", "2.18.0", 2).await?.pods;
        let standby = pods.iter().find(|pod| pod.name != active);
        let standby = &standby.context("no standby")?.name;
        // The database is asked in a boot that lasts: a lease that nobody was seen to hold is nobody's to give back.
        let faults = [("slow-boot", "30s"), ("crash-after-takeover", "4s")];
        for (fault, value) in faults {
            world.simulate(&format!("fault:{fault}"), value).await?;
        }
        world.kill_process(&active).await?;
        until("whoever took the lock has ended", PATIENCE, async || {
            let restarts = world.restarts(&active).await? + world.restarts(standby).await?;
            ensure!(restarts >= 2, "{restarts} restarts");
            Ok(())
        })
        .await?;
        for (fault, _) in faults {
            world.simulate(&format!("fault:{fault}"), "off").await?;
        }
        // Of up to three containers, each of which leaves a lease of 10 s. Where the killed pod takes the lock itself once more,
        // at once, it names itself in no line before it ends: the database does.
        let gap = gap(world, 1).await?;
        ensure!(gap < 18.0, "nobody worked for {gap} s");
        until_told_that_it_was_given_back(world).await
    })
    .await
}

/// Nobody tells of the end: the port refuses, and the database has no session of it. That is no word of its kubelet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_lease_of_a_node_whose_kubelet_is_silent_expires() -> Result<()> {
    scenario("lease-untold", Company::Alone, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let active = seen_by_the_database(world).await?;
        let pods = world.status("node").await?.pods;
        let machine = pods.into_iter().find(|pod| pod.name == active);
        let machine = machine.and_then(|pod| pod.machine);
        let kubelet = StillKubelet::of(&machine.context("it has no machine")?)?;
        world.kill_process(&active).await?;
        let gap = gap(world, 1).await?;
        drop(kubelet);
        ensure!(gap > 8.0, "nobody worked for {gap} s only");
        world.until_running("node", "2.18.0", 2).await?;
        let given_back = is_told_as_given_back(world).await?;
        ensure!(!given_back, "it is told as given back");
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
        let given_back = is_told_as_given_back(world).await?;
        ensure!(!given_back, "it is told as given back");
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
