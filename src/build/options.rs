//! Pod options, checked as the API server would check them when it is too late, and in the one form
//! that says the same: a default that is written out makes no new revision.

use std::collections::BTreeMap;

use super::outcome::{Read, refused};
use super::pod::{GRACE_SECONDS, OWN_ANNOTATIONS, UID};
use super::sidecars::beside;
use super::volumes::ROOT_SIZE;
use crate::api::names::{GROUP, labels};
use crate::api::{Amount, PodOptions, Resources, ServiceOptions, Spread};
use crate::domain::Reason;

/// The options of a spec.
pub(super) fn pod_options(
    options: Option<&PodOptions>,
    warnings: &mut Vec<String>,
) -> Read<PodOptions> {
    let Some(options) = options else {
        return Ok(PodOptions::default());
    };
    names(options)?;
    amounts(options)?;
    overridden(options, warnings);
    Ok(canonical(under_one_name(options, warnings)?))
}

/// A resource from before its field was renamed works on, and no revision gets another name for the new one (rule S8).
fn under_one_name(options: &PodOptions, warnings: &mut Vec<String>) -> Read<PodOptions> {
    let mut options = options.clone();
    if options.security.is_some() {
        warnings.push("spec.pod.security is called spec.pod.securityContext: write the same fields there, as the old name is refused with the next change of spec.pod".to_owned());
    }
    match (options.security.take(), options.security_context.take()) {
        (Some(_), Some(_)) => refused(
            Reason::InvalidSpec,
            "spec.pod sets security and securityContext, which are one: leave security out",
        ),
        (old, new) => {
            options.security = new.or(old);
            Ok(options)
        }
    }
}

fn names(options: &PodOptions) -> Read<()> {
    keys("pod.labels", &options.labels, Keys::OfLabels)?;
    keys("pod.annotations", &options.annotations, Keys::OfAnnotations)?;
    keys("pod.nodeSelector", &options.node_selector, Keys::Selecting)
}

/// The labels of the Services.
pub(super) fn service_labels(service: Option<&ServiceOptions>) -> Read<()> {
    let Some(service) = service else {
        return Ok(());
    };
    keys("service.labels", &service.outside.labels, Keys::OfLabels)?;
    let peers = service.p2p.as_ref();
    peers.map_or(Ok(()), |peers| {
        keys("service.p2p.labels", &peers.outside.labels, Keys::OfLabels)
    })
}

/// What keys with values are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    OfLabels,
    OfAnnotations,
    /// Labels of something else.
    Selecting,
}

fn keys(field: &str, map: &BTreeMap<String, String>, of: Keys) -> Read<()> {
    for (key, value) in map {
        if of != Keys::Selecting && key.starts_with(&format!("{GROUP}/")) {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "spec.{field}: {key} is the operator's: give yours a prefix of your own, such as example.com/"
                ),
            );
        }
        // Kubernetes minds the case of a label's domain and not of an annotation's.
        let compared = match of {
            Keys::OfAnnotations => key.to_ascii_lowercase(),
            Keys::OfLabels | Keys::Selecting => key.clone(),
        };
        if !is_key(&compared) {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "spec.{field}: {key:?} can't be a key: write letters, digits, '-', '_' and '.', at most 63, with a domain and '/' before them if you like, such as example.com/team"
                ),
            );
        }
        if of != Keys::OfAnnotations && !value.is_empty() && !is_name(value) {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "spec.{field}: {value:?}, the value of {key}, can't stand in a label: write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends (other text goes into annotations)"
                ),
            );
        }
    }
    Ok(())
}

/// A label key as Kubernetes has it (`k8s.io/apimachinery/pkg/util/validation`).
fn is_key(key: &str) -> bool {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    let is_domain = |domain: &str| {
        domain.len() <= 253
            && domain.split('.').all(|part| {
                let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                !part.is_empty()
                    && part.chars().all(inner)
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            })
    };
    domain.is_none_or(is_domain) && is_name(name)
}

fn is_name(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && end(text.chars().next())
        && end(text.chars().last())
}

/// All amounts of `resources` in this place, each with its field.
fn amounts_of(place: &str, resources: Option<&Resources>) -> Vec<(String, Amount)> {
    let of = |field: &str, map: &BTreeMap<String, Amount>| {
        map.iter()
            .map(|(name, amount)| (format!("{place}.resources.{field}.{name}"), amount.clone()))
            .collect::<Vec<_>>()
    };
    let both = resources.into_iter();
    let both = both.map(|all| [of("requests", &all.requests), of("limits", &all.limits)]);
    both.flatten().flatten().collect()
}

fn amounts(options: &PodOptions) -> Read<()> {
    let size = options.storage.iter().flat_map(|storage| &storage.size);
    let scratch = options.volumes.iter().filter_map(|volume| {
        let size = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let field = format!("spec.pod.volumes ({}).emptyDir.sizeLimit", volume.name);
        Some((field, size.clone()))
    });
    let beside = beside(options).flat_map(|(field, one)| {
        let place = format!("spec.pod.{field} ({})", one.name);
        amounts_of(&place, one.resources.as_ref())
    });
    let all = amounts_of("spec.pod", options.resources.as_ref())
        .into_iter()
        .chain(size.map(|size| ("spec.pod.storage.size".to_owned(), size.clone())))
        .chain(scratch)
        .chain(beside);
    for (field, amount) in all {
        if !amount.is_readable() {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "{field}: {:?} is not an amount: write a number with a unit that Kubernetes knows, such as 500m or 2 for cpu, 4Gi or 512Mi for memory",
                    amount.as_str()
                ),
            );
        }
    }
    Ok(())
}

fn overridden(options: &PodOptions, warnings: &mut Vec<String>) {
    let own = labels("");
    for key in options.labels.keys().filter(|key| own.contains_key(*key)) {
        warnings.push(format!(
            "spec.pod.labels sets {key}; the operator sets it itself"
        ));
    }
    for key in &options.annotations {
        if OWN_ANNOTATIONS.contains(&key.0.as_str()) {
            warnings.push(format!(
                "spec.pod.annotations sets {}; the operator sets it itself",
                key.0
            ));
        }
    }
}

/// Without what says nothing.
fn canonical(mut options: PodOptions) -> PodOptions {
    let own = labels("");
    options.labels.retain(|key, _| !own.contains_key(key));
    options
        .annotations
        .retain(|key, _| !OWN_ANNOTATIONS.contains(&key.as_str()));
    if options.spread == Some(Spread::Preferred) {
        options.spread = None;
    }
    if options.termination_grace_period_seconds == Some(GRACE_SECONDS) {
        options.termination_grace_period_seconds = None;
    }
    if options.automount_service_account_token == Some(false) {
        options.automount_service_account_token = None;
    }
    if let Some(storage) = options.storage.as_mut()
        && storage
            .size
            .as_ref()
            .is_some_and(|size| size.as_str() == ROOT_SIZE)
    {
        storage.size = None;
    }
    if let Some(security) = options.security.as_mut() {
        for id in [
            &mut security.run_as_user,
            &mut security.run_as_group,
            &mut security.fs_group,
        ] {
            if *id == Some(UID) {
                *id = None;
            }
        }
        if security.read_only_root_filesystem == Some(true) {
            security.read_only_root_filesystem = None;
        }
    }
    drop_default(&mut options.resources);
    drop_default(&mut options.storage);
    drop_default(&mut options.security);
    drop_default(&mut options.affinity);
    drop_default(&mut options.dns_config);
    options
}

fn drop_default<T: Default + PartialEq>(field: &mut Option<T>) {
    if field.as_ref() == Some(&T::default()) {
        *field = None;
    }
}
