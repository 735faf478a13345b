//! What the kubelet says of an image that it can't have.

use crate::domain::Trouble;

/// What is wrong where a container waits for this reason, and its image is why.
pub(super) fn of_an_image(
    reason: &str,
    said: Option<&str>,
    warning: Option<&Trouble>,
) -> Option<Trouble> {
    let message = said.unwrap_or(reason);
    match reason {
        "ErrImagePull" | "ImagePullBackOff" => Some(no_image(message, warning)),
        "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" | "RegistryUnavailable" => {
            Some(Trouble {
                reason: reason.to_owned(),
                message: message.to_owned(),
            })
        }
        _ => None,
    }
}

/// The kubelet says by turns `ErrImagePull` with the registry's words, and `ImagePullBackOff` with or
/// without them: to a person they are one.
fn no_image(message: &str, warning: Option<&Trouble>) -> Trouble {
    let words = match message.split_once(": ErrImagePull: ") {
        Some((_, words)) => words,
        None if message.starts_with("Back-off pulling image") => warning
            .map(|warning| warning.message.as_str())
            .filter(|message| message.starts_with("Failed to pull image"))
            .unwrap_or(message),
        None => message,
    };
    Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: words.to_owned(),
    }
}
