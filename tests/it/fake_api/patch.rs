//! Merge and strategic merge patches, as far as the operator uses them.

use serde_json::Value;

/// RFC 7386.
pub fn merge(target: &mut Value, patch: &Value) {
    walk(target, patch, false);
}

/// Like [`merge`], but lists of conditions are merged by `type` and owner references by `uid`.
pub fn strategic(target: &mut Value, patch: &Value) {
    walk(target, patch, true);
}

fn walk(target: &mut Value, patch: &Value, by_key: bool) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (name, value) in fields {
        let target = target.as_object_mut().unwrap();
        match (value, merge_key(name).filter(|_| by_key)) {
            (Value::Null, _) => {
                target.remove(name);
            }
            (Value::Array(items), Some(key)) => {
                let list = target.entry(name).or_insert_with(|| Value::Array(vec![]));
                merge_list(list.as_array_mut().unwrap(), items, key);
            }
            _ => walk(target.entry(name).or_insert(Value::Null), value, by_key),
        }
    }
}

fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

fn merge_list(list: &mut Vec<Value>, items: &[Value], key: &str) {
    for item in items {
        match list.iter_mut().find(|other| other[key] == item[key]) {
            Some(other) => walk(other, item, true),
            None => list.push(item.clone()),
        }
    }
}
