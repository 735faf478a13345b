//! The Secret that signs the sessions of people and API clients. The operator may make it, and never reads it.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::ResourceExt;
use kube::api::{Api, PostParams};

use super::random::random;
use crate::api::ChainlinkNode;
use crate::build;
use crate::cluster::refusal;

/// Makes the Secret that signs the sessions, where there is none: it is never read and never
/// changed. A message where the API server will not have it.
pub async fn session_secret(
    client: &Client,
    node: &ChainlinkNode,
) -> Result<Option<String>, kube::Error> {
    let secrets: Api<Secret> =
        Api::namespaced(client.clone(), &node.namespace().unwrap_or_default());
    let secret = build::session_secret(node, random()?).map_err(kube::Error::SerdeError)?;
    let made = secrets.create(&PostParams::default(), &secret).await;
    match there(made.map(drop)) {
        Err(error) => refusal(&error).map(Some).ok_or(error),
        Ok(()) => Ok(None),
    }
}

fn there(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other,
    }
}
