//! The content of the Secrets that pods read, looked at now and then where the operator may read it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use super::Context;
use super::database::DatabaseAccess;
use crate::api::{ChainlinkNode, SecretsSeen};
use crate::build::{SecretData, referenced_secrets, secrets_seen};

/// Between two looks: nobody says when a Secret changes, as the operator may only read those that it can name.
const NOW_AND_THEN: Duration = Duration::from_secs(30);

/// What is to be remembered of the Secrets of a resource. What can't be told now is as it was.
pub(super) async fn look(
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
    node: &ChainlinkNode,
) -> Option<SecretsSeen> {
    let status = node.status.as_ref();
    let before = status.and_then(|status| status.operator.secrets.clone());
    // While the lock moves nothing stands between two looks at the pods.
    let moves = status.is_some_and(|status| {
        let stop = status.operator.stopping.as_ref();
        stop.is_some_and(|stop| stop.active)
    });
    let generation = node.metadata.generation;
    let due = context.know(reference, |known| {
        known
            .secrets_at
            .is_none_or(|(of, at)| of != generation || at.elapsed() >= NOW_AND_THEN)
    });
    if context.settings.database == DatabaseAccess::No || node.spec.replicas == 0 || moves || !due {
        return before;
    }
    let uses = referenced_secrets(&node.spec);
    let names: BTreeSet<&str> = uses.iter().map(|one| one.name.as_str()).collect();
    let namespace = node.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let mut data = SecretData::new();
    for name in names {
        let read = match api.get_opt(name).await {
            Ok(read) => read,
            // The installation may allow some of them only.
            Err(kube::Error::Api(status)) if status.is_forbidden() => continue,
            Err(error) => {
                tracing::debug!(%error, name, "a Secret could not be looked at");
                return before;
            }
        };
        let values = read.map(|secret| {
            let values = secret.data.unwrap_or_default().into_iter();
            values.map(|(key, value)| (key, value.0)).collect()
        });
        data.insert(name.to_owned(), values);
    }
    context.know(reference, |known| {
        known.secrets_at = Some((generation, Instant::now()));
    });
    let uid = node.uid().unwrap_or_default();
    secrets_seen(before.as_ref(), &uid, &uses, &data)
}
