//! What the generated schema needs beside what the types say, so that the API server can tell the
//! cost of its rules, and people read short messages.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, SchemaGenerator, json_schema};

/// Labels, or a selector by labels.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

/// Annotations.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 16384},
    })
}

/// Networks, such as 203.0.113.0/24.
pub(super) fn networks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": {"type": "string", "maxLength": 43},
    })
}

/// A command, word by word.
pub(super) fn command(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": {"type": "string", "maxLength": 16384},
    })
}

/// What a container may do beyond a plain process.
pub(super) fn capabilities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "items": {"type": "string", "maxLength": 63},
    })
}

/// CPU, memory and what else a machine has to give.
pub(super) fn amounts(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": generator.subschema_for::<super::Amount>(),
    })
}

/// Tolerations as in a pod. The API server checks them when a pod is made; this says the same
/// earlier, and shorter than the 2 kB of Kubernetes' own description.
pub(super) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": {
            "type": "object",
            "properties": {
                "key": {"type": "string", "maxLength": 317, "description": "Key of the taint. Default: every key (then with operator Exists)."},
                "operator": {"type": "string", "enum": ["Equal", "Exists", "Gt", "Lt"], "description": "How value is compared: Equal, Exists, Gt or Lt. Default: Equal."},
                "value": {"type": "string", "maxLength": 63, "description": "Value of the taint. Default: none, as for operator Exists."},
                "effect": {"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "description": "Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Default: every effect."},
                "tolerationSeconds": {"type": "integer", "format": "int64", "description": "How long a NoExecute taint is tolerated. Default: for ever."},
            },
        },
    })
}

/// The words to choose from and nothing else: a text on a word takes the place of the field's own in `kubectl explain`.
pub(super) fn words(schema: &mut Schema) {
    let variants = schema.remove("oneOf");
    let variants = variants
        .iter()
        .filter_map(serde_json::Value::as_array)
        .flatten();
    let word = |variant: &serde_json::Value| {
        let several = variant["enum"].as_array().cloned();
        several.unwrap_or_else(|| vec![variant["const"].clone()])
    };
    let words: Vec<serde_json::Value> = variants.flat_map(word).collect();
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), words.into());
}

/// Takes out what the generator adds and the API server has no use for.
///
/// * `nullable`: without it the API server drops a `null` before it checks anything, so that
///   `inline: null` is the same as no `inline` to our rules too.
/// * `format: uint32`, at which every `kubectl apply` would print a warning.
pub(super) fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = schema.enum_.as_mut() {
        values.retain(|value| !value.0.is_null());
    }
    if schema.format.as_deref() == Some("uint32") {
        schema.format = Some("int64".to_owned());
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut())
    {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        tidy(values);
    }
}
