//! Whether anything that is secret in a scenario stands where people read it: the operator's log and metrics, events, and the
//! objects that it writes. Secrets themselves are read at the end, and those that a scenario has changed are remembered.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use anyhow::{Result, ensure};
use chainlink_operator::api::ChainlinkNode;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::install;
use crate::world::World;

/// What is shorter is found anywhere.
const SHORTEST: usize = 8;

/// Secret values, and where each stands.
#[derive(Clone, Debug, Default)]
pub struct Canaries(BTreeMap<String, String>);

impl Canaries {
    /// Remembers what is secret in one key of a Secret: of a URL its password, of TOML what stands in quotes, of other text
    /// each line.
    pub fn remember(&mut self, secret: &str, key: &str, text: &str) {
        let kind = key.rsplit_once('.').map(|(_, kind)| kind);
        // A certificate is shown to everybody.
        if kind == Some("crt") {
            return;
        }
        let values: Vec<&str> = if kind == Some("toml") {
            text.split(['\'', '"']).skip(1).step_by(2).collect()
        } else {
            text.lines().collect()
        };
        for value in values {
            let value = password_of(value).unwrap_or(value).trim();
            // Where a node listens itself is no secret.
            let own = value.starts_with("http://localhost:");
            if value.len() >= SHORTEST && !own && !value.contains("@example.com") {
                self.0
                    .insert(value.to_owned(), format!("{key} of Secret {secret}"));
            }
        }
    }

    /// What of it stands in a text, by where it is from and in which form. The values themselves are not told.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (value, from) in &self.0 {
            for (form, written) in forms(value) {
                if text.contains(&written) {
                    found.push(format!("{from}, {form}"));
                }
            }
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The password of `scheme://user:password@host/…`.
fn password_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Every form in which a value may come through: as it is, quoted, for a URL, and within Base64 wherever it begins there.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let quoted = json!(value).to_string();
    let mut forms = vec![
        ("as it is", value.to_owned()),
        ("in JSON", quoted.trim_matches('"').to_owned()),
        ("in a URL", in_a_url(value)),
    ];
    forms.extend((0..3).map(|before| ("in Base64", in_base64(value, before))));
    forms
}

