//! What people are told, as sentences. The world is that of the planner's tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod duty;
mod events;
mod history;
mod metrics;
mod pending;
mod refused;
mod secrets;
mod standbys;
mod update;
mod verified;

use std::time::Duration;

use serde_json::json;

use super::{Note, Report, Sharer, notes, status};
use crate::api::{
    ChainlinkNode, ChainlinkNodeStatus, GoingBack, Handover, OnSecretChange, SecretsSeen, Updates,
    Verification,
};
use crate::domain::{Answered, Contact, Holder, Preferred, Reason, Releases, Says, Silence};
use crate::node::ExitKind;
use crate::node::database::SessionOf;
use crate::plan::tests::world::{World, pair, v1, v2, version};
use crate::plan::{Blocked, Plan};

fn node() -> ChainlinkNode {
    serde_json::from_value(json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": "cl", "uid": "7", "generation": 1},
        "spec": {
            "version": "2.28.0",
            "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        },
    }))
    .unwrap()
}

/// A resource in its world, and the status that stands in it.
struct Told {
    world: World,
    status: ChainlinkNodeStatus,
    sharers: Vec<Sharer>,
    /// What of the configuration is overridden.
    warnings: Vec<String>,
    on_secret_change: Option<OnSecretChange>,
    backup_off: Option<&'static str>,
    /// What the API server refuses.
    refusal: Option<Blocked>,
    /// What the registry has said.
    releases: Option<Releases>,
    /// What the spec asks of it.
    updates: Option<Updates>,
}

impl Told {
    fn of(world: World) -> Self {
        let mut told = Self {
            world,
            status: ChainlinkNodeStatus::default(),
            sharers: Vec::new(),
            warnings: Vec::new(),
            on_secret_change: None,
            backup_off: Some("Database.Backup.Mode is none"),
            refusal: None,
            releases: None,
            updates: None,
        };
        told.look();
        told
    }

    /// One pass: the operator plans, writes the status, tells, and acts.
    fn look(&mut self) -> Vec<Note> {
        let plan = self.world.remember();
        let told = self.tell(&plan);
        for act in &plan.acts {
            self.world.act(act);
        }
        told
    }

    fn tell(&mut self, plan: &Plan) -> Vec<Note> {
        let mut node = node();
        node.spec.handover = self.on_secret_change.map(|on_change| Handover {
            on_secret_change: Some(on_change),
            ..Handover::default()
        });
        node.spec.updates = self.updates.clone();
        node.status = Some(self.status.clone());
        let report = Report {
            node: &node,
            seen: &self.world.look(),
            plan,
            sharers: self.sharers.clone(),
            backup_off: self.backup_off,
            refusal: self.refusal.clone(),
            releases: self.releases.clone(),
            now: self.world.now,
        };
        let new = status(&report, &self.status);
        let told = notes(&report, &self.status, &new, &self.warnings);
        self.status = new;
        told
    }

    /// One pass whose acts the second look does not permit.
    fn look_in_vain(&mut self) -> Vec<Note> {
        let plan = self.world.remember();
        self.tell(&plan)
    }

    /// Texts of the events of one reason.
    fn texts(&mut self, reason: &str) -> Vec<String> {
        texts(self.look(), reason)
    }
    /// Status and reason of a condition.
    fn condition(&self, kind: &str) -> (String, String) {
        let mut all = self.status.conditions.iter();
        let found = all.find(|condition| condition.type_ == kind).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    /// One pass of an operator that has this of the active.
    fn available(&mut self, contact: Option<Answered>) -> (String, String) {
        let at = self.world.now;
        self.world.pod("a").contact = contact.map(|answer| Contact { at, answer });
        self.world.pod("a").watched = Some(at);
        self.world.unseen("a");
        self.look();
        self.condition("Available")
    }

    fn message(&self, pod: &str) -> Option<&str> {
        let pod = self.status.pods.iter().find(|other| other.name == pod);
        pod?.message.as_deref()
    }
}

fn texts(notes: Vec<Note>, reason: &str) -> Vec<String> {
    notes
        .into_iter()
        .filter(|note| note.reason.as_str() == reason)
        .map(|note| note.text)
        .collect()
}
