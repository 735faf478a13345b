//! Taking and holding the database lock, with the real node's SQL and the real node's reactions to each error.
//!
//! Both locks follow one pattern (`core/services/pg/lease_lock.go`, `advisory_lock.go`): try, and on anything but success
//! print the waiting line at try 0, 1, 2, 4, 8 … 512, then every 1000th; hold by asking again at intervals; end the
//! process when another node has it.

mod advisory;
mod lease;

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{Config, LockMode};
use crate::duty::{Kind, Recorder, now_micros};
use crate::exit::Exit;
use crate::log::{LockLines, Logger};
use crate::pg::{Database, DbError, QUERY_TIMEOUT, Session};
use crate::signals::Stop;

/// Measured: a release that hangs ends the process 9 to 10 s after the request.
const RELEASE_PATIENCE: Duration = Duration::from_millis(10_200);

/// What distinguishes the lease from the advisory lock.
enum Protocol {
    Lease {
        app_id: String,
        duration: Duration,
        refresh: Duration,
    },
    Advisory {
        id: i64,
        check: Duration,
    },
}

impl Protocol {
    fn lines(&self) -> LockLines {
        match self {
            Self::Lease { app_id, .. } => LockLines::Lease {
                app_id: app_id.clone(),
            },
            Self::Advisory { id, .. } => LockLines::Advisory { id: *id },
        }
    }

    fn interval(&self) -> Duration {
        match self {
            Self::Lease { refresh, .. } => *refresh,
            Self::Advisory { check, .. } => *check,
        }
    }

    /// The wrapping that the error of a lost initial lock gets.
    fn context(&self) -> &'static str {
        match self {
            Self::Lease { .. } => "failed to take initial lease on database",
            Self::Advisory { .. } => "error acquiring lock",
        }
    }

    fn checkout_context(&self) -> &'static str {
        match self {
            Self::Lease { .. } => "lease lock failed to checkout initial connection",
            Self::Advisory { .. } => "advisory lock failed to checkout initial connection",
        }
    }

    fn error(&self, error: &DbError) -> String {
        match (self, error) {
            (Self::Lease { .. }, DbError::Sql(_)) => {
                format!("leaseLock#GetLease failed: failed to upsert lease_lock: {error}")
            }
            (Self::Lease { .. }, _) => format!("leaseLock#GetLease failed: {error}"),
            (Self::Advisory { .. }, _) => error.to_string(),
        }
    }

    /// Sets a new connection up for the lock (`setInitialTimeouts`, read). A pooler lets a client in while its server is away:
    /// here a node finds that out.
    async fn set_up(&self, session: &Session, timeout: Duration) -> Result<(), DbError> {
        match self {
            Self::Lease { duration, .. } => lease::set_up(session, *duration, timeout).await,
            Self::Advisory { .. } => Ok(()),
        }
    }

    /// One try to take the lock. `initial` creates what the lock needs.
    async fn take(
        &self,
        session: &Session,
        initial: bool,
        timeout: Option<Duration>,
    ) -> Result<bool, DbError> {
        match self {
            Self::Lease {
                app_id, duration, ..
            } => lease::take(session, app_id, *duration, initial, timeout).await,
            Self::Advisory { id, .. } => advisory::take(session, *id, timeout).await,
        }
    }

    /// Whether the lock that this session holds is still held.
    async fn hold(&self, session: &Session) -> Result<bool, DbError> {
        match self {
            Self::Lease { duration, .. } => self.take(session, false, Some(*duration)).await,
            Self::Advisory { id, .. } => advisory::check(session, *id, Some(QUERY_TIMEOUT)).await,
        }
    }

    async fn release(&self, session: &Session) -> Result<(), DbError> {
        match self {
            Self::Lease { app_id, .. } => lease::release(session, app_id).await,
            Self::Advisory { id, .. } => advisory::release(session, *id).await,
        }
    }
}

/// What both locks need besides the protocol.
#[derive(Clone)]
struct Surroundings {
    database: Database,
    log: Logger,
    recorder: Rc<Recorder>,
    logs_swallowed_errors: bool,
    loses_the_release: bool,
}

/// The locks that this node holds. Released in the reverse order of taking.
pub(crate) struct Held {
    holders: Vec<Holder>,
    recorder: Rc<Recorder>,
}

