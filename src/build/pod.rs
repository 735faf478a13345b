//! The pod of a revision. Everything in it comes from the revision's content, never from the spec of
//! today: a pod made in the middle of a rollout is like its sisters.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource,
    EnvVar, EnvVarSource, EphemeralVolumeSource, KeyToPath, LocalObjectReference, NodeAffinity,
    NodeSelectorRequirement, NodeSelectorTerm, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, Pod, PodAffinityTerm, PodAntiAffinity, PodReadinessGate,
    PodSecurityContext, PodSpec, PreferredSchedulingTerm, ProjectedVolumeSource, SeccompProfile,
    SecretEnvSource, SecretKeySelector, SecretProjection, SecretVolumeSource, Toleration, Volume,
    VolumeMount, VolumeProjection, VolumeResourceRequirements, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt;

use super::container::{mount, resources, security};
use super::content::{Content, FileSource, Style, Value};
use super::objects::owner;
use super::services::{HTTPS, P2P};
use super::session;
use crate::api::names::{
    CONTAINER, LOCK_ANNOTATION, NODE_LABEL, READY_CONDITION, REVISION_LABEL, ROLE_LABEL,
    ROLE_STANDBY, VERSION_ANNOTATION, labels,
};
use crate::api::{ChainlinkNode, ExtraVolume, KeyRef, PodOptions, Spread};
use crate::domain::{Place, Revision};
use crate::node::settings::{HTTP_PORT, HTTPS_PORT, ROOT_MOUNT};

/// The image's `chainlink` user.
pub(super) const UID: i64 = 14933;
/// Above what the node itself may need (10 s), so that SIGKILL does not leave the lease behind.
pub(super) const GRACE_SECONDS: i64 = 30;
/// Of the root folder.
pub(super) const ROOT_SIZE: &str = "1Gi";

const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Annotations on pods that the operator sets, and whose names are not of its group.
pub(super) const OWN_ANNOTATIONS: [&str; 2] = [SAFE_TO_EVICT, DEFAULT_CONTAINER];

const CONFIG: &str = "/etc/chainlink/config";
const SECRET_CONFIG: &str = "/etc/chainlink/secret-config";
const SECRETS: &str = "/etc/chainlink/secrets";
const CREDENTIALS: &str = "/etc/chainlink/credentials";

/// Makes the pod `name` of a revision. Where it is to go is not part of the revision.
pub fn pod(
    node: &ChainlinkNode,
    name: &str,
    revision: &Revision,
    content: &Content,
    place: &Place,
) -> Pod {
    let mut spec = spec(node, revision, content);
    if let Some(machines) = machines(place) {
        spec.affinity.get_or_insert_default().node_affinity = Some(machines);
    }
    Pod {
        metadata: metadata(node, name, revision, content),
        spec: Some(spec),
        ..Pod::default()
    }
}

/// Softly: a pod in a place that is not the best is better than none.
fn machines(place: &Place) -> Option<NodeAffinity> {
    let not_there = |name: &String| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![name.clone()]),
    };
    let there = |(key, value): (&String, &String)| NodeSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    };
    let away = some(place.avoid.iter().map(not_there).collect()).map(|fields| NodeSelectorTerm {
        match_fields: Some(fields),
        ..NodeSelectorTerm::default()
    });
    let home = some(place.prefer.iter().map(there).collect()).map(|labels| NodeSelectorTerm {
        match_expressions: Some(labels),
        ..NodeSelectorTerm::default()
    });
    let terms = away
        .into_iter()
        .chain(home)
        .map(|preference| PreferredSchedulingTerm {
            preference,
            weight: 100,
        });
    some(terms.collect()).map(|terms| NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(terms),
        ..NodeAffinity::default()
    })
}

pub(super) fn pull_secrets(content: &Content) -> Option<Vec<LocalObjectReference>> {
    some(
        content
            .pull_secrets
            .iter()
            .map(|name| LocalObjectReference { name: name.clone() })
            .collect(),
    )
}

