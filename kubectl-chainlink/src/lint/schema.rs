//! A document against the operator's CRD, as the API server does it: fields that are not known, then types and bounds, then
//! the rules in CEL. The sentences are the API server's.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use regex::Regex;
use serde_json::{Map, Value};

/// The operator's CRD, read once: its rules take a while to be compiled.
static CRD: LazyLock<Result<(Value, CompiledSchema), serde_json::Error>> = LazyLock::new(|| {
    let crd = serde_json::to_value(chainlink_operator::api::crd())?;
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    spell_rules(&mut schema);
    let rules = compile_schema(&schema);
    Ok((schema, rules))
});

/// What the API server says against a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub refusals: Vec<String>,
    /// Rules that can't be tried here.
    pub untried: Vec<String>,
    /// Whether the form is such that the API server tries no rules.
    blocks: bool,
}

impl Said {
    fn refuse(&mut self, message: String) {
        self.refusals.push(message);
    }

    /// What keeps the API server from trying its rules: they could be too dear, or meet what they do not expect.
    fn block(&mut self, message: String) {
        self.blocks = true;
        self.refuse(message);
    }
}

/// All that the API server says against a document.
pub fn said(document: &Value) -> Said {
    let mut said = Said::default();
    let (schema, rules) = match &*CRD {
        Ok(read) => read,
        Err(error) => {
            said.block(format!("the CRD of this program can't be read: {error}"));
            return said;
        }
    };
    let spec = &schema["properties"]["spec"];
    if document.get("spec").is_none() {
        said.block("spec: Required value".to_owned());
    } else {
        check("spec", &document["spec"], spec, &mut said);
    }
    if said.blocks {
        return said;
    }
    let broken = Validator::new().validate_compiled(rules, document, None);
    for error in broken.err().into_iter().flatten() {
        if error.kind == ErrorKind::ValidationFailure {
            said.refuse(error.to_string());
        } else {
            said.untried.push(error.to_string());
        }
    }
    said
}

/// The rules as the CEL of this program reads them: it has no `type()`, and its regular expressions are Rust's, where a `[`
/// within brackets opens others.
fn spell_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("rule", Value::String(rule)) => *rule = spelled(rule),
                    (_, value) => spell_rules(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_rules),
        _ => {}
    }
}

fn spelled(rule: &str) -> String {
    let rule = rule.replace("[[]", r"\\[").replace("[]]", r"\\]");
    let mut spelled = String::new();
    let mut rest = rule.as_str();
    // An amount: `type(x) == int || isQuantity(x)`.
    while let Some((before, after)) = rest.split_once("type(") {
        spelled.push_str(before);
        let amount = after.split_once(") == int || isQuantity(");
        let amount = amount.and_then(|(name, behind)| {
            let behind = behind.strip_prefix(name)?.strip_prefix(')')?;
            Some((name, behind))
        });
        if let Some((name, behind)) = amount {
            spelled.extend(["isQuantity(string(", name, "))"]);
            rest = behind;
        } else {
            spelled.push_str("type(");
            rest = after;
        }
    }
    spelled.push_str(rest);
    spelled
}

fn check(at: &str, value: &Value, schema: &Value, said: &mut Said) {
    if value.is_null() {
        // The API server drops it.
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !(value.is_i64() || value.is_string()) {
            said.block(wrong_type(at, value, "integer,string"));
        }
        return;
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !fits {
        said.block(wrong_type(at, value, kind));
        return;
    }
    one_of(at, value, schema, said);
    match value {
        Value::Object(fields) => object(at, fields, schema, said),
        Value::Array(items) => array(at, items, schema, said),
        Value::String(text) => string(at, text, schema, said),
        Value::Number(_) => number(at, value, schema, said),
        Value::Null | Value::Bool(_) => {}
    }
}

fn wrong_type(at: &str, value: &Value, kind: &str) -> String {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("{at}: Invalid value: \"{is}\": {at} in body must be of type {kind}: \"{is}\"")
}

fn one_of(at: &str, value: &Value, schema: &Value, said: &mut Said) {
    let Some(allowed) = schema["enum"].as_array() else {
        return;
    };
    if !allowed.contains(value) {
        let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
        said.block(format!(
            "{at}: Unsupported value: {value}: supported values: {}",
            words.join(", ")
        ));
    }
}

fn object(at: &str, fields: &Map<String, Value>, schema: &Value, said: &mut Said) {
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if fields.get(name).is_none_or(Value::is_null) {
            said.block(format!("{at}.{name}: Required value"));
        }
    }
    let most = schema["maxProperties"].as_u64();
    too_many(at, fields.len(), most, "properties", said);
    let known = schema["properties"].as_object();
    let others = &schema["additionalProperties"];
    for (name, value) in fields {
        let below = format!("{at}.{name}");
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check(&below, value, schema, said),
            None if others.is_object() => check(&below, value, others, said),
            None if known.is_some() => said.block(format!("unknown field \"{below}\"")),
            None => {}
        }
    }
}

fn array(at: &str, items: &[Value], schema: &Value, said: &mut Said) {
    too_many(at, items.len(), schema["maxItems"].as_u64(), "items", said);
    for (number, item) in items.iter().enumerate() {
        check(&format!("{at}[{number}]"), item, &schema["items"], said);
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let keys: Vec<&str> = keys
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if keys.is_empty() {
        return;
    }
    let mut seen = BTreeSet::new();
    for (number, item) in items.iter().enumerate() {
        let key: Map<String, Value> = keys
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone())))
            .collect();
        let key = Value::Object(key).to_string();
        if !seen.insert(key.clone()) {
            said.refuse(format!("{at}[{number}]: Duplicate value: {key}"));
        }
    }
}

fn too_many(at: &str, count: usize, most: Option<u64>, of: &str, said: &mut Said) {
    if let Some(most) = most
        && u64::try_from(count).is_ok_and(|count| count > most)
    {
        said.block(format!(
            "{at}: Too many: {count}: must have at most {most} {of}"
        ));
    }
}

fn string(at: &str, text: &str, schema: &Value, said: &mut Said) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        said.block(format!("{at}: Too long: may not be more than {most} bytes"));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        said.refuse(format!(
            "{at}: Invalid value: \"{text}\": {at} in body should be at least {least} chars long"
        ));
    }
    let Some(pattern) = schema["pattern"].as_str() else {
        return;
    };
    let fits = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    if !fits {
        said.refuse(format!(
            "{at}: Invalid value: \"{text}\": {at} in body should match '{pattern}'"
        ));
    }
}

fn number(at: &str, value: &Value, schema: &Value, said: &mut Said) {
    let Some(number) = value.as_f64() else {
        return;
    };
    let bound = |name: &str| schema[name].as_f64();
    let wrong = match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if number < least => format!("greater than or equal to {least}"),
        (_, Some(most)) if number > most => format!("less than or equal to {most}"),
        _ => return,
    };
    said.refuse(format!(
        "{at}: Invalid value: {value}: {at} in body should be {wrong}"
    ));
}
