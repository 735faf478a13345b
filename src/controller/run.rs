//! What wakes a resource: changes of itself, of its pods and of the ConfigMaps that it refers to, and
//! its witnesses.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, GroupVersionKind, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store, reflector};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::context::Context;
use super::reconcile;
use super::retry::retry;
use crate::api::ChainlinkNode;
use crate::api::names::{self, NODE_LABEL};
use crate::build;
use crate::cluster::scoped;
use crate::observe::Wake;

/// Resources that the controller reconciles at the same time: all that are to be. Of those that have to wait it would take any
/// next, and one might wait for ever; they wait for their turns in [`reconcile`], in order.
const CONCURRENCY: u16 = 0;
/// Objects of a part of a list.
const PAGE: u32 = 100;
/// Between two questions whether the CRD is there.
const UNSERVED: Duration = Duration::from_secs(2);
/// Between two ticks of a loop that has nothing to look at.
const TICK: Duration = Duration::from_secs(15);

/// How long the first list of the machines is waited for.
const LISTING: Duration = Duration::from_secs(10);

/// All that is watched of what only has to tell that it has changed: there may be many in the cluster, and large ones.
type Metadata<K> = PartialObjectMeta<K>;

/// Waits until the API server serves `ChainlinkNode`: Helm may start the operator before the CRD is
/// established.
pub async fn served(client: &Client) {
    let kind = GroupVersionKind::gvk(names::GROUP, "v1alpha1", "ChainlinkNode");
    loop {
        match kube::discovery::pinned_kind(client, &kind).await {
            Ok(_) => return,
            Err(error) => tracing::info!(%error, "the API server does not serve ChainlinkNode yet"),
        }
        tokio::time::sleep(UNSERVED).await;
    }
}

/// Reconciles the resources of some namespaces, or of all (`None`), until the process ends.
pub async fn run(
    client: &Client,
    namespaces: Vec<Option<String>>,
    context: Arc<Context>,
    mut woken: mpsc::UnboundedReceiver<Wake>,
) {
    context.hears_of_changes();
    let watches = context.settings.watch_machines;
    let machines = context.machines.clone();
    let mut watching = pin!(async {
        if watches {
            let watch = machines.clone().watch(client.clone(), context.wake.clone());
            watch.await;
        }
        std::future::pending::<()>().await;
    });
    if watches {
        tokio::select! {
            () = machines.settled() => {}
            () = tokio::time::sleep(LISTING) => {}
            () = &mut watching => {}
        }
    }
    let mut wakers = Vec::new();
    let mut controllers = Vec::new();
    let mut stores = Vec::new();
    let lists = Lists::default();
    for namespace in namespaces {
        let (waker, receiver) = mpsc::unbounded_channel();
        context
            .watchdog
            .begins(namespace.as_deref(), Instant::now());
        wakers.push((namespace.clone(), waker));
        let (store, turning) = control(client, namespace, (Arc::clone(&context), &lists), receiver);
        controllers.push(turning);
        stores.push(store);
    }
    let leading = async {
        // One that can't list the resources must not keep another from leading.
        futures::future::join_all(stores.iter().map(Store::wait_until_ready)).await;
        // What a watch lists at first would wake what has just been looked at.
        let _ = timeout(LISTING, lists.are_read()).await;
        let changed = |leads| {
            if leads {
                context.takes_over();
            } else {
                context.steps_back();
            }
        };
        context.leadership.campaign(client, changed).await;
    };
    let route = async {
        while let Some(wake) = woken.recv().await {
            let node = wake.resource;
            let waker = wakers
                .iter()
                .find(|(namespace, _)| namespace.is_none() || *namespace == node.namespace);
            if let Some((_, waker)) = waker {
                if wake.changed {
                    context.stir(&node);
                }
                // The receiver only goes away with its controller.
                let _ = waker.send(node);
            }
        }
    };
    tokio::select! {
        _ = futures::future::join_all(controllers) => {}
        () = route => {}
        () = watching => {}
        () = leading => {}
    }
    context.leadership.give_back(client).await;
}

