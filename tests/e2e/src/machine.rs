//! The machine under a cluster of ours: its processes, and the nodes that can be lost.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::exec::quietly;

/// The nodes of tests/cluster.
pub const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// Sends a signal to the program of a pod's container: KILL leaves no word to anybody, as in a crash, STOP freezes it.
/// `program` is the name of its executable.
pub fn signal(pod: &str, program: &str, signal: &str) -> Result<()> {
    signal_process(process_of(pod, program)?, signal)
}

/// Sends a signal to a process.
pub fn signal_process(process: u32, signal: &str) -> Result<()> {
    quietly(Command::new("kill").args(["-s", signal, &process.to_string()])).map(drop)
}

/// The process of a pod's program: its host name is the pod's name, and it is in the container's environment.
pub fn process_of(pod: &str, program: &str) -> Result<u32> {
    let wanted = format!("HOSTNAME={pod}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A process may end while one looks.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        let Ok(command) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let of_pod = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes());
        let mut words = command.split(|byte| *byte == 0);
        let first = words.next().unwrap_or_default();
        // A sidecar of the same program.
        let proxy = words.next() == Some(b"proxy");
        let is_program = String::from_utf8_lossy(first).rsplit('/').next() == Some(program);
        if of_pod && is_program && !proxy {
            found.push(id);
        }
    }
    ensure!(found.len() <= 1, "several processes of {pod}: {found:?}");
    found
        .first()
        .copied()
        .with_context(|| format!("no process {program} of pod {pod} runs on this machine"))
}

/// A kubelet that stands still: its pods run on, and nobody is told what becomes of them. It goes on when dropped, also where
/// a test fails.
pub struct StillKubelet(u32);

impl StillKubelet {
    pub fn of(node: &str) -> Result<Self> {
        let kubelet = kubelet_of(node)?;
        signal_process(kubelet, "STOP")?;
        Ok(Self(kubelet))
    }
}

impl Drop for StillKubelet {
    fn drop(&mut self) {
        if let Err(error) = signal_process(self.0, "CONT") {
            eprintln!("kubelet {} still stands still: {error:#}", self.0);
        }
    }
}

fn kubelet_of(node: &str) -> Result<u32> {
    let words = |words: &[u8]| -> Vec<String> {
        let words = words.split(|byte| *byte == 0);
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    };
    let is_kubelet = |id: &u32| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let command = words(&command);
        let program = command
            .first()
            .is_some_and(|first| first.ends_with("/kubelet"));
        let named = ["--hostname-override", node];
        program && command.windows(2).any(|pair| pair == named)
    };
    let mut processes = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let kubelet = processes.find(is_kubelet);
    kubelet.with_context(|| format!("no kubelet of {node} runs"))
}

/// The network of a node, for nsenter.
pub fn network_of(node: &str) -> Result<String> {
    Ok(format!("/proc/{}/ns/net", kubelet_of(node)?))
}

/// Whether a pod gets a connection to a port: asked from its own network, by this machine's programs.
pub fn reaches(pod: &str, program: &str, address: &str, port: u16) -> Result<bool> {
    let network = format!("/proc/{}/ns/net", process_of(pod, program)?);
    let connect = format!("exec 3<>/dev/tcp/{address}/{port}");
    let asked = Command::new("nsenter")
        .arg(format!("--net={network}"))
        .args(["timeout", "2", "bash", "-c", &connect])
        .output()
        .context("nsenter could not be started")?;
    Ok(asked.status.success())
}

/// `NetworkPolicies` are enforced until this is dropped.
pub struct Firewall(Cluster);

impl Firewall {
    /// From now on.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let firewall = Self(cluster.clone());
        cluster.command(&["firewall", "start"])?;
        Ok(firewall)
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        if let Err(error) = self.0.command(&["firewall", "stop"]) {
            eprintln!("the firewall could not be stopped: {error:#}");
        }
    }
}

/// A node without its cable; it is plugged in again when dropped, also where a test fails.
pub struct LostNode {
    cluster: Cluster,
    node: String,
}

impl LostNode {
    /// Pulls the cable: the pods run on and reach nothing.
    pub fn cut(cluster: &Cluster, node: &str) -> Result<Self> {
        let lost = Self {
            cluster: cluster.clone(),
            node: node.to_owned(),
        };
        cluster.command(&["lose", node])?;
        Ok(lost)
    }
}

impl Drop for LostNode {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.command(&["recover", &self.node]) {
            eprintln!("{} could not be recovered: {error:#}", self.node);
        }
    }
}

/// Nodes on which nothing new is placed; they take pods again when dropped, also where a test fails.
pub struct Cordoned {
    cluster: Cluster,
    nodes: Vec<String>,
}

impl Cordoned {
    /// As a drain begins, without the evictions.
    pub fn cordon(cluster: &Cluster, nodes: &[&str]) -> Result<Self> {
        let cordoned = Self {
            cluster: cluster.clone(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        };
        for node in nodes {
            cluster.kubectl(&["cordon", node])?;
        }
        Ok(cordoned)
    }

    /// As people empty a node.
    pub fn drain(cluster: &Cluster, node: &str) -> Result<Self> {
        let drained = Self::cordon(cluster, &[node])?;
        cluster.kubectl(&[
            "drain",
            node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=120s",
        ])?;
        Ok(drained)
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        for node in &self.nodes {
            if let Err(error) = self.cluster.kubectl(&["uncordon", node]) {
                eprintln!("{node} could not be uncordoned: {error:#}");
            }
        }
    }
}
