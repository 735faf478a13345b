//! Who watches the containers: one task reads a container's log until it waits for the lock, one
//! tries its port. What they find is kept here, by container, until the pod is gone; what must
//! outlive the operator is recorded in the pod itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::io::AsyncBufReadExt;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::observation::{Answered, Contact};
use super::port::try_port;
use crate::api::ChainlinkNode;
use crate::api::names::CONTAINER;
use crate::node::{Answer, LogReader, Milestone, NodeVersion};

/// Between two tries of a port that refuses, and of one that answers (the node limits requests).
const CALM: Duration = Duration::from_secs(1);
/// Between two tries of a port that refuses, while a handover or a loss is under way.
const ALERT: Duration = Duration::from_millis(100);
/// A log that says nothing for so long is opened again: a stream can hang without an end.
const LOG_SILENCE: Duration = Duration::from_secs(120);
/// A container's first line comes within this time, or the log no longer begins with it.
const FIRST_LINE: Duration = Duration::from_secs(15);

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerKey {
    pub pod_uid: String,
    pub container_id: String,
}

/// What came before a takeover, as far as the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The container had waited for the lock.
    Waited,
    /// It took the lock at once.
    Nothing,
    /// The beginning of the log is gone.
    Unknown,
}

impl Before {
    /// Whether the container had waited; `None` where that is not known.
    pub fn waited(self) -> Option<bool> {
        match self {
            Self::Waited => Some(true),
            Self::Nothing => Some(false),
            Self::Unknown => None,
        }
    }
}

/// What is known of a container beyond what the API server says.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When it first said that it waits, with nothing that contradicts it.
    pub waiting: Option<Timestamp>,
    /// Why its waiting is no waiting.
    pub doubt: Option<String>,
    /// Its log shows that it took the lock; whether it had waited before, where the log was read
    /// from its beginning.
    pub took_by_log: Option<Before>,
    /// When its port first answered with HTTP.
    pub took_by_port: Option<Timestamp>,
    /// The version that its log names.
    pub version: Option<NodeVersion>,
    pub contact: Option<Contact>,
    /// When its port last answered with HTTP.
    pub served: Option<Timestamp>,
    /// Since when the container is watched.
    pub watched: Option<Timestamp>,
}

/// A container that is to be watched.
#[derive(Clone, Debug)]
pub struct Subject {
    pub key: ContainerKey,
    pub namespace: String,
    pub pod: String,
    pub node: ObjectRef<ChainlinkNode>,
    pub address: IpAddr,
    pub started: Timestamp,
    /// Whether the pod already records that this container waits or works: its log is not read again.
    pub recorded: bool,
}

