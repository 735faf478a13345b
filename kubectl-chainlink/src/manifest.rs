//! From files to resources.

use std::io::Read;
use std::path::{Path, PathBuf};

use chainlink_operator::api::{ChainlinkNode, names};
use chainlink_operator::build::ConfigMaps;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// A `ChainlinkNode` as it was written, and where.
#[derive(Clone, Debug)]
pub struct Written {
    pub file: String,
    pub namespace: Option<String>,
    pub name: String,
    pub document: Value,
}

impl Written {
    /// The resource, where its form is right.
    pub fn node(&self) -> Result<ChainlinkNode, serde_json::Error> {
        ChainlinkNode::deserialize(&self.document)
    }
}

/// All that was found in some files.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    pub nodes: Vec<Written>,
    maps: Vec<ConfigMap>,
}

impl Manifests {
    pub fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut all = Self::default();
        for file in files {
            let path = file.display().to_string();
            let text = text(file).map_err(|error| Failure::File {
                path: path.clone(),
                problem: error.to_string(),
            })?;
            all.add(&path, &text)?;
        }
        Ok(all)
    }

    pub fn add(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        let unreadable = |problem: String| Failure::File {
            path: path.to_owned(),
            problem,
        };
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| unreadable(error.to_string()))?;
        for document in documents.into_iter().flat_map(in_list) {
            match (document["kind"].as_str(), document["apiVersion"].as_str()) {
                (Some("ChainlinkNode"), Some(version)) if version.starts_with(names::GROUP) => {
                    self.nodes.push(Written {
                        file: path.to_owned(),
                        namespace: document["metadata"]["namespace"]
                            .as_str()
                            .map(str::to_owned),
                        name: document["metadata"]["name"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                        document,
                    });
                }
                (Some("ConfigMap"), Some("v1")) => {
                    let map = serde_json::from_value(document)
                        .map_err(|error| unreadable(format!("a ConfigMap: {error}")))?;
                    self.maps.push(map);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The ConfigMaps that a node in this namespace sees. One that names no namespace goes where the node goes.
    pub fn maps(&self, namespace: Option<&str>) -> ConfigMaps {
        let seen = self.maps.iter().filter(|map| {
            let theirs = map.metadata.namespace.as_deref();
            theirs.is_none() || namespace.is_none() || theirs == namespace
        });
        seen.filter_map(|map| Some((map.metadata.name.clone()?, map.clone())))
            .collect()
    }
}

/// What `kubectl get --output yaml` makes of several.
fn in_list(document: Value) -> Vec<Value> {
    match document {
        Value::Null => vec![],
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
            match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => vec![],
            }
        }
        document => vec![document],
    }
}

fn text(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}
