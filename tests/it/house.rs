//! The walls between the rooms of src, held: who may import whom, and no circle between files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::golden::repository;

/// Each room, and the rooms that it may import. What is not named here stands above all of them: `controller`, `main`.
const ROOMS: [(&str, &[&str]); 11] = [
    ("api", &[]),
    ("node", &[]),
    ("domain", &["api", "node"]),
    ("mutex", &[]),
    ("cluster", &["api", "mutex"]),
    ("leader", &["cluster"]),
    ("observe", &["mutex", "cluster", "domain", "node", "api"]),
    ("plan", &["domain", "node", "api"]),
    ("build", &["domain", "node", "api"]),
    (
        "act",
        &[
            "leader", "plan", "build", "cluster", "domain", "node", "api",
        ],
    ),
    ("report", &["plan", "domain", "node", "api"]),
];

/// The floors of the planner, from the ground. A file imports from its own floor and from those below it; src/plan/mod.rs,
/// the page above them all, says the same in words.
const FLOORS: [&[&str]; 11] = [
    &["limits", "safety", "cause", "step", "standing", "given"],
    &["evidence"],
    &["doubts"],
    &["roles"],
    &["view"],
    &["neighbours"],
    &["guard"],
    &["acts", "decision"],
    &["places", "labels", "moves"],
    &["rules"],
    &["decide", "remember", "ask", "confirm", "timed"],
];

/// What a room without a client, a clock or a Kubernetes type must not name.
const OUTSIDE: [(&str, &[&str]); 5] = [
    (
        "node",
        &["kube::", "k8s_openapi::", "tokio::", "Timestamp::now"],
    ),
    (
        "domain",
        &["kube::", "k8s_openapi::", "tokio::", "Timestamp::now"],
    ),
    (
        "plan",
        &["kube::", "k8s_openapi::", "tokio::", "Timestamp::now"],
    ),
    (
        "build",
        &["kube::Client", "kube::api", "tokio::", "Timestamp::now"],
    ),
    (
        "report",
        &["kube::Client", "kube::api", "tokio::", "Timestamp::now"],
    ),
];

/// One file of src, without its comments and tests.
struct File {
    /// Its module: `plan::guard::permit`.
    module: Vec<String>,
    path: PathBuf,
    /// Each line of code, with its number.
    lines: Vec<(usize, String)>,
}

impl File {
    fn read(path: &Path, source: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("\nmod tests {").next().unwrap();
        let lines = code.lines().enumerate();
        let lines = lines.map(|(number, line)| (number + 1, line.trim().to_owned()));
        let parts = path.strip_prefix(source).unwrap().with_extension("");
        let module = parts.iter().map(|part| part.to_str().unwrap().to_owned());
        Self {
            module: module
                .filter(|part| part != "mod" && part != "lib")
                .collect(),
            path: path
                .strip_prefix(source.parent().unwrap())
                .unwrap()
                .to_owned(),
            lines: lines.filter(|(_, line)| !line.starts_with("//")).collect(),
        }
    }

    fn room(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// Every name that a `use` brings in as a path from the crate's root, with its line; and whether that is `pub`.
    fn uses(&self) -> Vec<(usize, bool, Vec<String>)> {
        let mut found = Vec::new();
        let mut open: Option<(usize, bool, String)> = None;
        for (number, line) in &self.lines {
            if open.is_none() {
                let public = line.starts_with("pub");
                let begins = line.strip_prefix("use ").or_else(|| {
                    let (before, rest) = line.split_once(" use ")?;
                    before.starts_with("pub").then_some(rest)
                });
                open = begins.map(|_| (*number, public, String::new()));
            }
            let Some((at, public, mut text)) = open.take() else {
                continue;
            };
            text.push_str(line);
            if !line.ends_with(';') {
                open = Some((at, public, text));
                continue;
            }
            let tree = text.split_once("use ").unwrap().1.trim_end_matches(';');
            for path in flat(tree) {
                let names = path.split("::").map(str::trim);
                let names = names.map(|name| name.split(" as ").next().unwrap().to_owned());
                found.extend(self.rooted(names.collect()).map(|path| (at, public, path)));
            }
        }
        found
    }

    /// A path from the root of the crate, if it is one of the crate.
    fn rooted(&self, names: Vec<String>) -> Option<Vec<String>> {
        let mut here = self.module.clone();
        let mut rest = names.into_iter().peekable();
        match rest.next()?.as_str() {
            "crate" => here.clear(),
            "self" => {}
            "super" => {
                here.pop();
                while rest.next_if(|name| name == "super").is_some() {
                    here.pop();
                }
            }
            // A module below this one, as `pub use permit::Permit`.
            first => here.push(first.to_owned()),
        }
        Some(here.into_iter().chain(rest).collect())
    }
}

/// The single paths of `a::{b, c::{d, e}}`.
fn flat(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.trim().to_owned()];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(letter);
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| flat(part.trim()))
        .map(|path| format!("{}{path}", before.trim()))
        .collect()
}

fn read(folder: &Path, source: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            read(&path, source, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(File::read(&path, source));
        }
    }
}

fn source() -> Vec<File> {
    let source = repository("src");
    let mut files = Vec::new();
    read(&source, &source, &mut files);
    assert!(files.len() > 100, "the files were not found");
    files
}

