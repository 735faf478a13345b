//! What all passes share: the client, what this process watches and counts, and what it knows of each resource. It is asked
//! and told things; it decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource};
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio::time::timeout;

use super::beside::Beside;
use super::failures::ApiFailures;
use super::line::again;
use super::local::{Around, LastAnswer, Local, Reservation};
use super::rest::Rest;
use super::slots::HandoverSlots;
use super::timing::Timing;
use super::watchdog::Watchdog;
use crate::act::{DigestKeyAt, digest_key};
use crate::api::ChainlinkNode;
use crate::build::DigestKey;
use crate::cluster::{Calls, RepeatedLines, sentence};
use crate::domain::EndedNodes;
use crate::leader::{Leadership, LeaseAt};
use crate::mutex::lock;
use crate::observe::registry::Registries;
use crate::observe::{Machines, Wake, Witnesses};
use crate::report::{Metrics, Note};

/// So many passes are made at a time, each in its turn. Most of a pass is waiting: for the API server, before a stop for kubelets
/// and for the moment, and where a machine is lost for who does not answer. With 16 of a thousand resources, of which 111 had lost
/// their active, Services followed 26 s late.
pub(super) const TURNS: usize = 200;
/// How long the API server may take to accept an event.
const PUBLISHED: Duration = Duration::from_secs(2);

/// Whether the operator may read the Secrets that hold the database URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseAccess {
    /// It was installed without that right.
    #[default]
    No,
    Yes,
}

/// What an installation can choose.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How many resources may move their lock at a time; 0 is no limit.
    pub max_handovers: usize,
    /// Whether machines are watched, so that those which are being emptied are left by handover.
    pub watch_machines: bool,
    /// Whether the databases may be asked.
    pub database: DatabaseAccess,
    /// Where the key of the digests of Secrets is kept.
    pub digest_key: Option<DigestKeyAt>,
    /// The Lease that decides which of several operators acts; without one this is the only one.
    pub lease: Option<LeaseAt>,
    /// Where the client counts its calls.
    pub calls: Calls,
}

/// What passes share.
pub struct Context {
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) witnesses: Witnesses,
    pub(super) machines: Machines,
    pub(super) registries: Registries,
    pub(super) slots: HandoverSlots,
    /// Who may make a pass, in the order in which it was asked for.
    pub(super) turns: Semaphore,
    /// Who is to be looked at soon.
    pub(super) beside: Beside,
    pub(super) wake: mpsc::UnboundedSender<Wake>,
    pub(super) reporter: Reporter,
    pub(super) metrics: Metrics,
    pub(super) watchdog: Watchdog,
    pub(super) leadership: Leadership,
    /// What is known of each resource, by its uid.
    pub(super) known: Mutex<HashMap<String, Local>>,
    /// What the database of a resource said last, by the resource's uid.
    pub(super) answers: Mutex<HashMap<String, LastAnswer>>,
    /// How long the last planned stops took, of whichever resources, as [`Timing`] counts them.
    pub(super) moves: Mutex<Vec<Duration>>,
    /// What resources are about to take a database by, by their uids.
    pub(super) reserved: Mutex<HashMap<String, Reservation>>,
    /// The key of the digests of Secrets, once it is needed.
    digest_key: OnceCell<DigestKey>,
    /// Whether watches run that tell what changes.
    hears: AtomicBool,
    /// All resources, as the controllers of their namespaces know them.
    pub(super) stores: Mutex<Vec<Store<ChainlinkNode>>>,
}

fn uid(reference: &ObjectRef<ChainlinkNode>) -> String {
    reference.extra.uid.clone().unwrap_or_default()
}