/// Reconciles the resources of one namespace, or of all.
fn control(
    client: &Client,
    namespace: Option<String>,
    (context, lists): (Arc<Context>, &Lists),
    woken: mpsc::UnboundedReceiver<ObjectRef<ChainlinkNode>>,
) -> (Store<ChainlinkNode>, impl Future<Output = ()> + use<>) {
    let nodes: Api<ChainlinkNode> = scoped(client, namespace.as_deref());
    let pods: Api<Metadata<Pod>> = scoped(client, namespace.as_deref());
    let services: Api<Metadata<Service>> = scoped(client, namespace.as_deref());
    let budgets: Api<Metadata<PodDisruptionBudget>> = scoped(client, namespace.as_deref());
    let revisions: Api<Metadata<ControllerRevision>> = scoped(client, namespace.as_deref());
    let maps: Api<Metadata<ConfigMap>> = scoped(client, namespace.as_deref());
    let woken = futures::stream::unfold(woken, |mut woken| async move {
        woken.recv().await.map(|node| (node, woken))
    });
    let (store, writer) = reflector::store();
    let resources = watcher(nodes, in_pages()).modify(|node| {
        // Who wrote which field is half of it, and nobody here reads that.
        node.metadata.managed_fields = None;
    });
    let resources = reflector(writer, resources).applied_objects();
    let controller = Controller::for_stream(resources, store.clone());
    context.looks_into(store.clone());
    let known = store.clone();
    let idle = idle(store.clone(), Arc::clone(&context), namespace.clone());
    let shared = Arc::clone(&context);
    let ready = store.clone();
    let listed = async move {
        // It only fails where the controller has ended.
        if ready.wait_until_ready().await.is_ok() {
            shared.watchdog.listed(namespace.as_deref());
        }
    };
    let turning = controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_stream(
            lists.changes(pods, ours()),
            owned(&context, Context::stir, &store),
        )
        .watches_stream(
            lists.changes(services, ours()),
            owned(&context, Context::stir_services, &store),
        )
        .watches_stream(
            lists.changes(budgets, ours()),
            owned(&context, Context::stir_budgets, &store),
        )
        .watches_stream(
            lists.changes(revisions, ours()),
            owned(&context, Context::stir, &store),
        )
        .watches_stream(
            lists.changes(maps, in_pages()),
            stirred(&context, Context::stir, move |map| referring(&store, &map)),
        )
        .reconcile_on(woken)
        .reconcile_on(idle)
        .shutdown_on_signal()
        .run(reconcile, retry, Arc::clone(&context))
        .for_each(move |result| {
            // A watch that fails may have missed something.
            if let Err(controller::Error::QueueError(_)) = &result {
                context.stir_all();
            }
            if let Err(error) = result {
                tracing::debug!(%error, "a pass ended early");
            }
            std::future::ready(())
        });
    let turns = async {
        tokio::join!(turning, listed);
    };
    (known, turns)
}

/// The watches whose first list has not been read yet.
#[derive(Clone, Debug, Default)]
struct Lists(watch::Sender<usize>);

impl Lists {
    /// What changes once the first list was read: nothing is remembered before that it could have changed. A watch that fails
    /// keeps nobody waiting, and all that it lists later may be a change.
    fn changes<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let lists = self.clone();
        lists.0.send_modify(|unread| *unread += 1);
        let mut read = false;
        watcher(api, config).filter_map(move |event| {
            let known = read;
            if !read && matches!(event, Ok(Event::InitDone) | Err(_)) {
                read = true;
                lists.0.send_modify(|unread| *unread -= 1);
            }
            std::future::ready(match event {
                Ok(Event::Apply(object) | Event::Delete(object)) => Some(Ok(object)),
                Ok(Event::InitApply(object)) => known.then_some(Ok(object)),
                Ok(Event::Init | Event::InitDone) => None,
                Err(error) => Some(Err(error)),
            })
        })
    }

    /// Waits until all of them were.
    async fn are_read(&self) {
        // It only fails where nobody could tell any more, and this is one who could.
        let _ = self.0.subscribe().wait_for(|unread| *unread == 0).await;
    }
}

