//! What signs the sessions of people and API clients, the same in all pods of a resource.
//!
//! The node reads `RootDir/secret`, or makes it where it is missing, when it has the lock already
//! (`core/services/chainlink` `FilePersistedSecretGenerator`, read). It has to own its root folder, so
//! a Secret can't be mounted into it: the folder would be root's. A short container of the node's own
//! image, run as the node's own user, puts the file there before the node starts.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Container, Secret};
use kube::ResourceExt;

use super::container::{mount, resources, security};
use super::content::{Content, Session};
use super::objects::metadata;

use crate::api::ChainlinkNode;
use crate::node::settings::{ROOT_DIR, ROOT_MOUNT};

/// The name of the volume, and of the container.
pub(super) const VOLUME: &str = "session-secret";
/// The file in that volume.
pub(super) const FILE: &str = "secret";
const FOLDER: &str = "/etc/chainlink/session";

/// The Secret that the operator makes once for a resource, from random bytes.
pub fn session_secret(node: &ChainlinkNode, random: [u8; 32]) -> Result<Secret, serde_json::Error> {
    let reference = Session::Generated.reference(&node.name_any());
    // Base64 twice: the node's own form, and on the wire that of every Secret.
    let text: String = serde_json::from_value(serde_json::to_value(ByteString(random.into()))?)?;
    Ok(Secret {
        metadata: metadata(node, reference.name),
        string_data: Some([(reference.key, text)].into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

/// The container that puts the secret into the node's root folder.
pub(super) fn container(content: &Content) -> Option<Container> {
    content.session.as_ref()?;
    Some(Container {
        name: VOLUME.to_owned(),
        image: Some(content.image.clone()),
        image_pull_policy: Some(content.pull_policy.clone()),
        command: Some(vec!["sh".to_owned(), "-ec".to_owned(), script()]),
        // A quota may want them, and they cost nothing: the pod asks for the larger of the two.
        resources: resources(content),
        security_context: Some(security(content)),
        volume_mounts: Some(vec![
            mount("root", ROOT_MOUNT, false),
            mount(VOLUME, FOLDER, true),
        ]),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    })
}

/// Refuses what the node could not read: it would find out only when it has the lock.
fn script() -> String {
    format!(
        "umask 077\n\
         text=\"$(cat {FOLDER}/{FILE})\"\n\
         if [ \"${{#text}}\" -lt 44 ] || [ \"$(printf %s \"$text\" | base64 -d | base64 -w 0)\" != \"$text\" ]; then\n\
         echo 'the session secret is not 32 bytes or more as base64 in one line: write the output of openssl rand -base64 32 into it' >&2\n\
         exit 1\n\
         fi\n\
         mkdir -p {ROOT_DIR}\n\
         printf %s \"$text\" > {ROOT_DIR}/secret\n"
    )
}
