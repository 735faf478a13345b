//! `make soak`: counted repetitions on the real cluster, with figures. Nothing is written into the repository.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::duty::{Gap, Micros, seconds};
use e2e::images::SOAK_VERSIONS;
use e2e::machine::LostNode;
use e2e::timeline::Timeline;
use e2e::world::PATIENCE;
use e2e::{Cluster, World, install, scenario, until};
use serde_json::json;

/// One poll of the lock: every second, with 10 % of jitter.
const POLL: Micros = 1_100_000;
/// How much the worst gap may be beyond its bound.
const WORST: Micros = 300_000;

/// Counted repetitions on the real cluster.
#[derive(Parser)]
struct Arguments {
    /// Upgrades in a row with 2 replicas.
    #[arg(long, default_value_t = 20)]
    upgrades: u32,
    /// Upgrades in a row with 1 and with 3 replicas, each.
    #[arg(long, default_value_t = 5)]
    others: u32,
    /// Upgrades with the operator killed at a random moment.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Losses of the machine that carries both the active and the operator that leads.
    #[arg(long, default_value_t = 2)]
    losses: u32,
    /// Minutes at rest.
    #[arg(long, default_value_t = 5)]
    rest: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let wanted = Arguments::parse();
    let cluster = scenario::ready().await?;
    let began = Instant::now();
    let mut gaps = Vec::new();
    let mut longest = Duration::ZERO;
    for (replicas, count) in [(2, wanted.upgrades), (1, wanted.others), (3, wanted.others)] {
        let world = world(&cluster, &format!("soak-{replicas}")).await?;
        let (seen, slowest) = upgrades(&world, replicas, count).await?;
        longest = longest.max(slowest);
        gaps.extend(seen);
        world.remove().await?;
    }
    let world = world(&cluster, "soak-kills").await?;
    // Without upgrades before it is not known how long one takes.
    kills(&world, wanted.kills, longest.max(Duration::from_secs(12))).await?;
    world.remove().await?;
    losses(&cluster, wanted.losses).await?;
    if wanted.rest > 0 {
        let world = self::world(&cluster, "soak-rest").await?;
        rest(&world, wanted.rest).await?;
        world.remove().await?;
    }
    let verdict = judge(&gaps);
    println!("\nThe soak took {:.0} s.", began.elapsed().as_secs_f64());
    verdict
}

async fn world(cluster: &Cluster, name: &str) -> Result<World> {
    World::new(cluster, &format!("e2e-{name}"), Timeline::new(false))
        .await?
        .with_secrets()
        .await
}

fn version(number: u32) -> String {
    format!("2.{}.0", SOAK_VERSIONS.start + number)
}

/// Upgrades in a row; returns their gaps, and how long the slowest upgrade took in all.
async fn upgrades(world: &World, replicas: u32, count: u32) -> Result<(Vec<Gap>, Duration)> {
    println!("\n{count} upgrades in a row, replicas {replicas}");
    println!(
        "{:>3} {:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "", "gap", "shutdown", "lock", "boot", "bound", "beyond"
    );
    let pods = usize::try_from(replicas)?;
    world
        .apply(&world.node("node", &version(0), replicas))
        .await?;
    world.until_running("node", &version(0), pods).await?;
    let mut slowest = Duration::ZERO;
    for number in 1..=count {
        let began = Instant::now();
        world
            .change("node", json!({"version": version(number)}))
            .await?;
        world.until_running("node", &version(number), pods).await?;
        slowest = slowest.max(began.elapsed());
        let gaps = world.gaps().await?;
        ensure!(
            gaps.len() == usize::try_from(number)?,
            "{number} gaps were due: {gaps:?}"
        );
        if let Some(gap) = gaps.last() {
            line(number, gap);
        }
    }
    Ok((world.gaps().await?, slowest))
}

fn line(number: u32, gap: &Gap) {
    let or_unknown = |part: Option<Micros>| part.map_or_else(|| "?".to_owned(), seconds);
    println!(
        "{number:>3} {:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6} ms",
        format!("{} -> {}", gap.from.version, gap.to.version),
        seconds(gap.micros()),
        or_unknown(gap.shutdown()),
        or_unknown(gap.lock()),
        seconds(gap.boot()),
        seconds(bound(gap)),
        (gap.micros() - bound(gap)) / 1000,
    );
}

/// What the nodes themselves may need: the old one's own shutdown, one whole poll of the lock, the new one's boot.
fn bound(gap: &Gap) -> Micros {
    gap.shutdown().unwrap_or_default() + POLL + gap.boot()
}

