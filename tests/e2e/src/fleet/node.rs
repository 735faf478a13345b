//! A hollow node: what runs in a container of a hollow pod. It waits for the lock, works, and stops, and says so in its
//! log and on port 6688 as a real node does.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use super::lock::{Held, TRY};
use super::seen::{Seen, Works};

/// The port of every node.
const PORT: u16 = 6688;
/// From the lock to `Listening`, as the simulated node takes it.
const BOOT: Duration = Duration::from_millis(700);
/// What a request of the operator needs at most.
const REQUEST: usize = 1024;

/// A line, and when it was printed.
pub type Line = (Timestamp, String);

/// A container's log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub lines: Vec<Line>,
    /// No line comes any more.
    pub ended: bool,
}

/// What a container is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Run,
    /// SIGTERM.
    Stop,
    /// Its machine is lost: nothing of it is seen any more, and it refreshes no lease.
    Vanish,
}

/// One hollow node.
pub struct Node {
    pub resource: String,
    pub pod: String,
    pub container: String,
    pub version: String,
    pub address: IpAddr,
    pub lock: Held,
    pub log: watch::Sender<Log>,
    pub seen: Seen,
}

impl Node {
    /// Runs until it has stopped or vanished.
    pub async fn run(self, mut order: watch::Receiver<Order>) {
        let said = format!("Starting Chainlink Node {} at commit", self.version);
        self.say(&said, "cmd/shell_local.go:315", "logger=RunNode");
        tokio::select! {
            () = self.work() => {}
            _ = order.wait_for(|order| *order != Order::Run) => {}
        }
        if *order.borrow() == Order::Vanish {
            self.lock.die(&self.container);
            // What is sent to a machine that is lost is not answered.
            let _silent = TcpListener::bind(SocketAddr::new(self.address, PORT)).await;
            std::future::pending::<()>().await;
        }
        let said = "Shutting down due to terminated signal received...";
        self.say(said, "cmd/shell.go:1", "");
        self.lock.release(&self.container).await;
        self.log.send_modify(|log| log.ended = true);
    }

    async fn work(&self) {
        let name = format!("appID={} logger=RunNode", self.container);
        let mut tries: u32 = 0;
        while !self.lock.take(&self.container).await {
            if tries == 0 || tries.is_power_of_two() {
                let said = "Another application is currently holding the database lease (or a previous instance exited uncleanly), waiting for lease to expire...";
                let fields = format!("{name}.LockedDB.LeaseLock tryCount={tries}");
                self.say(said, "pg/lease_lock.go:189", &fields);
            }
            tries += 1;
            sleep(jittered(TRY, tries, &self.container)).await;
        }
        tokio::select! {
            () = self.lock.keep(&self.container) => {}
            () = self.work_with_it(&name) => {}
        }
    }

    /// Boots, and serves for as long as it runs.
    async fn work_with_it(&self, name: &str) {
        self.say("Starting StartUpHealthReport", "services/health.go:55", "");
        sleep(BOOT).await;
        let Ok(listener) = TcpListener::bind(SocketAddr::new(self.address, PORT)).await else {
            // The address is its own: it is taken only where two fleets run.
            return std::future::pending().await;
        };
        self.say("Chainlink booted in 0.70s", "cmd/shell_local.go:593", name);
        let said = format!("Listening and serving HTTP on 0.0.0.0:{PORT}");
        self.say(&said, "cmd/shell.go:492", "ip=0.0.0.0 port=6688");
        let works = Works {
            pod: self.pod.clone(),
            version: self.version.clone(),
            since: Instant::now(),
        };
        self.seen.works(&self.resource, works);
        serve(listener).await;
    }

    /// Prints a line as a node of 2.29.0 does.
    fn say(&self, words: &str, site: &str, fields: &str) {
        let now = Timestamp::now();
        let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        let version = &self.version;
        let line =
            format!("{time} [INFO]  {words:<50} {site:<32} {fields} version={version}@10bd946 ");
        self.log.send_modify(|log| log.lines.push((now, line)));
    }
}

/// Up to a tenth more or less, by the container and the try.
fn jittered(time: Duration, tries: u32, container: &str) -> Duration {
    let seed = container
        .bytes()
        .fold(tries.wrapping_mul(2_654_435_761), |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
    time * 9 / 10 + time * (seed % 200) / 1000
}

/// Answers every request with 200.
async fn serve(listener: TcpListener) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(async move {
            let mut request = [0; REQUEST];
            // Whoever asks may go away.
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_a_second_apart_and_a_tenth_more_or_less() {
        let times: Vec<Duration> = (0..100).map(|tries| jittered(TRY, tries, "a")).collect();
        let about = TRY * 9 / 10..=TRY * 11 / 10;
        assert!(times.iter().all(|time| about.contains(time)), "{times:?}");
        assert_ne!(times.iter().min(), times.iter().max());
    }
}
