//! The loop: look, plan, write the intent, act.
//!
//! Each pass fetches the resource afresh, resolves its spec to a revision and keeps it, looks at its
//! pods, plans, writes the status (with the intent in it, under the resource's `resourceVersion`),
//! tells what it is about to do, and does it. Before a stop it looks and plans once more.

mod budgets;
mod carry_out;
mod database;
mod intent;
mod known;
mod pass;
mod second_look;
mod secrets;
mod shared;
mod status;
mod streams;
mod troubles;
mod turns;
mod watchdog;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api::ChainlinkNode;
use crate::observe::{Machines, Witnesses};
use crate::report::{Metrics, Note};

use database::Asked;
use known::Known;
use pass::Pass;
use shared::Reservation;
use turns::Turns;

pub use database::DatabaseAccess;
pub use streams::{run, served};
pub use watchdog::Watchdog;

/// A pass is given up after this time: an API server that is cut off never answers.
const LONGEST_PASS: Duration = Duration::from_secs(60);
/// Between two tries after an error.
const RETRY: Duration = Duration::from_secs(2);

/// What went wrong in a pass. The next pass begins anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Api {
        doing: &'static str,
        #[source]
        source: kube::Error,
    },
    #[error("{0}")]
    Unfinished(String),
    #[error("the API server did not answer within {} s", LONGEST_PASS.as_secs())]
    Slow,
}

trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Api { doing, source })
    }
}

/// What an installation can choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How many resources may move their lock at a time; 0 is no limit.
    pub max_handovers: usize,
    /// Whether machines are watched, so that those which are being emptied are left by handover.
    pub watch_machines: bool,
    /// Whether the databases may be asked.
    pub database: DatabaseAccess,
}

/// What passes share.
pub struct Context {
    client: Client,
    settings: Settings,
    witnesses: Witnesses,
    machines: Machines,
    turns: Turns,
    wake: mpsc::UnboundedSender<ObjectRef<ChainlinkNode>>,
    reporter: Reporter,
    metrics: Metrics,
    watchdog: Watchdog,
    /// What is known of each resource, by its uid.
    known: Mutex<HashMap<String, Known>>,
    /// What the database of a resource said last, by the resource's uid.
    words: Mutex<HashMap<String, Asked>>,
    /// What resources are about to take a database by, by their uids.
    reserved: Mutex<HashMap<String, Reservation>>,
    /// All resources, as the controllers of their namespaces know them.
    stores: Mutex<Vec<Store<ChainlinkNode>>>,
}

impl Context {
    /// A context, and the stream of resources that its witnesses want looked at.
    pub fn new(
        client: Client,
        settings: Settings,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>) {
        let (wake, woken) = mpsc::unbounded_channel();
        let reporter = Reporter {
            controller: "chainlink-operator".to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        let context = Self {
            settings,
            witnesses: Witnesses::new(client.clone(), wake.clone()),
            machines: Machines::default(),
            turns: Turns::new(settings.max_handovers),
            wake,
            reporter,
            metrics: Metrics::default(),
            watchdog: Watchdog::default(),
            known: Mutex::default(),
            words: Mutex::default(),
            reserved: Mutex::default(),
            stores: Mutex::default(),
            client,
        };
        (Arc::new(context), woken)
    }

    /// Publishes events about a resource, and waits until that has been tried.
    async fn tell(&self, node: &ChainlinkNode, notes: impl IntoIterator<Item = Note>) {
        let about = node.object_ref(&());
        join_all(notes.into_iter().map(async |note| {
            let event = Event {
                type_: if note.warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                note: Some(note.short_text().to_owned()),
                reason: note.reason,
                action: note.action.to_owned(),
                secondary: None,
            };
            // A recorder folds later events of one reason into the text of the first: each gets its own.
            let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::warn!(%error, "an event could not be published");
            }
        }))
        .await;
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the loops turn.
    pub fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature is the controller's
fn retry(node: Arc<ChainlinkNode>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.failed();
    tracing::warn!(node = node.name_any(), namespace = node.namespace(), %error, "will be tried again");
    Action::requeue(RETRY)
}

/// One pass over one resource.
pub async fn reconcile(node: Arc<ChainlinkNode>, context: Arc<Context>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(node.as_ref());
    let progress = || {
        let namespace = reference.namespace.as_deref();
        context.watchdog.progress(namespace, Instant::now());
    };
    progress();
    let result = timeout(LONGEST_PASS, Box::pin(one_pass(node, &context, &reference))).await;
    progress();
    // As good as a crash: the next pass goes on from what is written (rule S4).
    result.unwrap_or(Err(Error::Slow))
}

async fn one_pass(
    node: Arc<ChainlinkNode>,
    context: &Context,
    reference: &ObjectRef<ChainlinkNode>,
) -> Result<Action, Error> {
    let api: Api<ChainlinkNode> = Api::namespaced(
        context.client.clone(),
        &node.namespace().unwrap_or_default(),
    );
    let fresh = api
        .get_opt(&node.name_any())
        .await
        .doing("reading the resource")?;
    let Some(node) = fresh.filter(|node| node.metadata.deletion_timestamp.is_none()) else {
        // What belongs to it goes by its owner references, with or without this operator.
        context.forget(reference);
        return Ok(Action::await_change());
    };
    let pass = async {
        let pass = Pass::begin(context, &node, &api).await?;
        Box::pin(pass.finish()).await
    };
    let result = pass.await;
    match &result {
        Ok(_) => context.know(reference, |known| known.refused_look = None),
        Err(error) => status::tell_refusal(context, error, reference, &node, &api).await,
    }
    result
}