struct Holder {
    release: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

/// Everything that taking needs; `version_logs_errors` is whether swallowed errors show (to 2.1.1).
pub(crate) struct Taker<'a> {
    pub(crate) config: &'a Config,
    pub(crate) database: &'a Database,
    pub(crate) log: &'a Logger,
    pub(crate) recorder: &'a Rc<Recorder>,
    pub(crate) app_id: &'a str,
    pub(crate) logs_swallowed_errors: bool,
    /// Whether a stop in the middle of a refresh closes the connection that would have given the lease back.
    pub(crate) loses_the_release: bool,
}

impl Taker<'_> {
    /// Waits for the lock as long as it takes. `session` is the connection that opening the database made.
    pub(crate) async fn take(
        &self,
        mode: LockMode,
        session: Session,
        stop: &Stop,
    ) -> Result<Held, Exit> {
        let surroundings = Surroundings {
            database: self.database.clone(),
            log: self.log.clone(),
            recorder: self.recorder.clone(),
            logs_swallowed_errors: self.logs_swallowed_errors,
            loses_the_release: self.loses_the_release,
        };
        let mut held = Held {
            holders: Vec::new(),
            recorder: self.recorder.clone(),
        };
        let mut first_session = Some(session);
        for protocol in self.protocols(mode) {
            let taken = tokio::select! {
                taken = wait(&protocol, first_session.take(), &surroundings) => taken,
                () = stop.requested() => Err("stopped".to_owned()),
            };
            match taken {
                Ok(session) => {
                    self.log.log(&protocol.lines().got());
                    held.holders
                        .push(hold(protocol, session, surroundings.clone()));
                }
                Err(why) => {
                    held.release().await;
                    return Err(Exit::failed(format!(
                        "opening db: {}: {why}",
                        protocol.context()
                    )));
                }
            }
        }
        if !held.holders.is_empty() {
            self.recorder.record(Kind::LockTaken);
        }
        Ok(held)
    }

    /// `dual` takes the lease first, then the advisory lock.
    fn protocols(&self, mode: LockMode) -> Vec<Protocol> {
        let mut protocols = Vec::new();
        if mode.uses_lease() {
            protocols.push(Protocol::Lease {
                app_id: self.app_id.to_owned(),
                duration: self.config.lease_duration,
                refresh: self.config.lease_refresh,
            });
        }
        if mode.uses_advisory() {
            protocols.push(Protocol::Advisory {
                id: self.config.advisory_id,
                check: self.config.advisory_check,
            });
        }
        protocols
    }
}

/// Tries until the lock is taken. The only error is a connection that cannot be made anew: every other is swallowed,
/// and the waiting line printed as if another node had the lock.
async fn wait(
    protocol: &Protocol,
    session: Option<Session>,
    around: &Surroundings,
) -> Result<Session, String> {
    let lines = protocol.lines();
    around.log.log(&lines.taking());
    let mut session = session;
    let mut initial = true;
    let mut is_new = true;
    let mut tries: u64 = 0;
    let failed = |error: String| {
        let context = protocol.checkout_context();
        format!("failed to get lock: {context}: {error}")
    };
    loop {
        let current = match session.take() {
            Some(session) => session,
            None => {
                is_new = true;
                let connected = around.database.connect(QUERY_TIMEOUT).await;
                connected.map_err(|error| failed(error.to_string()))?
            }
        };
        if std::mem::take(&mut is_new) {
            let set_up = protocol.set_up(&current, QUERY_TIMEOUT).await;
            set_up.map_err(|error| failed(format!("failed to set initial timeouts: {error}")))?;
        }
        match protocol.take(&current, initial, Some(QUERY_TIMEOUT)).await {
            Ok(true) => return Ok(current),
            Err(DbError::Done) => around
                .log
                .log(&lines.closed(&protocol.error(&DbError::Done))),
            other => {
                if let (Err(error), true) = (&other, around.logs_swallowed_errors) {
                    around.log.log(&LockLines::rolled_back(&error.to_string()));
                }
                session = Some(current);
            }
        }
        initial = false;
        if tries == 0 {
            around.recorder.record(Kind::Waiting);
        }
        if tries.is_multiple_of(1000) || (tries < 1000 && tries.is_power_of_two()) {
            around.log.log(&lines.waiting(tries));
        }
        tries += 1;
        tokio::time::sleep(jittered(protocol.interval())).await;
    }
}

