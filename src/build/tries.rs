//! What can be tried of a start without the lock, beside the node's own check: `validate` reads no password file and makes
//! no folder, and from 2.30 on a node does so only when it has the lock.
//!
//! It needs a shell, which an image may lack: then nothing is tried, and nothing is held up for that.

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};

use super::container::{mount, security};
use super::content::Content;
use super::volumes::CREDENTIALS;
use crate::api::names::TRIES_CONTAINER;
use crate::domain::FOUND;
use crate::node::settings::{ROOT_DIR, ROOT_MOUNT};

/// The container of a short pod that tries it, with these amounts.
pub(super) fn container(content: &Content, resources: Option<ResourceRequirements>) -> Container {
    Container {
        name: TRIES_CONTAINER.to_owned(),
        image: Some(content.image.clone()),
        image_pull_policy: Some(content.pull_policy.clone()),
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), script(content)]),
        resources,
        security_context: Some(security(content)),
        volume_mounts: Some(vec![
            mount("root", ROOT_MOUNT, false),
            mount("credentials", CREDENTIALS, true),
        ]),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// One trailing newline of the password file is not part of the password, an empty one and one with spaces around it are
/// refused (`core/utils/password.go`, read). Its length counts only for keys that are to be made, so it is not looked at. The
/// root folder has to be the node's own, as it takes all rights on it from others.
fn script(content: &Content) -> String {
    let password = format!("{CREDENTIALS}/keystore-password");
    let of =
        |reference: &crate::api::KeyRef| format!("{} of Secret {}", reference.key, reference.name);
    let keystore = of(&content.keystore_password);
    let credentials = content.api_credentials.as_ref().map_or_else(String::new, |reference| {
        let (file, of) = (format!("{CREDENTIALS}/api-credentials"), of(reference));
        format!("[ -r {file} ] || found 'the user of the pod can not read the API credentials ({of})'\n")
    });
    format!(
        "for needed in cat mkdir chmod; do command -v \"$needed\" > /dev/null || exit 0; done\n\
         found() {{ echo \"$1\" >&2; exit {FOUND}; }}\n\
         [ -r {password} ] || found 'the user of the pod can not read the keystore password ({keystore})'\n\
         {credentials}\
         text=\"$(cat {password}; echo .)\"\n\
         text=\"${{text%.}}\"\n\
         text=\"${{text%\n}}\"\n\
         case \"$text\" in\n\
         '') found 'the keystore password ({keystore}) is empty, and a start would end with that' ;;\n\
         [[:space:]]*|*[[:space:]]) found 'the keystore password ({keystore}) has a space or a line break at an end, and a start \
         would end with that: write it without (one line break at the end does no harm)' ;;\n\
         esac\n\
         said=\"$( {{ mkdir -p {ROOT_DIR} && chmod 700 {ROOT_DIR} && : > {ROOT_DIR}/tried; }} 2>&1 )\" ||\n\
         found \"the node can't make its root folder, and a start would end with that: look at spec.pod.storage and spec.pod.securityContext: $said\"\n"
    )
}
