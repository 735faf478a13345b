//! Manifests that can't work, each with the sentence that says so. Those that the API server refuses
//! by schema are tried on a real one in the cluster tests; here it is seen that they have a rule.

use chainlink_operator::api::crd_yaml;
use chainlink_operator::build;

use crate::golden::{manifest, repository};

struct BadInput {
    file: String,
    text: String,
    expect: String,
    refused_by: String,
    /// The condition's reason, of what the operator refuses.
    reason: Option<String>,
}

fn bad_input() -> Vec<BadInput> {
    let mut all: Vec<_> = std::fs::read_dir(repository("tests/fixtures/bad-input"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let told = |word: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(word));
                line.map(str::to_owned)
            };
            let said =
                |word: &str| told(word).unwrap_or_else(|| panic!("{file} has no line {word:?}"));
            BadInput {
                expect: said("# expect: "),
                refused_by: said("# refused-by: "),
                reason: told("# reason: "),
                file,
                text,
            }
        })
        .collect();
    all.sort_by(|one, other| one.file.cmp(&other.file));
    all
}

fn refused_by(who: &str) -> Vec<BadInput> {
    let all = bad_input();
    assert!(
        all.iter()
            .all(|case| ["schema", "operator"].contains(&case.refused_by.as_str()))
    );
    all.into_iter()
        .filter(|case| case.refused_by == who)
        .collect()
}

#[test]
fn what_the_operator_refuses_says_what_to_write_instead() {
    for BadInput {
        file,
        text,
        expect,
        reason,
        ..
    } in refused_by("operator")
    {
        let (node, maps) = manifest(&text);
        let problem = build::resolve("bad", &node.spec, &maps).expect_err(&file);

        assert_eq!(Some(problem.reason.as_str()), reason.as_deref(), "{file}");
        assert!(
            problem.message.contains(&expect),
            "{file}: {}",
            problem.message
        );
        assert!(
            !problem.message.contains("password-in-the-open"),
            "{file} repeats a secret"
        );
    }
}

#[test]
fn only_what_may_come_by_itself_is_waited_for() {
    let waited: Vec<_> = refused_by("operator")
        .into_iter()
        .filter(|case| {
            let (node, maps) = manifest(&case.text);
            build::resolve("bad", &node.spec, &maps)
                .expect_err(&case.file)
                .missing
        })
        .map(|case| case.file)
        .collect();

    assert_eq!(
        waited,
        [
            "configmap-missing.yaml",
            "configmap-without-the-key.yaml",
            "sidecar-variable-from-a-missing-configmap.yaml"
        ]
    );
}

#[test]
fn every_rule_of_the_schema_has_a_manifest_that_breaks_it() {
    fn messages(schema: &serde_json::Value, found: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(fields) => {
                for rule in fields
                    .get("x-kubernetes-validations")
                    .into_iter()
                    .flat_map(|rules| rules.as_array().unwrap())
                {
                    found.push(rule["message"].as_str().unwrap().to_owned());
                }
                fields.values().for_each(|value| messages(value, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
            _ => {}
        }
    }
    let crd: serde_json::Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let mut rules = Vec::new();
    messages(&crd, &mut rules);
    let cases = refused_by("schema");

    assert!(rules.len() > 20, "the rules were not found");
    for rule in rules {
        assert!(
            cases.iter().any(|case| rule.contains(&case.expect)),
            "no manifest in tests/fixtures/bad-input breaks the rule: {rule}"
        );
    }
}

#[test]
fn what_the_schema_refuses_does_not_get_past_the_operator_where_it_matters_most() {
    for file in [
        "version-latest.yaml",
        "version-partial.yaml",
        "version-with-v.yaml",
        "tag-of-another-version.yaml",
        "tag-of-another-variant.yaml",
        "database-without-secret.yaml",
        "database-url-as-value.yaml",
        "keystore-password-as-value.yaml",
        "cl-config-in-env.yaml",
        "database-url-in-env.yaml",
        "file-without-text.yaml",
        "file-with-two-texts.yaml",
        "variable-without-value.yaml",
        "memory-with-a-wrong-unit.yaml",
        "label-of-the-operator.yaml",
        "settle-without-unit.yaml",
        "sidecar-on-the-nodes-own-port.yaml",
        "processes-shared.yaml",
        "network-of-the-machine.yaml",
    ] {
        let case = bad_input()
            .into_iter()
            .find(|case| case.file == file)
            .expect(file);
        let (node, maps) = manifest(&case.text);

        assert!(build::resolve("bad", &node.spec, &maps).is_err(), "{file}");
    }
}
