//! The loop: look, plan, write the intent, act.
//!
//! Each pass fetches the resource afresh, resolves its spec to a revision and keeps it, looks at its
//! pods, plans, writes the status (with the intent in it, under the resource's `resourceVersion`),
//! tells what it is about to do, and does it. Before a stop it looks and plans once more.

mod database;
mod intent;
mod shared;
mod streams;
mod turns;
mod watchdog;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::act::{Actor, Keeper, Keeping, Kept, Outcome, Services};
use crate::api::{ChainlinkNode, ChainlinkNodeStatus, Memory};
use crate::build::{self, Recorded, Resolved, Session};
use crate::observe::{Looker, Machines, Observation, PodId, Problem, Wanted, Witnesses};
use crate::plan::{Act, Blocked, Permit, Place, Plan, Purpose, Step, plan};
use crate::report::{self, Metrics, Report};

use database::Asked;
use turns::Turns;

pub use database::DatabaseAccess;
pub use streams::{run, served};
pub use watchdog::Watchdog;

/// A pass is given up after this time: an API server that is cut off never answers.
const LONGEST_PASS: Duration = Duration::from_secs(60);
/// After an act: what came of it.
const ACTED: Duration = Duration::from_millis(200);
/// After the API server has refused to make a pod.
const REFUSED: Duration = Duration::from_secs(5);
/// Between two tries after an error.
const RETRY: Duration = Duration::from_secs(2);
/// How often budgets are looked at while they should be as they are.
const BUDGETS: Duration = Duration::from_secs(15);

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

/// What an installation can choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How many resources may move their lock at a time; 0 is no limit.
    pub max_handovers: usize,
    /// Whether machines are watched, so that those which are being emptied are left by handover.
    pub watch_machines: bool,
    /// Whether the databases may be asked.
    pub database: DatabaseAccess,
}

/// What passes share.
pub struct Context {
    client: Client,
    settings: Settings,
    witnesses: Witnesses,
    machines: Machines,
    turns: Turns,
    wake: mpsc::UnboundedSender<ObjectRef<ChainlinkNode>>,
    /// What was last made of the budgets of a resource, by its uid.
    budgets: Mutex<HashMap<String, Budgets>>,
    reporter: Reporter,
    metrics: Metrics,
    watchdog: Watchdog,
    /// Why the API server last refused to make a pod, by the uid of the resource.
    refusals: Mutex<HashMap<String, String>>,
    /// The name of the pod that was to be made last and turned out to be taken, by the uid of the
    /// resource.
    taken: Mutex<HashMap<String, String>>,
    /// What the database of a resource said last, by the resource's uid.
    words: Mutex<HashMap<String, Asked>>,
    /// All resources, as the controllers of their namespaces know them.
    stores: Mutex<Vec<Store<ChainlinkNode>>>,
}

#[derive(Clone, Debug)]
struct Budgets {
    standbys_kept: usize,
    active: String,
    at: Instant,
    refusal: Option<String>,
}

