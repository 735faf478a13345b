//! The pod of a revision. Everything in it comes from the revision's content, never from the spec of
//! today: a pod made in the middle of a rollout is like its sisters.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, LocalObjectReference, Pod, PodReadinessGate,
    PodSecurityContext, PodSpec, SeccompProfile, SecretEnvSource,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::container::{from_secret, resources, security, text, variable};
use super::content::{Content, FileSource, Style};
use super::objects::owner;
use super::placement::{affinity, prefer, tolerations, topology_spread};
use super::services::{HTTPS, P2P};
use super::sidecars::{before_the_node, names};
use super::volumes::{
    CONFIG, CREDENTIALS, SECRET_CONFIG, SECRETS, SECRETS_FILES, mounts, some, volumes,
};
use crate::api::names::{
    CONTAINER, LOCK_ANNOTATION, READY_CONDITION, REVISION_LABEL, ROLE_LABEL, ROLE_STANDBY,
    SIDECARS_ANNOTATION, VERSION_ANNOTATION, labels,
};
use crate::api::{ChainlinkNode, PodOptions};
use crate::domain::{Place, Revision};
use crate::node::settings::{HTTP_PORT, HTTPS_PORT};

/// The image's `chainlink` user.
pub(super) const UID: i64 = 14933;
/// Above what the node itself may need (10 s), so that SIGKILL does not leave the lease behind.
pub(super) const GRACE_SECONDS: i64 = 30;
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Annotations on pods that the operator sets, and whose names are not of its group.
pub(super) const OWN_ANNOTATIONS: [&str; 2] = [SAFE_TO_EVICT, DEFAULT_CONTAINER];

/// Makes the pod `name` of a revision. Where it is to go is not part of the revision.
pub fn pod(
    node: &ChainlinkNode,
    name: &str,
    revision: &Revision,
    content: &Content,
    place: &Place,
) -> Pod {
    let mut spec = spec(node, revision, content);
    prefer(&mut spec.affinity, place);
    Pod {
        metadata: metadata(node, name, revision, content),
        spec: Some(spec),
        ..Pod::default()
    }
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
    annotations.extend(names(content).map(|names| (SIDECARS_ANNOTATION.to_owned(), names)));
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
        init_containers: before_the_node(content),
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
        affinity: affinity(&node.name_any(), options),
        topology_spread_constraints: topology_spread(&node.name_any(), options),
        runtime_class_name: options.runtime_class_name.clone(),
        dns_config: options.dns_config.clone(),
        host_aliases: some(options.host_aliases.clone()),
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
    for (index, (name, _)) in content.secrets_files.iter().enumerate() {
        arguments.extend(["-s".to_owned(), format!("{SECRETS_FILES}/{index}/{name}")]);
    }
    if !content.version.has_node_command() {
        arguments.push(group.to_owned());
    }
    arguments.push(command.to_owned());
    arguments
}

/// The user's variables and, after them, the operator's.
fn environment(content: &Content) -> Vec<EnvVar> {
    let mut env: Vec<EnvVar> = content
        .env
        .iter()
        .map(|(name, value)| variable(name, value))
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
