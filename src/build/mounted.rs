//! The ConfigMaps that pods mount by `pod.volumes`. What stands in them is part of a revision, and kept as it was when
//! that was made: the kubelet would change the files of a running node with the user's ConfigMap.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;

use super::content::{Content, Resolved, WITH_COPIES, WITH_THE_NODES_GRACE, digest, field};
use super::objects::of_revision;
use super::outcome::{ConfigMaps, Read, missing_map};
use crate::api::{ChainlinkNode, PodOptions, RevisionName};

/// The ConfigMaps that pods mount, each once and with one volume that does.
fn mounted(pod: Option<&PodOptions>) -> BTreeMap<&str, &str> {
    let volumes = pod.into_iter().flat_map(|pod| &pod.volumes);
    volumes
        .flat_map(|volume| {
            let parts = volume.projected.iter();
            let parts = parts.flat_map(|parts| parts.sources.iter().flatten());
            let parts = parts.filter_map(|part| Some(part.config_map.as_ref()?.name.as_str()));
            let names = volume.config_map_name.as_deref().into_iter().chain(parts);
            names.map(|name| (name, volume.name.as_str()))
        })
        .collect()
}

/// Their names.
pub(super) fn mounted_names(pod: Option<&PodOptions>) -> BTreeSet<String> {
    let names = mounted(pod).into_keys();
    names.map(str::to_owned).collect()
}

/// What they hold now, by name.
fn mounted_maps(pod: Option<&PodOptions>, maps: &ConfigMaps) -> Read<Vec<(String, ConfigMap)>> {
    let mounted = mounted(pod).into_iter();
    mounted
        .map(|(name, volume)| match maps.get(name) {
            None => missing_map(name, &format!("spec.pod.volumes ({volume})")),
            Some(map) => {
                let map = ConfigMap {
                    data: map.data.clone(),
                    binary_data: map.binary_data.clone(),
                    ..ConfigMap::default()
                };
                Ok((name.to_owned(), map))
            }
        })
        .collect()
}

/// What of the user's ConfigMaps the pods mount a copy of, and which template that is: what mounts none goes on under
/// the older one's name (rule S8).
pub(super) fn copies(
    pod: Option<&PodOptions>,
    maps: &ConfigMaps,
    template: u32,
) -> Read<(Vec<(String, ConfigMap)>, u32)> {
    if template < WITH_COPIES {
        return Ok((Vec::new(), template));
    }
    let mounted = mounted_maps(pod, maps)?;
    let template = if mounted.is_empty() && template == WITH_COPIES {
        WITH_THE_NODES_GRACE
    } else {
        template
    };
    Ok((mounted, template))
}

/// A digest of the files that a pod sees there.
pub(super) fn digest_of(map: &ConfigMap) -> String {
    let texts = map.data.iter().flatten();
    let texts = texts.map(|(name, text)| (name, text.as_bytes()));
    let binaries = map.binary_data.iter().flatten();
    let binaries = binaries.map(|(name, binary)| (name, binary.0.as_slice()));
    let files: BTreeMap<&String, &[u8]> = texts.chain(binaries).collect();
    let mut all = Vec::new();
    for (name, content) in files {
        field(&mut all, name.as_bytes());
        field(&mut all, content);
    }
    digest(&all, 64)
}

/// The name of a copy: that of a ConfigMap may be too long to be a part of it.
fn copy_name(revision: &RevisionName, number: usize) -> String {
    format!("{revision}-{number}")
}

impl Content {
    /// The name under which the ConfigMap `name` of the user's is mounted: that of its copy, where there is one.
    pub(super) fn mounted_as(&self, revision: &RevisionName, name: &str) -> String {
        let mut copies = self.mounted_maps.iter();
        let number = copies.position(|(copied, _)| copied == name);
        number.map_or_else(|| name.to_owned(), |number| copy_name(revision, number))
    }

    /// The names of the copies.
    pub fn copies(&self, revision: &RevisionName) -> Vec<String> {
        let numbers = 0..self.mounted_maps.len();
        numbers.map(|number| copy_name(revision, number)).collect()
    }
}

/// The copies of the ConfigMaps that the pods of a revision mount. Immutable, like its files.
pub fn mounted_copies(node: &ChainlinkNode, resolved: &Resolved) -> Vec<ConfigMap> {
    let revision = &resolved.revision.name;
    let names = resolved.content.copies(revision).into_iter();
    names
        .zip(&resolved.mounted)
        .map(|(name, map)| ConfigMap {
            metadata: of_revision(node, name, revision),
            immutable: Some(true),
            ..map.clone()
        })
        .collect()
}
