//! What the pages show: the YAML blocks that are a `ChainlinkNode`, or a part of its spec.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::exec::repository;

/// A resource as a page shows it.
#[derive(Debug)]
pub struct Shown {
    pub page: String,
    pub node: Value,
}

/// All of them. A part of a spec is put into that of `base`.
pub fn shown(base: &Value) -> Result<Vec<Shown>> {
    let mut all = Vec::new();
    for path in pages()? {
        let page = path.display().to_string();
        let text = fs::read_to_string(&path)?;
        for block in blocks(&text) {
            let documents: Vec<Value> =
                serde_saphyr::from_multiple(&block).with_context(|| format!("{page}:\n{block}"))?;
            let nodes = documents
                .into_iter()
                .filter_map(|document| node(base, document));
            all.extend(nodes.map(|node| Shown {
                page: page.clone(),
                node,
            }));
        }
    }
    ensure!(all.len() > 20, "the blocks were not found: {}", all.len());
    Ok(all)
}

fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = vec![repository().join("README.md")];
    for folder in ["docs", "docs/runbooks"] {
        for entry in fs::read_dir(repository().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != "```yaml" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or("")).collect();
        found.push(block.join("\n"));
    }
    found
}

/// `None` for other kinds, and for a part of a list.
fn node(base: &Value, document: Value) -> Option<Value> {
    let metadata = json!({"name": "shown"});
    if document["kind"] == "ChainlinkNode" {
        let mut node = document;
        let annotations = node["metadata"].get("annotations").cloned();
        node["metadata"] = metadata;
        node["metadata"]["annotations"] = annotations.unwrap_or_default();
        return Some(node);
    }
    let part = document.get("spec").unwrap_or(&document);
    let is_part = document["kind"].is_null() && part.is_object();
    is_part.then(|| {
        let mut node = base.clone();
        node["metadata"] = metadata;
        merge(&mut node["spec"], part);
        node
    })
}

/// As a merge patch does.
fn merge(into: &mut Value, part: &Value) {
    match (into, part) {
        (Value::Object(into), Value::Object(part)) => {
            for (key, value) in part {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, part) => into.clone_from(part),
    }
}
