//! A Kubernetes operator for redundant Chainlink nodes.
