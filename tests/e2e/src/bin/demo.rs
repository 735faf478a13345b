//! `make demo`: a node is upgraded, then its active is killed, and each thing that happens is told as it happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use anyhow::Result;
use e2e::duty::{Record, seconds};
use e2e::exec::{repository, run};
use e2e::timeline::Timeline;
use e2e::world::PATIENCE;
use e2e::{Cluster, World, images, install, scenario, until};
use serde_json::json;

const NAMESPACE: &str = "chainlink-demo";

/// Says what comes, and how long it took.
struct Steps(Instant);

impl Steps {
    async fn step<T>(&self, title: &str, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {title}");
        let began = Instant::now();
        let value = work().await?;
        let (step, all) = (
            began.elapsed().as_secs_f64(),
            self.0.elapsed().as_secs_f64(),
        );
        println!("   took {step:.1} s ({all:.0} s since the start)");
        Ok(value)
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let steps = Steps(Instant::now());
    until::wait_aloud();
    println!(
        "A Kubernetes of three machines on this one, and a simulated Chainlink node in it. The first run builds"
    );
    println!(
        "Kubernetes from source: about 15 minutes on 2 cores. Later runs take less than 3 minutes in all."
    );
    let cluster = steps
        .step("1/6  The cluster: three nodes and PostgreSQL", async || {
            // Until the demo is over.
            scenario::take_turn().await?;
            Cluster::up()
        })
        .await?;
    let image = steps
        .step(
            "2/6  The images: the operator's, and the simulated node's",
            async || images::load(&cluster),
        )
        .await?;
    steps
        .step(
            "3/6  The operator: helm install charts/chainlink-operator",
            async || {
                install::install(&cluster, &image).await?;
                let client = cluster.client().await?;
                install::leader(&client).await.map(drop)
            },
        )
        .await?;
    println!("\nFrom here on: seconds since now, who, what.\n");
    let timeline = Timeline::new(true);
    let world = World::new(&cluster, NAMESPACE, timeline.clone()).await?;
    steps
        .step(
            "4/6  kubectl apply -f examples/mainnet-secrets.yaml -f examples/mainnet.yaml",
            async || {
                world
                    .timeline
                    .act("applied the two files, with this cluster's database URL put in");
                world.apply_example("mainnet-secrets.yaml", world.database_url())?;
                world.apply_example("mainnet.yaml", world.database_url())?;
                world.until_running("mainnet", "2.18.0", 2).await
            },
        )
        .await?;
    show(&world)?;
    steps
        .step(
            "5/6  An upgrade: spec.version 2.18.0 -> 2.19.0",
            async || {
                world
                    .change("mainnet", json!({"version": "2.19.0"}))
                    .await?;
                world.until_running("mainnet", "2.19.0", 2).await
            },
        )
        .await?;
    show(&world)?;
    steps
        .step(
            "6/6  The active is killed (SIGKILL, and its pod removed)",
            async || kill(&world).await,
        )
        .await?;
    show(&world)?;
    let record = world.judged().await?;
    tell(
        &record,
        world.duty_in_database().await?.duties.len(),
        &timeline,
    );
    next_commands(&cluster)?;
    println!("\nThe demo took {:.0} s.", steps.0.elapsed().as_secs_f64());
    Ok(())
}

async fn kill(world: &World) -> Result<()> {
    let active = world.active("mainnet").await?;
    println!(
        "   A node that is killed can't give its lease back. The operator does it for a node whose end the kubelet has"
    );
    println!(
        "   reported; where its pod is gone before that, as with a lost machine, the lease expires after 10 s."
    );
    world.kill_process(&active).await?;
    world.force_delete(&active).await?;
    until("somebody else works", PATIENCE, async || {
        let record = world.judged().await?;
        anyhow::ensure!(record.gaps().len() == 2, "nobody yet");
        Ok(())
    })
    .await?;
    world.until_running("mainnet", "2.19.0", 2).await?;
    let active = world.active("mainnet").await?;
    world.until_service_leads_to("mainnet", &active).await
}

/// `kubectl get`, as a person would ask.
fn show(world: &World) -> Result<()> {
    let shown =
        world
            .cluster
            .kubectl(&["get", "cln", "--output", "wide", "--namespace", NAMESPACE])?;
    println!("\n$ kubectl get cln --output wide\n{shown}");
    Ok(())
}

/// What was measured.
fn tell(record: &Record, in_database: usize, timeline: &Timeline) {
    println!(
        "\n== Who worked when (each simulated node reports its work every 20 ms: in PostgreSQL, and by datagrams)\n"
    );
    println!(
        "{:<16} {:<8} {:>13} {:>13} {:>13}",
        "pod", "version", "has the lock", "works from", "works until"
    );
    let at = |micros: Option<i64>| {
        micros.map_or_else(
            || "-".to_owned(),
            |at| format!("{:.3} s", timeline.seconds_of(at)),
        )
    };
    for duty in &record.duties {
        let until = duty
            .stopping
            .or_else(|| (duty.last + 1_000_000 < now()).then_some(duty.last));
        println!(
            "{:<16} {:<8} {:>13} {:>13} {:>13}",
            duty.pod,
            duty.version,
            at(Some(duty.took)),
            at(duty.listening),
            until.map_or_else(|| "now".to_owned(), |until| at(Some(until)))
        );
    }
    println!("\n== Time without an active\n");
    for gap in record.gaps() {
        let parts = match (gap.shutdown(), gap.lock()) {
            (Some(shutdown), Some(lock)) => format!(
                "its shutdown {}, the wait for the lock {}, the boot {}",
                seconds(shutdown),
                seconds(lock),
                seconds(gap.boot())
            ),
            _ => format!(
                "killed: the lock was not given back; the boot {}",
                seconds(gap.boot())
            ),
        };
        println!("{gap}  ({parts})");
    }
    println!(
        "\nTwo actives at the same time: never, in {} duties by the datagrams and {in_database} by PostgreSQL.",
        record.duties.len()
    );
}

fn now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}

fn next_commands(cluster: &Cluster) -> Result<()> {
    println!("\n== The cluster is still up. Try, in this shell:\n");
    if cluster.is_ours() {
        let program = repository().join("tests/cluster/cluster");
        let kubeconfig = cluster.command(&["kubeconfig"])?;
        let tools = run(std::process::Command::new(&program).arg("tools"))?;
        println!("export KUBECONFIG={kubeconfig} PATH={tools}:$PATH");
    }
    println!("kubectl config set-context --current --namespace {NAMESPACE}");
    println!("kubectl get cln --watch --output wide");
    println!(
        "kubectl patch cln mainnet --type merge --patch '{{\"spec\":{{\"version\":\"2.20.0\"}}}}'   # 2.20.0 to 2.23.0 are loaded"
    );
    println!(
        "kubectl patch cln mainnet --type merge --patch '{{\"spec\":{{\"version\":\"2.200.0\"}}}}'  # there is no such image"
    );
    println!("kubectl scale cln mainnet --replicas 3");
    println!("kubectl describe cln mainnet");
    println!("\nmake demo-down removes all of it.");
    Ok(())
}
