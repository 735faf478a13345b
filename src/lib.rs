//! A Kubernetes operator for redundant Chainlink nodes.
//!
//! The rooms, from the ground. Each may import what its line names and nothing else; `tests/it/house.rs` holds the same table
//! as data.
//!
//! | room | what it is for | may import |
//! |---|---|---|
//! | [`api`] | what users write and read: the resource, its bounds and rules | |
//! | [`node`] | what a Chainlink node does: versions, locks, log lines, exits, SQL | |
//! | `mutex` | locks within the process | |
//! | [`domain`] | the words that all rooms above share: one look, one pod, one revision, an intent. Data only | `api`, `node` |
//! | [`cluster`] | what all calls of the API server share: ownership, refusals, scopes, what of them is logged | `api` |
//! | [`leader`] | which of several operators acts | `cluster` |
//! | [`observe`] | from the cluster to one observation | `mutex`, `cluster`, `domain`, `node`, `api` |
//! | [`plan`] | what to do next: pure, and the only place that can permit a stop | `domain`, `node`, `api` |
//! | [`build`] | from a spec to objects; pure | `domain`, `node`, `api` |
//! | [`act`] | from a plan to calls of the API server | `leader`, `plan`, `build`, `cluster`, `domain`, `node`, `api` |
//! | [`report`] | from a look and a plan to status, events and metrics; pure | `plan`, `domain`, `node`, `api` |
//! | [`controller`] | the loop that strings them together | all |
//!
//! Where to look first:
//!
//! * What may stop a pod that is a node and has not ended: the tables `CHECKS` of `plan/guard/handover.rs` (the active) and
//!   `plan/guard/others.rs` (any other); and the two ends in `others.rs` that ask little: the one that the user asked for, the
//!   active included, and that of a pod on another database. Nothing else makes a [`plan::Permit`], and no stop goes without one.
//! * In which order the rules come: `RULES` in `plan/decide.rs`; `decide` beside it says what stands before and after them.
//! * Where a reason is added: `domain/reason.rs`. The compiler asks for its word and its patience, a test for its line in
//!   docs/status.md.
//! * What happens between an event of a pod and the delete call: `controller/run.rs` wakes a pass; `controller/pass/mod.rs` is its
//!   page, from top to bottom; `act.rs` beside it takes each stop through `confirm.rs`, the second look, to `act/pods.rs`.
//! * What is remembered from look to look: `api/memory.rs`, and `plan/remember.rs` says when.
//!
//! Five words that are meant exactly: a *machine* is a Kubernetes Node; the *active* is the pod that took the
//! lock last, from then until its container ends: it boots, works, or is silent; the *holder* is whoever has the lock, also
//! outside of this cluster; a *suspect* is a pod that took the lock before another did, and still runs; the *successor* is
//! the standby that a handover is meant for.

#[macro_use]
mod words;

pub mod act;
pub mod api;
pub mod build;
pub mod cluster;
pub mod controller;
pub mod domain;
pub mod leader;
mod mutex;
pub mod node;
pub mod observe;
pub mod plan;
pub mod report;
