//! What nobody owns any more is taken over by a resource that is to stay.

use kube::api::Api;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::ChainlinkNode;

/// Whether the resource is there now, and is to stay. One that is deleted without what belongs to it has its owner
/// references taken away before it is gone: what got one back then would be deleted after it.
pub async fn still_there(client: &Client, node: &ChainlinkNode) -> Result<bool, kube::Error> {
    let namespace = node.namespace().unwrap_or_default();
    let nodes: Api<ChainlinkNode> = Api::namespaced(client.clone(), &namespace);
    let now = nodes.get_opt(&node.name_any()).await?;
    Ok(now.is_some_and(|now| {
        now.metadata.uid == node.metadata.uid && now.metadata.deletion_timestamp.is_none()
    }))
}

/// The patch that makes an object, as it was read, the resource's own.
pub fn adoption(node: &ChainlinkNode, orphan: &impl ResourceExt) -> Value {
    let mut owners = orphan.owner_references().to_vec();
    owners.extend(node.controller_owner_ref(&()));
    json!({"metadata": {
        "uid": orphan.uid(),
        "resourceVersion": orphan.resource_version(),
        "ownerReferences": owners,
    }})
}
