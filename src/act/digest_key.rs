//! The key of the digests of Secrets, kept in a Secret of the installation's own. The chart makes that empty, so that the
//! operator needs no right to make Secrets; the operator puts a key into it once.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::random::random;
use crate::build::DigestKey;

/// The key in it.
const KEY: &str = "key";

/// Which Secret it is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestKeyAt {
    pub namespace: String,
    pub name: String,
}

/// The key that is kept there. One that was made now and is kept nowhere, where there is no such Secret, or it may not be
/// read and written: it is good for as long as this process lives. An error where a later try may tell more.
pub async fn digest_key(
    client: &Client,
    at: Option<&DigestKeyAt>,
) -> Result<DigestKey, kube::Error> {
    let kept = match at {
        Some(at) => unless_refused(kept(client, at).await)?,
        None => None,
    };
    match kept {
        Some(key) => Ok(key),
        None => random().map(DigestKey::new),
    }
}

async fn kept(client: &Client, at: &DigestKeyAt) -> Result<DigestKey, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &at.namespace);
    let secret = api.get(&at.name).await?;
    let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
    if let Some(bytes) = bytes.and_then(|bytes| bytes.0.as_slice().try_into().ok()) {
        return Ok(DigestKey::new(bytes));
    }
    let bytes = random()?;
    // Of two operators only one puts its key there.
    let patch = json!({
        "metadata": {"resourceVersion": secret.resource_version()},
        "data": {KEY: ByteString(bytes.into())},
    });
    api.patch(&at.name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(DigestKey::new(bytes))
}

fn unless_refused(kept: Result<DigestKey, kube::Error>) -> Result<Option<DigestKey>, kube::Error> {
    match kept {
        Ok(key) => Ok(Some(key)),
        Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_not_found() => {
            tracing::warn!(
                said = %status.message,
                "the key of the digests of Secrets can't be kept: what changes in a Secret while the operator is away is not seen"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::Router;
    use axum::extract::Request;
    use axum::http::{Method, StatusCode};
    use axum::response::IntoResponse;
    use serde_json::Value;

    use super::*;

    /// A Secret without a key yet, into which another operator puts its own first.
    async fn overtaken(request: Request) -> impl IntoResponse {
        if request.method() == Method::GET {
            let secret = json!({"metadata": {"name": "key", "resourceVersion": "1"}});
            return (StatusCode::OK, secret.to_string());
        }
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
        let patch: Value = serde_json::from_slice(&body.unwrap()).unwrap();
        if patch["metadata"]["resourceVersion"] == "1" {
            let conflict =
                json!({"code": 409, "reason": "Conflict", "status": "Failure", "message": ""});
            return (StatusCode::CONFLICT, conflict.to_string());
        }
        (
            StatusCode::OK,
            json!({"metadata": {"name": "key"}}).to_string(),
        )
    }

    #[tokio::test]
    async fn of_two_operators_only_one_puts_its_key_there() {
        let client = Client::new(Router::new().fallback(overtaken), "a");
        let at = DigestKeyAt {
            namespace: "a".to_owned(),
            name: "key".to_owned(),
        };
        let key = digest_key(&client, Some(&at)).await;
        assert!(key.is_err(), "the next try finds the key of the other");
    }
}