impl Context {
    /// A context, and the stream of resources that its witnesses want looked at.
    pub fn new(
        client: Client,
        settings: Settings,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>) {
        let (wake, woken) = mpsc::unbounded_channel();
        let reporter = Reporter {
            controller: "chainlink-operator".to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        let context = Self {
            settings,
            witnesses: Witnesses::new(client.clone(), wake.clone()),
            machines: Machines::default(),
            turns: Turns::new(settings.max_handovers),
            wake,
            budgets: Mutex::default(),
            reporter,
            metrics: Metrics::default(),
            watchdog: Watchdog::default(),
            refusals: Mutex::default(),
            taken: Mutex::default(),
            words: Mutex::default(),
            stores: Mutex::default(),
            client,
        };
        (Arc::new(context), woken)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the loops turn.
    pub fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    fn refusal(&self, uid: &str) -> Option<String> {
        self.refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
    }

    /// Forgets a resource that is gone.
    fn forget(&self, uid: &str) {
        self.note_refusal(uid, None);
        self.turns.give_back(uid);
        self.budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(uid);
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.remove(uid);
    }

    fn note_taken(&self, uid: &str, pod: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(uid.to_owned(), pod.to_owned());
    }

    fn taken(&self, uid: &str) -> Option<String> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(uid).cloned()
    }

    fn note_refusal(&self, uid: &str, refusal: Option<String>) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Some(message) => refusals.insert(uid.to_owned(), message),
            None => refusals.remove(uid),
        };
    }
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
    let progress = || {
        let namespace = reference.namespace.as_deref();
        context.watchdog.progress(namespace, Instant::now());
    };
    progress();
    let result = timeout(LONGEST_PASS, Box::pin(one_pass(node, &context, &reference))).await;
    progress();
    // As good as a crash: the next pass goes on from what is written (rule S4).
    result.unwrap_or(Err(Error::Slow))
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
        context.forget(reference.extra.uid.as_deref().unwrap_or_default());
        context.witnesses.forget(reference);
        context.machines.forget(reference);
        context.metrics.forget(
            &reference.namespace.clone().unwrap_or_default(),
            &reference.name,
        );
        return Ok(Action::await_change());
    };
    let pass = Pass::begin(context, &node, &api).await?;
    Box::pin(pass.finish()).await
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

/// The revision that was wanted when the operator last looked.
fn recorded<'a>(node: &'a ChainlinkNode, kept: &Kept) -> Option<Recorded<'a>> {
    let wanted = node.status.as_ref()?.operator.wanted.as_ref()?;
    Some(Recorded {
        revision: &wanted.name,
        template: kept.contents.get(&wanted.name)?.template,
    })
}

/// The message of an API server that will not have it so; other errors pass.
fn refused<T>(result: Result<T, kube::Error>) -> Result<Result<T, String>, kube::Error> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_invalid() => {
            Ok(Err(status.message.clone()))
        }
        Err(error) => Err(error),
    }
}

