//! SIGTERM and SIGINT, handled explicitly: as process 1 of a container the kernel ignores what has no handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::log::{Logger, lines};
use crate::settings::Settings;

/// Tells whether the node was asked to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// Listens from now on, logging the request when it comes.
    pub(crate) fn listen(log: Logger, settings: Arc<Settings>) -> Result<Self, std::io::Error> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let name = loop {
                tokio::select! {
                    _ = terminate.recv() => {
                        if settings.fault("ignore-sigterm").is_none() {
                            break "terminated";
                        }
                    }
                    _ = interrupt.recv() => break "interrupt",
                }
            };
            log.log(&lines::shutting_down(name));
            // Nobody listens any more: the node is about to end anyway.
            let _ = sender.send(Some(Instant::now()));
            // Keeps the handlers: a second signal must not kill a node that is stopping.
            std::future::pending::<()>().await;
        });
        Ok(Self(receiver))
    }

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
