//! The operator tried on a real cluster.
