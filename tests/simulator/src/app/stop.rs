//! The end of an active node: services in reverse, then the lock, then the process.

use std::time::{Duration, Instant};

use super::Node;
use crate::lock::Held;
use crate::log::{lines, v2_29};
use crate::version::Generation;

/// Real nodes without jobs need 2 to 15 ms.
const SHUTDOWN: Duration = Duration::from_millis(30);
/// `os.Exit(-1)`: the grace period was exceeded.
const EXCEEDED: u8 = 255;

impl Node {
    pub(super) async fn shut_down(&self, held: Held) -> u8 {
        let asked = Instant::now();
        self.log.log(&lines::exiting());
        let services = self.settings.duration("shutdown", SHUTDOWN)
            + self
                .settings
                .fault_duration("slow-shutdown", Duration::from_secs(60))
                .unwrap_or_default();
        let grace = self.config.shutdown_grace;
        tokio::time::sleep(services.min(grace)).await;
        let mut exceeded = services >= grace;
        if exceeded {
            self.log.log(&lines::grace_exceeded(grace));
        } else {
            match self.version.generation() {
                Generation::V2_18 => lines::services_closed().for_each(|line| self.log.log(&line)),
                Generation::V2_29 => v2_29::services_closed().for_each(|line| self.log.log(&line)),
                _ => {}
            }
            if self.version.says_when_all_services_are_closed() {
                self.log.log(&lines::exited());
            }
        }
        let mut release = std::pin::pin!(held.release());
        if !exceeded {
            tokio::select! {
                acknowledged = &mut release => {
                    self.recorder.flush(acknowledged).await;
                    self.log.graceful_shutdown_time(self.stop.since_request().unwrap_or_default());
                    return 0;
                }
                () = tokio::time::sleep(grace.saturating_sub(asked.elapsed())) => exceeded = true,
            }
            self.log.log(&lines::grace_exceeded(grace));
        }
        let acknowledged = release.await;
        self.recorder.flush(acknowledged).await;
        if exceeded { EXCEEDED } else { 0 }
    }
}
