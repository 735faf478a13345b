//! The chart's values, as its README and its schema tell them. Its rights are in `tests/it/rights.rs`; What it renders is in `tests/manifests/chart`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

fn text(file: &str) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/chainlink-operator");
    std::fs::read_to_string(chart.join(file)).unwrap()
}

fn values() -> Value {
    serde_saphyr::from_str(&text("values.yaml")).unwrap()
}

fn at<'a>(values: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(values, |value, key| &value[key])
}

/// What stands in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The README's table: each value with its default, where that is written as it is in `values.yaml`.
fn told() -> BTreeMap<String, Option<String>> {
    let readme = text("README.md");
    let (_, table) = readme.split_once("| Value | Default | |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut told = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names = quoted(cells[1]);
        let defaults = quoted(cells[2]);
        // In words, where the default is long or depends.
        let literal = cells[2]
            .split(", ")
            .all(|part| part.starts_with('`') && part.ends_with('`'));
        for (index, name) in names.iter().enumerate() {
            let path = match name.strip_prefix('.') {
                Some(last) => format!("{}.{last}", names[0].rsplit_once('.').unwrap().0),
                None => (*name).to_owned(),
            };
            let default = defaults.get(index).or(defaults.last());
            let default = match (cells[2], default) {
                ("", _) => Some(String::new()),
                (_, Some(default)) if literal => Some((*default).to_owned()),
                _ => None,
            };
            assert!(
                told.insert(path.clone(), default).is_none(),
                "{path} is told twice"
            );
        }
    }
    told
}

/// The paths to what is no map, or is told as a whole.
fn paths(value: &Value, path: &str, whole: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(map) if !map.is_empty() && !whole.contains(path) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                paths(value, &path, whole, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// The same of a schema, which names the parts of a map in `properties`.
fn properties(schema: &Value, path: &str, whole: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match schema["properties"].as_object() {
        Some(map) if !whole.contains(path) => {
            for (key, schema) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                properties(schema, &path, whole, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn every_value_is_in_the_readme_and_in_the_schema_and_no_other() {
    let told = told();
    let names: BTreeSet<String> = told.keys().cloned().collect();
    let whole: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    let mut there = BTreeSet::new();
    paths(&values(), "", &whole, &mut there);
    let schema: Value = serde_json::from_str(&text("values.schema.json")).unwrap();
    let mut checked = BTreeSet::new();
    properties(&schema, "", &whole, &mut checked);

    assert!(names.len() > 40, "the table was not found: {names:?}");
    assert_eq!(names, there, "README.md beside values.yaml");
    // Helm's own, where the chart is a part of another.
    assert!(checked.remove("global"));
    assert_eq!(checked, there, "values.schema.json beside values.yaml");
}

/// Editors show them while values are written.
#[test]
fn the_schema_describes_every_value() {
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        let parts = [&schema["properties"], &schema["items"]["properties"]];
        for (name, part) in parts.iter().filter_map(|part| part.as_object()).flatten() {
            let path = format!("{path}.{name}");
            if part["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            undescribed(part, &path, found);
        }
    }
    let schema: Value = serde_json::from_str(&text("values.schema.json")).unwrap();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    assert!(found.is_empty(), "no description: {found:?}");
}

#[test]
fn the_defaults_in_the_readme_are_those_of_the_values() {
    let values = values();
    for (path, default) in told() {
        let Some(default) = default else { continue };
        let default = match default.as_str() {
            "" => Value::from(""),
            text => serde_saphyr::from_str(text).unwrap(),
        };
        assert_eq!(*at(&values, &path), default, "{path}");
    }
}

#[test]
fn a_variable_that_the_chart_sets_is_refused_in_extra_env() {
    let deployment = text("templates/deployment.yaml");
    let set: BTreeSet<&str> = deployment
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "))
        .filter(|name| {
            name.chars()
                .all(|letter| letter.is_ascii_uppercase() || letter == '_')
        })
        .collect();
    let schema: Value = serde_json::from_str(&text("values.schema.json")).unwrap();
    let refused = &schema["properties"]["extraEnv"]["items"]["properties"]["name"]["not"]["enum"];
    let refused: BTreeSet<&str> = refused
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();

    assert!(set.len() > 4, "{set:?}");
    assert_eq!(refused, set);
}

/// What Artifact Hub shows is a text in an annotation, which nothing else would read.
#[test]
fn the_chart_tells_artifact_hub_of_this_crd_by_an_example_that_works() {
    let chart: Value = serde_saphyr::from_str(&text("Chart.yaml")).unwrap();
    let told = |name: &str| {
        let text = &chart["annotations"][format!("artifacthub.io/{name}")];
        text.as_str().unwrap_or_else(|| panic!("{name}")).to_owned()
    };
    let list = |name: &str| serde_saphyr::from_str::<Vec<Value>>(&told(name)).unwrap();

    assert_eq!(told("license"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let crd = serde_json::to_value(chainlink_operator::api::crd()).unwrap();
    let [shown] = list("crds").try_into().unwrap();
    assert_eq!(shown["name"], crd["metadata"]["name"]);
    assert_eq!(shown["kind"], crd["spec"]["names"]["kind"]);
    assert_eq!(shown["version"], crd["spec"]["versions"][0]["name"]);
    let [example] = list("crdsExamples").try_into().unwrap();
    assert_eq!(example["kind"], shown["kind"]);
    let (node, maps) = crate::golden::manifest(&example.to_string());
    let resolved = chainlink_operator::build::resolve("mainnet", &node.spec, &maps);
    assert!(resolved.is_ok(), "the example can't work");
    assert!(
        list("changes")
            .iter()
            .all(|change| change["kind"].is_string())
    );
}

/// A default would be pulled by every user from whoever takes that name.
#[test]
fn no_image_is_pulled_that_the_user_has_not_named() {
    assert_eq!(*at(&values(), "image.repository"), Value::from(""));
}

/// The one message of the operator that names a value of its chart.
#[test]
fn the_values_that_the_operator_names_are_some_of_the_chart() {
    for (controller, name) in [
        (
            include_str!("../../src/controller/pass/create.rs"),
            "sessionSecrets.generate",
        ),
        (
            include_str!("../../src/controller/pass/applied.rs"),
            "updates.apply",
        ),
    ] {
        assert!(controller.contains(&format!("{name}=true")));
        assert_eq!(*at(&values(), name), Value::Bool(false));
    }
}
