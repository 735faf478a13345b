//! The world of one scenario: a namespace and a database of its own, the nodes in them, and the record of their duty.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chainlink_operator::api::{ChainlinkNode, ChainlinkNodeStatus};
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Namespace, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::audit::Audit;
use crate::canary::Canaries;
use crate::cluster::{Cluster, connect};
use crate::collector::Collector;
use crate::duty::{Event, Gap, Kind, Record};
use crate::exec::repository;
use crate::machine;
use crate::timeline::{Timeline, ready_targets};
use crate::until;

/// How long a step may take on a busy machine before it counts as a failure. Tests judge order, never speed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Kubernetes' and the simulator's side of one scenario.
pub struct World {
    pub cluster: Cluster,
    pub client: Client,
    pub namespace: String,
    pub timeline: Timeline,
    database: String,
    database_url: String,
    collector: Option<Collector>,
    /// What no one is to be shown.
    canaries: Mutex<Canaries>,
    /// The gaps until one was outlived.
    outlived: OnceLock<Vec<Gap>>,
    _watches: JoinSet<()>,
}

impl World {
    /// Makes the namespace and its database anew.
    pub async fn new(cluster: &Cluster, namespace: &str, timeline: Timeline) -> Result<Self> {
        let client = cluster.client().await?;
        let namespace = namespace.to_owned();
        fresh_namespace(&client, &namespace).await?;
        let database = namespace.replace('-', "_");
        let database_url = cluster.database(&database).await?;
        let told = timeline.clone();
        let listener = move |event: &Event| told.duty(event);
        let collector = cluster
            .collector_address
            .as_deref()
            .map(|address| Collector::start(address, Box::new(listener)))
            .transpose()?;
        let watches = timeline.watch(&client, &namespace);
        let world = Self {
            cluster: cluster.clone(),
            client,
            namespace,
            timeline,
            database,
            database_url,
            collector,
            canaries: Mutex::default(),
            outlived: OnceLock::new(),
            _watches: watches,
        };
        world.prepare_database(&world.database_url).await?;
        Ok(world)
    }

    /// Makes the Secrets that [`World::node`] refers to.
    pub async fn with_secrets(self) -> Result<Self> {
        self.secret("database", &[("url", &self.database_url)])
            .await?;
        self.secret(
            "credentials",
            &[
                ("keystore-password", "a-keystore-password-for-tests"),
                (
                    "api-credentials",
                    "tests@example.com\na-password-for-tests\n",
                ),
            ],
        )
        .await?;
        Ok(self)
    }

    /// Tells the simulators of a database where to send their record of duty.
    async fn prepare_database(&self, url: &str) -> Result<()> {
        let database = connect(url).await?;
        database
            .batch_execute("CREATE TABLE simulator_settings (key text PRIMARY KEY, value text)")
            .await?;
        if let Some(collector) = &self.collector {
            set(&database, "collector", collector.address()).await?;
        }
        Ok(())
    }

    /// One more database. The duty of its nodes is not collected: judgements are about one database.
    pub async fn other_database(&self, suffix: &str) -> Result<String> {
        self.cluster.database(&self.other_name(suffix)).await
    }

    fn other_name(&self, suffix: &str) -> String {
        format!("{}__{suffix}", self.database)
    }

    /// The URL of the scenario's database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Has new sessions of the scenario's database refuse writes, or take them again.
    pub async fn read_only(&self, on: bool) -> Result<()> {
        let (database, value) = (&self.database, if on { "on" } else { "off" });
        let url = self
            .database_url
            .replace('?', "?options=-c%20default_transaction_read_only%3Doff&");
        connect(&url)
            .await?
            .batch_execute(&format!(
                "ALTER DATABASE \"{database}\" SET default_transaction_read_only = {value}"
            ))
            .await?;
        Ok(())
    }

    /// For how many seconds the lease is still good if nobody refreshes it.
    pub async fn lease_left(&self) -> Result<f64> {
        let sql = "SELECT extract(epoch FROM max(expires_at) - now())::float8 FROM lease_lock";
        let row = connect(&self.database_url)
            .await?
            .query_one(sql, &[])
            .await?;
        row.get::<_, Option<f64>>(0).context("nobody has a lease")
    }

    /// A setting or fault of the simulators (tests/simulator/README.md).
    pub async fn simulate(&self, key: &str, value: &str) -> Result<()> {
        set(&connect(&self.database_url).await?, key, value).await
    }

