//! What the operator says of a resource, and waiting until it says something.

use anyhow::{Context, Result, bail, ensure};
use chainlink_operator::api::ChainlinkNodeStatus;

use super::{PATIENCE, World};
use crate::until;

impl World {
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
