//! The operator's release program, and what it costs: by its own metrics, and by what the kernel counts for its process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::control::{ControlPlane, Process, free_port};
use super::lease::{self, Written};
use crate::exec::repository;
use crate::until;

/// What the kernel counts a process's time in, a second.
const TICKS: f64 = 100.0;

/// So long after a write of the Lease both sides have counted it.
const COUNTED: Duration = Duration::from_millis(20);
/// So often it is counted again, where the Lease was written meanwhile.
const COUNTS: u32 = 5;

/// An operator that runs.
pub struct Operator {
    process: Process,
    port: u16,
    pod: String,
    written: Written,
    /// How often an earlier one in the same pod had written the Lease.
    earlier: u32,
    /// When it was started.
    pub started: Instant,
}

/// What it had cost at one moment.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Requests to the API server by their verbs.
    pub requests: BTreeMap<String, f64>,
    /// How often it has written the Lease of the operators. It reads it before each time.
    pub lease: f64,
    /// Whether it leads.
    pub leads: bool,
    /// Seconds of a core.
    pub cpu: f64,
    /// Memory that it has, and the most that it had, in MiB.
    pub memory: f64,
    pub peak: f64,
    /// Resources that it has looked at.
    pub looked: usize,
    /// How long passes over resources took.
    pub passes: Times,
    /// From the first word of a change until what is done about it was decided.
    pub decisions: Times,
    /// Requests by verb and resource.
    pub of_kind: BTreeMap<String, f64>,
    /// Handovers and failovers that are over.
    pub moves: f64,
    /// Open watches and logs.
    pub streams: f64,
}

impl Cost {
    /// All requests, without those by which it leads.
    pub fn requests(&self) -> f64 {
        let all = self.requests.values().fold(0.0, |all, count| all + count);
        all - 2.0 * self.lease
    }

    /// Requests that change something, without those by which it leads.
    pub fn writes(&self) -> f64 {
        let writes = |verb: &str| !matches!(verb, "get" | "list" | "watch" | "GET");
        let of = self.requests.iter().filter(|(verb, _)| writes(verb));
        of.fold(0.0, |all, (_, count)| all + count) - self.lease
    }
}

/// Times that were counted by buckets.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// How many, and how many of them within a time.
    count: f64,
    within: Vec<(f64, f64)>,
}

impl Times {
    fn note(&mut self, part: &str, labels: &str, value: f64) {
        match part {
            "count" => self.count += value,
            "bucket" => {
                let end = label(labels, "le").and_then(|end| end.parse().ok());
                self.within.extend(end.map(|end| (end, value)));
            }
            _ => {}
        }
    }

    /// How many were counted since `before`.
    pub fn since(&self, before: &Self) -> f64 {
        self.count - before.count
    }

    /// The time within which that share of those since `before` was, in seconds: the bucket's end.
    pub fn within(&self, before: &Self, share: f64) -> f64 {
        let count = self.count - before.count;
        let earlier: BTreeMap<String, f64> = before
            .within
            .iter()
            .map(|(end, count)| (end.to_string(), *count))
            .collect();
        let within = self.within.iter().find(|(end, so_far)| {
            let earlier = earlier.get(&end.to_string()).copied().unwrap_or_default();
            so_far - earlier >= share * count
        });
        within.map_or(f64::INFINITY, |(end, _)| *end)
    }
}

/// The program that `cargo build --release` makes.
pub fn release() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| repository().join("target"), PathBuf::from);
    target.join("release/chainlink-operator")
}

impl Operator {
    /// Starts it for all namespaces of a cluster, as if it were in this pod. It leads where no operator of another pod does.
    pub fn start(
        program: &Path,
        control: &ControlPlane,
        (pod, asks_databases): (&str, bool),
        max_handovers: usize,
        written: &Written,
    ) -> Result<Self> {
        ensure!(
            program.exists(),
            "there is no {}: make bench-fleet builds it",
            program.display()
        );
        let port = free_port()?;
        let process = Process::start(
            Command::new(program)
                .arg("run")
                .env("KUBECONFIG", control.kubeconfig())
                .env("HTTP_ADDRESS", format!("127.0.0.1:{port}"))
                .env("MAX_HANDOVERS", max_handovers.to_string())
                .env("WATCH_MACHINES", "true")
                .env("VERIFY_DATABASES", asks_databases.to_string())
                .env(
                    "LEADER_LEASE",
                    format!("{}/{}", lease::NAMESPACE, lease::NAME),
                )
                .env("POD_NAME", pod)
                .env("LOG", "warn"),
            pod,
            control.folder(),
        )?;
        Ok(Self {
            process,
            port,
            pod: pod.to_owned(),
            written: written.clone(),
            earlier: written.by(pod),
            started: Instant::now(),
        })
    }

    /// What it has cost until now.
    pub async fn cost(&self) -> Result<Cost> {
        let mut cost = self.counted().await?;
        let id = self.process.id();
        cost.cpu = processor_time(id)?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        cost.memory = mebibytes(&status, "VmRSS:")?;
        cost.peak = mebibytes(&status, "VmHWM:")?;
        Ok(cost)
    }

    /// What it tells, in a moment in which it does not write the Lease.
    async fn counted(&self) -> Result<Cost> {
        let mut counts = 0;
        loop {
            let before = self.written.by(&self.pod);
            sleep(COUNTED).await;
            let mut cost = counted(&get(self.port, "/metrics").await?);
            sleep(COUNTED).await;
            counts += 1;
            if self.written.by(&self.pod) == before || counts == COUNTS {
                cost.lease = f64::from(before - self.earlier);
                return Ok(cost);
            }
        }
    }