    /// What is secret in the Secrets that this scenario has made, also where it has changed them since.
    pub fn canaries(&self) -> Canaries {
        let canaries = self.canaries.lock();
        canaries.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes or changes a Secret.
    pub async fn secret(&self, name: &str, data: &[(&str, &str)]) -> Result<()> {
        for (key, text) in data {
            let canaries = self.canaries.lock();
            let mut canaries = canaries.unwrap_or_else(PoisonError::into_inner);
            canaries.remember(name, key, text);
        }
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(
            name,
            &PatchParams::apply("e2e").force(),
            &Patch::Apply(&secret),
        )
        .await?;
        Ok(())
    }

    /// Makes or changes a `ConfigMap`.
    pub async fn config_map(&self, name: &str, key: &str, text: &str) -> Result<()> {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}});
        self.config_maps()
            .patch(
                name,
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&map),
            )
            .await?;
        Ok(())
    }

    /// `ConfigMaps` of the namespace.
    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A plain 2.x node, to be changed by the test before [`World::apply`].
    pub fn node(&self, name: &str, version: &str, replicas: u32) -> Value {
        json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1",
            "kind": "ChainlinkNode",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "version": version,
                "image": {"repository": self.cluster.node_repository},
                "database": {"url": {"secretKeyRef": {"name": "database", "key": "url"}}},
                "config": {"files": [{"name": "node.toml", "inline": "[Log]\nLevel = 'info'\n"}]},
                "credentials": {
                    "keystorePassword": {"secretKeyRef": {"name": "credentials", "key": "keystore-password"}},
                    "apiCredentials": {"secretKeyRef": {"name": "credentials", "key": "api-credentials"}},
                },
                "handover": {"settle": "1s"},
            },
        })
    }

    /// Applies a file of examples/ as it is, but for the database's URL.
    pub fn apply_example(&self, file: &str, database_url: &str) -> Result<()> {
        let path = repository().join("examples").join(file);
        let text = std::fs::read_to_string(&path)?;
        let folder = std::env::temp_dir();
        let adapted = folder.join(format!("{}-{file}", self.namespace));
        // The only URLs of databases in examples/ are those that a reader has to replace too.
        let lines: Vec<String> = text
            .lines()
            .map(|line| match line.split_once(": postgresql://") {
                Some((key, _)) => format!("{key}: {database_url}"),
                None => line.to_owned(),
            })
            .collect();
        std::fs::write(&adapted, lines.join("\n"))?;
        let applied = self.cluster.kubectl(&[
            "apply",
            "--namespace",
            &self.namespace,
            "--filename",
            &adapted.to_string_lossy(),
        ]);
        std::fs::remove_file(&adapted)?;
        applied.map(drop)
    }

    /// `ChainlinkNodes` of the namespace.
    pub fn nodes(&self) -> Api<ChainlinkNode> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Pods of the namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Services of the namespace.
    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a `ChainlinkNode`; a refusal is the API server's own sentence.
    pub async fn apply(&self, node: &Value) -> Result<()> {
        let name = node["metadata"]["name"]
            .as_str()
            .context("a node has a name")?;
        self.timeline.act(&format!(
            "applied {name}, version {}",
            node["spec"]["version"]
        ));
        self.nodes()
            .patch(
                name,
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(node),
            )
            .await?;
        Ok(())
    }

    /// Whether the API server would take a new `ChainlinkNode`, as `kubectl apply --dry-run=server` asks: nothing is
    /// made, and unknown fields are errors.
    pub async fn would_take(&self, node: &Value) -> Result<()> {
        let path = format!(
            "/apis/chainlink-operator.dev/v1alpha1/namespaces/{}/chainlinknodes?dryRun=All&fieldValidation=Strict",
            self.namespace
        );
        let request = http::Request::post(path)
            .header("Content-Type", "application/json")
            .body(serde_json::to_vec(node)?)?;
        self.client.request::<Value>(request).await?;
        Ok(())
    }

    /// Changes a part of the spec.
    pub async fn change(&self, name: &str, spec: Value) -> Result<()> {
        self.timeline.act(&format!("changed {spec}"));
        self.nodes()
            .patch(
                name,
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": spec})),
            )
            .await?;
        Ok(())
    }

    /// Deletes a resource that has pods, as somebody who means it.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.timeline.act(&format!("deleted {name}"));
        self.annotate(name, "chainlink-operator.dev/allow-deletion", "true")
            .await?;
        self.nodes().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Puts an annotation on a resource.
    pub async fn annotate(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.nodes()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// The status, once it is about the spec of now.
    pub async fn status(&self, name: &str) -> Result<ChainlinkNodeStatus> {
        let node = self.nodes().get(name).await?;
        let generation = node.metadata.generation.unwrap_or_default();
        let status = node.status.context("no status yet")?;
        ensure!(
            status.observed_generation == generation,
            "the status is about generation {}, not {generation}",
            status.observed_generation
        );
        Ok(status)
    }

    /// Waits until the status satisfies a condition.
    pub async fn until_status(
        &self,
        name: &str,
        what: &str,
        fits: impl Fn(&ChainlinkNodeStatus) -> bool,
    ) -> Result<ChainlinkNodeStatus> {
        until(what, PATIENCE, async || {
            let status = self.status(name).await?;
            if fits(&status) {
                return Ok(status);
            }
            bail!("{}", brief(&status))
        })
        .await
    }

    /// Waits until status says that `version` works with all its standbys, and nothing is left to do.
    pub async fn until_status_running(
        &self,
        name: &str,
        version: &str,
        replicas: usize,
    ) -> Result<ChainlinkNodeStatus> {
        let what = format!("{name} runs {version} on {replicas} pods");
        self.until_status(name, &what, |status| {
            status.current_version.as_deref() == Some(version)
                && status.pods.len() == replicas
                && status
                    .pods
                    .iter()
                    .all(|pod| pod.version.as_deref() == Some(version))
                && pods_with_role(status, "Standby").len() == replicas - 1
                && status.handover.is_none()
                && condition(status, "Ready") == Some(true)
                && condition(status, "Reconciling") != Some(true)
        })
        .await
    }

    /// [`World::until_status_running`], and the active works by its own record of duty.
    pub async fn until_running(
        &self,
        name: &str,
        version: &str,
        replicas: usize,
    ) -> Result<ChainlinkNodeStatus> {
        let status = self.until_status_running(name, version, replicas).await?;
        let active = status.active.as_deref().unwrap_or_default();
        until(
            &format!("the active {active} works"),
            PATIENCE,
            async || {
                let record = self.judged().await?;
                let last = record.duties.last().context("nobody had the lock yet")?;
                ensure!(last.pod == active, "{} had the lock last", last.pod);
                ensure!(last.listening.is_some(), "it boots still");
                Ok(())
            },
        )
        .await?;
        Ok(status)
    }

    /// Waits until the resource is Stalled, and says one of these words in reason or message. Returns both.
    pub async fn until_stalled(&self, name: &str, words: &[&str]) -> Result<String> {
        let said = |status: &ChainlinkNodeStatus| {
            let stalled = status
                .conditions
                .iter()
                .find(|one| one.type_ == "Stalled" && one.status == "True")?;
            Some(format!("{}: {}", stalled.reason, stalled.message))
        };
        let what = format!("the resource is Stalled and says {}", words.join(" or "));
        let status = self
            .until_status(name, &what, |status| {
                said(status).is_some_and(|said| words.iter().any(|word| said.contains(word)))
            })
            .await?;
        said(&status).context("it was there")
    }

    /// The pod that works, by the operator's status.
    pub async fn active(&self, name: &str) -> Result<String> {
        self.status(name).await?.active.context("nobody is active")
    }

    /// Waits until the active Service leads to this pod and no other, and an answer comes through it.
    pub async fn until_service_leads_to(&self, service: &str, pod: &str) -> Result<()> {
        until(
            &format!("the Service {service} leads to {pod}"),
            PATIENCE,
            async || {
                let targets = self.targets(service).await?;
                ensure!(targets == [pod], "it leads to {targets:?}");
                let path = format!(
                    "/api/v1/namespaces/{}/services/{service}:6688/proxy/health",
                    self.namespace
                );
                self.client
                    .request_text(http::Request::get(path).body(Vec::new())?)
                    .await
                    .context("no answer through the Service")?;
                Ok(())
            },
        )
        .await
    }

    /// The pods that a Service leads to.
    pub async fn targets(&self, service: &str) -> Result<Vec<String>> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_service =
            ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
        let found = slices.list(&of_service).await?;
        Ok(found.items.iter().flat_map(ready_targets).collect())
    }

    /// Kills the process of a node (SIGKILL); the kubelet starts it again.
    pub async fn kill_process(&self, pod: &str) -> Result<()> {
        self.timeline.act(&format!("killed the process of {pod}"));
        until(
            &format!("{pod} has a process to kill"),
            PATIENCE,
            async || machine::signal(pod, "chainlink", "KILL"),
        )
        .await
    }

    /// Freezes the process of a node (SIGSTOP).
    pub fn freeze(&self, pod: &str) -> Result<()> {
        self.timeline.act(&format!("froze the process of {pod}"));
        machine::signal(pod, "chainlink", "STOP")
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self, pod: &str) -> Result<()> {
        self.timeline.act(&format!("thawed the process of {pod}"));
        machine::signal(pod, "chainlink", "CONT")
    }

    /// Waits until the node's container runs for the `restart`th time after its first.
    pub async fn until_restarted(&self, pod: &str, restart: i32) -> Result<()> {
        until(&format!("{pod} runs again"), PATIENCE, async || {
            let status = self.container(pod).await?;
            let runs = status.state.is_some_and(|state| state.running.is_some());
            ensure!(status.restart_count >= restart && runs, "it does not");
            Ok(())
        })
        .await
    }

    /// How often the node's container was started again.
    pub async fn restarts(&self, pod: &str) -> Result<i32> {
        Ok(self.container(pod).await?.restart_count)
    }

    async fn container(&self, pod: &str) -> Result<ContainerStatus> {
        let status = self.pods().get(pod).await?.status;
        let containers = status.and_then(|status| status.container_statuses);
        let mut containers = containers.unwrap_or_default().into_iter();
        containers
            .next()
            .with_context(|| format!("{pod} has no container yet"))
    }

    /// Deletes a pod at once, without a word to it.
    pub async fn force_delete(&self, pod: &str) -> Result<()> {
        self.timeline.act(&format!("deleted {pod} by force"));
        self.pods()
            .delete(
                pod,
                &DeleteParams {
                    grace_period_seconds: Some(0),
                    ..DeleteParams::default()
                },
            )
            .await?;
        Ok(())
    }

    /// The operator's writes from now on.
    pub fn audit(&self) -> Result<Audit> {
        Audit::begin(&self.cluster)
    }

    /// The record in the database.
    pub async fn duty_in_database(&self) -> Result<Record> {
        let database = connect(&self.database_url).await?;
        if database
            .query_one("SELECT to_regclass('simulator_duty') IS NULL", &[])
            .await?
            .get(0)
        {
            return Ok(Record::default());
        }
        let rows = database
            .query(
                "SELECT (extract(epoch FROM at) * 1000000)::bigint, pod, app_id::text, version, kind
                 FROM simulator_duty WHERE kind <> 'tick'
                 UNION ALL
                 SELECT (extract(epoch FROM max(at)) * 1000000)::bigint, pod, app_id::text, version, kind
                 FROM simulator_duty WHERE kind = 'tick' GROUP BY pod, app_id, version, kind",
                &[],
            )
            .await?;
        Ok(Record::of(rows.iter().filter_map(|row| {
            Some(Event {
                at: row.get(0),
                pod: row.get(1),
                app: row.get(2),
                version: row.get(3),
                kind: Kind::parse(row.get(4))?,
            })
        })))
    }

    /// The record of the datagrams, where they can be collected.
    pub fn duty_collected(&self) -> Option<Record> {
        self.collector
            .as_ref()
            .map(|collector| Record::of(collector.events()))
    }

    /// Judges both records: never two actives. Returns the fuller one.
    pub async fn judged(&self) -> Result<Record> {
        let written = self.duty_in_database().await?;
        written
            .never_two_actives()
            .context("by the record in the database")?;
        let Some(collected) = self.duty_collected() else {
            return Ok(written);
        };
        collected.never_two_actives().context("by the datagrams")?;
        Ok(collected)
    }

    /// Judges once more, and for the last time: one that was cut off or frozen works on for a moment when it comes back,
    /// as it does not know yet that its lease went to another.
    pub async fn outlived(&self) -> Result<()> {
        let gaps = self.gaps().await?;
        self.outlived.get_or_init(|| gaps);
        Ok(())
    }

    /// The end of a scenario: both records tell of the same work, and never of two actives. Returns the gaps.
    pub async fn last_judged(&self) -> Result<Vec<Gap>> {
        // A record may be on its way.
        let what = "both records of duty tell of the same work";
        until(what, PATIENCE, async || {
            let Some(collected) = self.duty_collected() else {
                return Ok(());
            };
            self.duty_in_database().await?.agrees_with(&collected)
        })
        .await?;
        match self.outlived.get() {
            Some(until_then) => Ok(until_then.clone()),
            None => self.gaps().await,
        }
    }

    /// The gaps so far; refuses two actives.
    pub async fn gaps(&self) -> Result<Vec<Gap>> {
        Ok(self.judged().await?.gaps())
    }

    /// Removes the namespace and the databases.
    pub async fn remove(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // A scenario may have deleted it itself.
        if namespaces.get_opt(&self.namespace).await?.is_some() {
            namespaces
                .delete(&self.namespace, &DeleteParams::default())
                .await?;
        }
        self.cluster.drop_database(&self.database).await?;
        self.cluster.drop_databases(&self.other_name("")).await
    }
}

