//! The scene of a pass: the resource, its clients, what was read before the pods, and the look at the pods. The steps play in
//! it. A look writes what it has seen of a container into its pod; nothing else is written here, and nothing decided.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use super::intent;
use crate::act::{RevisionStore, Revisions};
use crate::api::{ChainlinkNode, KeyRef, SecretsSeen};
use crate::build::Resolved;
use crate::controller::context::{Context, DatabaseAccess};
use crate::controller::error::{Doing, Error};
use crate::controller::failures::ApiFailures;
use crate::controller::local::Local;
use crate::controller::timing;
use crate::domain::{
    Claim, DatabaseAnswer, DatabaseView, Holder, Observation, Pod, Problem, Silence, Wanted,
    reports,
};
use crate::mutex::lock;
use crate::node::LockMode;
use crate::observe::database::Target;
use crate::observe::{Looker, Moment};

/// For so long after this operator has begun to lead, what an earlier one has sent may arrive: a network that is cut off holds
/// it back. What comes later yet stays until the next check.
const MAY_BE_LATE: Duration = Duration::from_mins(2);

/// One pass, after everything but the pods was read.
pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    /// All calls of the pass go through it.
    pub(super) client: &'a Client,
    /// When what the pass reads was read, where it reads from memory.
    pub(super) read_at: Option<Timestamp>,
    pub(super) node: &'a ChainlinkNode,
    pub(super) api: &'a Api<ChainlinkNode>,
    pub(super) reference: ObjectRef<ChainlinkNode>,
    pub(super) looker: Looker<'a>,
    pub(super) store: RevisionStore<'a>,
    pub(super) kept: Revisions,
    pub(super) resolved: Result<Resolved, Problem>,
    /// What is to be remembered of the Secrets that pods read.
    pub(super) secrets: Option<SecretsSeen>,
    /// What has not succeeded so far.
    pub(super) failures: ApiFailures,
    /// What could not be read before the pods, and is needed for everything but their roles.
    pub(super) unread: Option<Error>,
}

/// One look, and what failed in it. Who plays which role can be told all the same, so that the Service follows the lock;
/// for anything else it takes a whole look.
pub(super) struct Seen {
    pub(super) seen: Observation,
    pub(super) missing: Option<Error>,
}

impl Seen {
    /// The look, if it is whole.
    pub(super) fn whole(self) -> Result<Observation, Error> {
        self.missing.map_or(Ok(self.seen), Err)
    }
}

/// What was read, or nothing of it; why not is kept, if nothing was before.
fn or_missing<T: Default>(
    read: Result<T, kube::Error>,
    doing: &'static str,
    missing: &mut Option<Error>,
) -> T {
    read.doing(doing).unwrap_or_else(|error| {
        missing.get_or_insert(error);
        T::default()
    })
}