/// A clock within the loop: what is gone is forgotten; and where there is nothing to look at, its ticks are all the
/// progress there is. It wakes nobody but those that waited for what is gone.
fn idle(
    store: Store<ChainlinkNode>,
    context: Arc<Context>,
    namespace: Option<String>,
) -> impl Stream<Item = ObjectRef<ChainlinkNode>> + Send {
    let ticks = futures::stream::unfold((), |()| async {
        tokio::time::sleep(TICK).await;
        Some(((), ()))
    });
    ticks.filter_map(move |()| {
        sweep(&store, &context, namespace.as_deref());
        if is_idle(&store) || !context.leadership.leads() {
            context
                .watchdog
                .progress(namespace.as_deref(), Instant::now());
        }
        std::future::ready(None)
    })
}

/// Forgets what is gone, once it is known what is there.
fn sweep(store: &Store<ChainlinkNode>, context: &Context, namespace: Option<&str>) {
    let listed = store.wait_until_ready().now_or_never();
    if listed.is_some_and(|listed| listed.is_ok()) {
        let there = store.state();
        let there: Vec<String> = there.iter().filter_map(|node| node.uid()).collect();
        context.forget_all_but(namespace, &there);
    }
}

/// Whether no resource is there to be looked at: those that are being deleted are not.
fn is_idle(store: &Store<ChainlinkNode>) -> bool {
    store
        .state()
        .iter()
        .all(|node| node.metadata.deletion_timestamp.is_some())
}

/// What carries the label of a resource.
fn ours() -> watcher::Config {
    in_pages().labels(NODE_LABEL)
}

/// What is listed at first comes in parts: the memory that one of them takes as text is not given back.
fn in_pages() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// The resources that something tells of, whose passes read what is there from then on.
fn stirred<K, I>(
    context: &Arc<Context>,
    stir: fn(&Context, &ObjectRef<ChainlinkNode>),
    tells_of: impl Fn(K) -> I + Send + Sync + 'static,
) -> impl Fn(K) -> Vec<ObjectRef<ChainlinkNode>> + Send + Sync + 'static
where
    I: IntoIterator<Item = ObjectRef<ChainlinkNode>>,
{
    let context = Arc::clone(context);
    move |object| {
        let nodes: Vec<_> = tells_of(object).into_iter().collect();
        for node in &nodes {
            stir(&context, node);
        }
        nodes
    }
}

/// The same of what belongs to a resource.
fn owned<K>(
    context: &Arc<Context>,
    stir: fn(&Context, &ObjectRef<ChainlinkNode>),
    store: &Store<ChainlinkNode>,
) -> impl Fn(K) -> Vec<ObjectRef<ChainlinkNode>> + Send + Sync + 'static
where
    K: ResourceExt + 'static,
{
    let store = store.clone();
    stirred(context, stir, move |object: K| owner(&store, &object))
}

/// The resource to which something belongs: the one that controls it; or, where nobody does, that of its label, which may
/// adopt it.
fn owner<K>(store: &Store<ChainlinkNode>, object: &K) -> Option<ObjectRef<ChainlinkNode>>
where
    K: ResourceExt,
{
    let owners = object.owner_references();
    if let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)) {
        return ObjectRef::from_owner_ref(object.namespace().as_deref(), owner, ());
    }
    let name = object.labels().get(NODE_LABEL)?;
    let named = |node: &Arc<ChainlinkNode>| {
        node.name_any() == *name && node.namespace() == object.namespace()
    };
    let node = store.state().into_iter().find(named)?;
    Some(ObjectRef::from_obj(node.as_ref()))
}

