//! `spec`: the intent of a user.

#![allow(clippy::struct_field_names)] // fields are named as Kubernetes names them

use std::collections::BTreeMap;
use std::time::Duration;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Where the image comes from if the spec does not say.
const DEFAULT_REPOSITORY: &str = "smartcontract/chainlink";

/// Where the image comes from. The tag is the version unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Image repository without tag. Default: `smartcontract/chainlink`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub repository: Option<String>,
    /// Tag, such as `2.29.0-root`. Default: `spec.version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tag: Option<String>,
    /// Digest (`sha256:…`). It wins over the tag; `spec.version` still says what it holds. Default: none, the tag alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// When the kubelet pulls the image: `Always`, `IfNotPresent` or `Never`. Default: `IfNotPresent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets with registry credentials. Default: none, or those of the service account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub pull_secrets: Vec<SecretName>,
}

impl Image {
    /// Where it comes from.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.repository.as_deref().unwrap_or(DEFAULT_REPOSITORY)
    }
}

/// When the kubelet pulls the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// As the kubelet spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A Secret in the namespace of the resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// One key of a Secret or ConfigMap in the namespace of the resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRef {
    /// Name of the Secret or ConfigMap.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A value that is only ever read from a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.value)").message("a secret value can't be written into the resource: put it into a Secret (kubectl create secret generic NAME --from-literal=KEY=…) and name it here as secretKeyRef: {name: NAME, key: KEY}"))]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) || has(self.value)").message("name the Secret and its key here: secretKeyRef: {name: …, key: …}"))]
pub struct SecretValue {
    /// The Secret and the key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// Never allowed; it is named here so that the refusal can say what to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
}

/// The one database of all pods, and how they lock it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// The database URL (`DATABASE_URL`, `CL_DATABASE_URL`) of all pods. A new database means a new
    /// Secret name: the content of a Secret can't be pinned to a revision.
    pub url: SecretValue,
    /// How the nodes keep each other out of the database. Without it: as the version does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<DatabaseLock>,
    /// Whether the operator asks the database itself, right before it stops an active, who holds the
    /// lock and whether the successor waits there. `Auto`: what it says against a handover holds that back; where it can't be
    /// asked, the rest is enough. `Required`: no handover either where it can't be asked. `Never`: it is not asked.
    /// Default: `Auto`. No pod is replaced for a change of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The certificate authority of the database's server, in PEM form, for the operator's own
    /// connection: a path in the URL is one in the node's pod. Needed where the URL has
    /// `sslrootcert`, or a `sslmode` that verifies against an authority of your own. Without it: the authorities that the
    /// operator's image knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<TextSource>,
}

/// What the database's own word is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
pub enum Verification {
    /// What it says against a handover holds that back; where it can't be asked, the rest is enough (default).
    #[default]
    Auto,
    /// No handover either where it can't be asked.
    Required,
    /// It is not asked. (YAML reads a bare `Off` as false, so that is no word for it.)
    Never,
}

/// How the nodes keep each other out of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.leaseDuration) || self.leaseDuration.matches('^([0-9]+[hms])+$')").message("leaseDuration is a duration: write a number with a unit, such as 10s or 1m").field_path(".leaseDuration"))]
#[x_kube(validation = Rule::new("!has(self.refreshInterval) || self.refreshInterval.matches('^([0-9]+[hms])+$')").message("refreshInterval is a duration: write a number with a unit, such as 1s").field_path(".refreshInterval"))]
pub struct DatabaseLock {
    /// How the lock is held: `lease`, `dual` or `advisorylock`. Default: what the version itself does by default.
    /// Versions from 2.0 on, and TOML configuration, know `lease` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<LockModeName>,
    /// How long the lease is good for without a refresh: as long as that nobody works after an active has
    /// died. A number with a unit (s, m or h). Default: the node's own, 10s. Not above 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub lease_duration: Option<String>,
    /// How often the active refreshes its lease and a standby tries to get it; at most half of
    /// `leaseDuration`. A number with a unit (s, m or h). Default: the node's own, 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub refresh_interval: Option<String>,
}

/// Lock modes as Chainlink's `DATABASE_LOCKING_MODE` spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LockModeName {
    Lease,
    Dual,
    AdvisoryLock,
}

/// One configuration file, passed with `-c` in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.inline), has(self.configMapKeyRef), has(self.secretKeyRef)].filter(given, given).size() == 1").message("give the text of the file in exactly one way: inline, configMapKeyRef or secretKeyRef"))]
pub struct ConfigFile {
    /// File name, for people; it must be unique in the list.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    pub name: String,
    /// The text itself. Anyone who may read the resource may read it: no passwords, no API keys. Exactly one of `inline`,
    /// `configMapKeyRef` and `secretKeyRef` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub inline: Option<String>,
    /// The text is in a ConfigMap. A change of it rolls like any other change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// The text is in a Secret (RPC URLs hold API keys).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
}

