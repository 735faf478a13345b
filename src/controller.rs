//! The loop: look, plan, write the intent, act.
//!
//! Each pass fetches the resource afresh, resolves its spec to a revision and keeps it, looks at its
//! pods, plans, writes the status (with the intent in it, under the resource's `resourceVersion`),
//! tells what it is about to do, and does it. Before a stop it looks and plans once more.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, GroupVersionKind, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::act::{Actor, Keeper, Kept, Outcome, Services};
use crate::api::names::{self, NODE_LABEL};
use crate::api::{ChainlinkNode, ChainlinkNodeStatus, Memory, parse_duration};
use crate::build::{self, Resolved, Session};
use crate::observe::{Intent, Looker, Observation, PodId, Problem, Wanted, Witnesses};
use crate::plan::{Act, Blocked, Permit, Plan, Step, plan};
use crate::report::{self, Metrics, Report};

/// Resources that are reconciled at the same time.
const CONCURRENCY: u16 = 16;
/// A pass is given up after this time: an API server that is cut off never answers.
const LONGEST_PASS: Duration = Duration::from_secs(60);
/// After an act: what came of it.
const ACTED: Duration = Duration::from_millis(200);
/// After the API server has refused to make a pod.
const REFUSED: Duration = Duration::from_secs(5);
/// Between two tries after an error.
const RETRY: Duration = Duration::from_secs(2);
const DEFAULT_SETTLE: Duration = Duration::from_secs(5);
const DEFAULT_STANDBY_TIMEOUT: Duration = Duration::from_secs(600);

/// What went wrong in a pass. The next pass begins anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Api {
        doing: &'static str,
        #[source]
        source: kube::Error,
    },
    #[error("the API server did not answer within {} s", LONGEST_PASS.as_secs())]
    Slow,
}

trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Api { doing, source })
    }
}

/// What passes share.
pub struct Context {
    client: Client,
    witnesses: Witnesses,
    reporter: Reporter,
    metrics: Metrics,
    /// Why the API server last refused to make a pod, by the uid of the resource.
    refusals: Mutex<HashMap<String, String>>,
}

impl Context {
    /// A context, and the stream of resources that its witnesses want looked at.
    pub fn new(client: Client) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>) {
        let (wake, woken) = mpsc::unbounded_channel();
        let reporter = Reporter {
            controller: "chainlink-operator".to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        let context = Self {
            witnesses: Witnesses::new(client.clone(), wake),
            reporter,
            metrics: Metrics::default(),
            refusals: Mutex::default(),
            client,
        };
        (Arc::new(context), woken)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn refusal(&self, uid: &str) -> Option<String> {
        self.refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
    }

    fn note_refusal(&self, uid: &str, refusal: Option<String>) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Some(message) => refusals.insert(uid.to_owned(), message),
            None => refusals.remove(uid),
        };
    }
}

