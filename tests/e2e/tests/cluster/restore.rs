//! Back to an older version: never by itself, and by a restored backup that a person tells of.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Company, World, scenario};
use serde_json::json;

const RESTORED_TO: &str = "chainlink-operator.dev/database-restored-to";

/// Runs one of PostgreSQL's own programs on the scenario's database.
fn postgres(world: &World, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .arg("--dbname")
        .arg(world.database_url())
        .args(arguments)
        .output()
        .with_context(|| format!("{program} can't be run"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// All that is the node's. The simulator's records go on, so that they can be judged to the end.
fn backup(world: &World) -> Result<String> {
    let dump = ["--clean", "--if-exists", "--exclude-table=simulator_*"];
    postgres(world, "pg_dump", &dump)
}

fn restore(world: &World, backup: &str) -> Result<()> {
    let file = std::env::temp_dir().join(format!("{}.sql", world.namespace));
    std::fs::write(&file, backup)?;
    let path = file.to_string_lossy();
    let arguments = ["--single-transaction", "--set=ON_ERROR_STOP=1", "--quiet"];
    let restored = postgres(
        world,
        "psql",
        &[&arguments[..], &["--file", &path]].concat(),
    );
    std::fs::remove_file(&file)?;
    restored.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn an_older_version_comes_back_only_with_a_backup_that_was_restored() -> Result<()> {
    scenario("restored", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        let old = backup(world)?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        world.until_running("node", "2.19.0", 2).await?;

        let audit = world.audit()?;
        world.change("node", json!({"version": "2.18.0"})).await?;
        let refused = || world.until_stalled("node", &["VersionWentBack: version 2.19.0"]);
        let told = refused().await?;
        ensure!(told.contains(RESTORED_TO), "{told}");
        // It is said of a database on which a pod works: that is none of before.
        world.annotate("node", RESTORED_TO, "2.18.0").await?;
        world
            .change("node", json!({"restartedAt": "it is asked again"}))
            .await?;
        refused().await?;
        let stops = audit.stops(&world.namespace)?;
        ensure!(stops.is_empty(), "the operator stopped {stops:?}");

        world.change("node", json!({"replicas": 0})).await?;
        world
            .until_status("node", "it is hibernated", |status| {
                status.phase.as_deref() == Some("Hibernated")
            })
            .await?;
        // Said too early: the database is still that of the newer version.
        world.change("node", json!({"replicas": 2})).await?;
        world
            .until_stalled("node", &["the database says that version 2.19.0"])
            .await?;
        restore(world, &old)?;
        world.until_running("node", "2.18.0", 2).await?;
        let record = world.judged().await?;
        let worked = record.versions();
        ensure!(
            worked == ["2.18.0", "2.19.0", "2.18.0"],
            "{worked:?} worked"
        );
        Ok(())
    })
    .await
}
