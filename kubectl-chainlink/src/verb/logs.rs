//! `logs`: what nodes print, merged by the time that their kubelets noted; with `--follow` also of pods that come to be
//! asked for, as when the lock moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chainlink_operator::api::{ChainlinkNode, names};
use futures::{AsyncBufReadExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::args::{Logs, Whose};
use crate::connect::Session;
use crate::end::End;
use crate::failure::{Doing, Failure};
use crate::out::{Out, Tone, Word};

/// So long a line waits for an earlier one of another pod.
const HELD: Duration = Duration::from_millis(300);
/// Between two tries to open the log of a container that is not there yet, or has ended.
const AGAIN: Duration = Duration::from_secs(1);

/// A line of a pod's log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// As the kubelet noted it.
    at: Option<Timestamp>,
    pod: String,
    text: String,
}

impl Line {
    fn read(pod: &str, text: &str) -> Self {
        let parts = text.split_once(' ');
        let parts = parts.and_then(|(time, rest)| Some((time.parse().ok()?, rest)));
        Self {
            at: parts.map(|(at, _)| at),
            pod: pod.to_owned(),
            text: parts.map_or(text, |(_, rest)| rest).to_owned(),
        }
    }

    fn show(&self, timestamps: bool, out: &mut Out) -> std::io::Result<()> {
        let time = self.at.filter(|_| timestamps);
        let time = time.map(|at| format!("{at} ")).unwrap_or_default();
        let before = format!("{time}[{}] ", self.pod);
        out.line(&[Word::new(before, Tone::Faint), self.text.clone().into()])
    }
}

pub async fn run(asked: &Logs, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    if asked.follow {
        return follow(asked, session, out).await;
    }
    let whose = pods(&node, asked.of);
    if whose.is_empty() {
        return Err(Failure::Asked(format!(
            "no pod of {} is {}: see kubectl chainlink why {}",
            asked.name,
            role(asked.of),
            asked.name
        )));
    }
    let api: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let (mut lines, mut silent) = (Vec::new(), Vec::new());
    for pod in &whose {
        match api.logs(pod, &parameters(asked, None)).await {
            Ok(text) => lines.extend(text.lines().map(|line| Line::read(pod, line))),
            // Another pod's log may be there, but for a right that is missing.
            Err(kube::Error::Api(status)) if status.code != 403 && status.code != 401 => {
                silent.push(format!("{pod}: {}", status.message));
            }
            Err(error) => return Err(error).doing(format!("reading the log of {pod}")),
        }
    }
    // A line without a time stays behind the one before it.
    lines.sort_by_key(|line| line.at);
    for line in &lines {
        line.show(asked.timestamps, out)?;
    }
    for note in silent {
        out.line(&[Word::new(format!("there is no log of {note}"), Tone::Waits)])?;
    }
    Ok(End::Done)
}

fn role(whose: Whose) -> &'static str {
    match whose {
        Whose::Active => "active",
        Whose::Standby => "standby",
        Whose::All => "there",
    }
}

/// The pods whose logs are asked for.
fn pods(node: &ChainlinkNode, whose: Whose) -> BTreeSet<String> {
    let Some(status) = &node.status else {
        return BTreeSet::new();
    };
    let active = status.active.as_ref();
    let asked = status.pods.iter().filter(|pod| match whose {
        Whose::Active => Some(&pod.name) == active,
        Whose::Standby => Some(&pod.name) != active,
        Whose::All => true,
    });
    asked.map(|pod| pod.name.clone()).collect()
}

fn parameters(asked: &Logs, since: Option<Timestamp>) -> LogParams {
    LogParams {
        container: Some(names::CONTAINER.to_owned()),
        follow: asked.follow,
        timestamps: true,
        tail_lines: since.is_none().then(|| asked.tail.into()),
        since_seconds: asked.since.map(i64::from).filter(|_| since.is_none()),
        since_time: since,
        ..LogParams::default()
    }
}

/// Lines that wait for earlier ones of other pods, by time, and by number where that is the same.
#[derive(Default)]
struct Held {
    lines: BTreeMap<(Option<Timestamp>, u64), (Line, Instant)>,
    count: u64,
    /// Of the last line with a time, by pod: one without stays behind it.
    last: BTreeMap<String, Timestamp>,
}

