//! The first step: what a spec refers to is read, and made into the revision that it asks for. What can't be read or kept is
//! a problem of the revision; the pods are looked after all the same.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use super::log::again;
use super::scene::Pass;
use crate::act::{Kept, RevisionStore, Revisions};
use crate::api::{ChainlinkNode, RevisionName, SecretsSeen};
use crate::build::{self, Resolved, RevisionBefore, SecretsLook, referenced_secrets, secrets_seen};
use crate::cluster::{refusal, sentence};
use crate::controller::context::{Context, DatabaseAccess};
use crate::controller::error::{Doing, Error};
use crate::controller::failures::ApiFailures;
use crate::domain::{Problem, Reason, wanted_spec};
use crate::observe::{Looker, read_secrets};

/// Between two looks, at least: nobody says when a Secret changes, as the operator may only read those that it can name.
const NOW_AND_THEN: Duration = Duration::from_secs(30);
/// Of many resources each is looked at so much less often that all together cost a few reads a second.
const EACH: Duration = Duration::from_millis(600);
/// Between two looks, at most.
const SELDOM: Duration = Duration::from_mins(10);

/// Between two looks at the Secrets of one of so many resources.
pub(super) fn between_looks(resources: usize) -> Duration {
    let all = EACH.saturating_mul(u32::try_from(resources).unwrap_or(u32::MAX));
    all.clamp(NOW_AND_THEN, SELDOM)
}

/// The revision that was wanted when the operator last looked.
fn recorded<'a>(node: &'a ChainlinkNode, kept: &Revisions) -> Option<RevisionBefore<'a>> {
    let wanted = node.status.as_ref()?.operator.wanted.as_ref()?;
    Some(RevisionBefore {
        revision: &wanted.name,
        template: kept.contents.get(&wanted.name)?.template,
    })
}

/// Keeps the wanted revision, or says why it can't be. That keeps nobody from looking after the pods.
async fn keep(
    store: &RevisionStore<'_>,
    wanted: Resolved,
    (kept, before): (&mut Revisions, Option<&RevisionName>),
    failures: &mut ApiFailures,
) -> Result<Resolved, Problem> {
    let name = &wanted.revision.name;
    // It was kept whole when it was first wanted.
    let known = before == Some(name) && kept.revisions.contains_key(name);
    let (message, missing) = match store.keep(&wanted, kept).await {
        Ok(Kept::Done) => return Ok(wanted),
        // It may be an object of an earlier resource of this name, and soon gone.
        Ok(Kept::NotOurs(message)) => (message, true),
        Err(error) => match refusal(&error) {
            Some(said) => (
                format!("the API server refuses to keep the revision: {said}"),
                false,
            ),
            // Its files are seen to again before a pod of it is made.
            None if known => {
                failures.fail(
                    Reason::RevisionNotKept,
                    "keep the files of the wanted revision",
                    &error,
                );
                return Ok(wanted);
            }
            None => {
                let said = sentence(&error);
                (format!("the revision could not be kept: {said}"), true)
            }
        },
    };
    Err(Problem {
        reason: Reason::RevisionNotKept,
        message,
        missing,
    })
}

