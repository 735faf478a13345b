//! What one operator knows of the Lease, and whether it may take it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use tokio::time::Instant;

/// Between the pod and the process in the name of a holder. No name of a pod has one.
const BETWEEN: char = '_';

/// What is to be done with the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// There is none.
    Make,
    /// It is this process's.
    Renew,
    /// It is nobody's, or its holder has let it run out.
    Take,
    /// Somebody else has it, and leaves it by then if it is not renewed.
    Wait { free: Instant },
}

/// One who wants the Lease, and what it has seen of it.
pub(super) struct Candidate {
    /// Its pod and the process in it.
    name: String,
    /// How long it leaves a Lease alone.
    length: Duration,
    /// The version of the Lease that was seen last, and when it was first seen.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    pub(super) fn new(name: &str, length: Duration) -> Self {
        Self {
            name: name.to_owned(),
            length,
            seen: None,
        }
    }

    fn pod(&self) -> &str {
        pod_of(&self.name)
    }

    /// What is to be done with the Lease as it is `now`.
    pub(super) fn claim(&mut self, there: Option<&Lease>, now: Instant) -> Claim {
        let Some(there) = there else {
            return Claim::Make;
        };
        let spec = there.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        let Some(holder) = holder.filter(|holder| !holder.is_empty()) else {
            return Claim::Take;
        };
        if holder == self.name {
            return Claim::Renew;
        }
        // A process before this one in the same container.
        if pod_of(holder) == self.pod() {
            return Claim::Take;
        }
        let version = there.resource_version().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => now,
        };
        self.seen = Some((version, since));
        let free = since + self.length_of(spec);
        if now > free {
            Claim::Take
        } else {
            Claim::Wait { free }
        }
    }

    /// An operator of another version may say longer.
    fn length_of(&self, spec: Option<&LeaseSpec>) -> Duration {
        let said = spec.and_then(|spec| spec.lease_duration_seconds);
        let said = said.and_then(|seconds| u64::try_from(seconds).ok());
        let said = said.map_or(self.length, Duration::from_secs);
        said.max(self.length)
    }

    /// The Lease as this candidate wants it. It is written in the version that was read, or not at all.
    pub(super) fn lease(
        &self,
        name: &str,
        there: Option<Lease>,
        claim: Claim,
        now: Timestamp,
    ) -> Lease {
        let mut lease = there.unwrap_or_default();
        if claim == Claim::Make {
            lease.metadata = ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            };
        }
        lease.metadata.managed_fields = None;
        let spec = lease.spec.get_or_insert_default();
        if claim != Claim::Renew {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
        }
        spec.holder_identity = Some(self.name.clone());
        spec.lease_duration_seconds = i32::try_from(self.length.as_secs()).ok();
        spec.renew_time = Some(MicroTime(now));
        lease
    }
}

/// What a process calls itself that started in this pod at this time.
pub(super) fn name(pod: &str, started: Timestamp) -> String {
    format!("{pod}{BETWEEN}{}", started.as_nanosecond())
}

fn pod_of(holder: &str) -> &str {
    holder
        .split_once(BETWEEN)
        .map_or(holder, |(pod, _process)| pod)
}

/// The Lease without a holder, if that is still the one of this name.
pub(super) fn given_back(mut lease: Lease, name: &str) -> Option<Lease> {
    lease.metadata.managed_fields = None;
    let spec = lease.spec.as_mut()?;
    let holder = spec.holder_identity.take();
    (holder.as_deref() == Some(name)).then_some(lease)
}
