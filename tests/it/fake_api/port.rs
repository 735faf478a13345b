//! Port 6688 of fake pods, each on a loopback address of its own.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

const PORT: u16 = 6688;
const WORLDS: u32 = 1000;
const PODS: u32 = 60;

/// How an open port behaves.
pub const HANGS: u16 = 0;
/// A mesh that takes the connection and drops it.
pub const DROPS: u16 = 1;

/// A policy that refuses the connection, as a closed port does.
pub const REFUSES: u16 = 2;

/// Addresses of one world: 127.x.y.z, where x belongs to this process.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    first: u32,
}

impl Addresses {
    pub fn claim() -> Self {
        static PROCESS: OnceLock<(u8, TcpListener)> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (mine, _) = PROCESS.get_or_init(|| {
            (10..=250)
                .find_map(|x| Some((x, listen(Ipv4Addr::new(127, x, 255, 254)).ok()?)))
                .expect("port 6688 has to be free on the loopback addresses 127.10.0.0 and above")
        });
        let world = NEXT.fetch_add(1, Ordering::Relaxed) % WORLDS;
        let network = u32::from(Ipv4Addr::new(127, *mine, 0, 0));
        Self {
            first: network + world * (PODS + 4) + 2,
        }
    }

    /// The address of the `number`th pod.
    pub fn of(self, number: u32) -> Ipv4Addr {
        assert!(number < PODS, "this world makes too many pods");
        Ipv4Addr::from(self.first + number)
    }
}

fn listen(address: Ipv4Addr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddrV4::new(address, PORT))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// An open port. Closed when dropped: connections are refused then.
pub struct Port {
    status: Arc<AtomicU16>,
    task: AbortHandle,
}

impl Port {
    /// Opens the port; every request is answered with `status`.
    pub fn open(address: Ipv4Addr, status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let answers = Arc::clone(&status);
        // Open from now on, not from when the task comes to run: until then it would refuse.
        let mut bound = listen(address).ok();
        let task = tokio::spawn(async move {
            let listener = loop {
                // One that was dropped a moment ago may not be closed yet.
                match bound.take().or_else(|| listen(address).ok()) {
                    Some(listener) => break tokio::net::TcpListener::from_std(listener).unwrap(),
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, answers.load(Ordering::Relaxed)));
                }
            }
        });
        Self {
            status,
            task: task.abort_handle(),
        }
    }

    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, status: u16) {
    match status {
        DROPS => return,
        HANGS => std::future::pending().await,
        _ => {}
    }
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await;
    let text = format!("HTTP/1.1 {status} \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let text = if status == 204 {
        "HTTP/1.1 204 \r\nconnection: close\r\n\r\n".to_owned()
    } else {
        text
    };
    let _ = stream.write_all(text.as_bytes()).await;
}
