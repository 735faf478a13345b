//! Objects that have nothing to do with the operator, in the namespaces of the resources: ConfigMaps, and pods that nobody runs.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Resource;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::operator::Operator;
use super::resources::{Fleet, each, number};
use crate::until;

/// So many of each kind are made for one resource.
const OF_ONE: usize = 10;
/// The label by which they are found again.
const LABEL: (&str, &str) = ("fleet", "unrelated");
/// The phase in which they are made.
const MADE: &str = "unrelated-made";

/// What is made: one object of a kind.
trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
{
    fn new(metadata: ObjectMeta) -> Result<Self>;
}

impl Kind for ConfigMap {
    fn new(metadata: ObjectMeta) -> Result<Self> {
        let data = json!({"metadata": metadata, "data": {"key": "value"}});
        Ok(serde_json::from_value(data)?)
    }
}

impl Kind for Pod {
    fn new(metadata: ObjectMeta) -> Result<Self> {
        let containers = json!([{"name": "other", "image": "other:1"}]);
        // No scheduler has this name.
        let spec = json!({"schedulerName": "nobody", "containers": containers});
        Ok(serde_json::from_value(
            json!({"metadata": metadata, "spec": spec}),
        )?)
    }
}

impl Fleet {
    /// What they cost while they are made, and at rest beside them.
    pub(super) async fn unrelated(&mut self, operator: &Operator) -> Result<()> {
        self.until_quiet(operator).await?;
        let (before, begun) = (operator.cost().await?, Instant::now());
        self.make_unrelated::<ConfigMap>().await?;
        self.make_unrelated::<Pod>().await?;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.note(MADE, "time", "s", seconds);
        self.cost_of(MADE, &before, &after, seconds);
        self.note(MADE, "memory", "MiB", after.memory);
        self.at_rest("unrelated", operator).await?;
        let maps = self.unrelated_of::<ConfigMap>("").await?.len();
        let pods = self.unrelated_of::<Pod>("spec.nodeName=").await?.len();
        self.note("unrelated", "ConfigMaps", "", number(maps));
        self.note("unrelated", "pods", "", number(pods));
        let all = OF_ONE * self.size;
        ensure!(
            maps == all && pods == all,
            "{all} of each kind were to be there as they were made: {maps} ConfigMaps, {pods} pods"
        );
        self.remove_unrelated::<ConfigMap>().await?;
        self.remove_unrelated::<Pod>().await
    }

    fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn make_unrelated<K: Kind>(&self) -> Result<()> {
        let resources = self.resources();
        let all = resources.iter().flat_map(|(namespace, resource)| {
            (0..OF_ONE).map(move |number| (namespace, format!("other-{resource}-{number}")))
        });
        let made = futures::stream::iter(all).map(async |(namespace, name)| {
            let metadata = ObjectMeta {
                name: Some(name),
                labels: Some(
                    [LABEL]
                        .map(|(key, value)| (key.into(), value.into()))
                        .into(),
                ),
                ..ObjectMeta::default()
            };
            let api = self.api::<K>(namespace);
            api.create(&PostParams::default(), &K::new(metadata)?)
                .await?;
            anyhow::Ok(())
        });
        each(made).await
    }

    /// Those that are there, of all namespaces.
    async fn unrelated_of<K: Kind>(&self, fields: &str) -> Result<Vec<K>> {
        let api: Api<K> = Api::all(self.client.clone());
        let list = labelled().fields(fields);
        Ok(api.list(&list).await?.items)
    }

    async fn remove_unrelated<K: Kind>(&self) -> Result<()> {
        let resources = self.resources().into_iter();
        let namespaces: BTreeSet<String> = resources.map(|(namespace, _)| namespace).collect();
        for namespace in namespaces {
            let api = self.api::<K>(&namespace);
            api.delete_collection(&DeleteParams::default(), &labelled())
                .await?;
        }
        let patience = self.settings.patience;
        until("what is unrelated is gone", patience, async || {
            let left = self.unrelated_of::<K>("").await?.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await
    }
}

fn labelled() -> ListParams {
    let (key, value) = LABEL;
    ListParams::default().labels(&format!("{key}={value}"))
}
