//! One pod as one look showed it: its container, how that ended, what it said and answered. Facts only: which part a pod
//! plays is worked out by `plan`, and no Kubernetes type enters.

use jiff::{Timestamp, Unit};

use super::reason::Reason;
use super::revision::Revision;
use crate::node::NodeVersion;
use crate::node::exit::ExitKind;

/// A pod's identity: a name may be used again, a uid never is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId {
    pub name: String,
    pub uid: String,
}

/// One pod.
#[allow(clippy::struct_excessive_bools)] // each is one fact, and all combinations occur
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    pub id: PodId,
    pub resource_version: String,
    /// `None` for an orphan that carries no known revision.
    pub revision: Option<Revision>,
    pub created: Timestamp,
    pub machine: Option<String>,
    /// Whether it carries the active role label.
    pub labelled_active: bool,
    /// Whether a Service can lead to it alone: it bears a label of its own.
    pub has_own_label: bool,
    /// The operator's readiness gate, as it stands in the pod.
    pub gate: bool,
    /// Its kubelet calls it ready: Services lead to it where they select it.
    pub ready: bool,
    /// Set by the API server once a deletion was accepted.
    pub deleted: bool,
    /// The whole second in which it was.
    pub deleted_at: Option<Timestamp>,
    pub container: Container,
    /// When this container said that it waits for the lock.
    pub waiting: Option<Timestamp>,
    /// The waiting line is contradicted by the node itself (up to 2.1.1): why.
    pub doubt: Option<String>,
    /// This container has taken the lock.
    pub took: Option<Took>,
    /// Since when this container is known to do a node's work: its own server answered, or its log said that
    /// all of it is up. Recorded in the pod, so that it is known behind a mesh and after a restart too.
    pub worked_at: Option<Timestamp>,
    /// When this container said that it could not refresh its lease, before or after another pod took the lock.
    /// Looked for only where several pods have taken it; in the time of its machine.
    pub lost_lease_at: Option<Timestamp>,
    /// The `client_id` of the node whose container ended last, where it was recorded while that ran, and its kubelet saw the
    /// end: what is only supposed to have ended names none.
    pub ended_client: Option<String>,
    /// The last time that the container, or its kubelet for it, answered, and how.
    pub contact: Option<Contact>,
    /// The last time that its port answered with HTTP.
    pub http_at: Option<Timestamp>,
    /// The first time that the node's own server answered this operator.
    pub serving_since: Option<Timestamp>,
    /// Its log has come to an end, so that its container has: the API server may say for a while that it runs.
    pub log_ended: bool,
    /// Since when this operator watches the container: its silence before that says nothing.
    pub watched: Option<Timestamp>,
    /// The version that the log names, where it is not the revision's.
    pub contradicting_version: Option<String>,
    /// Its machine does not report: it can't start there.
    pub stranded: bool,
    /// A sidecar that the user asks for is not ready. Of those that a mesh injects nothing is asked.
    pub sidecar: Option<NotReady>,
    /// Whether a Secret may give its node another `ADVISORY_LOCK_ID` than the node's own: the pod was made without an
    /// explicit one, and takes a whole Secret as variables.
    pub lock_id_hidden: bool,
}

impl Pod {
    /// Whether its container runs, as far as the API server knows. A pod whose deletion was accepted runs
    /// until its container has ended.
    pub fn running(&self) -> bool {
        matches!(self.container, Container::Running { .. })
    }

    /// The version that its log names, where that is not the revision's. `None`, too, where its log names something that
    /// is no version.
    pub fn says_version(&self) -> Option<NodeVersion> {
        self.contradicting_version.as_ref()?.parse().ok()
    }

    /// How its container last ended, whether or not it was started again.
    pub fn last_exit(&self) -> Option<&Exit> {
        match &self.container {
            Container::Running { last: exit, .. } | Container::Ended { exit } => exit.as_ref(),
            Container::Down { exit, .. } => Some(exit),
            Container::NotStarted { .. } => None,
        }
    }

    /// Whether it can't run again.
    pub fn ended(&self) -> bool {
        matches!(self.container, Container::Ended { .. })
    }

    /// Whether the container answered at `since` or later.
    pub fn answered_since(&self, since: Timestamp) -> bool {
        self.contact.is_some_and(|contact| contact.at >= since)
    }

    /// Whether the container was watched since `since`, and did not answer.
    pub fn silent_since(&self, since: Timestamp) -> bool {
        self.watched.is_some_and(|watched| watched <= since) && !self.answered_since(since)
    }

