//! The operator as the controller runs it: passes, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chainlink_operator::act::DigestKeyAt;
use chainlink_operator::api::ChainlinkNode;
use chainlink_operator::controller::{Context, DatabaseAccess, Settings, reconcile};
use chainlink_operator::leader::LeaseAt;
use chainlink_operator::observe::Wake;
use chainlink_operator::report::Format;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::fake_api::meddler::{Fate, Post};
use crate::fake_api::server::client;
use crate::fake_api::world::{DIGEST_KEY, NAME, World, wanted_version};

/// No scenario takes longer, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// A pass begins at least this often, so that the tests need not wait for quiet times.
const PACE: Duration = Duration::from_millis(200);

/// What operators that share one hold.
pub const LEASE: &str = "operators";

const BURST: Duration = Duration::from_millis(30);

/// How driving an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Reached,
    Died,
}

/// One running operator, with what it knows only in memory.
pub struct Operator {
    world: World,
    pub context: Arc<Context>,
    woken: UnboundedReceiver<Wake>,
    pub post: Arc<Post>,
    /// What its watches tell of a change.
    pub tells: fn(&Context, &ObjectRef<ChainlinkNode>),
}

impl Operator {
    pub fn start(world: &World) -> Self {
        Self::with(world, Post::faithful())
    }

    /// An operator whose calls are meddled with.
    pub fn meddled(
        world: &World,
        meddler: impl Fn(&crate::fake_api::meddler::Call) -> Fate + Send + Sync + 'static,
    ) -> Self {
        Self::with(world, Post::new(meddler))
    }

    pub fn with(world: &World, post: Arc<Post>) -> Self {
        Self::with_access(world, post, DatabaseAccess::No)
    }

    /// An operator that may read the Secrets of database URLs.
    pub fn that_asks(world: &World) -> Self {
        Self::with_access(world, Post::faithful(), DatabaseAccess::Yes)
    }

    fn with_access(world: &World, post: Arc<Post>, access: DatabaseAccess) -> Self {
        let settings = Settings {
            database: access,
            digest_key: Some(DigestKeyAt {
                namespace: "default".to_owned(),
                name: DIGEST_KEY.to_owned(),
            }),
            ..Settings::default()
        };
        Self::with_settings(world, post, settings)
    }

    pub fn with_settings(world: &World, post: Arc<Post>, settings: Settings) -> Self {
        let (context, woken) = Context::new(client(world, &post), settings);
        Self {
            world: world.clone(),
            context,
            woken,
            post,
            tells: Context::stir_whole,
        }
    }

    /// An operator that shares a Lease with others, and campaigns for it from now on.
    pub fn that_shares(world: &World, pod: &str, post: Arc<Post>) -> (Self, Candidate) {
        let settings = Settings {
            lease: Some(LeaseAt {
                namespace: "default".to_owned(),
                name: LEASE.to_owned(),
                pod: pod.to_owned(),
            }),
            ..Settings::default()
        };
        let operator = Self::with_settings(world, post, settings);
        let (context, way) = (
            Arc::clone(&operator.context),
            client(world, &Post::faithful()),
        );
        let campaigns = Arc::clone(&context);
        let campaign = tokio::spawn(async move {
            campaigns.leadership().campaign(&way, |_| {}).await;
        });
        (operator, Candidate { context, campaign })
    }

    /// What a Prometheus would scrape now.
    pub fn metrics(&self) -> String {
        self.context.metrics().text(Format::Text).unwrap()
    }

    /// One pass, and whether it went through. `None` when the operator died in it.
    pub async fn pass(&mut self) -> Option<bool> {
        let node: ChainlinkNode = serde_json::from_value(self.world.node()).unwrap();
        assert_eq!(node.metadata.name.as_deref(), Some(NAME));
        self.post.begin_pass();
        let pass = reconcile(Arc::new(node), Arc::clone(&self.context));
        let ended = tokio::select! {
            ended = pass => Some(ended),
            () = self.post.death() => None,
        };
        self.post.end_pass();
        Some(ended?.is_ok())
    }

    /// A watch tells of a change.
    pub fn stir(&self) {
        let node: ChainlinkNode = serde_json::from_value(self.world.node()).unwrap();
        (self.tells)(&self.context, &ObjectRef::from_obj(&node));
    }

    /// One pass that goes through, and what the controller does after it.
    pub async fn next(&mut self) -> Action {
        let node: ChainlinkNode = serde_json::from_value(self.world.node()).unwrap();
        let pass = reconcile(Arc::new(node), Arc::clone(&self.context));
        pass.await.unwrap()
    }

