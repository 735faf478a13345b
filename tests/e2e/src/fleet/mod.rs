//! `make bench-fleet`: what the operator costs with many resources, beside a kube-apiserver and an etcd of its own.
//!
//! The control plane is real ([`control`]), and so is the operator ([`operator`]), which runs as its release program with a
//! [`lease`] as in a cluster. Machines, kubelets and nodes are hollow: [`hollow`] binds and starts pods as a scheduler and a
//! kubelet do, each with an address of its own on the loopback network, [`kubelet`] serves their logs, and [`node`] is what runs
//! in them: one scripted [`lock`] for each resource in place of a database, or real leases in a real [`database`]. [`resources`] is one fleet, [`phases`] is what is
//! measured of it, [`figures`] keeps and shows it, and [`files`] says how many open files it needs.

pub mod control;
pub mod database;
pub mod figures;
pub mod files;
pub mod hollow;
pub mod kubelet;
mod leader;
pub mod lease;
pub mod lock;
pub mod node;
pub mod operator;
pub mod phases;
mod resources;
pub mod seen;
mod told;
mod unrelated;
