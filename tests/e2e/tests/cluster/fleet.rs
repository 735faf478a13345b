//! The fleet of `make bench-fleet` in its smallest size, beside a control plane of its own: it measures what it says that it
//! measures. No time is asserted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use e2e::Company;
use e2e::fleet::phases::{Phase, Settings, measure};
use e2e::images::programs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the tools of the cluster: make e2e"]
async fn a_fleet_of_two_is_measured() -> Result<()> {
    // Its control plane takes both cores while it starts.
    let _seat = Company::Alone.enter().await;
    let settings = Settings {
        phases: Phase::value_variants().to_vec(),
        operator: programs()?.join("chainlink-operator"),
        databases: 2,
        cap: 1,
        together: 1,
        quiet: Duration::from_secs(2),
        rest: Duration::from_secs(2),
        patience: Duration::from_secs(120),
        folder: std::env::temp_dir().join(format!("fleet-of-two-{}", std::process::id())),
        keep: false,
    };
    let figures = measure(2, &settings).await?;
    ensure!(!settings.folder.exists(), "its folder is left");
    let of = |phase: &str, name: &str| {
        let mut found = figures.iter().filter(|one| one.phase == phase);
        let found = found.find(|one| one.name == name);
        found
            .map(|one| one.value)
            .with_context(|| format!("no {name} of {phase} in {figures:?}"))
    };
    for phase in ["rest", "unrelated", "hibernate"] {
        ensure!(of(phase, "writes")? < 0.5, "{phase}: {figures:?}");
        ensure!(of(phase, "memory")? > 1.0, "{phase}: {figures:?}");
        ensure!(of(phase, "requests to lead")? > 0.5, "{phase}: {figures:?}");
    }
    for phase in ["upgrade", "leader"] {
        let requests = of(phase, "requests of a handover")?;
        ensure!(requests > 1.0, "{phase}: {figures:?}");
        let gap = of(phase, "without an active (worst)")?;
        ensure!(gap > 0.5, "{phase}: {figures:?}");
    }
    ensure!(of("leader", "until the other leads")? > 0.5, "{figures:?}");
    ensure!(of("unrelated", "pods")? > 19.5, "{figures:?}");
    ensure!(of("stalled", "memory")? > 1.0, "{figures:?}");
    ensure!(of("loss", "actives lost")? > 0.5, "{figures:?}");
    Ok(())
}
