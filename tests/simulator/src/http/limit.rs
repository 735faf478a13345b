//! So many requests a minute and client, then 429.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WINDOW: Duration = Duration::from_secs(60);

pub(super) struct Limit {
    allowed: u64,
    clients: Mutex<HashMap<IpAddr, (Instant, u64)>>,
}

pub(super) struct Grant {
    pub(crate) allowed: bool,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// When the window ends, in seconds since 1970.
    pub(crate) reset: u64,
}

impl Limit {
    pub(super) fn new(allowed: u64) -> Self {
        Self {
            allowed,
            clients: Mutex::default(),
        }
    }

    pub(super) fn ask(&self, client: IpAddr) -> Grant {
        let now = Instant::now();
        let mut clients = match self.clients.lock() {
            Ok(clients) => clients,
            Err(poisoned) => poisoned.into_inner(),
        };
        let (start, count) = clients.entry(client).or_insert((now, 0));
        if now.duration_since(*start) >= WINDOW {
            (*start, *count) = (now, 0);
        }
        *count += 1;
        let left = WINDOW.saturating_sub(now.duration_since(*start));
        let end = SystemTime::now() + left;
        Grant {
            allowed: *count <= self.allowed,
            limit: self.allowed,
            remaining: self.allowed.saturating_sub(*count),
            reset: end
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_first_is_too_many() {
        let limit = Limit::new(20);
        let client = IpAddr::from([127, 0, 0, 1]);
        assert!((0..20).all(|_| limit.ask(client).allowed));
        assert!(!limit.ask(client).allowed);
        assert!(limit.ask(IpAddr::from([127, 0, 0, 2])).allowed);
    }
}
