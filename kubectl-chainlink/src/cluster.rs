//! The calls of the API server that verbs share.

use chainlink_operator::api::ChainlinkNode;
use futures::{Stream, StreamExt};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use crate::connect::Session;
use crate::failure::{Doing, Failure};

/// By this name the API server keeps who set a field.
pub const FIELD_MANAGER: &str = "kubectl-chainlink";

/// The port of a node's web page.
pub const WEB_PORT: u16 = 6688;

impl Session {
    pub fn nodes(&self) -> Api<ChainlinkNode> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn node(&self, name: &str) -> Result<ChainlinkNode, Failure> {
        let doing = format!("reading ChainlinkNode {name}");
        let found = self.nodes().get(name).await;
        match found {
            Err(kube::Error::Api(status))
                if status.code == 404 && status.message.contains(name) =>
            {
                Err(self.not_found(name))
            }
            found => found.doing(doing),
        }
    }

    pub fn not_found(&self, name: &str) -> Failure {
        Failure::NotFound {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    /// All nodes; what can't be read of one keeps nobody from seeing the others.
    pub async fn fleet(
        &self,
        everywhere: bool,
        selector: Option<&str>,
    ) -> Result<Vec<DeserializeGuard<ChainlinkNode>>, Failure> {
        let api: Api<DeserializeGuard<ChainlinkNode>> = if everywhere {
            Api::all(self.client.clone())
        } else {
            Api::namespaced(self.client.clone(), &self.namespace)
        };
        let which = selector.map_or_else(ListParams::default, |labels| {
            ListParams::default().labels(labels)
        });
        let found = api.list(&which).await.doing("listing ChainlinkNodes")?;
        Ok(found.items)
    }

    /// Each state of a node from now on; `None` while there is none.
    pub fn watch(
        &self,
        name: &str,
    ) -> impl Stream<Item = Result<Option<ChainlinkNode>, Failure>> + Send + use<> {
        let doing = format!("watching ChainlinkNode {name}");
        let states = watcher::watch_object(self.nodes(), name);
        states.default_backoff().filter_map(move |state| {
            let state = match state {
                Ok(state) => Some(Ok(state)),
                // A stream that breaks is opened again; what is not allowed stays so.
                Err(error) if is_refused(&error) => Some(Err(Failure::Watch {
                    doing: doing.clone(),
                    source: Box::new(error),
                })),
                Err(_) => None,
            };
            std::future::ready(state)
        })
    }

    /// Sets annotations, and nothing else: that is all that the chart's role for people on call allows. `None` removes one.
    pub async fn annotate(
        &self,
        node: &ChainlinkNode,
        annotations: &[(&str, Option<&str>)],
    ) -> Result<ChainlinkNode, Failure> {
        let set: Map<String, Value> = annotations
            .iter()
            .map(|(name, text)| ((*name).to_owned(), json!(text)))
            .collect();
        let change = json!({"metadata": {"annotations": set}});
        self.change(node, change, "setting annotations of").await
    }

    /// Merges a change into the node that was looked at: another one of that name is not touched.
    pub async fn change(
        &self,
        node: &ChainlinkNode,
        mut change: Value,
        doing: &str,
    ) -> Result<ChainlinkNode, Failure> {
        let name = node.name_any();
        change["metadata"]["uid"] = json!(node.uid());
        let by = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let changed = self.nodes().patch(&name, &by, &Patch::Merge(&change)).await;
        changed.doing(format!("{doing} ChainlinkNode {name}"))
    }
}

fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(api) | watcher::Error::WatchStartFailed(api)) = error
    else {
        return false;
    };
    matches!(api, kube::Error::Api(status) if [401, 403, 404].contains(&status.code))
}

/// Who applies this resource, where it is not a person: what is changed by hand may be set back.
pub fn applied_by(node: &ChainlinkNode) -> Option<&'static str> {
    let marks = [
        ("argocd.argoproj.io/tracking-id", "Argo CD"),
        ("argocd.argoproj.io/instance", "Argo CD"),
        ("kustomize.toolkit.fluxcd.io/name", "Flux"),
        ("helm.toolkit.fluxcd.io/name", "Flux"),
        ("meta.helm.sh/release-name", "Helm"),
    ];
    let has = |mark: &str| {
        node.meta()
            .annotations
            .iter()
            .flatten()
            .any(|(key, _)| key == mark)
            || node
                .meta()
                .labels
                .iter()
                .flatten()
                .any(|(key, _)| key == mark)
    };
    marks
        .iter()
        .find(|(mark, _)| has(mark))
        .map(|(_, who)| *who)
}

/// The text of an annotation.
pub fn annotation<'a>(node: &'a ChainlinkNode, name: &str) -> Option<&'a str> {
    node.annotations().get(name).map(String::as_str)
}
