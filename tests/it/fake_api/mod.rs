//! The operator on a fake API server: every call of it is seen, and may be delayed, lost, refused or
//! answered with old news; the operator may die at any of them.
//!
//! * `store` keeps objects as the API server does: versions, uids, preconditions, graceful deletion.
//! * `server` speaks HTTP for it, grants what the chart grants, and lets a [`meddler::Meddler`] into each call.
//! * `world` is what is outside: kubelets, nodes with logs and ports, the lock of each database. It
//!   knows who really waits and works, and judges each stop by that.
//! * `operator` drives `reconcile` as the controller would. It is called directly, so that watch events
//!   can't be lost here: a pass begins when something has changed, when a witness asks for it, or when
//!   the time that the last pass named is over.

mod meddler;
mod operator;
mod patch;
mod port;
mod server;
mod store;
mod world;

mod applied;
mod argo;
mod around;
mod crash;
mod database;
mod handover;
mod hostile;
mod kept;
mod leader;
mod lease;
mod metrics;
mod pods;
mod refusals;
mod rest;
mod rights;
mod short_pods;
mod sidecars;
mod successor;
mod timed;
mod turns;
mod two_operators;
mod unmade;
mod updates;
mod witness;