impl Pass<'_> {
    pub(super) fn know<T>(&self, what: impl FnOnce(&mut Local) -> T) -> T {
        self.context.know(&self.reference, what)
    }

    pub(super) fn uid(&self) -> String {
        self.node.uid().unwrap_or_default()
    }

    /// What the spec asks for, and what the database said last.
    pub(super) fn database(&self) -> DatabaseView {
        let mut answers = lock(&self.context.answers);
        if self.node.spec.replicas == 0 {
            // It may be another one, or that of a backup, before anything starts again.
            answers.remove(&self.uid());
        }
        let answer = match self.context.settings.database {
            DatabaseAccess::Yes => {
                let last = answers.get(&self.uid());
                last.map(|last| last.as_of(Moment::now()))
            }
            DatabaseAccess::No => {
                let silence = Err(Silence::not_allowed());
                Some(DatabaseAnswer::after(None, Timestamp::MIN, silence))
            }
        };
        DatabaseView {
            wanted: self.node.spec.database.verification.unwrap_or_default(),
            answer,
            duals: Vec::new(),
        }
    }

    /// What the database URL of a resource led to when it was last read, and the key of the Secret that it was read from.
    pub(super) fn target_of(&self, node: &ChainlinkNode) -> Option<(Target, KeyRef)> {
        let answers = lock(&self.context.answers);
        answers.get(&node.uid()?)?.leads_to.clone()
    }

    /// One look. Before a pod is made it is `thorough`: all that others may have on the database is looked at.
    pub(super) async fn observe(&self, thorough: bool) -> Result<Seen, Error> {
        let at = Timestamp::now();
        let looked = self.looker.look(&self.kept.revisions, at).await;
        let looked = looked.doing("looking at the pods")?;
        let mut pods = looked.pods;
        let recorded = looked.unrecorded.map_or(Ok(()), Err);
        let mut missing = None;
        or_missing(recorded, "looking at the pods", &mut missing);
        let uid = self.node.uid().unwrap_or_default();
        let wanted = match &self.resolved {
            Ok(resolved) => Wanted::Revision(resolved.revision.clone()),
            Err(problem) => Wanted::Unusable(problem.clone()),
        };
        let others_move = self.context.slots.are_taken_for(&uid);
        let intent = intent::intent(self.node, wanted, others_move);
        let machines = self.context.machines.of(&self.reference);
        for pod in &mut pods {
            let place = pod.machine.as_ref().zip(machines.as_ref());
            pod.stranded = place.is_some_and(|(name, machines)| !reports(machines, name));
        }
        // Pulls are there only without room for a surge, or where it has just been given. The intent to check stands in the
        // status before its pod is made; and a pod that an earlier operator has sent for may come when that is long forgotten.
        let status = self.node.status.as_ref();
        let under_way = status.is_some_and(|status| status.handover.is_some());
        let checks = status.is_some_and(|status| status.operator.validation.is_some());
        let checked = || self.kept.revisions.values().any(|one| one.validates);
        let began = self.know(|known| known.since);
        let may_be_late = || began.elapsed() < MAY_BE_LATE && checked();
        let (pulls, validations) = if intent.surge == 0 || under_way || checks || may_be_late() {
            let listed = self.looker.oneshots(at).await;
            let doing = "looking at pulls and checks of a configuration";
            or_missing(listed, doing, &mut missing)
        } else {
            Default::default()
        };
        let (refused_return, ended) = self.know(|known| {
            known.ended.note(&pods, at);
            if let Some(took) = known.timing.note(&pods, Instant::now()) {
                timing::keep(&mut lock(&self.context.moves), took);
            }
            (known.refused_return.clone(), known.ended.clone())
        });
        let (taken, refused_stop, refused_creations, refused_oneshots) = self.know(|known| {
            (
                known.taken.clone(),
                known.refused_stop.clone(),
                known.refused_creations.clone(),
                known.refused_oneshots.clone(),
            )
        });
        let claims = self.claims(&pods, thorough).await;
        let claims = claims.unwrap_or_else(|error| {
            missing.get_or_insert(error);
            Vec::new()
        });
        let mut database = self.database();
        database.duals = duals(&pods, &claims);
        let best_timed = self.best_timed(&pods);
        let seen = Observation {
            at,
            intent,
            revisions: self.kept.revisions.clone(),
            pods,
            pulls,
            validations,
            database,
            claims,
            taken,
            refused_stop,
            refused_creations,
            refused_oneshots,
            refused_return,
            best_timed,
            ended,
            machines,
        };
        Ok(Seen { seen, missing })
    }
}

/// Who may hold a lock and is a node in `dual` mode.
fn duals(pods: &[Pod], claims: &[Claim]) -> Vec<Holder> {
    let is_dual = |pod: &&Pod| {
        let revision = pod.revision.as_ref();
        revision.and_then(|revision| revision.lock.mode()) == Some(LockMode::Dual)
    };
    let own = pods.iter().filter(is_dual);
    let others = claims
        .iter()
        .filter(|claim| claim.mode == Some(LockMode::Dual));
    own.map(|pod| Holder::Pod(pod.id.clone()))
        .chain(others.flat_map(|claim| claim.addresses.iter().map(|at| Holder::Elsewhere(*at))))
        .collect()
}
