//! From a plan to the API server. Nothing is decided here: each act is done as planned, with the uid
//! and the version of what it was planned for, or not at all.

mod keep;
mod pods;
mod refusal;

use kube::ResourceExt;

use crate::api::ChainlinkNode;
use crate::build;

pub use keep::{Keeper, Keeping, Kept, Services};
pub use pods::{Actor, Outcome};
pub use refusal::{refusal, sentence};

/// Whether an object is this resource's: one of that name may be another's, or that of an earlier
/// resource whose objects are not all gone yet.
fn controls(node: &ChainlinkNode, object: &impl ResourceExt) -> bool {
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
    let mut labels = build::labels(&node.name_any()).into_iter();
    let of_node = labels.all(|(key, value)| object.labels().get(&key) == Some(&value));
    let controlled = owners.any(|owner| owner.controller == Some(true));
    of_node && !controlled && object.meta().deletion_timestamp.is_none()
}