    /// A pass over any resource, beside others of this operator.
    pub fn pass_over(&self, name: &str) -> impl Future<Output = bool> + Send + use<> {
        let node = self.world.with(|all| all.store.get("chainlinknodes", name));
        let node: ChainlinkNode = serde_json::from_value((*node.unwrap()).clone()).unwrap();
        let pass = reconcile(Arc::new(node), Arc::clone(&self.context));
        async { pass.await.is_ok() }
    }

    /// Whether a resource was asked to be looked at since this was asked last.
    pub fn was_woken(&mut self, name: &str) -> bool {
        let woken = std::iter::from_fn(|| self.woken.try_recv().ok());
        woken.filter(|wake| wake.resource.name == name).count() > 0
    }

    /// Passes until `is` holds, and nothing has changed during the last of them.
    pub async fn drive(&mut self, what: &str, is: impl Fn(&World) -> bool) -> End {
        let start = Instant::now();
        loop {
            let mut changes = self.world.changes();
            let before = self.world.with(|all| all.store.version());
            let Some(done) = self.pass().await else {
                return End::Died;
            };
            let still = self.world.with(|all| all.store.version()) == before;
            if done && still && is(&self.world) {
                return End::Reached;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it never came to this: {what}\n{}",
                self.world.describe()
            );
            tokio::select! {
                _ = changes.changed() => self.stir(),
                _ = self.woken.recv() => self.stir(),
                () = tokio::time::sleep(PACE) => {}
            }
            // Changes come in bursts; the controller's queue folds them into one pass, too.
            tokio::time::sleep(BURST).await;
            while self.woken.try_recv().is_ok() {}
        }
    }

    /// Passes until `is` holds, whether or not they go through.
    pub async fn drive_in_vain(&mut self, what: &str, is: impl Fn(&World) -> bool) {
        let start = Instant::now();
        while !is(&self.world) {
            assert!(
                start.elapsed() < PATIENCE,
                "it never came to this: {what}\n{}",
                self.world.describe()
            );
            self.pass().await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Passes for some time, whether or not they go through.
    pub async fn passes_for(&mut self, time: Duration) {
        let start = Instant::now();
        self.drive_in_vain("the end of a time", |_| start.elapsed() >= time)
            .await;
    }

    /// Passes until a call was held, and the pass in which it was is over.
    pub async fn pass_until_released(&mut self) {
        while !self.post.was_released() {
            self.pass().await;
            // What is to be held may come after the trial of what took over.
            at_rest(&self.world);
            tokio::time::sleep(BURST).await;
        }
    }

    /// Drives until all is as the spec wants it.
    pub async fn rest(&mut self) -> End {
        self.drive("at rest", at_rest).await
    }

    /// Drives for some time, whatever comes.
    pub async fn drive_for(&mut self, time: Duration) -> End {
        let start = Instant::now();
        self.drive("the end of a time", move |_| start.elapsed() >= time)
            .await
    }
}

/// An operator's part in the choice of a leader.
pub struct Candidate {
    context: Arc<Context>,
    campaign: JoinHandle<()>,
}

impl Candidate {
    /// Waits until it leads, or until it does not.
    pub async fn leads(&self, wanted: bool) {
        let start = Instant::now();
        while self.context.leadership().leads() != wanted {
            assert!(start.elapsed() < PATIENCE, "never: leads is {wanted}");
            tokio::time::sleep(BURST).await;
        }
    }

    /// It tries no more.
    pub fn gives_up(&self) {
        self.campaign.abort();
    }
}

/// Every pod is as the spec wants it, and the status says so.
pub fn at_rest(world: &World) -> bool {
    let node = world.node();
    let (spec, status) = (&node["spec"], &node["status"]);
    let pods = world.with(|all| all.store.all("pods").len());
    let rests = status["observedGeneration"] == node["metadata"]["generation"]
        && status["phase"] == "Running"
        && status["currentVersion"] == *wanted_version(&node)
        && spec["replicas"].as_u64() == u64::try_from(pods).ok()
        && ready(&status["conditions"])
        && status["operator"]["lastActive"]["pod"] == status["active"]
        && status["operator"]["lastActive"]["ended"].is_null()
        && status["operator"]["lastWorked"] == status["operator"]["wanted"]["name"];
    if rests && status["operator"]["trial"].is_object() {
        // What takes a minute in the world takes none here.
        world.end_trial();
        return false;
    }
    rests
}

fn ready(conditions: &serde_json::Value) -> bool {
    conditions.as_array().is_some_and(|all| {
        all.iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}
