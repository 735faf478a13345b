//! The operator tried on a real cluster: tests, soak and demo share what is here.
//!
//! A [`Cluster`] is brought up (or taken by an explicit variable), the operator is installed in it by its own chart
//! ([`install`]), and each scenario gets a [`World`]: a namespace, a database and the record of duty of its nodes.
//! What was seen is judged by [`duty`] (who worked when) and [`audit`] (what the operator wrote). Nothing here asserts a
//! time: that is soak's.

// This crate is tests: where they cannot go on, they say so and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod audit;
pub mod bad_input;
pub mod bench;
pub mod canary;
pub mod cluster;
pub mod collector;
pub mod company;
pub mod duty;
pub mod exec;
pub mod explain;
pub mod fleet;
pub mod images;
pub mod install;
pub mod machine;
pub mod mirror;
pub mod pair;
pub mod policy;
pub mod pooler;
pub mod scenario;
pub mod shown;
pub mod timeline;
pub mod turn;
pub mod until;
pub mod walk;
pub mod world;

pub use cluster::Cluster;
pub use company::Company;
pub use scenario::scenario;
pub use until::until;
pub use world::World;
