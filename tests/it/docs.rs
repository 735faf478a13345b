//! docs/ against the code: tests that are named exist, every reason and step that a person may see is explained, and the
//! resources that are shown can be applied.

use std::path::{Path, PathBuf};

use chainlink_operator::api::crd_yaml;
use chainlink_operator::build;
use chainlink_operator::domain::Reason;
use chainlink_operator::plan::Step;
use serde_json::Value;

use crate::golden::{documents, manifest};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of every Rust file below a folder.
fn rust(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// What stands between two marks, pair by pair.
fn quoted(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn the_tests_that_the_rules_name_exist() {
    let mut code = String::new();
    rust(&repository("src"), &mut code);
    rust(&repository("tests"), &mut code);
    let page = text("docs/safety.md");
    let named: Vec<&str> = quoted(&page, '`')
        .into_iter()
        .filter(|word| word.matches('_').count() > 2 && !word.contains(['/', ' ']))
        .collect();

    assert!(named.len() > 60, "the names were not found");
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "no test is {name}");
    }
}

/// What nobody reads in a status: a pod that is not in back-off is left alone without a word.
const SILENT: &[Reason] = &[Reason::NotInBackOff];

#[test]
fn every_reason_is_explained() {
    let page = text("docs/status.md") + &text("docs/database.md");
    let explained = |word: &str| page.contains(&format!("`{word}`"));
    let told = Reason::ALL.iter().filter(|reason| !SILENT.contains(reason));
    let missing: Vec<&str> = told
        .map(Reason::as_str)
        .filter(|word| !explained(word))
        .collect();

    assert!(
        missing.is_empty(),
        "docs/status.md does not explain {missing:?}"
    );
}

#[test]
fn every_step_is_explained() {
    let page = text("docs/status.md");

    // An outside holder has a reason of its own.
    for step in Step::ALL.iter().filter(|step| **step != Step::External) {
        assert!(
            page.contains(&format!("`{step}`")),
            "docs/status.md does not explain {step}"
        );
    }
}

#[test]
fn the_versions_that_are_known_are_told_as_the_code_knows_them() {
    let table = chainlink_operator::node::supported::table();
    assert!(table.lines().count() > 6, "{table}");
    for page in ["README.md", "docs/versions.md"] {
        assert!(text(page).contains(&table), "{page} has not:\n{table}");
    }
}

#[test]
fn tools_look_for_the_versions_that_are_known() {
    let range = format!("range: '{}'", chainlink_operator::node::supported::range());
    for page in ["docs/updates.md", "examples/updates/flux.yaml"] {
        assert!(text(page).contains(&range), "{page} has not: {range}");
    }
}

#[test]
fn every_walk_of_the_model_is_told() {
    let page = text("docs/safety.md");
    for file in ["walks.rs", "deep.rs"] {
        let code = text(&format!("src/plan/tests/model/{file}"));
        let tests = code.split("#[test]").skip(1);
        let names = tests.filter_map(|test| test.split_once("fn ")?.1.split_once("()"));
        let names: Vec<&str> = names.map(|(name, _)| name).collect();

        assert!(names.len() > 15, "the walks of {file} were not found");
        for name in names {
            let told = page.contains(&format!("`{name}`"));
            assert!(told, "docs/safety.md does not tell of {name}");
        }
    }
}

/// The pages whose resources stand in fenced blocks, each of which can be applied as it is.
const WITH_RESOURCES: [&str; 3] = [
    "docs/sidecars.md",
    "docs/updates.md",
    "docs/your-setup.md",
];

/// The resources of the pages, each with the page that it stands in.
fn resources() -> Vec<(&'static str, String)> {
    let blocks = |page: &'static str| {
        let text = text(page);
        let blocks = text.split("```yaml\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
        blocks.map(|block| (page, block)).collect::<Vec<_>>()
    };
    let found: Vec<_> = WITH_RESOURCES.into_iter().flat_map(blocks).collect();
    assert!(found.len() >= 4, "the blocks were not found");
    found
}

/// What of a value the schema does not take: a field that it does not know, one that is missing, a wrong type or word.
fn unfit(path: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let either = schema["x-kubernetes-int-or-string"] == true;
    let fits = schema["type"] == kind || (either && ["integer", "string"].contains(&kind));
    if !fits {
        found.push(format!("{path} is a {kind}"));
    }
    let words = schema["enum"].as_array();
    if words.is_some_and(|words| !words.contains(value)) {
        found.push(format!("{path} is none of {words:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{path} lacks {name}"));
        }
    }
    for (name, one) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (
            schema["properties"].get(name),
            schema.get("additionalProperties"),
        ) {
            (Some(schema), _) | (None, Some(schema)) => unfit(&path, one, schema, found),
            (None, None) => found.push(format!("{path} is not known")),
        }
    }
    for one in value.as_array().into_iter().flatten() {
        unfit(path, one, &schema["items"], found);
    }
}

#[test]
fn every_resource_that_a_page_shows_is_one() {
    let crd: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for (page, block) in resources() {
        for document in documents(&block) {
            let mut found = Vec::new();
            unfit("spec", &document["spec"], schema, &mut found);
            assert_eq!(found, [""; 0], "{page}:\n{block}");
        }
        let (node, maps) = manifest(&block);
        let made = build::resolve("shown", &node.spec, &maps);
        let made = made.unwrap_or_else(|problem| panic!("{page}: {}\n{block}", problem.message));
        assert_eq!(made.warnings, [""; 0], "{page}:\n{block}");
    }
}

#[test]
fn every_page_is_named_on_the_first_one() {
    let first = text("README.md");
    for entry in std::fs::read_dir(repository("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(first.contains(&format!("docs/{name}")), "{name}");
    }
}
