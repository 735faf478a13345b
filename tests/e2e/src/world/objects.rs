//! What a scenario makes and changes in its namespace.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::{Context, Result};
use chainlink_operator::api::ChainlinkNode;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::World;
use crate::canary::Canaries;
use crate::exec::repository;

impl World {
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
}