#[test]
fn a_room_imports_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for file in source() {
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == file.room()) else {
            continue;
        };
        let outside = OUTSIDE.iter().find(|(room, _)| *room == file.room());
        for (number, line) in &file.lines {
            let at = format!("{}:{number}", file.path.display());
            for rest in line.split("crate::").skip(1) {
                let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                let room: String = rest.chars().take_while(|letter| word(*letter)).collect();
                let known = ROOMS.iter().any(|(other, _)| *other == room) || room == "controller";
                if known && room != file.room() && !allowed.contains(&room.as_str()) {
                    wrong.push(format!("{at} imports {room}"));
                }
            }
            let words = outside.iter().flat_map(|(_, words)| words.iter());
            let named = words.filter(|word| line.contains(**word));
            wrong.extend(named.map(|word| format!("{at} names {word}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The floor of the planner that a module stands on.
fn floor(module: &[String]) -> Option<usize> {
    let [room, name, ..] = module else {
        return None;
    };
    let on = |names: &&[&str]| names.contains(&name.as_str());
    (room == "plan").then(|| FLOORS.iter().position(on))?
}

#[test]
fn a_file_of_the_planner_imports_only_from_its_floor_and_below() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in source() {
        let Some(here) = floor(&file.module) else {
            let page = file.module == ["plan"];
            let in_plan = file.room() == "plan";
            assert!(
                !in_plan || page,
                "{} stands on no floor",
                file.path.display()
            );
            continue;
        };
        for (number, _, path) in file.uses() {
            if path.first().is_none_or(|room| room != "plan") {
                continue;
            }
            seen += 1;
            if floor(&path).is_none_or(|there| there > here) {
                let at = format!("{}:{number}", file.path.display());
                wrong.push(format!("{at} imports {}, from above", path.join("::")));
            }
        }
    }
    assert!(seen > 100, "the imports were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_the_planner_tells_its_floors() {
    let page = fs::read_to_string(repository("src/plan/mod.rs")).unwrap();
    let told = page
        .split_once("//! The floors, from the ground: ")
        .unwrap();
    let told = told.1.split_once("and this page").unwrap().0;
    let names: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, FLOORS.concat());
}

#[test]
fn the_questions_to_a_view_stand_in_one_file() {
    let view = Path::new("src/plan/view.rs");
    let files = source();
    let with = |file: &&File| file.lines.iter().any(|(_, line)| line.contains("&View<"));
    let opens = |file: &&File| {
        let mut lines = file.lines.iter();
        lines.any(|(_, line)| line.starts_with("impl") && line.contains("View<"))
    };
    assert!(
        files.iter().filter(with).count() > 10,
        "who takes a View was not found"
    );
    let places: Vec<_> = files.iter().filter(opens).map(|file| &file.path).collect();
    assert_eq!(places, [view]);
}

/// Which file a name stands in: a re-export leads on.
fn home(
    path: &[String],
    modules: &BTreeMap<Vec<String>, usize>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Option<usize> {
    let mut path = path.to_vec();
    for _ in 0..8 {
        match exports.get(&path) {
            Some(next) if *next != path => path.clone_from(next),
            _ => break,
        }
    }
    while !path.is_empty() {
        if let Some(file) = modules.get(&path) {
            return Some(*file);
        }
        path.pop();
    }
    None
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = source();
    let modules: BTreeMap<Vec<String>, usize> = files
        .iter()
        .enumerate()
        .map(|(number, file)| (file.module.clone(), number))
        .collect();
    let mut exports = BTreeMap::new();
    for file in &files {
        for (_, public, path) in file.uses() {
            if let Some(name) = path.last().filter(|_| public) {
                let named = [file.module.as_slice(), std::slice::from_ref(name)].concat();
                exports.insert(named, path);
            }
        }
    }
    let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for (_, public, path) in file.uses() {
            // What a room shows of its files is no use of them.
            if let Some(to) = home(&path, &modules, &exports).filter(|to| *to != number && !public)
            {
                edges.entry(number).or_default().insert(to);
            }
        }
    }
    assert!(edges.len() > 100, "the imports were not found");
    // Whoever imports nobody that is left, or is imported by nobody that is left, is in no circle, and is taken away.
    let mut left: BTreeSet<usize> = (0..files.len()).collect();
    loop {
        let imports = |file: usize| edges.get(&file).is_some_and(|to| !to.is_disjoint(&left));
        let imported = |file: usize| {
            let mut others = left.iter();
            others.any(|other| edges.get(other).is_some_and(|to| to.contains(&file)))
        };
        let in_circle = |file: &usize| imports(*file) && imported(*file);
        let still: BTreeSet<usize> = left.iter().copied().filter(in_circle).collect();
        if still.len() == left.len() {
            break;
        }
        left = still;
    }
    let told: Vec<String> = left
        .iter()
        .map(|file| {
            let used = edges[file].intersection(&left);
            let used: Vec<_> = used
                .map(|to| files[*to].path.display().to_string())
                .collect();
            format!(
                "{} imports {}",
                files[*file].path.display(),
                used.join(", ")
            )
        })
        .collect();
    assert!(
        told.is_empty(),
        "in a circle, or between two:\n{}",
        told.join("\n")
    );
}
