//! `diff -f`: what an edit leads to. Whether pods are replaced is decided as the operator decides it: by whether the two specs
//! make the same revision.

use std::collections::BTreeSet;

use chainlink_operator::api::names::{APPROVED_ANNOTATION, RESTORED_ANNOTATION};
use chainlink_operator::api::{Approval, ChainlinkNode, RevisionName, Schedule};
use chainlink_operator::build::{self, ConfigMaps, Resolved};
use chainlink_operator::domain::{Approved, Reason};
use chainlink_operator::node::NodeVersion;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use serde::Serialize;

use super::lint::{no_node_in, show_findings};
use crate::args::Diff;
use crate::cluster::annotation;
use crate::connect::Session;
use crate::end::End;
use crate::failure::{Doing, Failure};
use crate::lint::{Finding, by_operator, lint_over};
use crate::manifest::{Manifests, Written};
use crate::out::{Out, Tone, Word};

/// What an edit of one node leads to.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    file: String,
    name: String,
    refused: bool,
    /// Whether running pods are replaced.
    rolls_pods: bool,
    needs_approval: bool,
    /// What differs in what pods are made from.
    changed: Vec<String>,
    effects: Vec<String>,
    findings: Vec<Finding>,
}

/// A node before the edit, and the ConfigMaps that it saw.
struct Before {
    node: ChainlinkNode,
    maps: ConfigMaps,
}

pub fn offline(asked: &Diff, out: &mut Out) -> Result<End, Failure> {
    let after = Manifests::read(&asked.files)?;
    let before = Manifests::read(&asked.against)?;
    let edits = after.nodes.iter().map(|written| {
        let same = |one: &&Written| one.name == written.name && one.namespace == written.namespace;
        let node = before
            .nodes
            .iter()
            .find(same)
            .map(Written::node)
            .transpose();
        let node = node.map_err(|error| Failure::File {
            path: written.file.clone(),
            problem: format!("{} before the edit: {error}", written.name),
        })?;
        let maps = |all: &Manifests| all.maps(written.namespace.as_deref());
        let before = node.map(|node| Before {
            node,
            maps: maps(&before),
        });
        Ok(edit(
            written,
            &maps(&after),
            before.as_ref(),
            Timestamp::now(),
        ))
    });
    show(&edits.collect::<Result<Vec<Edit>, Failure>>()?, asked, out)
}

pub async fn online(asked: &Diff, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let after = Manifests::read(&asked.files)?;
    let mut edits = Vec::new();
    for written in &after.nodes {
        let namespace = written.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| session.namespace.clone());
        let api: Api<ChainlinkNode> = Api::namespaced(session.client.clone(), &namespace);
        let found = api.get_opt(&written.name).await;
        let node = found.doing(format!("reading ChainlinkNode {}", written.name))?;
        let named = after.maps(Some(&namespace));
        let before = match node {
            Some(node) => {
                let maps = live_maps(session, &namespace, &node, written).await?;
                Some(Before { node, maps })
            }
            None => None,
        };
        // What is in none of the files stays as it is.
        let mut maps = before
            .as_ref()
            .map(|before| before.maps.clone())
            .unwrap_or_default();
        maps.extend(named);
        edits.push(edit(written, &maps, before.as_ref(), Timestamp::now()));
    }
    show(&edits, asked, out)
}

/// The ConfigMaps in the cluster that either side of the edit names.
async fn live_maps(
    session: &Session,
    namespace: &str,
    node: &ChainlinkNode,
    written: &Written,
) -> Result<ConfigMaps, Failure> {
    let mut names: BTreeSet<String> = build::referenced_config_maps(&node.spec);
    if let Ok(after) = written.node() {
        names.extend(build::referenced_config_maps(&after.spec));
    }
    let api: Api<ConfigMap> = Api::namespaced(session.client.clone(), namespace);
    let mut maps = ConfigMaps::new();
    for name in names {
        let found = api.get_opt(&name).await;
        if let Some(map) = found.doing(format!("reading ConfigMap {name}"))? {
            maps.insert(name, map);
        }
    }
    Ok(maps)
}

/// What the edit leads to.
fn edit(written: &Written, maps: &ConfigMaps, before: Option<&Before>, now: Timestamp) -> Edit {
    let linted = lint_over(written, before.map(|before| &before.node), maps);
    let mut edit = Edit {
        file: written.file.clone(),
        name: written.name.clone(),
        refused: linted.is_refused(false),
        rolls_pods: false,
        needs_approval: false,
        changed: Vec::new(),
        effects: Vec::new(),
        findings: linted.findings,
    };
    let Some((node, new)) = linted.resolved.filter(|_| !edit.refused) else {
        return edit;
    };
    let Some(before) = before else {
        edit.effects.push(format!(
            "it is new: {} pods of version {} are made",
            node.spec.replicas, new.revision.version
        ));
        return edit;
    };
    let old = by_operator(before.node.clone(), &before.maps).resolved;
    edit.scale(before.node.spec.replicas, node.spec.replicas);
    match old {
        Some((_, old)) => {
            edit.compare(&old, &new);
            if edit.rolls_pods {
                edit.refuse(&old, &new, &before.node, &node);
                edit.wait(&old, &new, &node, now);
            }
        }
        None => edit.effects.push(
            "what was before the edit can't be turned into pods: these are made where that allows it"
                .to_owned(),
        ),
    }
    if edit.effects.is_empty() {
        edit.effects.push("no pod is replaced".to_owned());
    }
    edit
}