struct Watch {
    node: ObjectRef<ChainlinkNode>,
    facts: Arc<Mutex<Facts>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// All watches of this operator.
pub struct Witnesses {
    client: kube::Client,
    wake: UnboundedSender<ObjectRef<ChainlinkNode>>,
    watches: Mutex<HashMap<ContainerKey, Watch>>,
    alert: Mutex<HashMap<ObjectRef<ChainlinkNode>, Arc<AtomicBool>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witnesses {
    pub fn new(client: kube::Client, wake: UnboundedSender<ObjectRef<ChainlinkNode>>) -> Self {
        Self {
            client,
            wake,
            watches: Mutex::default(),
            alert: Mutex::default(),
        }
    }

    /// Watches exactly these containers of a resource: new ones are begun, others ended.
    pub fn watch(&self, node: &ObjectRef<ChainlinkNode>, subjects: Vec<Subject>) {
        let alert = self.alert_of(node);
        let mut watches = lock(&self.watches);
        watches.retain(|key, watch| {
            watch.node != *node || subjects.iter().any(|subject| subject.key == *key)
        });
        for subject in subjects {
            watches
                .entry(subject.key.clone())
                .or_insert_with(|| self.begin(subject, &alert));
        }
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, node: &ObjectRef<ChainlinkNode>) {
        self.watch(node, Vec::new());
        lock(&self.alert).remove(node);
    }

    /// What is known of a container.
    pub fn facts(&self, key: &ContainerKey) -> Facts {
        lock(&self.watches)
            .get(key)
            .map(|watch| lock(&watch.facts).clone())
            .unwrap_or_default()
    }

    /// Tries ports ten times as often while a handover or a loss is under way.
    pub fn set_alert(&self, node: &ObjectRef<ChainlinkNode>, on: bool) {
        self.alert_of(node).store(on, Ordering::Relaxed);
    }

    fn alert_of(&self, node: &ObjectRef<ChainlinkNode>) -> Arc<AtomicBool> {
        Arc::clone(lock(&self.alert).entry(node.clone()).or_default())
    }

    /// Asks a container now, by its port or, where that gives no answer, by its kubelet (rule S5).
    pub async fn ask(&self, subject: &Subject) {
        let facts = lock(&self.watches)
            .get(&subject.key)
            .map(|watch| Arc::clone(&watch.facts));
        let Some(facts) = facts else { return };
        let pods = Api::namespaced(self.client.clone(), &subject.namespace);
        ask(&pods, subject, &facts).await;
    }

    fn begin(&self, subject: Subject, alert: &Arc<AtomicBool>) -> Watch {
        let known = Facts {
            watched: Some(Timestamp::now()),
            ..Facts::default()
        };
        let facts = Arc::new(Mutex::new(known));
        let wake = Waker {
            wake: self.wake.clone(),
            node: subject.node.clone(),
        };
        let node = subject.node.clone();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &subject.namespace);
        let port = watch_port(
            pods.clone(),
            subject.clone(),
            Arc::clone(&facts),
            Arc::clone(alert),
            wake.clone(),
        );
        let log = read_log(pods, subject, Arc::clone(&facts), wake);
        let tasks = vec![
            tokio::spawn(port).abort_handle(),
            tokio::spawn(log).abort_handle(),
        ];
        Watch { node, facts, tasks }
    }
}

/// Tries the port and, where that stays silent, asks the kubelet for a line of the log.
async fn ask(pods: &Api<Pod>, subject: &Subject, facts: &Mutex<Facts>) -> (Answer, Noted) {
    let answer = try_port(subject.address).await;
    let noted = note_answer(facts, &answer);
    if noted == Noted::Silence && kubelet_answers(pods, &subject.pod).await {
        lock(facts).contact = Some(Contact {
            at: Timestamp::now(),
            answer: Answered::Kubelet,
        });
    }
    (answer, noted)
}

/// Whether the kubelet of a pod's machine hands out its log now.
async fn kubelet_answers(pods: &Api<Pod>, pod: &str) -> bool {
    let one_line = LogParams {
        container: Some(CONTAINER.to_owned()),
        tail_lines: Some(1),
        ..LogParams::default()
    };
    matches!(timeout(CALM, pods.logs(pod, &one_line)).await, Ok(Ok(_)))
}

#[derive(Clone)]
struct Waker {
    wake: UnboundedSender<ObjectRef<ChainlinkNode>>,
    node: ObjectRef<ChainlinkNode>,
}

impl Waker {
    fn wake(&self) {
        // The receiver only goes away with the operator.
        let _ = self.wake.send(self.node.clone());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// The same as before.
    Same,
    /// Something new: the planner should look.
    News,
    /// No answer: nothing is known.
    Silence,
}

fn note_answer(facts: &Mutex<Facts>, answer: &Answer) -> Noted {
    let answered = match answer {
        Answer::Refused => Answered::Refused,
        answer if answer.serving() => Answered::Serving,
        answer if answer.alive() => Answered::Starting,
        _ => return Noted::Silence,
    };
    let now = Timestamp::now();
    let mut facts = lock(facts);
    let before = facts.contact.replace(Contact {
        at: now,
        answer: answered,
    });
    if matches!(answered, Answered::Serving | Answered::Starting) {
        facts.took_by_port.get_or_insert(now);
        facts.served = Some(now);
    }
    let same = before.is_some_and(|contact| contact.answer == answered);
    if same { Noted::Same } else { Noted::News }
}

/// Tries the port for as long as the container is watched.
async fn watch_port(
    pods: Api<Pod>,
    subject: Subject,
    facts: Arc<Mutex<Facts>>,
    alert: Arc<AtomicBool>,
    wake: Waker,
) {
    let mut silent = false;
    loop {
        let (answer, noted) = ask(&pods, &subject, &facts).await;
        let silence = noted == Noted::Silence;
        if noted == Noted::News || silence != silent {
            wake.wake();
        }
        silent = silence;
        // The node's own server limits requests; the temporary one of a booting node does not, and is
        // asked more often, since its end is the end of the gap.
        let pause = if answer.serving() || !alert.load(Ordering::Relaxed) {
            CALM
        } else {
            ALERT
        };
        // An alert that begins during a calm pause must not wait for its end.
        let mut rest = pause;
        while !rest.is_zero() {
            sleep(ALERT).await;
            rest = rest.saturating_sub(ALERT);
            if !answer.serving() && alert.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

/// Reads a container's log from its start until nothing more is needed from it. Where the pod records
/// already that it waits or works, that is only where its port can't be seen.
async fn read_log(pods: Api<Pod>, subject: Subject, facts: Arc<Mutex<Facts>>, wake: Waker) {
    while subject.recorded && !log_needed(&facts) {
        sleep(FIRST_LINE).await;
    }
    loop {
        match follow(&pods, &subject, &facts, &wake).await {
            Ok(Reading::Enough) => return,
            Ok(Reading::Again) => {}
            Err(error) => {
                tracing::debug!(pod = subject.pod, %error, "the log can't be read yet");
            }
        }
        sleep(CALM).await;
    }
}

enum Reading {
    /// It waits, and its port tells the rest; or it works.
    Enough,
    Again,
}

async fn follow(
    pods: &Api<Pod>,
    subject: &Subject,
    facts: &Mutex<Facts>,
    wake: &Waker,
) -> Result<Reading, kube::Error> {
    let whole = LogParams {
        container: Some(CONTAINER.to_owned()),
        follow: true,
        timestamps: true,
        ..LogParams::default()
    };
    let stream = pods.log_stream(&subject.pod, &whole).await?;
    let mut lines = stream.lines().into_stream();
    let mut reader = LogReader::new();
    let mut from_start = None;
    loop {
        let line = match timeout(LOG_SILENCE, lines.next()).await {
            Ok(Some(Ok(line))) => line,
            // A standby prints nothing for long: with its port in sight the log is not needed.
            Err(_) if enough(facts) => return Ok(Reading::Enough),
            Ok(Some(Err(_)) | None) | Err(_) => return Ok(Reading::Again),
        };
        if from_start.is_none() {
            from_start = Some(begins(&line, subject.started));
        }
        let Some(milestone) = reader.feed(&line) else {
            continue;
        };
        note_milestone(facts, &reader, &milestone, from_start == Some(true));
        wake.wake();
        if enough(facts) {
            return Ok(Reading::Enough);
        }
    }
}

/// Whether a log's first line is the container's first, and not what a rotation left.
fn begins(line: &str, started: Timestamp) -> bool {
    crate::node::read_line(line).time.is_some_and(|time| {
        Duration::try_from(time.duration_since(started)).map_or(true, |late| late <= FIRST_LINE)
    })
}

/// Whether the port has stayed silent since the watch began.
fn log_needed(facts: &Mutex<Facts>) -> bool {
    let facts = lock(facts);
    let old = facts.watched.is_some_and(|watched| {
        Duration::try_from(Timestamp::now().duration_since(watched))
            .is_ok_and(|age| age > FIRST_LINE)
    });
    old && facts
        .contact
        .is_none_or(|contact| contact.answer == Answered::Kubelet)
}

/// The log is needed until the container works, or waits with its port in sight.
fn enough(facts: &Mutex<Facts>) -> bool {
    let facts = lock(facts);
    let port_in_sight = facts
        .contact
        .is_some_and(|contact| contact.answer != Answered::Kubelet);
    facts.took_by_log.is_some() || (facts.waiting.is_some() && port_in_sight)
}

fn note_milestone(facts: &Mutex<Facts>, reader: &LogReader, milestone: &Milestone, whole: bool) {
    let summary = reader.summary();
    let now = Timestamp::now();
    let mut facts = lock(facts);
    facts.version.clone_from(&summary.version);
    facts.doubt.clone_from(&summary.doubtful);
    let waited = summary.waited && summary.doubtful.is_none();
    if waited {
        facts
            .waiting
            .get_or_insert(summary.waiting_since.unwrap_or(now));
    }
    let took = summary.took
        || matches!(
            milestone,
            Milestone::TookLock { .. } | Milestone::Booted | Milestone::Listening { .. }
        );
    if took && facts.took_by_log.is_none() {
        facts.took_by_log = Some(match (summary.waited, whole) {
            (true, _) => Before::Waited,
            (false, true) => Before::Nothing,
            (false, false) => Before::Unknown,
        });
    }
    if matches!(milestone, Milestone::Waits { .. }) {
        // The kubelet has just handed on a line of this container.
        let newer = facts.contact.is_none_or(|contact| contact.at < now);
        if newer && facts.contact.is_none() {
            facts.contact = Some(Contact {
                at: now,
                answer: Answered::Kubelet,
            });
        }
    }
}
