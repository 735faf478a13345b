//! A Kubernetes operator for redundant Chainlink nodes.
//!
//! One direction, no back edges: [`api`] (what users write), [`node`] (what Chainlink does),
//! [`observe`] (cluster to observation), [`plan`] (what to do next; pure), [`build`] (spec to objects;
//! pure).

pub mod api;
pub mod build;
pub mod node;
pub mod observe;
pub mod plan;
