//! What happens in a namespace, one line for each thing that a person would point at, with seconds since the start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chainlink_operator::api::ChainlinkNode;
use chainlink_operator::api::names::{
    ACTIVE_CONDITION, CONTAINER, NODE_LABEL, ROLE_ACTIVE, ROLE_LABEL, VERSION_ANNOTATION,
    WAITING_CONDITION,
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;

use crate::duty::{Event, Kind};

/// Keeps the lines, and prints them as they come where a person looks on.
#[derive(Clone)]
pub struct Timeline {
    lines: Arc<Mutex<Vec<String>>>,
    began: Instant,
    began_at: i64,
    aloud: bool,
}

impl Timeline {
    /// Starts at 0.0 s.
    pub fn new(aloud: bool) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            lines: Arc::default(),
            began: Instant::now(),
            began_at: i64::try_from(since.as_micros()).unwrap_or_default(),
            aloud,
        }
    }

    /// Adds a line.
    pub fn say(&self, who: &str, what: &str) {
        self.say_at(self.began.elapsed().as_secs_f64(), who, what);
    }

    /// Adds what is done to the cluster from here.
    pub fn act(&self, what: &str) {
        self.say(if self.aloud { "you" } else { "test" }, what);
    }

    fn say_at(&self, seconds: f64, who: &str, what: &str) {
        let line = format!("{seconds:7.1} s  {who:<14} {what}");
        if self.aloud {
            println!("{line}");
        }
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// Seconds since the start, of a time in microseconds since 1970.
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds_of(&self, micros: i64) -> f64 {
        (micros - self.began_at) as f64 / 1e6
    }

    /// Adds what a simulator recorded, at its own time.
    pub fn duty(&self, event: &Event) {
        let what = match event.kind {
            Kind::LockTaken => "has the lock",
            Kind::Listening => "WORKS: booted, and answers on 6688",
            Kind::Stopping => "was asked to stop: closes its services",
            Kind::LockReleased => "gave the lock back",
            Kind::Deposed => "found its lock taken, and ends",
            Kind::Waiting | Kind::Tick => return,
        };
        self.say_at(self.seconds_of(event.at), &event.pod, what);
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Watches a namespace until the set is dropped.
    pub fn watch(&self, client: &Client, namespace: &str) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(
            Api::<Pod>::namespaced(client.clone(), namespace),
            Pods::default(),
            self.clone(),
        ));
        tasks.spawn(follow(
            Api::<ChainlinkNode>::namespaced(client.clone(), namespace),
            Nodes::default(),
            self.clone(),
        ));
        tasks.spawn(follow(
            Api::<EndpointSlice>::namespaced(client.clone(), namespace),
            Services::default(),
            self.clone(),
        ));
        tasks
    }
}

/// Turns the states of objects into lines.
trait Teller<K>: Send {
    fn seen(&mut self, object: &K, timeline: &Timeline);
    fn gone(&mut self, object: &K, timeline: &Timeline);
}

async fn follow<K>(api: Api<K>, mut teller: impl Teller<K>, timeline: Timeline)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                teller.seen(&object, &timeline);
            }
            Ok(watcher::Event::Delete(object)) => teller.gone(&object, &timeline),
            // The stream repairs itself.
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
        }
    }
}

/// Says each thing about an object once.
#[derive(Default)]
struct Said(BTreeMap<String, BTreeSet<String>>);

impl Said {
    fn once(&mut self, timeline: &Timeline, who: &str, what: &str) {
        if !self
            .0
            .entry(who.to_owned())
            .or_default()
            .insert(what.to_owned())
        {
            return;
        }
        timeline.say(who, what);
    }
}

#[derive(Default)]
struct Pods {
    said: Said,
    labelled: BTreeSet<String>,
}