fn in_a_url(value: &str) -> String {
    let mut url = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// The digits that depend on this value alone, where so many bytes of a group of three stand before it.
fn in_base64(value: &str, before: usize) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let bytes: Vec<u8> = std::iter::repeat_n(0, before)
        .chain(value.bytes())
        .collect();
    let bits = |index: usize| {
        (0..6).fold(0, |digit, bit| {
            let bit = index * 6 + bit;
            let byte = bytes.get(bit / 8).copied().unwrap_or_default();
            digit << 1 | usize::from(byte >> (7 - bit % 8) & 1)
        })
    };
    let from = (before * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    (from..to).map(|index| alphabet[bits(index)]).collect()
}

/// Looks everywhere, at the end of a scenario.
pub async fn nothing_is_shown(world: &World) -> Result<()> {
    let mut canaries = world.canaries();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    for secret in secrets.list(&ListParams::default()).await? {
        for (key, bytes) in secret.data.iter().flatten() {
            canaries.remember(&secret.name_any(), key, &String::from_utf8_lossy(&bytes.0));
        }
    }
    // A scenario that deletes its namespace has none left, and what it made is remembered.
    ensure!(!canaries.is_empty(), "no secret to look for");
    let mut shown = Vec::new();
    for (place, text) in places(world).await? {
        let found = canaries.found_in(&text).into_iter();
        shown.extend(found.map(|what| format!("{place} shows {what}")));
    }
    ensure!(shown.is_empty(), "{}", shown.join("; "));
    Ok(())
}

/// What the operator writes, and its name.
async fn places(world: &World) -> Result<Vec<(String, String)>> {
    let (client, namespace) = (&world.client, world.namespace.as_str());
    let mut places = vec![(
        "the operator's log".to_owned(),
        install::log(&world.cluster),
    )];
    match install::metrics(client).await {
        Ok(metrics) => places.push(("the operator's metrics".to_owned(), metrics)),
        // An operator that just comes up, or goes.
        Err(error) => eprintln!("the operator's metrics were not read: {error:#}"),
    }
    places.push(("an event".to_owned(), all::<Event>(world).await?));
    places.push((
        "a ChainlinkNode".to_owned(),
        all::<ChainlinkNode>(world).await?,
    ));
    places.push(("a ConfigMap".to_owned(), all::<ConfigMap>(world).await?));
    let revisions = all::<ControllerRevision>(world).await?;
    places.push(("a ControllerRevision".to_owned(), revisions));
    places.push(("a Service".to_owned(), all::<Service>(world).await?));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await?;
    // The end of a node's own log is the kubelet's word.
    let written = pods.items.iter().map(|pod| {
        let conditions = pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        json!([pod.metadata, pod.spec, conditions])
    });
    let written: Value = written.collect();
    places.push(("a pod".to_owned(), written.to_string()));
    Ok(places)
}

/// All objects of a kind in the world's namespace, as text.
async fn all<K>(world: &World) -> Result<String>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let api: Api<K> = Api::namespaced(world.client.clone(), &world.namespace);
    Ok(serde_json::to_string(
        &api.list(&ListParams::default()).await?.items,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canaries() -> Canaries {
        let mut canaries = Canaries::default();
        canaries.remember(
            "database",
            "url",
            "postgresql://u:pass@word 1!@host/db?sslmode=disable",
        );
        canaries.remember(
            "credentials",
            "keystore-password",
            "a keystore's \"password\"\n",
        );
        canaries.remember(
            "credentials",
            "api-credentials",
            "a@example.com\nof-the-api\n",
        );
        canaries.remember("more", "secrets.toml", "[Database]\nURL = 'postgresql://u:in-the-toml@host/db'\n[Mercury]\nX = \"of-mercury\"\n");
        canaries.remember("environment", "ALLOW_ORIGINS", "http://localhost:6688");
        canaries.remember("tls", "tls.crt", "-----BEGIN CERTIFICATE-----");
        canaries
    }

    #[test]
    fn what_was_planted_is_found_in_every_form() {
        let canaries = canaries();
        for (planted, from, form) in [
            (
                "dialing u:pass@word 1!@host",
                "url of Secret database",
                "as it is",
            ),
            (
                "dialing u:pass%40word%201%21@host",
                "url of Secret database",
                "in a URL",
            ),
            // `x:of-the-api`, `xx:of-the-api` and `:of-the-api`, each from its start.
            (
                "eDpvZi10aGUtYXBp",
                "api-credentials of Secret credentials",
                "in Base64",
            ),
            (
                "eHg6b2YtdGhlLWFwaQ==",
                "api-credentials of Secret credentials",
                "in Base64",
            ),
            (
                "Om9mLXRoZS1hcGk=",
                "api-credentials of Secret credentials",
                "in Base64",
            ),
            (
                r#"{"x": "a keystore's \"password\""}"#,
                "keystore-password of Secret credentials",
                "in JSON",
            ),
            (
                "URL = in-the-toml",
                "secrets.toml of Secret more",
                "as it is",
            ),
            ("of-mercury", "secrets.toml of Secret more", "as it is"),
        ] {
            let told = format!("{from}, {form}");
            let found = canaries.found_in(&format!("before {planted} behind"));
            assert!(found.contains(&told), "{planted}: {found:?}");
            assert!(
                !found.concat().contains("of-the-api"),
                "it shows none itself"
            );
        }
    }

    #[test]
    fn what_is_no_secret_is_not_looked_for() {
        let text = "postgresql://u:xxxxx@host/db a@example.com http://localhost:6688 [Database] -----BEGIN CERTIFICATE-----";
        assert_eq!(canaries().found_in(text), [""; 0]);
    }
}
