//! The content of a revision: all that its pods are made from.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::api::{KeyRef, PodOptions, RevisionName};
use crate::domain::{Lock, Revision};
use crate::node::lock::{LEASE_REFRESH_INTERVAL, LOCK_ID_VARIABLE};
use crate::node::settings::{TlsFiles, go_duration, refresh_interval, skips_postgres_check};
use crate::node::{ConfigStyle, LockMode, NodeVersion};

/// Number of the pod template of this operator: how a pod is made from a revision's content. Where two make the same
/// of a spec, it has the lower number.
pub const TEMPLATE: u32 = WITH_TELEMETRYS_END;

/// From this template on a pod has the time to stop that the node's own configuration asks for.
pub(super) const WITH_THE_NODES_GRACE: u32 = 2;

/// From this template on a pod mounts copies of the user's ConfigMaps, and what stands in them is part of the revision.
pub(super) const WITH_COPIES: u32 = 3;

/// From this template on a pod that takes the advisory lock is told its id: a Secret could set another one.
pub(super) const WITH_THE_LOCK_ID: u32 = 4;

/// From this template on HTTPS is off unless a certificate is really named, and its port is one of the pod's; and the home
/// folder can be written.
pub(super) const WITH_NAMED_HTTPS: u32 = 5;

/// From this template on a pod has the time to send the rest of its telemetry.
pub(super) const WITH_TELEMETRYS_END: u32 = 6;

/// How the node is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Style {
    Toml,
    Environment,
}

impl From<ConfigStyle> for Style {
    fn from(style: ConfigStyle) -> Self {
        match style {
            ConfigStyle::Toml => Self::Toml,
            ConfigStyle::Environment => Self::Environment,
        }
    }
}

impl From<Style> for ConfigStyle {
    fn from(style: Style) -> Self {
        match style {
            Style::Toml => Self::Toml,
            Style::Environment => Self::Environment,
        }
    }
}

/// Where the text of one `-c` file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileSource {
    /// In the ConfigMap of the revision; the digest of the text.
    Pinned(String),
    /// In a Secret of the user's, read by the kubelet at each container start.
    Secret(KeyRef),
}

/// The value of one environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    Text(String),
    Secret(KeyRef),
    /// A field of the pod itself.
    Field(String),
}

/// Where the secret that signs the node's sessions is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Session {
    /// In the Secret that the operator makes.
    Generated,
    /// In a Secret of the user's.
    Given(KeyRef),
}

impl Session {
    /// The Secret and its key, for the `ChainlinkNode` named `node`.
    pub fn reference(&self, node: &str) -> KeyRef {
        match self {
            Self::Generated => KeyRef {
                name: format!("{node}-session"),
                key: "secret".to_owned(),
            },
            Self::Given(reference) => reference.clone(),
        }
    }
}

/// All that the pods of a revision are made from. Field order is part of the revision's name: add
/// new fields at the end, and leave them out of the JSON where they say nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The [`TEMPLATE`] of the operator that made the revision. It is part of the revision's name.
    /// The spec goes on being rendered by it until the user changes something (rule S8); pods are made from the
    /// other fields alone so far.
    pub template: u32,
    pub version: NodeVersion,
    pub style: Style,
    /// Complete image reference.
    pub image: String,
    pub pull_policy: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    pub lock: LockMode,
    pub database_url: KeyRef,
    /// `-c` files in order, by file name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, FileSource)>,
    /// The operator's own settings: `CL_CONFIG`, or the last `-c` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_toml: Option<KeyRef>,
    /// Variables in order, the operator's last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, Value)>,
    /// Secrets whose keys are all variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_secrets: Vec<String>,
    pub keystore_password: KeyRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_credentials: Option<KeyRef>,
    pub pod: PodOptions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<String>,
    /// The port for peers, where the resource has a Service for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2p_port: Option<u16>,
    /// What signs the node's sessions, where the pods are to share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// How long the lease lasts, where the spec says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_millis: Option<u64>,
    /// Another one for each change of the content of Secrets that is to be rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
    /// The ConfigMaps that pods mount a copy of: the user's name and a digest, by the number of the copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounted_maps: Vec<(String, String)>,
    /// Whether the node serves HTTPS, as far as its template tells.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https: bool,
    /// `-s` files in order, by file name, behind [`Self::secrets_toml`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets_files: Vec<(String, KeyRef)>,
    /// Where certificate and key of HTTPS are, as far as that is certain. It follows from the files, and is no part of the
    /// revision's name: one that was kept without it stays the same (rule S8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_files: Option<TlsFiles>,
}

