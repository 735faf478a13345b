//! What belongs to a resource, and what may become its own: nobody's objects are taken over by a resource that is to stay.
//! Only questions and the patch of an adoption; who calls the API server with that patch is `observe` for pods and `act` for
//! everything else.

use kube::api::Api;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::ChainlinkNode;
use crate::api::names::labels;

/// Whether an object is this resource's: one of that name may be another's, or that of an earlier
/// resource whose objects are not all gone yet.
pub fn controls(node: &ChainlinkNode, object: &impl ResourceExt) -> bool {
    let uid = node.metadata.uid.as_deref();
    object
        .owner_references()
        .iter()
        .any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}

/// Whether an object was left by an earlier resource of this name, which was deleted without what belonged to it
/// (`kubectl delete --cascade=orphan`): where it is needed it is taken over, as pods are.
fn is_orphan(node: &ChainlinkNode, object: &impl ResourceExt) -> bool {
    let mut owners = object.owner_references().iter();
    let mut labels = labels(&node.name_any()).into_iter();
    let of_node = labels.all(|(key, value)| object.labels().get(&key) == Some(&value));
    let controlled = owners.any(|owner| owner.controller == Some(true));
    of_node && !controlled && object.meta().deletion_timestamp.is_none()
}

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

/// Whether the resource may take an object over now.
pub async fn may_adopt(
    client: &Client,
    node: &ChainlinkNode,
    there: &impl ResourceExt,
) -> Result<bool, kube::Error> {
    Ok(is_orphan(node, there) && still_there(client, node).await?)
}

/// Whether an object may be brought up to date, or removed: applying it takes an orphan over.
pub async fn may_change(
    client: &Client,
    node: &ChainlinkNode,
    there: &impl ResourceExt,
) -> Result<bool, kube::Error> {
    Ok(controls(node, there) || may_adopt(client, node, there).await?)
}
