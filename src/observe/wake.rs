//! What makes a pass over a resource begin at once.

use kube::runtime::reflector::ObjectRef;

use crate::api::ChainlinkNode;

/// A reason to look at a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    pub resource: ObjectRef<ChainlinkNode>,
    /// Something has changed, or may have: what was read of the resource is not to be read again from memory.
    pub changed: bool,
}

impl Wake {
    /// Of something that has changed, or may have.
    pub fn changed(resource: ObjectRef<ChainlinkNode>) -> Self {
        Self {
            resource,
            changed: true,
        }
    }

    /// Of something that is known now and has not changed.
    pub fn known(resource: ObjectRef<ChainlinkNode>) -> Self {
        Self {
            resource,
            changed: false,
        }
    }
}
