//! A walk through the phases of a resource: every object that is seen on the way is saved, for the judge in `tests/manifests`
//! that says what Helm and Flux make of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use chainlink_operator::api::ChainlinkNode;
use futures::StreamExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::World;
use crate::exec::{quietly, repository};

/// Ends with this.
pub struct Walk {
    folder: PathBuf,
    bad_spec: Arc<AtomicBool>,
    _watch: JoinSet<()>,
}

impl Walk {
    /// Saves the objects of the scenario's resources from now on, in a folder of its own that stays.
    pub fn begin(world: &World) -> Result<Self> {
        let folder = repository().join("target/walks").join(&world.namespace);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let resource = ApiResource::erase::<ChainlinkNode>(&());
        let nodes: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        let bad_spec = Arc::new(AtomicBool::new(false));
        let mut watch = JoinSet::new();
        watch.spawn(save(nodes, folder.clone(), bad_spec.clone()));
        Ok(Self {
            folder,
            bad_spec,
            _watch: watch,
        })
    }

    /// From now on the spec is one that can't work, or no longer: only under such a one may a resource have failed.
    pub fn bad_spec(&self, is: bool) {
        self.bad_spec.store(is, Ordering::SeqCst);
    }

    /// What the library of Helm and Flux makes of all that was saved.
    pub fn judged(&self) -> Result<()> {
        quietly(
            Command::new("go")
                .args(["test", "-count=1", "./kstatus"])
                .env("WALKED", &self.folder)
                .current_dir(repository().join("tests/manifests")),
        )
        .map(drop)
    }
}

/// One file for each object that says something new.
async fn save(nodes: Api<DynamicObject>, folder: PathBuf, bad_spec: Arc<AtomicBool>) {
    let mut said = BTreeSet::new();
    let mut events = watcher(nodes, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        // The stream repairs itself.
        let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event else {
            continue;
        };
        let object = serde_json::to_value(object).expect("what was JSON is JSON");
        let bad = bad_spec.load(Ordering::SeqCst);
        if said.insert(summary(&object, bad)) {
            save_one(&object, &folder, said.len(), bad);
        }
    }
}

fn save_one(object: &Value, folder: &Path, number: usize, bad: bool) {
    let phase = object["status"]["phase"].as_str().unwrap_or("not-seen");
    let bad = if bad { "-bad-spec" } else { "" };
    let path = folder.join(format!("{number:03}-{phase}{bad}.json"));
    let text = serde_json::to_string_pretty(object).expect("what was JSON is JSON");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// All that kstatus looks at, and the phase.
fn summary(object: &Value, bad: bool) -> String {
    let status = &object["status"];
    let seen = status["observedGeneration"] == object["metadata"]["generation"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let read = ["Ready", "Reconciling", "Stalled", "ChangePending"];
    let said: Vec<String> = conditions
        .filter(|one| read.iter().any(|kind| one["type"] == *kind))
        .map(|one| format!("{}={}:{}", one["type"], one["status"], one["reason"]))
        .collect();
    let deleted = &object["metadata"]["deletionTimestamp"];
    format!("{bad} {seen} {} {said:?} {deleted}", status["phase"])
}
