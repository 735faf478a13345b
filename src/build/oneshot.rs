//! Short pods that are no nodes: they do something for a revision before a pod of it is made, and end. They never
//! ask for the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::container::{from_secret, resources};
use super::content::Content;
use super::objects::owner;
use super::placement::{of_machines, tolerations};
use super::pod::{automounts_token, container, pull_secrets, security_context, with_files};
use super::volumes::{some, volumes};
use super::{sidecars, tries};
use crate::api::names::{
    NODE_LABEL, PULL_LABEL, REVISION_LABEL, SIDECARS_ANNOTATION, VALIDATION_LABEL, labels,
};
use crate::api::{Amount, ChainlinkNode, RevisionName};
use crate::domain::Revision;

/// Makes a pod that only pulls the images of a revision on one machine: it asks the program for its
/// version, runs nothing else, and ends.
pub fn pull_pod(
    node: &ChainlinkNode,
    name: &str,
    revision: &RevisionName,
    machine: &str,
    content: &Content,
) -> Pod {
    let whole = container(content);
    let version = Container {
        args: Some(vec!["--version".to_owned()]),
        resources: amounts(node, content),
        name: whole.name,
        image: whole.image,
        image_pull_policy: whole.image_pull_policy,
        security_context: whole.security_context,
        ..Container::default()
    };
    let others = sidecars::pulled(content).into_iter();
    Pod {
        metadata: metadata(node, name, revision, PULL_LABEL, content),
        spec: Some(PodSpec {
            containers: iter::once(version).chain(others).collect(),
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
    whole.resources = amounts(node, content);
    whole.ports = None;
    // A start reads it from a file of its own; the check knows the variable only.
    whole.env.get_or_insert_default().push(from_secret(
        "CL_PASSWORD_KEYSTORE",
        &content.keystore_password,
    ));
    let before = sidecars::that_hand_files_over(content);
    // What only a start needs may not be there yet.
    let mut volumes = volumes(node, revision, content);
    let all = before.iter().chain([&whole]);
    let mounts = all.flat_map(|one| one.volume_mounts.iter().flatten());
    let mounted: BTreeSet<&str> = mounts.map(|mount| mount.name.as_str()).collect();
    volumes.retain(|volume| mounted.contains(volume.name.as_str()));
    let options = &content.pod;
    let mut metadata = metadata(node, name, &revision.name, VALIDATION_LABEL, content);
    if let Some(names) = sidecars::names(content).filter(|_| !before.is_empty()) {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(SIDECARS_ANNOTATION.to_owned(), names);
    }
    Pod {
        metadata,
        spec: Some(PodSpec {
            init_containers: some(before),
            containers: vec![whole, tries::container(content, beside(content))],
            volumes: Some(volumes),
            restart_policy: Some("OnFailure".to_owned()),
            node_selector: (!options.node_selector.is_empty())
                .then(|| options.node_selector.clone()),
            priority_class_name: options.priority_class_name.clone(),
            affinity: of_machines(options),
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
    content: &Content,
) -> ObjectMeta {
    // A policy that wants a label or an annotation on the node wants it on every pod.
    let mut all_labels = content.pod.labels.clone();
    all_labels.extend(labels(&node.name_any()));
    // Neither the Service nor a budget is to count it.
    all_labels.remove(NODE_LABEL);
    all_labels.insert(oneshot.to_owned(), node.name_any());
    all_labels.insert(REVISION_LABEL.to_owned(), revision.to_string());
    let annotations = content.pod.annotations.clone();
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: node.namespace(),
        labels: Some(all_labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: owner(node).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn spec(content: &Content) -> PodSpec {
    PodSpec {
        termination_grace_period_seconds: Some(1),
        enable_service_links: Some(false),
        automount_service_account_token: Some(automounts_token(&content.pod)),
        image_pull_secrets: pull_secrets(content),
        tolerations: Some(tolerations(&content.pod)),
        service_account_name: content.pod.service_account_name.clone(),
        runtime_class_name: content.pod.runtime_class_name.clone(),
        dns_config: content.pod.dns_config.clone(),
        host_aliases: some(content.pod.host_aliases.clone()),
        security_context: Some(security_context(content)),
        ..PodSpec::default()
    }
}

/// Requests of a short pod where there is no room for another node: what it needs, as far as it needs it.
const LITTLE: [(&str, &str); 3] = [
    ("cpu", "10m"),
    ("memory", "64Mi"),
    ("ephemeral-storage", "16Mi"),
];

/// The node's own amounts: whatever minimum, maximum, ratio or quota lets the node in lets these in, and the surge that
/// follows needs the same room. With `surge: 0` there is none: the pod asks for little then.
fn amounts(node: &ChainlinkNode, content: &Content) -> Option<ResourceRequirements> {
    let own = resources(content)?;
    let handover = node.spec.handover.as_ref();
    if handover.and_then(|handover| handover.surge) != Some(0) {
        return Some(own);
    }
    let mut little = own.requests.clone().unwrap_or_default();
    // What has a limit alone would be requested whole.
    little.extend(own.limits.clone().into_iter().flatten());
    for (name, amount) in &mut little {
        let own = own.requests.as_ref().and_then(|own| own.get(name));
        let own = Amount::from(own.unwrap_or(amount).0.as_str());
        let enough = LITTLE.iter().find(|(known, _)| known == name);
        let enough = enough.map(|(_, enough)| Amount::from(*enough));
        let least = enough.filter(|enough| enough.as_number() < own.as_number());
        *amount = Quantity(least.unwrap_or(own).to_string());
    }
    Some(ResourceRequirements {
        requests: (!little.is_empty()).then_some(little),
        ..own
    })
}

/// Of a container beside the one that has the node's amounts: little of each that the node names.
fn beside(content: &Content) -> Option<ResourceRequirements> {
    let own = resources(content)?;
    let little = |named: Option<BTreeMap<String, Quantity>>| {
        let named = named.unwrap_or_default();
        let kept = LITTLE.iter().filter(|(name, _)| named.contains_key(*name));
        let kept: BTreeMap<_, _> = kept
            .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
            .collect();
        (!kept.is_empty()).then_some(kept)
    };
    Some(ResourceRequirements {
        requests: little(own.requests),
        limits: little(own.limits),
        ..ResourceRequirements::default()
    })
}

/// The same pod as whatever lets the node in lets it in: one container with the node's own amounts. For an API server that
/// refuses smaller ones, or more of them (a `LimitRange` with a minimum or a ratio, a maximum of the pod, a quota).
pub fn as_fitting_as_the_node(pod: &Pod, content: &Content) -> Pod {
    let mut pod = pod.clone();
    if let Some(spec) = &mut pod.spec {
        spec.containers.truncate(1);
        for container in &mut spec.containers {
            container.resources = resources(content);
        }
    }
    pod
}
