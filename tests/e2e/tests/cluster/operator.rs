//! The operator itself is killed, absent, or has nothing to do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::audit::{Audit, Call};
use e2e::world::PATIENCE;
use e2e::{Company, World, images, install, scenario, until};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

/// Those of one whole look: it comes where the database is to be asked and the Secret of its URL is not remembered yet.
const MOST_READS: usize = 15;

/// What the operator read since then, but for Secrets: of those no watch tells.
fn reads(world: &World, audit: &Audit) -> Result<Vec<Call>> {
    let mut reads = audit.reads(&world.namespace)?;
    reads.retain(|read| read.resource != "secrets");
    Ok(reads)
}

/// Whether nothing is read for longer than passes lie apart.
async fn is_quiet(world: &World) -> Result<bool> {
    let audit = world.audit()?;
    tokio::time::sleep(Duration::from_secs(17)).await;
    Ok(reads(world, &audit)?.is_empty())
}

/// An upgrade of two pods that has begun: one of the new version is made.
struct Begun {
    audit: Audit,
    old: BTreeSet<String>,
}

impl Begun {
    async fn on(world: &World) -> Result<Self> {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        let audit = world.audit()?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        until("a pod of the new version is made", PATIENCE, async || {
            let writes = audit.writes(&world.namespace)?;
            ensure!(writes.iter().any(Call::makes_pod), "none yet");
            Ok(())
        })
        .await?;
        let old = before.pods.into_iter().map(|pod| pod.name).collect();
        Ok(Self { audit, old })
    }

    /// Each old pod was stopped once, and no other.
    fn stopped_each_once(&self, world: &World) -> Result<()> {
        let (stops, old) = (self.audit.stops(&world.namespace)?, &self.old);
        ensure!(
            stops.len() == old.len() && stops.iter().cloned().collect::<BTreeSet<_>>() == *old,
            "{old:?} were to be stopped once each, not {stops:?}"
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_operator_killed_twice_in_an_upgrade_ends_it_and_stops_nothing_twice() -> Result<()> {
    scenario("operator-killed", Company::Alone, async |world| {
        let begun = Begun::on(world).await?;
        let audit = &begun.audit;
        install::kill(&world.client).await?;
        until("the first old pod is stopped", PATIENCE, async || {
            ensure!(!audit.stops(&world.namespace)?.is_empty(), "none yet");
            Ok(())
        })
        .await?;
        install::kill(&world.client).await?;
        world.until_running("node", "2.19.0", 2).await?;

        begun.stopped_each_once(world)?;
        let made = audit
            .writes(&world.namespace)?
            .iter()
            .filter(|write| write.makes_pod())
            .count();
        ensure!(made == 2, "two pods were to be made, not {made}");
        let record = world.judged().await?;
        ensure!(
            record.versions() == ["2.18.0", "2.19.0"],
            "who worked: {:?}",
            record.versions()
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_resource_at_rest_causes_no_write_and_no_read() -> Result<()> {
    scenario("rest", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        // What follows from the last step may still be on its way. The database is asked once a minute, and its Secret is read
        // for that once.
        let begun = Instant::now();
        while !is_quiet(world).await? {
            ensure!(begun.elapsed() < PATIENCE, "it never comes to rest");
        }
        let audit = world.audit()?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let writes = audit.writes(&world.namespace)?;
        ensure!(writes.is_empty(), "a minute of rest had writes: {writes:?}");
        let reads = reads(world, &audit)?;
        let once = reads.len() <= MOST_READS;
        ensure!(once, "a minute of rest had reads: {reads:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_deleted_resource_is_cleaned_up_without_the_operator() -> Result<()> {
    scenario("deleted", Company::Alone, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        let absent = install::Absent::now(&world.cluster)?;
        world.delete("node").await?;
        let ours = ListParams::default().labels("chainlink-operator.dev/node=node");
        until(
            "pods, ConfigMaps and Services are gone",
            PATIENCE,
            async || {
                let pods = world.pods().list(&ours).await?.items.len();
                let maps = world.config_maps().list(&ours).await?.items.len();
                let services = world.services().list(&ours).await?.items.len();
                ensure!(
                    pods + maps + services == 0,
                    "{pods} pods, {maps} ConfigMaps, {services} Services are left"
                );
                Ok(())
            },
        )
        .await?;
        drop(absent);
        install::leader(&world.client).await?;
        Ok(())
    })
    .await
}

/// As where its machine is suspended, or swaps: it goes on where it was, while another has taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_leader_that_stood_still_in_an_upgrade_does_nothing_when_it_goes_on() -> Result<()> {
    scenario("operator-frozen", Company::Alone, async |world| {
        let begun = Begun::on(world).await?;
        let frozen = install::Frozen::now(&world.client).await?;
        install::until_another_leads(&world.client, frozen.pod()).await?;
        drop(frozen);
        world.until_running("node", "2.19.0", 2).await?;
        begun.stopped_each_once(world)?;
        Ok(())
    })
    .await
}

/// As on a day on which both are upgraded: `helm upgrade` in the middle of a rollout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_operator_is_upgraded_in_the_middle_of_an_upgrade() -> Result<()> {
    scenario("operator-upgraded", Company::Alone, async |world| {
        let begun = Begun::on(world).await?;
        let first = install::leader(&world.client).await?.name_any();
        let image = install::image(&world.client).await?;
        let changed = install::Changed::to(&world.cluster, &image, "log.format=json").await?;
        let second = install::leader(&world.client).await?.name_any();
        ensure!(first != second, "the operator was not replaced");
        world.until_running("node", "2.19.0", 2).await?;
        begun.stopped_each_once(world)?;
        let active = world.active("node").await?;
        changed.back().await?;
        world.until_running("node", "2.19.0", 2).await?;
        ensure!(
            world.active("node").await? == active,
            "the change of the operator alone moved the active"
        );
        begun.stopped_each_once(world)?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn helm_test_passes_where_the_service_leads_to_the_operator_alone() -> Result<()> {
    scenario("helm-test", Company::Alone, async |world| {
        images::load_test(&world.cluster)?;
        let astray = install::LedAstray::now(&world.cluster)?;
        until("the operator is not reached", PATIENCE, async || {
            let refused = install::test(&world.cluster).err();
            let said = format!("{:#}", refused.context("helm test passes")?);
            ensure!(said.contains("refused"), "it fails otherwise: {said}");
            Ok(())
        })
        .await?;
        drop(astray);
        until("helm test passes", PATIENCE, async || {
            install::test(&world.cluster)
        })
        .await
    })
    .await
}