impl Context {
    /// A context, and the stream of resources that its witnesses want looked at.
    pub fn new(client: Client, settings: Settings) -> (Arc<Self>, mpsc::UnboundedReceiver<Wake>) {
        let (wake, woken) = mpsc::unbounded_channel();
        let reporter = Reporter {
            controller: "chainlink-operator".to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        let metrics = Metrics::beside(|registry| settings.calls.register(registry));
        let leadership = Leadership::new(settings.lease.clone());
        metrics.leads(leadership.leads());
        let context = Self {
            witnesses: Witnesses::new(client.clone(), wake.clone()),
            machines: Machines::default(),
            registries: Registries::new(client.clone(), wake.clone()),
            slots: HandoverSlots::new(settings.max_handovers),
            turns: Semaphore::new(TURNS),
            beside: Beside::default(),
            wake,
            reporter,
            metrics,
            watchdog: Watchdog::default(),
            leadership,
            known: Mutex::default(),
            answers: Mutex::default(),
            moves: Mutex::default(),
            reserved: Mutex::default(),
            digest_key: OnceCell::new(),
            hears: AtomicBool::new(false),
            stores: Mutex::default(),
            settings,
            client,
        };
        (Arc::new(context), woken)
    }

    /// Publishes events about a resource by the client of its pass, and waits until that has been tried.
    pub(super) async fn tell(
        &self,
        client: &Client,
        node: &ChainlinkNode,
        notes: impl IntoIterator<Item = Note>,
    ) {
        let (about, reference) = (node.object_ref(&()), ObjectRef::from_obj(node));
        join_all(notes.into_iter().map(async |note| {
            let event = Event {
                type_: if note.warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                note: Some(note.short_text().to_owned()),
                reason: note.reason.to_string(),
                action: note.action.to_owned(),
                secondary: None,
            };
            // A recorder folds later events of one reason into the text of the first: each gets its own.
            let recorder = Recorder::new(client.clone(), self.reporter.clone());
            // What is about to be done is told before it is done, but nothing waits for a server that hangs.
            let said = match timeout(PUBLISHED, recorder.publish(&event, &about)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => sentence(&error),
                Err(_) => format!("the API server did not answer within {} s", PUBLISHED.as_secs()),
            };
            self.know(&reference, |known| {
                let event = &event.reason;
                again!(&mut known.lines, &reference, &said, event; "an event could not be published");
            });
        }))
        .await;
    }

    /// The key of the digests of Secrets. An error where a later try may tell it.
    pub(super) async fn digest_key(&self) -> Result<&DigestKey, kube::Error> {
        let at = self.settings.digest_key.as_ref();
        let key = || digest_key(&self.client, at);
        self.digest_key.get_or_try_init(key).await
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether this operator is the one that acts.
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Whether the loops turn.
    pub fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// Reads or changes what is known of a resource.
    pub(super) fn know<T>(
        &self,
        reference: &ObjectRef<ChainlinkNode>,
        what: impl FnOnce(&mut Local) -> T,
    ) -> T {
        let mut known = lock(&self.known);
        let entry = known.entry(uid(reference)).or_insert_with(|| Local {
            reference: reference.clone(),
            since: Instant::now(),
            taken: None,
            around: Around::default(),
            services_were: None,
            failures: ApiFailures::default(),
            refused: None,
            secrets_at: None,
            fenced: 0,
            refused_stop: None,
            refused_creations: BTreeMap::new(),
            refused_oneshots: BTreeMap::new(),
            refused_return: None,
            timing: Timing::default(),
            ended: EndedNodes::default(),
            failing: None,
            lines: RepeatedLines::default(),
            rest: Rest::default(),
        });
        what(entry)
    }

    /// How many resources passes were made over.
    pub(super) fn resources(&self) -> usize {
        lock(&self.known).len()
    }

    /// Watches run from now on that tell what changes. Until then every pass reads what is there.
    pub fn hears_of_changes(&self) {
        self.hears.store(true, Ordering::SeqCst);
    }

    /// Whether watches tell what changes.
    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::SeqCst)
    }

