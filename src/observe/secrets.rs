//! Reading the Secrets that pods read, as far as the installation allows. Their content goes no further than to `build`, which
//! makes a digest of it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::domain::SecretData;

/// The data of the Secrets of these names that may be read; `None` where that can't be told now.
pub async fn read_secrets(
    client: &Client,
    namespace: &str,
    names: BTreeSet<&str>,
) -> Option<SecretData> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut data = SecretData::new();
    for name in names {
        let read = match api.get_opt(name).await {
            Ok(read) => read,
            // The installation may allow some of them only.
            Err(kube::Error::Api(status)) if status.is_forbidden() => continue,
            Err(error) => {
                tracing::debug!(%error, name, "a Secret could not be looked at");
                return None;
            }
        };
        let values = read.map(|secret| {
            let values = secret.data.unwrap_or_default().into_iter();
            values.map(|(key, value)| (key, value.0)).collect()
        });
        data.insert(name.to_owned(), values);
    }
    Some(data)
}
