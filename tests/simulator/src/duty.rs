//! The record of who works when, kept twice: as datagrams to a collector on the machine and as rows in the database
//! (a holder that is cut off from its database can only tell the collector). Both carry this machine's real-time clock.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::pg::{Database, DbError, Session};
use crate::settings::Settings;

const TICK: Duration = Duration::from_millis(20);
/// Beyond this the database does not take part; the ticks of that time are lost to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
const QUEUE: usize = 1024;
const BATCH: usize = 64;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS simulator_duty (
    at timestamptz NOT NULL DEFAULT clock_timestamp(), pod text, app_id uuid, version text, kind text)";
const INSERT: &str = "INSERT INTO simulator_duty (at, pod, app_id, version, kind)
    SELECT timestamptz 'epoch' + event.t * interval '1 microsecond', $3, $4::text::uuid, $5, event.kind
    FROM unnest($1::bigint[], $2::text[]) AS event(t, kind)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// At work: sent every 20 ms between `listening` and `stopping`.
    Tick,
    /// The first try found the lock taken.
    Waiting,
    LockTaken,
    Listening,
    Stopping,
    /// Stamped before the release was sent, recorded after it succeeded: never later than the next holder's lock.
    LockReleased,
    /// Found out that another node has the lock.
    Deposed,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Waiting => "waiting",
            Self::LockTaken => "lock-taken",
            Self::Listening => "listening",
            Self::Stopping => "stopping",
            Self::LockReleased => "lock-released",
            Self::Deposed => "deposed",
        }
    }
}

#[derive(Serialize)]
struct Datagram<'a> {
    /// Microseconds since 1970.
    t: i64,
    pod: &'a str,
    app_id: &'a str,
    version: &'a str,
    kind: Kind,
}

enum Message {
    Event(i64, Kind),
    Flush(oneshot::Sender<()>),
}

pub(crate) struct Recorder {
    settings: Arc<Settings>,
    app_id: String,
    version: String,
    socket: Option<UdpSocket>,
    collector: RefCell<Option<(String, SocketAddr)>>,
    /// Whether ticks still count: a deposed node is on its way out.
    at_work: Cell<bool>,
    /// Starts with the first event that belongs into the database.
    writer: mpsc::Sender<Message>,
}

impl Recorder {
    pub(crate) fn new(
        database: &Database,
        settings: Arc<Settings>,
        app_id: &str,
        version: &str,
    ) -> Self {
        let (writer, queue) = mpsc::channel(QUEUE);
        let rows = Writer {
            database: database.named("chainlink-simulator duty"),
            pod: settings.pod().to_owned(),
            app_id: app_id.to_owned(),
            version: version.to_owned(),
            queue,
        };
        tokio::task::spawn_local(rows.run());
        let socket = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Self {
            settings,
            app_id: app_id.to_owned(),
            version: version.to_owned(),
            socket: socket.ok(),
            collector: RefCell::new(None),
            at_work: Cell::new(true),
            writer,
        }
    }

    pub(crate) fn record(&self, kind: Kind) {
        if kind == Kind::Deposed {
            self.at_work.set(false);
        }
        self.record_at(now_micros(), kind);
    }

    pub(crate) fn record_at(&self, t: i64, kind: Kind) {
        self.send_datagram(t, kind);
        // A standby keeps one database connection, as the real one does: what it records goes to the collector only.
        if kind != Kind::Waiting {
            // A full queue means that the database does not take part at the moment.
            let _ = self.writer.try_send(Message::Event(t, kind));
        }
    }

    /// Records that the node works, until dropped.
    pub(crate) async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if self.at_work.get() {
                self.record(Kind::Tick);
            }
        }
    }

    /// Waits until the rows are written, or for a moment; for long when the database was there a moment ago.
    pub(crate) async fn flush(&self, database_is_there: bool) {
        let patience = if database_is_there {
            WRITE_TIMEOUT
        } else {
            Duration::from_millis(200)
        };
        let (done, written) = oneshot::channel();
        if self.writer.try_send(Message::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(patience, written).await;
        }
    }

    fn send_datagram(&self, t: i64, kind: Kind) {
        let Some(socket) = &self.socket else { return };
        let Some(address) = self.collector_address() else {
            return;
        };
        let datagram = Datagram {
            t,
            pod: self.settings.pod(),
            app_id: &self.app_id,
            version: &self.version,
            kind,
        };
        if let Ok(bytes) = serde_json::to_vec(&datagram) {
            let _ = socket.send_to(&bytes, address);
        }
    }

    /// Resolved once for each value the setting takes.
    fn collector_address(&self) -> Option<SocketAddr> {
        let wanted = self
            .settings
            .get("collector")
            .filter(|value| !value.is_empty())?;
        let mut known = self.collector.borrow_mut();
        if known.as_ref().is_none_or(|(name, _)| *name != wanted) {
            let address = wanted.to_socket_addrs().ok()?.find(SocketAddr::is_ipv4)?;
            *known = Some((wanted, address));
        }
        known.as_ref().map(|(_, address)| *address)
    }
}

pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

struct Writer {
    database: Database,
    pod: String,
    app_id: String,
    version: String,
    queue: mpsc::Receiver<Message>,
}

impl Writer {
    async fn run(mut self) {
        let mut session = None;
        let mut messages = Vec::with_capacity(BATCH);
        while self.queue.recv_many(&mut messages, BATCH).await > 0 {
            let (mut times, mut kinds, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Event(t, kind) => {
                        times.push(t);
                        kinds.push(kind.as_str());
                    }
                    Message::Flush(done) => flushes.push(done),
                }
            }
            if !times.is_empty() {
                session = self.write(session, &times, &kinds).await.ok();
            }
            for done in flushes {
                let _ = done.send(());
            }
        }
    }

    /// Best effort: an error costs these rows and the connection.
    async fn write(
        &self,
        session: Option<Session>,
        times: &[i64],
        kinds: &[&str],
    ) -> Result<Session, DbError> {
        let session = match session {
            Some(session) => session,
            None => self.open().await?,
        };
        let timeout = Some(WRITE_TIMEOUT);
        session
            .execute(
                INSERT,
                &[&times, &kinds, &self.pod, &self.app_id, &self.version],
                timeout,
            )
            .await?;
        Ok(session)
    }

    async fn open(&self) -> Result<Session, DbError> {
        let session = self.database.connect(WRITE_TIMEOUT).await?;
        let timeout = Some(WRITE_TIMEOUT);
        session
            .batch("SET synchronous_commit = off", timeout)
            .await?;
        // Two nodes may create it at once, and one of them fails: then it exists.
        let _ = session.batch(CREATE, timeout).await;
        Ok(session)
    }
}
