//! A machine of the cluster (a Kubernetes Node), in the planner's terms. Data only: who watches machines is `observe`.

use std::collections::BTreeMap;

/// A machine of the cluster (a Kubernetes Node).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub labels: BTreeMap<String, String>,
    /// Why its pods are to leave it, if they are: it is cordoned, or tainted by who drains it.
    pub emptying: Option<String>,
    /// Whether its kubelet reports to the API server.
    pub ready: bool,
}

impl Machine {
    /// Whether it carries all of these labels.
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
