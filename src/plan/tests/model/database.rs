//! The database as a party: whether it answers the operator, whether what it says is true, and whether anybody can get
//! the lock there.

use std::net::{IpAddr, Ipv4Addr};

use super::cluster::Cluster;
use super::event::{Event, Menu};
use super::faults::Fault;
use super::pod::Does;
use crate::domain::{Holder, Reason, Says, Silence};

/// What becomes of the database, on a walk that asks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Database {
    /// It answers, and tells the truth.
    #[default]
    Right,
    /// The operator asks in vain. The nodes work on.
    Silent,
    /// It takes no writes: nobody gets the lock, and who has it loses it.
    ReadOnly,
    /// It names a client outside as the holder, and there is none.
    Lies,
}

impl Cluster {
    pub fn database_faults(&self, menu: &Menu, into: &mut Vec<Event>) {
        let may = menu.faults.contains(&Fault::Database) && self.asked;
        if may && self.database == Database::Right {
            let faults = [Database::Silent, Database::ReadOnly, Database::Lies];
            into.extend(faults.map(Event::DatabaseTurns));
        }
    }

    pub fn database_recovers(&self, into: &mut Vec<Event>) {
        if self.database != Database::Right {
            into.push(Event::DatabaseTurns(Database::Right));
        }
    }

    /// Whoever has the lock of a database that takes no more writes goes on until it is told, and ends where it still
    /// boots.
    pub fn database_turns(&mut self, to: Database) {
        if to != Database::Right {
            self.spend();
        }
        self.database = to;
        if to != Database::ReadOnly {
            return;
        }
        let holds = self
            .pods()
            .iter()
            .filter(|pod| pod.holds() && !pod.elsewhere);
        for no in holds.map(|pod| pod.no).collect::<Vec<_>>() {
            match self.pod(no).map(|pod| pod.does) {
                Some(Does::Serve) => self.change(no, |pod| pod.does = Does::Zombie),
                _ => self.goes_down(no, Does::DownByDatabase),
            }
        }
    }

    /// What is answered where the truth would be `says`.
    pub fn database_says(&self, says: Says) -> Result<Says, Silence> {
        match self.database {
            Database::Right => Ok(says),
            Database::Silent => Err(Silence::new(Reason::Unreachable, "")),
            Database::ReadOnly => Ok(Says {
                read_only: Some("it is a standby server"),
                ..says
            }),
            Database::Lies => Ok(Says {
                lease: Holder::Elsewhere(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                ..says
            }),
        }
    }
}
