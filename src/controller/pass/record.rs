//! The status is written before anything is done: it holds the intent (rule S4). What comes back has to be what was
//! sent, as an older CRD drops fields without a word; and right before an act it is asked whether it still stands.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::Value;
use tokio::time::timeout;

use super::scene::Pass;
use crate::act::Recorded;
use crate::api::{ChainlinkNode, ChainlinkNodeStatus};
use crate::controller::error::{Doing, Error};
use crate::domain::Reason;
use crate::plan::{Blocked, Plan};

/// The reason for which nothing is done.
const OUTDATED: Reason = Reason::CrdOutdated;
/// Where the intent of a plan stands.
const MEMORY: &str = "status.operator";

/// How long the API server may take to say whether a plan still stands, and with the delete that follows. A delete that it is
/// slow to accept is one whose reasons grow old meanwhile.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Whether a plan that was recorded still stands: the resource is as it was written with its intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Yes,
    /// The spec, or another operator its memory, was written since.
    No,
    /// The API server did not say so in time.
    NotSaid,
}

/// What came of writing a status.
#[derive(Clone, Debug)]
pub(super) enum Written<'p> {
    /// It stands as it was sent, with the intent of the plan in it.
    Whole(Recorded<'p>),
    /// Somebody else wrote in between: the plan is worth nothing any more.
    Overtaken,
    /// The API server dropped this field of it.
    Pruned { field: String, version: String },
    /// It would again, as was told before: nothing was written.
    StillPruned,
}

impl Pass<'_> {
    /// Writes the status of a plan where it differs.
    pub(super) async fn write<'p>(
        &self,
        plan: &'p Plan,
        old: &ChainlinkNodeStatus,
        new: &ChainlinkNodeStatus,
    ) -> Result<Written<'p>, Error> {
        // What was read holds the intent already.
        if old == new
            && let Some(recorded) = Recorded::of(plan, self.node)
        {
            return Ok(Written::Whole(recorded));
        }
        let version = self.node.resource_version().unwrap_or_default();
        // What was dropped before would be again, and each time something else would be lost.
        if is_told(old)
            && let Some(written) = self.put(new, &version, true).await?
            && dropped(new, &written).is_some()
        {
            return Ok(Written::StillPruned);
        }
        let Some(written) = self.put(new, &version, false).await? else {
            return Ok(Written::Overtaken);
        };
        Ok(
            match (dropped(new, &written), Recorded::of(plan, &written)) {
                (None, Some(recorded)) => Written::Whole(recorded),
                (field, _) => Written::Pruned {
                    field: field.unwrap_or_else(|| MEMORY.to_owned()),
                    version: written.resource_version().unwrap_or_default(),
                },
            },
        )
    }

    /// Asks right before an act, and waits for the answer no longer than `within`: an operator may have been frozen since it
    /// wrote its intent.
    pub(super) async fn stands(
        &self,
        recorded: &Recorded<'_>,
        within: Duration,
    ) -> Result<Stands, Error> {
        let name = self.node.name_any();
        let Ok(now) = timeout(within, self.api.get_opt(&name)).await else {
            return Ok(Stands::NotSaid);
        };
        let now = now.doing("reading the resource")?;
        let version = now.and_then(|node| node.resource_version());
        Ok(if version.as_deref() == Some(recorded.version()) {
            Stands::Yes
        } else {
            Stands::No
        })
    }

    /// Writes a status whatever becomes of it: the last word before a person has to act.
    pub(super) async fn write_what_is_kept(
        &self,
        status: &ChainlinkNodeStatus,
        version: &str,
    ) -> Result<(), Error> {
        self.put(status, version, false).await.map(drop)
    }

    /// The resource with the status in it, as the API server gave it back, if nobody came between.
    async fn put(
        &self,
        status: &ChainlinkNodeStatus,
        version: &str,
        dry_run: bool,
    ) -> Result<Option<ChainlinkNode>, Error> {
        match replace_status(self.api, self.node, status, version, dry_run).await {
            Ok(written) => Ok(Some(written)),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(None)
            }
            Err(error) => Err(error).doing("writing the status"),
        }
    }
}

