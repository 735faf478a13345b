//! docs/ against the code: tests that are named exist, and every reason that a person may see is explained.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// Two words or more in CamelCase, as reasons are written.
fn is_reason(word: &str) -> bool {
    let capitals = word.chars().filter(char::is_ascii_uppercase).count();
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|letter| letter.is_ascii_alphabetic())
        && (2..word.len()).contains(&capitals)
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

#[test]
fn every_reason_is_explained() {
    let files = [
        "src/report/conditions.rs",
        "src/report/lock_verified.rs",
        "src/report/events.rs",
        "src/plan/decide.rs",
        "src/plan/evidence.rs",
        "src/plan/guard/creation.rs",
        "src/plan/guard/denials.rs",
        "src/plan/guard/handover.rs",
        "src/plan/guard/others.rs",
        "src/plan/moves.rs",
        "src/plan/neighbours.rs",
        "src/plan/rules/external.rs",
        "src/plan/rules/hold.rs",
        "src/plan/rules/intent.rs",
        "src/plan/rules/late.rs",
        "src/plan/rules/oneshot/validate.rs",
        "src/plan/rules/pause.rs",
        "src/plan/rules/relocate.rs",
        "src/plan/rules/rollout.rs",
        "src/plan/rules/steady.rs",
        "src/plan/rules/verdict.rs",
        "src/plan/rules/wrong_database.rs",
        "src/build/resolve.rs",
        "src/build/variables.rs",
        "src/build/options.rs",
        "src/controller/pass/dereference.rs",
        "src/controller/pass/record.rs",
        "src/controller/failures.rs",
        "src/controller/pass/intent.rs",
        "src/observe/database/question.rs",
        "src/observe/database/ask.rs",
        "src/domain/answer.rs",
    ];
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for file in files {
        let code = text(file);
        let code = code.split("\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
        for line in lines {
            let words = quoted(line, '"').into_iter().filter(|word| is_reason(word));
            reasons.extend(words.map(str::to_owned));
        }
    }
    let steps = text("src/plan/step.rs");
    let steps = steps.split("pub enum Step {").nth(1).unwrap();
    let steps = steps.split('}').next().unwrap().lines();
    reasons.extend(
        steps
            .filter_map(|line| line.trim().strip_suffix(','))
            .map(str::to_owned),
    );
    // A pull policy; a kind; a pod that is not in back-off is left alone without a word; and an
    // outside holder has a reason of its own.
    for silent in ["IfNotPresent", "ConfigMap", "NotInBackOff", "External"] {
        assert!(reasons.remove(silent), "{silent} is not there any more");
    }
    let page = text("docs/status.md") + &text("docs/database.md");

    assert!(reasons.len() > 40, "the reasons were not found");
    reasons.retain(|reason| !page.contains(&format!("`{reason}`")));
    assert!(
        reasons.is_empty(),
        "docs/status.md does not explain {reasons:?}"
    );
}
