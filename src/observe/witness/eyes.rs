//! What the tasks of one watch see with: which container they watch, what they know of it, and what they share with the other
//! watches of the resource. It starts no task.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::facts::{Around, Facts, FromBefore};
use crate::api::ChainlinkNode;
use crate::mutex::lock;
use crate::observe::wake::Wake;

/// Between two tries of a port that refuses, and of one that answers (the node limits requests).
pub(super) const CALM: Duration = Duration::from_secs(1);

/// For so long after an answer by HTTP the ports of a resource can be reached.
pub(super) const HTTP_LATELY: Duration = Duration::from_secs(10);

/// For so long after an answer by HTTP a refusal is taken for one of the pod's own network. It outlasts the longest
/// `unresponsiveAfter`, where the silent active was the last to answer.
const PATH_PROVEN: Duration = Duration::from_hours(1);

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerKey {
    pub pod_uid: String,
    pub container_id: String,
}

/// A container that is to be watched.
#[derive(Clone, Debug)]
pub struct Subject {
    pub key: ContainerKey,
    pub namespace: String,
    pub pod: String,
    pub node: ObjectRef<ChainlinkNode>,
    pub address: IpAddr,
    /// Another pod has the same address: a machine was lost, and its addresses are given out again.
    pub address_is_shared: bool,
    pub started: Timestamp,
    /// What the pod already records of this container: for that its log is not read again.
    pub recorded: FromBefore,
}

/// What the watches of one resource share.
pub(super) struct Shared {
    /// A handover or a loss is under way.
    pub(super) alert: watch::Sender<bool>,
    /// When a node of the resource last answered by HTTP.
    pub(super) http: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn heard_http(&self) {
        *lock(&self.http) = Some(Instant::now());
    }

    fn http_within(&self, window: Duration) -> bool {
        let http = *lock(&self.http);
        http.is_some_and(|at| at.elapsed() <= window)
    }

    /// Whether a refusal on port 6688 is a sign of life. A policy on the way to the pods refuses as well, so that a node
    /// of the resource has to have answered this operator there.
    pub(super) fn path_is_proven(&self) -> bool {
        self.http_within(PATH_PROVEN)
    }

    pub(super) fn around(&self) -> Around {
        Around {
            alert: *self.alert.borrow(),
            http: self.http_within(HTTP_LATELY),
        }
    }
}

/// What the tasks of one watch see with.
#[derive(Clone)]
pub(super) struct Eyes {
    pub(super) facts: Arc<Mutex<Facts>>,
    pub(super) shared: Arc<Shared>,
    pub(super) address_is_shared: Arc<AtomicBool>,
    pub(super) wake: Waker,
}

impl Eyes {
    pub(super) fn address_is_shared(&self) -> bool {
        self.address_is_shared.load(Ordering::SeqCst)
    }

    pub(super) fn need_log(&self) -> bool {
        let around = self.shared.around();
        lock(&self.facts).needs_log(around, Instant::now())
    }
}

#[derive(Clone)]
pub(super) struct Waker {
    pub(super) wake: UnboundedSender<Wake>,
    pub(super) node: ObjectRef<ChainlinkNode>,
}

impl Waker {
    pub(super) fn wake(&self) {
        // The receiver only goes away with the operator.
        let _ = self.wake.send(Wake::changed(self.node.clone()));
    }

    /// What is seen for the first time has not changed by that.
    pub(super) fn show(&self) {
        let _ = self.wake.send(Wake::known(self.node.clone()));
    }
}
