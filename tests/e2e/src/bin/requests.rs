//! Asks an address a hundred times a second, each time by a new connection, and prints what became of each request: when it was
//! sent, when it ended (microseconds since 1970), and whether anything answered. It ends with its standard input.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::bench::requests::{Request, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

const EVERY: Duration = Duration::from_millis(10);
/// Below the second after which a lost first packet is sent again: a request that found nobody counts as none answered.
const PATIENCE: Duration = Duration::from_millis(500);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: requests ADDRESS")?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let address = address.clone();
        tokio::spawn(async move {
            let sent = now();
            let answered = matches!(timeout(PATIENCE, ask(&address)).await, Ok(Ok(())));
            let request = Request {
                sent,
                ended: now(),
                answered,
            };
            // Whoever reads ends this program when it ends.
            let _ = writeln!(std::io::stdout(), "{request}");
        });
    }
}

/// Any answer of a node counts: one that is asked too often says so, and is alive. 204 is none: a server that is there only until
/// the node has booted gives it.
async fn ask(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
        .await?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await?;
    let node = begin.starts_with(b"HTTP/1.1 ") && !begin.ends_with(b"204");
    anyhow::ensure!(node, "no answer of a node");
    Ok(())
}
