//! The operator from outside: its library against files, a real `PostgreSQL`, an API server that fails on purpose, and
//! its own documents. They are one binary, since each more would link all types of Kubernetes again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
mod granted;

mod alerts;
mod build_bad_input;
mod build_config;
mod build_pod;
mod chart;
mod crd;
mod database;
mod dependencies;
mod docs;
mod fake_api;
mod house;
mod metrics;
mod node_log;
mod node_transcripts;
mod read_only;
mod registry;
mod revisions;
mod rights;