impl Held {
    fn take(&mut self, line: Line, now: Instant) {
        if let Some(at) = line.at {
            self.last.insert(line.pod.clone(), at);
        }
        let at = line.at.or_else(|| self.last.get(&line.pod).copied());
        self.count += 1;
        self.lines.insert((at, self.count), (line, now));
    }

    /// The next line that has waited for long enough.
    fn give(&mut self, now: Instant) -> Option<Line> {
        let first = self.lines.first_entry()?;
        let due = now.duration_since(first.get().1) >= HELD;
        due.then(|| first.remove().0)
    }
}

async fn follow(asked: &Logs, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let api: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let (lines, mut coming) = mpsc::unbounded_channel();
    let mut states = Box::pin(session.watch(&asked.name));
    let mut readers = JoinSet::new();
    let mut followed = BTreeSet::new();
    let mut active: Option<String> = None;
    let mut held = Held::default();
    let mut tick = tokio::time::interval(HELD / 3);
    loop {
        tokio::select! {
            state = states.next() => {
                let Some(Some(node)) = state.transpose()? else {
                    return Ok(End::Done);
                };
                let now = node.status.as_ref().and_then(|status| status.active.clone());
                if now != active {
                    out.line(&[Word::new(moved(active.as_deref(), now.as_deref()), Tone::Heading)])?;
                    active = now;
                }
                // A log is read to its end, also where another pod has the lock by then: it may say why.
                for pod in pods(&node, asked.of) {
                    if followed.insert(pod.clone()) {
                        readers.spawn(read(api.clone(), asked.clone(), pod, lines.clone()));
                    }
                }
            }
            Some(line) = coming.recv() => held.take(line, Instant::now()),
            Some(ended) = readers.join_next() => {
                if let Ok(Err(error)) = ended {
                    return Err(error).doing("reading a log");
                }
            }
            _ = tick.tick() => {
                while let Some(line) = held.give(Instant::now()) {
                    line.show(asked.timestamps, out)?;
                }
            }
        }
    }
}

fn moved(from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (None, Some(to)) => format!("--- {to} is active"),
        (Some(from), Some(to)) => format!("--- the lock moved from {from} to {to}"),
        (_, None) => "--- nobody is active".to_owned(),
    }
}

/// Sends each line of a pod's log, over restarts of its container, until the pod is gone.
async fn read(
    api: Api<Pod>,
    asked: Logs,
    pod: String,
    lines: mpsc::UnboundedSender<Line>,
) -> Result<(), kube::Error> {
    let mut last = None;
    loop {
        match api.log_stream(&pod, &parameters(&asked, last)).await {
            Ok(stream) => {
                let mut stream = stream.lines();
                while let Some(Ok(text)) = stream.next().await {
                    let line = Line::read(&pod, &text);
                    // `sinceTime` counts whole seconds: what was shown comes again.
                    if last.is_some() && line.at <= last {
                        continue;
                    }
                    last = line.at.or(last);
                    if lines.send(line).is_err() {
                        return Ok(());
                    }
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if [401, 403].contains(&status.code) => {
                return Err(kube::Error::Api(status));
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pod: &str, text: &str) -> Line {
        Line::read(pod, text)
    }

    #[test]
    fn lines_of_two_pods_come_by_the_time_that_their_kubelets_noted() {
        let (mut held, begin) = (Held::default(), Instant::now());
        held.take(line("a", "2026-03-04T10:00:02Z second"), begin);
        held.take(line("a", "of the second"), begin);
        held.take(line("b", "2026-03-04T10:00:01Z first"), begin);
        held.take(line("b", "2026-03-04T10:00:03Z third"), begin);

        assert_eq!(held.give(begin), None, "an earlier one may come");
        let later = begin + HELD;
        let texts: Vec<String> = std::iter::from_fn(|| held.give(later))
            .map(|line| line.text)
            .collect();
        assert_eq!(texts, ["first", "second", "of the second", "third"]);
    }

    #[test]
    fn a_line_without_a_time_is_kept_whole() {
        let read = line("a", "panic: no time here");
        assert_eq!((read.at, read.text.as_str()), (None, "panic: no time here"));
    }
}
