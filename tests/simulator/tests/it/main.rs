//! Runs the built simulator against a private `PostgreSQL`: against what real nodes did (transcripts), and for what it
//! offers to other tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Nodes are called as in the transcripts: A, B, C.
#![allow(clippy::many_single_char_names, clippy::similar_names)]

mod support;

mod configuration;
mod duty;
mod faults;
mod https;
mod locks;
mod newer;
mod outages;
mod pooler;
mod transcripts;
