//! docs/ against the code: tests that are named exist, and every reason and step that a person may see is explained.

use std::path::{Path, PathBuf};

use chainlink_operator::domain::Reason;
use chainlink_operator::plan::Step;

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
