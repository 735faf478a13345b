//! What one fresh look at the cluster showed, in the planner's terms. Data only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::database::Verified;
use crate::api::{OpenTime, Schedule};
use crate::node::exit::ExitKind;
use crate::node::{LockMode, NodeVersion, Verdict};

/// A pod's identity: a name may be used again, a uid never is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId {
    pub name: String,
    pub uid: String,
}

/// What the planner needs to know of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Name of its `ControllerRevision`; made from its content, so equal names are equal revisions.
    pub name: String,
    pub version: NodeVersion,
    /// Which lock on which database its pods take. Two pods with different texts may not see each other.
    pub lock: String,
    /// Whether a Secret may give its nodes another `ADVISORY_LOCK_ID`.
    pub lock_id_hidden: bool,
    /// Whether its configuration can be checked by a pod that is no node.
    pub validates: bool,
    /// How long their lease is good for without a refresh, where that is not the node's default.
    pub lease: Option<Duration>,
}

/// One fresh look.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When the look began.
    pub at: Timestamp,
    pub intent: Intent,
    /// Every kept revision by name.
    pub revisions: BTreeMap<String, Revision>,
    /// Every pod of the resource that the API server still has.
    pub pods: Vec<Pod>,
    /// Every pod that only pulls an image.
    pub pulls: Vec<Pull>,
    /// Every pod that only checks a configuration.
    pub validations: Vec<Validation>,
    /// A name under which a pod was to be made, and which is somebody else's pod.
    pub taken: Option<String>,
    /// A stop that the API server did not do.
    pub refused_stop: Option<RefusedStop>,
    /// What the database itself says of the lock.
    pub database: Verified,
    /// Every machine of the cluster by name; `None` where they may not be read.
    pub machines: Option<BTreeMap<String, Machine>>,
    /// What other resources have, or are about to have, on the same database (rule S7).
    pub claims: Vec<Claim>,
}

/// A pod of another resource on the same database, or one that the other resource is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the other resource, with its namespace where that is another.
    pub of: String,
    /// Name of the pod; `None` where none has been made yet.
    pub pod: Option<String>,
    /// How the pod takes the database; `None` where that can't be told.
    pub mode: Option<LockMode>,
    /// Whether a Secret may give its node another `ADVISORY_LOCK_ID`.
    pub lock_id_hidden: bool,
    /// Whether both resources read the database URL from one key of one Secret. Else the two URLs were read, and name
    /// the same server and database.
    pub same_key: bool,
    /// Whether its container runs and has taken its lock.
    pub works: bool,
    /// The addresses of the pod.
    pub addresses: Vec<IpAddr>,
}

/// A stop that the API server did not do when it was last tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedStop {
    /// Uid of the pod.
    pub pod: String,
    pub message: String,
    /// Whether a person has to do something, as far as can be told.
    pub lasting: bool,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again.
    pub again: Timestamp,
}

/// A machine of the cluster (a Kubernetes Node).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub labels: BTreeMap<String, String>,
    /// Why its pods are to leave it, if they are: it is cordoned, or tainted by who drains it.
    pub emptying: Option<String>,
    /// Whether its kubelet reports to the API server.
    pub ready: bool,
}

impl Machine {
    /// Whether it carries all of these labels.
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// A short pod that pulls the image of a revision on one machine. It is no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub id: PodId,
    pub resource_version: String,
    /// Name of the revision.
    pub revision: String,
    pub machine: String,
    pub created: Timestamp,
    pub deleted: bool,
    pub pulled: Pulled,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    Yes,
    NotYet(Option<Trouble>),
    /// The machine did not admit the pod: it will not start.
    Refused(Trouble),
}

/// A short pod that checks the configuration of a revision. It is no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    pub id: PodId,
    pub resource_version: String,
    pub created: Timestamp,
    pub deleted: bool,
    pub checked: Checked,
}

/// How far the check of a configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    NotYet(Option<Trouble>),
    Said(Verdict),
    /// The pod ended and has not said anything: its machine evicted or lost it.
    Never,
}

/// The spec, as far as the planner is concerned.
#[derive(Clone, Debug)]
pub struct Intent {
    pub namespace: String,
    /// Name and uid of the `ChainlinkNode`: pod names are made from them.
    pub node: PodId,
    /// Which edition of the spec this is.
    pub generation: i64,
    pub replicas: usize,
    /// Pods beyond `replicas` that a handover may use.
    pub surge: usize,
    pub settle: Duration,
    pub standby_timeout: Duration,
    pub wanted: Wanted,
    pub wishes: Wishes,
}

/// What the user says of planned moves.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Nothing planned is done.
    pub paused: bool,
    pub switchover: Option<Switchover>,
    pub preferred: Option<Preferred>,
    /// When handovers are rehearsed.
    pub drill: Option<Schedule>,
    /// The revision that a person has approved, where rollouts wait for one.
    pub approval: Option<Approved>,
    /// When rollouts may move the lock; always where there is none.
    pub windows: Vec<OpenTime>,
    /// How long an active may run without an answer on its port.
    pub unresponsive_after: Option<Duration>,
    /// The version of a backup to which the database was restored, and the whole word of it.
    pub restored: Option<(NodeVersion, String)>,
    /// As many resources of this operator move their lock as may at a time.
    pub others_move: bool,
}

/// A switchover that was asked for by an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchover {
    pub token: String,
    /// The pod or machine that is to be active, or `preferred`.
    pub to: Option<String>,
}

/// Where the active should live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferred {
    pub labels: BTreeMap<String, String>,
    /// How long a standby has to have waited there before the active goes back by itself; `None` where it
    /// does not.
    pub automatic_after: Option<Duration>,
}

/// What a person has approved, where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    pub revision: Option<String>,
}

/// The revision that the spec asks for, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Revision(Revision),
    /// The spec can't be turned into pods. Nothing that runs is touched; what is lost is repaired.
    Unusable(Problem),
}

/// Why a spec can't be turned into pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// CamelCase, for the condition.
    pub reason: &'static str,
    /// A sentence that says what to write instead.
    pub message: String,
    /// Whether it may heal by itself: something referenced does not exist yet.
    pub missing: bool,
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
    /// The operator's readiness gate, as it stands in the pod.
    pub gate: bool,
    /// Set by the API server once a deletion was accepted.
    pub deleted: bool,
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
    /// The last time that the container itself answered, and how.
    pub contact: Option<Contact>,
    /// The last time that its port answered with HTTP.
    pub served: Option<Timestamp>,
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
    /// Whether a Secret may give its node another `ADVISORY_LOCK_ID` than the node's own: the pod was made without an
    /// explicit one, and takes a whole Secret as variables.
    pub lock_id_hidden: bool,
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

    /// The message, and what to do about a Secret or ConfigMap that is missing: Kubernetes only says which.
    pub fn message_and_advice(&self) -> String {
        let said = self.message.to_lowercase();
        let missing = MISSING.iter().any(|sign| said.contains(sign));
        if self.of_a_reference() && missing {
            let message = self.message.trim_end_matches('.');
            format!(
                "{message}; create it, or correct spec.database, spec.credentials, spec.config or spec.pod.volumes, whichever names it; it is waited for"
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

impl Pod {
    /// Whether its container runs, as far as the API server knows. A pod whose deletion was accepted runs
    /// until its container has ended.
    pub fn running(&self) -> bool {
        matches!(self.container, Container::Running { .. })
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
