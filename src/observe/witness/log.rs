//! Reading a container's log: from its start until nothing more is needed from it, and again where the port
//! tells nothing or the lock moves; and for the word of a node that has lost its lease.

use std::io;
use std::time::{Duration, Instant};

use futures::AsyncBufRead;
use futures::io::AsyncBufReadExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::time::{sleep, timeout};

use super::eyes::{CALM, Eyes, Subject};
use crate::api::names::CONTAINER;
use crate::mutex::lock;
use crate::node::{LogEvent, LogReader, read_line};

/// A log that says nothing for so long is opened again: a stream can hang without an end.
const LOG_SILENCE: Duration = Duration::from_secs(120);
/// An API server answers a request for a log within this time, or not at all.
const OPENING: Duration = Duration::from_secs(10);
/// A container's first line comes within this time, or the log no longer begins with it.
const FIRST_LINE: Duration = Duration::from_secs(15);
/// What a pod records is enough for so long after the start of a watch: by then its port was tried.
const FIRST_TRIES: Duration = Duration::from_secs(5);
/// What a rotation left of the log of an active is read for so long; without an end it would be for ever.
const REST: Duration = Duration::from_secs(10);
/// Between two looks whether a log is still needed that says nothing.
const TICK: Duration = Duration::from_millis(500);
/// A kubelet closes the log of a container that does not run as soon as all of it is sent
/// (`pkg/kubelet/kuberuntime/logs/logs.go`): one that stays open for so long is of one that runs.
const STAYS_OPEN: Duration = Duration::from_millis(500);
/// All that a kubelet has to send to show that it answers.
pub(super) const ONE_LINE: i64 = 1;
/// So many lines a node prints between two that tell whether it has the lock: those of its boot come within a few hundred, and
/// before that it prints next to nothing (the transcripts).
pub(super) const TO_THE_LOCK: i64 = 1000;
/// As much is read of a line; all that has a meaning is shorter.
const LONGEST_LINE: usize = 64 * 1024;

/// The lines of a log, whatever bytes they are made of.
struct Lines<R> {
    source: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
        }
    }

    /// The next line, or nothing at the end. Nothing is lost where it is not waited for.
    async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let read = self.source.fill_buf().await?;
            if read.is_empty() {
                return Ok((!self.line.is_empty()).then(|| self.take()));
            }
            let end = read.iter().position(|&byte| byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            let room = LONGEST_LINE - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            self.source.consume_unpin(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        line
    }
}

