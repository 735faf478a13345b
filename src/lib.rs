//! A Kubernetes operator for redundant Chainlink nodes.
//!
//! One direction, no back edges: [`api`] (what users write), [`node`] (what Chainlink does),
//! [`observe`] (cluster to observation), [`plan`] (what to do next; pure), [`build`] (spec to objects;
//! pure), [`act`] (plan to cluster), [`report`] (status and events; pure). [`controller`] strings them
//! together.

pub mod act;
pub mod api;
pub mod build;
pub mod cluster;
pub mod controller;
pub mod domain;
pub mod node;
pub mod observe;
pub mod plan;
pub mod report;
