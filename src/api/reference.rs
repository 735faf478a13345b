//! The reference of the resource, as a page for people: each field with what `kubectl explain` says of it. Made from the
//! schema alone, so that it can't say anything else.

use std::fmt::Write;

use serde_json::Value;

use super::crd;

/// What the page begins with.
const HEAD: &str = "# Reference: every field of a ChainlinkNode

Made from the CustomResourceDefinition by `make crds`; `kubectl explain chainlinknode.spec` says the same.
A field in **bold** has to be given.
What the fields mean together is told in [configuration](configuration.md), and what the status says in [status](status.md).
";

/// What is left out: the operator's own memory, which is no API for people.
const OWN: &str = "status.operator";

/// The page, in Markdown.
pub fn reference() -> String {
    let crd = serde_json::to_value(crd()).unwrap_or_default();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        let mut plain = Vec::new();
        let mut sections = Vec::new();
        for field in fields(part, &schema["properties"][part]) {
            if field.path == OWN {
                continue;
            }
            let inner = inside(&field.path, field.schema);
            plain.push(field.row());
            if !inner.is_empty() {
                sections.push((field.path, inner));
            }
        }
        table(&mut page, part, &plain);
        for (path, rows) in sections {
            table(&mut page, &path, &rows);
        }
    }
    page
}

fn table(page: &mut String, of: &str, rows: &[String]) {
    // Writing to a text does not fail.
    let _ = write!(
        page,
        "\n## {of}\n\n| field | type | default | |\n|---|---|---|---|\n{}\n",
        rows.join("\n")
    );
}

struct Field<'a> {
    path: String,
    schema: &'a Value,
    required: bool,
}

/// The fields of an object, or of what a list or a map holds.
fn fields<'a>(path: &str, schema: &'a Value) -> Vec<Field<'a>> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.map(|(name, schema)| Field {
        path: format!("{path}.{name}"),
        schema,
        required: is_required(name),
    });
    // What is there for its refusal alone is no field to be used.
    fields
        .filter(|field| !field.text().starts_with("Never allowed"))
        .collect()
}

/// The rows of all that is inside a field.
fn inside(path: &str, schema: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    let items = format!("{path}[]");
    for (path, schema) in [(path, schema), (&items, &schema["items"])] {
        for field in fields(path, schema) {
            rows.push(field.row());
            rows.extend(inside(&field.path, field.schema));
        }
    }
    rows
}

impl Field<'_> {
    fn text(&self) -> String {
        let text = self.schema["description"].as_str().unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn row(&self) -> String {
        let (text, default) = apart(&self.text());
        let path = &self.path;
        let name = if self.required {
            format!("**`{path}`**")
        } else {
            format!("`{path}`")
        };
        let cells = [name, kind(self.schema), default, text].map(|cell| cell.replace('|', "\\|"));
        format!("| {} |", cells.join(" | "))
    }
}

/// A description, and what it says of the default, which is its last sentence about that.
fn apart(text: &str) -> (String, String) {
    const MARK: &str = "Default: ";
    let Some((before, rest)) = text.split_once(MARK) else {
        return (text.to_owned(), String::new());
    };
    // A sentence ends before a new one; a point inside of a word or a code is none.
    let (default, after) = rest.split_once(". ").unwrap_or((rest, ""));
    let text = format!("{before}{after}");
    (
        text.trim().to_owned(),
        default.trim_end_matches('.').to_owned(),
    )
}

fn kind(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "number or text".to_owned();
    }
    let word = |schema: &Value| match schema["type"].as_str() {
        Some("integer" | "number") => "number",
        Some("string") => "text",
        Some("boolean") => "true or false",
        Some("object") => "object",
        Some("array") => "list",
        _ => "",
    };
    match word(schema) {
        "list" => format!("list of {}", word(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => "map".to_owned(),
        one => one.to_owned(),
    }
}
