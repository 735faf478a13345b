//! Asking a node's HTTP port, and noting how the answers change.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Status code and body, or nothing if refused.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split_whitespace().nth(1)?.parse().ok()?;
    let body = text
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default();
    Some((status, body))
}

/// Polls `/health` and `/readyz` until dropped, as the transcripts' recorder did.
pub struct Probe {
    changes: Arc<Mutex<[Vec<String>; 2]>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub const PATHS: [&str; 2] = ["/health", "/readyz"];

/// What is answered where a node's own server is not up: by nobody, or by the temporary one.
const TEMPORARY: [&str; 3] = ["refused", "204", "404"];

impl Probe {
    pub fn start(port: u16) -> Self {
        let changes = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
        let stop = Arc::new(AtomicBool::new(false));
        let (noted, ended) = (changes.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut counted = 0;
            loop {
                // Asked once more after the end, to see what the last answer was.
                let last = ended.load(Ordering::Relaxed);
                for (index, path) in PATHS.iter().enumerate() {
                    let answer = get(port, path)
                        .map_or("refused".to_owned(), |(status, _)| status.to_string());
                    counted += u32::from(!TEMPORARY.contains(&answer.as_str()));
                    let changes: &mut Vec<String> = &mut noted.lock().unwrap()[index];
                    if changes.last() != Some(&answer) {
                        changes.push(answer);
                    }
                }
                if last {
                    break;
                }
                // A node's own server takes 1,000 questions a minute, and counts no others.
                let pause = if counted < 600 { 15 } else { 150 };
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        Self {
            changes,
            stop,
            thread: Some(thread),
        }
    }

    /// Waits until the node's real server was seen on both paths.
    #[track_caller]
    pub fn sees_the_server(&self) {
        super::eventually("both answers", || {
            let changes = self.changes.lock().unwrap();
            let real = |answers: &Vec<String>| {
                answers
                    .last()
                    .is_some_and(|last| !TEMPORARY.contains(&last.as_str()))
            };
            changes.iter().all(real).then_some(())
        });
    }

    /// The answers of each path in `PATHS`, without repetitions.
    pub fn end(mut self) -> [Vec<String>; 2] {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.changes.lock().unwrap().clone()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
