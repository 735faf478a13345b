//! The operator on a real cluster, with simulated nodes. `make e2e` runs it; it needs Linux and root.
//!
//! Order and safety are asserted, never milliseconds: those are soak's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod configuration;
mod confined;
mod database;
mod deletion;
mod drift;
mod examples;
mod external;
mod failures;
mod fleet;
mod https;
mod input;
mod limits;
mod machines;
mod moves;
mod neighbours;
mod network;
mod older_crd;
mod on_call;
mod operator;
mod p2p;
mod phases;
mod platform;
mod plugin;
mod pooler;
mod refusals;
mod restore;
mod rollouts;
mod scale;
mod sessions;
mod sidecars;
mod stuck;
mod trials;
mod updates;
mod upgrades;
mod version_one;
