//! Looks at `simulator_settings` before the start and then every 200 ms.

use std::sync::Arc;
use std::time::Duration;

use crate::pg::{Database, DbError, QUERY_TIMEOUT, Session};
use crate::settings::Settings;

const PERIOD: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);
const NAME: &str = "chainlink-simulator settings";

/// What ends the process as soon as it is seen.
const ENDS: [(&str, fn() -> !); 2] = [("crash", crash), ("take-memory", take_memory)];
/// The value of one that the next start is not to see any more.
const ONCE: &str = "once";

/// So that faults count from the first log line on: ends when the settings are read, however slow the database is,
/// or with the error of a database that can't be reached. It is looked for as long as the node itself would.
pub(super) async fn first_look(database: &Database, settings: &Settings) -> Result<(), DbError> {
    let database = database.named(NAME);
    loop {
        let session = database.connect(QUERY_TIMEOUT).await?;
        match read(&session, settings, QUERY_TIMEOUT).await {
            Err(DbError::Bad | DbError::Done | DbError::Timeout) => {}
            // A table that may not be read holds no settings.
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

/// Keeps the last known settings while the database is away.
pub(super) async fn keep_looking(database: Database, settings: Arc<Settings>) {
    let database = database.named(NAME);
    loop {
        if let Ok(session) = database.connect(PATIENCE).await {
            while read(&session, &settings, PATIENCE).await.is_ok() {
                for (fault, end) in ENDS {
                    if let Some(value) = settings.fault(fault) {
                        if value == ONCE {
                            forget(&session, fault).await;
                        }
                        crate::log::plain(&format!("fault on request: {fault}"));
                        end();
                    }
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn crash() -> ! {
    std::process::exit(1)
}

/// A role that may not write leaves the row to the test.
async fn forget(session: &Session, fault: &str) {
    let sql = "DELETE FROM simulator_settings WHERE key LIKE 'fault:' || $1::text || '%' AND value = 'once'";
    let _ = session.query(sql, &[&fault], Some(PATIENCE)).await;
}

/// Takes memory until the kernel ends the process. Without a limit it would be the machine's: it ends itself at 1 GiB.
fn take_memory() -> ! {
    const PIECE: usize = 16 << 20;
    let mut taken = Vec::new();
    while taken.len() < (1 << 30) / PIECE {
        taken.push(vec![1_u8; PIECE]);
    }
    crate::log::plain("this container has no limit of memory below 1 GiB");
    std::process::exit(3);
}

async fn read(session: &Session, settings: &Settings, patience: Duration) -> Result<(), DbError> {
    let timeout = Some(patience);
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