/// The resources that refer to a ConfigMap.
fn referring(
    store: &Store<ChainlinkNode>,
    map: &Metadata<ConfigMap>,
) -> Vec<ObjectRef<ChainlinkNode>> {
    let name = map.name_any();
    store
        .state()
        .iter()
        .filter(|node| node.namespace() == map.namespace())
        .filter(|node| build::referenced_config_maps(&node.spec).contains(&name))
        .map(|node| ObjectRef::from_obj(node.as_ref()))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::{StatusCode, header};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::controller::Settings;
    use crate::controller::context::TURNS;
    use crate::report::Format;

    #[tokio::test]
    async fn the_content_of_config_maps_is_not_asked_for() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let server = Router::new().fallback(move |request: Request| {
            let accept = request.headers()[header::ACCEPT].to_str().unwrap();
            tell.send(accept.to_owned()).unwrap();
            async { StatusCode::INTERNAL_SERVER_ERROR }
        });
        let maps: Api<Metadata<ConfigMap>> = scoped(&Client::new(server, "default"), None);
        let mut watch = Box::pin(watcher(maps, watcher::Config::default()));
        while let Some(Ok(_)) = watch.next().await {}
        let accepted = told.recv().await.unwrap();
        assert!(accepted.contains("as=PartialObjectMetadata"), "{accepted}");
    }

    /// An API server with one `ConfigMap`, and another that comes; its first answers fail.
    fn maps(fails: usize) -> Api<Metadata<ConfigMap>> {
        let fails = Arc::new(AtomicUsize::new(fails));
        let map = |name: &str| {
            serde_json::json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "namespace": "a", "resourceVersion": "1"},
            })
        };
        let server = Router::new().fallback(move |request: Request| {
            let less = |count: usize| count.checked_sub(1);
            let failed = fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            let watches = request.uri().query().unwrap().contains("watch=true");
            let mut answer = axum::response::Response::new(if watches {
                let event = serde_json::json!({"type": "ADDED", "object": map("comes")});
                let line = futures::stream::iter([Ok::<_, std::io::Error>(format!("{event}\n"))]);
                Body::from_stream(line.chain(futures::stream::pending()))
            } else {
                let list = serde_json::json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                    "metadata": {"resourceVersion": "1"}, "items": [map("is there")],
                });
                Body::from(list.to_string())
            });
            if failed.is_ok() {
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            async { answer }
        });
        scoped(&Client::new(server, "a"), None)
    }

    #[tokio::test]
    async fn what_is_listed_at_first_is_no_change() {
        let lists = Lists::default();
        let mut changes = Box::pin(lists.changes(maps(0), watcher::Config::default()));
        assert_eq!(*lists.0.borrow(), 1, "it is not read yet");
        let change = changes.next().await.unwrap().unwrap();
        assert_eq!(change.name_any(), "comes");
        lists.are_read().await;
    }

    /// Something may have changed meanwhile.
    #[tokio::test]
    async fn what_is_listed_after_a_watch_failed_may_be_a_change_and_nobody_waits_for_it() {
        let lists = Lists::default();
        let mut changes = Box::pin(lists.changes(maps(1), watcher::Config::default()));
        assert!(changes.next().await.unwrap().is_err());
        lists.are_read().await;
        let change = changes.next().await.unwrap().unwrap();
        assert_eq!(change.name_any(), "is there");
    }

    #[test]
    fn what_nobody_controls_belongs_to_the_resource_of_its_label() {
        let (store, mut writer) = kube::runtime::reflector::store();
        let mut there = node();
        there.metadata.uid = Some("there".to_owned());
        writer.apply_watcher_event(&watcher::Event::Apply(there.clone()));
        let pod = |namespace: &str, owner: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"metadata": {
                "name": "p", "namespace": namespace, "labels": {NODE_LABEL: "cl"}, "ownerReferences": owner,
            }}))
            .unwrap()
        };
        let owned = |kind: &str| {
            serde_json::json!([{
                "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": kind, "name": "earlier",
                "uid": "earlier", "controller": true,
            }])
        };
        let belongs_to = |pod: &Pod| owner(&store, pod).map(|node| node.name);
        assert_eq!(
            belongs_to(&pod("a", owned("ChainlinkNode"))).as_deref(),
            Some("earlier")
        );
        assert_eq!(belongs_to(&pod("a", owned("Other"))), None);
        assert_eq!(
            belongs_to(&pod("a", serde_json::json!([]))).as_deref(),
            Some("cl")
        );
        assert_eq!(
            belongs_to(&pod("b", serde_json::json!([]))),
            None,
            "of another namespace"
        );
    }

    async fn becomes_ready(server: Router) -> bool {
        let (context, woken) = Context::new(Client::new(server, "default"), Settings::default());
        let client = context.client.clone();
        let ready = async {
            while !context.watchdog.is_ready() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = run(&client, vec![None], Arc::clone(&context), woken) => false,
            () = ready => true,
            () = tokio::time::sleep(Duration::from_secs(1)) => false,
        }
    }

    #[tokio::test]
    async fn the_operator_is_ready_once_it_has_listed_its_resources() {
        let lists = Router::new().fallback(|request: Request| async move {
            if request.uri().query().unwrap_or_default().contains("watch") {
                std::future::pending::<()>().await;
            }
            r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#
        });
        assert!(becomes_ready(lists).await);
        let refuses = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
        assert!(!becomes_ready(refuses).await);
    }

    fn node() -> ChainlinkNode {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": "cl", "namespace": "a"},
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

    #[tokio::test]
    async fn only_a_resource_that_stays_is_to_be_looked_at() {
        let (store, mut writer) = kube::runtime::reflector::store();
        assert!(is_idle(&store));
        let mut node = node();
        writer.apply_watcher_event(&watcher::Event::Apply(node.clone()));
        assert!(!is_idle(&store));
        node.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now()),
        );
        writer.apply_watcher_event(&watcher::Event::Apply(node));
        assert!(is_idle(&store));
    }

    #[tokio::test]
    async fn a_resource_that_went_without_a_trace_is_forgotten_and_gives_its_turn_back() {
        let nowhere = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
        let settings = Settings {
            max_handovers: 1,
            ..Settings::default()
        };
        let (context, mut woken) = Context::new(Client::new(nowhere, "default"), settings);
        let (store, mut writer) = kube::runtime::reflector::store();
        let mut gone = node();
        gone.metadata.uid = Some("gone".to_owned());
        let mut next = node();
        next.metadata.uid = Some("next".to_owned());
        next.metadata.name = Some("next".to_owned());
        let (gone, there) = (ObjectRef::from_obj(&gone), ObjectRef::from_obj(&next));
        for reference in [&gone, &there] {
            context.know(reference, |known| known.taken = Some("x".to_owned()));
            let mut node = node();
            node.metadata.name = Some(reference.name.clone());
            let status = crate::api::ChainlinkNodeStatus::default();
            context.metrics.status(&node, &status);
        }
        assert!(context.slots.take("gone"));
        context.wait_for_turn(&there);

        sweep(&store, &context, None);
        assert!(
            context.slots.are_taken_for("next"),
            "nothing was listed yet"
        );
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitApply(next));
        writer.apply_watcher_event(&watcher::Event::InitDone);
        sweep(&store, &context, Some("b"));
        assert!(context.slots.are_taken_for("next"), "another loop's");
        sweep(&store, &context, None);
        assert!(!context.slots.are_taken_for("next"));
        assert_eq!(woken.try_recv().unwrap(), Wake::changed(there.clone()));
        assert_eq!(context.know(&gone, |known| known.taken.clone()), None);
        assert!(context.know(&there, |known| known.taken.is_some()));
        let text = context.metrics.text(Format::Text).unwrap();
        assert!(!text.contains("name=\"cl\""), "{text}");
        assert!(text.contains("name=\"next\""), "{text}");
    }

    #[tokio::test]
    async fn a_pass_is_progress_even_where_it_fails() {
        let refuses = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
        let (context, _woken) = Context::new(Client::new(refuses, "default"), Settings::default());
        let start = Instant::now();
        context.watchdog.begins(None, start);
        let too_late = start + Duration::from_mins(3) + Duration::from_millis(1);
        assert!(context.watchdog.is_stuck(too_late));
        tokio::time::sleep(Duration::from_millis(2)).await;
        let pass = reconcile(Arc::new(node()), Arc::clone(&context)).await;
        assert!(pass.is_err());
        assert!(!context.watchdog.is_stuck(too_late));
    }

    #[tokio::test]
    async fn no_more_passes_are_made_at_a_time_than_there_are_turns() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (answers, waits) = watch::channel(false);
        let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
        let server = Router::new().fallback(move || {
            let now = count.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            let (count, mut waits) = (Arc::clone(&count), waits.clone());
            async move {
                waits.wait_for(|answers| *answers).await.unwrap();
                count.fetch_sub(1, Ordering::SeqCst);
                let gone = r#"{"kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":""}"#;
                (StatusCode::NOT_FOUND, gone)
            }
        });
        let (context, _woken) = Context::new(Client::new(server, "default"), Settings::default());
        let passes = (0..3 * TURNS).map(|number| {
            let mut node = node();
            node.metadata.name = Some(number.to_string());
            node.metadata.uid = Some(number.to_string());
            tokio::spawn(reconcile(Arc::new(node), Arc::clone(&context)))
        });
        let passes: Vec<_> = passes.collect();
        while now.load(Ordering::SeqCst) < TURNS {
            tokio::task::yield_now().await;
        }
        // All that could be asked for has been.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        answers.send_replace(true);
        for pass in passes {
            assert!(pass.await.unwrap().is_ok());
        }
        assert_eq!(most.load(Ordering::SeqCst), TURNS);
    }

    /// The API server of the resources `one` and `other`, of which the first can't be read; the stream of their changes; and
    /// what it was asked for.
    fn of_two_resources() -> (
        Router,
        mpsc::UnboundedSender<String>,
        mpsc::UnboundedReceiver<String>,
    ) {
        let named = |name: &str| {
            let mut node = serde_json::to_value(node()).unwrap();
            node["metadata"]["name"] = name.into();
            node["metadata"]["uid"] = name.into();
            node["metadata"]["resourceVersion"] = "1".into();
            node
        };
        let nodes = [named("one"), named("other")];
        let (change, changes) = mpsc::unbounded_channel::<String>();
        let (tell, asked) = mpsc::unbounded_channel();
        let changes = Arc::new(std::sync::Mutex::new(Some(changes)));
        let server = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            let watches = request.uri().query().unwrap_or_default().contains("watch");
            let of_nodes = path.ends_with("/chainlinknodes");
            let list = serde_json::json!({
                "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
                "items": if of_nodes { nodes.as_slice() } else { &[] },
            });
            let stream = changes.lock().unwrap().take_if(|_| watches && of_nodes);
            let tell = tell.clone();
            async move {
                if let Some(name) = path.split("/chainlinknodes/").nth(1) {
                    tell.send(name.to_owned()).unwrap();
                    return (StatusCode::INTERNAL_SERVER_ERROR, Body::empty());
                }
                if let Some(stream) = stream {
                    let lines = futures::stream::unfold(stream, |mut stream| async move {
                        let line = stream.recv().await?;
                        Some((Ok::<_, std::convert::Infallible>(line + "\n"), stream))
                    });
                    return (StatusCode::OK, Body::from_stream(lines));
                }
                if watches {
                    std::future::pending::<()>().await;
                }
                (StatusCode::OK, Body::from(list.to_string()))
            }
        });
        (server, change, asked)
    }

    /// Its next try by itself would come a quarter of a minute later.
    #[tokio::test]
    async fn one_that_has_failed_for_long_is_looked_at_at_once_when_it_changes() {
        let (server, change, mut asked) = of_two_resources();
        let (context, woken) = Context::new(Client::new(server, "default"), Settings::default());
        let mut one = node();
        one.metadata.name = Some("one".to_owned());
        one.metadata.uid = Some("one".to_owned());
        for _ in 0..8 {
            crate::controller::retry::pause(&one, &crate::controller::Error::Slow, &context);
        }
        let client = context.client.clone();
        let running = tokio::spawn(async move { run(&client, vec![None], context, woken).await });
        // The first look, and what it is told by where that fails.
        let mut first = Vec::new();
        while !(first.contains(&"one".to_owned()) && first.contains(&"other".to_owned())) {
            first.push(asked.recv().await.unwrap());
        }
        one.metadata.resource_version = Some("2".to_owned());
        one.metadata.generation = Some(2);
        let event = serde_json::json!({"type": "MODIFIED", "object": one});
        let started = Instant::now();
        change.send(event.to_string()).unwrap();
        let again = async { while asked.recv().await.unwrap() != "one" {} };
        let again = tokio::time::timeout(Duration::from_secs(10), again).await;
        assert!(again.is_ok(), "{:?}", started.elapsed());
        running.abort();
    }
}
