//! One pass over one resource: what is read before the pods, the look at them, what is reported and told of the
//! plan, and when to look again.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::{Context, Doing, Error, intent, refused};
use crate::act::{Keeper, Keeping, Kept, Services};
use crate::api::{ChainlinkNode, ChainlinkNodeStatus, Memory};
use crate::build::{self, Recorded, Resolved};
use crate::observe::{Looker, Observation, Problem, Wanted};
use crate::plan::{Act, Blocked, Plan, Step, plan};
use crate::report::{self, Report};

/// After an act: what came of it.
const ACTED: Duration = Duration::from_millis(200);
/// After the API server has refused to make a pod.
const REFUSED: Duration = Duration::from_secs(5);

/// One pass, after everything but the pods was read.
pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) node: &'a ChainlinkNode,
    pub(super) api: &'a Api<ChainlinkNode>,
    pub(super) reference: ObjectRef<ChainlinkNode>,
    pub(super) looker: Looker<'a>,
    pub(super) keeper: Keeper<'a>,
    pub(super) kept: Kept,
    pub(super) resolved: Result<Resolved, Problem>,
    /// Why the Service does not lead to the active.
    pub(super) service: Option<Blocked>,
}

/// The revision that was wanted when the operator last looked.
fn recorded<'a>(node: &'a ChainlinkNode, kept: &Kept) -> Option<Recorded<'a>> {
    let wanted = node.status.as_ref()?.operator.wanted.as_ref()?;
    Some(Recorded {
        revision: &wanted.name,
        template: kept.contents.get(&wanted.name)?.template,
    })
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
    pub(super) async fn begin(
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

    pub(super) async fn observe(&self) -> Result<Observation, Error> {
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
            self.looker.pulls().await.doing("looking at pulls")?
        } else {
            Vec::new()
        };
        // The intent to check stands in the status before its pod is made.
        let validates = status.is_some_and(|status| status.operator.validation.is_some());
        let validations = if validates {
            let listed = self.looker.validations().await;
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

    pub(super) async fn finish(self) -> Result<Action, Error> {
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

    /// How soon to look again. What the API server refuses is not tried again at once.
    fn again(&self, plan: &Plan, acted: bool) -> Duration {
        let uid = self.node.uid().unwrap_or_default();
        if self.context.refusal(&uid).is_some() {
            return plan.again.max(REFUSED);
        }
        if acted { ACTED } else { plan.again }
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
