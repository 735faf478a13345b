//! Every manifest of tests/fixtures/bad-input is refused by `lint` in the words in which the cluster refuses it.

use std::path::{Path, PathBuf};

use crate::lint::{Says, lint};
use crate::manifest::Manifests;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn line<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(word))
}

#[test]
fn what_the_cluster_refuses_is_refused_in_the_same_words() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for entry in std::fs::read_dir(repository("tests/fixtures/bad-input")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let expect = line(&text, "# expect: ").unwrap();
        let mut manifests = Manifests::default();
        manifests.add(&name, &text).unwrap();
        let linted = lint(&manifests.nodes[0], &manifests.maps(None));
        let by_schema = line(&text, "# refused-by: ") == Some("schema");
        let said = linted.findings.iter().any(|finding| {
            let who = match finding.says {
                Says::ApiServer => by_schema,
                Says::Operator | Says::Waits => !by_schema,
                Says::Warning => false,
            };
            let reason = by_schema || finding.reason.as_deref() == line(&text, "# reason: ");
            who && reason && finding.message.contains(expect)
        });
        let untried = linted
            .findings
            .iter()
            .any(|one| one.message.contains("can't be tried"));
        if !said || untried || !linted.is_refused(true) {
            wrong.push(format!("{name}: not {expect:?}, but {:?}", linted.findings));
        }
        seen += 1;
    }
    assert!(seen > 100, "the manifests were not found");
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_examples_of_the_repository_are_taken() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let manifests = Manifests::read(std::slice::from_ref(&path)).unwrap();
        for written in &manifests.nodes {
            let linted = lint(written, &manifests.maps(written.namespace.as_deref()));
            assert!(
                !linted.is_refused(true),
                "{}: {:?}",
                path.display(),
                linted.findings
            );
            seen += 1;
        }
    }
    assert!(seen > 3, "the examples were not found");
}

#[test]
fn a_configmap_that_is_in_no_file_is_waited_for_and_refused_only_where_that_is_asked_for() {
    let mut manifests = Manifests::default();
    let text = std::fs::read_to_string(repository(
        "tests/fixtures/bad-input/configmap-missing.yaml",
    ));
    manifests
        .add("configmap-missing.yaml", &text.unwrap())
        .unwrap();
    let linted = lint(&manifests.nodes[0], &manifests.maps(None));

    assert_eq!(linted.findings[0].says, Says::Waits);
    assert!(!linted.is_refused(false));
    assert!(linted.is_refused(true));
}

#[test]
fn updates_of_which_nothing_can_be_made_hold_no_pod_up_and_are_warned_of() {
    let mut node = super::manifests::running("mainnet");
    node["spec"]["updates"] = serde_json::json!({"range": "new ones"});
    let mut manifests = Manifests::default();
    manifests.add("node.yaml", &node.to_string()).unwrap();
    let linted = lint(&manifests.nodes[0], &manifests.maps(None));
    let said = |one: &crate::lint::Finding| (one.says, one.reason.clone());
    let said: Vec<_> = linted.findings.iter().map(said).collect();
    assert_eq!(said, [(Says::Warning, Some("UpdatesInvalid".to_owned()))]);
    assert!(!linted.is_refused(true) && linted.resolved.is_some());
}
