//! Waiting for something to become true.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often a person who looks on is told what is waited for.
const TOLD: Duration = Duration::from_secs(10);
static ALOUD: AtomicBool = AtomicBool::new(false);

/// From now on whatever takes long says what it waits for.
pub fn wait_aloud() {
    ALOUD.store(true, Ordering::Relaxed);
}

/// Looks again and again until `look` gives a value, and fails after `limit` with the last reason why it did not.
/// `look` returns `Err` with what it saw instead; errors of the API count as such a reason too, as a cluster in
/// trouble answers late.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    let mut tell = TOLD;
    loop {
        let reason = match tokio::time::timeout(Duration::from_secs(10), look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => format!("{reason:#}"),
            Err(_) => "the look itself took more than 10 s".to_owned(),
        };
        if began.elapsed() >= limit {
            bail!(
                "not within {} s: {what}. Last seen: {reason}",
                limit.as_secs()
            );
        }
        if began.elapsed() >= tell && ALOUD.load(Ordering::Relaxed) {
            tell += TOLD;
            println!("   waits until {what}; now: {reason}");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
