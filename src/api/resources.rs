//! What a container may use of its machine.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, schema};

/// CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.requests) || self.requests.all(k, type(self.requests[k]) == int || isQuantity(self.requests[k]))").message("an amount can't be read: write a number with a unit that Kubernetes knows, such as 500m or 2 for cpu, 4Gi or 512Mi for memory").field_path(".requests"))]
#[x_kube(validation = Rule::new("!has(self.limits) || self.limits.all(k, type(self.limits[k]) == int || isQuantity(self.limits[k]))").message("an amount can't be read: write a number with a unit that Kubernetes knows, such as 500m or 2 for cpu, 4Gi or 512Mi for memory").field_path(".limits"))]
pub struct Resources {
    /// What is set aside for it, for example `{cpu: 2, memory: 4Gi}`. Without it: the limits, or what the namespace gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::amounts")]
    pub requests: BTreeMap<String, Amount>,
    /// What it never gets more of: `cpu` in cores (`500m` is half of one), `memory` in bytes (`4Gi`). Without it: what the
    /// namespace gives, else no limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::amounts")]
    pub limits: BTreeMap<String, Amount>,
}
