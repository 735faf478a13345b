//! What did not succeed in a pass. It keeps nothing else from being done; what is refused, or fails for long, is told. It is
//! kept from pass to pass, so it knows none: it has reasons, sentences and times only. Each is logged where it is new, and
//! rarely while it goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use super::line::line;
use crate::api::ChainlinkNode;
use crate::cluster::{Repeated, refusal, says_the_same, sentence};
use crate::domain::Reason;
use crate::plan::Blocked;

/// What fails for a moment is only tried again.
const LASTING: Duration = Duration::from_secs(10);

/// What did not succeed, by the reason that status has for it.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiFailures(BTreeMap<Reason, ApiFailure>);

#[derive(Clone, Debug)]
struct ApiFailure {
    message: String,
    /// It would be refused again, as far as can be told.
    refused: bool,
    since: Instant,
    log: Repeated,
}

impl ApiFailures {
    /// Takes note of what is not to be had.
    pub(super) fn refuse(&mut self, reason: Reason, message: String) {
        self.add(reason, message, true);
    }

    /// Takes note of what the API server said to a call that was `to` do something.
    pub(super) fn fail(&mut self, reason: Reason, to: &str, error: &kube::Error) {
        match refusal(error) {
            Some(said) => self.refuse(reason, format!("the API server refuses to {to}: {said}")),
            None => self.add(
                reason,
                format!("the operator keeps failing to {to}: {}", sentence(error)),
                false,
            ),
        }
    }

    fn add(&mut self, reason: Reason, message: String, refused: bool) {
        let failure = ApiFailure {
            message,
            refused,
            since: Instant::now(),
            log: Repeated::default(),
        };
        // A refusal says more than what fails beside it.
        if refused || !self.0.contains_key(&reason) {
            self.0.insert(reason, failure);
        }
    }

    /// The same, with the time since when it has lasted. What is new in it is logged, and rarely what goes on.
    pub(super) fn after(mut self, before: &Self, of: &ObjectRef<ChainlinkNode>) -> Self {
        for (reason, failure) in &mut self.0 {
            if let Some(known) = before.0.get(reason) {
                failure.since = known.since;
                failure.log = known.log.clone();
                // Times, ports and counts in it are no news: each would be written into the status anew.
                if says_the_same(&known.message, &failure.message) {
                    failure.message.clone_from(&known.message);
                }
            }
            if let Some(times) = failure.log.again(&failure.message, Instant::now()) {
                line!(warn, of, %reason, times, "{}", failure.message);
            }
        }
        self
    }

    /// What status says of it, where it is refused or has lasted.
    pub(super) fn told(&self, reason: &Reason) -> Option<Blocked> {
        let failure = self.0.get(reason)?;
        let told = failure.refused || failure.since.elapsed() >= LASTING;
        told.then(|| Blocked {
            reason: reason.clone(),
            message: failure.message.clone(),
            stalled: true,
        })
    }

    pub(super) fn are(&self, reasons: &[Reason]) -> bool {
        reasons.iter().any(|reason| self.0.contains_key(reason))
    }

    pub(super) fn are_refused(&self, reasons: &[Reason]) -> bool {
        reasons
            .iter()
            .any(|reason| self.0.get(reason).is_some_and(|failure| failure.refused))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something that failed and should have succeeded.
    pub(super) fn failure(&self) -> Option<&str> {
        let mut all = self.0.values();
        let failed = all.find(|failure| !failure.refused)?;
        Some(&failed.message)
    }
}
