//! The resources of one fleet: how all of them are made and changed, what is waited for, and what is noted of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chainlink_operator::api::names::NODE_LABEL;
use chainlink_operator::api::{ChainlinkNode, crd};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::sleep;

use super::control::ControlPlane;
use super::database::Databases;
use super::figures::{Figure, quantile};
use super::hollow::Hollow;
use super::lease::{self, Written};
use super::operator::{Cost, Operator};
use super::phases::Settings;
use super::seen::Resource;
use crate::until;

/// So many resources are made or changed at a time.
const AT_A_TIME: usize = 16;
/// Between two looks at what is counted.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// So many times as long as it has to be quiet it is waited for that it is.
const NEVER_QUIET: u32 = 12;
/// Fewer requests of a kind are not told.
const LEAST: f64 = 0.05;
/// The version that all of them are made in.
pub(super) const FIRST: &str = "2.28.0";

/// One fleet.
pub(super) struct Fleet {
    pub(super) size: usize,
    pub(super) settings: Settings,
    pub(super) client: Client,
    pub(super) hollow: Hollow,
    pub(super) databases: Option<Arc<Databases>>,
    pub(super) written: Written,
    /// What all of them are at.
    pub(super) version: String,
    /// How often they were upgraded.
    pub(super) upgrades: u32,
    pub(super) figures: Vec<Figure>,
    // The last, so that it ends last.
    pub(super) control: ControlPlane,
}

impl Fleet {
    pub(super) fn note(&mut self, phase: &str, name: &str, unit: &str, value: f64) {
        println!("{:>6} {phase:<14} {name:<32} {value:.3} {unit}", self.size);
        self.figures.push(Figure {
            resources: self.size,
            phase: phase.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
        });
    }

    pub(super) fn resources(&self) -> Vec<(String, String)> {
        resources(self.size, self.settings.together)
    }

