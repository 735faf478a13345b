//! What a pod mounts: its configuration, its secrets, the folders that the node writes to, and what the user adds.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapVolumeSource, EmptyDirVolumeSource, EphemeralVolumeSource, KeyToPath,
    PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource,
    ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume, VolumeMount,
    VolumeProjection, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use super::container::mount;
use super::content::{Content, FileSource};
use super::session;
use crate::api::{ChainlinkNode, ExtraVolume, KeyRef, PodOptions, Scratch, ScratchMedium};
use crate::domain::Revision;
use crate::node::settings::ROOT_MOUNT;

/// Of the root folder.
pub(super) const ROOT_SIZE: &str = "1Gi";

pub(super) const CONFIG: &str = "/etc/chainlink/config";
pub(super) const SECRET_CONFIG: &str = "/etc/chainlink/secret-config";
pub(super) const SECRETS: &str = "/etc/chainlink/secrets";
pub(super) const SECRETS_FILES: &str = "/etc/chainlink/secrets-files";
pub(super) const CREDENTIALS: &str = "/etc/chainlink/credentials";

pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn pinned(content: &Content) -> bool {
    content
        .files
        .iter()
        .any(|(_, source)| matches!(source, FileSource::Pinned(_)))
}

pub(super) fn mounts(content: &Content) -> Vec<VolumeMount> {
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
    for index in 0..content.secrets_files.len() {
        mounts.push(mount(
            &format!("secrets-file-{index}"),
            format!("{SECRETS_FILES}/{index}"),
            true,
        ));
    }
    mounts.extend(extra_mounts(content));
    mounts
}

/// The volumes of the user's, where the node sees them.
pub(super) fn extra_mounts(content: &Content) -> impl Iterator<Item = VolumeMount> {
    content.pod.volumes.iter().filter_map(|volume| {
        let path = volume.mount_path.clone()?;
        Some(mount(&extra_name(&volume.name), path, true))
    })
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
    for (index, (name, reference)) in content.secrets_files.iter().enumerate() {
        let volume = format!("secrets-file-{index}");
        volumes.push(secret_file(&volume, reference, name));
    }
    if let Some(session) = &content.session {
        let reference = session.reference(&node.name_any());
        volumes.push(secret_file(session::VOLUME, &reference, session::FILE));
    }
    let extra = |volume| extra(volume, revision, content);
    volumes.extend(content.pod.volumes.iter().map(extra));
    volumes
}

/// The name in the pod of a volume of the user's.
pub(super) fn extra_name(name: &str) -> String {
    format!("extra-{name}")
}

/// A volume of the user's. What can be told to be read-only is.
fn extra(volume: &ExtraVolume, revision: &Revision, content: &Content) -> Volume {
    let config_map = volume.config_map_name.as_ref();
    let claim = volume.persistent_volume_claim.as_ref();
    Volume {
        name: extra_name(&volume.name),
        secret: volume.secret_name.clone().map(|name| SecretVolumeSource {
            secret_name: Some(name),
            ..SecretVolumeSource::default()
        }),
        config_map: config_map.map(|name| ConfigMapVolumeSource {
            name: content.mounted_as(&revision.name, name),
            ..ConfigMapVolumeSource::default()
        }),
        csi: volume.csi.clone().map(|csi| CSIVolumeSource {
            read_only: Some(true),
            ..csi
        }),
        projected: volume.projected.clone().map(|mut projected| {
            let sources = projected.sources.iter_mut().flatten();
            for map in sources.filter_map(|source| source.config_map.as_mut()) {
                map.name = content.mounted_as(&revision.name, &map.name);
            }
            projected
        }),
        persistent_volume_claim: claim.map(|claim| PersistentVolumeClaimVolumeSource {
            claim_name: claim.claim_name.clone(),
            read_only: Some(true),
        }),
        empty_dir: volume.empty_dir.as_ref().map(scratch),
        ..Volume::default()
    }
}

fn scratch(of: &Scratch) -> EmptyDirVolumeSource {
    let size = of.size_limit.as_ref();
    EmptyDirVolumeSource {
        medium: of.medium.map(|ScratchMedium::Memory| "Memory".to_owned()),
        size_limit: size.map(|size| Quantity(size.to_string())),
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