impl Edit {
    fn scale(&mut self, before: i32, after: i32) {
        let effect = match (before, after) {
            (before, 0) if before > 0 => {
                "replicas: 0: all pods are stopped, and the node works no more".to_owned()
            }
            (0, after) if after > 0 => format!("it hibernates: {after} pods are started"),
            (before, after) if after > before => {
                format!("{} more standbys are started", after - before)
            }
            (before, after) if after < before => {
                format!("{} standbys are stopped, never the active", before - after)
            }
            _ => return,
        };
        self.effects.push(effect);
    }

    /// Two specs that make one revision differ in nothing that a pod depends on.
    fn compare(&mut self, old: &Resolved, new: &Resolved) {
        if old.revision.name == new.revision.name {
            return;
        }
        self.rolls_pods = true;
        self.changed = changed(old, new);
        let what = self.changed.join(", ");
        self.effects.push(format!(
            "all pods are replaced by handover, one gap of the lock: {what}"
        ));
    }

    /// What the operator does not do while the pods of before are there.
    fn refuse(
        &mut self,
        old: &Resolved,
        new: &Resolved,
        before: &ChainlinkNode,
        after: &ChainlinkNode,
    ) {
        if before.spec.replicas == 0 || after.spec.replicas == 0 {
            return;
        }
        if !old.revision.lock.sees(&new.revision.lock) {
            self.deny(&Reason::LockDiffers);
        }
        let held = before.status.as_ref();
        let held = held.and_then(|status| status.operator.newest_held.as_ref()?.parse().ok());
        let held: &NodeVersion = held.as_ref().unwrap_or(&old.revision.version);
        let restored = annotation(after, RESTORED_ANNOTATION);
        let is_new = restored.is_some() && restored != annotation(before, RESTORED_ANNOTATION);
        if new.revision.version.is_too_old_for(held) && !is_new {
            self.deny(&Reason::VersionWentBack);
        }
    }

    /// In the words of the documents: what the operator says itself needs pods to speak of.
    fn deny(&mut self, reason: &Reason) {
        self.refused = true;
        let advice = crate::advice::of(reason.as_str())
            .cloned()
            .unwrap_or_default();
        self.findings.push(Finding {
            says: crate::lint::Says::Operator,
            reason: Some(reason.to_string()),
            message: format!("{}; what to do: {}", advice.meaning, advice.to_do),
        });
    }

    /// Who is asked, and when it is done.
    fn wait(&mut self, old: &Resolved, new: &Resolved, node: &ChainlinkNode, now: Timestamp) {
        let handover = node.spec.handover.clone().unwrap_or_default();
        let approved = Approved {
            revision: annotation(node, APPROVED_ANNOTATION).map(RevisionName::new),
        };
        let manual = handover.approval == Some(Approval::Manual);
        if manual && !approved.is_for(&new.revision, Some(&old.revision)) {
            self.needs_approval = true;
            self.effects.push(format!(
                "it waits for approval: kubectl chainlink approve {} (or commit {APPROVED_ANNOTATION})",
                self.name
            ));
        }
        if node.spec.paused {
            let text = "it waits for the end of the pause (spec.paused)";
            self.effects.push(text.to_owned());
        }
        let opens = handover.windows.iter().filter_map(|window| {
            Schedule::parse(&window.schedule, window.time_zone.as_deref())
                .ok()?
                .next(now)
        });
        if let Some(opens) = opens.min() {
            self.effects.push(format!(
                "it waits for a window of handover.windows; the next one opens at {opens}"
            ));
        }
    }
}

/// The parts of what pods are made from that differ. No value is shown but versions and images: others may be secret.
fn changed(old: &Resolved, new: &Resolved) -> Vec<String> {
    let read = |resolved: &Resolved| serde_json::to_value(&resolved.content).unwrap_or_default();
    let (one, other) = (read(old), read(new));
    let names: BTreeSet<&String> = [&one, &other]
        .into_iter()
        .filter_map(|content| content.as_object())
        .flat_map(|fields| fields.keys())
        .filter(|name| *name != "template")
        .collect();
    let differ = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    differ
        .map(|name| match (name.as_str(), &one[name], &other[name]) {
            ("version" | "image" | "lock", one, other) if one.is_string() && other.is_string() => {
                let text =
                    |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                format!("{name} {} → {}", text(one), text(other))
            }
            _ => name.clone(),
        })
        .collect()
}

fn show(edits: &[Edit], asked: &Diff, out: &mut Out) -> Result<End, Failure> {
    if edits.is_empty() {
        return Err(no_node_in(&asked.files));
    }
    out.show(&edits, |out| {
        for edit in edits {
            let (word, tone) = match (edit.refused, edit.rolls_pods) {
                (true, _) => ("refused", Tone::Bad),
                (false, true) => ("rolls pods", Tone::Waits),
                (false, false) => ("rolls no pods", Tone::Good),
            };
            let place = format!("{}: {}: ", edit.file, edit.name);
            out.line(&[place.into(), Word::new(word, tone)])?;
            for effect in &edit.effects {
                out.text(&format!("  {effect}"))?;
            }
            show_findings(&edit.findings, out)?;
        }
        Ok(())
    })?;
    let refused = edits.iter().any(|edit| edit.refused);
    Ok(if refused { End::No } else { End::Done })
}
