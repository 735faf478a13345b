//! What is measured of one fleet, phase by phase: all of it is made, the operator starts with everything there, rests, upgrades all
//! of them, is given a version that can't be pulled, and loses a machine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chainlink_operator::api::{ChainlinkNode, crd};
use clap::ValueEnum;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::sleep;

use super::control::ControlPlane;
use super::figures::{Figure, quantile};
use super::hollow::{Hollow, NOT_THERE, ensure_files};
use super::operator::{Cost, Operator};
use super::seen::Resource;
use crate::until;

/// So many resources are made or changed at a time.
const AT_A_TIME: usize = 16;
/// A tenth of the actives is on each machine.
const MACHINES: usize = 10;
/// The machine that is lost.
const LOST: &str = "machine-0";
/// Between two looks at what is counted.
const LOOK: Duration = Duration::from_millis(500);
/// So many times as long as it has to be quiet it is waited for that it is.
const NEVER_QUIET: u32 = 12;
const FIRST: &str = "2.28.0";
const SECOND: &str = "2.29.0";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    Rest,
    Upgrade,
    Stalled,
    Loss,
}

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub phases: Vec<Phase>,
    /// The operator's program.
    pub operator: PathBuf,
    /// How many locks move at a time.
    pub cap: usize,
    /// So many resources share a namespace.
    pub together: usize,
    /// Where no request is made for so long the operator rests.
    pub quiet: Duration,
    /// How long a rest is looked at.
    pub rest: Duration,
    /// How long anything may take.
    pub patience: Duration,
    /// Where the control plane is kept.
    pub folder: PathBuf,
    /// Whether its folder stays.
    pub keep: bool,
}

/// One fleet.
struct Fleet {
    size: usize,
    settings: Settings,
    client: Client,
    hollow: Hollow,
    figures: Vec<Figure>,
    // The last, so that it ends last.
    control: ControlPlane,
}

/// Measures a fleet of so many resources.
pub async fn measure(size: usize, settings: &Settings) -> Result<Vec<Figure>> {
    ensure_files(size)?;
    let control = ControlPlane::start(&settings.folder, settings.keep).await?;
    let client = control.client().await?;
    let (certificate, key) = control.certificate();
    let hollow = Hollow::start(client.clone(), MACHINES, (&certificate, &key)).await?;
    let mut fleet = Fleet {
        size,
        settings: settings.clone(),
        client,
        hollow,
        figures: Vec::new(),
        control,
    };
    let measured = fleet.all().await;
    // The next one has the same addresses.
    fleet.hollow.end().await;
    measured?;
    Ok(fleet.figures)
}

impl Fleet {
    async fn all(&mut self) -> Result<()> {
        self.define().await?;
        let first = self.operator()?;
        self.make(&first).await?;
        // The next one finds everything there.
        drop(first);
        let mut operator = self.operator()?;
        self.start(&mut operator).await?;
        for phase in self.settings.phases.clone() {
            match phase {
                Phase::Rest => self.rest(&operator).await?,
                Phase::Upgrade => self.upgrade(&operator).await?,
                Phase::Stalled => self.stalled(&operator).await?,
                Phase::Loss => self.loss(&operator).await?,
            }
        }
        Ok(())
    }

    fn operator(&self) -> Result<Operator> {
        let (kubeconfig, cap) = (self.control.kubeconfig(), self.settings.cap);
        let program = &self.settings.operator;
        Operator::start(program, &kubeconfig, self.control.folder(), cap)
    }

    fn note(&mut self, phase: &str, name: &str, unit: &str, value: f64) {
        println!("{:>6} {phase:<8} {name:<32} {value:.3} {unit}", self.size);
        self.figures.push(Figure {
            resources: self.size,
            phase: phase.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
        });
    }

    fn resources(&self) -> Vec<(String, String)> {
        let together = self.settings.together;
        let of = |number: usize| (format!("fleet-{}", number / together), format!("n{number}"));
        (0..self.size).map(of).collect()
    }

