//! The fleet of `make bench-fleet` in its smallest size, beside a control plane of its own: it measures what it says that it
//! measures. No time is asserted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Company;
use e2e::fleet::phases::{Phase, Settings, measure};
use e2e::images::programs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the tools of the cluster: make e2e"]
async fn a_fleet_of_two_is_measured() -> Result<()> {
    // Its control plane takes both cores while it starts.
    let _seat = Company::Alone.enter().await;
    let settings = Settings {
        phases: vec![Phase::Rest, Phase::Upgrade],
        operator: programs()?.join("chainlink-operator"),
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
    ensure!(of("rest", "writes")? < 0.5, "{figures:?}");
    ensure!(of("rest", "memory")? > 1.0, "{figures:?}");
    ensure!(
        of("upgrade", "requests of a handover")? > 1.0,
        "{figures:?}"
    );
    ensure!(
        of("upgrade", "without an active (worst)")? > 0.5,
        "{figures:?}"
    );
    Ok(())
}