async fn open(
    pods: &Api<Pod>,
    pod: &str,
    parameters: LogParams,
    patience: Duration,
) -> Result<Lines<impl AsyncBufRead + Unpin>, String> {
    let parameters = LogParams {
        container: Some(CONTAINER.to_owned()),
        follow: true,
        timestamps: true,
        ..parameters
    };
    match timeout(patience, pods.log_stream(pod, &parameters)).await {
        Ok(Ok(stream)) => Ok(Lines::new(Box::pin(stream))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// What a kubelet says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kubelet {
    Runs,
    /// It hands out the log, and it ends.
    Ended,
    Silent,
}

/// Asks the kubelet of a pod's machine for the last lines of the log, and whether more may come. What they show of the lock is
/// told to `heard`.
pub(super) async fn ask_kubelet(
    pods: &Api<Pod>,
    pod: &str,
    lines: i64,
    mut heard: impl FnMut(&LogReader),
) -> Kubelet {
    let last = LogParams {
        tail_lines: Some(lines),
        ..LogParams::default()
    };
    let Ok(mut lines) = open(pods, pod, last, CALM).await else {
        return Kubelet::Silent;
    };
    let mut reader = LogReader::new();
    let end = async {
        loop {
            match lines.next().await {
                Ok(Some(line)) => {
                    if reader.feed(&line).is_some() {
                        heard(&reader);
                    }
                }
                Ok(None) => return Kubelet::Ended,
                Err(_) => return Kubelet::Silent,
            }
        }
    };
    timeout(STAYS_OPEN, end).await.unwrap_or(Kubelet::Runs)
}

/// Reads for as long as the container is watched, whenever the log is needed.
pub(super) async fn read(pods: Api<Pod>, subject: Subject, eyes: Eyes) {
    let mut alert = eyes.shared.alert.subscribe();
    if subject.recorded.took {
        sleep(FIRST_TRIES).await;
    } else if subject.recorded.waiting {
        // The sender lives as long as this task's own part of what is shared.
        let _ = timeout(FIRST_TRIES, alert.wait_for(|on| *on)).await;
    }
    loop {
        while !eyes.need_log() {
            let _ = timeout(CALM, alert.changed()).await;
        }
        // Most of the time nothing is read.
        match Box::pin(follow(&pods, &subject, &eyes)).await {
            Ok(Reading::Enough) => continue,
            Ok(Reading::Ended) => {
                lock(&eyes.facts).note_end_of_log(Instant::now());
                eyes.wake.wake();
            }
            Ok(Reading::Again) => {}
            Err(error) => {
                tracing::debug!(pod = subject.pod, error, "the log can't be read yet");
            }
        }
        sleep(CALM).await;
    }
}

enum Reading {
    /// Nothing more is needed for now.
    Enough,
    /// The log has an end: its container has ended.
    Ended,
    Again,
}

/// Reads the whole log: a tail of it may hold no waiting line.
async fn follow(pods: &Api<Pod>, subject: &Subject, eyes: &Eyes) -> Result<Reading, String> {
    let mut lines = open(pods, &subject.pod, LogParams::default(), OPENING).await?;
    let mut reader = LogReader::new();
    let mut from_start = None;
    let opened = Instant::now();
    let (mut heard, mut checked) = (opened, opened);
    loop {
        let line = match timeout(TICK, lines.next()).await {
            Ok(Ok(Some(line))) => Some(line),
            Ok(Ok(None)) => return Ok(Reading::Ended),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => None,
        };
        let milestone = line.as_ref().and_then(|line| {
            heard = Instant::now();
            from_start.get_or_insert_with(|| begins(line, subject.started));
            reader.feed(line)
        });
        if let Some(milestone) = &milestone {
            let whole = from_start == Some(true);
            lock(&eyes.facts).note_milestone(&reader, milestone, whole, heard);
            eyes.wake.wake();
        }
        if line.is_none() {
            lock(&eyes.facts).note_running(Instant::now());
        }
        if from_start == Some(false) && subject.recorded.took && opened.elapsed() > REST {
            lock(&eyes.facts).log_exhausted = true;
        }
        if heard.elapsed() > LOG_SILENCE {
            return Ok(Reading::Again);
        }
        if milestone.is_some() || checked.elapsed() >= TICK {
            checked = Instant::now();
            if !eyes.need_log() {
                return Ok(Reading::Enough);
            }
        }
    }
}

/// Whether a log's first line is the container's first, and not what a rotation left.
fn begins(line: &str, started: Timestamp) -> bool {
    read_line(line).time.is_some_and(|time| {
        Duration::try_from(time.duration_since(started)).map_or(true, |late| late <= FIRST_LINE)
    })
}

/// Looks in the log of a node from `since` on for the word that it could not refresh its lease.
pub(super) async fn find_lost_lease(
    pods: Api<Pod>,
    subject: Subject,
    eyes: Eyes,
    since: Timestamp,
) {
    loop {
        let lately = LogParams {
            since_time: Some(since),
            ..LogParams::default()
        };
        if let Ok(mut lines) = open(&pods, &subject.pod, lately, OPENING).await {
            while let Ok(Ok(Some(line))) = timeout(LOG_SILENCE, lines.next()).await {
                let line = read_line(&line);
                let lost = matches!(line.event, LogEvent::LeaseRefreshFailed | LogEvent::Deposed);
                // The kubelet counts in whole seconds.
                if let Some(at) = line.time.filter(|at| lost && *at >= since) {
                    lock(&eyes.facts).lost_lease = Some(at);
                    eyes.wake.wake();
                    return;
                }
            }
        }
        sleep(CALM).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn a_line_that_is_no_text_keeps_nobody_from_the_next() {
        assert_eq!(
            lines(b"one\nt\xffo\n\nend").await,
            ["one", "t\u{fffd}o", "", "end"]
        );
        assert_eq!(lines(b"").await, [""; 0]);
    }

    #[tokio::test]
    async fn of_a_line_without_end_the_beginning_is_read() {
        let mut long = vec![b'a'; 3 * LONGEST_LINE];
        long.extend(b"\nnext\n");
        let read = lines(&long).await;
        assert_eq!((read[0].len(), read[1].as_str()), (LONGEST_LINE, "next"));
    }
}
