//! The CustomResourceDefinition: the committed file, and what the schema promises.

use chainlink_operator::api::crd_yaml;

use crate::golden;

const ADVICE: &str = "crds/ and the chart's copy are generated: run `make crds` and commit both";

#[test]
fn the_committed_crd_is_the_generated_one() {
    golden::assert_golden("crds/chainlinknodes.yaml", &crd_yaml().unwrap(), ADVICE);
}

#[test]
fn the_charts_copy_is_the_generated_one() {
    golden::assert_golden(
        "charts/chainlink-operator/files/chainlinknodes.yaml",
        &crd_yaml().unwrap(),
        ADVICE,
    );
}

#[test]
fn the_reference_is_made_from_the_crd() {
    let page = chainlink_operator::api::reference();
    let rows = page.replace("[]", "");
    let told = |field: &str| rows.contains(&format!("`{field}`"));
    let untold: Vec<String> = fields()
        .into_iter()
        .filter(|field| {
            !field.is_refused() && !field.path.contains(".security.") && !told(&field.path)
        })
        .map(|field| field.path)
        .collect();
    assert_eq!(untold, [""; 0], "fields without a row");
    golden::assert_golden(
        "docs/reference.md",
        &page,
        "docs/reference.md is generated: run `make crds` and commit it",
    );
}

/// A property of the spec, as `kubectl explain` shows it.
struct Field {
    path: String,
    schema: serde_json::Value,
    optional: bool,
}

impl Field {
    fn text(&self) -> &str {
        self.schema["description"].as_str().unwrap_or_default()
    }

    /// Whether it holds a value, and not further fields.
    fn is_a_value(&self) -> bool {
        let (own, items) = (&self.schema["properties"], &self.schema["items"]);
        own.is_null() && items["properties"].is_null()
    }

    /// Whether it is there for its refusal alone, which says what to write instead.
    fn is_refused(&self) -> bool {
        self.text().starts_with("Never allowed")
    }
}

fn fields() -> Vec<Field> {
    fn walk(path: &str, schema: &serde_json::Value, found: &mut Vec<Field>) {
        let required = schema["required"].as_array();
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            walk(&path, property, found);
            walk(&path, &property["items"], found);
            found.push(Field {
                path,
                schema: property.clone(),
                optional: !is_required(name),
            });
        }
    }
    let crd: serde_json::Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    walk("spec", &schema["properties"]["spec"], &mut found);
    assert!(found.len() > 80, "the fields were not found");
    found
}

/// The fields of which something is missing in their text.
fn lacking(lacks: impl Fn(&Field) -> bool) -> Vec<String> {
    let fields = fields().into_iter().filter(lacks);
    fields.map(|field| field.path).collect()
}

#[test]
fn every_field_of_the_spec_says_what_it_is_for() {
    let silent = lacking(|field| field.text().is_empty());
    assert_eq!(silent, [""; 0], "kubectl explain says nothing of them");
}

#[test]
fn every_value_that_may_be_left_out_says_what_is_there_then() {
    const SAID: [&str; 4] = ["Default:", "Without it", "Unset:", "Exactly one of"];
    let untold = lacking(|field| {
        let said = SAID.iter().any(|said| field.text().contains(said));
        field.optional && field.is_a_value() && !field.is_refused() && !said
    });
    assert_eq!(untold, [""; 0], "their texts have none of {SAID:?}");
}

#[test]
fn every_field_with_a_few_words_to_choose_from_tells_them() {
    let untold = lacking(|field| {
        let words = field.schema["enum"].as_array();
        let mut words = words.into_iter().flatten();
        words.any(|word| !field.text().contains(word.as_str().unwrap()))
    });
    assert_eq!(untold, [""; 0], "their texts do not name all of them");
}
