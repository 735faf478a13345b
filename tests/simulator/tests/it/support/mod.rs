//! The world of a test: a `PostgreSQL`, nodes in it, a proxy between them, and transcripts to compare with.

pub mod collector;
pub mod node;
pub mod postgres;
pub mod probe;
pub mod proxy;
pub mod transcript;

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Waits until there is an answer; a busy machine may need long.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port that was free a moment ago. Five digits, as the transcripts' ports have.
pub fn free_port() -> u16 {
    eventually("a free port of five digits", || {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .ok()?
            .local_addr()
            .ok()?
            .port();
        (port >= 10_000).then_some(port)
    })
}

/// Sends a signal by name, by the process's own id.
pub fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}
