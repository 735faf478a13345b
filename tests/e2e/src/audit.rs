//! What the operator wrote and read, by the API server's own audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::install::SERVICE_ACCOUNT;

/// A request of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: String,
    pub verb: String,
    /// `pods`, `pods/status`, `chainlinknodes/status`, …
    pub resource: String,
    pub name: String,
    pub code: u64,
}

impl Call {
    /// Whether it is a stop of a pod that the API server accepted.
    pub fn stops(&self) -> bool {
        self.verb == "delete" && self.resource == "pods" && self.code < 300
    }

    /// Whether it made a node's pod.
    pub fn makes_pod(&self) -> bool {
        let made = self.verb == "create" && self.resource == "pods" && self.code < 300;
        made && is_of_a_node(&self.name)
    }
}

/// The verbs that change nothing.
const READS: [&str; 3] = ["get", "list", "watch"];

/// The log from some moment on.
pub struct Audit {
    file: PathBuf,
    from: u64,
}

impl Audit {
    /// From now on.
    pub fn begin(cluster: &Cluster) -> Result<Self> {
        let file: PathBuf = cluster.command(&["audit-log"])?.into();
        let from = file
            .metadata()
            .context("the cluster keeps no audit log")?
            .len();
        Ok(Self { file, from })
    }

    /// The operator's writes in a namespace since then, in order.
    pub fn writes(&self, namespace: &str) -> Result<Vec<Call>> {
        self.calls(namespace, |verb| !READS.contains(&verb))
    }

    /// What the operator read in a namespace since then, in order; watches are of all namespaces.
    pub fn reads(&self, namespace: &str) -> Result<Vec<Call>> {
        self.calls(namespace, |verb| READS.contains(&verb))
    }

    fn calls(&self, namespace: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Call>> {
        let mut file = File::open(&self.file)?;
        // A log that was rotated meanwhile begins anew.
        let from = if file.metadata()?.len() < self.from {
            0
        } else {
            self.from
        };
        file.seek(SeekFrom::Start(from))?;
        let mut calls = Vec::new();
        for line in BufReader::new(file).lines() {
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(&line?) else {
                continue;
            };
            if event["user"]["username"] == SERVICE_ACCOUNT
                && event["objectRef"]["namespace"] == namespace
                && event["verb"].as_str().is_some_and(&wanted)
            {
                calls.push(call(&event));
            }
        }
        Ok(calls)
    }

    /// The names of the nodes' pods that the operator stopped, in order. Short pods that pull an image or check a
    /// configuration are no nodes.
    pub fn stops(&self, namespace: &str) -> Result<Vec<String>> {
        Ok(self
            .writes(namespace)?
            .into_iter()
            .filter(Call::stops)
            .map(|write| write.name)
            .filter(|pod| is_of_a_node(pod))
            .collect())
    }
}

/// Short pods that pull an image or check a configuration are no nodes.
fn is_of_a_node(pod: &str) -> bool {
    !pod.contains("-pull-") && !pod.contains("-validate-")
}

fn call(event: &Value) -> Call {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = &event["objectRef"];
    let mut resource = text(&target["resource"]);
    if let Some(part) = target["subresource"].as_str() {
        resource = format!("{resource}/{part}");
    }
    Call {
        at: text(&event["requestReceivedTimestamp"]),
        verb: text(&event["verb"]),
        resource,
        name: text(&target["name"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
