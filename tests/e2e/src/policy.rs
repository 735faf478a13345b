//! What the owner of a cluster may put between an operator and the API server: an admission policy that refuses (403), or a webhook
//! that is down (500). Both act in one scenario's namespace, and end when dropped, also where a test fails.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::install::SERVICE_ACCOUNT;
use crate::until;
use crate::world::{PATIENCE, World};

/// What is written: group, resource (with its part, as in `pods/status`), and how.
pub type Writes<'a> = &'a [(&'a str, &'a str, &'a str)];

/// Only what the operator asks for.
pub fn of_the_operator() -> String {
    format!("request.userInfo.username == '{SERVICE_ACCOUNT}'")
}

/// Refuses, until it is dropped.
pub struct Refusal {
    cluster: Cluster,
    kinds: &'static str,
    name: String,
}

impl Refusal {
    /// An admission policy that refuses those writes for which the CEL expression holds.
    pub async fn by_policy(world: &World, writes: Writes<'_>, refused: &str) -> Result<Self> {
        let refusal = Self::of(
            world,
            "validatingadmissionpolicybindings,validatingadmissionpolicies",
        );
        let name = &refusal.name;
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules(writes)},
                "matchConditions": [{"name": "refused", "expression": with_probe(refused)}],
                "validations": [{"expression": "false", "message": "the policy of the images does not allow it"}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": in_namespace(world)},
            },
        });
        let client = || world.client.clone();
        let apply = PatchParams::apply("e2e").force();
        Api::<ValidatingAdmissionPolicy>::all(client())
            .patch(name, &apply, &Patch::Apply(&policy))
            .await?;
        Api::<ValidatingAdmissionPolicyBinding>::all(client())
            .patch(name, &apply, &Patch::Apply(&binding))
            .await?;
        until_probe(world, true).await?;
        Ok(refusal)
    }

    /// A webhook that nobody answers, for those writes for which the CEL expression holds: the API server fails with 500.
    pub async fn by_dead_webhook(world: &World, writes: Writes<'_>, asked: &str) -> Result<Self> {
        let refusal = Self::of(world, "validatingwebhookconfigurations");
        let name = &refusal.name;
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "away.chainlink-operator.dev",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": rules(writes),
                "matchConditions": [{"name": "asked", "expression": with_probe(asked)}],
                "namespaceSelector": in_namespace(world),
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        Api::<ValidatingWebhookConfiguration>::all(world.client.clone())
            .patch(
                name,
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&webhook),
            )
            .await?;
        until_probe(world, true).await?;
        Ok(refusal)
    }

    /// Of these kinds of object, named as the scenario's namespace.
    fn of(world: &World, kinds: &'static str) -> Self {
        Self {
            cluster: world.cluster.clone(),
            kinds,
            name: world.namespace.clone(),
        }
    }

    /// Ends it, and waits until the API server has noticed.
    pub async fn lift(self, world: &World) -> Result<()> {
        drop(self);
        until_probe(world, false).await
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        let arguments = ["delete", "--ignore-not-found", self.kinds, &self.name];
        if let Err(error) = self.cluster.kubectl(&arguments) {
            eprintln!(
                "{} {} could not be removed: {error:#}",
                self.kinds, self.name
            );
        }
    }
}

/// A `ConfigMap` that is never made: whether it is refused tells whether the API server knows the policy yet.
const PROBE: &str = "policy-probe";

fn with_probe(expression: &str) -> String {
    format!(
        "request.resource.resource == 'configmaps' && request.name == '{PROBE}' \
         || request.resource.resource != 'configmaps' && ({expression})"
    )
}

fn rules(writes: Writes<'_>) -> Vec<Value> {
    let rule = |(group, resource, operation): &(&str, &str, &str)| {
        json!({
            "apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": [operation],
        })
    };
    let probe = ("", "configmaps", "CREATE");
    writes.iter().chain([&probe]).map(rule).collect()
}

fn in_namespace(world: &World) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace}})
}

async fn until_probe(world: &World, refused: bool) -> Result<()> {
    let what = format!("the API server refuses: {refused}");
    until(&what, PATIENCE, async || {
        let probe: ConfigMap = serde_json::from_value(json!({"metadata": {"name": PROBE}}))?;
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match world.config_maps().create(&dry, &probe).await {
            Ok(_) => ensure!(!refused, "not yet"),
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422 | 500) => {
                ensure!(refused, "still: {}", status.message);
            }
            Err(error) => return Err(error).context("the probe"),
        }
        Ok(())
    })
    .await
}