pub(super) fn security_context(content: &Content) -> PodSecurityContext {
    let security = content.pod.security.clone().unwrap_or_default();
    let user = security.run_as_user.unwrap_or(UID);
    PodSecurityContext {
        run_as_non_root: Some(user != 0),
        run_as_user: Some(user),
        run_as_group: Some(security.run_as_group.unwrap_or(UID)),
        fs_group: Some(security.fs_group.unwrap_or(UID)),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn metadata(
    node: &ChainlinkNode,
    name: &str,
    revision: &Revision,
    content: &Content,
) -> ObjectMeta {
    let mut all_labels = content.pod.labels.clone();
    all_labels.extend(labels(&node.name_any()));
    all_labels.insert(REVISION_LABEL.to_owned(), revision.name.to_string());
    all_labels.insert(ROLE_LABEL.to_owned(), ROLE_STANDBY.to_owned());
    let mut annotations = content.pod.annotations.clone();
    annotations.extend([
        (VERSION_ANNOTATION.to_owned(), revision.version.to_string()),
        (LOCK_ANNOTATION.to_owned(), revision.lock.to_string()),
        (SAFE_TO_EVICT.to_owned(), "true".to_owned()),
        (DEFAULT_CONTAINER.to_owned(), CONTAINER.to_owned()),
    ]);
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: node.namespace(),
        labels: Some(all_labels),
        annotations: Some(annotations),
        owner_references: owner(node).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn spec(node: &ChainlinkNode, revision: &Revision, content: &Content) -> PodSpec {
    let options = &content.pod;
    PodSpec {
        init_containers: session::container(content).map(|container| vec![container]),
        containers: vec![container(content)],
        volumes: Some(volumes(node, revision, content)),
        restart_policy: Some("Always".to_owned()),
        // A Service named chainlink would inject CHAINLINK_PORT, a legacy variable that keeps 2.x
        // from booting.
        enable_service_links: Some(false),
        automount_service_account_token: Some(automounts_token(options)),
        termination_grace_period_seconds: Some(
            options
                .termination_grace_period_seconds
                .unwrap_or(GRACE_SECONDS),
        ),
        readiness_gates: Some(vec![PodReadinessGate {
            condition_type: READY_CONDITION.to_owned(),
        }]),
        image_pull_secrets: pull_secrets(content),
        node_selector: (!options.node_selector.is_empty()).then(|| options.node_selector.clone()),
        tolerations: Some(tolerations(options)),
        affinity: spread(
            &node.name_any(),
            options.spread.unwrap_or(Spread::Preferred),
        ),
        priority_class_name: options.priority_class_name.clone(),
        service_account_name: options.service_account_name.clone(),
        security_context: Some(security_context(content)),
        ..PodSpec::default()
    }
}

/// Off where nobody asks for it: a node talks to no API server.
pub(super) fn automounts_token(options: &PodOptions) -> bool {
    options.automount_service_account_token.unwrap_or(false)
}

pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn container(content: &Content) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(content.image.clone()),
        image_pull_policy: Some(content.pull_policy.clone()),
        args: Some(arguments(content)),
        env: some(environment(content)),
        env_from: some(
            content
                .env_secrets
                .iter()
                .map(|name| EnvFromSource {
                    secret_ref: Some(SecretEnvSource {
                        name: name.clone(),
                        optional: None,
                    }),
                    ..EnvFromSource::default()
                })
                .collect(),
        ),
        ports: Some(ports(content)),
        resources: resources(content),
        security_context: Some(security(content)),
        volume_mounts: Some(mounts(content)),
        // The exit's last words are read from the log; Kubernetes keeps its tail for crashed ones.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn ports(content: &Content) -> Vec<ContainerPort> {
    let http = Some(("http", HTTP_PORT));
    // By its name the Service finds it, whatever number it has in this revision.
    let peers = content.p2p_port.map(|port| (P2P, port));
    let https = content.https.then_some((HTTPS, HTTPS_PORT));
    http.into_iter()
        .chain(https)
        .chain(peers)
        .map(|(name, port)| ContainerPort {
            name: Some(name.to_owned()),
            container_port: i32::from(port),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        })
        .collect()
}

/// The command line after the image's entry point, which is the `chainlink` program.
fn arguments(content: &Content) -> Vec<String> {
    let mut start = vec!["-p".to_owned(), format!("{CREDENTIALS}/keystore-password")];
    if content.api_credentials.is_some() {
        start.extend(["-a".to_owned(), format!("{CREDENTIALS}/api-credentials")]);
    }
    let mut arguments = match content.style {
        Style::Environment => vec!["local".to_owned(), "node".to_owned()],
        Style::Toml => with_files(content, "node", "start"),
    };
    arguments.extend(start);
    arguments
}

/// `node -c … -s … command`; before 2.0 the files stand in front: `-c … -s … group command`.
pub(super) fn with_files(content: &Content, group: &str, command: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    if content.version.has_node_command() {
        arguments.push("node".to_owned());
    }
    for (index, (name, source)) in content.files.iter().enumerate() {
        let folder = match source {
            FileSource::Pinned(_) => CONFIG.to_owned(),
            FileSource::Secret(_) => format!("{SECRET_CONFIG}/{index}"),
        };
        arguments.extend(["-c".to_owned(), format!("{folder}/{name}")]);
    }
    if content.secrets_toml.is_some() {
        arguments.extend(["-s".to_owned(), format!("{SECRETS}/secrets.toml")]);
    }
    if !content.version.has_node_command() {
        arguments.push(group.to_owned());
    }
    arguments.push(command.to_owned());
    arguments
}

pub(super) fn from_secret(name: &str, reference: &KeyRef) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: reference.name.clone(),
                key: reference.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn text(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        // `$(NAME)` would be expanded by the kubelet; `$$` is a literal `$` to it.
        value: Some(value.replace('$', "$$")),
        ..EnvVar::default()
    }
}

/// The user's variables and, after them, the operator's.
fn environment(content: &Content) -> Vec<EnvVar> {
    let mut env: Vec<EnvVar> = content
        .env
        .iter()
        .map(|(name, value)| match value {
            Value::Text(value) => text(name, value),
            Value::Secret(reference) => from_secret(name, reference),
        })
        .collect();
    let url = match content.style {
        Style::Toml => "CL_DATABASE_URL",
        Style::Environment => "DATABASE_URL",
    };
    env.push(from_secret(url, &content.database_url));
    if let Some(settings) = &content.settings {
        env.push(text("CL_CONFIG", settings));
    }
    env
}

fn pinned(content: &Content) -> bool {
    content
        .files
        .iter()
        .any(|(_, source)| matches!(source, FileSource::Pinned(_)))
}

fn mounts(content: &Content) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("root", ROOT_MOUNT, false),
        mount("tmp", "/tmp", false),
        mount("credentials", CREDENTIALS, true),
    ];
    if pinned(content) {
        mounts.push(mount("config", CONFIG, true));
    }
    for (index, (_, source)) in content.files.iter().enumerate() {
        if matches!(source, FileSource::Secret(_)) {
            mounts.push(mount(
                &format!("secret-config-{index}"),
                format!("{SECRET_CONFIG}/{index}"),
                true,
            ));
        }
    }
    if content.secrets_toml.is_some() {
        mounts.push(mount("secrets", SECRETS, true));
    }
    for volume in &content.pod.volumes {
        mounts.push(mount(
            &format!("extra-{}", volume.name),
            volume.mount_path.clone(),
            true,
        ));
    }
    mounts
}