    fn nodes(&self, namespace: &str) -> Api<ChainlinkNode> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The CRD and the namespaces.
    async fn define(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        definitions.create(&PostParams::default(), &crd()).await?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for number in 0..self.size.div_ceil(self.settings.together) {
            let namespace = json!({"metadata": {"name": format!("fleet-{number}")}});
            let namespace = serde_json::from_value(namespace)?;
            namespaces
                .create(&PostParams::default(), &namespace)
                .await?;
        }
        until(
            "ChainlinkNode is served",
            self.settings.patience,
            async || {
                let nodes: Api<ChainlinkNode> = Api::all(self.client.clone());
                nodes.list(&ListParams::default()).await?;
                Ok(())
            },
        )
        .await
    }

    async fn make(&mut self, operator: &Operator) -> Result<()> {
        let begun = Instant::now();
        let resources = self.resources();
        let made = futures::stream::iter(&resources).map(async |(namespace, name)| {
            let node = serde_json::from_value(node(namespace, name))?;
            let nodes = self.nodes(namespace);
            nodes.create(&PostParams::default(), &node).await?;
            anyhow::Ok(())
        });
        each(made).await?;
        self.until_all_are(FIRST, begun).await?;
        self.until_ready().await?;
        let cost = operator.cost().await?;
        let each = self.each(cost.requests());
        self.note("make", "time", "s", begun.elapsed().as_secs_f64());
        self.note("make", "requests of a resource", "", each);
        let cpu = self.each(cost.cpu);
        self.note("make", "core of a resource", "ms", cpu * 1000.0);
        self.note("make", "most memory", "MiB", cost.peak);
        Ok(())
    }

    /// The share of one resource.
    fn each(&self, all: f64) -> f64 {
        all / number(self.size)
    }