    /// Something of a resource has changed, or may have, and neither its Services nor its budgets: a pod, a revision, a
    /// `ConfigMap`, what a witness sees.
    pub fn stir(&self, reference: &ObjectRef<ChainlinkNode>) {
        self.stirred(reference, |known| known.rest.stir());
    }

    /// One of its Services has.
    pub fn stir_services(&self, reference: &ObjectRef<ChainlinkNode>) {
        self.stirred(reference, |known| {
            known.rest.stir();
            known.around.services.stir();
        });
    }

    /// One of its budgets has, as each does with each of its pods.
    pub fn stir_budgets(&self, reference: &ObjectRef<ChainlinkNode>) {
        self.stirred(reference, |known| {
            known.rest.stir();
            known.around.budgets.stir();
        });
    }

    /// Whatever it is has.
    pub fn stir_whole(&self, reference: &ObjectRef<ChainlinkNode>) {
        self.stirred(reference, Local::stir);
    }

    /// Where nothing is known of a resource, there is nothing to forget.
    fn stirred(&self, reference: &ObjectRef<ChainlinkNode>, forget: impl FnOnce(&mut Local)) {
        let mut known = lock(&self.known);
        if let Some(known) = known.get_mut(&uid(reference)) {
            forget(known);
        }
    }

    /// Nobody knows what has changed.
    pub(super) fn stir_all(&self) {
        for known in lock(&self.known).values_mut() {
            known.stir();
        }
    }

    /// Forgets a resource that is gone. One of its name may have come since.
    pub(super) fn forget(&self, reference: &ObjectRef<ChainlinkNode>) {
        let uid = uid(reference);
        let mut known = lock(&self.known);
        known.remove(&uid);
        let again = known.values().any(|other| other.reference == *reference);
        drop(known);
        let mut answers = lock(&self.answers);
        answers.remove(&uid);
        drop(answers);
        self.release(&uid);
        self.beside.forget(&uid);
        self.give_back(&uid);
        if !again {
            self.witnesses.forget(reference);
            self.machines.forget(reference);
            let namespace = reference.namespace.as_deref().unwrap_or_default();
            self.metrics.forget(namespace, &reference.name);
        }
    }

    /// Forgets every resource of a namespace, or of all, that is not there any more. The controller calls nobody for
    /// one that went without a trace: only what was applied wakes it.
    pub(super) fn forget_all_but(&self, namespace: Option<&str>, there: &[String]) {
        let known = lock(&self.known);
        let here = |reference: &ObjectRef<ChainlinkNode>| {
            namespace.is_none() || reference.namespace.as_deref() == namespace
        };
        let gone: Vec<ObjectRef<ChainlinkNode>> = known
            .iter()
            .filter(|(uid, known)| here(&known.reference) && !there.contains(uid))
            .map(|(_, known)| known.reference.clone())
            .collect();
        drop(known);
        for reference in gone {
            self.forget(&reference);
        }
    }

    /// The resource with this uid is not about to make a pod any more.
    pub(super) fn release(&self, uid: &str) {
        let mut reserved = lock(&self.reserved);
        reserved.remove(uid);
    }

    /// The lock of a resource does not move any more: as many that waited look again as there are turns for.
    pub(super) fn give_back(&self, uid: &str) {
        self.call(self.slots.give_back(uid));
    }

    /// A resource waits for its turn.
    pub(super) fn wait_for_turn(&self, reference: &ObjectRef<ChainlinkNode>) {
        self.call(self.slots.wait(reference));
    }

    /// Has these resources looked at anew.
    pub(super) fn call(&self, resources: impl IntoIterator<Item = ObjectRef<ChainlinkNode>>) {
        for resource in resources {
            // The receiver only goes away with the controllers.
            let _ = self.wake.send(Wake::changed(resource));
        }
    }

    /// The resources of one more controller.
    pub(super) fn looks_into(&self, store: Store<ChainlinkNode>) {
        let mut stores = lock(&self.stores);
        stores.push(store);
    }
}
