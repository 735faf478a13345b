//! Open files: how many this process may have, and the most that it and others had.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// What a process needs without resources, and with each. Measured with 20: at most 7.5 each of the API server while all of them
/// are upgraded, and 9 each of this process where it had not got a core for seconds.
const NONE: usize = 200;
const EACH: usize = 12;

/// Fails where this process, and those that it starts, may not open as many files as a fleet of that size needs.
pub fn ensure_files(resources: usize) -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    let soft: usize = soft
        .and_then(|soft| soft.parse().ok())
        .unwrap_or(usize::MAX);
    let needed = NONE + EACH * resources;
    ensure!(
        soft >= needed,
        "{resources} resources need {needed} open files, and this shell allows {soft}: ulimit -n {needed}"
    );
    Ok(())
}

/// The most files that processes had open, by their names.
#[derive(Clone, Default)]
pub struct Most(Arc<Mutex<BTreeMap<String, usize>>>);

impl Most {
    /// Looks at these processes until that is ended.
    pub fn watch(processes: Vec<(&'static str, u32)>) -> (Self, AbortHandle) {
        let most = Self::default();
        let looking = most.clone();
        let watching = tokio::spawn(async move {
            loop {
                for (name, id) in &processes {
                    looking.note(name, open(*id));
                }
                sleep(LOOK).await;
            }
        });
        (most, watching.abort_handle())
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, usize> {
        self.with(|most| most.clone())
    }

    fn note(&self, name: &str, open: usize) {
        self.with(|most| {
            let known = most.entry(name.to_owned()).or_default();
            *known = open.max(*known);
        });
    }

    fn with<T>(&self, what: impl FnOnce(&mut BTreeMap<String, usize>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// None of a process that has ended.
fn open(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_kept_when_files_are_closed() {
        let most = Most::default();
        most.note("this", 5);
        most.note("this", 3);
        assert_eq!(most.all(), BTreeMap::from([("this".to_owned(), 5)]));
        assert!(open(std::process::id()) > 0);
        assert_eq!(open(u32::MAX), 0);
    }
}
