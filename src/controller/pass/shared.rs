//! Other resources on the same database: intended while one takes over from the other, and otherwise a mistake. What they
//! have there, or are about to have, counts like pods of one's own before a pod is made (rule S7).

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};

use super::scene::Pass;
use crate::api::{ChainlinkNode, KeyRef};
use crate::build;
use crate::controller::error::{Doing, Error};
use crate::controller::local::Reservation;
use crate::domain::{Claim, Pod, Revision, wanted_spec};
use crate::mutex::lock;
use crate::node::LockMode;
use crate::plan::{Act, Plan};
use crate::report::Sharer;

impl Pass<'_> {
    /// Every other resource whose spec leads to this one's database, as far as that can be told: both name the same key
    /// of the same Secret, or the operator has read both URLs. With the key that the other's URL was read from, if it leads there.
    pub(super) fn neighbours(&self) -> Vec<(Arc<ChainlinkNode>, Option<KeyRef>)> {
        let all: Vec<_> = lock(&self.context.stores)
            .iter()
            .flat_map(Store::state)
            .collect();
        // Every pass asks, at rest as well: nothing is copied of those that lead elsewhere.
        let answers = lock(&self.context.answers);
        let target_of = |node: &ChainlinkNode| {
            let last = answers.get(node.metadata.uid.as_deref()?)?;
            last.leads_to.as_ref()
        };
        let ours = target_of(self.node);
        let leads_here = |other: &ChainlinkNode| {
            let (target, key) = target_of(other)?;
            ours?.0.is_that_of(target).then(|| key.clone())
        };
        let others = all
            .into_iter()
            .filter(|other| other.metadata.uid != self.node.metadata.uid);
        others
            .map(|other| {
                let key = leads_here(&other);
                (other, key)
            })
            .filter(|(other, key)| key.is_some() || names_same_key(self.node, other))
            .collect()
    }

    /// The other resources that ask for pods on this one's database.
    pub(super) fn sharers(&self) -> Vec<Sharer> {
        if !runs(self.node) {
            return Vec::new();
        }
        let mode = lock_mode(self.node);
        let mut sharers: Vec<Sharer> = self
            .neighbours()
            .iter()
            .filter(|(other, _)| runs(other))
            .map(|(other, _)| Sharer {
                name: name(self.node, other),
                // A spec that can't be turned into pods is refused for that.
                sees: mode
                    .zip(lock_mode(other))
                    .is_none_or(|(one, other)| one.sees(other)),
            })
            .collect();
        sharers.sort();
        sharers
    }

    /// What other resources have, or are about to have, on this one's database. Before a pod is made the look is
    /// `thorough`: pods count whatever became of their resource, and intents as they stand in the API server now. At
    /// other times only resources that name this database are looked at.
    pub(super) async fn claims(&self, own: &[Pod], thorough: bool) -> Result<Vec<Claim>, Error> {
        let neighbours = self.neighbours();
        if neighbours.is_empty() && !thorough {
            return Ok(Vec::new());
        }
        let mut claims = Vec::new();
        let ours = self.node.spec.database.url.secret_key_ref.as_ref();
        if let Some(key) = ours {
            let listed = self.looker.claims_on_key(key).await;
            claims = listed.doing("looking at the pods of other resources")?;
        }
        for (other, key) in &neighbours {
            let same_key = other.namespace() == self.node.namespace() && key.as_ref() == ours;
            let Some(key) = key.as_ref().filter(|_| !same_key) else {
                continue;
            };
            let of = name(self.node, other);
            let listed = self.looker.claims_of(other, key, &of).await;
            claims.extend(listed.doing("looking at the pods of another resource")?);
        }
        if thorough {
            for (other, _) in &neighbours {
                claims.extend(self.intent_of(other, own, &claims).await?);
            }
        }
        Ok(claims)
    }

    /// What another resource without pods is about to have on this database: the pod that it has written down; or, where
    /// neither resource has any yet, the first pod of the older one.
    async fn intent_of(
        &self,
        other: &ChainlinkNode,
        own: &[Pod],
        claims: &[Claim],
    ) -> Result<Option<Claim>, Error> {
        let of = name(self.node, other);
        let client = self.client.clone();
        let namespace = other.namespace().unwrap_or_default();
        let api: Api<ChainlinkNode> = Api::namespaced(client.clone(), &namespace);
        let fresh = api.get_opt(&other.name_any()).await;
        let Some(other) = fresh.doing("reading another resource")?.filter(runs) else {
            return Ok(None);
        };
        let claim = |mode, lock_id_hidden| Claim {
            of: of.clone(),
            pod: None,
            mode,
            lock_id_hidden,
            same_key: names_same_key(self.node, &other),
            works: false,
            addresses: Vec::new(),
        };
        let creating = |node: &ChainlinkNode| node.status.as_ref()?.operator.creating.clone();
        if let Some(creating) = creating(&other) {
            let there = |claim: &Claim| claim.pod.as_ref() == Some(&creating.pod);
            if claims.iter().any(there) {
                return Ok(None);
            }
            let revisions: Api<ControllerRevision> = Api::namespaced(client, &namespace);
            let kept = revisions.get_opt(creating.revision.as_str()).await;
            let kept = kept.doing("reading the revision of another resource")?;
            let made = kept.and_then(|kept| build::content_of(&kept).ok());
            let made = made.map(|content| content.named(creating.revision.clone()));
            return Ok(Some(claim(
                made.as_ref().and_then(|made| made.lock.mode()),
                made.is_none_or(|made| made.lock_id_hidden),
            )));
        }
        let has_begun = |node: &ChainlinkNode| {
            let status = node.status.as_ref();
            status.is_some_and(|status| status.operator.last_active.is_some())
        };
        let begins = own.iter().all(Pod::ended) && !has_begun(self.node);
        let first = begins
            && creating(self.node).is_none()
            && claims.iter().all(|claim| claim.of != of)
            && !other.spec.paused
            && age(&other) < age(self.node);
        let mode = lock_mode(&other).filter(|_| first);
        Ok(mode.map(|mode| claim(Some(mode), false)))
    }

    /// Reserves what the plan is about to make, for as long as nobody else can see it. Two resources that look at the
    /// same moment see neither's intent: here, under one lock, the second finds the first. Says whether it may be written.
    pub(super) fn reserve(&self, plan: &Plan) -> bool {
        let uid = self.node.uid().unwrap_or_default();
        let mut made = plan.acts.iter().filter_map(|act| match act {
            Act::Create { revision, .. } => self.kept.revisions.get(revision),
            _ => None,
        });
        let Some(revision) = made.next() else {
            if plan.memory.creating.is_none() {
                self.context.release(&uid);
            }
            return true;
        };
        let new = self.reservation(revision);
        let proven = plan.memory.last_worked.as_ref() == Some(&revision.name);
        let mut reserved = lock(&self.context.reserved);
        let differs = |(of, other): (&String, &Reservation)| {
            *of != uid && new.is_of_one_database(other) && !new.sees(other)
        };
        if !proven && reserved.iter().any(differs) {
            return false;
        }
        reserved.insert(uid, new);
        true
    }

    fn reservation(&self, revision: &Revision) -> Reservation {
        Reservation {
            namespace: self.node.namespace(),
            key: self.node.spec.database.url.secret_key_ref.clone(),
            target: self.target_of(self.node).map(|(target, _)| target),
            mode: revision.lock.mode(),
            lock_id_hidden: revision.lock_id_hidden,
        }
    }
}

/// How the pods that a resource asks for take the database; `None` where it can't be turned into pods.
fn lock_mode(node: &ChainlinkNode) -> Option<LockMode> {
    build::lock_mode(wanted_spec(node).ok()?.as_ref())
}

fn runs(node: &ChainlinkNode) -> bool {
    node.spec.replicas > 0 && node.metadata.deletion_timestamp.is_none()
}

/// The older of two is the lesser.
fn age(node: &ChainlinkNode) -> (Option<jiff::Timestamp>, Option<String>) {
    let created = node.meta().creation_timestamp.as_ref();
    (created.map(|time| time.0), node.uid())
}

fn names_same_key(one: &ChainlinkNode, other: &ChainlinkNode) -> bool {
    let (ours, theirs) = (&one.spec.database.url, &other.spec.database.url);
    one.metadata.namespace == other.metadata.namespace
        && ours.secret_key_ref.is_some()
        && ours.secret_key_ref == theirs.secret_key_ref
}

fn name(node: &ChainlinkNode, other: &ChainlinkNode) -> String {
    match other.namespace() {
        Some(namespace) if node.namespace().as_ref() != Some(&namespace) => {
            format!("{namespace}/{}", other.name_any())
        }
        _ => other.name_any(),
    }
}