async fn set(database: &tokio_postgres::Client, key: &str, value: &str) -> Result<()> {
    let statement =
        "INSERT INTO simulator_settings VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
    database.execute(statement, &[&key, &value]).await?;
    Ok(())
}

/// Whether a condition is true; `None` where it is not there or unknown.
pub fn condition(status: &ChainlinkNodeStatus, name: &str) -> Option<bool> {
    let condition = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == name)?;
    match condition.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// The pods that have a role.
pub fn pods_with_role(status: &ChainlinkNodeStatus, role: &str) -> Vec<String> {
    let of_role = status.pods.iter().filter(|pod| pod.role == role);
    of_role.map(|pod| pod.name.clone()).collect()
}

/// A status in one line.
pub fn brief(status: &ChainlinkNodeStatus) -> String {
    let pods: Vec<String> = status
        .pods
        .iter()
        .map(|pod| {
            format!(
                "{} {} {}",
                pod.name,
                pod.role,
                pod.version.as_deref().unwrap_or("?")
            )
        })
        .collect();
    let conditions: Vec<String> = status
        .conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .map(|condition| {
            format!(
                "{} ({}: {})",
                condition.type_, condition.reason, condition.message
            )
        })
        .collect();
    format!(
        "{}: {} [{}] true: {}",
        status.phase.as_deref().unwrap_or("no phase"),
        status.message.as_deref().unwrap_or_default(),
        pods.join(", "),
        conditions.join("; ")
    )
}