/// Writes the status if the resource is still of this `version`.
pub(super) async fn replace_status(
    api: &Api<ChainlinkNode>,
    node: &ChainlinkNode,
    status: &ChainlinkNodeStatus,
    version: &str,
    dry_run: bool,
) -> kube::Result<ChainlinkNode> {
    let mut node = node.clone();
    node.metadata.managed_fields = None;
    node.metadata.resource_version = Some(version.to_owned());
    node.status = Some(status.clone());
    let parameters = PostParams {
        dry_run,
        ..PostParams::default()
    };
    api.replace_status(&node.name_any(), &parameters, &node)
        .await
}

/// What a person learns to do.
pub(super) fn outdated(field: &str) -> Blocked {
    Blocked {
        reason: OUTDATED,
        message: format!(
            "the API server does not keep {field}: the CustomResourceDefinition in this cluster is older than this operator, which does nothing that it could not remember. Apply the CRD of this version: helm upgrade with crds.install, or kubectl apply --server-side -f crds/chainlinknodes.yaml"
        ),
        stalled: true,
    }
}

fn is_told(status: &ChainlinkNodeStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|one| one.type_ == "Stalled" && one.status == "True" && one.reason == OUTDATED)
}

/// The first field of the status that did not come back as it was sent.
fn dropped(sent: &ChainlinkNodeStatus, kept: &ChainlinkNode) -> Option<String> {
    let mut kept = kept.status.clone();
    // Nothing is decided by the history: a CRD that is too old for it holds nothing up, and least of all the failover that
    // would be written into it.
    if let Some(kept) = &mut kept {
        kept.history.clone_from(&sent.history);
    }
    let kept = kept.as_ref();
    if Some(sent) == kept {
        return None;
    }
    let json =
        |status: Option<&ChainlinkNodeStatus>| serde_json::to_value(status).unwrap_or_default();
    Some(differing(
        &json(Some(sent)),
        &json(kept),
        "status".to_owned(),
    ))
}

fn differing(sent: &Value, kept: &Value, path: String) -> String {
    let mut fields = sent.as_object().into_iter().flatten();
    let Some((name, value)) = fields.find(|(name, value)| kept.get(name) != Some(value)) else {
        return path;
    };
    let inner = format!("{path}.{name}");
    match kept.get(name) {
        Some(kept) => differing(value, kept, inner),
        None => inner,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::LockMove;

    #[test]
    fn only_the_history_may_be_lost_to_an_older_crd() {
        let taken = LockMove {
            to: "a (2.28.0)".to_owned(),
            ..LockMove::default()
        };
        let sent = ChainlinkNodeStatus {
            phase: Some("Running".to_owned()),
            history: vec![taken],
            ..ChainlinkNodeStatus::default()
        };
        let kept = |change: fn(&mut ChainlinkNodeStatus)| {
            let mut node = ChainlinkNode::new("cl", serde_json::from_value(spec()).unwrap());
            let mut status = sent.clone();
            change(&mut status);
            node.status = Some(status);
            dropped(&sent, &node)
        };
        assert_eq!(kept(|_| {}), None);
        assert_eq!(kept(|status| status.history.clear()), None);
        let lost = kept(|status| {
            status.history.clear();
            status.phase = None;
        });
        assert_eq!(lost.as_deref(), Some("status.phase"));
    }

    fn spec() -> Value {
        json!({
            "version": "2.28.0",
            "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
            "credentials": {
                "keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}},
            },
        })
    }

    #[test]
    fn the_field_that_was_dropped_is_named() {
        let sent =
            json!({"phase": "Running", "operator": {"podsMade": 1, "validation": {"attempt": 1}}});
        let kept = json!({"phase": "Running", "operator": {"podsMade": 1}});
        let named = differing(&sent, &kept, "status".to_owned());
        assert_eq!(named, "status.operator.validation");
    }
}
