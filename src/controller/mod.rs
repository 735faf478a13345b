//! The loop: look, plan, write the intent, act.
//!
//! Each pass fetches the resource afresh, resolves its spec to a revision and keeps it, looks at its
//! pods, plans, writes the status (with the intent in it, under the resource's `resourceVersion`),
//! tells what it is about to do, and does it. Before a stop it looks and plans once more.
//!
//! `run` says what wakes a resource, and [`reconcile`] makes one pass of it, within a time. `pass` is that pass, step by step, and `retry` says when the
//! next one begins after one that failed.
//! `rest` keeps what was read where nothing is left to do, so that a resource at rest costs no requests.
//! What outlives a pass is in `context`, with `local` (what this process knows of a resource), `slots` (who may move its lock
//! now), `beside` (how soon one is looked at again beside others), `timing` (when a planned stop is due), `leading` (what begins and ends with the lead of this operator), `failures` (what the API server did not do), `failing` (since when passes fail, and how long each is waited with) and `watchdog` (whether the loops turn).

mod beside;
mod context;
mod error;
mod failing;
mod failures;
mod leading;
mod line;
mod local;
mod pass;
mod rest;
mod retry;
mod run;
mod slots;
mod timing;
mod watchdog;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use tokio::time::timeout;

use crate::api::ChainlinkNode;
use crate::cluster::Listener;

use error::{Doing, LONGEST_PASS};
use pass::{Done, tell_failure};

pub use context::{Context, DatabaseAccess, Settings};
pub use error::Error;
pub use run::{run, served};
pub use watchdog::Watchdog;

/// How long it may take to tell that a pass has failed.
const TOLD: Duration = Duration::from_secs(10);

/// One pass over one resource.
pub async fn reconcile(node: Arc<ChainlinkNode>, context: Arc<Context>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(node.as_ref());
    let progress = || {
        let namespace = reference.namespace.as_deref();
        context.watchdog.progress(namespace, Instant::now());
    };
    progress();
    let api: Api<ChainlinkNode> = Api::namespaced(
        context.client.clone(),
        &node.namespace().unwrap_or_default(),
    );
    let pass = Box::pin(one_pass(&node, &context, &reference));
    let began = Instant::now();
    // As good as a crash: the next pass goes on from what is written (rule S4).
    let result = tokio::select! {
        biased;
        // Also where this operator has not begun to lead. All are woken once it does.
        () = context.leadership.lost() => return Ok(Action::await_change()),
        result = pass => result,
    };
    context.metrics.passed(began.elapsed());
    match &result {
        Ok(_) => retry::recovered(&reference, &context),
        Err(_) if !context.leadership.leads() => {}
        Err(error) => {
            let told = Box::pin(tell_failure(&context, error, &reference, &node, &api));
            if timeout(TOLD, told).await.is_err() {
                context.know(&reference, |known| {
                    line::again!(&mut known.lines, &reference, &error.to_string(); "the API server is so slow that the status could not be written to say that looks at this resource fail");
                });
            }
        }
    }
    progress();
    result
}

/// One pass, by what the last one has read where that is still so; else, and where that is not enough, by what is there now,
/// and in its turn.
async fn one_pass(
    node: &ChainlinkNode,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Result<Action, Error> {
    let recalled = timeout(LONGEST_PASS, recalled_pass(node, context, reference)).await;
    if let Some(again) = recalled.map_err(|_| Error::Slow)? {
        return Ok(again);
    }
    // It is closed by nobody.
    let _turn = context.turns.acquire().await;
    let pass = Box::pin(whole_pass(node, context, reference));
    let pass = timeout(LONGEST_PASS, pass).await;
    pass.unwrap_or(Err(Error::Slow))
}

/// One pass by what the last one has read. Nothing where there is none, or where that is not enough.
async fn recalled_pass(
    node: &ChainlinkNode,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Option<Action> {
    let version = node.metadata.resource_version.as_deref();
    let remembered = context.know(reference, |known| known.rest.remembered(version))?;
    if remembered.looks {
        let at = Timestamp::now();
        if !remembered.reads.hold(&context.client, "pods").await {
            context.stir_whole(reference);
            return None;
        }
        context.know(reference, |known| known.rest.looked(at));
    }
    let (client, unlike) = remembered.reads.recall();
    let calls = (&client, Some(remembered.at));
    let pass = Box::pin(pass_by(calls, node, context, reference));
    let recalled = tokio::select! {
        () = unlike.notified() => None,
        result = pass => result.ok(),
    };
    if recalled.is_none() {
        context.stir(reference);
    }
    recalled.map(|(done, _)| done.again)
}

/// One pass by what is there now. What it has read is kept where nothing is left to do.
async fn whole_pass(
    node: &ChainlinkNode,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Result<Action, Error> {
    let since = context.know(reference, |known| {
        known.rest.look();
        known.rest.stirs()
    });
    let at = Timestamp::now();
    let (client, listener) = Listener::of(&context.client);
    let pass = Box::pin(pass_by((&client, None), node, context, reference));
    let (done, version) = pass.await?;
    if done.rests
        && context.hears()
        && let Some(reads) = listener.heard()
    {
        context.know(reference, |known| {
            known.rest.keep(version, (at, reads), since);
        });
    }
    Ok(done.again)
}

/// One pass by this client, and the version of the resource that it was about.
async fn pass_by(
    calls: (&Client, Option<Timestamp>),
    node: &ChainlinkNode,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Result<(Done, Option<String>), Error> {
    let namespace = node.namespace().unwrap_or_default();
    let api: Api<ChainlinkNode> = Api::namespaced(calls.0.clone(), &namespace);
    let fresh = api
        .get_opt(&node.name_any())
        .await
        .doing("reading the resource")?;
    let Some(node) = fresh.filter(|node| node.metadata.deletion_timestamp.is_none()) else {
        // What belongs to it goes by its owner references, with or without this operator.
        context.forget(reference);
        let again = Action::await_change();
        return Ok((
            Done {
                again,
                rests: false,
            },
            None,
        ));
    };
    context.fence(&node, reference).await?;
    let done = pass::run(context, calls, &node, &api).await?;
    Ok((done, node.resource_version()))
}
