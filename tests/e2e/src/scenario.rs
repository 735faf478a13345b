//! One scenario: its world, its end, and what a person needs to see when it fails.

use std::io::Write;
use std::panic::AssertUnwindSafe;

use anyhow::{Result, anyhow};
use futures::FutureExt;
use tokio::sync::{OnceCell, RwLock};

use crate::cluster::Cluster;
use crate::timeline::Timeline;
use crate::world::World;
use crate::{images, install};

/// Keeps the namespace of a scenario that failed.
const KEEP: &str = "E2E_KEEP";

/// Whether a scenario bears others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Disturbs nobody.
    Welcome,
    /// Takes machines or the operator away.
    Alone,
}

static READY: OnceCell<Cluster> = OnceCell::const_new();
static QUIET: RwLock<()> = RwLock::const_new(());

/// The cluster with the operator installed, made by whoever comes first.
pub async fn ready() -> Result<Cluster> {
    let cluster = READY.get_or_try_init(async || {
        let cluster = Cluster::up()?;
        let image = images::load(&cluster)?;
        install::install(&cluster, &image)?;
        install::ready_pod(&cluster.client().await?).await?;
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
    let (_alone, _together) = match company {
        Company::Alone => (Some(QUIET.write().await), None),
        Company::Welcome => (None, Some(QUIET.read().await)),
    };
    let world = World::new(&cluster, &format!("e2e-{name}"), Timeline::new(false))
        .await?
        .with_secrets()
        .await?;
    let outcome = AssertUnwindSafe(body(&world)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", words.unwrap_or("it panicked")))
    });
    if let Err(error) = &outcome {
        explain(&world, error);
        if std::env::var_os(KEEP).is_some() {
            return outcome;
        }
    }
    world.remove().await?;
    outcome
}

/// What a person needs to find the fault; at once, and in one piece, as another scenario may run beside.
fn explain(world: &World, error: &anyhow::Error) {
    let namespace = world.namespace.as_str();
    let show = |title: &str, arguments: &[&str]| {
        let text = world
            .cluster
            .kubectl(arguments)
            .unwrap_or_else(|error| format!("{error:#}"));
        format!("--- {title}\n{text}\n")
    };
    let text = [
        format!("\n=== {namespace} failed: {error:#}\n"),
        format!("--- what happened\n{}\n", world.timeline.lines().join("\n")),
        show(
            "ChainlinkNodes",
            &[
                "get",
                "chainlinknodes",
                "--namespace",
                namespace,
                "--output",
                "yaml",
            ],
        ),
        show(
            "pods",
            &[
                "get",
                "pods",
                "--namespace",
                namespace,
                "--output",
                "wide",
                "--show-labels",
            ],
        ),
        show(
            "events",
            &[
                "get",
                "events",
                "--namespace",
                namespace,
                "--sort-by",
                ".metadata.creationTimestamp",
            ],
        ),
        format!(
            "--- the end of the operator's log\n{}\n",
            install::log(&world.cluster, 60)
        ),
        format!("=== end of {namespace}\n"),
    ];
    // Not by a macro: the test harness would keep it until all scenarios are over.
    let _ = std::io::stderr().write_all(text.join("\n").as_bytes());
}
