//! The lock of one resource: scripted, or a row of `lease_lock` as real nodes have it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::database::Lease;

/// The lease of a node that died is over after this time (`LeaseDuration`).
pub const LEASE: Duration = Duration::from_secs(10);

/// Between two tries of the lock, without the tenth by which they differ (`LeaseRefreshInterval`).
pub const TRY: Duration = Duration::from_secs(1);

/// The lock as one node has it.
pub enum Held {
    Scripted(Arc<Lock>),
    Real(Box<Lease>),
}

impl Held {
    /// Takes it, if it is free or its holder's lease is over.
    pub async fn take(&self, container: &str) -> bool {
        match self {
            Self::Scripted(lock) => lock.take(container, Instant::now()),
            Self::Real(lease) => lease.take(container).await,
        }
    }

    /// Holds it until it is lost.
    pub async fn keep(&self, container: &str) {
        match self {
            Self::Scripted(_) => std::future::pending().await,
            Self::Real(lease) => {
                while lease.take(container).await {
                    sleep(TRY).await;
                }
            }
        }
    }

    /// Gives it back where it stops.
    pub async fn release(&self, container: &str) {
        match self {
            Self::Scripted(lock) => lock.release(container),
            Self::Real(lease) => lease.release(container).await,
        }
    }

    /// Leaves it to its lease where it dies.
    pub fn die(&self, container: &str) {
        match self {
            Self::Scripted(lock) => lock.die(container, Instant::now()),
            // Nobody refreshes it any more.
            Self::Real(_) => {}
        }
    }
}

/// Who has it, and until when where that one is dead.
#[derive(Debug)]
struct Holder {
    container: String,
    until: Option<Instant>,
}

/// The scripted lock of one resource. There is one holder at most.
#[derive(Debug, Default)]
pub struct Lock(Mutex<Option<Holder>>);

impl Lock {
    /// Takes it, if it is free or its holder's lease is over.
    pub fn take(&self, container: &str, now: Instant) -> bool {
        self.with(|holder| {
            let held = holder.as_ref().is_some_and(|holder| {
                holder.container != container && holder.until.is_none_or(|until| now < until)
            });
            if !held {
                *holder = Some(Holder {
                    container: container.to_owned(),
                    until: None,
                });
            }
            !held
        })
    }

    /// A holder that stops gives it back. Nobody else can.
    pub fn release(&self, container: &str) {
        self.with(|holder| {
            if holder.as_ref().is_some_and(|it| it.container == container) {
                *holder = None;
            }
        });
    }

    /// A holder that dies leaves it to its lease.
    pub fn die(&self, container: &str, now: Instant) {
        self.with(|holder| {
            if let Some(holder) = holder.as_mut().filter(|it| it.container == container) {
                holder.until.get_or_insert(now + LEASE);
            }
        });
    }

    fn with<T>(&self, what: impl FnOnce(&mut Option<Holder>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_until_that_one_stops() {
        let (lock, now) = (Lock::default(), Instant::now());
        assert!(lock.take("a", now));
        assert!(!lock.take("b", now + LEASE * 2), "a renews its lease");
        lock.release("b");
        assert!(!lock.take("b", now), "b has nothing to give back");
        lock.release("a");
        assert!(lock.take("b", now));
    }

    #[test]
    fn the_lease_of_one_that_died_runs_out() {
        let (lock, now) = (Lock::default(), Instant::now());
        assert!(lock.take("a", now));
        lock.die("b", now);
        lock.die("a", now);
        lock.die("a", now + LEASE / 2);
        assert!(!lock.take("b", now + LEASE / 2));
        assert!(lock.take("b", now + LEASE));
        assert!(!lock.take("a", now + LEASE * 2));
    }
}
