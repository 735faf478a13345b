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

/// Whether the kubelet of a machine reports to the API server. Of one whose object is gone none does.
pub fn reports(machines: &BTreeMap<String, Machine>, name: &str) -> bool {
    machines.get(name).is_some_and(|machine| machine.ready)
}

impl Machine {
    /// Whether it carries all of these labels.
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_silent_or_gone_reports_nothing() {
        let at = |ready| Machine {
            ready,
            ..Machine::default()
        };
        let machines =
            BTreeMap::from([("up".to_owned(), at(true)), ("down".to_owned(), at(false))]);
        assert!(reports(&machines, "up"));
        assert!(!reports(&machines, "down"));
        assert!(!reports(&machines, "gone"));
    }
}
