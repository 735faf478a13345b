//! Where the pods of a scenario run.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{World, pods_with_role};
use crate::install;
use crate::machine::{Cordoned, NODES};

impl World {
    /// Starts a node whose active runs on the machine of the operator that leads, and its standby elsewhere. Returns machine
    /// and standby.
    pub async fn beside_the_leader(&self, version: &str) -> Result<(String, String)> {
        let leader = install::leader(&self.client).await?;
        let machine = leader.spec.and_then(|spec| spec.node_name);
        let machine = machine.context("the operator runs nowhere")?;
        let others: Vec<&str> = NODES.into_iter().filter(|node| *node != machine).collect();
        let cordoned = Cordoned::cordon(&self.cluster, &others)?;
        self.apply(&self.node("node", version, 1)).await?;
        self.until_running("node", version, 1).await?;
        drop(cordoned);
        self.change("node", json!({"replicas": 2})).await?;
        let status = self.until_running("node", version, 2).await?;
        let standby = pods_with_role(&status, "Standby").remove(0);
        let placed = status.pods.iter().find(|pod| pod.name == standby);
        let placed = placed.and_then(|pod| pod.machine.as_deref());
        ensure!(
            placed != Some(machine.as_str()),
            "the standby runs on {machine} too"
        );
        Ok((machine, standby))
    }
}