/// The operator killed at a random moment of each upgrade.
async fn kills(world: &World, count: u32, length: Duration) -> Result<()> {
    println!("\n{count} upgrades, the operator killed at a random moment of each");
    world.apply(&world.node("node", &version(0), 2)).await?;
    world.until_running("node", &version(0), 2).await?;
    for number in 1..=count {
        let old: BTreeSet<String> = world
            .status("node")
            .await?
            .pods
            .into_iter()
            .map(|pod| pod.name)
            .collect();
        let audit = world.audit()?;
        world
            .change("node", json!({"version": version(number)}))
            .await?;
        let moment = random(length);
        tokio::time::sleep(moment).await;
        let step = world
            .nodes()
            .get("node")
            .await?
            .status
            .and_then(|status| status.handover)
            .map(|handover| handover.step);
        install::kill(&world.client).await?;
        world.until_running("node", &version(number), 2).await?;
        let stops = audit.stops(&world.namespace)?;
        let stopped: BTreeSet<String> = stops.iter().cloned().collect();
        ensure!(
            stopped == old && stops.len() == old.len(),
            "{old:?} were to be stopped, each once: {stops:?}"
        );
        println!(
            "{number:>3} killed after {:.1} s ({}): ended right, stopped {}",
            moment.as_secs_f64(),
            step.as_deref().unwrap_or("before or after the handover"),
            stops.join(", ")
        );
    }
    let gaps = world.gaps().await?;
    ensure!(
        gaps.len() == usize::try_from(count)?,
        "{count} gaps were due: {gaps:?}"
    );
    for (number, gap) in (1..).zip(&gaps) {
        line(number, gap);
    }
    Ok(())
}

/// Not for secrets: the clock's last digits are random enough to choose a moment.
fn random(below: Duration) -> Duration {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_nanos();
    let mixed = nanos.wrapping_mul(2_654_435_761) >> 8;
    below.mul_f64(f64::from(mixed) / f64::from(u32::MAX >> 8))
}

/// The machine of both the active and the leading operator loses its network. How long the lock takes is the nodes' own
/// affair (the lease); how much later the Service follows is the operators'.
async fn losses(cluster: &Cluster, count: u32) -> Result<()> {
    println!("\n{count} losses of the machine of both the active and the leader");
    let mut followed = Vec::new();
    for number in 1..=count {
        let world = world(cluster, "soak-loss").await?;
        let (machine, standby) = world.beside_the_leader(&version(0)).await?;
        let lost_at = Instant::now();
        let lost = LostNode::cut(cluster, &machine)?;
        let cut = lost_at.elapsed();
        world.until_service_leads_to("node", &standby).await?;
        let after = lost_at.elapsed();
        println!(
            "{number:>3} {machine}: the Service followed {:.1} s after the loss (the cut itself took {:.1} s)",
            after.as_secs_f64(),
            cut.as_secs_f64()
        );
        followed.push(after);
        world.outlived().await?;
        drop(lost);
        world.until_status_running("node", &version(0), 2).await?;
        // Who was cut off works on for a moment when it comes back, which is judged no more.
        world.last_judged().await?;
        install::until_all_ready(&world.client).await?;
        world.remove().await?;
    }
    followed.sort_unstable();
    if let (Some(median), Some(worst)) = (followed.get(followed.len() / 2), followed.last()) {
        println!("The Service followed after {median:.1?} (median), {worst:.1?} at worst.");
    }
    Ok(())
}

async fn rest(world: &World, minutes: u64) -> Result<()> {
    world.apply(&world.node("node", &version(0), 2)).await?;
    world.until_running("node", &version(0), 2).await?;
    let quiet = world.audit()?;
    until("the last step is over", PATIENCE, async || {
        let before = quiet.writes(&world.namespace)?.len();
        tokio::time::sleep(Duration::from_secs(3)).await;
        ensure!(
            quiet.writes(&world.namespace)?.len() == before,
            "there are writes still"
        );
        Ok(())
    })
    .await?;
    let audit = world.audit()?;
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
    let writes = audit.writes(&world.namespace)?;
    println!(
        "\n{minutes} minutes at rest: {} writes by the operator",
        writes.len()
    );
    ensure!(writes.is_empty(), "writes at rest: {writes:?}");
    Ok(())
}

/// The median within 5 % of the bound, the worst within 300 ms of its own.
fn judge(gaps: &[Gap]) -> Result<()> {
    let median = |mut values: Vec<Micros>| {
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let gap = median(gaps.iter().map(Gap::micros).collect());
    let allowed = median(gaps.iter().map(bound).collect());
    let worst = gaps
        .iter()
        .map(|gap| gap.micros() - bound(gap))
        .max()
        .unwrap_or_default();
    println!(
        "\n{} gaps: never two actives. Median {}; shutdown, one lock poll and boot together: {}.",
        gaps.len(),
        seconds(gap),
        seconds(allowed)
    );
    println!(
        "The worst is {} ms beyond the bound of its own upgrade.",
        worst / 1000
    );
    ensure!(
        gap * 100 <= allowed * 105,
        "the median is more than 5 % beyond the bound"
    );
    ensure!(
        worst <= WORST,
        "the worst is more than {} ms beyond",
        WORST / 1000
    );
    Ok(())
}
