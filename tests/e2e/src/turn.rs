//! One run at a time on a machine: two would install two operators by one name, and share namespaces and databases.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

const FILE: &str = "chainlink-operator-scenarios.lock";

/// The right to use the cluster, until it is dropped or this process ends.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Turn {
    /// Waits until no other run is under way, and says so while it waits.
    pub async fn take() -> Result<Self> {
        Self::take_at(&std::env::temp_dir().join(FILE)).await
    }

    async fn take_at(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("{} can't be opened", path.display()))?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => {
                say(path);
                tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await??
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        };
        Ok(Self { _file: file })
    }
}

/// Not by a macro: the test harness would keep it until the wait is over.
fn say(path: &Path) {
    let text = format!(
        "another run of the scenarios is under way: waiting for its end ({} is locked)\n",
        path.display()
    );
    // Nothing is lost where nobody reads.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_second_run_waits_for_the_end_of_the_first() {
        let path = std::env::temp_dir().join(format!("e2e-turn-{}.lock", std::process::id()));
        let first = Turn::take_at(&path).await.unwrap();
        let mut second = Box::pin(Turn::take_at(&path));

        let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
        assert!(early.is_err(), "both have their turn");
        drop(first);
        second.await.unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
