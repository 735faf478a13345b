//! The operator on a real cluster, with simulated nodes. `make e2e` runs it; it needs Linux and root.
//!
//! Order and safety are asserted, never milliseconds: those are soak's.

mod upgrades;
