//! SIGTERM and SIGINT, handled explicitly: as process 1 of a container the kernel ignores what has no handler. The real
//! node has none for the first moments: Go's runtime then sends itself the signal again, in vain, and exits with 2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::log::{Logger, lines};
use crate::settings::Settings;

/// Until the real node catches signals. Later the simulator may still look for its settings, which no node does.
const UNCAUGHT: Duration = Duration::from_millis(200);
/// `runtime.dieFromSignal`.
const UNHANDLED: i32 = 2;

/// Catches signals from the first moment. In the first moments they end the process; then they count once the node has
/// a log.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    uncaught: JoinHandle<()>,
}

/// Tells whether the node was asked to stop.
#[derive(Clone)]
pub(crate) struct Stop {
    asked: watch::Receiver<Option<Instant>>,
    /// Whether the node says so when it is asked to.
    tells: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn catch(started: Instant) -> Result<Self, std::io::Error> {
        let mut terminate = signal(SignalKind::terminate())?;
        let uncaught = tokio::spawn(async move {
            let left = UNCAUGHT.saturating_sub(started.elapsed());
            if let Ok(Some(())) = tokio::time::timeout(left, terminate.recv()).await {
                std::process::exit(UNHANDLED);
            }
        });
        Ok(Self {
            uncaught,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Logs the request when it comes, where the node `tells` of it by then.
    pub(crate) fn listen(mut self, log: Logger, settings: Arc<Settings>, tells: bool) -> Stop {
        self.uncaught.abort();
        let tells = Arc::new(AtomicBool::new(tells));
        let tells_now = tells.clone();
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let name = loop {
                tokio::select! {
                    _ = self.terminate.recv() => {
                        if settings.fault("ignore-sigterm").is_none() {
                            break "terminated";
                        }
                    }
                    _ = self.interrupt.recv() => break "interrupt",
                }
            };
            if tells_now.load(Ordering::Relaxed) {
                log.log(&lines::shutting_down(name));
            }
            // Nobody listens any more: the node is about to end anyway.
            let _ = sender.send(Some(Instant::now()));
            // Keeps the handlers: a second signal must not kill a node that is stopping.
            std::future::pending::<()>().await;
        });
        Stop {
            asked: receiver,
            tells,
        }
    }
}

impl Stop {
    /// Returns when a stop was requested.
    pub(crate) async fn requested(&self) {
        if self.asked.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// From now on the node says so when it is asked to stop.
    pub(crate) fn tell(&self) {
        self.tells.store(true, Ordering::Relaxed);
    }

    /// How long ago a stop was requested, if it was and the node tells of it.
    pub(crate) fn since_request(&self) -> Option<Duration> {
        let tells = self.tells.load(Ordering::Relaxed);
        let asked = self.asked.borrow();
        asked.as_ref().filter(|_| tells).map(Instant::elapsed)
    }
}