/// One field of the pod itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.fieldPath.matches(\"^(metadata[.](name|namespace|uid|(labels|annotations)[[]'[^']+'])|spec[.](nodeName|serviceAccountName)|status[.](hostIPs?|podIPs?))$\")").message("fieldPath names a field of the pod that Kubernetes gives to variables: write metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP or status.podIP").field_path(".fieldPath"))]
pub struct FieldRef {
    /// Which one, such as `spec.nodeName` or `status.podIP`.
    #[schemars(length(min = 1, max = 400))]
    pub field_path: String,
}

/// One secrets file, passed with `-s` in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef)").message("a secrets file is in a Secret: name it and its key as secretKeyRef: {name: …, key: …}"))]
pub struct SecretsFile {
    /// File name, for people; it must be unique in the list.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    pub name: String,
    /// The Secret and the key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(given, given).size() == 1").message("give exactly one of secretKeyRef, configMapKeyRef and fieldRef"))]
pub struct VariableSource {
    /// The value is in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// The value is in a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// The value is a field of the pod itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)").message("give exactly one of secretKeyRef and configMapKeyRef"))]
pub struct TextSource {
    /// The text is in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// The text is in a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)").message("give exactly one of value and valueFrom"))]
pub struct Variable {
    /// Name of the variable.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// Its value as it is: a `$` is no reference. Exactly one of `value` and `valueFrom` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub value: Option<String>,
    /// Where its value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<VariableSource>,
}

/// All keys of a Secret or ConfigMap as environment variables: the docs' `.env` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.configMapRef)").message("give exactly one of secretRef and configMapRef"))]
pub struct VariablesFrom {
    /// All keys of this Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretName>,
    /// All keys of this ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<SecretName>,
}

/// The node's configuration. TOML files for 2.x (and 1.11 to 1.13), environment for 1.x.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.env) || self.env.all(v, v.name != 'CL_CONFIG')").message("CL_CONFIG is set by the operator (it is applied last and would override everything): put its TOML into config.files").field_path(".env"))]
#[x_kube(validation = Rule::new("!has(self.env) || self.env.all(v, v.name != 'CL_DATABASE_URL' && v.name != 'DATABASE_URL')").message("the database URL belongs in a Secret: name it in database.url.secretKeyRef instead of config.env").field_path(".env"))]
#[x_kube(validation = Rule::new("!has(self.files) || self.files.all(f, self.files.exists_one(g, g.name == f.name))").message("two files have the same name: give each a name of its own").field_path(".files"))]
pub struct Config {
    /// Ordered `-c` files; later ones override earlier ones. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub files: Vec<ConfigFile>,
    /// The secrets TOML (`-s`). The database URL and the keystore password need not be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_toml: Option<SecretValue>,
    /// More secrets files (`-s`), as several teams or tools write them. The node puts all of them together, and lets none
    /// say again what another has said. From 2.4 on. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secrets_files: Vec<SecretsFile>,
    /// Environment: the whole configuration of a 1.x node; proxies and `CL_*` on 2.x.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Variable>,
    /// Environment from whole Secrets and ConfigMaps. Later ones win over earlier ones, ConfigMaps
    /// over Secrets, and `env` over both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub env_from: Vec<VariablesFrom>,
}

/// What unlocks the node's keys and its API. Only ever from Secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The keystore password (`-p`).
    pub keystore_password: SecretValue,
    /// Email and password of the API user, one a line (`-a`). The node reads both lines at each start, and makes the user of
    /// them where its database has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_credentials: Option<SecretValue>,
    /// What signs the sessions of people and API clients, the same in all pods: with it they stay
    /// logged in over a handover. Without it each pod makes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_secret: Option<SessionSecret>,
}

/// What signs the sessions of people and API clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != (has(self.generate) && self.generate)").message("say in exactly one way where the session secret comes from: generate: true, or secretKeyRef: {name: …, key: …} with the output of 'openssl rand -base64 32'"))]
pub struct SessionSecret {
    /// The operator makes a Secret `<name>-session` of random bytes once, and never changes it. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<bool>,
    /// Your own: the key holds 32 random bytes or more as base64 (`openssl rand -base64 32`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
}

/// How planned moves of the lock are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.settle) || self.settle.matches('^([0-9]+[hms])+$')").message("settle is a duration: write a number with a unit, such as 5s or 1m30s").field_path(".settle"))]
#[x_kube(validation = Rule::new("!has(self.standbyTimeout) || self.standbyTimeout.matches('^([0-9]+[hms])+$')").message("standbyTimeout is a duration: write a number with a unit, such as 10m or 1h").field_path(".standbyTimeout"))]
pub struct Handover {
    /// How long a change has to be still before a pod is made for it. A number with a unit (s, m or h). Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub settle: Option<String>,
    /// How long a new pod may take until it waits for the lock, before the rollout is reported as
    /// stalled. The active works on in any case. A number with a unit (s, m or h). Default: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub standby_timeout: Option<String>,
    /// How many pods beyond `replicas` a handover may use: 1, or 0 where there is no room. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub surge: Option<i32>,
    /// Whether a rollout waits for a person. `Automatic`: it does not. `Manual`: the successor is brought up, seen to wait for
    /// the lock and removed again; the handover follows when the annotation `chainlink-operator.dev/approved` names the
    /// revision, or the version that it upgrades to. Default: `Automatic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// When rollouts and automatic fail-backs may move the lock. Failover, switchovers, drills and machine
    /// maintenance are never held. Default: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub windows: Vec<Window>,
    /// Where the active should live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<Preferred>,
    /// What follows where the content of a Secret that pods read is seen to change. `Tell`: the condition
    /// `SecretsChanged` names the pods that were started before, and the next rollout takes it along.
    /// `Rollout`: it is rolled out by handover, like a change of the spec. Seen only where the operator may
    /// read Secrets. Default: `Tell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_secret_change: Option<OnSecretChange>,
}

/// What follows a change of the content of a Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnSecretChange {
    #[default]
    Tell,
    Rollout,
}

/// Whether a rollout waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    #[default]
    Automatic,
    Manual,
}

