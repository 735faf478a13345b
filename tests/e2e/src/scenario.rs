//! One scenario: its world, its end, and the figures that it leaves.

use std::io::Write;
use std::panic::AssertUnwindSafe;

use anyhow::{Result, anyhow};
use futures::FutureExt;
use tokio::sync::OnceCell;

use crate::canary::nothing_is_shown;
use crate::cluster::Cluster;
use crate::company::Company;
use crate::duty::Gap;
use crate::explain::explain;
use crate::timeline::Timeline;
use crate::turn::Turn;
use crate::world::{World, remove_leftovers};
use crate::{images, install};

/// Keeps the namespace of a scenario that failed.
const KEEP: &str = "E2E_KEEP";

static TURN: OnceCell<Turn> = OnceCell::const_new();
static READY: OnceCell<Cluster> = OnceCell::const_new();

/// Waits for other runs to end, and has the cluster from then on until this process ends.
pub async fn take_turn() -> Result<()> {
    TURN.get_or_try_init(Turn::take).await.map(drop)
}

/// The cluster with the operator installed, made by whoever comes first.
pub async fn ready() -> Result<Cluster> {
    let cluster = READY.get_or_try_init(async || {
        take_turn().await?;
        let cluster = Cluster::up()?;
        remove_leftovers(&cluster.client().await?).await?;
        let image = images::load(&cluster)?;
        install::install(&cluster, &image).await?;
        install::leader(&cluster.client().await?).await?;
        anyhow::Ok(cluster)
    });
    cluster.await.cloned()
}

/// Runs one scenario in a world of its own, and removes it afterwards, also where it failed.
pub async fn scenario(
    name: &str,
    company: Company,
    body: impl AsyncFnOnce(&World) -> Result<()>,
) -> Result<()> {
    let cluster = ready().await?;
    let _seat = company.enter().await;
    let world = World::new(&cluster, &format!("e2e-{name}"), Timeline::new(false))
        .await?
        .with_secrets()
        .await?;
    let outcome = AssertUnwindSafe(Box::pin(body(&world)))
        .catch_unwind()
        .await;
    let outcome = outcome.unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", words.unwrap_or("it panicked")))
    });
    let judged = world.last_judged().await;
    tell_gaps(&world, &judged);
    let shown = Box::pin(nothing_is_shown(&world)).await;
    let outcome = outcome.and(judged.map(drop)).and(shown);
    if let Err(error) = &outcome {
        say(&explain(&world, error));
        if std::env::var_os(KEEP).is_some() {
            return outcome;
        }
    }
    world.remove().await?;
    outcome
}

/// What was measured: figures to look at, none of them asserted.
fn tell_gaps(world: &World, gaps: &Result<Vec<Gap>>) {
    let Ok(gaps) = gaps else { return };
    let told: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    let told = if told.is_empty() {
        "none".to_owned()
    } else {
        told.join("; ")
    };
    let name = &world.namespace;
    say(&format!("{name}: time without an active: {told}\n"));
}

/// At once: by a macro, the test harness would keep it until all scenarios are over.
fn say(text: &str) {
    // Nothing is lost where nobody reads.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
