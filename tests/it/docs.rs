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

/// The arguments of each call that begins with a mark.
fn calls<'a>(code: &'a str, mark: &str) -> Vec<&'a str> {
    let begins = code.match_indices(mark).map(|(at, _)| at + mark.len());
    let end = |begin: usize| {
        let (mut depth, mut quoted, mut escaped) = (1, false, false);
        let inside = code[begin..].char_indices().find(|(_, letter)| {
            match letter {
                _ if escaped => {}
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            escaped = quoted && !escaped && *letter == '\\';
            depth == 0
        });
        &code[begin..begin + inside.expect("it ends").0]
    };
    begins.map(end).collect()
}

/// The texts that stand in quotes, each with `…` in place of what differs. One without a word is no text.
fn texts(arguments: &str) -> Vec<String> {
    let (mut texts, mut text, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = arguments.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => text.extend(letters.next()),
            '"' if quoted => texts.push(std::mem::take(&mut text)),
            _ if quoted => text.push(letter),
            _ => {}
        }
        quoted ^= letter == '"';
    }
    let told = texts.into_iter().map(|text| {
        let parts = text.split(['{', '}']).enumerate();
        let parts = parts.map(|(index, part)| if index % 2 == 1 { "…" } else { part });
        parts.collect::<String>()
    });
    told.filter(|text| text.contains(char::is_alphabetic))
        .collect()
}

/// What a table of docs/messages.md explains: the texts of its first column.
fn told_in_messages(headline: &str) -> Vec<String> {
    let page = text("docs/messages.md");
    let part = page.split_once(&format!("\n## {headline}\n")).unwrap().1;
    let part = part.split("\n## ").next().unwrap();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let texts = cells.flat_map(|cell| cell.split('`').step_by(2).map(str::to_owned));
    texts.filter(|text| !text.is_empty()).collect()
}

#[test]
fn every_warning_of_the_log_and_every_error_of_the_plugin_is_told_with_what_to_do() {
    let (mut operator, mut plugin) = (String::new(), String::new());
    rust(&repository("src"), &mut operator);
    rust(&repository("kubectl-chainlink/src"), &mut plugin);
    let evidence = text("src/plan/evidence.rs");
    let last = |call: &&str| texts(call).pop();
    let first = |call: &&str| texts(call).into_iter().next();
    let of = |code: &str, marks: &[&str], text: &dyn Fn(&&str) -> Option<String>| {
        let calls = marks.iter().flat_map(|mark| calls(code, mark));
        calls
            .filter_map(|call| text(&call))
            .collect::<Vec<String>>()
    };
    let mut log = of(&operator, &["warn!(", "error!(", "again!("], &last);
    let lines = calls(&operator, "line!(").into_iter();
    let warns = lines.filter(|call| call.trim_start().starts_with("warn,"));
    log.extend(warns.filter_map(|call| last(&call)));
    for (headline, said, code, least) in [
        ("The operator's log", log, &operator, 15),
        (
            "What the database contradicts",
            of(&evidence, &["Contradicts(format!("], &first),
            &evidence,
            8,
        ),
        (
            "kubectl chainlink",
            of(&plugin, &["#[error(", "Asked(format!("], &first),
            &plugin,
            10,
        ),
    ] {
        assert!(said.len() >= least, "{headline}: not found: {said:#?}");
        let told = told_in_messages(headline);
        let missing: Vec<_> = said.iter().filter(|said| !told.contains(said)).collect();
        assert!(
            missing.is_empty(),
            "docs/messages.md, {headline}: {missing:#?}"
        );
        // What nobody says any more is explained no more; the last one is the system's.
        for part in told.iter().flat_map(|told| told.split('…')) {
            let known = code.contains(part) || part == ": Address already in use";
            assert!(known, "nobody says: {part}");
        }
    }
}

#[test]
fn a_table_of_words_says_of_each_what_to_do() {
    let mut seen = 0;
    for page in ["docs/status.md", "docs/database.md", "docs/messages.md"] {
        let text = text(page);
        let mut head = None;
        for line in text.lines() {
            if !line.starts_with('|') {
                head = None;
                continue;
            }
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let last = *cells.last().unwrap();
            match head {
                None => head = Some((cells.len(), last)),
                Some((columns, "what to do")) => {
                    seen += 1;
                    let says = cells.len() == columns && last.contains(char::is_alphabetic);
                    assert!(says || last.starts_with("---"), "{page}: {line}");
                }
                Some(_) => {}
            }
        }
    }
    assert!(seen > 150, "the tables were not found: {seen}");
}

