//! What a pod means for a database that it shares with the pods of another resource: how it takes its lock, and whether it
//! works. Only read here; whether a pod may be made beside it is for the planner's guard to say.

use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::ResourceExt;

use super::api_pod::{addresses, running};
use super::container::container;
use super::record::record;
use crate::api::KeyRef;
use crate::api::names::{CONTAINER, LOCK_ANNOTATION};
use crate::domain::{Claim, Container, Lock};
use crate::node::lock::LOCK_ID_VARIABLE;

/// Whether a Secret may give the node of this pod another `ADVISORY_LOCK_ID`: its variables name none, and it takes a
/// whole Secret as variables. A variable of its own beats those.
pub(super) fn hides_its_lock_id(pod: &ApiPod) -> bool {
    let Some(node) = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.containers.iter().find(|one| one.name == CONTAINER))
    else {
        return false;
    };
    let mut named = node.env.iter().flatten();
    let mut whole = node.env_from.iter().flatten();
    whole.any(|from| from.secret_ref.is_some()) && !named.any(|one| one.name == LOCK_ID_VARIABLE)
}

/// What another resource's pod means for a database: `None` once it can't run again. Its lock is told as on pods.
pub(super) fn claim(pod: &ApiPod, of: String, same_key: bool) -> Option<Claim> {
    if matches!(container(pod, None), Container::Ended { .. }) {
        return None;
    }
    let took = running(pod).and_then(|(key, _)| record(pod, &key.container_id).took);
    Some(Claim {
        of,
        pod: pod.metadata.name.clone(),
        mode: lock(pod).and_then(|lock| lock.mode()),
        lock_id_hidden: hides_its_lock_id(pod),
        same_key,
        works: took.is_some(),
        addresses: addresses(pod),
    })
}

/// Whether a pod reads its database URL from that key of that Secret.
pub(super) fn takes(pod: &impl ResourceExt, key: &KeyRef) -> bool {
    lock(pod).is_some_and(|lock| lock.is_at(key))
}

/// The lock that a pod takes, as it stands on it.
pub(super) fn lock(pod: &impl ResourceExt) -> Option<Lock> {
    let lock = pod.annotations().get(LOCK_ANNOTATION);
    lock.map(|lock| Lock::read(lock))
}
