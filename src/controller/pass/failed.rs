//! What a pass that ended early leaves to be told: that nobody looked, and why. The status must not stand as if somebody had.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;

use super::log;
use super::record::replace_status;
use crate::api::ChainlinkNode;
use crate::cluster::{refusal, sentence};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::failing::Failing;
use crate::domain::Reason;
use crate::plan::Blocked;
use crate::report;

/// How long passes may fail, where they are not refused, before that is told.
const LASTING: Duration = Duration::from_secs(45);

/// A pass that has ended early has nothing new to report but that: at once where the API server refuses what every pass
/// needs, and where it fails in another way once that has lasted.
pub(in crate::controller) async fn tell_failure(
    context: &Context,
    error: &Error,
    reference: &ObjectRef<ChainlinkNode>,
    node: &ChainlinkNode,
    api: &Api<ChainlinkNode>,
) {
    let (since, before) = context.know(reference, |known| {
        let begins = || Failing::begins(node.metadata.generation);
        let failing = known.failing.get_or_insert_with(begins);
        (failing.since, failing.told)
    });
    let Some((doing, blocked)) = failed_look(error) else {
        return;
    };
    if blocked.reason == Reason::LookFailed && since.elapsed() < LASTING {
        return;
    }
    // As it is now, where that can be had.
    let fresh = api.get_opt(&node.name_any()).await.ok().flatten();
    let node = fresh.as_ref().unwrap_or(node);
    let old = node.status.clone().unwrap_or_default();
    let told = report::not_looked(node, &old, &blocked, Timestamp::now());
    context.metrics.status(node, &told);
    let known = Some((doing, node.metadata.generation));
    context.know(reference, |of| {
        if let Some(failing) = &mut of.failing {
            failing.told = known;
        }
    });
    let new = report::stalled(&old, &told);
    let stands = new.is_none() && old.observed_generation == told.observed_generation;
    if stands {
        return;
    }
    // Once, also where the status can't be written; the words of a webhook may be others each time.
    let is_new = before != known;
    if is_new {
        context.tell(&context.client, node, new).await;
    }
    // With each pass until it stands there: what keeps this one from being written may pass.
    let version = node.resource_version().unwrap_or_default();
    if let Err(error) = replace_status(api, node, &told, &version, false).await {
        let said = sentence(&error);
        context.know(reference, |known| {
            log::again!(&mut known.lines, reference, &said; "the status could not be written to say that looks at this resource fail");
        });
    }
}

/// What failed, and what a person learns of it. What failed in the middle of the acts is told by those.
fn failed_look(error: &Error) -> Option<(&'static str, Blocked)> {
    let fails = |said: String| {
        (
            Reason::LookFailed,
            format!("{said}. Nothing is done before that works again"),
        )
    };
    let (doing, (reason, what)) = match error {
        Error::Api { doing, source } => {
            let told = match refusal(source) {
                Some(said) => (
                    Reason::LookRefused,
                    format!(
                        "the API server refuses it: {said}. Nothing is done before that is allowed"
                    ),
                ),
                None => fails(format!("that keeps failing: {}", sentence(source))),
            };
            (*doing, told)
        }
        Error::Slow => ("looking at this resource", fails(error.to_string())),
        Error::Unfinished(_) => return None,
    };
    let blocked = Blocked {
        reason,
        message: format!("{doing}: {what}, and the rest of this status is of an earlier look"),
        stalled: true,
    };
    Some((doing, blocked))
}