    fn nodes(&self, namespace: &str) -> Api<ChainlinkNode> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The CRD and the namespaces.
    pub(super) async fn define(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        definitions.create(&PostParams::default(), &crd()).await?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let fleet = (0..self.size.div_ceil(self.settings.together)).map(|of| format!("fleet-{of}"));
        for name in fleet.chain([lease::NAMESPACE.to_owned()]) {
            let namespace = json!({"metadata": {"name": name}});
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

    /// The share of one resource.
    pub(super) fn each(&self, all: f64) -> f64 {
        all / number(self.size)
    }

    /// How many resources work in a version, and their Services lead to what works.
    pub(super) fn count_of(&self, version: &str) -> usize {
        let seen = self.hollow.seen.all();
        seen.values().filter(|one| is_of(one, version)).count()
    }

    /// Waits until every resource works in a version, and its Service leads to what works.
    pub(super) async fn until_all_are(&self, version: &str, begun: Instant) -> Result<()> {
        self.until_so_many_are(self.size, version, begun).await
    }

    /// Waits until so many resources do.
    pub(super) async fn until_so_many_are(
        &self,
        wanted: usize,
        version: &str,
        begun: Instant,
    ) -> Result<()> {
        let mut told = Instant::now();
        loop {
            let there = self.count_of(version);
            if there >= wanted {
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
    pub(super) async fn until_ready(&self) -> Result<()> {
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

    /// Of how many resources something holds.
    pub(super) async fn count(&self, holds: impl Fn(&ChainlinkNode) -> bool) -> Result<usize> {
        let nodes: Api<ChainlinkNode> = Api::all(self.client.clone());
        let all = nodes.list(&ListParams::default()).await?;
        Ok(all.iter().filter(|node| holds(node)).count())
    }

    /// Waits until no pod is left, and the operator says so of every resource.
    pub(super) async fn until_hibernated(&self) -> Result<()> {
        until("all are hibernated", self.settings.patience, async || {
            let pods: Api<Pod> = Api::all(self.client.clone());
            let left = ListParams::default().labels(NODE_LABEL);
            let left = pods.list_metadata(&left).await?.items.len();
            ensure!(left == 0, "{left} pods are left");
            let there = self.count(is_hibernated).await?;
            ensure!(there == self.size, "{there} of {}", self.size);
            Ok(())
        })
        .await
    }

    /// Waits until the operator asks nothing for a while; not for ever, and the rest shows what it asks.
    pub(super) async fn until_quiet(&self, operator: &Operator) -> Result<Cost> {
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

    /// Requests, writes, time of a core and passes.
    pub(super) fn cost_of(&mut self, phase: &str, before: &Cost, after: &Cost, seconds: f64) {
        let requests = (after.requests() - before.requests()) / seconds;
        self.note(phase, "requests", "1/s", requests);
        let writes = after.writes() - before.writes();
        self.note(phase, "writes", "", writes);
        let core = (after.cpu - before.cpu) / seconds * 100.0;
        self.note(phase, "core", "%", core);
        let passes = after.passes.since(&before.passes) / seconds;
        self.note(phase, "passes", "1/s", passes);
        for (what, after, before) in [
            ("passes", &after.passes, &before.passes),
            ("decisions", &after.decisions, &before.decisions),
        ] {
            if after.since(before) < 0.5 {
                continue;
            }
            for share in [0.5, 0.99] {
                let within = after.within(before, share);
                let name = format!("{:.0} % of {what} within", share * 100.0);
                self.note(phase, &name, "s", within);
            }
        }
    }

    /// Requests by kind, in this unit and times this. What leads, and what goes on beside, is left out.
    pub(super) fn kinds(
        &mut self,
        phase: &str,
        what: &str,
        (before, after): (&Cost, &Cost),
        (unit, times): (&str, f64),
    ) {
        for (kind, count) in &after.of_kind {
            let earlier = before.of_kind.get(kind).copied().unwrap_or_default();
            let value = (count - earlier) * times;
            if value >= LEAST && !kind.ends_with(" leases") {
                self.note(phase, &format!("{what}: {kind}"), unit, value);
            }
        }
    }

    /// What the processes of the control plane have taken of a core, in seconds.
    pub(super) fn processor_time(&self) -> Result<f64> {
        let of = |(_, id): (&str, u32)| super::operator::processor_time(id);
        self.control.processes().into_iter().map(of).sum()
    }

    pub(super) async fn create(&self) -> Result<()> {
        let resources = self.resources();
        let made = futures::stream::iter(&resources).map(async |(namespace, name)| {
            let mut node = node(namespace, name);
            if let Some(databases) = &self.databases {
                let url = databases.url(&format!("{namespace}/{name}"));
                let verification = if url.is_some() { "Required" } else { "Never" };
                node["spec"]["database"]["verification"] = verification.into();
                self.secrets(namespace, name, url.as_deref()).await?;
            }
            let node = serde_json::from_value(node)?;
            let nodes = self.nodes(namespace);
            nodes.create(&PostParams::default(), &node).await?;
            anyhow::Ok(())
        });
        each(made).await
    }

    /// The Secrets of one resource.
    async fn secrets(&self, namespace: &str, name: &str, url: Option<&str>) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let url = url.unwrap_or("postgresql://nobody@127.0.0.1:1/none");
        for (name, text) in [
            (format!("{name}-database"), json!({"url": url})),
            (
                "keys".to_owned(),
                json!({"password": "p4SsW0rD1!@#_keystore"}),
            ),
        ] {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": text,
            });
            let how = PatchParams::apply("fleet").force();
            secrets.patch(&name, &how, &Patch::Apply(secret)).await?;
        }
        Ok(())
    }

    pub(super) async fn change(&self, spec: serde_json::Value) -> Result<()> {
        let resources = self.resources();
        let patch = Patch::Merge(json!({"spec": spec}));
        let changed = futures::stream::iter(&resources).map(async |(namespace, name)| {
            let nodes = self.nodes(namespace);
            nodes.patch(name, &PatchParams::default(), &patch).await?;
            anyhow::Ok(())
        });
        each(changed).await
    }

    /// Has all of them upgraded, and says to which version. None goes back to an older one (rule S6).
    pub(super) async fn give_next_version(&mut self) -> Result<String> {
        self.version = format!("2.29.{}", self.upgrades);
        self.upgrades += 1;
        self.change(json!({"version": self.version})).await?;
        Ok(self.version.clone())
    }

    /// The median, the 99th of a hundred, and the longest.
    pub(super) fn times(&mut self, phase: &str, what: &str, times: impl Iterator<Item = Duration>) {
        let mut all: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
        for (name, share) in [("median", 0.5), ("p99", 0.99), ("worst", 1.0)] {
            if let Some(value) = quantile(&mut all, share) {
                self.note(phase, &format!("{what} ({name})"), "s", value);
            }
        }
    }

    /// Which pod works, by resource.
    pub(super) fn works(&self) -> HashMap<String, String> {
        let seen = self.hollow.seen.all().into_iter();
        seen.filter_map(|(name, one)| Some((name, one.works?.pod)))
            .collect()
    }
}

/// Namespace and name of so many resources.
pub(super) fn resources(size: usize, together: usize) -> Vec<(String, String)> {
    let of = |number: usize| (format!("fleet-{}", number / together), format!("n{number}"));
    (0..size).map(of).collect()
}

fn is_of(one: &Resource, version: &str) -> bool {
    one.is_followed() && one.works.as_ref().is_some_and(|it| it.version == version)
}

fn is_hibernated(node: &ChainlinkNode) -> bool {
    let status = node.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    phase == Some("Hibernated")
}

fn is_ready(node: &ChainlinkNode) -> bool {
    let generation = node
        .status
        .as_ref()
        .map(|status| status.observed_generation);
    generation == node.metadata.generation && condition(node, "Ready")
}

/// Whether a condition holds.
pub(super) fn condition(node: &ChainlinkNode, kind: &str) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|one| one.type_ == kind && one.status == "True")
}

pub(super) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Awaits all of them, some at a time.
pub(super) async fn each<F: Future<Output = Result<()>>>(
    all: impl futures::Stream<Item = F>,
) -> Result<()> {
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
