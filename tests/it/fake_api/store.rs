//! Objects of one namespace, kept as the API server keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fake_api::patch;

/// Objects of one kind by name.
pub type Objects = BTreeMap<String, Arc<Value>>;

/// An answer that is no success.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
}

pub type Answer = Result<Value, Refusal>;

pub fn refusal(code: u16, reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        reason,
        message: message.into(),
    }
}

fn conflict(message: impl Into<String>) -> Refusal {
    refusal(409, "Conflict", message)
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    Merge,
    Strategic,
    Apply,
}

#[derive(Default)]
pub struct Store {
    kinds: BTreeMap<String, Objects>,
    /// Each kind as it was before its last change.
    earlier: BTreeMap<String, Objects>,
    version: u64,
    uids: u64,
    /// Fields of a status that the CRD of this server does not know, as JSON pointers.
    pub unknown: Vec<&'static str>,
}

impl Store {
    /// The number of changes so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn all(&self, kind: &str) -> Objects {
        self.kinds.get(kind).cloned().unwrap_or_default()
    }

    /// All objects of a kind, as they were one change ago.
    pub fn all_earlier(&self, kind: &str) -> Objects {
        self.earlier.get(kind).cloned().unwrap_or_default()
    }

    pub fn find(&self, kind: &str, name: &str) -> Option<Arc<Value>> {
        self.kinds.get(kind)?.get(name).cloned()
    }

    pub fn get(&self, kind: &str, name: &str) -> Result<Arc<Value>, Refusal> {
        let missing = || refusal(404, "NotFound", format!("{kind} {name:?} not found"));
        self.find(kind, name).ok_or_else(missing)
    }

    pub fn create(&mut self, kind: &str, mut object: Value) -> Answer {
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if self.find(kind, &name).is_some() {
            return Err(refusal(
                409,
                "AlreadyExists",
                format!("{kind} {name:?} already exists"),
            ));
        }
        self.uids += 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(format!("uid-{:04}", self.uids));
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = json!(seconds(Timestamp::now()));
        match kind {
            "pods" => object["status"] = json!({"phase": "Pending"}),
            "chainlinknodes" => object["status"] = json!({"observedGeneration": -1}),
            _ => {}
        }
        Ok(self.put(kind, &name, object))
    }

    /// Replaces the status alone, without the fields that are not known.
    pub fn replace_status(&mut self, kind: &str, name: &str, sent: &Value, dry: bool) -> Answer {
        let there = self.get(kind, name)?;
        check(&there, &sent["metadata"], kind, name)?;
        let mut new = (*there).clone();
        new["status"] = sent["status"].clone();
        for field in &self.unknown {
            let (parent, name) = field.rsplit_once('/').unwrap();
            let parent = new["status"].pointer_mut(parent);
            if let Some(fields) = parent.and_then(Value::as_object_mut) {
                fields.remove(name);
            }
        }
        Ok(if dry { new } else { self.put(kind, name, new) })
    }

    /// Replaces a whole object.
    pub fn replace(&mut self, kind: &str, name: &str, sent: &Value) -> Answer {
        let there = self.get(kind, name)?;
        check(&there, &sent["metadata"], kind, name)?;
        Ok(self.put(kind, name, sent.clone()))
    }

    pub fn patch(&mut self, to: &Place<'_>, how: PatchKind, sent: &Value) -> Answer {
        let Place { kind, name, status } = *to;
        let there = match self.get(kind, name) {
            Err(_) if how == PatchKind::Apply => {
                let mut new = sent.clone();
                new["metadata"]["managedFields"] = applied(sent);
                return self.create(kind, new);
            }
            there => there?,
        };
        check(&there, &sent["metadata"], kind, name)?;
        let mut patched = (*there).clone();
        if how == PatchKind::Strategic {
            patch::strategic(&mut patched, sent);
        } else {
            patch::merge(&mut patched, sent);
        }
        if how == PatchKind::Apply {
            give_up(&mut patched, sent);
            // `x-kubernetes-map-type: atomic`
            if let Some(selector) = sent.pointer("/spec/selector") {
                patched["spec"]["selector"] = selector.clone();
            }
            patched["metadata"]["managedFields"] = applied(sent);
        }
        let mut new = (*there).clone();
        if status {
            new["status"] = patched["status"].clone();
        } else {
            patched["status"] = there["status"].clone();
            new = patched;
        }
        // What the server alone may set.
        new["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
        Ok(self.put(kind, name, new))
    }

    /// Deletes at once, or marks a pod that runs for its kubelet.
    pub fn delete(&mut self, kind: &str, name: &str, preconditions: &Value) -> Answer {
        let there = self.get(kind, name)?;
        check(&there, preconditions, kind, name)?;
        let ended = matches!(
            there["status"]["phase"].as_str(),
            Some("Failed" | "Succeeded")
        );
        let placed = there["spec"]["nodeName"].is_string();
        if kind != "pods" || ended || !placed {
            self.remove(kind, name);
            return Ok((*there).clone());
        }
        if there["metadata"]["deletionTimestamp"].is_string() {
            return Ok((*there).clone());
        }
        let mut new = (*there).clone();
        new["metadata"]["deletionTimestamp"] = json!(seconds(Timestamp::now()));
        new["metadata"]["deletionGracePeriodSeconds"] =
            there["spec"]["terminationGracePeriodSeconds"].clone();
        Ok(self.put(kind, name, new))
    }

    /// Removes an object for good.
    pub fn remove(&mut self, kind: &str, name: &str) {
        self.before(kind);
        self.version += 1;
        self.kinds.entry(kind.to_owned()).or_default().remove(name);
    }

    /// A change by somebody else than the operator.
    pub fn change(&mut self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut new = (*self.get(kind, name).unwrap()).clone();
        change(&mut new);
        self.put(kind, name, new);
    }

    /// Writes an object under a new version, unless nothing would change.
    fn put(&mut self, kind: &str, name: &str, mut object: Value) -> Value {
        if let Some(there) = self.find(kind, name) {
            if *there == object {
                return object;
            }
            if there["spec"] != object["spec"] {
                let generation = there["metadata"]["generation"].as_i64().unwrap_or(1);
                object["metadata"]["generation"] = json!(generation + 1);
            }
        }
        self.before(kind);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let objects = self.kinds.entry(kind.to_owned()).or_default();
        objects.insert(name.to_owned(), Arc::new(object.clone()));
        object
    }

    fn before(&mut self, kind: &str) {
        let now = self.all(kind);
        self.earlier.insert(kind.to_owned(), now);
    }
}