fn empty_dir(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn secret_file(volume: &str, reference: &KeyRef, file: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(reference.name.clone()),
            items: Some(vec![item(&reference.key, file)]),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn item(key: &str, file: &str) -> KeyToPath {
    KeyToPath {
        key: key.to_owned(),
        path: file.to_owned(),
        ..KeyToPath::default()
    }
}

pub(super) fn volumes(node: &ChainlinkNode, revision: &Revision, content: &Content) -> Vec<Volume> {
    let mut volumes = vec![
        root(&content.pod),
        empty_dir("tmp", "256Mi"),
        credentials(content),
    ];
    if pinned(content) {
        volumes.push(Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: revision.name.to_string(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    for (index, (name, source)) in content.files.iter().enumerate() {
        if let FileSource::Secret(reference) = source {
            volumes.push(secret_file(
                &format!("secret-config-{index}"),
                reference,
                name,
            ));
        }
    }
    if let Some(reference) = &content.secrets_toml {
        volumes.push(secret_file("secrets", reference, "secrets.toml"));
    }
    if let Some(session) = &content.session {
        let reference = session.reference(&node.name_any());
        volumes.push(secret_file(session::VOLUME, &reference, session::FILE));
    }
    let extra = |volume| extra(volume, revision, content);
    volumes.extend(content.pod.volumes.iter().map(extra));
    volumes
}

fn extra(volume: &ExtraVolume, revision: &Revision, content: &Content) -> Volume {
    Volume {
        name: format!("extra-{}", volume.name),
        secret: volume.secret_name.clone().map(|name| SecretVolumeSource {
            secret_name: Some(name),
            ..SecretVolumeSource::default()
        }),
        config_map: volume
            .config_map_name
            .as_ref()
            .map(|name| ConfigMapVolumeSource {
                name: content.mounted_as(&revision.name, name),
                ..ConfigMapVolumeSource::default()
            }),
        ..Volume::default()
    }
}

/// Nothing in the root folder outlives the pod: keys are in the database.
fn root(options: &PodOptions) -> Volume {
    let storage = options.storage.clone().unwrap_or_default();
    let size = storage
        .size
        .map_or_else(|| ROOT_SIZE.to_owned(), |size| size.to_string());
    let Some(class) = storage.storage_class_name else {
        return empty_dir("root", &size);
    };
    Volume {
        name: "root".to_owned(),
        ephemeral: Some(EphemeralVolumeSource {
            volume_claim_template: Some(PersistentVolumeClaimTemplate {
                spec: PersistentVolumeClaimSpec {
                    access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                    storage_class_name: Some(class),
                    resources: Some(VolumeResourceRequirements {
                        requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(size))])),
                        ..VolumeResourceRequirements::default()
                    }),
                    ..PersistentVolumeClaimSpec::default()
                },
                ..PersistentVolumeClaimTemplate::default()
            }),
        }),
        ..Volume::default()
    }
}

fn credentials(content: &Content) -> Volume {
    let source = |reference: &KeyRef, file: &str| VolumeProjection {
        secret: Some(SecretProjection {
            name: reference.name.clone(),
            items: Some(vec![item(&reference.key, file)]),
            ..SecretProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let mut sources = vec![source(&content.keystore_password, "keystore-password")];
    if let Some(reference) = &content.api_credentials {
        sources.push(source(reference, "api-credentials"));
    }
    Volume {
        name: "credentials".to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            default_mode: None,
        }),
        ..Volume::default()
    }
}

/// The operator decides what a lost machine means, not the taint controller after 300 s. Ours come
/// first, since that controller asks the first toleration that fits for its seconds
/// (`pkg/controller/tainteviction`), and the user's may be one for every taint.
pub(super) fn tolerations(options: &PodOptions) -> Vec<Toleration> {
    let lost = |key: &str| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    };
    let mut tolerations = vec![
        lost("node.kubernetes.io/not-ready"),
        lost("node.kubernetes.io/unreachable"),
    ];
    tolerations.extend(options.tolerations.iter().cloned());
    tolerations
}

/// Pods keep away from each other: by machine first, then by zone.
fn spread(node: &str, how: Spread) -> Option<Affinity> {
    let away = |topology: &str| PodAffinityTerm {
        topology_key: topology.to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([(NODE_LABEL.to_owned(), node.to_owned())])),
            ..LabelSelector::default()
        }),
        ..PodAffinityTerm::default()
    };
    let softly = |weight: i32, topology: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: away(topology),
    };
    let zone = softly(50, "topology.kubernetes.io/zone");
    let apart = match how {
        Spread::None => return None,
        Spread::Preferred => PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                softly(100, "kubernetes.io/hostname"),
                zone,
            ]),
            ..PodAntiAffinity::default()
        },
        Spread::Required => PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![away(
                "kubernetes.io/hostname",
            )]),
            preferred_during_scheduling_ignored_during_execution: Some(vec![zone]),
        },
    };
    Some(Affinity {
        pod_anti_affinity: Some(apart),
        ..Affinity::default()
    })
}
