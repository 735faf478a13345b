//! A way to `PostgreSQL` that can turn into a black hole: no byte passes, no connection ends, new ones are accepted.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub struct Proxy {
    pub port: u16,
    black_hole: Arc<AtomicBool>,
}

impl Proxy {
    /// Its threads live as long as their connections.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let black_hole = Arc::new(AtomicBool::new(false));
        let hole = black_hole.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let hole = hole.clone();
                std::thread::spawn(move || connect(&client, target, &hole));
            }
        });
        Self { port, black_hole }
    }

    pub fn swallow(&self, on: bool) {
        self.black_hole.store(on, Ordering::SeqCst);
    }
}

fn wait(hole: &AtomicBool) {
    while hole.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn connect(client: &TcpStream, target: u16, hole: &Arc<AtomicBool>) {
    wait(hole);
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
        return;
    };
    let back = (
        server.try_clone().unwrap(),
        client.try_clone().unwrap(),
        hole.clone(),
    );
    std::thread::spawn(move || forward(back.0, back.1, &back.2));
    forward(client.try_clone().unwrap(), server, hole);
}

fn forward(mut from: TcpStream, mut to: TcpStream, hole: &AtomicBool) {
    let mut buffer = [0; 16_384];
    while let Ok(count) = from.read(&mut buffer) {
        wait(hole);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    wait(hole);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