/// Marks the namespaces of scenarios.
const SCENARIO: (&str, &str) = ("chainlink-operator.dev/test", "scenario");

async fn fresh_namespace(client: &Client, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(name).await?.is_some() {
        namespaces.delete(name, &DeleteParams::default()).await?;
    }
    until_gone(&namespaces, name).await?;
    enforced_namespace(client, name).await
}

async fn until_gone(namespaces: &Api<Namespace>, name: &str) -> Result<()> {
    let what = format!("the old namespace {name} is gone");
    until(&what, PATIENCE, async || {
        let gone = namespaces.get_opt(name).await?.is_none();
        ensure!(gone, "it is still there");
        Ok(())
    })
    .await
}

/// Removes what scenarios of a run that was cut off have left: their nodes would have to be moved by each drain.
pub async fn remove_leftovers(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let marked = ListParams::default().labels(&format!("{}={}", SCENARIO.0, SCENARIO.1));
    let left = namespaces.list(&marked).await?;
    let names: Vec<String> = left.items.iter().map(ResourceExt::name_any).collect();
    for name in &names {
        namespaces.delete(name, &DeleteParams::default()).await?;
    }
    for name in &names {
        until_gone(&namespaces, name).await?;
    }
    Ok(())
}

/// Makes a namespace, or marks one that is there, with the strictest of Kubernetes' own profiles: what is made in it has
/// to pass that.
pub async fn enforced_namespace(client: &Client, name: &str) -> Result<()> {
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    if name.starts_with("e2e-") {
        namespace["metadata"]["labels"][SCENARIO.0] = SCENARIO.1.into();
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let parameters = PatchParams::apply("e2e").force();
    namespaces
        .patch(name, &parameters, &Patch::Apply(&namespace))
        .await?;
    Ok(())
}