    /// Waits until it knows the resources, and another one leads.
    pub async fn until_it_waits(&mut self, limit: Duration) -> Result<()> {
        until("the other operator waits", limit, async || {
            self.process.ensure_runs()?;
            let ready = get(self.port, "/readyz").await?;
            ensure!(ready.contains(" 200 "), "it is not ready");
            let leads = counted(&get(self.port, "/metrics").await?).leads;
            ensure!(!leads, "it leads");
            Ok(())
        })
        .await
    }

    /// Waits until it leads: the last moment in which it was seen not to, and the first in which it was.
    pub async fn until_it_leads(&mut self, limit: Duration) -> Result<(Instant, Instant)> {
        let mut not_yet = Instant::now();
        until("the other operator leads", limit, async || {
            self.process.ensure_runs()?;
            let asked = Instant::now();
            if counted(&get(self.port, "/metrics").await?).leads {
                return Ok((not_yet, Instant::now()));
            }
            not_yet = asked;
            bail!("it does not lead")
        })
        .await
    }

    /// Waits until it has looked at so many resources, and says how long after its start that was.
    pub async fn has_looked_at(&mut self, resources: usize, limit: Duration) -> Result<Duration> {
        let process = &mut self.process;
        let port = self.port;
        let started = self.started;
        until("every resource was looked at", limit, async || {
            process.ensure_runs()?;
            let looked = counted(&get(port, "/metrics").await?).looked;
            ensure!(looked >= resources, "{looked} of {resources}");
            Ok(started.elapsed())
        })
        .await
    }
}

/// What a process has taken of a core, in seconds.
pub fn processor_time(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields = stat.rsplit_once(')').context("no stat of a process")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS)
}

fn mebibytes(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|text| text.split_whitespace().next());
    Ok(number
        .with_context(|| format!("no {name}"))?
        .parse::<f64>()?
        / 1024.0)
}

async fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: operator\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// What one metric's line says: its name, its labels, its value.
fn parts(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some((name, labels.trim_end_matches('}'), value.parse().ok()?))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn counted(text: &str) -> Cost {
    let mut cost = Cost::default();
    for (name, labels, value) in text.lines().filter_map(parts) {
        match name {
            "chainlink_operator_api_requests_total" => {
                let verb = label(labels, "verb").unwrap_or_default().to_owned();
                let resource = label(labels, "resource").unwrap_or_default();
                let kind = format!("{verb} {resource}");
                *cost.of_kind.entry(kind).or_default() += value;
                *cost.requests.entry(verb).or_default() += value;
            }
            "chainlinknode_looked_timestamp_seconds" => cost.looked += 1,
            "chainlink_operator_leading" => cost.leads = value > 0.0,
            "chainlink_operator_lock_moves_total" => cost.moves += value,
            "chainlink_operator_api_open_streams" => cost.streams = value,
            _ => {
                for (times, of) in [
                    (&mut cost.passes, "chainlink_operator_reconcile_seconds_"),
                    (&mut cost.decisions, "chainlink_operator_decision_seconds_"),
                ] {
                    if let Some(part) = name.strip_prefix(of) {
                        times.note(part, labels, value);
                    }
                }
            }
        }
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_metrics_are_read() {
        let before = "chainlink_operator_reconcile_seconds_bucket{le=\"0.01\"} 1\n\
            chainlink_operator_reconcile_seconds_bucket{le=\"0.1\"} 1\n\
            chainlink_operator_reconcile_seconds_count 1\n";
        let text = "# HELP chainlink_operator_api_requests_total Requests\n\
            chainlink_operator_api_requests_total{verb=\"patch\",resource=\"pods\",code=\"200\"} 2\n\
            chainlink_operator_api_requests_total{verb=\"list\",resource=\"pods\",code=\"200\"} 5\n\
            chainlink_operator_leading 1\n\
            chainlinknode_looked_timestamp_seconds{namespace=\"a\",name=\"b\"} 1795457017\n\
            chainlink_operator_reconcile_seconds_bucket{le=\"0.01\"} 5\n\
            chainlink_operator_reconcile_seconds_bucket{le=\"0.1\"} 9\n\
            chainlink_operator_reconcile_seconds_bucket{le=\"+Inf\"} 11\n\
            chainlink_operator_reconcile_seconds_count 11\n";
        let (mut cost, before) = (counted(text), counted(before));
        assert!((cost.requests() - 7.0).abs() < 0.1 && (cost.writes() - 2.0).abs() < 0.1);
        assert!(cost.leads && !before.leads);
        assert_eq!(cost.looked, 1);
        cost.lease = 1.0;
        assert!((cost.requests() - 5.0).abs() < 0.1 && (cost.writes() - 1.0).abs() < 0.1);
        let (passes, earlier) = (&cost.passes, &before.passes);
        assert!((passes.since(earlier) - 10.0).abs() < 0.1);
        assert!((passes.within(earlier, 0.4) - 0.01).abs() < 0.001);
        assert!((passes.within(earlier, 0.8) - 0.1).abs() < 0.001);
        assert!(passes.within(earlier, 0.99).is_infinite());
        assert!((cost.of_kind["list pods"] - 5.0).abs() < 0.1);
    }
}