impl<'a> Pass<'a> {
    pub(super) async fn begin(
        context: &'a Context,
        (client, read_at): (&'a Client, Option<Timestamp>),
        node: &'a ChainlinkNode,
        api: &'a Api<ChainlinkNode>,
    ) -> Result<Self, Error> {
        let looker = Looker::new(client, &context.witnesses, node);
        let store = RevisionStore::new(client, node);
        let objects = looker
            .revisions()
            .await
            .doing("reading the kept revisions")?;
        let (own, left) = store.own(objects).await;
        let mut kept = Revisions::read(&own);
        let mut failures = ApiFailures::default();
        let reference = ObjectRef::from_obj(node);
        context.know(&reference, |known| {
            let lines = &mut known.lines;
            if !kept.unread.is_empty() {
                again!(lines, &reference, &kept.unread.join("; "); "a kept revision can't be read");
            }
            if !left.is_empty() {
                again!(lines, &reference, &left.join("; "); "a revision that an earlier resource left could not be taken over");
            }
        });
        // Never from memory: no watch tells of them.
        let secrets = look_at_secrets(context, read_at.is_some(), &reference, node).await;
        let stamp = secrets.as_ref().and_then(|seen| seen.stamp.as_deref());
        let mut unread = None;
        let names = build::referenced_config_maps(&node.spec);
        let resolved = match looker.config_maps(&names).await {
            Ok(maps) => {
                let recorded = recorded(node, &kept);
                wanted_spec(node).and_then(|spec| {
                    build::resolve_after(recorded, &node.name_any(), &spec, &maps, stamp)
                })
            }
            Err(error) => Err(if let Some(said) = refusal(&error) {
                unreadable(&said)
            } else {
                unread = Some(Error::Api {
                    doing: "reading ConfigMaps",
                    source: error,
                });
                unread_for_now()
            }),
        };
        let resolved = match resolved {
            Ok(wanted) => {
                let status = node.status.as_ref();
                let before = status.and_then(|status| status.operator.wanted_name());
                let wanted = keep(&store, wanted, (&mut kept, before), &mut failures).await;
                if let Err(problem) = &wanted {
                    context.know(&reference, |known| {
                        again!(&mut known.lines, &reference, &problem.message; "the wanted revision could not be kept");
                    });
                }
                wanted
            }
            Err(problem) => Err(problem),
        };
        Ok(Self {
            context,
            client,
            read_at,
            node,
            api,
            reference,
            looker,
            store,
            kept,
            resolved,
            secrets,
            failures,
            unread,
        })
    }
}

/// What is to be remembered of the Secrets of a resource. What can't be told now is as it was.
async fn look_at_secrets(
    context: &Context,
    from_memory: bool,
    reference: &ObjectRef<ChainlinkNode>,
    node: &ChainlinkNode,
) -> Option<SecretsSeen> {
    let status = node.status.as_ref();
    let before = status.and_then(|status| status.operator.secrets.clone());
    // While the lock moves nothing stands between two looks at the pods.
    let moves = status.is_some_and(|status| status.operator.stop_of_active().is_some());
    let generation = node.metadata.generation;
    let between = between_looks(context.resources());
    let due = context.know(reference, |known| {
        known
            .secrets_at
            .is_none_or(|(of, at)| of != generation || at.elapsed() >= between)
    });
    if context.settings.database == DatabaseAccess::No || node.spec.replicas == 0 || moves || !due {
        return before;
    }
    let uses = referenced_secrets(&node.spec);
    let names: BTreeSet<&str> = uses.iter().map(|one| one.name.as_str()).collect();
    let namespace = node.namespace().unwrap_or_default();
    let key = match context.digest_key().await {
        Ok(key) => key,
        Err(error) => {
            tracing::debug!(%error, "the key of the digests of Secrets could not be looked at");
            return before;
        }
    };
    let Some(data) = read_secrets(&context.client, &namespace, names).await else {
        return before;
    };
    let look = SecretsLook {
        at: Timestamp::now(),
        uid: &node.uid().unwrap_or_default(),
        spec: &node.spec,
        data: &data,
    };
    let seen = secrets_seen(before.as_ref(), key, look);
    // What is new is for a pass that reads all else as well: the next one, which looks at them again.
    if !from_memory || seen == before {
        context.know(reference, |known| {
            known.secrets_at = Some((generation, Instant::now()));
        });
    }
    seen
}

/// Stands for a spec of which a part could not be read in this pass. Nothing is told or done by it but to set roles.
fn unread_for_now() -> Problem {
    Problem {
        reason: Reason::ConfigMapUnreadable,
        message: "the ConfigMaps of spec.config and spec.pod.volumes could not be read".to_owned(),
        missing: true,
    }
}

fn unreadable(said: &str) -> Problem {
    Problem {
        reason: Reason::ConfigMapUnreadable,
        message: format!(
            "the API server does not let the operator read the ConfigMaps of spec.config and spec.pod.volumes: {said}"
        ),
        missing: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_resources_have_their_secrets_looked_at_less_often_each() {
        for (resources, seconds) in [
            (0, 30),
            (1, 30),
            (50, 30),
            (100, 60),
            (1000, 600),
            (usize::MAX, 600),
        ] {
            assert_eq!(between_looks(resources).as_secs(), seconds, "{resources}");
        }
    }
}
