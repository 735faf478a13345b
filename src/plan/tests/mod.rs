//! What the planner does, as sentences. The world is built by [`world::World`]; a test says only what is
//! special about it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod confirm;
mod database;
mod drills;
mod due;
mod evidence;
mod failback;
mod failover;
mod handover;
mod held;
mod history;
mod lease;
mod model;
mod neighbours;
mod refusals;
mod relocation;
mod rest;
mod rollback;
mod scale;
mod sidecars;
mod silent_port;
mod trial;
mod unasked;
mod unfit;
mod unmade;
mod unresponsive;
mod validation;
pub(crate) mod world;