/// Why the wanted revision can't be kept, if it can't.
fn not_kept(kept: Result<Keeping, String>) -> Option<Problem> {
    let (message, missing) = match kept {
        Ok(Keeping::Done) => return None,
        // It may be an object of an earlier resource of this name, and soon gone.
        Ok(Keeping::NotOurs(message)) => (message, true),
        Err(message) => (
            format!("the API server refuses to keep the revision: {message}"),
            false,
        ),
    };
    Some(Problem {
        reason: "RevisionNotKept",
        message,
        missing,
    })
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
        let mut resolved = build::resolve_after(
            recorded(node, &kept),
            &node.name_any(),
            &node.spec,
            &maps,
            None,
        );
        // What the API server refuses is reported, and keeps nobody from looking after the pods.
        if let Ok(wanted) = &resolved {
            let kept = refused(keeper.keep(wanted, &mut kept).await);
            if let Some(problem) = not_kept(kept.doing("keeping the wanted revision")?) {
                resolved = Err(problem);
            }
        }
        let service = match keeper.services().await {
            Ok(Services::AsWanted) => None,
            Ok(Services::NotOurs(name)) => Some(format!(
                "a Service named {name} exists and is not this resource's: it does not lead to the active; rename one of the two"
            )),
            Err(error) => refused::<()>(Err(error))
                .doing("applying the Service")?
                .err(),
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
        let mut pods = self
            .looker
            .look(&self.kept.revisions, at)
            .await
            .doing("looking at the pods")?;
        let uid = self.node.uid().unwrap_or_default();
        let wanted = match &self.resolved {
            Ok(resolved) => Wanted::Revision(resolved.revision.clone()),
            Err(problem) => Wanted::Unusable(problem.clone()),
        };
        let others_move = self.context.turns.are_taken_for(&uid);
        let intent = intent::intent(self.node, wanted, others_move);
        let machines = self.context.machines.of(&self.reference);
        for pod in &mut pods {
            let machine = pod.machine.as_ref().zip(machines.as_ref());
            let machine = machine.and_then(|(name, machines)| machines.get(name));
            pod.stranded = machine.is_some_and(|machine| !machine.ready);
        }
        // There are some only without room for a surge, or where it has just been given.
        let status = self.node.status.as_ref();
        let under_way = status.is_some_and(|status| status.handover.is_some());
        let pulls = if intent.surge == 0 || under_way {
            self.looker.pulls(at).await.doing("looking at pulls")?
        } else {
            Vec::new()
        };
        // The intent to check stands in the status before its pod is made.
        let validates = status.is_some_and(|status| status.operator.validation.is_some());
        let validations = if validates {
            let listed = self.looker.validations(at).await;
            listed.doing("looking at checks of a configuration")?
        } else {
            Vec::new()
        };
        Ok(Observation {
            at,
            intent,
            revisions: self.kept.revisions.clone(),
            pods,
            pulls,
            validations,
            database: self.verified(),
            taken: self.context.taken(&uid),
            machines,
        })
    }

    async fn finish(self) -> Result<Action, Error> {
        let old = self.node.status.clone().unwrap_or_default();
        let mut seen = self.observe().await?;
        let mut now = Timestamp::now();
        let mut next = plan(&seen, &old.operator, now);
        if self.ask_if_due(&seen, &next, now).await? {
            // The answer may have taken its time, and what was seen before it is no longer fresh.
            seen = self.observe().await?;
            now = Timestamp::now();
            next = plan(&seen, &old.operator, now);
        }
        let plan = next;
        let uid = &seen.intent.node.uid;
        let makes = |act: &Act| {
            matches!(
                act,
                Act::Create { .. } | Act::Pull { .. } | Act::Validate { .. }
            )
        };
        if !plan.acts.iter().any(makes) {
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
            sharers: self.sharers(),
            backup_off: self.resolved.as_ref().ok().and_then(|it| it.backup_off),
            refusal: refusal
                .or_else(|| self.service.clone())
                .or_else(|| self.budget_refusal(uid)),
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
        let at_rest = plan
            .memory
            .stopping
            .as_ref()
            .is_none_or(|stop| !stop.active)
            && plan.situation.step != Step::Booting;
        if at_rest && !acted {
            self.context.turns.give_back(uid);
        } else if !at_rest
            && plan
                .memory
                .stopping
                .as_ref()
                .is_some_and(|stop| stop.active)
        {
            self.context.turns.note(uid);
        }
        // While the lock moves nothing else is done.
        if at_rest {
            let active = new.active.as_deref().unwrap_or_default();
            self.keep_budgets(uid, plan.standbys_kept, active).await?;
        }
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
                Act::Create {
                    pod,
                    revision,
                    place,
                } => self.create(&actor, pod, revision, place).await?,
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
                Act::Pull {
                    pod,
                    revision,
                    machine,
                } => self.pull(&actor, pod, revision, machine).await?,
                Act::Validate { pod, revision } => self.validate(&actor, pod, revision).await?,
                Act::EndErrand { pod } => {
                    actor
                        .end_errand(pod)
                        .await
                        .doing("removing a pod that is no node")?;
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

    async fn create(
        &self,
        actor: &Actor<'_>,
        pod: &str,
        revision: &str,
        place: &Place,
    ) -> Result<(), Error> {
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
            && let Keeping::NotOurs(message) = self
                .keeper
                .keep_files(resolved)
                .await
                .doing("restoring the files of a revision")?
        {
            self.context.note_refusal(&uid, Some(message));
            return Ok(());
        }
        if content.session == Some(Session::Generated)
            && let Some(message) = self
                .keeper
                .session_secret()
                .await
                .doing("making the session secret")?
            && !self.has_session_secret()
        {
            let message = format!(
                "its session secret has to be there first, and {message} (grant the operator create on secrets: sessionSecrets.generate=true of its chart; or name a Secret of yours in spec.credentials.sessionSecret.secretKeyRef)"
            );
            self.context.note_refusal(&uid, Some(message));
            return Ok(());
        }
        let outcome = actor
            .create(pod, revision, content, place)
            .await
            .doing("making a pod")?;
        if outcome == Outcome::Taken {
            tracing::warn!(node = %self.reference, pod, "a pod of another owner has this name");
            self.context.note_taken(&uid, pod);
        }
        self.context.note_refusal(&uid, outcome.refusal());
        Ok(())
    }

    /// Whether the session secret was made before: a revision that worked has it. An operator whose right to make
    /// Secrets was taken away still replaces a lost pod.
    fn has_session_secret(&self) -> bool {
        let status = self.node.status.as_ref();
        let worked = status.and_then(|status| status.operator.last_worked.as_ref());
        let content = worked.and_then(|name| self.kept.contents.get(name));
        content.is_some_and(|content| content.session == Some(Session::Generated))
    }

    async fn pull(
        &self,
        actor: &Actor<'_>,
        pod: &str,
        revision: &str,
        machine: &str,
    ) -> Result<(), Error> {
        let Some(content) = self.kept.contents.get(revision) else {
            return Ok(());
        };
        let outcome = actor
            .pull(pod, revision, machine, content)
            .await
            .doing("making a pod that pulls an image")?;
        let uid = self.node.uid().unwrap_or_default();
        self.context.note_refusal(&uid, outcome.refusal());
        Ok(())
    }

    async fn validate(&self, actor: &Actor<'_>, pod: &str, revision: &str) -> Result<(), Error> {
        let kept = &self.kept;
        let known = kept
            .revisions
            .get(revision)
            .zip(kept.contents.get(revision));
        let Some((revision, content)) = known else {
            return Ok(());
        };
        let outcome = actor
            .validate(pod, revision, content)
            .await
            .doing("making a pod that checks a configuration")?;
        let uid = self.node.uid().unwrap_or_default();
        self.context.note_refusal(&uid, outcome.refusal());
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
        let asked = Timestamp::now();
        self.looker
            .ask(&planned.pod().name)
            .await
            .doing("asking a pod")?;
        if let Some(successor) = planned.successor() {
            self.looker
                .ask(&successor.name)
                .await
                .doing("asking the successor")?;
            self.ask_again(Timestamp::now()).await?;
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
        let answered = |id: &PodId| {
            let pod = seen.pods.iter().find(|pod| pod.id == *id);
            pod.is_some_and(|pod| pod.answered_since(asked))
        };
        if !permit.successor().is_none_or(answered) {
            tracing::info!(
                pod = planned.pod().name,
                "its successor does not answer now"
            );
            return Ok(());
        }
        let uid = &seen.intent.node.uid;
        if permit.purpose() == Purpose::Unresponsive {
            // A failover waits for nobody.
            self.context.turns.note(uid);
        } else if permit.successor().is_some() && !self.context.turns.take(uid) {
            return Ok(());
        }
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

    /// Why the budgets are not as they should be, as last tried.
    fn budget_refusal(&self, uid: &str) -> Option<Blocked> {
        let budgets = self
            .context
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let message = budgets.get(uid)?.refusal.clone()?;
        Some(Blocked {
            reason: "BudgetRefused".to_owned(),
            message,
            stalled: true,
        })
    }

    /// Brings the budgets up to date where they have to change, and looks at them now and then.
    async fn keep_budgets(
        &self,
        uid: &str,
        standbys_kept: usize,
        active: &str,
    ) -> Result<(), Error> {
        let known = |all: &HashMap<String, Budgets>| all.get(uid).cloned();
        let all = &self.context.budgets;
        let known = known(&all.lock().unwrap_or_else(PoisonError::into_inner));
        if known.is_some_and(|known| {
            known.standbys_kept == standbys_kept
                && known.active == active
                && known.at.elapsed() < BUDGETS
        }) {
            return Ok(());
        }
        let refusal = match refused(self.keeper.budgets(standbys_kept, active).await)
            .doing("applying the disruption budgets")?
        {
            Ok(None) => None,
            Ok(Some(name)) => Some(format!(
                "a PodDisruptionBudget named {name} exists and is not this resource's: remove it, or rename the resource"
            )),
            Err(message) => Some(format!(
                "the API server refuses the disruption budgets, without which a drain stops the active: {message}"
            )),
        };
        let kept = Budgets {
            standbys_kept,
            active: active.to_owned(),
            at: Instant::now(),
            refusal,
        };
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned(), kept);
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
        needed.extend(memory.trial.as_ref().map(|trial| trial.before.clone()));
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
