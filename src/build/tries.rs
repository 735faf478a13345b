//! What can be tried of a start without the lock, beside the node's own check: `validate` reads no password file and makes
//! no folder, and from 2.30 on a node does so only when it has the lock. Of HTTPS it tells in its log alone.
//!
//! It needs a shell, which an image may lack: then nothing is tried, and nothing is held up for that.

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};

use super::container::{literal, mount, security};
use super::content::Content;
use super::volumes::{CREDENTIALS, extra_mounts};
use crate::api::KeyRef;
use crate::api::names::TRIES_CONTAINER;
use crate::domain::FOUND;
use crate::node::settings::{ROOT_DIR, ROOT_MOUNT};

/// What is tried, in the words of a shell. Its variables are set by [`script`].
const TRIES: &str = include_str!("tries.sh");

/// The container of a short pod that tries it, with these amounts.
pub(super) fn container(content: &Content, resources: Option<ResourceRequirements>) -> Container {
    let mut mounts = vec![
        mount("root", ROOT_MOUNT, false),
        mount("credentials", CREDENTIALS, true),
    ];
    if content.tls_files.is_some() {
        mounts.extend(extra_mounts(content));
    }
    Container {
        name: TRIES_CONTAINER.to_owned(),
        image: Some(content.image.clone()),
        image_pull_policy: Some(content.pull_policy.clone()),
        command: Some(vec![
            "sh".to_owned(),
            "-c".to_owned(),
            literal(&script(content)),
        ]),
        resources,
        security_context: Some(security(content)),
        volume_mounts: Some(mounts),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn script(content: &Content) -> String {
    let of = |reference: &KeyRef| format!("{} of Secret {}", reference.key, reference.name);
    let api = content.api_credentials.as_ref();
    let tls = content.tls_files.clone().unwrap_or_default();
    let variables = [
        ("code", FOUND.to_string()),
        ("password", format!("{CREDENTIALS}/keystore-password")),
        ("keystore", of(&content.keystore_password)),
        (
            "credentials",
            api.map(|_| format!("{CREDENTIALS}/api-credentials"))
                .unwrap_or_default(),
        ),
        ("api", api.map(of).unwrap_or_default()),
        ("tls_certificate", tls.certificate),
        ("tls_key", tls.key),
        ("root", ROOT_DIR.to_owned()),
    ];
    let set = variables.map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    set.concat() + TRIES
}

/// As one word of a shell, which takes nothing of it for its own.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
