//! Passes over one resource that end early, one after the other: since when, and how long each is waited with. What is refused
//! in a pass that goes through is waited with in the same way. Each resource counts for itself: one that fails for ever makes
//! no other wait.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::cluster::Repeated;

/// The first pause. To each up to its own length is added by chance, so that resources which failed together do not come back
/// together.
const FIRST: Duration = Duration::from_secs(1);

/// No pause gets longer than twice this.
pub(super) const LONGEST: Duration = Duration::from_secs(15);

/// The passes of one resource that have ended early since the last that did not.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) since: Instant,
    /// What was told of it by an event, and for which generation of the spec.
    pub(super) told: Option<(&'static str, Option<i64>)>,
    pub(super) log: Repeated,
    pub(super) pauses: Pauses,
}

/// How long each further try is waited with.
#[derive(Debug)]
pub(super) struct Pauses {
    to_come: ExponentialBackoff,
    generation: Option<i64>,
}

impl Failing {
    pub(super) fn begins(generation: Option<i64>) -> Self {
        Self {
            since: Instant::now(),
            told: None,
            log: Repeated::default(),
            pauses: Pauses::begin(generation),
        }
    }
}

impl Pauses {
    pub(super) fn begin(generation: Option<i64>) -> Self {
        Self {
            to_come: pauses(),
            generation,
        }
    }

    /// How long until the next try, after one more was in vain. Another spec may be the cure: it is tried anew.
    pub(super) fn next(&mut self, generation: Option<i64>) -> Duration {
        if self.generation != generation {
            *self = Self::begin(generation);
        }
        // It has no last one.
        self.to_come.next().unwrap_or(LONGEST)
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}
