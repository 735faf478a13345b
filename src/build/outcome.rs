//! What comes of reading a part of a spec: a value, or a sentence that says what to write instead; and the texts that a spec
//! refers to, looked up by name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::KeyRef;
use crate::domain::{Problem, Reason};
use crate::node::settings::Finding;

/// The ConfigMaps that exist, by name.
pub type ConfigMaps = BTreeMap<String, ConfigMap>;

pub(super) type Read<T> = Result<T, Problem>;

pub(super) fn refused<T>(reason: Reason, message: impl Into<String>) -> Read<T> {
    Err(Problem {
        reason,
        message: message.into(),
        missing: false,
    })
}

pub(super) fn lookup(maps: &ConfigMaps, reference: &KeyRef, field: &str) -> Read<String> {
    let Some(map) = maps.get(&reference.name) else {
        return missing_map(&reference.name, field);
    };
    let data = map.data.as_ref();
    match data.and_then(|data| data.get(&reference.key)) {
        Some(text) => Ok(text.clone()),
        None => Err(Problem {
            reason: Reason::ConfigMapKeyMissing,
            message: format!(
                "{field}: ConfigMap {} has no key {}; it has {}",
                reference.name,
                reference.key,
                data.into_iter()
                    .flat_map(BTreeMap::keys)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            missing: true,
        }),
    }
}

pub(super) fn missing_map<T>(name: &str, field: &str) -> Read<T> {
    Err(Problem {
        reason: Reason::ConfigMapMissing,
        message: format!("{field}: ConfigMap {name} does not exist yet; it is waited for"),
        missing: true,
    })
}

/// Refusals are problems, the rest is worth a warning. A finding begins with the field; where that
/// is a list of files, the name of the file goes behind it.
pub(super) fn sort(
    findings: impl IntoIterator<Item = Finding>,
    file: Option<&str>,
    warnings: &mut Vec<String>,
) -> Read<()> {
    for finding in findings {
        let message = match (file, finding.message().strip_prefix("spec.config.files")) {
            (Some(file), Some(rest)) => format!("spec.config.files ({file}){rest}"),
            _ => finding.message().to_owned(),
        };
        if finding.is_refusal() {
            return refused(Reason::InvalidConfiguration, message);
        }
        warnings.push(message);
    }
    Ok(())
}