/// A spec with everything that it refers to, as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub revision: Revision,
    pub content: Content,
    /// Texts of the pinned files by file name: the data of the revision's ConfigMap.
    pub texts: BTreeMap<String, String>,
    /// What the mounted ConfigMaps hold: the data of their copies, in the order of [`Content::mounted_maps`].
    pub mounted: Vec<ConfigMap>,
    /// What a person should know: settings of theirs that the operator's override.
    pub warnings: Vec<String>,
    /// Why the node makes no dump of its database at the start of a newer version, as far as that is known.
    pub backup_off: Option<&'static str>,
}

/// The first `length` hex digits of the SHA-256 of a text.
pub(super) fn digest(text: &[u8], length: usize) -> String {
    hex(&Sha256::digest(text), length)
}

/// The first `length` hex digits of these bytes.
pub(super) fn hex(bytes: &[u8], length: usize) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .take(length)
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Appends a field such that no two lists of fields make one text.
pub(super) fn field(text: &mut Vec<u8>, field: &[u8]) {
    text.extend(field.len().to_be_bytes());
    text.extend(field);
}

impl Content {
    /// The revision that this content makes, for the `ChainlinkNode` named `node`.
    pub fn revision(&self, node: &str) -> Result<Revision, serde_json::Error> {
        let named = Self {
            tls_files: None,
            ..self.clone()
        };
        let json = serde_json::to_vec(&named)?;
        Ok(self.named(RevisionName::new(format!("{node}-{}", digest(&json, 10)))))
    }

    /// How often its node tries the lock while it waits: as the operator has set it, or a variable of the user's, or the
    /// node's default. `None` where it stands in a Secret.
    pub fn tries_each(&self) -> Option<Duration> {
        let variable = self.lock.interval_variable();
        match self.env.iter().rfind(|(name, _)| name == variable) {
            Some((_, Value::Text(value))) => return go_duration(value),
            Some((_, Value::Secret(_) | Value::Field(_))) => return None,
            None => {}
        }
        let own = self.settings.as_deref().and_then(refresh_interval);
        Some(own.unwrap_or(LEASE_REFRESH_INTERVAL))
    }

    /// Whether a Secret may give the node another `ADVISORY_LOCK_ID`, as with the templates before
    /// [`WITH_THE_LOCK_ID`].
    fn hides_its_lock_id(&self) -> bool {
        let named = self.env.iter().any(|(name, _)| name == LOCK_ID_VARIABLE);
        !self.env_secrets.is_empty() && !named
    }

    /// Whether a variable lets the node start on a `PostgreSQL` that is too old for it. What a Secret or a field of the pod
    /// sets can't be read.
    fn may_start_on_any_postgres(&self) -> bool {
        let set = self.env.iter().find(|(name, _)| skips_postgres_check(name));
        match set {
            Some((_, Value::Text(value))) => value == "true",
            Some((_, Value::Secret(_) | Value::Field(_))) => true,
            None => !self.env_secrets.is_empty(),
        }
    }

    /// The revision under a name that is already known.
    pub fn named(&self, name: RevisionName) -> Revision {
        Revision {
            name,
            version: self.version.clone(),
            lock: Lock::on(self.lock, &self.database_url),
            lock_id_hidden: self.hides_its_lock_id(),
            lease: self.lease_millis.map(Duration::from_millis),
            validates: self.version.validates(self.style.into()),
            any_postgres: self.may_start_on_any_postgres(),
        }
    }
}