/// Waits until the API server serves `ChainlinkNode`: Helm may start the operator before the CRD is
/// established.
pub async fn served(client: &Client) {
    let kind = GroupVersionKind::gvk(names::GROUP, "v1alpha1", "ChainlinkNode");
    loop {
        match kube::discovery::pinned_kind(client, &kind).await {
            Ok(_) => return,
            Err(error) => tracing::info!(%error, "the API server does not serve ChainlinkNode yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Reconciles the resources of some namespaces, or of all (`None`), until the process ends.
pub async fn run(
    client: &Client,
    namespaces: Vec<Option<String>>,
    context: Arc<Context>,
    mut woken: mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>,
) {
    let mut wakers = Vec::new();
    let mut controllers = Vec::new();
    for namespace in namespaces {
        let (waker, receiver) = mpsc::unbounded_channel();
        wakers.push((namespace.clone(), waker));
        controllers.push(control(client, namespace, Arc::clone(&context), receiver));
    }
    let route = async {
        while let Some(node) = woken.recv().await {
            let waker = wakers
                .iter()
                .find(|(namespace, _)| namespace.is_none() || *namespace == node.namespace);
            if let Some((_, waker)) = waker {
                // The receiver only goes away with its controller.
                let _ = waker.send(node);
            }
        }
    };
    tokio::select! {
        _ = futures::future::join_all(controllers) => {}
        () = route => {}
    }
}

/// Reconciles the resources of one namespace, or of all.
async fn control(
    client: &Client,
    namespace: Option<String>,
    context: Arc<Context>,
    woken: mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>,
) {
    let namespace = namespace.as_deref();
    let nodes: Api<ChainlinkNode> = scoped(client, namespace);
    let pods: Api<Pod> = scoped(client, namespace);
    let maps: Api<ConfigMap> = scoped(client, namespace);
    let woken = futures::stream::unfold(woken, |mut woken| async move {
        woken.recv().await.map(|node| (node, woken))
    });
    let controller = Controller::new(nodes, watcher::Config::default());
    let store = controller.store();
    controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns(pods, watcher::Config::default().labels(NODE_LABEL))
        .watches(maps, watcher::Config::default(), move |map| {
            referring(&store, &map)
        })
        .reconcile_on(woken)
        .shutdown_on_signal()
        .run(reconcile, retry, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "a pass ended early");
            }
        })
        .await;
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The resources that refer to a ConfigMap.
fn referring(store: &Store<ChainlinkNode>, map: &ConfigMap) -> Vec<ObjectRef<ChainlinkNode>> {
    let name = map.name_any();
    store
        .state()
        .iter()
        .filter(|node| node.namespace() == map.namespace())
        .filter(|node| build::referenced_config_maps(&node.spec).contains(&name))
        .map(|node| ObjectRef::from_obj(node.as_ref()))
        .collect()
}

#[allow(clippy::needless_pass_by_value)] // the signature is the controller's
fn retry(node: Arc<ChainlinkNode>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.failed();
    tracing::warn!(node = node.name_any(), namespace = node.namespace(), %error, "will be tried again");
    Action::requeue(RETRY)
}

/// One pass over one resource.
pub async fn reconcile(node: Arc<ChainlinkNode>, context: Arc<Context>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(node.as_ref());
    match timeout(LONGEST_PASS, Box::pin(one_pass(node, &context, &reference))).await {
        Ok(result) => result,
        // As good as a crash: the next pass goes on from what is written (rule S4).
        Err(_) => Err(Error::Slow),
    }
}

async fn one_pass(
    node: Arc<ChainlinkNode>,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Result<Action, Error> {
    let api: Api<ChainlinkNode> = Api::namespaced(
        context.client.clone(),
        &node.namespace().unwrap_or_default(),
    );
    let fresh = api
        .get_opt(&node.name_any())
        .await
        .doing("reading the resource")?;
    let Some(node) = fresh.filter(|node| node.metadata.deletion_timestamp.is_none()) else {
        // What belongs to it goes by its owner references, with or without this operator.
        context.witnesses.forget(reference);
        context.metrics.forget(
            &reference.namespace.clone().unwrap_or_default(),
            &reference.name,
        );
        return Ok(Action::await_change());
    };
    Pass::begin(context, &node, &api).await?.finish().await
}

/// One pass, after everything but the pods was read.
struct Pass<'a> {
    context: &'a Context,
    node: &'a ChainlinkNode,
    api: &'a Api<ChainlinkNode>,
    reference: ObjectRef<ChainlinkNode>,
    looker: Looker<'a>,
    keeper: Keeper<'a>,
    kept: Kept,
    resolved: Result<Resolved, Problem>,
    /// Why the Service does not lead to the active.
    service: Option<Blocked>,
}

/// The message of an API server that will not have it so; other errors pass.
fn refused(result: Result<(), kube::Error>) -> Result<Option<String>, kube::Error> {
    match result {
        Ok(()) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_invalid() => {
            Ok(Some(status.message.clone()))
        }
        Err(error) => Err(error),
    }
}

impl<'a> Pass<'a> {
    async fn begin(
        context: &'a Context,
        node: &'a ChainlinkNode,
        api: &'a Api<ChainlinkNode>,
    ) -> Result<Self, Error> {
        let looker = Looker::new(&context.client, &context.witnesses, node);
        let keeper = Keeper::new(&context.client, node);
        let objects = looker
            .revisions()
            .await
            .doing("reading the kept revisions")?;
        let mut kept = Kept::read(&objects);
        let names = build::referenced_config_maps(&node.spec);
        let maps = looker
            .config_maps(&names)
            .await
            .doing("reading ConfigMaps")?;
        let mut resolved = build::resolve(&node.name_any(), &node.spec, &maps);
        // What the API server refuses is reported, and keeps nobody from looking after the pods.
        if let Ok(wanted) = &resolved {
            let kept = keeper.keep(wanted, &mut kept).await;
            if let Some(message) = refused(kept).doing("keeping the wanted revision")? {
                resolved = Err(Problem {
                    reason: "RevisionNotKept",
                    message: format!("the API server refuses to keep the revision: {message}"),
                    missing: false,
                });
            }
        }
        let service = match keeper.services().await {
            Ok(Services::AsWanted) => None,
            Ok(Services::NotOurs(name)) => Some(format!(
                "a Service named {name} exists and is not this resource's: it does not lead to the active; rename one of the two"
            )),
            Err(error) => refused(Err(error)).doing("applying the Service")?,
        };
        let service = service.map(|message| Blocked {
            reason: "ServiceRefused".to_owned(),
            message,
            stalled: true,
        });
        let reference = ObjectRef::from_obj(node);
        Ok(Self {
            context,
            node,
            api,
            reference,
            looker,
            keeper,
            kept,
            resolved,
            service,
        })
    }

    async fn observe(&self) -> Result<Observation, Error> {
        let at = Timestamp::now();
        let pods = self
            .looker
            .look(&self.kept.revisions, at)
            .await
            .doing("looking at the pods")?;
        let handover = self.node.spec.handover.clone().unwrap_or_default();
        let duration = |text: Option<&String>, default| {
            text.and_then(|text| parse_duration(text).ok())
                .unwrap_or(default)
        };
        let intent = Intent {
            node: PodId {
                name: self.node.name_any(),
                uid: self.node.uid().unwrap_or_default(),
            },
            generation: self.node.metadata.generation.unwrap_or_default(),
            replicas: usize::try_from(self.node.spec.replicas).unwrap_or(0),
            surge: usize::try_from(handover.surge.unwrap_or(1)).unwrap_or(1),
            settle: duration(handover.settle.as_ref(), DEFAULT_SETTLE),
            standby_timeout: duration(handover.standby_timeout.as_ref(), DEFAULT_STANDBY_TIMEOUT),
            wanted: match &self.resolved {
                Ok(resolved) => Wanted::Revision(resolved.revision.clone()),
                Err(problem) => Wanted::Unusable(problem.clone()),
            },
        };
        Ok(Observation {
            at,
            intent,
            revisions: self.kept.revisions.clone(),
            pods,
        })
    }

    async fn finish(self) -> Result<Action, Error> {
        let seen = self.observe().await?;
        let old = self.node.status.clone().unwrap_or_default();
        let now = Timestamp::now();
        let plan = plan(&seen, &old.operator, now);
        let uid = &seen.intent.node.uid;
        if plan.memory.creating.is_none() {
            self.context.note_refusal(uid, None);
        }
        let refusal = self.context.refusal(uid).map(|message| Blocked {
            reason: "PodRefused".to_owned(),
            message: format!("the API server refuses to make a pod: {message}"),
            stalled: true,
        });
        let report = Report {
            node: self.node,
            seen: &seen,
            plan: &plan,
            refusal: refusal.or_else(|| self.service.clone()),
            now,
        };
        let new = report::status(&report, &old);
        let Some(version) = self.write(&old, &new).await? else {
            // Somebody else wrote: this plan is worth nothing any more (rule S4).
            return Ok(Action::requeue(Duration::from_millis(50)));
        };
        let namespace = self.node.namespace().unwrap_or_default();
        self.context
            .metrics
            .status(&namespace, &self.node.name_any(), &new);
        if let Some(done) = &plan.finished {
            self.context
                .metrics
                .moved(&namespace, &self.node.name_any(), done);
        }
        let warnings = self
            .resolved
            .as_ref()
            .map(|resolved| resolved.warnings.as_slice());
        for note in report::notes(&report, &old, &new, warnings.unwrap_or_default()) {
            self.tell(note).await;
        }
        let busy = !matches!(
            plan.situation.step,
            Step::Steady | Step::Hibernating | Step::External
        );
        // While the lock moves, or may: not for as long as a rollout is stuck.
        let moving = new.active.is_none()
            || matches!(plan.situation.step, Step::StoppingActive | Step::Booting);
        self.context
            .witnesses
            .set_alert(&self.reference, busy && moving);
        let acted = self.act(&seen, &plan, &version).await?;
        if !acted && !busy {
            self.tidy_revisions(&seen, &plan.memory).await?;
        }
        Ok(Action::requeue(self.again(&plan, acted)))
    }

    /// Writes the status where it differs. `None` after a conflict, else the resource's version.
    async fn write(
        &self,
        old: &ChainlinkNodeStatus,
        new: &ChainlinkNodeStatus,
    ) -> Result<Option<String>, Error> {
        let version = self.node.resource_version().unwrap_or_default();
        if self.node.status.is_some() && old == new {
            return Ok(Some(version));
        }
        let mut node = self.node.clone();
        node.metadata.managed_fields = None;
        node.status = Some(new.clone());
        match self
            .api
            .replace_status(&node.name_any(), &PostParams::default(), &node)
            .await
        {
            Ok(written) => Ok(written.resource_version()),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(None)
            }
            Err(error) => Err(error).doing("writing the status"),
        }
    }

    async fn tell(&self, note: report::Note) {
        let event = Event {
            type_: if note.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: note.reason,
            note: Some(note.text.chars().take(1000).collect()),
            action: note.action.to_owned(),
            secondary: None,
        };
        let about = self.node.object_ref(&());
        // A recorder folds later events of one reason into the text of the first: each gets its own.
        let recorder = Recorder::new(self.context.client.clone(), self.context.reporter.clone());
        if let Err(error) = recorder.publish(&event, &about).await {
            tracing::warn!(%error, "an event could not be published");
        }
    }

    /// Carries the plan out. Says whether anything was done.
    async fn act(&self, seen: &Observation, plan: &Plan, version: &str) -> Result<bool, Error> {
        let actor = Actor::new(&self.context.client, self.node);
        let pod = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        for act in &plan.acts {
            tracing::info!(node = %self.reference, ?act, "acting");
            match act {
                Act::Create { pod, revision } => self.create(&actor, pod, revision).await?,
                Act::Label { pod: id, active } => {
                    if let Some(pod) = pod(id) {
                        actor.label(pod, *active).await.doing("labelling a pod")?;
                    }
                }
                Act::Gate { pod, ready } => {
                    actor
                        .gate(pod, *ready)
                        .await
                        .doing("setting a readiness gate")?;
                }
                Act::Tidy { pod: id } => {
                    if let Some(pod) = pod(id) {
                        actor.tidy(pod).await.doing("removing an ended pod")?;
                    }
                }
                Act::Stop(permit) => self.stop(&actor, permit, &plan.memory, version).await?,
            }
        }
        Ok(!plan.acts.is_empty())
    }

    /// How soon to look again. What the API server refuses is not tried again at once.
    fn again(&self, plan: &Plan, acted: bool) -> Duration {
        let uid = self.node.uid().unwrap_or_default();
        if self.context.refusal(&uid).is_some() {
            return plan.again.max(REFUSED);
        }
        if acted { ACTED } else { plan.again }
    }

    async fn create(&self, actor: &Actor<'_>, pod: &str, revision: &str) -> Result<(), Error> {
        let uid = self.node.uid().unwrap_or_default();
        let known = self
            .kept
            .revisions
            .get(revision)
            .zip(self.kept.contents.get(revision));
        let Some((revision, content)) = known else {
            return Ok(());
        };
        if let Ok(resolved) = &self.resolved
            && resolved.revision == *revision
        {
            self.keeper
                .restore_files(resolved)
                .await
                .doing("restoring the files of a revision")?;
        }
        if content.session == Some(Session::Generated)
            && let Some(message) = self
                .keeper
                .session_secret()
                .await
                .doing("making the session secret")?
        {
            let message = format!(
                "its session secret has to be there first, and {message} (grant the operator create on secrets, or name a Secret of yours in spec.credentials.sessionSecret.secretKeyRef)"
            );
            self.context.note_refusal(&uid, Some(message));
            return Ok(());
        }
        let outcome = actor
            .create(pod, revision, content)
            .await
            .doing("making a pod")?;
        let refusal = match outcome {
            Outcome::Refused(message) => Some(message),
            Outcome::Done | Outcome::Overtaken => None,
        };
        self.context.note_refusal(&uid, refusal);
        Ok(())
    }

    /// Looks again, plans again, and stops the pod only if both say the same (rule S5).
    async fn stop(
        &self,
        actor: &Actor<'_>,
        planned: &Permit,
        memory: &Memory,
        version: &str,
    ) -> Result<(), Error> {
        self.looker
            .ask(&planned.pod().name)
            .await
            .doing("asking a pod")?;
        if let Some(successor) = planned.successor() {
            self.looker
                .ask(&successor.name)
                .await
                .doing("asking the successor")?;
        }
        let fresh = self
            .api
            .get_opt(&self.node.name_any())
            .await
            .doing("reading the resource")?;
        if fresh.and_then(|node| node.resource_version()).as_deref() != Some(version) {
            return Ok(());
        }
        let seen = self.observe().await?;
        let again = plan(&seen, memory, Timestamp::now());
        let permit = again.acts.iter().find_map(|act| match act {
            Act::Stop(permit)
                if permit.pod() == planned.pod() && permit.cause() == planned.cause() =>
            {
                Some(permit)
            }
            _ => None,
        });
        let Some(permit) = permit else {
            tracing::info!(
                pod = planned.pod().name,
                "a second look does not permit the stop"
            );
            return Ok(());
        };
        let outcome = actor.stop(permit).await.doing("stopping a pod")?;
        if outcome != Outcome::Done {
            return Ok(());
        }
        // The Service follows now: neither the operator nor kube-proxy is to stand between the lock
        // and the first request.
        let find = |id: &PodId| seen.pods.iter().find(|pod| pod.id == *id);
        if let Some(successor) = permit.successor().and_then(find) {
            actor
                .label(successor, true)
                .await
                .doing("labelling the successor")?;
        }
        Ok(())
    }

    async fn tidy_revisions(&self, seen: &Observation, memory: &Memory) -> Result<(), Error> {
        let mut needed: BTreeSet<String> = seen
            .pods
            .iter()
            .filter_map(|pod| pod.revision.as_ref().map(|revision| revision.name.clone()))
            .collect();
        needed.extend(memory.wanted.as_ref().map(|wanted| wanted.name.clone()));
        needed.extend(memory.last_worked.clone());
        needed.extend(
            memory
                .creating
                .as_ref()
                .map(|creating| creating.revision.clone()),
        );
        self.keeper
            .forget_all_but(&needed, &self.kept)
            .await
            .doing("removing old revisions")
    }
}