/// The parts of an object of which it is kept who set what.
const OWNED: [[&str; 2]; 3] = [
    ["metadata", "labels"],
    ["metadata", "annotations"],
    ["spec", ""],
];

fn part<'a>(object: &'a Value, [outer, inner]: [&str; 2]) -> &'a Value {
    match inner {
        "" => &object[outer],
        inner => &object[outer][inner],
    }
}

/// What server-side apply keeps of who set what, as far as the operator reads it.
fn applied(sent: &Value) -> Value {
    let owned = |at: [&str; 2]| -> Value {
        let names = part(sent, at).as_object().into_iter().flatten();
        let names = names.map(|(name, _)| (format!("f:{name}"), json!({})));
        Value::Object(names.collect())
    };
    let [labels, annotations, spec] = OWNED.map(owned);
    json!([{
        "manager": "chainlink-operator", "operation": "Apply", "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": labels, "f:annotations": annotations},
            "f:spec": spec,
        },
    }])
}

/// What was applied before and is applied no more goes.
fn give_up(object: &mut Value, sent: &Value) {
    for [outer, inner] in OWNED {
        let owned = &object["metadata"]["managedFields"][0]["fieldsV1"];
        let marked = [outer, inner].map(|name| format!("f:{name}"));
        let there = match inner {
            "" => &owned[&marked[0]],
            _ => &owned[&marked[0]][&marked[1]],
        };
        let before = there.as_object().cloned().into_iter().flatten();
        for (name, _) in before {
            let name = name.trim_start_matches("f:");
            let all = match inner {
                "" => &mut object[outer],
                inner => &mut object[outer][inner],
            };
            if part(sent, [outer, inner])[name].is_null()
                && let Some(all) = all.as_object_mut()
            {
                all.remove(name);
            }
        }
    }
}

/// What a patch goes to.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub status: bool,
}

/// Uid and version, where the caller names them.
fn check(there: &Value, named: &Value, kind: &str, name: &str) -> Result<(), Refusal> {
    for field in ["uid", "resourceVersion"] {
        let (is, said) = (&there["metadata"][field], &named[field]);
        if said.is_string() && is != said {
            return Err(conflict(format!(
                "{kind} {name:?}: the precondition {field} is {said}, the object has {is}"
            )));
        }
    }
    Ok(())
}

/// `metav1.Time`: whole seconds.
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
