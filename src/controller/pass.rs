//! One pass over one resource: what is read before the pods, the look at them, the plan, and then all that is made of
//! it, in the order that matters: the intent is written, the labels move, what is about to be done is told, and done.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::known::Known;
use super::second_look::Stopped;
use super::status::{Written, outdated};
use super::troubles::{BUDGET, NOT_KEPT, POD_REFUSED, POD_UNCHANGED, SERVICE, Troubles};
use super::{Context, Doing, Error, intent, secrets};
use crate::act::{Keeper, Keeping, Kept, Services};
use crate::api::{ChainlinkNode, ChainlinkNodeStatus, Memory, SecretsSeen};
use crate::build::{self, Recorded, Resolved};
use crate::cluster::{refusal, sentence};
use crate::domain::{Observation, Problem, Wanted};
use crate::observe::Looker;
use crate::plan::{Act, Blocked, Plan, Step, plan};
use crate::report::{self, Report};

/// After an act: what came of it.
const ACTED: Duration = Duration::from_millis(200);
/// After somebody else has written the status.
const OVERTAKEN: Duration = Duration::from_millis(50);
/// After the API server has refused something.
const REFUSED: Duration = Duration::from_secs(5);
/// While the CRD is too old to keep what the operator has to remember.
const OUTDATED: Duration = Duration::from_secs(15);

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
    /// What is to be remembered of the Secrets that pods read.
    secrets: Option<SecretsSeen>,
    /// What has not succeeded so far.
    troubles: Troubles,
}

/// The revision that was wanted when the operator last looked.
fn recorded<'a>(node: &'a ChainlinkNode, kept: &Kept) -> Option<Recorded<'a>> {
    let wanted = node.status.as_ref()?.operator.wanted.as_ref()?;
    Some(Recorded {
        revision: &wanted.name,
        template: kept.contents.get(&wanted.name)?.template,
    })
}

