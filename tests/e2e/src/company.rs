//! Which scenarios run at a time.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// So many at a time: they wait more than they work, and two cores bear three of them.
const AT_ONCE: u32 = 3;

static CLUSTER: Room = Room::new();

/// Whether a scenario bears others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Disturbs nobody.
    Welcome,
    /// Takes machines or the operator away. It begins when nobody else wants to: one after the other at the end of a run, and
    /// nobody waits beside an empty cluster for each of them.
    Alone,
}

impl Company {
    /// Waits until a scenario of this kind may begin.
    pub async fn enter(self) -> Seat<'static> {
        CLUSTER.enter(self).await
    }
}

/// What scenarios share.
#[derive(Debug)]
struct Room {
    crowd: Mutex<Crowd>,
    changed: Notify,
}

/// Who is in a room or wants to come in.
#[derive(Debug)]
struct Crowd {
    /// Scenarios that bear others, at work.
    together: u32,
    /// Such that wait.
    waiting: u32,
    /// One that bears nobody is at work.
    alone: bool,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub struct Seat<'room> {
    room: &'room Room,
    company: Company,
}

impl Room {
    const fn new() -> Self {
        Self {
            crowd: Mutex::new(Crowd {
                together: 0,
                waiting: 0,
                alone: false,
            }),
            changed: Notify::const_new(),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Crowd) -> T) -> T {
        change(&mut self.crowd.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn enter(&self, company: Company) -> Seat<'_> {
        let waits = u32::from(company == Company::Welcome);
        self.with(|crowd| crowd.waiting += waits);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.with(|crowd| crowd.admits(company)) {
                return Seat {
                    room: self,
                    company,
                };
            }
            changed.await;
        }
    }
}

impl Crowd {
    /// Whether one that waits comes in now.
    fn admits(&mut self, company: Company) -> bool {
        match company {
            Company::Welcome if !self.alone && self.together < AT_ONCE => {
                self.waiting -= 1;
                self.together += 1;
                true
            }
            Company::Alone if !self.alone && self.together + self.waiting == 0 => {
                self.alone = true;
                true
            }
            Company::Welcome | Company::Alone => false,
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room.with(|crowd| match self.company {
            Company::Welcome => crowd.together -= 1,
            Company::Alone => crowd.alone = false,
        });
        self.room.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// Comes in, or waits.
    macro_rules! wants {
        ($name:ident, $room:expr, $company:ident) => {
            let mut $name = pin!($room.enter(Company::$company));
            assert!($name.as_mut().now_or_never().is_none(), "nobody waits");
        };
    }

    #[tokio::test]
    async fn three_that_bear_each_other_run_at_a_time() {
        let room = Room::new();
        let first = room.enter(Company::Welcome).await;
        let _second = room.enter(Company::Welcome).await;
        let _third = room.enter(Company::Welcome).await;
        wants!(fourth, room, Welcome);
        drop(first);
        fourth.await;
    }

    #[tokio::test]
    async fn one_that_bears_nobody_begins_when_nobody_else_wants_to() {
        let room = Room::new();
        let seats = [
            room.enter(Company::Welcome).await,
            room.enter(Company::Welcome).await,
            room.enter(Company::Welcome).await,
        ];
        wants!(alone, room, Alone);
        wants!(also_alone, room, Alone);
        wants!(late, room, Welcome);
        drop(seats);
        assert!(alone.as_mut().now_or_never().is_none(), "one comes before");
        drop(late.await);
        let seat = alone.await;
        assert!(also_alone.as_mut().now_or_never().is_none(), "two alone");
        wants!(later, room, Welcome);
        drop(seat);
        assert!(also_alone.as_mut().now_or_never().is_none(), "it is late");
        drop(later.await);
        also_alone.await;
    }
}
