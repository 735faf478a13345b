//! Where a new pod is to go. Data only: `plan` chooses, and `build` writes it into the pod.

use std::collections::BTreeMap;

/// Where a new pod is to go, if it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Not to these machines.
    pub avoid: Vec<String>,
    /// To a machine with these labels.
    pub prefer: BTreeMap<String, String>,
}
