//! What is wrong with a manifest, in the words of whoever would refuse it: the API server by the schema and its rules, or
//! the operator. There is no rule here: the schema is the operator's CRD, and the rest its builder's.

mod schema;

use chainlink_operator::api::names::APPLIED_ANNOTATION;
use chainlink_operator::api::{ChainlinkNode, InvalidSchedule, Schedule};
use chainlink_operator::build::{self, ConfigMaps, Resolved};
use chainlink_operator::domain::{Reason, wanted_spec};
use chainlink_operator::report::Wish;
use kube::ResourceExt;
use serde::Serialize;

use crate::manifest::Written;

/// Who says something of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Says {
    /// The API server refuses it.
    ApiServer,
    /// The operator does nothing of it.
    Operator,
    /// The operator waits for what is in none of the files.
    Waits,
    /// The operator does it, and warns.
    Warning,
}

/// One thing that is said of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub says: Says,
    /// The reason of the condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub message: String,
}

/// What is said of one manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Linted {
    pub findings: Vec<Finding>,
    /// What becomes of it, where nothing is refused.
    pub resolved: Option<(ChainlinkNode, Resolved)>,
}

impl Linted {
    /// Whether somebody refuses it; `strict` counts what is waited for.
    pub fn is_refused(&self, strict: bool) -> bool {
        self.findings.iter().any(|finding| match finding.says {
            Says::ApiServer | Says::Operator => true,
            Says::Waits => strict,
            Says::Warning => false,
        })
    }
}

/// Says what is wrong with a manifest, if something is.
pub fn lint(written: &Written, maps: &ConfigMaps) -> Linted {
    lint_over(written, None, maps)
}

/// The same of an edit: what the operator has noted of the resource `before` it stays.
pub fn lint_over(written: &Written, before: Option<&ChainlinkNode>, maps: &ConfigMaps) -> Linted {
    let said = schema::said(&written.document);
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(said.refusals.into_iter().map(|message| Finding {
        says: Says::ApiServer,
        reason: None,
        message,
    }));
    findings.extend(said.untried.into_iter().map(|message| Finding {
        says: Says::Warning,
        reason: None,
        message: format!("a rule of the API server can't be tried here: {message}"),
    }));
    let mut linted = Linted {
        findings,
        resolved: None,
    };
    if linted.is_refused(false) {
        return linted;
    }
    match written.node() {
        Ok(mut node) => {
            if let Some(before) = before {
                keep_notes(&mut node, before);
            }
            let more = by_operator(node, maps);
            linted.findings.extend(more.findings);
            linted.resolved = more.resolved;
        }
        Err(error) => linted.findings.push(Finding {
            says: Says::ApiServer,
            reason: None,
            message: error.to_string(),
        }),
    }
    linted
}

/// An edit leaves the status alone, and the annotation by which the operator notes the applied release, where it names none.
fn keep_notes(node: &mut ChainlinkNode, before: &ChainlinkNode) {
    node.status.clone_from(&before.status);
    if let Some(word) = before.annotations().get(APPLIED_ANNOTATION) {
        let annotations = node.annotations_mut();
        let named = annotations.entry(APPLIED_ANNOTATION.to_owned());
        named.or_insert_with(|| word.clone());
    }
}

/// What the operator says of a resource that the API server has taken.
pub fn by_operator(node: ChainlinkNode, maps: &ConfigMaps) -> Linted {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let mut findings = Vec::new();
    let resolved = wanted_spec(&node).and_then(|spec| build::resolve(name, &spec, maps));
    let resolved = match resolved {
        Ok(resolved) => {
            findings.extend(resolved.warnings.iter().map(|message| Finding {
                says: Says::Warning,
                reason: Some(Reason::SettingOverridden.to_string()),
                message: message.clone(),
            }));
            Some(resolved)
        }
        Err(problem) => {
            findings.push(Finding {
                says: if problem.missing {
                    Says::Waits
                } else {
                    Says::Operator
                },
                reason: Some(problem.reason.to_string()),
                message: problem.message,
            });
            None
        }
    };
    if let Err(error) = schedules(&node) {
        findings.push(Finding {
            says: Says::Operator,
            reason: Some(Reason::ScheduleInvalid.to_string()),
            message: error.to_string(),
        });
    }
    if let Some(Err(message)) = node.spec.updates.as_ref().map(|_| Wish::read(&node.spec)) {
        findings.push(Finding {
            says: Says::Warning,
            reason: Some(Reason::UpdatesInvalid.to_string()),
            message,
        });
    }
    Linted {
        findings,
        resolved: resolved.map(|resolved| (node, resolved)),
    }
}

/// All schedules of a spec can be read.
fn schedules(node: &ChainlinkNode) -> Result<(), InvalidSchedule> {
    let handover = node.spec.handover.iter();
    let windows = handover
        .flat_map(|handover| &handover.windows)
        .map(|window| (&window.schedule, window.time_zone.as_deref()));
    let drill = node.spec.drill.iter();
    let drill = drill.map(|drill| (&drill.schedule, drill.time_zone.as_deref()));
    for (schedule, zone) in windows.chain(drill) {
        Schedule::parse(schedule, zone)?;
    }
    Ok(())
}
