//! What the operator is built from, held against deny.toml. That file is in cargo-deny's form; here its table of licences,
//! bans and sources is checked by cargo alone, without the minutes that cargo-deny takes to build.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::golden::repository;

#[derive(Deserialize)]
struct Deny {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
    allow_git: BTreeSet<String>,
}

fn deny() -> Deny {
    let text = std::fs::read_to_string(repository("deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// Every crate that is locked, for whichever platform: name, version and source.
fn locked() -> Vec<toml::Table> {
    let text = std::fs::read_to_string(repository("Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&text).unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    let packages: Vec<_> = packages
        .map(|one| one.as_table().unwrap().clone())
        .collect();
    assert!(packages.len() > 200, "the crates were not found");
    packages
}

/// The crates that are built for the platforms of deny.toml, as cargo tells of them.
fn built(deny: &Deny) -> Vec<Value> {
    let platforms = deny.graph.targets.iter();
    let platforms = platforms.flat_map(|target| ["--filter-platform", target]);
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(platforms)
        .current_dir(repository(""))
        .output()
        .unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let nodes = told["resolve"]["nodes"].as_array().unwrap().iter();
    let used: BTreeSet<&str> = nodes.filter_map(|node| node["id"].as_str()).collect();
    let packages = told["packages"].as_array().unwrap().iter();
    let built: Vec<Value> = packages
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect();
    assert!(built.len() > 200, "the crates were not found");
    built
}

/// The licences of an SPDX expression by which it is permitted, or none where it is not. An exception belongs to its licence.
fn permitted<'a>(expression: &'a str, allow: &BTreeSet<String>) -> Option<Vec<&'a str>> {
    let expression = expression.trim();
    if let Some((one, other)) = split(expression, &[" OR ", "/"]) {
        return permitted(one, allow).or_else(|| permitted(other, allow));
    }
    if let Some((one, other)) = split(expression, &[" AND "]) {
        let mut both = permitted(one, allow)?;
        both.extend(permitted(other, allow)?);
        return Some(both);
    }
    if let Some(inner) = expression.strip_prefix('(') {
        return permitted(inner.strip_suffix(')')?, allow);
    }
    allow.contains(expression).then(|| vec![expression])
}

/// At the first of these words that stands outside of all parentheses.
fn split<'a>(expression: &'a str, words: &[&str]) -> Option<(&'a str, &'a str)> {
    let mut depth = 0;
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        let rest = &expression[at..];
        if let Some(word) = words
            .iter()
            .find(|word| depth == 0 && rest.starts_with(**word))
        {
            return Some((&expression[..at], &rest[word.len()..]));
        }
    }
    None
}

#[test]
fn every_crate_is_under_a_licence_that_deny_toml_allows() {
    let deny = deny();
    let mut needed = BTreeSet::new();
    for package in built(&deny) {
        let (name, licence) = (&package["name"], package["license"].as_str());
        let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
        let permitted = permitted(licence, &deny.licenses.allow);
        let permitted = permitted.unwrap_or_else(|| panic!("{name} is under {licence}"));
        needed.extend(permitted.into_iter().map(str::to_owned));
    }
    assert_eq!(needed, deny.licenses.allow, "no crate needs the others");
}

#[test]
fn an_expression_of_licences_is_read_as_spdx_means_it() {
    let allow: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "GPL-3.0 AND Zlib OR ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(permitted(good, &allow).is_some(), "{good}");
    }
    for bad in [
        "",
        "Apache-2.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT WITH Classpath-exception-2.0",
    ] {
        assert!(permitted(bad, &allow).is_none(), "{bad}");
    }
}

#[test]
fn no_crate_is_locked_that_deny_toml_bans() {
    let banned = deny().bans.deny;
    assert!(banned.len() > 3, "the bans were not found");
    for package in locked() {
        let name = package["name"].as_str().unwrap();
        if let Some(ban) = banned.iter().find(|ban| ban.name == name) {
            panic!("{name} is banned: {}", ban.reason);
        }
    }
}

#[test]
fn every_crate_comes_from_where_deny_toml_says() {
    let sources = deny().sources;
    for package in locked() {
        // The members of the workspace have none.
        let Some(source) = package.get("source").and_then(toml::Value::as_str) else {
            continue;
        };
        let known = match source.split_once('+') {
            Some(("registry", url)) => sources.allow_registry.contains(url),
            Some(("git", url)) => {
                let url = url.split(['?', '#']).next().unwrap();
                sources.allow_git.contains(url)
            }
            _ => false,
        };
        assert!(known, "{} comes from {source}", package["name"]);
        let sum = package.get("checksum");
        assert!(sum.is_some(), "{} has no checksum", package["name"]);
    }
}

#[test]
fn no_dependency_of_ours_takes_any_version() {
    let deny = deny();
    let members = built(&deny)
        .into_iter()
        .filter(|one| one["source"].is_null());
    let mut seen = 0;
    for member in members {
        for dependency in member["dependencies"].as_array().unwrap() {
            let named = !dependency["path"].is_null();
            let any = dependency["req"] == "*";
            assert!(
                named || !any,
                "{} of {}",
                dependency["name"],
                member["name"]
            );
            seen += 1;
        }
    }
    assert!(seen > 30, "the dependencies were not found");
}
