//! Files that hold what the code made when it was last looked at by a person.

use std::path::{Path, PathBuf};

use chainlink_operator::api::ChainlinkNode;
use chainlink_operator::build::ConfigMaps;
use k8s_openapi::api::core::v1::ConfigMap;

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The documents of a YAML file.
pub fn documents(text: &str) -> Vec<serde_json::Value> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

/// The one `ChainlinkNode` of a manifest, and the ConfigMaps beside it.
pub fn manifest(text: &str) -> (ChainlinkNode, ConfigMaps) {
    let mut node = None;
    let mut maps = ConfigMaps::new();
    for document in documents(text) {
        match document["kind"].as_str().unwrap() {
            "ChainlinkNode" => {
                let mut read: ChainlinkNode = serde_json::from_value(document).unwrap();
                read.metadata.namespace = Some("oracles".to_owned());
                read.metadata.uid = Some("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0".to_owned());
                node = Some(read);
            }
            "ConfigMap" => {
                let map: ConfigMap = serde_json::from_value(document).unwrap();
                maps.insert(map.metadata.name.clone().unwrap(), map);
            }
            _ => {}
        }
    }
    (node.expect("a ChainlinkNode"), maps)
}

/// Compares a text with the committed file, and says where they part. With `UPDATE_GOLDEN=1` in the
/// environment the file is written instead.
pub fn assert_golden(path: &str, made: &str, advice: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{path} can't be read: {error}\n{advice}"));
    if kept == made {
        return;
    }
    let line = kept
        .lines()
        .zip(made.lines())
        .take_while(|(kept, made)| kept == made)
        .count();
    let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    panic!(
        "{path} differs from line {} on\n  kept: {}\n  made: {}\n{advice}",
        line + 1,
        at(&kept),
        at(made)
    );
}