#[test]
fn the_versions_that_are_known_are_told_as_the_code_knows_them() {
    let table = chainlink_operator::node::supported::table();
    assert!(table.lines().count() > 6, "{table}");
    let page = text("docs/versions.md");
    assert!(page.contains(&table), "docs/versions.md has not:\n{table}");
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

/// All pages for people, by their paths.
fn pages() -> Vec<String> {
    let docs = ["docs", "docs/runbooks"].into_iter().flat_map(|folder| {
        let entries = std::fs::read_dir(repository(folder)).unwrap();
        entries
            .map(move |entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()))
    });
    let docs = docs.filter(|path| Path::new(path).extension().is_some_and(|end| end == "md"));
    let others = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "charts/chainlink-operator/README.md",
        "examples/argocd/README.md",
    ];
    let mut pages: Vec<String> = docs.chain(others.map(str::to_owned)).collect();
    pages.sort();
    assert!(pages.len() > 20, "the pages were not found");
    pages
}

/// The fenced blocks of a language, each with the page that it stands in. One may be a part of a list.
fn blocks(language: &str) -> Vec<(String, String)> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    for page in pages() {
        let text = text(&page);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim_start() != fence {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or("")).collect();
            found.push((page.clone(), block.join("\n") + "\n"));
        }
    }
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

/// What of a part of a spec the schema does not take: what is missing may stand elsewhere.
fn unfit_part(value: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    unfit("spec", value, schema, &mut found);
    found.retain(|one| !one.contains(" lacks "));
    found
}

fn schema_of_a_spec() -> Value {
    let crd: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn every_resource_that_a_page_shows_is_one() {
    let schema = schema_of_a_spec();
    let (mut whole, mut parts) = (0, 0);
    for (page, block) in blocks("yaml") {
        for document in documents(&block) {
            if document["kind"] == "ChainlinkNode" {
                let mut found = Vec::new();
                unfit("spec", &document["spec"], &schema, &mut found);
                assert_eq!(found, [""; 0], "{page}:\n{block}");
                let (node, maps) = manifest(&document.to_string());
                let made = build::resolve("shown", &node.spec, &maps);
                let made =
                    made.unwrap_or_else(|problem| panic!("{page}: {}\n{block}", problem.message));
                assert_eq!(made.warnings, [""; 0], "{page}:\n{block}");
                whole += 1;
            } else if document["kind"].is_null() {
                let spec = document.get("spec").unwrap_or(&document);
                assert_eq!(unfit_part(spec, &schema), [""; 0], "{page}:\n{block}");
                parts += 1;
            } else {
                assert!(document["apiVersion"].is_string(), "{page}:\n{block}");
            }
        }
    }
    assert!(
        whole > 6 && parts > 0,
        "{whole}, {parts}: the blocks were not found"
    );
}

/// The commands of a block: a line that ends with a backslash goes on, and one may hold several.
fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .flat_map(|line| {
            let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
            let (mut quote, mut depth, mut before) = (None, 0, ' ');
            for letter in line.chars() {
                match (letter, quote) {
                    ('(', _) if before == '$' => depth += 1,
                    (')', _) if depth > 0 => depth -= 1,
                    ('\'' | '"', None) if depth == 0 => quote = Some(letter),
                    (_, Some(open)) if letter == open && before != '\\' && depth == 0 => {
                        quote = None;
                    }
                    (' ', None) if depth == 0 => words.push(std::mem::take(&mut word)),
                    _ => word.push(letter),
                }
                before = letter;
            }
            assert!(quote.is_none() && depth == 0, "it does not end: {line}");
            words.push(word);
            words.retain(|word| !word.is_empty());
            // What follows a mark on its own is a comment.
            let comment = words.iter().position(|word| word == "#");
            words.truncate(comment.unwrap_or(words.len()));
            for command in words.split(|word| ["&&", "|", ";"].contains(&word.as_str())) {
                commands.push(command.to_vec());
            }
            commands
        })
        .collect()
}

