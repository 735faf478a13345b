//! The user's environment variables, and who may set which.

use super::content::Value;
use super::outcome::{ConfigMaps, Read, lookup, missing_map, refused, sort};
use crate::api::{Config, PodOptions, Variable};
use crate::domain::Reason;
use crate::node::settings::{check_environment, reserved_variable, secret_variable};
use crate::node::{ConfigStyle, NodeVersion};

/// Linux hands a program no longer text (`MAX_ARG_STRLEN`, 32 pages), name and `=` included.
const LONGEST: usize = 131_072 - 1;

type Variables = (Vec<(String, Value)>, Vec<String>);

/// Variables in order, and the Secrets whose keys are all variables.
pub(super) fn variables(
    config: &Config,
    maps: &ConfigMaps,
    version: &NodeVersion,
    style: ConfigStyle,
    warnings: &mut Vec<String>,
) -> Read<Variables> {
    let mut env: Vec<(String, Value)> = Vec::new();
    let mut secrets = Vec::new();
    let mut texts_before = None;
    for from in &config.env_from {
        match (&from.secret_ref, &from.config_map_ref) {
            (Some(secret), None) => {
                if let Some(map) = texts_before {
                    warnings.push(format!(
                        "spec.config.envFrom: the variables of ConfigMap {map} win over those of Secret {}: list the Secret first, so that the order says so too",
                        secret.name
                    ));
                }
                secrets.push(secret.name.clone());
            }
            (None, Some(map)) => {
                let Some(found) = maps.get(&map.name) else {
                    return missing_map(&map.name, "spec.config.envFrom");
                };
                let place = format!("spec.config.envFrom (ConfigMap {})", map.name);
                for (name, text) in found.data.iter().flatten() {
                    set(
                        &mut env,
                        name,
                        Value::Text(text.clone()),
                        &place,
                        version,
                        style,
                    )?;
                }
                texts_before = Some(&map.name);
            }
            _ => {
                return refused(
                    Reason::InvalidSpec,
                    "spec.config.envFrom: give exactly one of secretRef and configMapRef",
                );
            }
        }
    }
    for variable in &config.env {
        let value = value(variable, maps, "spec.config.env")?;
        set(
            &mut env,
            &variable.name,
            value,
            "spec.config.env",
            version,
            style,
        )?;
    }
    let readable: Vec<(&str, &str)> = env
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.as_str(), text.as_str())),
            Value::Secret(_) | Value::Field(_) => None,
        })
        .collect();
    sort(check_environment(&readable, version, style), None, warnings)?;
    Ok((env, secrets))
}

/// Adds a variable; a later one takes the place of an earlier one of its name.
fn set(
    env: &mut Vec<(String, Value)>,
    name: &str,
    value: Value,
    place: &str,
    version: &NodeVersion,
    style: ConfigStyle,
) -> Read<()> {
    if let Some(instead) = reserved_variable(name, version, style) {
        return refused(
            Reason::InvalidConfiguration,
            format!("{place}: {name} can't be set: {instead}"),
        );
    }
    if let Value::Text(text) = &value
        && secret_variable(name, text)
    {
        return refused(
            Reason::InvalidConfiguration,
            format!(
                "{place}: {name} holds a secret, and its value can be read here: put it into a Secret and name that in spec.config.env, as valueFrom: {{secretKeyRef: {{name: …, key: …}}}}"
            ),
        );
    }
    if let Value::Text(text) = &value
        && name.len() + 1 + text.len() > LONGEST
    {
        return refused(
            Reason::InvalidConfiguration,
            format!(
                "{place}: {name} has {} bytes, and Linux starts no program with a variable of more than {LONGEST}: shorten it",
                text.len()
            ),
        );
    }
    env.retain(|(other, _)| other != name);
    env.push((name.to_owned(), value));
    Ok(())
}

/// Port 6689 is switched off, unless the user has a certificate for it. The names in a Secret can't
/// be read: there may be one, if there is a volume that it could lie in.
pub(super) fn variables_keep_https(
    env: &[(String, Value)],
    env_secrets: &[String],
    pod: &PodOptions,
) -> bool {
    let given = |wanted: &str| {
        env.iter().any(|(name, value)| {
            name == wanted && !matches!(value, Value::Text(text) if text.is_empty())
        })
    };
    let hidden = !env_secrets.is_empty() && !pod.volumes.is_empty();
    hidden || (given("TLS_CERT_PATH") && given("TLS_KEY_PATH"))
}

/// The value of a variable of the spec, which stands in `place`.
pub(super) fn value(variable: &Variable, maps: &ConfigMaps, place: &str) -> Read<Value> {
    let source = variable.value_from.as_ref();
    match (&variable.value, source) {
        (Some(text), None) => Ok(Value::Text(text.clone())),
        (None, Some(source)) => match (
            &source.secret_key_ref,
            &source.config_map_key_ref,
            &source.field_ref,
        ) {
            (Some(reference), None, None) => Ok(Value::Secret(reference.clone())),
            (None, None, Some(field)) => Ok(Value::Field(field.field_path.clone())),
            (None, Some(reference), None) => {
                let field = format!("{place} ({})", variable.name);
                lookup(maps, reference, &field).map(Value::Text)
            }
            _ => refused(
                Reason::InvalidSpec,
                format!(
                    "{place}: {} needs exactly one of secretKeyRef, configMapKeyRef and fieldRef",
                    variable.name
                ),
            ),
        },
        _ => refused(
            Reason::InvalidSpec,
            format!(
                "{place}: {} needs exactly one of value and valueFrom",
                variable.name
            ),
        ),
    }
}
