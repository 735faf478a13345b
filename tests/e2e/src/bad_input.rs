//! The manifests of tests/fixtures/bad-input, each with the words in which it has to be refused.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::exec::repository;

/// Who refuses a manifest, and how.
#[derive(Debug)]
pub enum Refusal {
    /// The API server, by the schema.
    Schema,
    /// The operator, with this reason in the resource's conditions.
    Operator { reason: String },
}

/// A manifest that can't work.
#[derive(Debug)]
pub struct BadInput {
    pub file: String,
    /// The words of the refusal.
    pub expect: String,
    pub refusal: Refusal,
    pub node: Value,
    pub config_maps: Vec<Value>,
}

/// All of them, by name.
pub fn bad_input() -> Result<Vec<BadInput>> {
    let folder = repository().join("tests/fixtures/bad-input");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path())?;
        all.push(read(&file, &text).with_context(|| file.clone())?);
    }
    all.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(all)
}

fn read(file: &str, text: &str) -> Result<BadInput> {
    let said = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        line.map(str::to_owned)
            .with_context(|| format!("it has no line {word:?}"))
    };
    let refusal = match said("# refused-by: ")?.as_str() {
        "schema" => Refusal::Schema,
        _ => Refusal::Operator {
            reason: said("# reason: ")?,
        },
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let (mut nodes, config_maps): (Vec<Value>, Vec<Value>) = documents
        .into_iter()
        .partition(|document| document["kind"] == "ChainlinkNode");
    let node = nodes.pop().context("it has no ChainlinkNode")?;
    ensure!(nodes.is_empty(), "it has several ChainlinkNodes");
    Ok(BadInput {
        file: file.to_owned(),
        expect: said("# expect: ")?,
        refusal,
        node,
        config_maps,
    })
}