    /// Whether the node's own server answered at `since` or later.
    pub fn served_since(&self, since: Timestamp) -> bool {
        self.contact
            .is_some_and(|contact| contact.at >= since && contact.answer == Answered::Serving)
    }

    /// Whether this container waits for the lock, as far as is known.
    pub fn waits(&self) -> bool {
        self.running() && self.waiting.is_some() && self.took.is_none()
    }
}

/// The state of the node's container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// It never ran in this pod.
    NotStarted { trouble: Option<Trouble> },
    Running {
        since: Timestamp,
        /// How the run before this one ended.
        last: Option<Exit>,
    },
    /// It ended and the kubelet will start it again.
    Down { exit: Exit, restarts: i32 },
    /// The pod is Failed or Succeeded: it will not run again.
    Ended { exit: Option<Exit> },
}

/// A container beside the node's that does not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NotReady {
    /// Since when not all containers of the pod are ready.
    pub since: Timestamp,
    /// Which one it is, and why.
    pub why: String,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exit {
    /// Which end of the pod's container this is, from 1: what was told of it is not told again.
    pub number: i32,
    pub at: Option<Timestamp>,
    pub kind: ExitKind,
    pub code: i32,
    /// The node's last words.
    pub words: Option<String>,
}

impl Exit {
    /// What the node said, else what its exit code says.
    pub fn said(&self) -> String {
        self.words
            .clone()
            .unwrap_or_else(|| format!("exit code {}", self.code))
    }

    /// The same, and what to do about it.
    pub fn words_and_advice(&self) -> String {
        let advice = self.kind.advice();
        let advice = advice.map(|advice| format!(" ({advice})"));
        format!("{}{}", self.said(), advice.unwrap_or_default())
    }
}

/// How the kubelet words that something a pod refers to is not there (`pkg/kubelet/kubelet_pods.go`,
/// `pkg/volume/util`).
const MISSING: [&str; 3] = ["not found", "couldn't find key", "references non-existent"];

/// What keeps a pod from starting, in Kubernetes' own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trouble {
    /// `ImagePullBackOff`, `Unschedulable`, `CreateContainerConfigError`, `FailedMount`, …
    pub reason: String,
    pub message: String,
}

impl Trouble {
    /// Whether the image can't be had, as far as the kubelet can tell.
    pub fn of_a_wrong_image(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "ImagePullBackOff" | "InvalidImageName"
        )
    }

    /// The same, of the container of this name.
    #[must_use]
    pub fn about(self, name: &str) -> Self {
        Self {
            message: format!("{name}: {}", self.message),
            ..self
        }
    }

    /// Whether it stays as long as nobody does anything about it, as far as can be told.
    pub fn lasts(&self) -> bool {
        self.of_a_wrong_image() || self.reason == Reason::SidecarsUnsupported.as_str()
    }

    /// The message, and what to do about a Secret or ConfigMap that is missing: Kubernetes only says which.
    pub fn message_and_advice(&self) -> String {
        let said = self.message.to_lowercase();
        let missing = MISSING.iter().any(|sign| said.contains(sign));
        if self.of_a_reference() && missing {
            let message = self.message.trim_end_matches('.');
            format!(
                "{message}; create it, or correct spec.database, spec.credentials, spec.config or spec.pod, whichever names it; it is waited for"
            )
        } else {
            self.message.clone()
        }
    }

    /// Whether a Secret or ConfigMap is missing, or lacks a key.
    pub fn of_a_reference(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "CreateContainerConfigError" | "FailedMount"
        )
    }
}

/// A takeover, recorded once per container at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Took {
    /// When it was first seen. Two takeovers first seen in one look bear the same time: their order
    /// is unknown.
    pub at: Timestamp,
    /// Whether the container had waited for the lock before; `None` where its log no longer tells.
    pub waited: Option<bool>,
}

/// How a container answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contact {
    pub at: Timestamp,
    pub answer: Answered,
}

impl Contact {
    /// When it was, for people: to the second. It is counted back from now by a clock that nobody sets, and comes out some
    /// nanoseconds later or earlier at each look; a status that tells them is another one each time.
    pub fn told(&self) -> Timestamp {
        self.at.round(Unit::Second).unwrap_or(self.at)
    }
}

/// Answers that prove that the container, or at least its machine, is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answered {
    /// Port 6688 refused the connection: no server, as a standby has none.
    Refused,
    /// The kubelet answered for the container's log (6688 can't be reached).
    Kubelet,
    /// HTTP, but not yet the node's own server: migrations or a backup are running.
    Starting,
    /// HTTP by the node.
    Serving,
}
