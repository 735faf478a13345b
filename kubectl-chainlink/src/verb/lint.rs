//! `lint -f`: what the API server and the operator would refuse in manifests.

use std::path::PathBuf;

use serde::Serialize;

use crate::args::Lint;
use crate::end::End;
use crate::failure::Failure;
use crate::lint::{Finding, Says, lint};
use crate::manifest::Manifests;
use crate::out::{Out, Tone, Word};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    file: String,
    name: String,
    refused: bool,
    findings: Vec<Finding>,
}

pub fn run(asked: &Lint, out: &mut Out) -> Result<End, Failure> {
    let manifests = Manifests::read(&asked.files)?;
    let rows: Vec<Row> = manifests
        .nodes
        .iter()
        .map(|written| {
            let linted = lint(written, &manifests.maps(written.namespace.as_deref()));
            Row {
                file: written.file.clone(),
                name: written.name.clone(),
                refused: linted.is_refused(asked.strict),
                findings: linted.findings,
            }
        })
        .collect();
    if rows.is_empty() {
        return Err(no_node_in(&asked.files));
    }
    out.show(&rows, |out| {
        for row in &rows {
            let (word, tone) = match (row.refused, row.findings.is_empty()) {
                (true, _) => ("refused", Tone::Bad),
                (false, true) => ("fine", Tone::Good),
                (false, false) => ("taken", Tone::Waits),
            };
            let place = format!("{}: {}: ", row.file, row.name);
            out.line(&[place.into(), Word::new(word, tone)])?;
            show_findings(&row.findings, out)?;
        }
        Ok(())
    })?;
    let refused = rows.iter().any(|row| row.refused);
    Ok(if refused { End::No } else { End::Done })
}

/// Files that were named, and hold nothing to look at.
pub fn no_node_in(files: &[PathBuf]) -> Failure {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Failure::Asked(format!("there is no ChainlinkNode in {}", files.join(", ")))
}

/// One line each.
pub fn show_findings(findings: &[Finding], out: &mut Out) -> std::io::Result<()> {
    findings.iter().try_for_each(|finding| {
        out.line(&[format!("  {}: {}", by(finding), finding.message).into()])
    })
}

/// Who says it.
fn by(finding: &Finding) -> String {
    let who = match finding.says {
        Says::ApiServer => "the API server refuses it",
        Says::Operator => "the operator refuses it",
        Says::Waits => "the operator waits",
        Says::Warning => "the operator warns",
    };
    match &finding.reason {
        Some(reason) => format!("{who} ({reason})"),
        None => who.to_owned(),
    }
}