    /// Waits until every resource works in a version, and its Service leads to what works.
    async fn until_all_are(&self, version: &str, begun: Instant) -> Result<()> {
        let mut told = Instant::now();
        loop {
            let seen = self.hollow.seen.all();
            let there = seen.values().filter(|one| is_of(one, version)).count();
            if there >= self.size {
                return Ok(());
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                println!("       {there} of {} are {version}", self.size);
            }
            if begun.elapsed() > self.settings.patience {
                bail!(
                    "after {:?} {there} of {} are {version}",
                    begun.elapsed(),
                    self.size
                );
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the operator says of every resource that it is as it should be.
    async fn until_ready(&self) -> Result<()> {
        until("all are Ready", self.settings.patience, async || {
            let nodes: Api<ChainlinkNode> = Api::all(self.client.clone());
            let all = nodes.list(&ListParams::default()).await?;
            let ready = all.iter().filter(|node| is_ready(node)).count();
            let example = all.iter().find(|node| !is_ready(node)).map(|node| {
                let status = node.status.as_ref();
                let phase = status.and_then(|status| status.phase.clone());
                (node.name_any(), phase)
            });
            ensure!(ready == self.size, "{ready} of {}: {example:?}", self.size);
            sleep(LOOK).await;
            Ok(())
        })
        .await
    }

    async fn start(&mut self, operator: &mut Operator) -> Result<()> {
        let patience = self.settings.patience;
        let looked = operator.has_looked_at(self.size, patience).await?;
        let cost = operator.cost().await?;
        self.note("start", "all were looked at", "s", looked.as_secs_f64());
        self.note("start", "requests until then", "", cost.requests());
        self.note("start", "core until then", "s", cost.cpu);
        let _ = self.until_quiet(operator).await?;
        let cost = operator.cost().await?;
        self.note("start", "requests", "", cost.requests());
        self.note("start", "writes", "", cost.writes());
        self.note("start", "most memory", "MiB", cost.peak);
        let within = cost.pass_within(&Cost::default(), 0.99);
        self.note("start", "99 % of passes within", "s", within);
        Ok(())
    }

    /// Waits until the operator asks nothing for a while; not for ever, and the rest shows what it asks.
    async fn until_quiet(&self, operator: &Operator) -> Result<Cost> {
        let begun = Instant::now();
        let mut last = operator.cost().await?;
        let mut since = Instant::now();
        let quiet = self.settings.quiet;
        while since.elapsed() < quiet && begun.elapsed() < quiet * NEVER_QUIET {
            sleep(LOOK).await;
            let cost = operator.cost().await?;
            if cost.requests() > last.requests() {
                since = Instant::now();
            }
            last = cost;
        }
        Ok(last)
    }

    async fn rest(&mut self, operator: &Operator) -> Result<()> {
        self.until_quiet(operator).await?;
        let (before, begun) = (operator.cost().await?, Instant::now());
        let servers = self.processor_time()?;
        sleep(self.settings.rest).await;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.cost_of("rest", &before, &after, seconds);
        self.note("rest", "memory", "MiB", after.memory);
        self.note("rest", "open streams", "", after.streams);
        let passes = (after.passes - before.passes) / seconds;
        self.note("rest", "passes", "1/s", passes);
        let cores = (self.processor_time()? - servers) / seconds * 100.0;
        self.note("rest", "core of the API server and etcd", "%", cores);
        Ok(())
    }

    /// Requests, writes and time of a core.
    fn cost_of(&mut self, phase: &str, before: &Cost, after: &Cost, seconds: f64) {
        let requests = (after.requests() - before.requests()) / seconds;
        self.note(phase, "requests", "1/s", requests);
        let writes = after.writes() - before.writes();
        self.note(phase, "writes", "", writes);
        let core = (after.cpu - before.cpu) / seconds * 100.0;
        self.note(phase, "core", "%", core);
    }

    /// What the processes of the control plane have taken of a core, in seconds.
    fn processor_time(&self) -> Result<f64> {
        let of = |(_, id): (&str, u32)| super::operator::processor_time(id);
        self.control.processes().into_iter().map(of).sum()
    }

    async fn change(&self, spec: serde_json::Value) -> Result<()> {
        let resources = self.resources();
        let patch = Patch::Merge(json!({"spec": spec}));
        let changed = futures::stream::iter(&resources).map(async |(namespace, name)| {
            let nodes = self.nodes(namespace);
            nodes.patch(name, &PatchParams::default(), &patch).await?;
            anyhow::Ok(())
        });
        each(changed).await
    }

    async fn upgrade(&mut self, operator: &Operator) -> Result<()> {
        let (before, begun) = (operator.cost().await?, Instant::now());
        self.change(json!({"version": SECOND})).await?;
        self.until_all_are(SECOND, begun).await?;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.note("upgrade", "time", "s", seconds);
        let at_a_time = number(self.settings.cap.min(self.size));
        let one = seconds * at_a_time / number(self.size);
        self.note("upgrade", "time of a turn", "s", one);
        self.cost_of("upgrade", &before, &after, seconds);
        let each = self.each(after.requests() - before.requests());
        self.note("upgrade", "requests of a handover", "", each);
        let cpu = self.each(after.cpu - before.cpu) * 1000.0;
        self.note("upgrade", "core of a handover", "ms", cpu);
        let within = after.pass_within(&before, 0.99);
        self.note("upgrade", "99 % of passes within", "s", within);
        let seen = self.hollow.seen.all();
        self.times(
            "upgrade",
            "without an active",
            seen.values().filter_map(Resource::gap),
        );
        self.note("upgrade", "most memory", "MiB", after.peak);
        self.until_ready().await
    }

    /// The median, the 99th of a hundred, and the longest.
    fn times(&mut self, phase: &str, what: &str, times: impl Iterator<Item = Duration>) {
        let mut all: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
        for (name, share) in [("median", 0.5), ("p99", 0.99), ("worst", 1.0)] {
            if let Some(value) = quantile(&mut all, share) {
                self.note(phase, &format!("{what} ({name})"), "s", value);
            }
        }
    }

    /// A version that nobody has: as many wait as may move at a time, and the rest for them.
    async fn stalled(&mut self, operator: &Operator) -> Result<()> {
        let works = self.works();
        self.change(json!({"version": format!("2.30{NOT_THERE}")}))
            .await?;
        sleep(self.settings.rest).await;
        let (before, begun) = (operator.cost().await?, Instant::now());
        sleep(self.settings.rest).await;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.cost_of("stalled", &before, &after, seconds);
        self.note("stalled", "memory", "MiB", after.memory);
        let moved = self.works() != works;
        ensure!(
            !moved,
            "an active was stopped for a version that nobody has"
        );
        self.change(json!({"version": SECOND})).await?;
        self.until_ready().await
    }

    /// Which pod works, by resource.
    fn works(&self) -> HashMap<String, String> {
        let seen = self.hollow.seen.all().into_iter();
        seen.filter_map(|(name, one)| Some((name, one.works?.pod)))
            .collect()
    }

    /// A machine with a tenth of the actives is lost.
    async fn loss(&mut self, operator: &Operator) -> Result<()> {
        let before = operator.cost().await?;
        let works = self.works();
        let mut lost = Vec::new();
        for (resource, pod) in works {
            if self.hollow.machine_of(&pod).await.as_deref() == Some(LOST) {
                lost.push((resource, pod));
            }
        }
        ensure!(!lost.is_empty(), "no active is on {LOST}");
        let begun = Instant::now();
        self.hollow.lose(LOST).await?;
        let seen = loop {
            let seen = self.hollow.seen.all();
            let followed = lost.iter().filter(|(resource, pod)| {
                let one = seen.get(resource);
                one.is_some_and(|one| {
                    one.is_followed() && one.works.as_ref().is_some_and(|it| it.pod != *pod)
                })
            });
            if followed.count() == lost.len() {
                break seen;
            }
            ensure!(
                begun.elapsed() < self.settings.patience,
                "Services did not follow within {:?}",
                begun.elapsed()
            );
            sleep(LOOK / 5).await;
        };
        let after = operator.cost().await?;
        self.note("loss", "actives lost", "", number(lost.len()));
        let of = |(resource, _): &(String, String)| seen.get(resource);
        let took = lost.iter().filter_map(of).filter_map(|one| {
            let works = one.works.as_ref()?;
            Some(works.since.saturating_duration_since(begun))
        });
        self.times("loss", "until the successor works", took);
        let follows = lost.iter().filter_map(of);
        let follows = follows.filter_map(Resource::followed_after);
        self.times("loss", "until its Service follows it", follows);
        let seconds = begun.elapsed().as_secs_f64();
        self.cost_of("loss", &before, &after, seconds);
        Ok(())
    }
}

fn is_of(one: &Resource, version: &str) -> bool {
    one.is_followed() && one.works.as_ref().is_some_and(|it| it.version == version)
}

fn is_ready(node: &ChainlinkNode) -> bool {
    let status = node.status.as_ref();
    let generation = status.map(|status| status.observed_generation);
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    generation == node.metadata.generation
        && conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Awaits all of them, some at a time.
async fn each<F: Future<Output = Result<()>>>(all: impl futures::Stream<Item = F>) -> Result<()> {
    let mut all = Box::pin(all.buffer_unordered(AT_A_TIME));
    while let Some(one) = all.next().await {
        one.context("a resource could not be written")?;
    }
    Ok(())
}

fn node(namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "version": FIRST,
            "replicas": 2,
            "database": {"url": {"secretKeyRef": {"name": format!("{name}-database"), "key": "url"}}},
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            "handover": {"settle": "1s"},
        },
    })
}