fn hold(protocol: Protocol, session: Session, around: Surroundings) -> Holder {
    let (release, released) = oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        let kept = keep(&protocol, session, &around, released).await;
        let released = match &kept {
            Some(session) => protocol.release(session).await,
            None => Err(DbError::Bad),
        };
        if let Err(error) = &released {
            around
                .log
                .log(&protocol.lines().release_failed(&error.to_string()));
        }
        released.is_ok()
    });
    Holder { release, task }
}

/// Refreshes until told to release, and gives back the connection to do that on, unless it was lost with a refresh. Ends the
/// process when another node took the lock.
async fn keep(
    protocol: &Protocol,
    mut session: Session,
    around: &Surroundings,
    mut released: oneshot::Receiver<()>,
) -> Option<Session> {
    let lines = protocol.lines();
    let loses_the_release = around.loses_the_release && matches!(protocol, Protocol::Lease { .. });
    // A Go ticker holds one missed tick and drops the rest.
    let mut ticks = tokio::time::interval(protocol.interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = &mut released => return Some(session),
            _ = ticks.tick() => {}
        }
        let refreshed = tokio::select! {
            refreshed = protocol.hold(&session) => refreshed,
            _ = &mut released, if loses_the_release => {
                let error = protocol.error(&DbError::Bad);
                around.log.log(&lines.refresh_failed(&error));
                return None;
            }
        };
        let held = match refreshed {
            Err(DbError::Done) => {
                around
                    .log
                    .log(&lines.closed(&protocol.error(&DbError::Done)));
                let renewed = tokio::select! {
                    _ = &mut released => return Some(session),
                    renewed = renew(protocol, around, &lines) => renewed,
                };
                renewed.map(|(new_session, held)| {
                    session = new_session;
                    held
                })
            }
            other => other,
        };
        match held {
            Ok(true) => {}
            Ok(false) => deposed(&lines, around).await,
            Err(error) => around
                .log
                .log(&lines.refresh_failed(&protocol.error(&error))),
        }
    }
}

/// A new connection, and on it the lock again if nobody else has it.
///
/// Measured while packets vanished: after the WARN the real node says no more until the network is back, and then
/// ends within 0.1 s; so a dial or a query that hangs is tried anew in silence, and only an answer counts.
async fn renew(
    protocol: &Protocol,
    around: &Surroundings,
    lines: &LockLines,
) -> Result<(Session, bool), DbError> {
    loop {
        let patience = Duration::from_secs(1);
        match tokio::time::timeout(patience, around.database.connect(QUERY_TIMEOUT)).await {
            Err(_) => {}
            Ok(Err(error)) => {
                around.log.log(&lines.checkout_failed(&error.to_string()));
                return Err(DbError::Done);
            }
            Ok(Ok(session)) => match protocol.set_up(&session, patience).await {
                Ok(()) => match protocol.take(&session, false, Some(patience)).await {
                    Ok(held) => return Ok((session, held)),
                    Err(DbError::Timeout) => {}
                    Err(error) => return Err(error),
                },
                Err(DbError::Timeout) => {}
                Err(error) => {
                    let error = format!("failed to set initial timeouts: {error}");
                    around.log.log(&lines.checkout_failed(&error));
                    return Err(DbError::Done);
                }
            },
        }
    }
}

/// As the real logger does on FATAL: the process ends here.
async fn deposed(lines: &LockLines, around: &Surroundings) {
    around.recorder.record(Kind::Deposed);
    around.log.log(&lines.deposed());
    around.recorder.flush(false).await;
    std::process::exit(1);
}

impl Held {
    /// Releases all locks; true if every release was acknowledged.
    pub(crate) async fn release(self) -> bool {
        let before = now_micros();
        let mut acknowledged = !self.holders.is_empty();
        for holder in self.holders.into_iter().rev() {
            // The task only ends before this when the process does.
            let _ = holder.release.send(());
            let released = tokio::time::timeout(RELEASE_PATIENCE, holder.task).await;
            acknowledged &= matches!(released, Ok(Ok(true)));
        }
        if acknowledged {
            self.recorder.record_at(before, Kind::LockReleased);
        }
        acknowledged
    }
}

/// ±10 %, as `utils.WithJitter`.
fn jittered(interval: Duration) -> Duration {
    let random = f64::from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |t| t.subsec_nanos() % 2001),
    );
    interval.mul_f64(0.9 + random / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_ten_percent() {
        for _ in 0..1000 {
            let jittered = jittered(Duration::from_secs(1));
            assert!(
                (Duration::from_millis(900)..=Duration::from_millis(1101)).contains(&jittered),
                "{jittered:?}"
            );
        }
    }
}
