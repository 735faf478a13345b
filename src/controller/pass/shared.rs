//! Other resources on the same database: intended while one takes over from the other, and otherwise a mistake.

use std::sync::PoisonError;

use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::scene::Pass;
use crate::api::ChainlinkNode;
use crate::controller::context::Context;

impl Pass<'_> {
    /// Names of the other resources that run pods on this one's database, as far as that can be told: they name the
    /// same key of the same Secret, or the operator has read the same URL for both.
    pub(super) fn sharers(&self) -> Vec<String> {
        if !runs(self.node) {
            return Vec::new();
        }
        let stores = &self.context.stores;
        let stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sharers: Vec<String> = stores
            .iter()
            .flat_map(Store::state)
            .filter(|other| other.uid() != self.node.uid() && runs(other))
            .filter(|other| {
                names_same_key(self.node, other) || same_url(self.context, self.node, other)
            })
            .map(|other| name(self.node, &other))
            .collect();
        sharers.sort();
        sharers
    }
}

fn runs(node: &ChainlinkNode) -> bool {
    node.spec.replicas > 0 && node.metadata.deletion_timestamp.is_none()
}

fn names_same_key(one: &ChainlinkNode, other: &ChainlinkNode) -> bool {
    let key = |node: &ChainlinkNode| node.spec.database.url.secret_key_ref.clone();
    one.namespace() == other.namespace() && key(one).is_some() && key(one) == key(other)
}

fn same_url(context: &Context, one: &ChainlinkNode, other: &ChainlinkNode) -> bool {
    let words = &context.words;
    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
    let url = |node: &ChainlinkNode| words.get(&node.uid()?)?.url;
    url(one).is_some() && url(one) == url(other)
}

fn name(node: &ChainlinkNode, other: &ChainlinkNode) -> String {
    match other.namespace() {
        Some(namespace) if node.namespace().as_ref() != Some(&namespace) => {
            format!("{namespace}/{}", other.name_any())
        }
        _ => other.name_any(),
    }
}