impl Teller<Pod> for Pods {
    fn seen(&mut self, pod: &Pod, timeline: &Timeline) {
        let name = pod.name_any();
        if !pod.labels().contains_key(NODE_LABEL) {
            return;
        }
        let version = pod
            .annotations()
            .get(VERSION_ANNOTATION)
            .map_or("?", String::as_str);
        self.said
            .once(timeline, &name, &format!("pod made, version {version}"));
        if let Some(machine) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) {
            self.said
                .once(timeline, &name, &format!("placed on {machine}"));
        }
        for state in container_states(pod) {
            self.said.once(timeline, &name, &state);
        }
        for condition in pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
        {
            let what = match condition.type_.as_str() {
                WAITING_CONDITION => "waits for the lock",
                ACTIVE_CONDITION => "seen by the operator to have taken over",
                _ => continue,
            };
            if condition.status == "True" {
                let since = condition
                    .last_transition_time
                    .as_ref()
                    .map(|time| time.0.to_string())
                    .unwrap_or_default();
                // Once for each container: a restarted one says it again.
                if self
                    .said
                    .0
                    .entry(format!("{name} {since}"))
                    .or_default()
                    .insert(what.to_owned())
                {
                    timeline.say(&name, what);
                }
            }
        }
        let active = pod
            .labels()
            .get(ROLE_LABEL)
            .is_some_and(|role| role == ROLE_ACTIVE);
        if active && self.labelled.insert(name.clone()) {
            timeline.say(
                &name,
                "labelled active: the Service leads to it once it answers",
            );
        } else if !active {
            self.labelled.remove(&name);
        }
        if pod.metadata.deletion_timestamp.is_some() {
            self.said.once(timeline, &name, "delete accepted");
        }
    }

    fn gone(&mut self, pod: &Pod, timeline: &Timeline) {
        self.said.once(timeline, &pod.name_any(), "pod is gone");
    }
}

/// What the kubelet says of the node's container.
fn container_states(pod: &Pod) -> Vec<String> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let mut states = Vec::new();
    for status in statuses.filter(|status| status.name == CONTAINER) {
        let Some(state) = &status.state else { continue };
        let start = status.restart_count;
        if state.running.is_some() {
            states.push(if start == 0 {
                "container runs".to_owned()
            } else {
                format!("container runs again (restart {start})")
            });
        }
        if let Some(ended) = &state.terminated {
            states.push(format!(
                "container ended with {} ({})",
                ended.exit_code,
                ended.reason.as_deref().unwrap_or("?")
            ));
        }
        if let Some(reason) = state
            .waiting
            .as_ref()
            .and_then(|waiting| waiting.reason.as_deref())
            && !matches!(reason, "ContainerCreating" | "PodInitializing")
        {
            states.push(format!("container can't start: {reason}"));
        }
    }
    states
}

#[derive(Default)]
struct Nodes {
    phase: String,
    step: String,
    last: String,
}

impl Teller<ChainlinkNode> for Nodes {
    fn seen(&mut self, node: &ChainlinkNode, timeline: &Timeline) {
        let name = node.name_any();
        let Some(status) = &node.status else { return };
        let phase = format!(
            "{}: {}",
            status.phase.as_deref().unwrap_or("?"),
            status.message.as_deref().unwrap_or_default()
        );
        if phase != self.phase {
            timeline.say(&name, &format!("status {phase}"));
            self.phase = phase;
        }
        let step = status.handover.as_ref().map(|handover| {
            format!(
                "handover {} -> {} ({}): {}",
                handover.from, handover.to, handover.reason, handover.step
            )
        });
        let step = step.unwrap_or_default();
        if step != self.step {
            timeline.say(
                &name,
                if step.is_empty() {
                    "handover is over"
                } else {
                    &step
                },
            );
            self.step = step;
        }
        if let Some(last) = &status.last_handover {
            let line = format!("{} from {} to {}", last.reason, last.from, last.to);
            if line != self.last {
                let gap = last.gap.as_deref().unwrap_or("unknown");
                timeline.say(&name, &format!("{line}; gap as the operator saw it: {gap}"));
                self.last = line;
            }
        }
    }

    fn gone(&mut self, node: &ChainlinkNode, timeline: &Timeline) {
        timeline.say(&node.name_any(), "the ChainlinkNode is gone");
    }
}

#[derive(Default)]
struct Services {
    targets: BTreeMap<String, Vec<String>>,
}

impl Teller<EndpointSlice> for Services {
    fn seen(&mut self, slice: &EndpointSlice, timeline: &Timeline) {
        let service = slice
            .labels()
            .get("kubernetes.io/service-name")
            .cloned()
            .unwrap_or_default();
        let targets = ready_targets(slice);
        if self.targets.get(&service) != Some(&targets) {
            let led_to = if targets.is_empty() {
                "nobody".to_owned()
            } else {
                targets.join(", ")
            };
            timeline.say(&service, &format!("Service leads to {led_to}"));
            self.targets.insert(service, targets);
        }
    }

    fn gone(&mut self, _: &EndpointSlice, _: &Timeline) {}
}

/// The pods that a Service's traffic goes to.
pub fn ready_targets(slice: &EndpointSlice) -> Vec<String> {
    let ready = slice.endpoints.iter().filter(|endpoint| {
        endpoint
            .conditions
            .as_ref()
            .and_then(|conditions| conditions.ready)
            .unwrap_or(true)
    });
    ready
        .filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone())
        .collect()
}
