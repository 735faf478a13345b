//! A fake Chainlink node: what it prints, what its port answers, and the lock it takes.

use std::net::Ipv4Addr;
use std::time::Instant;

use jiff::Timestamp;

use super::beside::Sidecars;
use crate::fake_api::port::{self, Port};

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Waiting,
    /// Has the lock; its temporary server answers.
    Booting,
    Active,
    /// Got SIGTERM.
    Stopping,
    Ended,
}

/// How nodes and machines behave, from now on.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub struct Habits {
    /// Nodes that start hang before their first try for the lock.
    pub hang_at_start: bool,
    /// What nodes say their version is, whatever it is.
    pub says_version: Option<String>,
    /// What the check of a configuration says against it.
    pub refuses_configuration: Option<String>,
    /// What answers on port 6688 in the node's place, whatever the node does: a mesh or a policy.
    pub front: Option<u16>,
    /// No temporary server answers while a node boots (before 2.15).
    pub late_http: bool,
    /// Milliseconds from the lock to the node's own server, where they are not the usual ones.
    pub boot: Option<u64>,
    /// The API server is not told that a container has ended.
    pub ends_untold: bool,
    /// Log streams open, and say nothing.
    pub silent_logs: bool,
    /// Kubelets call no further pod ready.
    pub never_ready: bool,
    /// No machine has room.
    pub no_room: bool,
    /// Ended containers are not started again.
    pub no_restarts: bool,
    /// Nodes that are killed leave their lease behind.
    pub leaves_lease: bool,
    /// Whoever waits tries too late: a free lock is that of the next that starts.
    pub starters_win: bool,
    /// How the sidecars are that start.
    pub sidecars: Sidecars,
}

impl Habits {
    /// The port of a container that starts.
    pub fn before(&self, address: Ipv4Addr) -> Option<Port> {
        let front = self.front.filter(|front| *front != port::REFUSES);
        front.map(|front| Port::open(address, front))
    }
}

/// The lock of one database: exclusive.
#[derive(Debug)]
pub struct Lock {
    /// The uid of the pod that has it.
    pub holder: Option<String>,
    pub free_since: Instant,
}

impl Lock {
    pub fn new() -> Self {
        Self {
            holder: None,
            free_since: Instant::now(),
        }
    }

    pub fn free(&mut self, uid: &str) {
        if self.holder.as_deref() == Some(uid) {
            self.holder = None;
            self.free_since = Instant::now();
        }
    }
}

/// The process in one container.
pub struct Process {
    pub container: String,
    pub machine: String,
    pub address: Ipv4Addr,
    pub version: String,
    pub database: String,
    pub phase: Phase,
    pub since: Instant,
    pub log: Vec<String>,
    /// Its machine is lost: it is dead, and nobody can tell.
    pub lost: bool,
    pub exit: i32,
    pub port: Option<Port>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} {:?} on {} in {}",
            self.container, self.phase, self.database, self.machine
        )?;
        out.write_str(if self.lost { ", lost" } else { "" })
    }
}

impl Process {
    pub fn is_alive(&self) -> bool {
        self.phase != Phase::Ended && !self.lost
    }

    pub fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Prints a line as the node's console logger does, behind the kubelet's time.
    pub fn say(&mut self, message: &str) {
        self.print("INFO", message, "");
    }

    pub fn say_at(&mut self, level: &str, message: &str) {
        self.print(level, message, "");
    }

    /// One of the lines that name the node: that it waits, and that it has booted.
    fn say_who(&mut self, message: &str) {
        let app = format!("appID={} ", self.app_id());
        self.print("INFO", message, &app);
    }

    fn print(&mut self, level: &str, message: &str, app: &str) {
        let now = Timestamp::now();
        let version = &self.version;
        self.log.push(format!(
            "{now:.9} {now:.3} [{level}]  {message} cmd/shell_local.go:324           {app}logger=RunNode version={version}@fb7d6e8 \n"
        ));
    }

    /// The id of this start of the node, by which a database knows it.
    pub fn app_id(&self) -> String {
        let number = self.container.rsplit('/').next().unwrap();
        format!("5f0cd4de-2d9b-4d1c-9c1f-{number:0>12}")
    }

    pub fn start(&mut self) {
        let line = format!("Starting Chainlink Node {} at commit fb7d6e8", self.version);
        self.say(&line);
    }

    pub fn wait(&mut self) {
        self.say_who("Another application is currently holding the database lease (or a previous instance exited uncleanly), waiting for lease to expire...");
        self.go(Phase::Waiting);
    }

    pub fn take_lock(&mut self, habits: &Habits) {
        if habits.late_http {
            self.say("Unlocked 2 keys");
        } else {
            self.say("Starting StartUpHealthReport");
            if habits.front.is_none() {
                self.port = Some(Port::open(self.address, 204));
            }
        }
        self.go(Phase::Booting);
    }

    pub fn serve(&mut self, habits: &Habits) {
        if !habits.late_http {
            self.say("StartUpHealthReport shutdown complete");
        }
        self.say_who("Chainlink booted in 1.25s");
        self.say("Listening and serving HTTP on 0.0.0.0:6688");
        if habits.front.is_none() {
            let address = self.address;
            let port = self.port.get_or_insert_with(|| Port::open(address, 200));
            port.answer_with(200);
        }
        self.go(Phase::Active);
    }

    pub fn end(&mut self, exit: i32) {
        self.port = None;
        self.exit = exit;
        self.go(Phase::Ended);
    }

    /// Power cut: its address swallows what is sent to it.
    pub fn lose(&mut self) {
        self.lost = true;
        match &self.port {
            Some(port) => port.answer_with(port::HANGS),
            None => self.port = Some(Port::open(self.address, port::HANGS)),
        }
    }
}
