//! Receives duty datagrams.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Event {
    pub t: i64,
    pub app_id: String,
    pub kind: String,
}

pub struct Collector {
    pub address: String,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Collector {
    pub fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = events.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            loop {
                let count = match socket.recv(&mut buffer) {
                    Ok(count) => count,
                    // A machine that was stopped for a moment interrupts the wait.
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return,
                };
                let datagram: Value = serde_json::from_slice(&buffer[..count]).unwrap();
                let text = |key: &str| datagram[key].as_str().unwrap().to_owned();
                let event = Event {
                    t: datagram["t"].as_i64().unwrap(),
                    app_id: text("app_id"),
                    kind: text("kind"),
                };
                sink.lock().unwrap().push(event);
            }
        });
        Self { address, events }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.events()
            .iter()
            .filter(|event| event.kind == kind)
            .count()
    }
}
