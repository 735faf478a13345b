//! Requests through the Service, a hundred a second, asked from a machine of the cluster as any client of it would.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::duty::Micros;
use crate::images::programs;
use crate::machine::network_of;

/// Now, on the clock of the record of duty.
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or_default()
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub sent: Micros,
    pub ended: Micros,
    pub answered: bool,
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = u8::from(self.answered);
        write!(out, "{} {} {answered}", self.sent, self.ended)
    }
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            sent: words.next()?.parse().ok()?,
            ended: words.next()?.parse().ok()?,
            answered: words.next()? == "1",
        })
    }
}

/// The requests until this is dropped.
pub struct Requests {
    process: Child,
    _ends_with: ChildStdin,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Requests {
    /// Asks this address from the network of a machine of tests/cluster.
    pub fn start(machine: &str, address: &str) -> Result<Self> {
        let mut process = Command::new("nsenter")
            .arg(format!("--net={}", network_of(machine)?))
            .arg(programs()?.join("requests"))
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("nsenter could not be started")?;
        let ends_with = process.stdin.take().context("it has no input")?;
        let lines = process.stdout.take().context("it has no output")?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let request = Request::parse(&line);
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(request);
            }
        });
        Ok(Self {
            process,
            _ends_with: ends_with,
            seen,
        })
    }

    /// Those that were sent from then on.
    pub fn since(&self, from: Micros) -> Vec<Request> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut since: Vec<Request> = seen
            .iter()
            .filter(|one| one.sent >= from)
            .copied()
            .collect();
        since.sort_by_key(|one| one.sent);
        since
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All time between one answer and the next in which a request failed; `None` where the last of them failed, too.
pub fn without_answer(requests: &[Request]) -> Option<Micros> {
    let (mut sum, mut answered, mut failing) = (0, requests.first()?.sent, false);
    for request in requests {
        if request.answered {
            if failing {
                sum += (request.ended - answered).max(0);
            }
            answered = request.ended;
        }
        failing = !request.answered;
    }
    (!failing).then_some(sum)
}

/// How many of a hundred failed.
pub fn failed(requests: &[Request]) -> usize {
    let failed = requests.iter().filter(|one| !one.answered).count();
    failed * 100 / requests.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(answered: &str) -> Vec<Request> {
        let one = |(number, mark): (usize, char)| {
            let sent = i64::try_from(number).unwrap() * 10;
            let (ended, answered) = (sent + 2, mark == '+');
            Request {
                sent,
                ended,
                answered,
            }
        };
        answered.chars().enumerate().map(one).collect()
    }

    #[test]
    fn time_without_an_answer_goes_from_answer_to_answer() {
        assert_eq!(without_answer(&requests("++--++")), Some(30));
        assert_eq!(without_answer(&requests("++++")), Some(0));
        assert_eq!(without_answer(&requests("+--+-+")), Some(50));
        assert_eq!(without_answer(&requests("++--")), None);
        assert_eq!(failed(&requests("+-+-")), 50);
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let request = Request {
            sent: 1,
            ended: 20,
            answered: true,
        };
        assert_eq!(Request::parse(&request.to_string()), Some(request));
        assert_eq!(Request::parse("1 x"), None);
    }
}
