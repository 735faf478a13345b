//! SIGTERM and SIGINT, handled explicitly: as process 1 of a container the kernel ignores what has no handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::log::{Logger, lines};
use crate::settings::Settings;

/// Catches signals from the first moment; they count once the node has a log.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Tells whether the node was asked to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Signals {
    pub(crate) fn catch() -> Result<Self, std::io::Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Logs the request when it comes.
    pub(crate) fn listen(mut self, log: Logger, settings: Arc<Settings>) -> Stop {
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
            log.log(&lines::shutting_down(name));
            // Nobody listens any more: the node is about to end anyway.
            let _ = sender.send(Some(Instant::now()));
            // Keeps the handlers: a second signal must not kill a node that is stopping.
            std::future::pending::<()>().await;
        });
        Stop(receiver)
    }
}

impl Stop {
    /// Returns when a stop was requested.
    pub(crate) async fn requested(&self) {
        if self.0.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How long ago a stop was requested, if it was.
    pub(crate) fn since_request(&self) -> Option<Duration> {
        self.0.borrow().as_ref().map(Instant::elapsed)
    }
}
