//! What a question to the database is put with: its URL, a certificate authority, and the addresses of the pods. Read where the
//! spec says they are; what can't be read is a silence with its reason, and no word of a Secret's content gets into it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};

use super::ask::Known;
use crate::api::{ChainlinkNode, Config, KeyRef};
use crate::domain::{Reason, Silence};
use crate::node::database::{completed, completes_url};
use crate::observe::look::Looker;

pub type Material = (String, Option<Vec<u8>>, Known);

/// The URL, the certificate authority, and what the sessions of the pods are known by.
pub async fn question(
    client: &Client,
    node: &ChainlinkNode,
    looker: &Looker<'_>,
) -> Result<Result<Material, Silence>, kube::Error> {
    let namespace = node.namespace().unwrap_or_default();
    let database = &node.spec.database;
    let Some(reference) = &database.url.secret_key_ref else {
        return Ok(Err(unreadable("spec.database.url names no Secret")));
    };
    let url = match secret_text(client, &namespace, reference).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(silence) => return Ok(Err(silence)),
    };
    let variables = variables(client, &namespace, node.spec.config.as_ref()).await;
    let url = completed(&url, &variables);
    let authority = match &database.ca {
        None => None,
        Some(ca) => {
            let text = match (&ca.secret_key_ref, &ca.config_map_key_ref) {
                (Some(reference), _) => secret_text(client, &namespace, reference).await,
                (None, Some(reference)) => config_map_text(client, &namespace, reference).await,
                (None, None) => Err(unreadable("spec.database.ca names nothing")),
            };
            match text {
                Ok(text) => Some(text),
                Err(silence) => return Ok(Err(silence)),
            }
        }
    };
    let pods = looker.known_by().await?;
    Ok(Ok((url, authority, pods)))
}

/// The variables of the pods that stand for what the URL leaves out, as far as they can be read.
async fn variables(
    client: &Client,
    namespace: &str,
    config: Option<&Config>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let named = config.into_iter().flat_map(|config| &config.env);
    for variable in named.filter(|variable| completes_url(&variable.name)) {
        let source = variable.value_from.as_ref();
        let secret = source.and_then(|source| source.secret_key_ref.as_ref());
        let map = source.and_then(|source| source.config_map_key_ref.as_ref());
        let text = match (&variable.value, secret, map) {
            (Some(text), ..) => Ok(text.clone().into_bytes()),
            (None, Some(reference), _) => secret_text(client, namespace, reference).await,
            (None, None, Some(reference)) => config_map_text(client, namespace, reference).await,
            (None, None, None) => continue,
        };
        let text = text.ok().and_then(|text| String::from_utf8(text).ok());
        found.extend(text.map(|text| (variable.name.clone(), text)));
    }
    found
}

async fn secret_text(
    client: &Client,
    namespace: &str,
    reference: &KeyRef,
) -> Result<Vec<u8>, Silence> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api
        .get_opt(&reference.name)
        .await
        .map_err(|error| refused("Secret", reference, &error))?;
    secret
        .and_then(|secret| secret.data?.remove(&reference.key))
        .map(|bytes| bytes.0)
        .ok_or_else(|| missing("Secret", reference))
}

async fn config_map_text(
    client: &Client,
    namespace: &str,
    reference: &KeyRef,
) -> Result<Vec<u8>, Silence> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = api
        .get_opt(&reference.name)
        .await
        .map_err(|error| refused("ConfigMap", reference, &error))?;
    map.and_then(|map| map.data?.remove(&reference.key))
        .map(String::into_bytes)
        .ok_or_else(|| missing("ConfigMap", reference))
}

fn unreadable(message: impl Into<String>) -> Silence {
    Silence {
        reason: Reason::ReferenceUnreadable,
        message: message.into(),
    }
}

fn missing(kind: &str, reference: &KeyRef) -> Silence {
    let KeyRef { name, key } = reference;
    unreadable(format!("there is no {kind} {name} with a key {key}"))
}

/// The API server's sentence is passed on only as far as it is known to say nothing of the content.
fn refused(kind: &str, reference: &KeyRef, error: &kube::Error) -> Silence {
    let name = &reference.name;
    match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            unreadable(format!("the operator may not read the {kind} {name}"))
        }
        _ => unreadable(format!("the API server did not give the {kind} {name}")),
    }
}
