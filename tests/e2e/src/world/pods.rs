//! The pods of a scenario: whom the Service leads to, and what happens to a process.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ContainerStatus;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, ListParams};

use super::{PATIENCE, World};
use crate::timeline::ready_targets;
use crate::{machine, until};

impl World {
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

    /// Of what its node's container ended last.
    pub async fn last_end(&self, pod: &str) -> Result<String> {
        let end = self.container(pod).await?.last_state;
        let end = end.and_then(|state| state.terminated);
        let end = end.with_context(|| format!("{pod} has ended of nothing"))?;
        Ok(end.reason.unwrap_or_default())
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
}