/// Keeps the wanted revision, or says why it can't be. That keeps nobody from looking after the pods.
async fn keep(
    keeper: &Keeper<'_>,
    wanted: Resolved,
    kept: &mut Kept,
    troubles: &mut Troubles,
) -> Result<Resolved, Problem> {
    let known = kept.revisions.contains_key(&wanted.revision.name);
    let (message, missing) = match keeper.keep(&wanted, kept).await {
        Ok(Keeping::Done) => return Ok(wanted),
        // It may be an object of an earlier resource of this name, and soon gone.
        Ok(Keeping::NotOurs(message)) => (message, true),
        Err(error) => match refusal(&error) {
            Some(said) => (
                format!("the API server refuses to keep the revision: {said}"),
                false,
            ),
            // Its files are seen to again before a pod of it is made.
            None if known => {
                troubles.fail(NOT_KEPT, "keep the files of the wanted revision", &error);
                return Ok(wanted);
            }
            None => {
                tracing::warn!(%error, "the wanted revision could not be kept");
                let said = sentence(&error);
                (format!("the revision could not be kept: {said}"), true)
            }
        },
    };
    Err(Problem {
        reason: NOT_KEPT,
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
        let mut troubles = Troubles::default();
        let reference = ObjectRef::from_obj(node);
        let secrets = secrets::look(context, &reference, node).await;
        let stamp = secrets.as_ref().and_then(|seen| seen.stamp.as_deref());
        let names = build::referenced_config_maps(&node.spec);
        let resolved = match looker.config_maps(&names).await {
            Ok(maps) => {
                let recorded = recorded(node, &kept);
                build::resolve_after(recorded, &node.name_any(), &node.spec, &maps, stamp)
            }
            Err(error) => match refusal(&error) {
                Some(said) => Err(unreadable(&said)),
                // Whoever does not answer this answers nothing else.
                None => return Err(error).doing("reading ConfigMaps"),
            },
        };
        let resolved = match resolved {
            Ok(wanted) => keep(&keeper, wanted, &mut kept, &mut troubles).await,
            Err(problem) => Err(problem),
        };
        Ok(Self {
            context,
            node,
            api,
            reference,
            looker,
            keeper,
            kept,
            resolved,
            secrets,
            troubles,
        })
    }

    pub(super) fn know<T>(&self, what: impl FnOnce(&mut Known) -> T) -> T {
        self.context.know(&self.reference, what)
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
        let (taken, refused_stop) =
            self.know(|known| (known.taken.clone(), known.refused_stop.clone()));
        Ok(Observation {
            at,
            intent,
            revisions: self.kept.revisions.clone(),
            pods,
            pulls,
            validations,
            database: self.verified(),
            taken,
            refused_stop,
            machines,
        })
    }

    /// Everything after what was read before the pods.
    pub(super) async fn finish(mut self) -> Result<Action, Error> {
        let old = self.node.status.clone().unwrap_or_default();
        let (seen, plan, now) = self.look_and_plan(&old).await?;
        let mut report = Report {
            node: self.node,
            seen: &seen,
            plan: &plan,
            sharers: self.sharers(),
            backup_off: self.resolved.as_ref().ok().and_then(|it| it.backup_off),
            refusal: self.told(&plan),
            now,
        };
        let new = report::status(&report, &old);
        let version = match self.write(&old, &new).await? {
            Written::Whole(version) => version,
            // This plan is worth nothing any more (rule S4).
            Written::Overtaken => return Ok(Action::requeue(OVERTAKEN)),
            Written::StillPruned => return Ok(Action::requeue(OUTDATED)),
            Written::Pruned { field, version } => {
                report.refusal = Some(outdated(&field));
                let told = report::status(&report, &old);
                self.write_what_is_kept(&told, &version).await?;
                return Ok(Action::requeue(OUTDATED));
            }
        };
        self.count(&old, &new, &plan);
        self.set_alert(&new, &plan);

        let mut troubles = std::mem::take(&mut self.troubles);
        let labels_in_place = self.move_roles(&seen, &plan, &mut troubles).await;
        let notes = report::notes(&report, &old, &new, self.warnings());
        self.context.tell(self.node, notes).await;
        self.keep_services(&mut troubles).await;
        let stopped = self
            .act(&seen, &plan, &version, labels_in_place, &mut troubles)
            .await?;
        self.mind_turn(&seen, &plan, &new, stopped);
        // While the lock moves nothing else is done.
        if !moves(&plan) {
            let active = new.active.as_deref().unwrap_or_default();
            self.keep_budgets(plan.standbys_kept, active, &mut troubles)
                .await;
        }
        let again = self.again(&plan, troubles)?;
        if plan.acts.is_empty() && !is_busy(&plan) {
            self.tidy_revisions(&seen, &plan.memory).await?;
        }
        Ok(Action::requeue(again))
    }

    async fn look_and_plan(
        &self,
        old: &ChainlinkNodeStatus,
    ) -> Result<(Observation, Plan, Timestamp), Error> {
        let memory = Memory {
            secrets: self.secrets.clone(),
            ..old.operator.clone()
        };
        let seen = self.observe().await?;
        let now = Timestamp::now();
        let next = plan(&seen, &memory, now);
        if !self.ask_if_due(&seen, &next, now).await? {
            return Ok((seen, next, now));
        }
        // The answer may have taken its time, and what was seen before it is no longer fresh.
        let seen = self.observe().await?;
        let now = Timestamp::now();
        let next = plan(&seen, &memory, now);
        Ok((seen, next, now))
    }

    /// What did not succeed in the pass before, as far as it would be done again.
    fn told(&self, plan: &Plan) -> Option<Blocked> {
        let any = |is: fn(&Act) -> bool| plan.acts.iter().any(is);
        let makes = any(|act| {
            matches!(
                act,
                Act::Create { .. } | Act::Pull { .. } | Act::Validate { .. }
            )
        });
        let changes = any(|act| {
            matches!(
                act,
                Act::Label { .. } | Act::Gate { .. } | Act::Tidy { .. } | Act::EndErrand { .. }
            )
        });
        let before = self.know(|known| known.troubles.clone());
        [
            (POD_REFUSED, makes),
            (POD_UNCHANGED, changes),
            (NOT_KEPT, true),
            (SERVICE, true),
            (BUDGET, true),
        ]
        .into_iter()
        .find_map(|(reason, again)| before.told(reason).filter(|_| again))
    }

    fn warnings(&self) -> &[String] {
        self.resolved
            .as_ref()
            .map(|resolved| resolved.warnings.as_slice())
            .unwrap_or_default()
    }

    fn count(&self, old: &ChainlinkNodeStatus, new: &ChainlinkNodeStatus, plan: &Plan) {
        let namespace = self.node.namespace().unwrap_or_default();
        let (name, metrics) = (self.node.name_any(), &self.context.metrics);
        metrics.status(&namespace, &name, new);
        metrics.asked(&namespace, &name, old, new);
        if let Some(done) = &plan.finished {
            metrics.moved(&namespace, &name, done);
        }
    }

    /// Ports are tried more often while the lock moves, or may: not for as long as a rollout is stuck.
    fn set_alert(&self, new: &ChainlinkNodeStatus, plan: &Plan) {
        let moving = new.active.is_none()
            || matches!(plan.situation.step, Step::StoppingActive | Step::Booting);
        self.context
            .witnesses
            .set_alert(&self.reference, is_busy(plan) && moving);
    }

    async fn keep_services(&self, troubles: &mut Troubles) {
        match self.keeper.services().await {
            Ok(Services::AsWanted) => {}
            Ok(Services::NotOurs(name)) => troubles.refuse(
                SERVICE,
                format!(
                    "a Service named {name} exists and is not this resource's: it does not lead to the active; rename one of the two"
                ),
            ),
            Err(error) => troubles.fail(SERVICE, "apply the Service", &error),
        }
    }

    /// Keeps the turn of this resource, or gives it back. It has one from the moment in which the API server accepts the
    /// stop of its active until somebody serves again.
    fn mind_turn(
        &self,
        seen: &Observation,
        plan: &Plan,
        new: &ChainlinkNodeStatus,
        stopped: Stopped,
    ) {
        let uid = &seen.intent.node.uid;
        let there = |uid: &str| {
            let mut pods = seen.pods.iter();
            pods.any(|pod| pod.id.uid == uid && !pod.deleted)
        };
        let stop = plan.memory.stopping.as_ref().filter(|stop| stop.active);
        let accepted = stop.is_some_and(|stop| !there(&stop.uid));
        let failed = plan.memory.failed.is_some() && new.active.is_none();
        if accepted || failed {
            // Also where another operator, or this one before a restart, began it.
            self.context.turns.note(uid);
        } else if stopped == Stopped::No && plan.situation.step != Step::Booting {
            self.context.give_back(uid);
        }
        if plan.situation.waits_for_turn() {
            self.context.turns.wait(&self.reference);
        }
    }

    /// How soon to look again. What the API server refuses is not tried again at once.
    fn again(&self, plan: &Plan, troubles: Troubles) -> Result<Duration, Error> {
        let troubles = self.know(|known| {
            known.troubles = troubles.after(&known.troubles);
            known.troubles.clone()
        });
        let of_pods = [POD_REFUSED, POD_UNCHANGED];
        if let Some(failure) = troubles.failure()
            && (plan.acts.is_empty() || troubles.are(&of_pods))
        {
            return Err(Error::Unfinished(failure.to_owned()));
        }
        Ok(if troubles.are_refused(&of_pods) {
            plan.again.max(REFUSED)
        } else if !plan.acts.is_empty() {
            ACTED
        } else if troubles.is_empty() {
            plan.again
        } else {
            plan.again.min(REFUSED)
        })
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
        let removed = self.keeper.forget_all_but(&needed, &self.kept).await;
        // What may not be removed is in nobody's way: the next pass at rest tries again.
        if let Some(said) = removed.as_ref().err().and_then(refusal) {
            tracing::warn!(node = %self.reference, said, "an old revision could not be removed");
            return Ok(());
        }
        removed.doing("removing old revisions")
    }
}

fn unreadable(said: &str) -> Problem {
    Problem {
        reason: "ConfigMapUnreadable",
        message: format!(
            "the API server does not let the operator read the ConfigMaps of spec.config and spec.pod.volumes: {said}"
        ),
        missing: false,
    }
}

fn is_busy(plan: &Plan) -> bool {
    !matches!(
        plan.situation.step,
        Step::Steady | Step::Hibernating | Step::External
    )
}

/// Whether the lock moves, or is about to.
fn moves(plan: &Plan) -> bool {
    let stop = plan.memory.stopping.as_ref();
    stop.is_some_and(|stop| stop.active) || plan.situation.step == Step::Booting
}
