//! The Lease of the operators: how often each of them has written it. A leader reads and writes it each second, whatever there is
//! to do, and that is told apart from what the resources cost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::task::AbortHandle;

/// Where it is.
pub const NAMESPACE: &str = "operator";
pub const NAME: &str = "fleet";

#[derive(Default)]
struct Counted {
    /// The version that was counted last.
    version: Option<String>,
    /// How often it was written, by the pod of the writer.
    writes: HashMap<String, u32>,
}

/// How often it was written.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Counted>>);

impl Written {
    /// Counts until that is ended.
    pub fn watch(client: Client) -> (Self, AbortHandle) {
        let written = Self::default();
        let counting = written.clone();
        let watching = tokio::spawn(async move {
            let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
            let mut events = Box::pin(watcher(leases, watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) => {
                        counting.note(&lease);
                    }
                    Ok(_) => {}
                    Err(error) => eprintln!("the Lease can't be watched: {error}"),
                }
            }
        });
        (written, watching.abort_handle())
    }

    /// By the operator in this pod.
    pub fn by(&self, pod: &str) -> u32 {
        self.with(|counted| counted.writes.get(pod).copied().unwrap_or_default())
    }

    fn note(&self, lease: &Lease) {
        let holder = lease.spec.as_ref();
        let holder = holder.and_then(|spec| spec.holder_identity.as_deref());
        // The process follows the pod.
        let pod = holder.and_then(|holder| holder.split('_').next());
        let Some(pod) = pod else { return };
        self.with(|counted| {
            let version = lease.resource_version();
            if counted.version != version {
                counted.version = version;
                *counted.writes.entry(pod.to_owned()).or_default() += 1;
            }
        });
    }

    fn with<T>(&self, what: impl FnOnce(&mut Counted) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(version: &str, holder: Option<&str>) -> Lease {
        let lease = json!({
            "metadata": {"name": NAME, "resourceVersion": version},
            "spec": {"holderIdentity": holder},
        });
        serde_json::from_value(lease).unwrap()
    }

    #[test]
    fn each_version_of_the_lease_counts_once_for_the_pod_that_wrote_it() {
        let written = Written::default();
        written.note(&lease("1", Some("operator-0_17")));
        written.note(&lease("2", Some("operator-0_17")));
        // A watch that begins anew tells the last one again.
        written.note(&lease("2", Some("operator-0_17")));
        written.note(&lease("3", None));
        written.note(&lease("4", Some("operator-1_18")));
        assert_eq!(written.by("operator-0"), 2);
        assert_eq!(written.by("operator-1"), 1);
        assert_eq!(written.by("operator-2"), 0);
    }
}
