//! The record of duty that needs no database: datagrams to this machine.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::duty::{Event, Kind};

/// What is called for each event that is not a tick.
pub type Listener = Box<dyn Fn(&Event) + Send>;

/// A thread that receives until it is dropped.
pub struct Collector {
    address: String,
    events: Arc<Mutex<Vec<Event>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Listens on a free port of this machine's `address`.
    pub fn start(address: &str, listener: Listener) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0))
            .with_context(|| format!("nothing can listen on {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = socket.local_addr()?.to_string();
        let events = Arc::new(Mutex::new(Vec::new()));
        let end = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (Arc::clone(&events), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while !ended.load(Ordering::Relaxed) {
                // A timeout is only there so that the end is noticed.
                let Ok(length) = socket.recv(&mut buffer) else {
                    continue;
                };
                let Some(event) = parse(&buffer[..length]) else {
                    continue;
                };
                if event.kind != Kind::Tick {
                    listener(&event);
                }
                keep(
                    &mut kept.lock().unwrap_or_else(PoisonError::into_inner),
                    event,
                );
            }
        });
        Ok(Self {
            address,
            events,
            end,
            thread: Some(thread),
        })
    }

    /// `host:port`, for the simulator's settings.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What has been received.
    pub fn events(&self) -> Vec<Event> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

/// Of the ticks of one start only the last is kept: 50 come in a second.
fn keep(events: &mut Vec<Event>, event: Event) {
    if event.kind == Kind::Tick {
        let same = |other: &&mut Event| other.kind == Kind::Tick && other.app == event.app;
        if let Some(last) = events.iter_mut().rev().find(same) {
            last.at = last.at.max(event.at);
            return;
        }
    }
    events.push(event);
}

fn parse(datagram: &[u8]) -> Option<Event> {
    let value: Value = serde_json::from_slice(datagram).ok()?;
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Event {
        at: value["t"].as_i64()?,
        pod: text("pod")?,
        app: text("app_id")?,
        version: text("version")?,
        kind: Kind::parse(value["kind"].as_str()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_kept_and_ticks_are_counted_as_one() {
        let collector = Collector::start("127.0.0.1", Box::new(|_| ())).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (at, kind) in [
            (1, "lock-taken"),
            (2, "listening"),
            (3, "tick"),
            (4, "tick"),
            (5, "unheard-of"),
        ] {
            let line = format!(
                r#"{{"t":{at},"pod":"a","app_id":"x","version":"2.18.0","kind":"{kind}"}}"#
            );
            socket
                .send_to(line.as_bytes(), collector.address())
                .unwrap();
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while collector.events().last().is_none_or(|event| event.at < 4)
            && std::time::Instant::now() < deadline
        {
            std::thread::yield_now();
        }
        let seen: Vec<(i64, Kind)> = collector
            .events()
            .iter()
            .map(|event| (event.at, event.kind))
            .collect();
        assert_eq!(
            seen,
            [(1, Kind::LockTaken), (2, Kind::Listening), (4, Kind::Tick)]
        );
    }
}