/// A time in which the lock may be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.schedule.matches('^[^ ]+( [^ ]+){4}$')").message("schedule is the start of the window in five fields as in a crontab: minute, hour, day of month, month, day of week, such as \"0 2 * * 1-5\"").field_path(".schedule"))]
#[x_kube(validation = Rule::new("self.duration.matches('^([0-9]+[hms])+$')").message("duration is how long the window stays open: write a number with a unit, such as 2h or 90m").field_path(".duration"))]
pub struct Window {
    /// When it opens: five fields as in a crontab.
    #[schemars(length(min = 9, max = 128))]
    pub schedule: String,
    /// How long it stays open: a number with a unit (s, m or h), such as `2h`.
    #[schemars(length(min = 2, max = 16))]
    pub duration: String,
    /// The clock that the schedule goes by, such as `Europe/Berlin`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// Where the active should live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.nodeSelector.size() > 0").message("nodeSelector names the labels of the preferred machines, such as {topology.kubernetes.io/zone: eu-1a}").field_path(".nodeSelector"))]
#[x_kube(validation = Rule::new("!has(self.steadyFor) || self.steadyFor.matches('^([0-9]+[hms])+$')").message("steadyFor is a duration: write a number with a unit, such as 5m or 1h").field_path(".steadyFor"))]
pub struct Preferred {
    /// Labels of the preferred machines.
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Whether the active goes back there after a failover: `Automatic`, by itself, or `Manual`, by a switchover that is
    /// asked for. Default: `Manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<Failback>,
    /// How long a standby has to have waited on a preferred machine before an automatic fail-back. A number with a unit (s,
    /// m or h). Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub steady_for: Option<String>,
}

/// How the active goes back to a preferred machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Failback {
    #[default]
    Manual,
    Automatic,
}

/// The least that `failover.unresponsiveAfter` can be: an answer can be late, and a boot has its pauses.
pub const SHORTEST_SILENCE: Duration = Duration::from_secs(10);

/// The most that it can be: a standby's refusal counts for an hour after the last answer by HTTP, which may be the silent active's
/// own.
pub const LONGEST_SILENCE: Duration = Duration::from_mins(45);

/// What is done about an active that runs and does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.unresponsiveAfter) || self.unresponsiveAfter.matches('^([0-9]+[hms])+$')").message("unresponsiveAfter is a duration: write a number with a unit, such as 60s or 5m").field_path(".unresponsiveAfter"))]
#[x_kube(validation = Rule::new("!has(self.unresponsiveAfter) || !self.unresponsiveAfter.matches('^(0+[hms])*0*[0-9]s(0+[hms])*$')").message("unresponsiveAfter is too short, as an answer can be late: write 10s or more").field_path(".unresponsiveAfter"))]
pub struct Failover {
    /// How long an active that has served may stay without an answer on its port, while its kubelet says
    /// that it runs, before it is stopped for a standby that waits: a number with a unit (s, m or h), 10s to 45m. Unset: a
    /// node is never stopped because it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub unresponsive_after: Option<String>,
    /// `Auto`: the lease of a node whose container has ended without giving it back is given back for it, so that a standby
    /// gets it at once and not when it has run out. Only where the database is asked (`database.verification`), which has to
    /// show that no session of that node is left. `Never`: it is left to run out. Default: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_lease: Option<ReleaseLease>,
}

/// Whether the lease of a node that ended is given back for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
pub enum ReleaseLease {
    /// Where the database shows that no session of that node is left.
    #[default]
    Auto,
    /// The lease runs out by itself.
    Never,
}

/// A rehearsal: a handover for its own sake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.schedule.matches('^[^ ]+( [^ ]+){4}$')").message("schedule says when to rehearse, in five fields as in a crontab: minute, hour, day of month, month, day of week, such as \"0 10 * * 2\"").field_path(".schedule"))]
pub struct Drill {
    /// When: five fields as in a crontab.
    #[schemars(length(min = 9, max = 128))]
    pub schedule: String,
    /// The clock that the schedule goes by, such as `Europe/Berlin`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}
