//! When a resource is looked at again after a pass over it has failed, and what is counted and logged of that.
//!
//! A pause holds nothing but the next try: what changes in the cluster, and what a witness sees, begins a pass at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::context::Context;
use super::error::Error;
use super::failing::{Failing, LONGEST};
use super::line::line;
use crate::api::ChainlinkNode;

/// While the lock moves nobody may be at work: it is looked at again as soon as that.
const WHILE_THE_LOCK_MOVES: Duration = Duration::from_secs(2);

/// Whether nobody works as far as the status tells, or its active is about to be stopped.
fn lock_moves(node: &ChainlinkNode) -> bool {
    node.status.as_ref().is_some_and(|status| {
        let memory = &status.operator;
        memory.stop_of_active().is_some()
            || (status.active.is_none() && memory.last_active.is_some())
    })
}

/// A pause before the next try, as long as it may be now.
pub(super) fn short_while_the_lock_moves(node: &ChainlinkNode, pause: Duration) -> Duration {
    if lock_moves(node) {
        pause.min(WHILE_THE_LOCK_MOVES)
    } else {
        pause
    }
}

/// How long until a resource is looked at again, after a pass over it has failed. Counts and logs that.
pub(super) fn pause(node: &ChainlinkNode, error: &Error, context: &Context) -> Duration {
    let reference = ObjectRef::from_obj(node);
    context.metrics.failed();
    let generation = node.metadata.generation;
    let said = error.to_string();
    context.know(&reference, |known| {
        let failing = known
            .failing
            .get_or_insert_with(|| Failing::begins(generation));
        if let Some(times) = failing.log.again(&said, Instant::now()) {
            line!(
                warn,
                &reference,
                error = said,
                times,
                "a look at this resource failed: it is tried again by itself, ever later, at least every {} s",
                2 * LONGEST.as_secs()
            );
        }
        short_while_the_lock_moves(node, failing.pauses.next(generation))
    })
}

/// What the controller does after a pass that has failed.
#[allow(clippy::needless_pass_by_value)] // the signature is the controller's
pub(super) fn retry(node: Arc<ChainlinkNode>, error: &Error, context: Arc<Context>) -> Action {
    Action::requeue(pause(&node, error, &context))
}

/// A pass has gone through: the next one that fails is the first one again.
pub(super) fn recovered(reference: &ObjectRef<ChainlinkNode>, context: &Context) {
    let failed = context.know(reference, |known| known.failing.take());
    if let Some(failed) = failed {
        line!(
            info,
            reference,
            times = failed.log.times(),
            "looks at this resource go through again"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use kube::Client;

    use super::*;
    use crate::api::{ChainlinkNodeStatus, LastActive, Memory, Stop};
    use crate::controller::Settings;

    fn context() -> Arc<Context> {
        let nowhere = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
        Context::new(Client::new(nowhere, "default"), Settings::default()).0
    }

    fn node(name: &str) -> ChainlinkNode {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": name, "namespace": "a", "uid": name, "generation": 1},
            "spec": {
                "version": "2.28.0",
                "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
                "credentials": {
                    "keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}},
                },
            },
        }))
        .unwrap()
    }

    fn pauses_of(node: &ChainlinkNode, context: &Context, times: usize) -> Vec<Duration> {
        let pauses = (0..times).map(|_| pause(node, &Error::Slow, context));
        pauses.collect()
    }

    /// Each is a second, two, four, … and at most as much again.
    fn begin_anew(pauses: &[Duration]) {
        for (pause, seconds) in pauses.iter().zip([1, 2, 4, 8, 15, 15, 15, 15]) {
            let least = Duration::from_secs(seconds);
            assert!((least..=2 * least).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test]
    async fn one_that_fails_for_ever_is_tried_ever_later_and_makes_no_other_wait() {
        let context = context();
        let of_one = pauses_of(&node("one"), &context, 200);
        begin_anew(&of_one);
        assert!(of_one.iter().all(|pause| *pause <= 2 * LONGEST));
        let of_other = pauses_of(&node("other"), &context, 8);
        begin_anew(&of_other);
        assert_ne!(of_one[..8], of_other, "they do not come back together");
    }

    #[tokio::test]
    async fn after_a_pass_that_went_through_and_for_another_spec_it_begins_anew() {
        let context = context();
        let mut node = node("one");
        pauses_of(&node, &context, 8);
        recovered(&ObjectRef::from_obj(&node), &context);
        begin_anew(&pauses_of(&node, &context, 8));
        node.metadata.generation = Some(2);
        begin_anew(&pauses_of(&node, &context, 8));
    }

    #[tokio::test]
    async fn while_the_lock_moves_it_is_looked_at_soon() {
        let context = context();
        let mut node = node("one");
        let status = |active: Option<&str>, operator: Memory| {
            Some(ChainlinkNodeStatus {
                active: active.map(str::to_owned),
                operator,
                ..ChainlinkNodeStatus::default()
            })
        };
        let known = Memory {
            last_active: Some(LastActive::default()),
            ..Memory::default()
        };
        let stop = Stop {
            pod: "a".to_owned(),
            uid: "a".to_owned(),
            active: true,
            successor: None,
            to: None,
            reason: String::new(),
            purpose: None,
            at: jiff::Timestamp::UNIX_EPOCH,
            over: false,
        };
        let stops = Memory {
            stopping: Some(stop),
            ..known.clone()
        };
        pauses_of(&node, &context, 8);
        for (status, moves) in [
            (status(Some("a"), known.clone()), false),
            (status(Some("a"), stops), true),
            (status(None, known), true),
            (status(None, Memory::default()), false),
        ] {
            node.status = status;
            let pause = pauses_of(&node, &context, 1)[0];
            assert_eq!(pause <= WHILE_THE_LOCK_MOVES, moves, "{pause:?}");
        }
    }
}
