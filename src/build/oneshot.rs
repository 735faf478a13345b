//! Short pods that are no nodes: they do something for a revision before a pod of it is made, and end. They never
//! ask for the lock.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::content::Content;
use super::objects::owner;
use super::pod::{
    container, from_secret, pull_secrets, security_context, tolerations, volumes, with_files,
};
use crate::api::names::{NODE_LABEL, PULL_LABEL, REVISION_LABEL, VALIDATION_LABEL, labels};
use crate::api::{ChainlinkNode, RevisionName};
use crate::domain::Revision;

/// Makes a pod that only pulls the image of a revision on one machine: it asks the program for its
/// version, and ends. Small, but with limits, so that a quota that asks for them takes it.
pub fn pull_pod(
    node: &ChainlinkNode,
    name: &str,
    revision: &RevisionName,
    machine: &str,
    content: &Content,
) -> Pod {
    let whole = container(content);
    Pod {
        metadata: metadata(node, name, revision, PULL_LABEL),
        spec: Some(PodSpec {
            containers: vec![Container {
                args: Some(vec!["--version".to_owned()]),
                resources: Some(small(("10m", "32Mi"), ("100m", "256Mi"))),
                name: whole.name,
                image: whole.image,
                image_pull_policy: whole.image_pull_policy,
                security_context: whole.security_context,
                ..Container::default()
            }],
            // Not the scheduler's choice: the machine of the standby that is to be replaced.
            node_name: Some(machine.to_owned()),
            restart_policy: Some("Never".to_owned()),
            ..spec(content)
        }),
        ..Pod::default()
    }
}

/// Makes a pod that lets the node check the configuration of a revision, as a pod of it would have it: the same files,
/// Secrets and variables. A check that fails is tried again by the kubelet, which reads the Secrets anew.
pub fn validation_pod(
    node: &ChainlinkNode,
    name: &str,
    revision: &Revision,
    content: &Content,
) -> Pod {
    let mut whole = container(content);
    whole.args = Some(with_files(content, "config", "validate"));
    whole.resources = Some(small(("10m", "64Mi"), ("1", "512Mi")));
    whole.ports = None;
    // A start reads it from a file of its own; the check knows the variable only.
    whole.env.get_or_insert_default().push(from_secret(
        "CL_PASSWORD_KEYSTORE",
        &content.keystore_password,
    ));
    // What only a start needs may not be there yet.
    let mut volumes = volumes(node, revision, content);
    let mounts = whole.volume_mounts.iter().flatten();
    let mounted: BTreeSet<&str> = mounts.map(|mount| mount.name.as_str()).collect();
    volumes.retain(|volume| mounted.contains(volume.name.as_str()));
    let options = &content.pod;
    Pod {
        metadata: metadata(node, name, &revision.name, VALIDATION_LABEL),
        spec: Some(PodSpec {
            containers: vec![whole],
            volumes: Some(volumes),
            restart_policy: Some("OnFailure".to_owned()),
            node_selector: (!options.node_selector.is_empty())
                .then(|| options.node_selector.clone()),
            priority_class_name: options.priority_class_name.clone(),
            ..spec(content)
        }),
        ..Pod::default()
    }
}

fn metadata(
    node: &ChainlinkNode,
    name: &str,
    revision: &RevisionName,
    oneshot: &str,
) -> ObjectMeta {
    let mut own_labels = labels(&node.name_any());
    // Neither the Service nor a budget is to count it.
    own_labels.remove(NODE_LABEL);
    own_labels.insert(oneshot.to_owned(), node.name_any());
    own_labels.insert(REVISION_LABEL.to_owned(), revision.to_string());
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: node.namespace(),
        labels: Some(own_labels),
        owner_references: owner(node).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn spec(content: &Content) -> PodSpec {
    PodSpec {
        termination_grace_period_seconds: Some(1),
        enable_service_links: Some(false),
        automount_service_account_token: Some(false),
        image_pull_secrets: pull_secrets(content),
        tolerations: Some(tolerations(&content.pod)),
        service_account_name: content.pod.service_account_name.clone(),
        security_context: Some(security_context(content)),
        ..PodSpec::default()
    }
}

/// Requests and limits, each of processors and memory.
fn small(requests: (&str, &str), limits: (&str, &str)) -> ResourceRequirements {
    let amounts = |(cpu, memory): (&str, &str)| {
        Some(BTreeMap::from([
            ("cpu".to_owned(), Quantity(cpu.to_owned())),
            ("memory".to_owned(), Quantity(memory.to_owned())),
        ]))
    };
    ResourceRequirements {
        requests: amounts(requests),
        limits: amounts(limits),
        ..ResourceRequirements::default()
    }
}