/// The verbs that pages use, of programs that others have written.
const VERBS: [(&str, &[&str]); 4] = [
    (
        "kubectl",
        &[
            "annotate",
            "apply",
            "chainlink",
            "config",
            "cordon",
            "create",
            "delete",
            "describe",
            "drain",
            "events",
            "exec",
            "get",
            "label",
            "logs",
            "patch",
            "port-forward",
            "rollout",
            "scale",
            "uncordon",
            "wait",
        ],
    ),
    (
        "helm",
        &[
            "get",
            "install",
            "lint",
            "rollback",
            "template",
            "test",
            "uninstall",
            "upgrade",
        ],
    ),
    ("docker", &["build", "cp", "push", "run", "stop"]),
    ("kind", &["create", "delete", "load"]),
];

/// Programs whose arguments say nothing of this project.
const OTHERS: [&str; 7] = [
    "base64", "chmod", "cosign", "git", "install", "openssl", "rm",
];

/// What is wrong with a command, as far as this project can tell.
fn wrong(command: &[String], schema: &Value, values: &Value) -> Vec<String> {
    let (program, arguments) = command.split_first().unwrap();
    if program == "make" {
        let targets = text("Makefile");
        let unknown =
            |name: &&String| !name.contains('=') && !targets.contains(&format!("\n{name}:"));
        return arguments
            .iter()
            .filter(unknown)
            .map(|name| format!("make {name}"))
            .collect();
    }
    if OTHERS.contains(&program.as_str()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let Some((_, verbs)) = VERBS.iter().find(|(known, _)| known == program) else {
        return vec![format!("{program} is not known")];
    };
    // Options of the program itself come before the verb, each with its value.
    let mut words = arguments.iter();
    let mut verb = words.next();
    while verb.is_some_and(|word| word.starts_with("--")) {
        if verb.is_some_and(|word| !word.contains('=')) {
            words.next();
        }
        verb = words.next();
    }
    if verb.is_none_or(|verb| !verbs.contains(&verb.as_str())) {
        found.push(format!("{program} has no {verb:?}"));
    }
    if verb.is_some_and(|verb| verb == "chainlink") {
        found.extend(no_verb_of_the_plugin(words.next()));
    }
    for (index, word) in arguments.iter().enumerate() {
        let before = index
            .checked_sub(1)
            .map_or("", |index| arguments[index].as_str());
        if before == "--set" {
            for (name, _) in word.split(',').filter_map(|pair| pair.split_once('=')) {
                let value = name.split('.').fold(values, |value, key| &value[key]);
                if value.is_null() && !name.ends_with("podAntiAffinity") {
                    found.push(format!("the chart has no value {name}"));
                }
            }
        }
        let inline = word.strip_prefix("--patch=");
        let patch = if before == "--patch" || before == "-p" {
            Some(word.as_str())
        } else {
            inline
        };
        if let Some(patch) = patch.filter(|_| program == "kubectl") {
            let patch: Value = serde_json::from_str(&patch.replace('\\', "")).unwrap_or_default();
            if patch.get("spec").is_none() {
                found.push(format!("{word} is no patch of a spec"));
            }
            found.extend(unfit_part(&patch["spec"], schema));
        }
        let key = word.split_once('=').map_or(word.as_str(), |(key, _)| key);
        let ours = key.strip_prefix("chainlink-operator.dev/");
        let api = text("src/api/names.rs")
            + &text("charts/chainlink-operator/templates/deletion-protection.yaml");
        if ours.is_some() && !api.contains(&format!("\"{key}\"")) {
            found.push(format!("nothing is called {key}"));
        }
        if (before == "-f" || before == "--filename" || before == "--patch-file")
            && word.contains('/')
            && !word.contains("://")
            && !repository(word).exists()
        {
            found.push(format!("there is no {word}"));
        }
    }
    found
}

/// What is no verb of kubectl's plugin, which names them on its command line.
fn no_verb_of_the_plugin(word: Option<&String>) -> Option<String> {
    let verbs = text("kubectl-chainlink/src/args.rs");
    let verbs = verbs.split_once("pub enum Verb {").unwrap().1;
    let verbs = verbs.split_once("\n}").unwrap().0.to_lowercase();
    let word = word.map_or("", String::as_str);
    let known = word == "--help" || verbs.contains(&format!("\n    {word}("));
    (!known).then(|| format!("the plugin has no {word:?}"))
}

#[test]
fn every_command_that_a_page_shows_can_be_given() {
    let schema = schema_of_a_spec();
    let values = serde_saphyr::from_str(&text("charts/chainlink-operator/values.yaml")).unwrap();
    let (mut seen, mut found) = (0, Vec::new());
    for (page, block) in blocks("sh") {
        for command in commands(&block) {
            seen += 1;
            let wrong = wrong(&command, &schema, &values).into_iter();
            found.extend(wrong.map(|what| format!("{page}: {what}: {}", command.join(" "))));
        }
    }
    assert!(seen > 40, "{seen}: the commands were not found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_command_that_can_not_be_given_is_found() {
    let schema = schema_of_a_spec();
    let values = serde_saphyr::from_str(&text("charts/chainlink-operator/values.yaml")).unwrap();
    for (line, what) in [
        ("kubectl aply -f x.yaml", "has no"),
        ("kubectl apply -f examples/nowhere.yaml", "there is no"),
        (
            "helm upgrade x charts/y --set nodeLimit.enabled=true",
            "no value nodeLimit.enabled",
        ),
        (
            "kubectl annotate cln x chainlink-operator.dev/switch=1",
            "nothing is called",
        ),
        (
            r#"kubectl patch cln x --type merge --patch '{"spec":{"verson":"2"}}'"#,
            "verson is not known",
        ),
        ("make nothing", "make nothing"),
        ("kubctl get pods | base64 -d", "kubctl is not known"),
    ] {
        let commands = commands(line);
        let found: Vec<String> = commands
            .iter()
            .flat_map(|one| wrong(one, &schema, &values))
            .collect();
        assert!(found.concat().contains(what), "{line}: {found:?}");
    }
}

/// The address of a headline, as GitHub makes it.
fn anchor(headline: &str) -> String {
    let text = headline.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages() {
        let folder = Path::new(&page).parent().unwrap().to_owned();
        let text_of_page = text(&page);
        for link in text_of_page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                PathBuf::from(&page)
            } else {
                folder.join(path)
            };
            let there = repository(target.to_str().unwrap());
            if !there.exists() {
                found.push(format!("{page}: {link}"));
            } else if !place.is_empty() {
                let text = std::fs::read_to_string(&there).unwrap();
                let mut headlines = text.lines().filter(|line| line.starts_with('#'));
                if !headlines.any(|line| anchor(line) == place) {
                    found.push(format!("{page}: {link}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_page_is_named_in_the_index() {
    let index = text("docs/README.md");
    let first = text("README.md");
    assert!(first.contains("(docs/README.md)"));
    for entry in std::fs::read_dir(repository("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let named =
            index.contains(&format!("({name})")) || first.contains(&format!("(docs/{name})"));
        assert!(named, "docs/README.md does not name {name}");
    }
}

/// Where on a line of a page another sentence begins: after its end, by a capital letter, as text, a link or in bold.
fn second_sentence(line: &str) -> Option<&str> {
    let marks = ["**", "[", "`", "("];
    line.match_indices(['.', '!', '?']).find_map(|(at, _)| {
        let before = &line[..at];
        let in_code = before.matches('`').count() % 2 == 1;
        let is_number = before.trim_start().chars().all(|one| one.is_ascii_digit());
        let after = line[at + 1..].trim_start_matches(['*', ')']);
        let next = after.strip_prefix(' ')?;
        let next = marks
            .iter()
            .fold(next, |next, mark| next.strip_prefix(mark).unwrap_or(next));
        let begins = next.starts_with(|one: char| one.is_ascii_uppercase());
        (!in_code && !is_number && begins).then_some(&line[at..])
    })
}

#[test]
fn a_line_of_a_page_holds_one_sentence() {
    let shared = ["One. Two.", "* **One.** Two.", "Is it? [It is](a.md)."];
    assert!(shared.iter().all(|line| second_sentence(line).is_some()));
    let own = ["1. One.", "One `a. B` two.", "From 1.13 on."];
    assert!(own.iter().all(|line| second_sentence(line).is_none()));

    for page in pages().into_iter().filter(|page| page.starts_with("docs/")) {
        let mut in_block = false;
        for (number, line) in text(&page).lines().enumerate() {
            in_block ^= line.trim_start().starts_with("```");
            let is_text = !in_block && !line.starts_with(['|', '#']) && !line.starts_with("    ");
            let second = if is_text { second_sentence(line) } else { None };
            assert_eq!(second, None, "{page}:{}", number + 1);
        }
    }
}
