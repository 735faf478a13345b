//! Looks at `simulator_settings` before the start and then every 200 ms.

use std::sync::Arc;
use std::time::Duration;

use crate::pg::{Database, DbError, Session};
use crate::settings::Settings;

const FIRST_LOOK: Duration = Duration::from_millis(500);
const PERIOD: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);
const NAME: &str = "chainlink-simulator settings";

/// So that faults count from the first log line on. A database that does not answer has no settings.
pub(super) async fn first_look(database: &Database, settings: &Settings) {
    let look = async {
        let session = database.named(NAME).connect(FIRST_LOOK).await?;
        read(&session, settings).await
    };
    let _ = tokio::time::timeout(FIRST_LOOK, look).await;
}

/// Keeps the last known settings while the database is away.
pub(super) async fn keep_looking(database: Database, settings: Arc<Settings>) {
    let database = database.named(NAME);
    loop {
        if let Ok(session) = database.connect(PATIENCE).await {
            while read(&session, &settings).await.is_ok() {
                if settings.fault("crash").is_some() {
                    crate::log::plain("fault on request: crash");
                    std::process::exit(1);
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn read(session: &Session, settings: &Settings) -> Result<(), DbError> {
    let timeout = Some(PATIENCE);
    let exists = session
        .query(
            "SELECT to_regclass('simulator_settings') IS NOT NULL",
            &[],
            timeout,
        )
        .await?;
    let rows = if exists.first().is_some_and(|row| row.get(0)) {
        session
            .query(
                "SELECT key, coalesce(value, '') FROM simulator_settings",
                &[],
                timeout,
            )
            .await?
    } else {
        Vec::new()
    };
    settings.replace_table(rows.iter().map(|row| (row.get(0), row.get(1))).collect());
    Ok(())
}
